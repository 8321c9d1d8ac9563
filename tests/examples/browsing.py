"""A real browser without a window: Debian's Chromium, driven by playwright; for tests of pages.

A module that imports from here is skipped where playwright is not installed, and has to say
``pytestmark = needs_chromium``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from .running import PATIENCE

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

# Not 5 seconds: some pages wait for longer before they try again what has failed.
MILLISECONDS = PATIENCE * 1000
expect.set_options(timeout=MILLISECONDS)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser, with a profile that is new."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


def watch(context: BrowserContext) -> list[str]:
    """What goes wrong in the pages of ``context`` from now on: errors of scripts, and requests that
    leave this host."""
    wrong: list[str] = []
    context.set_default_timeout(MILLISECONDS)
    context.on("weberror", lambda found: wrong.append(str(found.error)))
    context.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("http://127.0.0.1:", "data:", "blob:"))
            else wrong.append(request.url)
        ),
    )
    return wrong


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page; at the end nothing may have gone wrong in it, nor left this host."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    wrong = watch(context)
    yield context.new_page()
    context.close()
    assert wrong == []
