"""What websocket_connect does otherwise than Tornado's, or beside it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support import settled
from web.serving import PATIENCE, until
from websockets.asyncio.server import ServerConnection

from tornadoish.netutil import Resolver
from tornadoish.websocket import (
    ConnectRequest,
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketHandler,
    WebSocketRefusedError,
    websocket_connect,
)
from tornadoish.websocket.opening import Opened
from tornadoish.ws import accept_key

from .ours import framework  # noqa: F401 - a fixture
from .talking import Notes, Serve
from .test_client import foreign


class Echo(WebSocketHandler):
    async def on_message(self, message: str | bytes) -> None:
        await self.send(message)


@asynccontextmanager
async def answering(answer: bytes, *, close: bool = True) -> AsyncIterator[str]:
    """A server that says the same to everyone."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if close:
            writer.close()
        else:
            await reader.read()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await settled()


async def accepting(reader: asyncio.StreamReader) -> bytes:
    """The answer of a server that accepts."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = head.partition("Sec-Websocket-Key: ")[2].partition("\r\n")[0]
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n"
    )


@pytest.mark.parametrize("hints", [b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"])
async def test_accepted_and_dropped(hints: bytes) -> None:
    """Hints come before an answer, and are none. A connection that is lost before anybody has it
    is lost all the same."""

    class Late(WebSocketClientConnection):
        def _begin(self, opened: Opened) -> None:
            self.late = asyncio.ensure_future(self.begin(opened))

        async def begin(self, opened: Opened) -> None:
            opened.stream.resume_reading()  # else the end may not be seen
            await until(lambda: opened.stream._transport is None)
            super()._begin(opened)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(hints + await accepting(reader) + b"\x81\x01a")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = Late(ConnectRequest(f"ws://127.0.0.1:{port}/"))
        async with asyncio.timeout(PATIENCE):
            await client.connect_future
            assert await client.read_message() == "a"
            assert await client.read_message() is None
            await client.wait_closed()


async def test_iterating_and_leaving(serve: Serve) -> None:
    talk = await serve(Echo)
    async with await websocket_connect(talk.url) as client:
        await client.send(b"binary")
        await client.send("text")
        received = []
        async for message in client:
            received.append(message)
            if len(received) == 2:
                client.close(4000)
        assert received == [b"binary", "text"]
    assert client.close_code == 4000
    assert await client.read_message() is None
    with pytest.raises(WebSocketClosedError):
        await client.send("late")
    stream = client.stream
    assert stream is not None
    await until(stream.closed)


ACCEPT = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 2\r\n\r\nab", 302),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", 200),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 20\r\n\r\nab", 400),
        (ACCEPT + b"Sec-WebSocket-Accept: nonsense\r\n\r\n", 101),
        (ACCEPT + b"\r\n", 101),
    ],
)
async def test_refusals(answer: bytes, code: int) -> None:
    async with answering(answer, close=code == 400) as url:
        with pytest.raises(WebSocketRefusedError) as refused:
            await asyncio.wait_for(websocket_connect(url), PATIENCE)
    assert refused.value.code == code
    assert str(refused.value).startswith(f"HTTP {code}: ")
    assert refused.value.body == (b"" if code == 101 else b"ab")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 1", b"nonsense\r\n\r\n"])
async def test_no_answer(answer: bytes) -> None:
    async with answering(answer) as url:
        with pytest.raises((OSError, Exception)) as failed:
            await asyncio.wait_for(websocket_connect(url), PATIENCE)
    assert not isinstance(failed.value, (TimeoutError, WebSocketRefusedError))


async def test_a_time_limit() -> None:
    async with answering(b"HTTP/1.1 101 S", close=False) as url:
        with pytest.raises(TimeoutError):
            await websocket_connect(url, connect_timeout=0.05)
        with pytest.raises(TimeoutError):
            await websocket_connect(ConnectRequest(url, connect_timeout=0.05))


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_giving_up(how: str, notes: Notes) -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        notes("asked")
        assert await reader.read() == b""
        writer.close()
        closed.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        client = WebSocketClientConnection(ConnectRequest(url))
        await notes.has("asked")
        if how == "cancel":
            client.connect_future.cancel()
        else:
            client.close()
        async with asyncio.timeout(PATIENCE):
            await closed.wait()
        with pytest.raises(asyncio.CancelledError):
            await client.connect_future


class Several(Resolver):
    def initialize(self, *addresses: Any) -> None:
        self.addresses = addresses

    async def resolve(self, host: str, port: int, family: Any = 0) -> Any:
        return list(self.addresses)


async def test_the_next_address_is_tried(serve: Serve) -> None:
    """One refuses, one does not answer at all; and nothing of them is left."""
    talk = await serve(Echo)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.create_connection(full.getsockname()) for _ in range(1)]
        closed = socket.socket()
        closed.bind(("127.0.0.1", 0))
        resolver = Several(
            (socket.AF_INET, closed.getsockname()),
            (socket.AF_INET, full.getsockname()),
            (socket.AF_INET, ("127.0.0.1", talk.site.port)),
        )
        client = await websocket_connect("ws://a.example/", resolver=resolver)
        await client.write_message("a")
        assert await client.read_message() == "a"
        client.close()
        await client.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            resolver = Several((socket.AF_INET, closed.getsockname()))
            await websocket_connect("ws://a.example/", resolver=resolver)
        closed.close()
        for one in waiting:
            one.close()
    with pytest.raises(OSError, match="no address"):
        await websocket_connect("ws://a.example/", resolver=Several())


@pytest.mark.parametrize("url", ["http:/x", "ftp://a/", "ws:///x", "nonsense", ""])
async def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        websocket_connect(url)


async def test_closing_does_not_wait_for_the_server(notes: Notes) -> None:
    async def behave(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.wait_closed()

    async with foreign(behave) as url:
        client = await websocket_connect(url)
        reader = client.read_message()
        await settled()
        client.close()
        await settled()
        assert reader.done()
        assert await reader is None
        assert await client.read_message() is None


async def test_the_server_ends_the_connection() -> None:
    """RFC 6455, 7.1.1: it is for the server to do that; but not if it never does."""

    class Impatient(WebSocketClientConnection):
        close_timeout = 0.05

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await accepting(reader) + b"\x88\x02\x0f\xa0")
        await reader.readexactly(8)  # its Close
        await settled()
        left_open.set_result(not reader.at_eof())
        ended.set_result(await reader.read())
        writer.close()

    loop = asyncio.get_running_loop()
    left_open, ended = loop.create_future(), loop.create_future()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = Impatient(ConnectRequest(f"ws://127.0.0.1:{port}/"))
        await client.connect_future
        assert await client.read_message() is None
        async with asyncio.timeout(PATIENCE):
            assert await left_open
            assert await ended == b""
        assert client.close_code == 4000


async def test_wrong_arguments(serve: Serve) -> None:
    with pytest.raises(ValueError, match="connect_timeout"):
        websocket_connect(ConnectRequest("ws://a/"), connect_timeout=1)
    with pytest.raises(ValueError, match="token"):
        websocket_connect("ws://a/", subprotocols=["a b"])
    with pytest.raises(TypeError):
        websocket_connect("ws://a/", compression_options={"nonsense": 1})


async def test_cancelling_a_reader_loses_nothing(serve: Serve) -> None:
    talk = await serve(Echo)
    client = await websocket_connect(talk.url)
    for n in range(20):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.read_message(), 0)
        await client.write_message(str(n))
        first, second = client.read_message(), client.read_message()
        second.cancel()
        assert await first == str(n)
    client.close()
    await client.wait_closed()


@pytest.mark.parametrize("proxied", [False, True])
async def test_tornado_s_requests(serve: Serve, proxied: bool) -> None:
    """Applications make them for websocket_connect, some with the defaults in a proxy."""
    httpclient: Any = pytest.importorskip("tornado.httpclient")
    talk = await serve(Echo)
    request = httpclient.HTTPRequest(talk.url, headers={"X-Mine": "yes"}, connect_timeout=5)
    if proxied:
        request = httpclient._RequestProxy(request, httpclient.HTTPRequest._DEFAULTS)
    client = await websocket_connect(request)
    await client.send("a")
    assert await client.read_message() == "a"
    assert client.parsed.netloc == f"127.0.0.1:{talk.site.port}"
    client.close()
    await client.wait_closed()


async def test_pings_of_a_client(serve: Serve, notes: Notes) -> None:
    class Hearing(Echo):
        def on_ping(self, data: bytes) -> None:
            notes(("ping", data))

    talk = await serve(Hearing)
    client = await websocket_connect(talk.url, ping_interval=0.05)
    await notes.has(("ping", b""))
    notes.clear()
    await notes.has(("ping", b""))
    client.close()
    await client.wait_closed()
