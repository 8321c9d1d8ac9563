"""The pictures of docs/pictures are drawn from the tables in the code."""

from __future__ import annotations

import importlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from types import ModuleType

import pytest

from tornadoish.http1.states import BODY, DATA, EVENTS, HALF, STATES
from tornadoish.ws.states import TABLE, State, Step

from .blocks import DOCS

NAMES = ("delegate", "half", "pair", "websocket")


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS))
    for name in ("print_pictures", "drawing"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("print_pictures")


def texts(svg: str) -> list[str]:
    """What is written in a picture, but for its title and style."""
    root = ElementTree.fromstring(svg)
    return ["".join(found.itertext()) for found in root.iter("{http://www.w3.org/2000/svg}text")]


def test_they_are_all_there_and_as_they_are_drawn_now(pictures: ModuleType) -> None:
    assert set(pictures.DRAWN) == set(NAMES)
    assert {path.stem for path in (DOCS / "pictures").iterdir()} == set(NAMES)
    for name, draw in pictures.DRAWN.items():
        held = (DOCS / "pictures" / f"{name}.svg").read_text()
        assert draw() == held, "run: python docs/print_pictures.py"


@pytest.mark.parametrize("name", NAMES)
def test_they_are_shown_and_say_what_they_are(name: str) -> None:
    svg = (DOCS / "pictures" / f"{name}.svg").read_text()
    title = re.search("<title>(.+)</title>", svg)
    assert title and 'role="img"' in svg
    shown = [page for page in DOCS.rglob("*.md") if f"pictures/{name}.svg" in page.read_text()]
    assert shown


def test_a_half_has_all_states_and_events(pictures: ModuleType) -> None:
    said = texts(pictures.half())
    assert {repr(name) for name in (*STATES, *EVENTS)} <= set(said)
    assert said.count("END") == 1  # BODY alone has it


def test_a_websocket_has_every_step_of_the_table(pictures: ModuleType) -> None:
    said = texts(pictures.websocket())
    assert {state.name for state in State} <= set(said)
    for step in Step:
        assert said.count(step.name) == sum(step in row for row in TABLE.values())


def test_a_delegate_s_states_are_those_of_the_contract(pictures: ModuleType) -> None:
    assert pictures.delegate_table() == {
        "new": {"headers_received": "body", "on_connection_close": "ended"},
        "body": {
            "data_received": "body",
            "trailers_received": "whole",
            "finish": "ended",
            "on_connection_close": "ended",
        },
        "whole": {"finish": "ended", "on_connection_close": "ended"},
        "ended": {},
    }


def test_a_table_that_changes_changes_the_picture(
    pictures: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pictures.half()
    monkeypatch.setitem(
        HALF, BODY, {event: to for event, to in HALF[BODY].items() if event != DATA}
    )
    assert "DATA" not in texts(pictures.half()) and pictures.half() != before
