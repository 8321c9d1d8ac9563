"""examples/chat/ as pages talk to it, over one process and over two with a Redis server."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from redis_server import RedisServer, redis

from .conftest import Start
from .running import PATIENCE, Example, until

pytest.importorskip("websockets", reason="websockets is not installed")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

__all__ = ["redis"]  # a fixture

_nonces = itertools.count()


class Page:
    """What a page is to the server. What it is told is in ``told``, but for who is in the room."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.people: list[str] = []
        self.last = ""

    def tell(self, **what: Any) -> None:
        self.connection.send(json.dumps(what))

    def join(self, name: str, after: str = "") -> Any:
        """What was said before."""
        self.tell(type="join", name=name, after=after)
        return self.hear()

    def hear(self) -> Any:
        """The next thing, but for who is in the room."""
        while True:
            what = json.loads(self.connection.recv(PATIENCE))
            if what["type"] != "people":
                break
            assert what["count"] == len(what["names"])
            self.people = what["names"]
        if what["type"] == "messages" and what["messages"]:
            self.last = what["messages"][-1]["id"]
        return what

    def texts(self, count: int) -> list[str]:
        """What is said next."""
        texts: list[str] = []
        while len(texts) < count:
            what = self.hear()
            assert what["complete"]
            texts += [message["text"] for message in what["messages"]]
        return texts

    def say(self, text: str) -> str:
        nonce = f"nonce {next(_nonces)}"
        self.tell(type="say", text=text, nonce=nonce)
        return nonce

    def sees(self, *people: str) -> None:
        """Wait until these are in the room."""
        while self.people != list(people):
            what = json.loads(self.connection.recv(PATIENCE))
            if what["type"] == "people":
                self.people = what["names"]

    def ends(self) -> int:
        """How the server closes it."""
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                self.connection.recv(PATIENCE)
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code


Open = Callable[..., Page]


@pytest.fixture
def open_page() -> Iterator[Open]:
    """A function that opens a page's WebSocket."""
    with ExitStack() as stack:
        yield lambda server, room="lobby": Page(
            stack.enter_context(connect(f"ws://127.0.0.1:{server.port}/rooms/{room}"))
        )


@pytest.fixture
def server(start: Start) -> Example:
    return start("chat/app.py", "0")


# -- in one process


def test_two_pages_talk(server: Example, open_page: Open) -> None:
    ann, bob = open_page(server), open_page(server)
    assert ann.join("Ann") == {"type": "messages", "messages": [], "complete": True}
    nonce = ann.say("  Hello <b>there</b>\n")
    for page in (ann,):
        heard = page.hear()
        assert heard["complete"] and len(heard["messages"]) == 1
        message = heard["messages"][0]
        assert message["text"] == "Hello <b>there</b>"
        assert (message["name"], message["nonce"]) == ("Ann", nonce)
        assert isinstance(message["time"], int)
    assert bob.join("Bob")["messages"] == [message]
    bob.say("Hello Ann")
    assert ann.texts(1) == bob.texts(1) == ["Hello Ann"]
    bob.tell(type="typing")
    assert ann.hear() == {"type": "typing", "name": "Bob"}
    ann.sees("Ann", "Bob")
    bob.connection.close()
    ann.sees("Ann")


def test_rooms_are_apart(server: Example, open_page: Open) -> None:
    rooms = httpx.get(f"{server.url}/rooms").json()["rooms"]
    assert {"name": "garden", "title": "Garden"} in rooms
    ann, bob = open_page(server), open_page(server, "garden")
    ann.join("Ann")
    bob.join("Bob")
    ann.say("in the lobby")
    bob.say("in the garden")
    assert ann.texts(1) == ["in the lobby"]
    assert bob.texts(1) == ["in the garden"]
    bob.sees("Bob")
    with pytest.raises(InvalidStatus) as caught:
        open_page(server, "cellar")
    assert caught.value.response.status_code == 404


def test_who_comes_back_is_told_what_he_has_missed(server: Example, open_page: Open) -> None:
    ann, bob = open_page(server), open_page(server)
    ann.join("Ann")
    bob.join("Bob")
    ann.say("one")
    assert ann.texts(1) == bob.texts(1) == ["one"]
    bob.connection.close()
    ann.say("two")
    ann.say("three")
    assert ann.texts(2) == ["two", "three"]
    again = open_page(server)
    history = again.join("Bob", after=bob.last)
    assert history["complete"]
    assert [message["text"] for message in history["messages"]] == ["two", "three"]
    assert open_page(server).join("Bob", after=ann.last)["messages"] == []
    # What is not known any more may have been followed by more than is kept.
    history = open_page(server).join("Bob", after="forgotten")
    assert not history["complete"]
    assert len(history["messages"]) == 3


@pytest.mark.parametrize(
    "said",
    [
        "no JSON",
        "[]",
        "{}",
        '{"type": "say", "text": "not in the room", "nonce": "1"}',
        '{"type": "join", "name": "  ", "after": ""}',
        '{"type": "join", "name": "%s", "after": ""}' % ("a" * 25),
        '{"type": "join", "name": "\\ud800", "after": ""}',
        '{"type": "join", "name": "Ann"}',
    ],
)
def test_nonsense_closes(server: Example, open_page: Open, said: str) -> None:
    page = open_page(server)
    page.connection.send(said)
    assert page.ends() == 1008


def test_too_much_closes(server: Example, open_page: Open) -> None:
    page = open_page(server)
    page.join("Ann")
    page.say("x" * 2001)
    assert page.ends() == 1008
    page = open_page(server)
    page.connection.send("x" * 20_000)
    assert page.ends() == 1009


def test_the_page(server: Example) -> None:
    with httpx.Client(base_url=server.url) as client:
        page = client.get("/")
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        for name in ("chat.js", "style.css", "icon.svg"):
            assert client.get(f"/{name}").status_code == 200
        for name in ("app.py", "..%2fapp.py", "index.htm"):
            assert client.get(f"/{name}").status_code == 404


def test_other_sites_may_not_talk_in_the_user_s_name(server: Example) -> None:
    url = f"ws://127.0.0.1:{server.port}/rooms/lobby"
    with pytest.raises(InvalidStatus) as caught:
        with connect(url, origin="https://elsewhere.example"):  # type: ignore[arg-type]
            pass
    assert caught.value.response.status_code == 403


def test_a_server_that_stops_says_so(server: Example, open_page: Open) -> None:
    page = open_page(server)
    page.join("Ann")
    server.check_clean_end()
    assert page.ends() == 1001


# -- over two processes


@pytest.fixture
def servers(start: Start, redis: RedisServer) -> list[Example]:
    return [start("chat/app.py", "0", "--redis", redis.url) for _ in range(2)]


def test_across_processes(servers: list[Example], open_page: Open, start: Start) -> None:
    ann, bob = (open_page(server) for server in servers)
    ann.join("Ann")
    bob.join("Bob")
    for number in range(5):
        ann.say(f"one {number}")
        bob.say(f"other {number}")
    heard = ann.texts(10)
    assert bob.texts(10) == heard
    assert sorted(heard) == [f"{who} {number}" for who in ("one", "other") for number in range(5)]
    ann.sees("Ann", "Bob")
    bob.sees("Ann", "Bob")
    ann.tell(type="typing")
    assert bob.hear() == {"type": "typing", "name": "Ann"}

    # One of them is restarted, and what was said meanwhile is told behind it.
    servers[0].check_clean_end()
    bob.sees("Bob")
    bob.say("Where are you?")
    assert bob.texts(1) == ["Where are you?"]
    again = open_page(start("chat/app.py", "0", "--redis", redis_url_of(servers[1])))
    history = again.join("Ann", after=ann.last)
    assert history["complete"]
    assert [message["text"] for message in history["messages"]] == ["Where are you?"]
    bob.sees("Ann", "Bob")


def redis_url_of(server: Example) -> str:
    return str(server.process.args[-1])  # type: ignore[index]


def test_redis_is_killed(servers: list[Example], open_page: Open, redis: RedisServer) -> None:
    ann, bob = (open_page(server) for server in servers)
    ann.join("Ann")
    bob.join("Bob")
    ann.say("before")
    assert ann.texts(1) == bob.texts(1) == ["before"]
    redis.kill()
    nonce = ann.say("in vain")
    heard = ann.hear()
    assert (heard["type"], heard["nonce"]) == ("failed", nonce)
    late = open_page(servers[0])
    late.tell(type="join", name="Cem", after="")
    assert late.ends() == 1013  # try again later

    redis.start()  # it has forgotten everything, as this one keeps nothing on disk
    bob.sees("Ann", "Bob")
    bob.say("after")
    for page in (ann, bob):
        heard = page.hear()
        assert [message["text"] for message in heard["messages"]] == ["after"]
        assert not heard["complete"]
    ann.say("again")
    assert ann.texts(1) == bob.texts(1) == ["again"]


def test_what_one_process_cannot_tell_the_others(
    servers: list[Example], open_page: Open, redis: RedisServer
) -> None:
    """It is stored, and they see it as soon as they can be told, though nothing else is said."""
    ann, bob = (open_page(server) for server in servers)
    ann.join("Ann")
    bob.join("Bob")
    ann.sees("Ann", "Bob")
    bob.sees("Ann", "Bob")
    redis.ask("ACL", "SETUSER", "default", "-publish")
    ann.say("one")
    assert ann.texts(1) == ["one"]
    until(lambda: "nobody was told of news" in servers[0].said())
    redis.ask("ACL", "SETUSER", "default", "+publish")
    assert bob.texts(1) == ["one"]
