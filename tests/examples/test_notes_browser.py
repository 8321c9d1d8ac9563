"""examples/notes/ as people meet it, in a real browser without a window."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import compress, crc32

import pytest

from .browsing import browser, needs_chromium, watch
from .conftest import Start
from .noting import data, server
from .running import Example

# isort: split
from playwright.sync_api import Browser, BrowserContext, Page, expect  # behind the check

__all__ = ["browser", "data", "server"]  # fixtures

pytestmark = needs_chromium

PASSWORD = "correct horse"
KIB = 1024

_numbers = itertools.count()


def picture(width: int, height: int) -> bytes:
    """A PNG that goes from one colour to another."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    lines = [
        b"\0" + b"".join(bytes([15, 90 + 160 * x // width, 120]) for x in range(width))
        for _ in range(height)
    ]
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", compress(b"".join(lines)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


Open = Callable[..., BrowserContext]


@pytest.fixture
def open_browser(browser: Browser, server: Example) -> Iterator[Open]:
    """A function that makes somebody's browser; options as of a playwright context. At the end
    nothing may have gone wrong in any, nor left this host."""
    contexts: list[tuple[BrowserContext, list[str]]] = []

    def make(**options: object) -> BrowserContext:
        size = {"width": 1280, "height": 800}
        context = browser.new_context(**{"base_url": server.url, "viewport": size, **options})  # type: ignore[arg-type]
        contexts.append((context, watch(context)))
        return context

    yield make
    for context, wrong in contexts:
        context.close()
        assert wrong == []


def sign_up(page: Page, name: str = "") -> str:
    """Make an account, with a name of its own if none is said; its name."""
    name = name or f"ann.{next(_numbers)}"
    page.goto("/")
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_text(f"Welcome, {name}!")).to_be_visible()
    return name


def write(page: Page, title: str, text: str = "") -> None:
    page.goto("/notes/new")
    page.get_by_label("Title").fill(title)
    page.get_by_label("Text").fill(text)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()


def attach(page: Page, *files: Path) -> None:
    page.get_by_label("Attach files").set_input_files(list(files))
    page.get_by_role("button", name="Attach", exact=True).click()


def titles(page: Page) -> list[str]:
    return page.locator(".notes h2").all_text_contents()


def test_from_sign_up_to_sign_out(open_browser: Open, tmp_path: Path) -> None:
    context = open_browser()
    page = context.new_page()
    sign_up(page)
    expect(page.get_by_text("There is nothing here yet.")).to_be_visible()
    page.get_by_role("link", name="Write your first note").click()
    expect(page.get_by_label("Title")).to_be_focused()
    page.get_by_label("Title").fill("Shopping")
    page.get_by_label("Text").fill("Tea, milk\n  <b>bread</b>")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.locator(".text")).to_have_text("Tea, milk\n  <b>bread</b>", use_inner_text=True)
    note = page.url

    (tmp_path / "list ä.txt").write_bytes(b"eggs")
    (tmp_path / "tea.png").write_bytes(picture(400, 250))
    attach(page, tmp_path / "list ä.txt", tmp_path / "tea.png")
    expect(page.get_by_text("2 files are attached.")).to_be_visible()
    expect(page.locator(".files img")).to_have_js_property("naturalWidth", 400)
    with page.expect_download() as download:
        page.get_by_role("link", name="list ä.txt").click()
    assert download.value.suggested_filename == "list ä.txt"
    assert download.value.path().read_bytes() == b"eggs"
    (tmp_path / "large.bin").write_bytes(b"x" * 3000 * KIB)
    attach(page, tmp_path / "large.bin")
    expect(page.get_by_role("heading", name=re.compile("Too Large"))).to_be_visible()
    expect(page.get_by_text("A file may have 1 MiB")).to_be_visible()

    # Another tab sees what becomes of it, at once.
    other = context.new_page()
    other.goto("/")
    expect(other.locator(".notes li")).to_have_count(1)
    write(page, "Second")
    expect(other.locator(".notes li")).to_have_count(2)
    expect(other.locator("#news")).to_have_text("“Second” has changed.")
    assert titles(other) == ["Second", "Shopping"]
    other.goto(note)
    page.goto(note)
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Title").fill("Shopping for two")
    page.get_by_role("button", name="Save").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Shopping for two")

    other.goto("/")
    other.get_by_label("Search notes").fill("BREAD two")
    other.keyboard.press("Enter")
    expect(other.get_by_text("1 note with “BREAD two”.")).to_be_visible()
    assert titles(other) == ["Shopping for two"]

    page.goto(note)
    expect(page.get_by_role("button", name="Delete this note")).to_be_hidden()
    page.get_by_text("Delete…").click()
    page.get_by_role("button", name="Delete this note").click()
    expect(page.get_by_text("“Shopping for two” is deleted.")).to_be_visible()
    expect(other.get_by_text("0 notes with “BREAD two”.")).to_be_visible()
    assert page.goto(note).status == 404  # type: ignore[union-attr]

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.goto(note)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_somebody_else(open_browser: Open) -> None:
    page, stranger = open_browser().new_page(), open_browser().new_page()
    sign_up(page)
    write(page, "Secret", "of mine")
    sign_up(stranger)
    answer = stranger.goto(page.url)
    assert answer is not None
    assert answer.status == 404
    expect(stranger.get_by_text("There is no such note, or it is not yours.")).to_be_visible()
    expect(stranger.get_by_text("Secret")).to_have_count(0)


def test_mistakes_are_shown(open_browser: Open, tmp_path: Path) -> None:
    page = open_browser().new_page()
    ann = sign_up(page)
    page.get_by_role("button", name="Sign out").click()
    page.goto("/sign-up")
    page.get_by_label("Name").fill(ann.upper())
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    name = page.get_by_label("Name")
    expect(name).to_have_value(ann.upper())
    expect(name).to_have_accessible_description(re.compile("This name is taken.$"))
    expect(name).to_have_attribute("aria-invalid", "true")
    page.screenshot(path=tmp_path / "taken.png")
    page.goto("/notes/new")
    page.get_by_label("Name").fill(ann)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="New note")).to_be_visible()  # where he had wanted to


def test_two_tabs_edit_one_note(open_browser: Open, tmp_path: Path) -> None:
    context = open_browser()
    page, other = context.new_page(), context.new_page()
    sign_up(page)
    write(page, "Plan", "first")
    for tab in (page, other):
        tab.goto(f"{page.url.removesuffix('/edit')}/edit")
    other.get_by_label("Text").fill("theirs")
    other.get_by_role("button", name="Save").click()
    expect(other.get_by_text("Saved.")).to_be_visible()
    page.get_by_label("Text").fill("mine")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("was changed elsewhere")).to_be_visible()
    expect(page.locator(".conflict .text")).to_have_text("theirs")
    expect(page.get_by_label("Text")).to_have_value("mine")
    page.screenshot(path=tmp_path / "conflict.png")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".text")).to_have_text("mine")
    expect(other.locator(".text")).to_have_text("mine")


def test_without_javascript(open_browser: Open, tmp_path: Path) -> None:
    page = open_browser(java_script_enabled=False).new_page()
    sign_up(page)
    write(page, "Plain", "words")
    (tmp_path / "a.txt").write_bytes(b"a")
    attach(page, tmp_path / "a.txt")
    expect(page.get_by_text("1 file is attached.")).to_be_visible()
    page.get_by_role("button", name="Delete a.txt").click()
    expect(page.get_by_text("“a.txt” is deleted.")).to_be_visible()
    page.get_by_text("Delete…").click()
    page.get_by_role("button", name="Delete this note").click()
    expect(page.get_by_text("There is nothing here yet.")).to_be_visible()


def test_a_page_outlives_the_server(browser: Browser, start: Start, tmp_path: Path) -> None:
    """It finds the next one by itself, and hears from it what it has missed."""
    options = ("--data", str(tmp_path / "data"))
    server = start("notes/app.py", "0", *options)
    context = browser.new_context(base_url=server.url)
    page, other = context.new_page(), context.new_page()
    sign_up(page)
    with page.expect_response("**/events?*"):
        page.reload()
    server.check_clean_end()
    start("notes/app.py", str(server.port), *options)
    write(other, "After the restart")
    expect(page.locator(".notes li")).to_have_count(1)
    context.close()


def test_nothing_sticks_out(open_browser: Open, tmp_path: Path) -> None:
    """Nor does anything disappear in the dark: for that, the pictures are there to be looked at."""
    page = open_browser().new_page()

    def look(name: str) -> None:
        for width in (320, 390, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") == width, name
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        page.set_viewport_size({"width": 390, "height": 844})
        page.emulate_media(color_scheme="dark")
        page.screenshot(path=tmp_path / f"{name}-dark-phone.png", full_page=True)
        page.emulate_media(color_scheme="light")

    page.goto("/sign-in")
    look("sign-in")
    sign_up(page, "a" * 32)
    look("empty")
    long = "a_very_long_name_without_any_place_to_break_it_" * 2
    write(page, long, f"{long}\nmore " * 9)
    (tmp_path / f"{long}.txt").write_bytes(b"x" * 12_345)
    (tmp_path / "tea.png").write_bytes(picture(400, 250))
    attach(page, tmp_path / f"{long}.txt", tmp_path / "tea.png")
    expect(page.locator(".files img")).to_have_js_property("naturalWidth", 400)
    look("note")
    page.get_by_text("Delete…").click()
    look("deleting")
    page.get_by_role("link", name="Edit").click()
    look("edit")
    token = page.locator("input[name=_xsrf]").first.input_value()
    for number in range(10):
        text = "A few words, and then some more of them. " * number
        form = {"_xsrf": token, "title": f"Note {number}", "text": text}
        page.request.post("/notes/new", form=form)
    for path in ("/", "/?page=2", "/?q=note", "/account", "/nowhere"):
        page.goto(path)
        look(path.strip("/?").replace("=", "-") or "list")
