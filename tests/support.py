"""What tests over real sockets share: a served application, clients that trust nobody.

The clients know nothing of the code under test: bytes by asyncio's own streams, answers taken apart
by h11.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import h11

from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.iostream import DeadlineClock
from tornadoish.netutil import bind_sockets
from tornadoish.testing import CheckedServerDelegate, check_message_delegate

#: seconds after which something that should happen at once counts as not happening
PATIENCE = 5.0


async def soon(awaitable: Awaitable[Any]) -> Any:
    """The result of what must be done soon."""
    return await asyncio.wait_for(awaitable, PATIENCE)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until ``condition()`` holds."""

    async def look() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    await soon(look())


# -- time


class FakeClock:
    """The clock of a server whose time passes only when a test says so.

    It arms no timer: what is due happens within :meth:`passes`.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self.now = 1000.0
        self.interval = interval
        self.deadlines = DeadlineClock(interval, time=lambda: self.now)

    def passes(self, seconds: float) -> None:
        """So much time, and then one look at all deadlines."""
        self.now += seconds
        self.deadlines.sweep(self.now)

    async def ticks(self, seconds: float) -> None:
        """So much time as a running clock has it: a look in every interval, and between two of
        them the loop does what there is to do."""
        end = self.now + seconds
        while self.now < end:
            self.passes(min(self.interval, end - self.now))
            await settled()


async def settled(rounds: int = 10) -> None:
    """Let the loop do what there is to do already; for what must NOT happen, as nothing tells of
    that. What crosses a socket takes a round on each side."""
    for _ in range(rounds):
        await asyncio.sleep(0)


# -- serving


class Served:
    """A running server and what its contract checker saw (None: not checked)."""

    def __init__(
        self, server: HTTPServer, port: int, checked: CheckedServerDelegate | None
    ) -> None:
        self.server = server
        self.port = port
        self.checked = checked

    @property
    def connections(self) -> list[Any]:
        """The server's open connections."""
        return list(self.server._connections)


class Serving:
    """Starts servers and ends them."""

    def __init__(self) -> None:
        self._served: list[Served] = []

    async def start(
        self,
        application: Any,
        *,
        server_class: type[HTTPServer] = HTTPServer,
        check: bool = True,
        clock: FakeClock | None = None,
        **options: Any,
    ) -> Served:
        """Serve ``application``, with the contract checker in front of it if it is a delegate.

        :param clock: the server's, instead of one that goes by the loop's time.
        """
        checked = None
        if check and isinstance(application, HTTPServerConnectionDelegate):
            application = checked = check_message_delegate(application)
        server = server_class(application, **options)
        if clock is not None:
            server._clock = clock.deadlines
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        served = Served(server, sockets[0].getsockname()[1], checked)
        self._served.append(served)
        return served

    async def close(self) -> None:
        for served in self._served:
            served.server.stop()
            await soon(served.server.close_all_connections())

    def check(self) -> None:
        """The contract was kept, and every message has ended."""
        for served in self._served:
            if served.checked is not None:
                assert served.checked.violations == []
                assert [d for d in served.checked.delegates if d.state != "ended"] == []


# -- applications: delegates that a test puts together

OK = ResponseStartLine("", 200, "OK")


class Delegate(HTTPMessageDelegate):
    """Collects a message and answers it; a test replaces what it wants otherwise."""

    def __init__(self, app: App, connection: HTTPConnection) -> None:
        self.app = app
        self.connection: Any = connection
        self.line: Any = None
        self.headers = HTTPHeaders()
        self.chunks: list[bytes] = []
        self.ended = ""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self.line, self.headers = start_line, headers
        return self.app.on_headers(self)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self.chunks.append(chunk)
        return self.app.on_data(self, chunk)

    def finish(self) -> Awaitable[None] | None:
        self.ended = "finish"
        self.app.something.set()
        return self.app.on_finish(self)

    def on_connection_close(self) -> None:
        self.ended = "close"
        self.app.something.set()
        self.app.on_gone(self)

    def answer(self, body: bytes = b"", status: int = 200, **headers: str) -> None:
        """A whole answer with its length."""
        fields = HTTPHeaders({name.replace("_", "-"): value for name, value in headers.items()})
        if status >= 200 and status not in (204, 304) and "Content-Length" not in fields:
            fields["Content-Length"] = str(len(body))
        self.connection.write_headers(ResponseStartLine("", status, "Status"), fields, body)
        self.connection.finish()


class App(HTTPServerConnectionDelegate):
    """An application that answers every request with its method, target and body.

    ``delegates`` are all that it made, ``closed`` the connections that it saw closed, and
    ``something`` is set whenever a message ends.
    """

    def __init__(self, **methods: Callable[..., Any]) -> None:
        self.delegates: list[Delegate] = []
        self.closed: list[object] = []
        self.something = asyncio.Event()
        for name, method in methods.items():
            if not hasattr(self, name):
                raise TypeError(name)
            setattr(self, name, method)

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> Delegate:
        delegate = Delegate(self, request_conn)
        self.delegates.append(delegate)
        return delegate

    def on_close(self, server_conn: object) -> None:
        self.closed.append(server_conn)
        self.something.set()

    def on_headers(self, delegate: Delegate) -> Awaitable[None] | None:
        return None

    def on_data(self, delegate: Delegate, chunk: bytes) -> Awaitable[None] | None:
        return None

    def on_finish(self, delegate: Delegate) -> Awaitable[None] | None:
        line = delegate.line
        delegate.answer(f"{line.method} {line.path} ".encode() + delegate.body)
        return None

    def on_gone(self, delegate: Delegate) -> None:
        return None


class Endings(App):
    """Requests that end in every way, by their path."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def on_headers(self, delegate: Delegate) -> None:
        if delegate.line.path == "/early":
            delegate.answer(b"early")

    def on_finish(self, delegate: Delegate) -> Awaitable[None] | None:
        path, connection = delegate.line.path, delegate.connection
        if path == "/coroutine":
            return self.wait()
        if path == "/task":
            self.tasks.append(asyncio.get_running_loop().create_task(self.answer_later(delegate)))
        elif path == "/half":
            connection.write_headers(OK, HTTPHeaders(), b"half")
        elif path == "/pieces":
            connection.write_headers(ResponseStartLine("", 103, "Early Hints"), HTTPHeaders())
            connection.write_headers(OK, HTTPHeaders(), b"one")
            connection.write(b"")
            connection.write(b"three")
            connection.finish()
        elif path == "/abort":
            connection.abort()
        elif path == "/fail":
            raise ZeroDivisionError
        elif path == "/detach":
            connection.detach().close()
        elif path == "/later":
            return self.detach_later(delegate)
        elif path == "/short":
            connection.write_headers(OK, HTTPHeaders({"Content-Length": "9"}), b"half")
            connection.finish()
        elif path not in ("/slow", "/early"):
            return super().on_finish(delegate)
        return None

    async def wait(self) -> None:
        await self.gate.wait()

    async def answer_later(self, delegate: Delegate) -> None:
        await self.gate.wait()
        delegate.answer(b"later")

    async def detach_later(self, delegate: Delegate) -> None:
        await asyncio.sleep(0)
        delegate.connection.detach().close()


# -- clients


class Response(NamedTuple):
    """One answer, as h11 reads it."""

    status: int
    headers: dict[str, str]
    body: bytes
    version: str
    interim: list[int]


class Client:
    """A connection that sends bytes and takes answers apart with h11."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.rest = b""

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, port: int, **options: Any) -> Any:
        """``options``: as of ``asyncio.open_connection``."""
        if options.get("ssl") is not None:
            options["server_hostname"] = "localhost"
        client = cls(*await soon(asyncio.open_connection("127.0.0.1", port, **options)))
        try:
            yield client
        finally:
            client.writer.transport.abort()
            with contextlib.suppress(OSError):
                await soon(client.writer.wait_closed())

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await soon(self.writer.drain())

    async def more(self) -> bytes:
        """Whatever comes next; empty at the end."""
        data: bytes = await soon(self.reader.read(65536))
        return data

    async def response(self, method: str = "GET") -> Response:
        """The next answer, to a request of ``method``."""
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        parser.receive_data(self.rest) if self.rest else None
        head, body, interim = None, b"", []
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                parser.receive_data(await self.more())
            elif isinstance(event, h11.InformationalResponse):
                interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                raise AssertionError(f"no answer but {event!r}")
        assert head is not None
        self.rest = bytes(parser.trailing_data[0])
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        return Response(head.status_code, headers, body, head.http_version.decode(), interim)

    async def eof(self) -> bytes:
        """All that follows, to the end of the connection."""
        data, self.rest = self.rest, b""
        while more := await self.more():
            data += more
        return data


async def raw(port: int, data: bytes, limit: int = 1 << 20) -> bytes:
    """Send ``data`` and return all that comes back, to the end (at most ``limit`` bytes)."""
    async with Client.connect(port) as client:
        await client.send(data)
        answer = b""
        while more := await client.more():
            answer += more
            assert len(answer) <= limit, "more than anybody asked for"
        return answer


def get(path: str = "/", *fields: str, version: str = "HTTP/1.1") -> bytes:
    """A GET request with a Host and further field lines."""
    return "\r\n".join([f"GET {path} {version}", "Host: x", *fields, "", ""]).encode("latin-1")


def post(body: bytes, *fields: str, path: str = "/") -> bytes:
    """A POST request with its length."""
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


CLOSE = "Connection: close"
