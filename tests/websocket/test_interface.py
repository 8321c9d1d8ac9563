"""The interface of WebSocketHandler: what Tornado documents, over both frameworks."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from web.serving import Framework, until
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .talking import CLOSE, PING, PONG, TEXT, Notes, Serve, close_frame, frame

coroutine = pytest.mark.parametrize("coroutine", [False, True], ids=["plain", "coroutine"])


def echo(ws: Any, **methods: Any) -> Any:
    """A handler that sends back what comes, but for ``methods``."""

    def on_message(self: Any, message: str | bytes) -> None:
        self.write_message(message, binary=isinstance(message, bytes))

    return type("Echo", (ws.WebSocketHandler,), {"on_message": on_message, **methods})


# ---- Messages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message", ["", "text", "Grüße €", b"", b"bytes\xff", "x" * 70000, b"y" * 70000]
)
async def test_messages(ws: Any, serve: Serve, message: str | bytes) -> None:
    client = await (await serve(echo(ws))).connect()
    await client.send(message)
    assert await client.recv() == message


@pytest.mark.parametrize(
    ("written", "binary", "received"),
    [
        ("a", False, "a"),
        (b"a", False, "a"),
        ("ü", True, "ü".encode()),
        (b"\xff", True, b"\xff"),
        ({"a": 1}, False, '{"a": 1}'),
        ({"a": 1}, True, b'{"a": 1}'),
    ],
)
async def test_write_message(
    ws: Any, serve: Serve, written: Any, binary: bool, received: str | bytes
) -> None:
    def on_message(self: Any, message: str) -> None:
        self.write_message(written, binary=binary)

    client = await (await serve(echo(ws, on_message=on_message))).connect()
    await client.send("go")
    assert await client.recv() == received


@coroutine
async def test_write_message_returns_a_future(ws: Any, serve: Serve, coroutine: bool) -> None:
    futures: list[Any] = []

    def plain(self: Any, message: str) -> None:
        futures.append(self.write_message(message))

    async def later(self: Any, message: str) -> None:
        assert await self.write_message(message) is None

    client = await (await serve(echo(ws, on_message=later if coroutine else plain))).connect()
    await client.send("a")
    assert await client.recv() == "a"
    assert [await future for future in futures] == [None] * (not coroutine)
    assert all(asyncio.isfuture(future) for future in futures)


@pytest.mark.parametrize("message", [1, None, object(), ["a"]])
async def test_what_is_no_message(ws: Any, serve: Serve, message: Any) -> None:
    def on_message(self: Any, _: str) -> None:
        with pytest.raises(
            (TypeError, AssertionError) if ws.__name__[:8] == "tornado." else TypeError
        ):
            self.write_message(message)
        self.write_message("ok")

    client = await (await serve(echo(ws, on_message=on_message))).connect()
    await client.send("go")
    assert await client.recv() == "ok"


async def test_one_message_after_the_other(ws: Any, serve: Serve, notes: Notes) -> None:
    async def on_message(self: Any, message: str) -> None:
        notes(f"begin {message}")
        for _ in range(5):
            await asyncio.sleep(0)
        notes(f"end {message}")
        await self.write_message(message)

    raw = await (await serve(echo(ws, on_message=on_message))).raw()
    raw.text("a", "b", "c")
    assert [await raw.message() for _ in range(3)] == ["a", "b", "c"]
    assert notes == ["begin a", "end a", "begin b", "end b", "begin c", "end c"]


async def test_open_is_over_before_messages_come(ws: Any, serve: Serve, notes: Notes) -> None:
    async def open(self: Any) -> None:
        notes("begin")
        for _ in range(10):
            await asyncio.sleep(0)
        notes("end")

    talk = await serve(echo(ws, open=open))
    raw = await talk.raw(behind=frame(TEXT, "with the handshake"))
    assert await raw.message() == "with the handshake"
    assert notes == ["begin", "end"]


async def test_bytes_behind_the_handshake(ws: Any, serve: Serve) -> None:
    frames = b"".join(frame(TEXT, str(n)) for n in range(200))
    raw = await (await serve(echo(ws))).raw(behind=frames)
    raw.text("end")
    assert [await raw.message() for _ in range(201)] == [*map(str, range(200)), "end"]


async def test_fragments_and_pings_between_them(ws: Any, serve: Serve) -> None:
    raw = await (await serve(echo(ws))).raw()
    raw.frames(frame(TEXT, "a", fin=False), frame(PING, "p"), frame(0, "b", fin=False))
    raw.frames(frame(0, "c"))
    assert await raw.frame() == (0x80 | PONG, b"p")
    assert await raw.message() == "abc"


# ---- open ------------------------------------------------------------------------------------


async def test_the_groups_of_the_route(ws: Any, serve: Serve, notes: Notes) -> None:
    def open(self: Any, *args: Any, **kwargs: Any) -> None:
        notes((args, kwargs, self.open_args, self.open_kwargs))

    handler = echo(ws, open=open)
    talk = await serve([("/a/(.*)/(.*)", handler), ("/k/(?P<name>.*)", handler)])
    await talk.connect("/a/1%202/3")
    await talk.connect("/k/x")
    one = ("1 2", "3")
    assert notes == [(one, {}, one, {}), ((), {"name": "x"}, (), {"name": "x"})]


@coroutine
async def test_get_overridden(ws: Any, serve: Serve, notes: Notes, coroutine: bool) -> None:
    """By a coroutine that awaits the other: it lasts as long as the connection."""

    async def get(self: Any, name: str) -> None:
        notes(f"get {name}")
        await super(handler, self).get(name + "!")
        notes("got")

    async def open_later(self: Any, name: str) -> None:
        await asyncio.sleep(0)
        notes(name)

    handler = echo(ws, get=get, open=open_later if coroutine else lambda self, name: notes(name))
    client = await (await serve([("/(.*)", handler)])).connect("/a")
    await client.send("x")
    assert await client.recv() == "x"
    assert notes == ["get a", "a!"]
    await client.close()
    await notes.has("got")


async def test_prepare_answers(framework: Framework, ws: Any, serve: Serve) -> None:
    async def prepare(self: Any) -> None:
        await asyncio.sleep(0)
        if self.get_argument("token", None) is None:
            raise framework.web.HTTPError(401)

    talk = await serve(echo(ws, prepare=prepare))
    with pytest.raises(InvalidStatus) as refused:
        await talk.connect("/")
    assert refused.value.response.status_code == 401
    client = await talk.connect("/?token=1")
    await client.send("x")
    assert await client.recv() == "x"


async def test_what_the_answer_has(ws: Any, serve: Serve) -> None:
    def prepare(self: Any) -> None:
        self.set_cookie("a", "b")
        self.set_header("X-Mine", "yes")

    raw, answer = await (
        await serve(echo(ws, prepare=prepare), compress_response=True)
    ).shake_hands()
    assert (answer.status, answer.reason) == (101, "Switching Protocols")
    assert answer.get("Upgrade") == "websocket"
    assert answer.get("Connection") == "Upgrade"
    assert answer.get("X-Mine") == "yes"
    assert answer.get("Set-Cookie") == "a=b; Path=/"
    for name in ("Content-Type", "Content-Length", "Transfer-Encoding", "Content-Encoding", "Etag"):
        assert answer.get(name) is None
    assert raw is not None


# ---- The end ---------------------------------------------------------------------------------


def closing(ws: Any, notes: Notes, **methods: Any) -> Any:
    """A handler that writes down how it ended."""

    def on_close(self: Any) -> None:
        notes(("closed", self.close_code, self.close_reason, self.ws_connection))

    return echo(ws, on_close=on_close, **methods)


@pytest.mark.parametrize(
    ("sent", "code", "reason"),
    [
        (close_frame(1000), 1000, None),
        (close_frame(4321, "grüße"), 4321, "grüße"),
        (frame(CLOSE), None, None),
    ],
)
async def test_closed_by_the_client(
    ws: Any, serve: Serve, notes: Notes, sent: bytes, code: int | None, reason: str | None
) -> None:
    raw = await (await serve(closing(ws, notes))).raw()
    raw.text("a")
    raw.frames(sent)
    assert await raw.message() == "a"
    assert await raw.close_code() == code
    assert await raw.ended()
    assert notes == [("closed", code, reason, None)]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ((), None, ""),
        ((1000,), 1000, ""),
        ((4000, "why"), 4000, "why"),
        ((None, "why"), 1000, "why"),
    ],
)
async def test_closed_by_the_server(
    ws: Any, serve: Serve, notes: Notes, arguments: Any, code: int | None, reason: str
) -> None:
    def on_message(self: Any, message: str) -> None:
        self.close(*arguments)
        assert self.ws_connection is None
        self.close(4001)
        notes("closing")

    raw = await (await serve(closing(ws, notes, on_message=on_message))).raw()
    raw.text("go")
    first, payload = await raw.frame()
    assert first == 0x80 | CLOSE
    assert (int.from_bytes(payload[:2], "big") if payload else None) == code
    assert payload[2:].decode() == reason
    raw.frames(frame(CLOSE, payload))
    assert await raw.ended()
    await notes.has(("closed", code, reason or None, None))
    assert len(notes) == 2


@pytest.mark.parametrize("how", ["abort", "end"])
async def test_a_lost_connection(ws: Any, serve: Serve, notes: Notes, how: str) -> None:
    raw = await (await serve(closing(ws, notes))).raw()
    raw.text("a")
    await raw.message()
    if how == "abort":
        raw.close()
    else:
        raw.writer.write_eof()
    await notes.has(("closed", None, None, None))
    assert len(notes) == 1


async def test_on_connection_close(ws: Any, serve: Serve, notes: Notes) -> None:
    """What a handler of HTTP has is called, too."""

    class Both(closing(ws, notes)):  # type: ignore[misc]
        def on_connection_close(self) -> None:
            notes("lost")
            super().on_connection_close()

    raw = await (await serve(Both)).raw()
    raw.close()
    await notes.has(("closed", None, None, None))
    assert notes == ["lost", ("closed", None, None, None)]


async def test_aborted_by_the_handler(ws: Any, serve: Serve, notes: Notes) -> None:
    def on_message(self: Any, message: str) -> None:
        connection = self.ws_connection
        assert not connection.is_closing()
        connection._abort()
        assert connection.is_closing()
        assert connection.client_terminated

    raw = await (await serve(closing(ws, notes, on_message=on_message))).raw()
    raw.text("a", "b")
    assert await raw.ended()
    await notes.has(("closed", None, None, None))
    assert len(notes) == 1


async def test_nothing_can_be_sent_any_more(ws: Any, serve: Serve, notes: Notes) -> None:
    def tell(self: Any, when: str) -> None:
        for send in (lambda: self.write_message("late"), self.ping):
            with pytest.raises(ws.WebSocketClosedError):
                send()
        self.close()
        notes(when)

    def on_message(self: Any, message: str) -> None:
        self.close(1000)
        tell(self, "closing")

    handler = echo(ws, on_message=on_message, on_close=lambda self: tell(self, "closed"))
    client = await (await serve(handler)).connect()
    await client.send("go")
    with pytest.raises(ConnectionClosed):
        await client.recv()
    await notes.has("closed")
    assert notes == ["closing", "closed"]
    assert issubclass(ws.WebSocketClosedError, ws.WebSocketError)


async def test_before_the_handshake(framework: Framework, ws: Any, serve: Serve) -> None:
    def prepare(self: Any) -> None:
        assert self.ws_connection is None
        assert self.close_code is self.close_reason is None
        with pytest.raises(ws.WebSocketClosedError):
            self.write_message("early")
        self.close()
        self.redirect("/elsewhere")

    with pytest.raises(InvalidStatus) as refused:
        await (await serve(echo(ws, prepare=prepare))).connect("/")
    assert refused.value.response.status_code == 404  # of "/elsewhere": the client follows
    assert framework.web is not None


# ---- Pings -----------------------------------------------------------------------------------


async def test_pings_of_the_client(ws: Any, serve: Serve, notes: Notes) -> None:
    raw = await (await serve(echo(ws, on_ping=lambda self, data: notes(data)))).raw()
    raw.frames(frame(PING, "a"), frame(PING))
    assert await raw.frame() == (0x80 | PONG, b"a")
    assert await raw.frame() == (0x80 | PONG, b"")
    assert notes == [b"a", b""]


@pytest.mark.parametrize("data", ["text", b"bytes", b""])
async def test_pings_of_the_handler(ws: Any, serve: Serve, notes: Notes, data: str | bytes) -> None:
    handler = echo(ws, open=lambda self: self.ping(data), on_pong=lambda self, data: notes(data))
    raw = await (await serve(handler)).raw()
    sent = data.encode() if isinstance(data, str) else data
    assert await raw.frame() == (0x80 | PING, sent)
    raw.frames(frame(PONG, sent), frame(PONG, "unasked"))
    await notes.has(b"unasked")
    assert notes == [sent, b"unasked"]


# ---- The handshake ---------------------------------------------------------------------------


async def test_a_subprotocol(ws: Any, serve: Serve, notes: Notes) -> None:
    def select_subprotocol(self: Any, offered: list[str]) -> str | None:
        notes(offered)
        return "b" if "b" in offered else None

    def open(self: Any) -> None:
        notes(self.selected_subprotocol)

    talk = await serve(echo(ws, select_subprotocol=select_subprotocol, open=open))
    clients = [await talk.connect(subprotocols=offered) for offered in (["a", "b"], ["c"], None)]
    assert [client.subprotocol for client in clients] == ["b", None, None]
    assert notes == [["a", "b"], "b", ["c"], None, [], None]


@pytest.mark.parametrize("options", [None, {}, {"compression_level": -1, "mem_level": 4}])
async def test_compression(ws: Any, serve: Serve, options: dict[str, Any] | None) -> None:
    talk = await serve(echo(ws, get_compression_options=lambda self: options))
    client = await talk.connect(compression="deflate")
    assert bool(client.protocol.extensions) is (options is not None)
    for message in ("x" * 10000, b"y" * 10000, "short"):
        await client.send(message)
        assert await client.recv() == message
    client = await talk.connect()
    assert not client.protocol.extensions
    await client.send("x" * 10000)
    assert await client.recv() == "x" * 10000


HANDSHAKE = {
    "Upgrade": "websocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAECAwQFBgcICQoLDA0ODw==",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Upgrade": None}, 400),
        ({"Upgrade": "h2c"}, 400),
        ({"Connection": "close"}, 400),
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Version": "7"}, 426),
        ({"Sec-WebSocket-Version": None}, 426),
    ],
)
async def test_what_is_no_handshake(
    ws: Any, serve: Serve, change: dict[str, str | None], status: int
) -> None:
    talk = await serve(echo(ws))
    fields = {**HANDSHAKE, **change}
    headers = {name: value for name, value in fields.items() if value is not None}
    answer = await talk.site.get("/", headers=headers)
    assert answer.status_code == status
    if status == 426:
        assert answer.headers["Sec-WebSocket-Version"] == "13"
    assert (await talk.site.post("/", headers=headers)).status_code == 405


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ((), True),
        (("Origin: http://a",), True),
        (("Origin: https://a",), True),
        (("Origin: http://evil.example",), False),
        (("Origin: null",), False),
        (("Origin: http://good.example",), True),
        (("Origin: http://trusted.example",), True),
        (("Sec-Fetch-Site: same-origin", "Origin: http://proxied.example"), True),
        (("Sec-Fetch-Site: cross-site", "Origin: http://a"), False),
        (("Sec-Fetch-Site: same-site",), False),
    ],
)
async def test_other_origins(ws: Any, serve: Serve, fields: Any, allowed: bool) -> None:
    def check_origin(self: Any, origin: str) -> bool:
        return origin == "http://good.example" or bool(super(handler, self).check_origin(origin))

    handler = echo(ws, check_origin=check_origin)
    talk = await serve(handler, trusted_origins=["http://trusted.example"])
    _, answer = await talk.shake_hands("/", *fields)
    assert answer.status == (101 if allowed else 403)


# ---- Settings --------------------------------------------------------------------------------


async def test_settings(framework: Framework, ws: Any, serve: Serve, notes: Notes) -> None:
    def open(self: Any) -> None:
        notes((self.ping_interval, self.ping_timeout, self.max_message_size))

    await (await serve(echo(ws, open=open))).connect()
    talk = await serve(
        echo(ws, open=open),
        websocket_ping_interval=30, websocket_ping_timeout=20, websocket_max_message_size=10,
    )  # fmt: skip
    await talk.connect()
    assert notes == [(None, None, 10 * 1024 * 1024), (30, 20, 10)]
    assert ws._default_max_message_size == 10 * 1024 * 1024


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_message_that_is_too_large(
    ws: Any, serve: Serve, notes: Notes, compressed: bool
) -> None:
    handler = closing(ws, notes, get_compression_options=lambda self: {} if compressed else None)
    talk = await serve(handler, websocket_max_message_size=1000)
    client = await talk.connect(compression="deflate" if compressed else None)
    await client.send("x" * 1000)
    assert await client.recv() == "x" * 1000
    await client.send("x" * 1001)
    with pytest.raises(ConnectionClosed) as closed:
        await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    await until(lambda: notes)
    assert len(notes) == 1


async def test_no_delay(ws: Any, serve: Serve, notes: Notes) -> None:
    def open(self: Any) -> None:
        for value in (True, False, True):
            self.set_nodelay(value)
            self.ws_connection.set_nodelay(value)
            self.ws_connection.stream.set_nodelay(value)
        notes("done")

    await (await serve(echo(ws, open=open))).connect()
    assert notes == ["done"]


# ---- What else changes with the handshake ----------------------------------------------------


async def test_it_is_no_http_any_more(ws: Any, serve: Serve, notes: Notes) -> None:
    def on_message(self: Any, message: str) -> None:
        calls = [
            lambda: self.write("a"), lambda: self.redirect("/"), lambda: self.set_header("a", "b"),
            lambda: self.set_cookie("a", "b"), lambda: self.set_status(200), self.flush,
            lambda: self.finish("a"),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(RuntimeError, match="Method not supported for Web Sockets"):
                call()
        assert self.request.connection.stream is None
        assert self.get_status() == 101
        self.write_message("ok")

    client = await (await serve(echo(ws, on_message=on_message))).connect()
    await client.send("go")
    assert await client.recv() == "ok"


async def test_the_log_has_one_line(
    ws: Any, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = await (await serve(echo(ws))).connect()

    def lines() -> list[str]:
        return [r.getMessage() for r in caplog.records if r.name == "tornado.access"]

    assert len(lines()) == 1
    assert lines()[0].startswith("101 GET / (127.0.0.1)")
    await client.close()
    await client.wait_closed()
    assert len(lines()) == 1


@coroutine
@pytest.mark.parametrize("method", ["open", "on_message"])
async def test_an_exception(
    framework: Framework, ws: Any, serve: Serve, notes: Notes,
    caplog: pytest.LogCaptureFixture, method: str, coroutine: bool,
) -> None:  # fmt: skip
    """It is logged, and closes the connection; ours says why."""

    def plain(self: Any, *args: Any) -> None:
        raise ZeroDivisionError

    async def later(self: Any, *args: Any) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    handler = closing(ws, notes, **{method: later if coroutine else plain})
    raw = await (await serve(handler)).raw()
    if method == "on_message":
        raw.text("a", "b")
    if not framework.is_tornado:
        assert await raw.close_code() == 1011
        raw.frames(close_frame(1011))
    assert await raw.ended()
    if method != "open" or not framework.is_tornado:  # which does not call on_close() then
        await until(lambda: notes)
        assert len(notes) == 1
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert [r.name for r in errors] == ["tornado.application"]
    assert errors[0].exc_info is not None
    assert errors[0].exc_info[0] is ZeroDivisionError


async def test_with_another_handler_as_base(framework: Framework, ws: Any, serve: Serve) -> None:
    """As jupyter-server-proxy does it: a handler of both kinds, one route for both."""

    class Base(framework.web.RequestHandler):
        def http_get(self) -> None:
            self.set_header("X-Base", "yes")
            self.write("page")

    class Both(ws.WebSocketHandler, Base):
        async def get(self) -> None:
            if self.request.headers.get("Upgrade", "").lower() == "websocket":
                await super().get()
            else:
                self.http_get()

        def on_message(self, message: str) -> None:
            self.write_message(message)

    talk = await serve(Both)
    answer = await talk.site.get("/")
    assert (answer.text, answer.headers["X-Base"]) == ("page", "yes")
    client = await talk.connect()
    await client.send("a")
    assert await client.recv() == "a"
