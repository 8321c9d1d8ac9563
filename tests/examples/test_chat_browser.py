"""examples/chat/ as people meet it, in two pages of a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis_server import RedisServer, redis

from .browsing import browser, needs_chromium, watch
from .conftest import Start
from .running import Example

pytest.importorskip("websockets", reason="websockets is not installed")

# isort: split
from playwright.sync_api import Browser, Locator, Page, WebSocketRoute, expect  # behind the check
from websockets.sync.client import connect

__all__ = ["browser", "redis"]  # fixtures

pytestmark = needs_chromium

DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


class Wire:
    """The WebSockets of a page: they can be cut, and kept from coming back."""

    def __init__(self) -> None:
        self.cut = False
        self.open: list[WebSocketRoute] = []

    def __call__(self, socket: WebSocketRoute) -> None:
        if self.cut:
            socket.close()
            return
        self.open.append(socket.connect_to_server())

    def break_off(self, page: Page) -> None:
        self.cut = True
        for server in self.open:
            server.close()
        self.open.clear()
        expect(page.get_by_text("The connection is lost.")).to_be_visible()

    def mend(self, page: Page) -> None:
        self.cut = False
        page.evaluate("dispatchEvent(new Event('online'))")
        expect(page.get_by_text("The connection is lost.")).to_be_hidden()


Enter = Callable[..., Page]


@pytest.fixture
def enter(browser: Browser) -> Iterator[Enter]:
    """A function by which somebody comes in, with a browser of his own; at the end nothing may have
    gone wrong in any, nor left this host."""
    contexts = []

    def come_in(server: Example, name: str, *, wire: Wire | None = None, **options: object) -> Page:
        context = browser.new_context(**{"viewport": DESK, **options})  # type: ignore[arg-type]
        if wire is not None:
            context.route_web_socket(re.compile("/rooms/"), wire)
        contexts.append((context, watch(context)))
        page = context.new_page()
        page.goto(server.url)
        dialog = page.get_by_role("dialog", name="What is your name?")
        expect(dialog.get_by_role("textbox", name="Name")).to_be_focused()
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Lobby")).to_be_visible()
        box = expect(page.get_by_role("textbox", name="Message"))
        if options.get("has_touch"):  # no keyboard comes up over the room
            box.not_to_be_focused()
        else:
            box.to_be_focused()
        return page

    yield come_in
    for context, wrong in contexts:
        context.close()
        assert wrong == []


def say(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.keyboard.press("Enter")


def messages(page: Page) -> Locator:
    """What is shown of what was said, in order; without what is still on its way."""
    return page.get_by_role("log").locator(".message:not(.pending) .text")


def test_two_people_talk(enter: Enter, start: Start) -> None:
    server = start("chat/app.py", "0")
    ann, bob = enter(server, "Ann"), enter(server, "Bob", viewport=PHONE, has_touch=True)
    expect(ann.get_by_text("Nothing has been said here yet.")).to_be_visible()
    expect(ann.get_by_text("2 people here")).to_be_visible()
    say(ann, "Hello <img src=x onerror=alert(1)> & co")
    for page in (ann, bob):
        expect(messages(page)).to_have_text(["Hello <img src=x onerror=alert(1)> & co"])
    expect(ann.get_by_text("Nothing has been said here yet.")).to_have_count(0)

    bob.get_by_role("textbox", name="Message").press_sequentially("I am just ")
    expect(ann.get_by_text("Bob is typing…")).to_be_visible()
    expect(bob.get_by_text("is typing…")).to_have_count(0)
    bob.keyboard.type("here")
    bob.keyboard.press("Shift+Enter")
    bob.keyboard.type("too")
    bob.get_by_role("button", name="Send").tap()
    expect(messages(ann).last).to_have_text("I am just here\ntoo", use_inner_text=True)
    expect(ann.get_by_text("Bob is typing…")).to_have_count(0)
    expect(ann.locator(".pending")).to_have_count(0)

    # Another room is another room.
    bob.get_by_role("link", name="Garden").tap()
    expect(bob.get_by_role("heading", name="Garden")).to_be_visible()
    expect(bob.get_by_role("link", name="Garden")).to_have_attribute("aria-current", "page")
    expect(ann.get_by_text("1 person here")).to_be_visible()
    say(bob, "Roses")
    expect(messages(bob)).to_have_text(["Roses"])
    say(ann, "Gone?")
    expect(messages(ann)).to_have_count(3)
    bob.go_back()
    expect(messages(bob)).to_have_count(3)
    expect(bob.get_by_text("Roses")).to_have_count(0)

    # A name can be changed, and is kept.
    ann.get_by_role("button", name="Ann: change your name").click()
    ann.get_by_role("textbox", name="Name").fill("Anna")
    ann.keyboard.press("Enter")
    bob.get_by_text("2 people here").tap()
    expect(bob.get_by_role("listitem").filter(has_text="Anna")).to_be_visible()
    ann.reload()
    expect(messages(ann)).to_have_count(3)
    say(ann, "It is me")
    expect(bob.get_by_role("log").locator("b").last).to_have_text("Anna")


def test_who_comes_back_has_missed_nothing(enter: Enter, start: Start) -> None:
    server = start("chat/app.py", "0")
    wire = Wire()
    ann, bob = enter(server, "Ann", wire=wire), enter(server, "Bob")
    say(ann, "one")
    expect(messages(bob)).to_have_text(["one"])
    expect(messages(ann)).to_have_text(["one"])
    wire.break_off(ann)
    expect(bob.get_by_text("1 person here")).to_be_visible()
    say(bob, "two")
    say(ann, "four")
    expect(ann.get_by_text("Waiting for the connection…")).to_be_visible()
    say(bob, "three")
    expect(messages(bob)).to_have_text(["one", "two", "three"])
    wire.mend(ann)
    for page in (ann, bob):
        expect(messages(page)).to_have_text(["one", "two", "three", "four"])
    expect(ann.locator(".pending")).to_have_count(0)
    expect(ann.get_by_text("Some messages are missing")).to_have_count(0)
    expect(bob.get_by_text("2 people here")).to_be_visible()


def test_what_is_said_twice_is_shown_once(enter: Enter, start: Start) -> None:
    """A page says again what the server has not confirmed, though it may have been stored."""
    server = start("chat/app.py", "0")
    ann = enter(server, "Ann")
    say(ann, "one")
    expect(messages(ann)).to_have_text(["one"])
    nonce = ann.locator("[data-nonce]").get_attribute("data-nonce")
    with connect(f"ws://127.0.0.1:{server.port}/rooms/lobby") as other:
        other.send(json.dumps({"type": "join", "name": "Ann", "after": ""}))
        other.send(json.dumps({"type": "say", "text": "one", "nonce": nonce}))
        other.send(json.dumps({"type": "say", "text": "two", "nonce": "another"}))
        expect(messages(ann)).to_have_text(["one", "two"])


def test_what_the_server_does_not_take(enter: Enter, start: Start) -> None:
    """Half a surrogate pair is no text. It is not said again and again, and the rest goes on."""
    server = start("chat/app.py", "0")
    page = enter(server, "Ann")
    page.get_by_role("textbox", name="Message").evaluate("(box) => { box.value = 'a\\ud800'; }")
    page.keyboard.press("Enter")
    failed = page.locator(".failed")
    expect(failed).to_contain_text("Not sent. The server does not take it.")
    say(page, "b")
    expect(messages(page)).to_have_text(["b"])
    expect(failed).to_have_count(1)
    expect(page.get_by_text("The connection is lost.")).to_be_hidden()

    # Nor is a name: he is asked for another one.
    page.evaluate("localStorage.setItem('name', 'a\\ud800')")
    page.reload()
    dialog = page.get_by_role("dialog", name="What is your name?")
    dialog.get_by_role("textbox", name="Name").fill("Anna")
    page.keyboard.press("Enter")
    expect(messages(page)).to_have_text(["b"])
    expect(page.get_by_text("1 person here")).to_be_visible()


def test_a_server_is_restarted(enter: Enter, start: Start) -> None:
    """Pages find the next one by themselves; this one does not know what was said before."""
    server = start("chat/app.py", "0")
    ann, bob = enter(server, "Ann"), enter(server, "Bob")
    say(ann, "one")
    expect(messages(bob)).to_have_text(["one"])
    server.check_clean_end()
    expect(ann.get_by_text("The connection is lost.")).to_be_visible()
    say(ann, "two")
    start("chat/app.py", str(server.port))
    for page in (ann, bob):
        expect(messages(page)).to_have_text(["one", "two"])
        expect(page.get_by_text("Some messages are missing here.")).to_have_count(1)


def test_over_two_processes(enter: Enter, start: Start, redis: RedisServer, tmp_path: Path) -> None:
    servers = [start("chat/app.py", "0", "--redis", redis.url) for _ in range(2)]
    ann, bob = enter(servers[0], "Ann"), enter(servers[1], "Bob")
    for page in (ann, bob):
        expect(page.get_by_text("2 people here")).to_be_visible()
    say(ann, "one")
    expect(messages(bob)).to_have_text(["one"])
    say(bob, "two")
    expect(messages(ann)).to_have_text(["one", "two"])
    bob.get_by_role("textbox", name="Message").press_sequentially("three")
    expect(ann.get_by_text("Bob is typing…")).to_be_visible()

    # One process is restarted: its pages hear of what they have missed.
    servers[0].check_clean_end()
    expect(ann.get_by_text("The connection is lost.")).to_be_visible()
    expect(bob.get_by_text("1 person here")).to_be_visible()
    bob.keyboard.press("Enter")
    expect(messages(bob)).to_have_text(["one", "two", "three"])
    start("chat/app.py", str(servers[0].port), "--redis", redis.url)
    expect(messages(ann)).to_have_text(["one", "two", "three"])
    expect(ann.get_by_text("Some messages are missing")).to_have_count(0)

    # Redis is killed: nothing that is said is lost, though it must be said again.
    redis.kill()
    say(ann, "four")
    expect(ann.get_by_text("Not sent. The server cannot reach its memory.")).to_be_visible()
    ann.screenshot(path=tmp_path / "not-sent.png")
    redis.start()
    ann.get_by_role("button", name="Try again").click()
    for page in (ann, bob):
        expect(messages(page)).to_have_text(["one", "two", "three", "four"])
    expect(ann.locator(".pending")).to_have_count(0)


def test_a_reader_of_old_messages_is_left_alone(enter: Enter, start: Start) -> None:
    server = start("chat/app.py", "0")
    ann, bob = enter(server, "Ann"), enter(server, "Bob", viewport=PHONE)
    for number in range(30):
        say(ann, f"Message {number}")
    expect(messages(bob)).to_have_count(30)
    expect(messages(bob).last).to_be_in_viewport()
    bob.get_by_role("log").evaluate("log => log.scrollTo({ top: 0, behavior: 'instant' })")
    expect(messages(bob).first).to_be_in_viewport()
    say(ann, "The newest")
    newer = bob.get_by_role("button", name="New messages")
    expect(newer).to_be_visible()
    expect(messages(bob).first).to_be_in_viewport()
    newer.click()
    expect(messages(bob).last).to_be_in_viewport()
    expect(newer).to_be_hidden()
    for size in ({"width": 844, "height": 390}, {"width": 320, "height": 480}):  # it is turned
        bob.set_viewport_size(size)  # type: ignore[arg-type]
        expect(messages(bob).last).to_be_in_viewport()
    expect(newer).to_be_hidden()


def test_nothing_sticks_out(enter: Enter, start: Start, tmp_path: Path) -> None:
    """Nor does anything disappear in the dark: for that, the pictures are there to be looked at."""
    server = start("chat/app.py", "0")
    ann = enter(server, "Ann with quite a long na", reduced_motion="reduce")
    bob = enter(server, "Bob")
    say(bob, "Good morning! Who brings the thing?")
    say(bob, "a_word_without_any_place_to_break_it_" * 8)
    expect(messages(ann)).to_have_count(2)
    say(ann, "I do.")
    say(ann, "A few words, and then some more of them. " * 10)
    expect(messages(bob)).to_have_count(4)
    say(bob, "Line\n" * 8)
    expect(messages(ann)).to_have_count(5)
    bob.get_by_role("textbox", name="Message").press_sequentially("And")
    expect(ann.get_by_text("Bob is typing…")).to_be_visible()

    def look(name: str) -> None:
        for scheme in ("light", "dark"):
            ann.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for width in (320, 390, 1280):
                ann.set_viewport_size({"width": width, "height": 844})
                sizes = "(({ scrollWidth, scrollHeight }) => [scrollWidth, scrollHeight])"
                assert ann.evaluate(f"{sizes}(document.documentElement)") == [width, 844], name
                ann.screenshot(path=tmp_path / f"{name}-{scheme}-{width}.png")

    look("talk")
    ann.set_viewport_size(PHONE)
    ann.get_by_text("2 people here").click()
    look("people")
    ann.get_by_role("button", name=re.compile("change your name")).click()
    look("name")
    ann.keyboard.press("Escape")
    server.check_clean_end()
    say(ann, "Is anybody there?")
    expect(ann.get_by_text("Waiting for the connection…")).to_be_visible()
    look("lost")
