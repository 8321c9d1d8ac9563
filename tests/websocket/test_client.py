"""websocket_connect: what Tornado documents, over both frameworks, with a foreign server."""

from __future__ import annotations

import asyncio
import contextlib
import http
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from web.serving import PATIENCE, Framework
from websockets.asyncio.server import Request, Response, ServerConnection
from websockets.asyncio.server import serve as serve_foreign
from websockets.exceptions import ConnectionClosed

from .talking import Notes

pytestmark = pytest.mark.filterwarnings("ignore:.*callback argument:DeprecationWarning")

Behave = Callable[[ServerConnection], Awaitable[None]]


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@contextlib.asynccontextmanager
async def foreign(behave: Behave = echo, **options: Any) -> AsyncIterator[str]:
    """A server that is not ours; the URL to it."""
    options.setdefault("compression", None)
    async with serve_foreign(behave, "127.0.0.1", 0, ping_interval=None, **options) as server:
        scheme = "wss" if "ssl" in options else "ws"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for connection in list(server.connections):
            connection.transport.abort()


async def soon(awaitable: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaitable, PATIENCE)


@pytest.mark.parametrize("message", ["", "text", "Grüße €", b"\xff", "x" * 70000, b"y" * 700000])
async def test_messages(ws: Any, message: str | bytes) -> None:
    async with foreign() as url:
        client = await ws.websocket_connect(url)
        await client.write_message(message, binary=isinstance(message, bytes))
        assert await soon(client.read_message()) == message
        client.close()
        assert await soon(client.read_message()) is None


async def test_dicts_and_several_readers(ws: Any) -> None:
    async with foreign() as url:
        client = await ws.websocket_connect(url)
        readers = [client.read_message() for _ in range(3)]
        for n in range(3):
            client.write_message({"n": n})
        assert await soon(asyncio.gather(*readers)) == ['{"n": 0}', '{"n": 1}', '{"n": 2}']
        client.close()


@pytest.mark.parametrize(("options", "used"), [(None, False), ({}, True)])
async def test_compression(ws: Any, options: Any, used: bool, notes: Notes) -> None:
    async def behave(connection: ServerConnection) -> None:
        notes(bool(connection.protocol.extensions))
        await echo(connection)

    async with foreign(behave, compression="deflate") as url:
        client = await ws.websocket_connect(url, compression_options=options)
        for message in ("x" * 10000, "x" * 10001, "short"):
            client.write_message(message)
            assert await soon(client.read_message()) == message
        client.close()
        assert notes == [used]


async def test_subprotocols(ws: Any) -> None:
    async with foreign(subprotocols=["b"]) as url:  # type: ignore[arg-type]
        client = await ws.websocket_connect(url, subprotocols=["a", "b"])
        assert client.selected_subprotocol == "b"
        client.close()


async def test_the_callbacks(ws: Any, notes: Notes) -> None:
    async with foreign() as url:
        client = await ws.websocket_connect(url, on_message_callback=notes.__call__)
        client.write_message("a")
        client.write_message("b")
        await notes.has("b")
        client.close(4000, "why")
        await notes.has(None)
        assert notes == ["a", "b", None]


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4321, "grüße")])
async def test_closed_by_the_server(ws: Any, code: int, reason: str) -> None:
    async def behave(connection: ServerConnection) -> None:
        await connection.send("last")
        await connection.close(code, reason)

    async with foreign(behave) as url:
        client = await ws.websocket_connect(url)
        assert await soon(client.read_message()) == "last"
        assert await soon(client.read_message()) is None
        assert (client.close_code, client.close_reason) == (code, reason or None)
        with pytest.raises(ws.WebSocketClosedError):
            client.write_message("late")


async def test_closed_by_the_client(ws: Any, notes: Notes) -> None:
    async def behave(connection: ServerConnection) -> None:
        try:
            await connection.recv()
        except ConnectionClosed as closed:
            notes(closed.rcvd)

    async with foreign(behave) as url:
        client = await ws.websocket_connect(url)
        client.close(4000, "why")
        with pytest.raises(ws.WebSocketClosedError):
            client.write_message("late")
        with pytest.raises(ws.WebSocketClosedError):
            client.ping()
        async with asyncio.timeout(PATIENCE):
            while not notes:
                await asyncio.sleep(0)
        assert (notes[0].code, notes[0].reason) == (4000, "why")


async def test_pings(ws: Any, notes: Notes) -> None:
    class Pinging(ws.WebSocketClientConnection):  # type: ignore[name-defined,misc]
        def on_ping(self, data: bytes) -> None:
            notes(("ping", data))

        def on_pong(self, data: bytes) -> None:
            notes(("pong", data))

    async def behave(connection: ServerConnection) -> None:
        await (await connection.ping(b"theirs"))
        await echo(connection)

    async with foreign(behave) as url:
        request = requested(ws, url)
        if ws.__name__.startswith("tornado."):  # its constructor takes another kind
            from tornado.httpclient import HTTPRequest, _RequestProxy

            request = _RequestProxy(request, HTTPRequest._DEFAULTS)
        client = Pinging(request)
        assert await client.connect_future is client
        client.ping(b"ours")
        await notes.has(("pong", b"ours"))
        await notes.has(("ping", b"theirs"))
        client.close()


def requested(ws: Any, url: str, **options: Any) -> Any:
    """A request as the framework's client has it."""
    if ws.__name__.startswith("tornado."):
        from tornado.httpclient import HTTPRequest

        return HTTPRequest(url, **options)
    return ws.ConnectRequest(url, **options)


async def test_what_is_asked_for(ws: Any, notes: Notes) -> None:
    async def process(connection: ServerConnection, request: Request) -> None:
        notes(request)

    async with foreign(process_request=process) as url:
        client = await ws.websocket_connect(url.replace("//", "//ab:c@") + "/a/b?c=d")
        client.close()
        request = requested(ws, url + "?q", headers={"Origin": "http://me", "X-Mine": "yes"})
        client = await ws.websocket_connect(request)
        client.close()
    first, second = notes
    assert first.path == "/a/b?c=d"
    assert first.headers["Authorization"] == "Basic YWI6Yw=="
    assert first.headers["Host"] == url.removeprefix("ws://")
    assert second.path == "/?q"
    assert (second.headers["Origin"], second.headers["X-Mine"]) == ("http://me", "yes")


async def test_a_refusal(framework: Framework, ws: Any) -> None:
    def process(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(http.HTTPStatus.FORBIDDEN, "not you\n")

    async with foreign(process_request=process) as url:
        with pytest.raises(Exception, match="403") as refused:
            await ws.websocket_connect(url)
    assert refused.value.code == 403
    if not framework.is_tornado:
        assert isinstance(refused.value, ws.WebSocketRefusedError)
        assert refused.value.body == b"not you\n"
        assert refused.value.headers["Content-Length"] == "8"


async def test_nobody_listens(ws: Any) -> None:
    async with foreign() as url:
        pass
    with pytest.raises(ConnectionRefusedError):
        await ws.websocket_connect(url)


async def test_a_lost_connection(ws: Any) -> None:
    async def behave(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    async with foreign(behave) as url:
        client = await ws.websocket_connect(url)
        reader = client.read_message()
        client.write_message("go")
        assert await soon(reader) is None
        assert client.close_code is client.close_reason is None


async def test_a_message_that_is_too_large(ws: Any) -> None:
    async def behave(connection: ServerConnection) -> None:
        await connection.send("x" * 1001)
        await connection.wait_closed()

    async with foreign(behave) as url:
        client = await ws.websocket_connect(url, max_message_size=1000)
        assert await soon(client.read_message()) is None


async def test_who_does_not_read_slows_the_server_down(ws: Any, notes: Notes) -> None:
    async def behave(connection: ServerConnection) -> None:
        for n in range(1000):
            notes(n)
            await connection.send(str(n) + "x" * 60000)

    async with foreign(behave) as url:
        client = await ws.websocket_connect(url)
        await notes.has(10)
        for _ in range(500):
            await asyncio.sleep(0)
        assert len(notes) < 900
        for n in range(1000):
            message = await soon(client.read_message())
            assert message.rstrip("x") == str(n)
        client.close()


@pytest.mark.parametrize("verified", [True, False])
async def test_tls(ws: Any, verified: bool, certificates: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates)
    async with foreign(ssl=context) as url:
        url = url.replace("127.0.0.1", "localhost")
        if ws.__name__.startswith("tornado."):
            request = requested(ws, url, validate_cert=False)
        else:
            request = ws.ConnectRequest(url)
            request.validate_cert = False
            if verified:
                request.validate_cert = True
                request.ca_certs = certificates[0]
        client = await ws.websocket_connect(request)
        for message in ("a", "x" * 300_000):
            client.write_message(message)
            assert await soon(client.read_message()) == message
        client.close()
        assert await soon(client.read_message()) is None


async def test_a_resolver(framework: Framework, ws: Any, notes: Notes) -> None:
    class Fixed(framework.netutil.Resolver):  # type: ignore[name-defined,misc]
        def initialize(self, address: Any) -> None:
            self.address = address

        async def resolve(self, host: str, port: int, family: Any = 0) -> Any:
            notes((host, port))
            return [(2, self.address)]

    async with foreign() as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        client = await ws.websocket_connect("ws://elsewhere.example:81/", resolver=Fixed(address))
        client.write_message("a")
        assert await soon(client.read_message()) == "a"
        client.close()
    assert notes == [("elsewhere.example", 81)]


async def test_the_callback_of_the_future(framework: Framework, ws: Any, notes: Notes) -> None:
    async with foreign() as url:
        future = ws.websocket_connect(url, notes)
        client = await future
        await asyncio.sleep(0)
        assert notes[0].result() is client
        client.write_message("a")
        client.read_message(notes)
        async with asyncio.timeout(PATIENCE):
            while len(notes) < 2:
                await asyncio.sleep(0)
        assert notes[1].result() == "a"
        client.close()
