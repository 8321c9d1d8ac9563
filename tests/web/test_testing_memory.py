"""Connections in memory: the real server behind a socket that is none, by hand and for httpx."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import App, settled, soon, until

from tornadoish.http1.limits import Limits
from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornadoish.iostream import IOStream, StreamClosedError
from tornadoish.tcpserver import TCPServer
from tornadoish.testing import MemoryTransport, check_message_delegate, memory_connection
from tornadoish.web import Application, RequestHandler, StaticFileHandler, stream_request_body

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = 2_000_000  # bytes: more than everything on the way may hold


class Main(RequestHandler):
    def get(self) -> None:
        request = self.request
        self.write(f"{request.protocol} {request.host} {request.remote_ip}")

    def post(self) -> None:
        self.write(self.request.body)


class Pieces(RequestHandler):
    """An answer in pieces; it tells of how far it has come."""

    written = 0
    gone: asyncio.Event

    async def get(self) -> None:
        Pieces.written = 0
        Pieces.gone = asyncio.Event()
        try:
            for _ in range(LARGE // 1000):
                self.write(bytes(1000))
                await self.flush()
                Pieces.written += 1000
        except StreamClosedError:
            pass

    def on_connection_close(self) -> None:
        Pieces.gone.set()


class Broken(RequestHandler):
    async def get(self) -> None:
        if self.request.version == "HTTP/1.1":
            self.set_header("Content-Length", "10")
        self.write(b"half")
        await self.flush()
        self.request.connection.abort()  # type: ignore[union-attr]


@stream_request_body
class Slow(RequestHandler):
    """Takes its body when the test says so."""

    taken = 0
    go_on: asyncio.Event

    def prepare(self) -> None:
        Slow.taken = 0
        Slow.go_on = asyncio.Event()

    async def data_received(self, chunk: bytes) -> None:
        await Slow.go_on.wait()
        Slow.taken += len(chunk)

    def post(self) -> None:
        self.write(str(Slow.taken))


def make_app(**settings: Any) -> Application:
    return Application(
        [("/", Main), ("/pieces", Pieces), ("/broken", Broken), ("/slow", Slow)], **settings
    )


# -- by hand


@pytest.mark.parametrize("read_size", [1, 7, 65536])
async def test_requests_and_answers(read_size: int) -> None:
    async with memory_connection(make_app(), read_size=read_size) as connection:
        connection.write(GET + GET.replace(b"a\r\n", b"b\r\n"))
        for host in (b"a", b"b"):
            head = await soon(connection.read_until(b"\r\n\r\n"))
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            body = b"http " + host + b" 127.0.0.1"
            assert f"Content-Length: {len(body)}\r\n".encode() in head
            assert await soon(connection.read_exactly(len(body))) == body
        connection.write(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n")
        connection.write(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        assert (await soon(connection.read_to_end())).endswith(b"\r\n\r\nabc")
        assert await soon(connection.read()) == b""


async def test_what_is_malformed_is_refused_as_on_the_wire() -> None:
    async with memory_connection(make_app()) as connection:
        connection.write(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nb\r\n\r\n")
        assert (await soon(connection.read_to_end())).startswith(b"HTTP/1.1 400 ")


async def test_limits_and_the_clock_of_a_server() -> None:
    server = HTTPServer(make_app(), limits=Limits(body_bytes=10, header_seconds=0.05))
    async with memory_connection(server) as connection:
        connection.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n")
        assert (await soon(connection.read_to_end())).startswith(b"HTTP/1.1 413 ")
    async with memory_connection(server) as connection:
        connection.write(b"GET /")
        assert (await soon(connection.read_to_end())).startswith(b"HTTP/1.1 408 ")
    await server.close_all_connections()


async def test_many_connections_to_one_server() -> None:
    server = HTTPServer(make_app())
    connections = [memory_connection(server, client_address=("10.0.0.1", n)) for n in range(5)]
    for connection in connections:
        connection.write(GET)
    for connection in connections:
        await soon(connection.read_until(b"10.0.0.1"))
    assert server.connections == 5
    for connection in connections:
        await soon(connection.close())
    await until(lambda: server.connections == 0)


async def test_a_server_of_streams() -> None:
    class Echo(TCPServer):
        async def handle_stream(self, stream: IOStream, address: Any) -> None:
            assert address == ("127.0.0.1", 50000)
            stream.set_nodelay(True)
            try:
                while True:
                    await stream.write(await stream.read_bytes(100, partial=True))
            except StreamClosedError:
                pass

    async with memory_connection(Echo()) as connection:
        connection.write(b"abc")
        assert await soon(connection.read()) == b"abc"


async def test_a_client_that_does_not_read_makes_the_handler_wait() -> None:
    async with memory_connection(make_app(), capacity=5000) as connection:
        connection.pause_reading()
        connection.write(GET.replace(b"/", b"/pieces", 1))
        stuck = -1
        while Pieces.written != stuck or not stuck:
            stuck = Pieces.written
            await settled(50)
        assert 0 < stuck < 100_000  # what is on its way, and what the transport keeps
        connection.resume_reading()
        body = 0
        while body < LARGE:
            body += len(await soon(connection.read()))
        await until(lambda: Pieces.written == LARGE)


async def test_a_handler_that_does_not_read_makes_the_client_wait() -> None:
    async with memory_connection(make_app()) as connection:
        head = f"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"
        sending = asyncio.create_task(connection.send(head.encode() + bytes(LARGE)))
        await settled(50)
        assert not sending.done() and Slow.taken == 0
        assert connection.transport.get_write_buffer_size() > LARGE / 2
        Slow.go_on.set()
        assert (await soon(connection.read_until(str(LARGE).encode()))).startswith(b"HTTP/1.1 200")
        await soon(sending)


@pytest.mark.parametrize("how", ["reset", "abort", "close"])
async def test_a_client_that_goes_away(how: str) -> None:
    server = HTTPServer(make_app())
    connection = memory_connection(server)
    connection.write(GET.replace(b"/", b"/pieces", 1))
    await soon(connection.read_exactly(1000))
    connection.pause_reading()
    if how == "close":
        await soon(connection.close())
    else:
        getattr(connection, how)()
    await soon(Pieces.gone.wait())
    await until(lambda: server.connections == 0)
    await soon(connection.close())


async def test_a_reset_is_an_error_of_the_stream() -> None:
    errors: list[Any] = []

    class Server(TCPServer):
        async def handle_stream(self, stream: IOStream, address: Any) -> None:
            with pytest.raises(StreamClosedError) as caught:
                await stream.read_bytes(1)
            errors.append(caught.value.real_error)

    connection = memory_connection(Server())
    await settled()
    connection.reset()
    await until(lambda: errors)
    assert isinstance(errors[0], ConnectionResetError)
    await soon(connection.close())


async def test_a_client_that_ends_its_side() -> None:
    async with memory_connection(make_app()) as connection:
        connection.write(GET)
        connection.write_eof()
        assert (await soon(connection.read_to_end())).endswith(b"http a 127.0.0.1")


async def test_an_answer_that_is_broken_off() -> None:
    request = GET.replace(b"/", b"/broken", 1)
    async with memory_connection(make_app()) as connection:
        connection.write(request)
        assert (await soon(connection.read_to_end())).endswith(b"\r\n\r\nhalf")
    async with memory_connection(make_app()) as connection:
        connection.write(request.replace(b"HTTP/1.1", b"HTTP/1.0"))
        with pytest.raises(ConnectionResetError):  # for its end would look like all
            await soon(connection.read_to_end())


async def test_whoever_keeps_the_contract() -> None:
    app = App()
    checked = check_message_delegate(app)
    async with memory_connection(checked) as connection:
        connection.write(GET + GET[:10])
        await soon(connection.read_until(b"GET / "))
    assert checked.violations == [] and len(app.closed) == 1


async def test_a_server_that_was_stopped_refuses() -> None:
    server = HTTPServer(make_app())
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        memory_connection(server)


async def test_a_server_with_tls_and_one_that_looks_like_it() -> None:
    for server, tls in ((HTTPServer(make_app()), True), (HTTPServer(make_app()), None)):
        async with memory_connection(server, tls=tls) as connection:
            connection.write(GET)
            await soon(connection.read_until(b"https a" if tls else b"http a"))


async def test_a_connection_leaves_nothing_behind() -> None:
    async def one() -> tuple[weakref.ref[Any], weakref.ref[Any]]:
        server = HTTPServer(make_app())
        async with memory_connection(server) as connection:
            connection.write(GET)
            await soon(connection.read_until(b"127.0.0.1"))
        await until(lambda: server.connections == 0)
        return weakref.ref(connection.transport), weakref.ref(connection)

    gc.collect()
    gc.disable()
    try:
        references = await one()
        await settled()
        assert [reference() for reference in references] == [None, None]
    finally:
        gc.enable()


# -- by httpx


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=MemoryTransport(make_app(), max_body_size=LARGE), base_url="http://a"
    ) as client:
        yield client


async def test_httpx(client: httpx.AsyncClient) -> None:
    response = await client.get("/")
    assert (response.status_code, response.text) == (200, "http a 127.0.0.1")
    assert response.http_version == "HTTP/1.1" and response.reason_phrase == "OK"
    assert (await client.get("https://b/")).text == "https b 127.0.0.1"
    assert (await client.post("/", data={"a": "b"})).text == "a=b"
    assert (await client.head("/none")).status_code == 404
    assert (await client.post("/", content=bytes(LARGE + 1))).status_code == 413


async def test_connections_are_kept(client: httpx.AsyncClient) -> None:
    transport = client._transport
    assert isinstance(transport, MemoryTransport)
    for _ in range(3):
        await client.get("/")
    assert transport.server.connections == 1
    await asyncio.gather(*(client.get("/pieces") for _ in range(3)))
    assert transport.server.connections == 3


async def test_an_idle_connection_that_the_server_has_closed_is_replaced(
    client: httpx.AsyncClient,
) -> None:
    transport = client._transport
    assert isinstance(transport, MemoryTransport)
    await client.get("/")
    await transport.server.close_all_connections()
    await settled()
    assert (await client.get("/")).status_code == 200


async def test_bodies_in_pieces(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/pieces") as response:
        pieces = response.aiter_raw()
        size = len(await anext(pieces))
        assert 0 < Pieces.written < LARGE
        async for piece in pieces:
            size += len(piece)
    assert size == LARGE

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"abc"

    assert (await client.post("/", content=body())).text == "abcabcabc"


async def test_a_stream_that_is_left_is_a_client_that_goes_away(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/pieces") as response:
        await anext(response.aiter_raw())
    await soon(Pieces.gone.wait())


async def test_errors_are_those_of_the_wire(client: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        await client.get("/broken")
    with pytest.raises(httpx.UnsupportedProtocol):
        await client.get("ftp://a/")
    with pytest.raises(httpx.LocalProtocolError):
        await client.get("/", headers={"Host": "a\nb"})
    with pytest.raises(httpx.WriteTimeout):
        await client.post("/slow", content=bytes(LARGE), timeout=httpx.Timeout(5, write=0.01))


async def test_a_server_of_one_s_own() -> None:
    server = HTTPServer(make_app(), xheaders=True)
    with pytest.raises(TypeError, match="made already, without protocol"):
        MemoryTransport(server, protocol="https")
    transport = MemoryTransport(server, client_address=("10.0.0.9", 7))
    assert transport.server is server
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        assert (await client.get("/")).text == "http a 10.0.0.9"
        headers = {"X-Real-Ip": "10.1.1.1", "X-Scheme": "https"}
        assert (await client.get("/", headers=headers)).text == "https a 10.1.1.1"
    await until(lambda: server.connections == 0)
    async with httpx.AsyncClient(transport=MemoryTransport(server)) as client:
        assert (await client.get("http://a/")).status_code == 200  # it was not ended
        server.stop()
        await server.close_all_connections()
        await settled()
        with pytest.raises(httpx.ConnectError):
            await client.get("http://a/")


async def test_the_application_s_hooks_are_called() -> None:
    app, heard = make_app(), []
    app.on_startup.append(lambda _: heard.append("startup"))
    app.on_shutdown.append(lambda _: heard.append("shutdown"))
    app.on_cleanup.append(lambda _: heard.append("cleanup"))
    async with httpx.AsyncClient(transport=MemoryTransport(app), base_url="http://a") as client:
        assert heard == []
        answers = await asyncio.gather(client.get("/"), client.get("https://a/"))
        assert [answer.status_code for answer in answers] == [200, 200]
        assert heard == ["startup"]
    assert heard == ["startup", "shutdown", "cleanup"]


async def test_an_application_that_cannot_start() -> None:
    app = make_app()

    def fail(_: object) -> None:
        raise ValueError("no database")

    app.on_startup.append(fail)
    async with httpx.AsyncClient(transport=MemoryTransport(app), base_url="http://a") as client:
        for _ in range(2):
            with pytest.raises(ValueError, match="no database"):
                await client.get("/")
    with pytest.raises(ValueError, match="no database"):
        async with memory_connection(make_app_failing(fail)):
            raise AssertionError("it was started")


def make_app_failing(hook: Any) -> Application:
    app = make_app()
    app.on_startup.append(hook)
    return app


async def test_an_application_without_hooks_may_be_used_again() -> None:
    app = make_app()
    for _ in range(2):
        async with httpx.AsyncClient(transport=MemoryTransport(app), base_url="http://a") as client:
            assert (await client.get("/")).status_code == 200
    assert not app.draining.is_set()


async def test_files_and_callables(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(LARGE))
    app = Application([(r"/(.*)", StaticFileHandler, {"path": str(tmp_path)})])
    async with httpx.AsyncClient(transport=MemoryTransport(app), base_url="http://a") as client:
        assert (await client.get("/large")).content == bytes(LARGE)

    def answer(request: HTTPServerRequest) -> None:
        connection: Any = request.connection
        connection.write_headers(ResponseStartLine("", 204, "None"), HTTPHeaders())
        connection.finish()

    async with httpx.AsyncClient(transport=MemoryTransport(answer)) as client:
        assert (await client.get("http://a/")).status_code == 204
