"""examples/upload/ as people meet it: its page, in a real browser without a window."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest

from .browsing import browser, needs_chromium, page
from .conftest import Serve
from .uploading import UploadServer

# isort: split
from playwright.sync_api import Locator, Page, Route, expect  # behind the check that it is there

__all__ = ["browser", "page"]  # fixtures

pytestmark = needs_chromium

MIB = 1024 * 1024


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_text(name, exact=True))


def expect_done(page: Page, name: str, body: bytes) -> None:
    """Wait until the page shows this file as uploaded, with its true size and SHA-256."""
    done = row(page, name)
    expect(done).to_have_class(re.compile(r"\bdone\b"), timeout=20_000)
    expect(done.locator(".state")).to_contain_text(f"{len(body):,} bytes")
    expect(done.locator(".sha256")).to_have_text(hashlib.sha256(body).hexdigest())


def write(path: Path, size: int) -> bytes:
    body = os.urandom(size)
    path.write_bytes(body)
    return body


def drop(page: Page, files: dict[str, str]) -> None:
    """Drop files (name: text) on the box, as a file manager would."""
    transfer = page.evaluate_handle(
        """(files) => {
            const transfer = new DataTransfer();
            for (const [name, text] of Object.entries(files)) {
                transfer.items.add(new File([text], name));
            }
            return transfer;
        }""",
        files,
    )
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event("#drop", kind, {"dataTransfer": transfer})


def test_two_chosen_files(serve: Serve, page: Page, tmp_path: Path) -> None:
    server = serve()
    page.goto(server.example.url)
    first = write(tmp_path / "holiday.jpg", 3 * MIB + 17)
    second = write(tmp_path / "notes ä €.txt", 700)
    page.get_by_label("Choose files").set_input_files(
        [tmp_path / "holiday.jpg", tmp_path / "notes ä €.txt"]
    )
    expect_done(page, "holiday.jpg", first)
    done = row(page, "notes ä €.txt")
    expect(done.locator(".state")).to_have_text("700 bytes")
    expect(done.locator(".sha256")).to_have_text(hashlib.sha256(second).hexdigest())
    expect(page.locator("#summary")).to_have_text("2 of 2 uploaded")
    expect(page.get_by_role("status")).to_have_text(re.compile(r"is uploaded\.$"))
    assert (server.directory / "holiday.jpg").read_bytes() == first
    assert (server.directory / "notes ä €.txt").read_bytes() == second
    page.screenshot(path=tmp_path / "two-files.png")


def test_dropped_files(serve: Serve, page: Page) -> None:
    server = serve()
    page.goto(server.example.url)
    drop(page, {"dropped.txt": "x" * 2000, "again.txt": "y" * 3000})
    expect_done(page, "dropped.txt", b"x" * 2000)
    expect_done(page, "again.txt", b"y" * 3000)
    expect(page.locator("body")).not_to_have_class(re.compile("dragging"))
    assert server.names() == {"dropped.txt", "again.txt"}


def test_a_taken_name(serve: Serve, page: Page) -> None:
    server = serve()
    page.goto(server.example.url)
    drop(page, {"same.txt": "1" * 1500})
    expect_done(page, "same.txt", b"1" * 1500)
    drop(page, {"same.txt": "2" * 1500})
    expect_done(page, "same (1).txt", b"2" * 1500)
    assert (server.directory / "same.txt").read_bytes() == b"1" * 1500


def test_a_refused_name(serve: Serve, page: Page) -> None:
    server = serve()
    page.goto(server.example.url)
    drop(page, {".hidden": "x", "good.txt": "y" * 5000})
    text = "File names that begin with a dot are not accepted."
    expect(row(page, ".hidden").locator(".state")).to_have_text(text)
    expect(row(page, ".hidden").get_by_role("button")).to_have_count(0)  # trying again is no use
    expect_done(page, "good.txt", b"y" * 5000)
    expect(page.locator("#summary")).to_have_text("1 of 2 uploaded, 1 failed")
    assert server.names() == {"good.txt"}


def test_a_file_that_is_too_large(serve: Serve, page: Page, tmp_path: Path) -> None:
    server = serve("--max-size", "64K")
    page.goto(server.example.url)
    large = tmp_path / "large.bin"
    write(large, 20 * MIB)
    picker = page.get_by_label("Choose files")
    picker.set_input_files(large)
    expect(row(page, "large.bin").locator(".state")).to_have_text("The file is larger than 64 KiB.")

    # What the server says itself, had the page not known.
    page.get_by_role("button", name="Clear list").click()
    expect(page.get_by_role("listitem")).to_have_count(0)
    page.route("**/", lambda route: route.fulfill(body=unlimited(server)))
    page.reload()
    picker.set_input_files(large)
    expect(row(page, "large.bin").locator(".state")).to_have_text("The file is larger than 64 KiB.")
    assert server.names() == set()


def unlimited(server: UploadServer) -> str:
    """The page as a server without a limit would serve it."""
    page = Path(__file__).parents[2] / "examples" / "upload" / "page" / "index.html"
    return page.read_text(encoding="utf-8").replace("{{ max_bytes }}", "1e15")


def test_cancel_and_try_again(serve: Serve, page: Page) -> None:
    server = serve()
    page.goto(server.example.url)
    holding = True
    held: list[Route] = []  # these stay under way; the next ones go through
    page.route("**/files/*", lambda route: held.append(route) if holding else route.continue_())
    drop(page, {f"{number}.txt": "x" * 4000 for number in range(5)})
    expect(page.locator("li.sending")).to_have_count(3)
    expect(page.locator("li.waiting")).to_have_count(2)
    page.get_by_role("button", name="Cancel: 0.txt").click()
    page.get_by_role("button", name="Cancel: 4.txt").press("Enter")
    expect(page.locator("li.cancelled")).to_have_count(2)
    expect(page.locator("li.sending")).to_have_count(3)
    expect(page.get_by_role("button", name="Try again: 4.txt")).to_be_focused()
    assert server.names() == set()

    holding = False
    page.get_by_role("button", name="Try again: 0.txt").click()
    for number in (1, 2, 3):
        page.get_by_role("button", name=f"Cancel: {number}.txt").click()
    expect_done(page, "0.txt", b"x" * 4000)
    page.get_by_role("button", name="Clear list").click()
    expect(page.locator("#uploads")).to_be_hidden()
    assert server.names() == {"0.txt"}


def test_a_cancelled_upload_leaves_nothing(serve: Serve, page: Page, tmp_path: Path) -> None:
    server = serve()
    page.goto(server.example.url)
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
    network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": MIB})
    write(tmp_path / "film.mkv", 30 * MIB)
    page.get_by_label("Choose files").set_input_files(tmp_path / "film.mkv")
    expect(row(page, "film.mkv").locator(".state")).to_have_text(
        re.compile(r"^[1-9]\d?% of 30 MiB, .*/s, \d+ s left$"), timeout=20_000
    )
    value = row(page, "film.mkv").get_by_role("progressbar").evaluate("bar => bar.value")
    assert 0 < value < 1
    page.get_by_role("button", name="Cancel: film.mkv").click()
    expect(row(page, "film.mkv").locator(".state")).to_have_text("Cancelled")
    server.example.check_clean_end()
    assert server.names() == set()


def test_a_server_that_is_gone(serve: Serve, page: Page) -> None:
    server = serve()
    page.goto(server.example.url)
    server.example.check_clean_end()
    drop(page, {"late.txt": "x"})
    text = "The connection to the server broke off."
    expect(row(page, "late.txt").locator(".state")).to_have_text(text)
    expect(page.get_by_role("status")).to_have_text(f"late.txt was not uploaded. {text}")
    expect(page.get_by_role("button", name="Try again: late.txt")).to_be_visible()


def test_by_keyboard(serve: Serve, page: Page, tmp_path: Path) -> None:
    server = serve()
    # Waited for from the start: a browser that is only now told to hand over its file choosers may
    # still be at it when the key arrives, and shows the chooser to nobody.
    with page.expect_file_chooser() as chooser:
        page.goto(server.example.url)
        page.keyboard.press("Tab")
        expect(page.get_by_label("Choose files")).to_be_focused()
        page.keyboard.press("Enter")
    (tmp_path / "k.txt").write_bytes(b"k" * 2048)
    chooser.value.set_files(tmp_path / "k.txt")
    expect_done(page, "k.txt", b"k" * 2048)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Clear list")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Copy the SHA-256 of k.txt")).to_be_focused()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_sticks_out(serve: Serve, page: Page, tmp_path: Path, width: int) -> None:
    server = serve()
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(server.example.url)
    name = "a_very_long_name_without_any_place_to_break_it_" * 4 + ".txt"
    drop(page, {name: "x" * 1234, ".hidden": "x", "b.txt": "y" * 99_999})
    expect_done(page, name, b"x" * 1234)
    expect_done(page, "b.txt", b"y" * 99_999)
    drop(page, {name: "z" * 1234})
    expect_done(page, name.replace(".txt", " (1).txt"), b"z" * 1234)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.screenshot(path=tmp_path / f"{width}.png", full_page=True)
