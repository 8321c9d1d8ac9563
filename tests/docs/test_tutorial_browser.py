"""The tutorial's chat in a real browser: two pages that hear each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from examples.browsing import browser, needs_chromium, page  # noqa: F401
from playwright.sync_api import Page, expect

from .blocks import blocks_of
from .playing import Player

pytestmark = needs_chromium


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Where the page's server is, started by the page's own command."""
    player = Player(tmp_path)
    try:
        for block in blocks_of("docs/tutorial/chat.md"):
            if block.file is not None or "serve" in block.words:
                player.play(block)
        yield f"http://127.0.0.1:{player.port('8888')}/"
        player.close()
    finally:
        player.kill()


def test_two_pages_hear_each_other(url: str, page: Page) -> None:  # noqa: F811
    other = page.context.new_page()
    for one in (page, other):
        one.goto(url)
        expect(one.locator("#said li")).to_have_text(["You are in."])
    page.fill("#text", "Hello <b>Bob</b>")
    page.press("#text", "Enter")
    for one in (page, other):
        expect(one.locator("#said li")).to_have_text(["You are in.", "Hello <b>Bob</b>"])
    other.close()
    page.fill("#text", "Bob?")
    page.press("#text", "Enter")
    expect(page.locator("#said li").last).to_have_text("Bob?")
