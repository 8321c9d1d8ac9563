"""docs/capacity.md says what docs/scale/measured.json holds, and its arithmetic adds up."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from .blocks import DOCS, ROOT

sys.path.append(str(ROOT / "benchmarks"))

import scale  # what measures must at least be importable
import scale_capacity
import scale_tables
from scale_capacity import Figures, num
from scale_model import Book, Key

PAGE = (DOCS / "capacity.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def book() -> Book:
    return Book.read(scale.MEASURED)


@pytest.fixture(scope="module")
def figures(book: Book) -> Figures:
    return Figures.of(book)


def result(table: str, step: str) -> list[str]:
    """What the lines of a table say in the end whose first cell begins so."""
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return [row[-1].strip("*") for row in rows if row[0].startswith(step)]


def test_the_page_is_printed_from_what_was_measured(book: Book) -> None:
    assert scale_tables.filled(PAGE, scale_tables.blocks(book)) == PAGE, (
        "run: python benchmarks/scale_plots.py docs/scale/measured.json docs/scale "
        "--page docs/capacity.md"
    )


def test_everything_was_measured(book: Book) -> None:
    assert book.failures == []
    assert book.settings["what"] == list(scale.WHAT)
    assert {shown.key for shown in scale_tables.SHOWN} <= set(book.curves)
    rows = [line for line in scale_tables.growth(book).splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(scale_tables.SHOWN)


def test_what_is_worse_than_linear_is_told_by_name(book: Book) -> None:
    curves = {key: dict(curve) for key, curve in book.curves.items()}
    curves[Key("routes", "text")] = {x: [20 + x**1.6] for x in map(float, scale.ROUTES)}
    table = scale_tables.growth(replace(book, curves=curves))
    [row] = [
        line
        for line in table.splitlines()
        if line.startswith("| routes with a text of their own, the last |")
    ]
    assert "WORSE THAN LINEAR" in row
    told = table.splitlines()[-1]
    assert told.startswith("Worse than linear: ") and "routes with a text" in told


def test_figures_of_all_that_grows_are_shown(book: Book) -> None:
    shown = re.findall(r"\]\(scale/(\w+)\.png\)", PAGE)
    assert shown == [name for name in scale.WHAT if name != "requests"]
    for name in shown:
        picture = (DOCS / "scale" / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG") and len(picture) < 150_000


def test_a_book_is_read_as_it_was_written(tmp_path: Path, book: Book) -> None:
    book.write(tmp_path / "again.json")
    assert Book.read(tmp_path / "again.json") == book
    assert (tmp_path / "again.json").read_text() == scale.MEASURED.read_text()


def test_a_new_measurement_makes_the_page_another(book: Book) -> None:
    curves = {key: dict(curve) for key, curve in book.curves.items()}
    curves[Key("requests", "json")] = {0.0: [12_345.0]}
    changed = scale_tables.filled(PAGE, scale_tables.blocks(replace(book, curves=curves)))
    assert changed != PAGE and "12 300 us" in changed


def test_places_and_tables_must_be_the_same() -> None:
    page = "a\n<!-- scale: one -->\n\nold\n<!-- end -->\nb\n"
    new = "a\n<!-- scale: one -->\n\nnew\n<!-- end -->\nb\n"
    assert scale_tables.filled(page, {"one": "new"}) == new
    for contents in ({}, {"one": "", "two": ""}, {"two": ""}):
        with pytest.raises(ValueError, match="places"):
            scale_tables.filled(page, contents)


def test_more_is_needed_where_a_request_costs_more(figures: Figures) -> None:
    cheap = scale_capacity.api(replace(figures, json=30, field=0.5))
    dear = scale_capacity.api(replace(figures, json=1030, field=0.5))
    assert result(cheap, "framework alone") == ["40 us"]
    # 10 000 x 40 us are 0.4 CPUs; with 1 ms 10.4, and 10.4 / 0.6 / 4 are 4.3 nodes.
    assert result(cheap, "CPUs busy") == ["0.4", "10.4"]
    assert result(cheap, "and one that may be lost") == ["2 nodes", "6 nodes"]
    assert result(dear, "and one that may be lost") == ["6 nodes", "10 nodes"]


def test_websockets_go_by_the_larger_need(figures: Figures) -> None:
    known = replace(figures, websocket=6, websocket_kernel=4, most=20_000)
    # 1 000 000 / 80 000 is 12.5, and by memory it is 1.7.
    assert result(scale_capacity.websockets(known), "the larger") == ["14 nodes"]
    heavy = replace(known, websocket=196)
    # 200 KiB each: 191 GiB, by 5.6 GiB.
    assert result(scale_capacity.websockets(heavy), "the larger") == ["36 nodes"]


def test_uploads_go_by_cpu_or_by_network(figures: Figures) -> None:
    slow, quick = replace(figures, paced={4: 8000.0}), replace(figures, paced={4: 80.0})
    # 1192 MiB/s are 9.5 CPUs, of which 2.4 make a node: 3.97; 10 Gbit/s by 6 are 1.7.
    assert result(scale_capacity.uploads(slow), "the larger") == ["5 nodes"]
    assert result(scale_capacity.uploads(quick), "the larger") == ["3 nodes"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0012345, "0.00123"), (1.5, "1.5"), (12.345, "12.3"), (999.6, "1 000"),
     (1234567, "1 230 000"), (100, "100"), (-3.14159, "-3.14"), (0.1, "0.1")],
)  # fmt: skip
def test_numbers_have_three_digits_that_mean_something(value: float, text: str) -> None:
    assert num(value) == text


def test_nodes_are_whole_and_at_least_one() -> None:
    assert scale_capacity.nodes_for(0.01) == 1
    assert scale_capacity.nodes_for(2.0, 0.5) == 2
    assert scale_capacity.nodes_for(2.01) == 3


def test_the_figures_are_drawn(tmp_path: Path, book: Book) -> None:
    pytest.importorskip("matplotlib")
    import scale_plots

    files = scale_plots.draw(book, tmp_path)
    assert [file.stem for file in files] == list(scale_plots.FIGURES)
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
