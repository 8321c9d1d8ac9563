"""Server-sent events as a browser takes them: EventSource, its reconnection, its Last-Event-ID."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tornadoish import web
from tornadoish.httpserver import HTTPServer
from tornadoish.netutil import bind_sockets

from .running import PATIENCE, until

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

PAGE = """<!doctype html><meta charset="utf-8"><title>Events</title><link rel="icon" href="data:,">
<ol></ol>
<script>
const source = new EventSource("/events");
const note = (text) => {
    const item = document.createElement("li");
    item.textContent = text;
    document.querySelector("ol").append(item);
};
source.onopen = () => note("open");
source.onmessage = (event) => note(`message ${event.lastEventId}: ${JSON.stringify(event.data)}`);
source.addEventListener("greeting", (event) => note(`greeting ${event.lastEventId}`));
source.onerror = () => note(source.readyState === EventSource.CLOSED ? "closed" : "again");
</script>
"""


class PageHandler(web.RequestHandler):
    def get(self) -> None:
        self.write(PAGE)


class EventsHandler(web.RequestHandler):
    """Counts on from what the client has seen, two events at a time; at six it wants no more."""

    event_heartbeat = 0.01
    came: list[str | None]
    gone: list[int]

    def initialize(self, came: list[str | None], gone: list[int]) -> None:
        self.came, self.gone = came, gone

    async def get(self) -> None:
        self.came.append(self.last_event_id)
        seen = int(self.last_event_id or 0)
        if seen >= 6:
            self.set_status(204)
            return
        async with self.event_stream():
            await self.send_event(None, retry=1)
            await self.send_event("two\nlines ä", id=seen + 1)
            await self.send_event({"json": True}, event="greeting", id=seen + 2)
            if seen + 2 == self.settings["stay"]:
                try:
                    await asyncio.Event().wait()
                finally:
                    self.gone.append(seen)


class Served:
    """The application on a loop of its own, in a thread of its own."""

    def __init__(self, stay: int) -> None:
        self.came: list[str | None] = []
        self.gone: list[int] = []
        self._stay = stay
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    async def _serve(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        arguments = {"came": self.came, "gone": self.gone}
        application = web.Application(
            [("/", PageHandler), ("/events", EventsHandler, arguments)],
            compress_response=True, stay=self._stay, log_function=lambda _: None,
        )  # fmt: skip
        server = HTTPServer(application)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        self.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
        self._ready.set()
        await self._stopped.wait()
        self.cut = await server.drain(PATIENCE)

    def stop(self) -> int:
        """Drain the server; how many were cut."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(PATIENCE)
        return self.cut


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    served: list[Served] = []

    def start(stay: int = 0) -> Served:
        served.append(Served(stay))
        return served[-1]

    yield start
    for one in served:
        one.stop()


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser: Any = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        yield page
        browser.close()


def round_of(number: int) -> list[str]:
    first = 2 * number + 1
    return ["open", f'message {first}: "two\\nlines ä"', f"greeting {first + 1}"]


def test_it_comes_back_for_what_it_has_not_seen(serve: Callable[..., Served], page: Page) -> None:
    served = serve()
    page.goto(served.url)
    noted = [*round_of(0), "again", *round_of(1), "again", *round_of(2), "again", "closed"]
    expect(page.locator("li")).to_have_text(noted, timeout=PATIENCE * 1000)
    assert served.came == [None, "2", "4", "6"]


def test_a_page_that_is_left_and_a_server_that_stops(
    serve: Callable[..., Served], page: Page
) -> None:
    served = serve(stay=2)
    page.goto(served.url)
    expect(page.locator("li")).to_have_text(round_of(0), timeout=PATIENCE * 1000)
    page.goto("about:blank")
    page.goto(served.url)
    expect(page.locator("li")).to_have_text(round_of(0), timeout=PATIENCE * 1000)
    until(lambda: served.gone == [0])
    assert served.stop() == 0
    expect(page.locator("li").last).to_have_text("again", timeout=PATIENCE * 1000)
    assert served.gone == [0, 0]
