"""Our applications as ASGI applications: what delegates are told, what hosts are sent."""

# Classes here have bases that only the test knows.
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from tornadoish import web
from tornadoish.asgi import ASGIApplication
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPOutputError,
    HTTPServerRequest,
    ResponseStartLine,
)
from tornadoish.iostream import StreamClosedError
from tornadoish.routing import Mount

from .asgi_host import GONE, Host, piece
from .serving import until


def application(*rules: Any, **settings: Any) -> web.Application:
    return web.Application(list(rules), **settings)


def getting(act: Any, **members: Any) -> web.Application:
    """An application whose handler's GET and POST are ``act``."""
    members.update(get=act, post=act, check_xsrf_cookie=lambda self: None)
    return application((".*", type("Handler", (web.RequestHandler,), members)))


# ---- Requests --------------------------------------------------------------------------------


async def test_what_a_handler_sees() -> None:
    seen: list[Any] = []

    def get(self: Any) -> None:
        request: HTTPServerRequest = self.request
        seen.extend([request.method, request.uri, request.path, request.query, request.version])
        seen.extend([request.host, request.remote_ip, request.protocol, request.full_url()])
        seen.append(request.headers.get_list("X-A"))
        seen.append(str(request.connection.context))

    scope: dict[str, Any] = {
        "query_string": b"x=%20",
        "scheme": "https",
        "fields": [(b"host", b"b:1"), (b"x-a", b"1"), (b"x-a", "ü".encode())],
    }
    await Host(getting(get), path="/a%20b", **scope).run()
    assert seen == [
        "GET", "/a%20b?x=%20", "/a%20b", "x=%20", "HTTP/1.1",
        "b:1", "192.0.2.1", "https", "https://b:1/a%20b?x=%20", ["1", "\xc3\xbc"], "192.0.2.1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ({"raw_path": None, "path": "/é %?"}, "/%C3%A9%20%25%3F"),
        ({"raw_path": "/é#".encode(), "path": "/"}, "/%C3%A9%23"),
        ({"raw_path": b"/a%2fb", "query_string": b"x#\xff"}, "/a%2fb?x%23%FF"),
        ({"raw_path": b"/a?b", "query_string": b""}, "/a"),
        ({"raw_path": b"*", "path": "*"}, "*"),
    ],
)
async def test_targets(scope: dict[str, Any], target: str) -> None:
    seen: list[Any] = []
    await Host(getting(lambda self: seen.append(self.request.uri)), **scope).run()
    assert seen == [target]


@pytest.mark.parametrize(
    ("root", "path", "uri"),
    [
        ("/sub", "/sub/x", "/sub/x"),  # uvicorn, starlette
        ("/sub/", "/sub/x", "/sub/x"),
        ("/sub", "/x", "/sub/x"),  # hypercorn
        ("/sub", "/subx", "/sub/subx"),
        ("/é/ü", "/%c3%a9/%C3%BC/x", "/%c3%a9/%C3%BC/x"),
    ],
)
async def test_below_a_root_path(root: str, path: str, uri: str) -> None:
    seen: list[Any] = []

    class Handler(web.RequestHandler):
        def get(self, rest: str) -> None:
            request = self.request
            seen.append((request.uri, request.path, rest, self.reverse_url("name", "y")))
            seen.append(request.path[len(request.root_path) :])

    class Inner(web.Application):
        def on_close(self, server_conn: object) -> None:
            closed.append(server_conn)

    closed: list[object] = []
    inner = Inner([web.url("/(x|subx)", Handler, name="name")])
    rest = path.rpartition("/")[2]
    host = await Host(inner, path=path, root_path=root, check=False).run()
    assert host.status == 200
    assert len(closed) == 1
    assert seen[0][:3] == (uri, uri, rest)
    assert seen[1] == f"/{rest}"


async def test_a_function_as_an_application() -> None:
    def answer(request: HTTPServerRequest) -> None:
        body = f"{request.root_path} {request.path} ".encode() + request.body
        line = ResponseStartLine("", 200, "OK")
        request.connection.write_headers(line, HTTPHeaders(), body)
        request.connection.finish()

    host = Host(answer, piece(b"ab", True), piece(b"c"), method="POST", path="/r/x",
                root_path="/r", headers={"content-length": "3"}, check=False)  # fmt: skip
    assert (await host.run()).body == b"/r /r/x abc"


@pytest.mark.parametrize(
    "scope",
    [
        {"fields": [(b"host", b"a/../b?c")]},
        {"fields": [(b"host", b"a"), (b"host", b"b")]},
        {"fields": [(b"x", b"a\0b")]},
        {"fields": [(b"x", b"a\r\nb: c")]},
        {"fields": [(b"x y", b"a")]},
        {"fields": [(b"content-length", b"+5")]},
        {"method": "G T"},
    ],
)
async def test_what_a_host_lets_through(scope: dict[str, Any]) -> None:
    host = await Host(getting(lambda self: None), **scope).run()
    assert (host.status, host.delegates) == (400, [])


# ---- Bodies ----------------------------------------------------------------------------------

POST: dict[str, Any] = {"method": "POST", "headers": {"transfer-encoding": "chunked"}}


async def test_a_collected_body() -> None:
    app = getting(lambda self: self.finish(self.request.body))
    host = Host(app, piece(b"a", True), piece(b"", True), piece(b"b", True), piece(b"c"), **POST)
    assert (await host.run()).body == b"abc"
    assert host.calls == ["headers_received", *["data_received"] * 3, "finish"]


async def test_a_streamed_body_waits_for_who_takes_it() -> None:
    taken: list[bytes] = []
    go_on = asyncio.Event()

    @web.stream_request_body
    class Handler(web.RequestHandler):
        async def data_received(self, chunk: bytes) -> None:
            taken.append(chunk)
            await go_on.wait()

        def post(self) -> None:
            self.finish(b"".join(taken))

    host = Host(application(("/", Handler)), piece(b"a", True), piece(b"b", True), piece(), **POST)
    host.start()
    await until(lambda: taken)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (taken, host.received) == ([b"a"], 1)
    go_on.set()
    assert (await host.run()).body == b"ab"


async def test_a_pulled_body() -> None:
    @web.pull_request_body
    class Handler(web.RequestHandler):
        async def post(self) -> None:
            assert host.received == 0  # so the host has not said 100-continue
            async for chunk in self.request.body_chunks():
                self.write(chunk + b"|")
                await self.flush()

    host = Host(application(("/", Handler)), piece(b"a", True), piece(b"b", True), piece(), **POST)
    assert (await host.run()).body == b"a|b|"


@pytest.mark.parametrize("pulled", [True, False])
async def test_an_answer_before_the_body_was_read(pulled: bool) -> None:
    class Handler(web.RequestHandler):
        def prepare(self) -> None:
            self.set_status(403)
            self.finish("no")

    decorate = web.pull_request_body if pulled else web.stream_request_body
    host = await Host(application(("/", decorate(Handler))), **POST).run()
    assert (host.status, host.body, host.complete, host.received) == (403, b"no", True, 0)
    assert host.calls == ["headers_received", "on_connection_close"]


async def test_a_handler_that_goes_on_behind_its_answer() -> None:
    go_on = asyncio.Event()
    ended: list[str] = []

    @web.pull_request_body
    class Handler(web.RequestHandler):
        async def post(self) -> None:
            self.finish("early")
            await go_on.wait()
            ended.append("ended")

    host = await Host(application(("/", Handler)), **POST).run()
    assert (host.body, host.received, ended) == (b"early", 0, [])
    go_on.set()
    await until(lambda: ended)


async def test_an_answer_as_the_body_is_awaited() -> None:
    answer = asyncio.Event()

    @web.stream_request_body
    class Handler(web.RequestHandler):
        async def prepare(self) -> None:
            asyncio.get_running_loop().create_task(self.later())

        async def later(self) -> None:
            await answer.wait()
            self.finish("early")

        def data_received(self, chunk: bytes) -> None:
            pass

    host = Host(application(("/", Handler)), piece(b"a", True), **POST)
    host.start()
    await until(lambda: host.received)
    answer.set()
    assert (await host.run()).body == b"early"
    assert host.calls == ["headers_received", "data_received", "on_connection_close"]


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large(declared: bool) -> None:
    headers = {"content-length": "100"} if declared else {"transfer-encoding": "chunked"}
    app = getting(lambda self: self.finish("taken"))
    host = Host(app, piece(bytes(50), True), piece(bytes(50)), method="POST", headers=headers,
                max_body_size=99)  # fmt: skip
    await host.run()
    assert (host.status, host.received) == (413, 0 if declared else 2)
    assert host.calls[-1] == "on_connection_close"


async def test_who_writes_when_it_has_been_refused() -> None:
    errors: list[BaseException | None] = []

    @web.stream_request_body
    class Handler(web.RequestHandler):
        def data_received(self, chunk: bytes) -> None:
            pass

        def on_connection_close(self) -> None:
            asyncio.get_running_loop().call_soon(self.write_more)

        def write_more(self) -> None:
            self.write("more")
            errors.append(self.flush().exception())

    host = Host(application(("/", Handler)), piece(bytes(50), True), max_body_size=9, **POST)
    await host.run()
    await until(lambda: errors)
    assert (host.status, host.complete) == (413, True)
    assert isinstance(errors[0], StreamClosedError)


async def test_a_handler_that_allows_more() -> None:
    @web.stream_request_body
    class Handler(web.RequestHandler):
        size = 0

        def prepare(self) -> None:
            self.request.connection.set_max_body_size(100)

        def data_received(self, chunk: bytes) -> None:
            self.size += len(chunk)

        def post(self) -> None:
            self.finish(str(self.size))

    host = Host(application(("/", Handler)), piece(bytes(100)), method="POST",
                headers={"content-length": "100"}, max_body_size=10)  # fmt: skip
    assert (await host.run()).body == b"100"


async def test_a_body_that_takes_too_long() -> None:
    @web.stream_request_body
    class Handler(web.RequestHandler):
        def prepare(self) -> None:
            self.request.connection.set_body_timeout(0)

        def data_received(self, chunk: bytes) -> None:
            pass

    host = Host(application(("/", Handler)), piece(b"a", True), **POST)
    host.incoming.get_nowait()
    assert (await host.run()).status == 408


# ---- Answers ---------------------------------------------------------------------------------


async def test_a_whole_answer_is_two_events() -> None:
    host = await Host(getting(lambda self: self.write("hello"))).run()
    assert [event["type"] for event in host.sent] == ["http.response.start", "http.response.body"]
    assert host.sent[1] == {"type": "http.response.body", "body": b"hello", "more_body": False}
    names = set(host.headers)
    assert names == {"content-type", "content-length", "etag"}  # the host says Date and Server


async def test_pieces_wait_for_the_host() -> None:
    written: list[int] = []

    async def get(self: Any) -> None:
        for number in range(3):
            self.write("x")
            await self.flush()
            written.append(number)

    host = Host(getting(get))
    host.takes.clear()
    host.start()
    for _ in range(20):
        await asyncio.sleep(0)
    assert written == []
    host.takes.set()
    await host.run()
    assert (written, host.body, host.complete) == ([0, 1, 2], b"xxx", True)


async def test_head() -> None:
    class Handler(web.RequestHandler):
        def head(self) -> None:
            self.write("hello")

    host = await Host(application(("/", Handler)), method="HEAD").run()
    assert (host.headers["content-length"], host.body, host.complete) == ("5", b"", True)


async def test_no_body() -> None:
    host = await Host(getting(lambda self: self.set_status(204))).run()
    assert (host.status, host.body, host.complete) == (204, b"", True)


async def test_trailers() -> None:
    def get(self: Any) -> None:
        self.write("hello")
        self.set_trailer("X-Sum", "1")

    plain = await Host(getting(get)).run()
    assert (len(plain.sent), plain.complete) == (2, True)
    host = await Host(getting(get), extensions=("http.response.trailers",)).run()
    assert host.sent[0]["trailers"] is True
    assert host.sent[2] == {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}


async def test_early_hints() -> None:
    async def get(self: Any) -> None:
        await self.send_early_hints("</a>; rel=preload")

    assert (await Host(getting(get)).run()).status == 200
    host = await Host(getting(get), extensions=("http.response.early_hint",)).run()
    hint = {"type": "http.response.early_hint", "links": [b"</a>; rel=preload"]}
    assert (host.sent[0], host.sent[1]["status"]) == (hint, 200)


async def test_an_exception() -> None:
    def get(self: Any) -> None:
        raise ValueError("oops")

    assert (await Host(getting(get)).run()).status == 500


async def test_half_an_answer() -> None:
    """It ends without its end, and hosts close the connection."""

    async def get(self: Any) -> None:
        self.write("some")
        await self.flush()
        raise ValueError("oops")

    host = await Host(getting(get)).run()
    assert (host.body, host.complete) == (b"some", False)


async def test_less_than_was_announced() -> None:
    def get(self: Any) -> None:
        self.set_header("Content-Length", "9")
        self.write("some")

    host = await Host(getting(get)).run()
    assert not host.complete


async def test_a_function_that_announces_too_much() -> None:
    def answer(request: HTTPServerRequest) -> None:
        line = ResponseStartLine("", 200, "OK")
        request.connection.write_headers(line, HTTPHeaders({"Content-Length": "9"}), b"some")
        with pytest.raises(HTTPOutputError, match="5 bytes"):
            request.connection.finish()

    host = await Host(answer, check=False).run()
    assert (host.body, host.complete) == (b"some", False)


async def test_more_than_was_announced() -> None:
    def get(self: Any) -> None:
        self.set_header("Content-Length", "3")
        self.write("some")

    assert (await Host(getting(get)).run()).status == 500


async def test_there_is_nothing_to_detach(caplog: pytest.LogCaptureFixture) -> None:
    host = await Host(getting(lambda self: self.detach())).run()
    assert host.status == 500
    assert "there is no stream to detach" in caplog.text


# ---- Who goes away ---------------------------------------------------------------------------


def waiting(told: list[str], **members: Any) -> web.Application:
    """A handler that waits for ever and writes down how that ends."""

    async def act(self: Any) -> None:
        told.append("waits")
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    def on_connection_close(self: Any) -> None:
        told.append("closed")

    return getting(act, on_connection_close=on_connection_close, **members)


@pytest.mark.parametrize("cancel", [True, False])
async def test_a_client_that_goes_away(cancel: bool) -> None:
    told: list[str] = []
    host = Host(waiting(told, cancel_on_close=cancel))
    host.start()
    await until(lambda: told)
    host.incoming.put_nowait(GONE)
    await host.run()
    if cancel:
        await until(lambda: len(told) == 3)
    assert told == ["waits", "closed", "cancelled"][: 3 if cancel else 2]
    assert host.sent == []


async def test_a_client_that_goes_away_as_it_sends() -> None:
    told: list[str] = []

    @web.stream_request_body
    class Handler(web.RequestHandler):
        def data_received(self, chunk: bytes) -> None:
            told.append("data")

        def on_connection_close(self) -> None:
            told.append("closed")

    await Host(application(("/", Handler)), piece(b"a", True), GONE, **POST).run()
    assert told == ["data", "closed"]


async def test_a_host_that_says_so_as_it_is_sent_something() -> None:
    errors: list[BaseException] = []
    told: list[str] = []

    async def get(self: Any) -> None:
        self.write("x")
        try:
            await self.flush()
        except StreamClosedError as error:
            errors.append(error)

    host = Host(getting(get, on_connection_close=lambda self: told.append("closed")))
    host.error = OSError("gone")
    await host.run()
    await until(lambda: errors)
    assert told == ["closed"]


async def test_a_host_that_cuts_the_request() -> None:
    told: list[str] = []
    host = Host(waiting(told))
    task = host.start()
    await until(lambda: told)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: "cancelled" in told)
    host.check()


# ---- Contexts --------------------------------------------------------------------------------


async def test_a_request_has_a_context_of_its_own() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    @web.stream_request_body
    class Handler(web.RequestHandler):
        async def prepare(self) -> None:
            seen.append(variable.get())
            self.token = variable.set("prepare")

        async def data_received(self, chunk: bytes) -> None:
            pass

        async def post(self) -> None:
            seen.append(variable.get())

        def on_finish(self) -> None:
            variable.reset(self.token)

    for _ in range(2):
        await Host(application(("/", Handler)), piece(b"a"), **POST).run()
    assert seen == ["unset", "prepare"] * 2


# ---- Lifespan --------------------------------------------------------------------------------


async def live(app: Any, *, end: bool = True) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    events = iter(["startup", "shutdown"])

    async def receive() -> Any:
        return {"type": f"lifespan.{next(events)}"}

    async def send(event: Any) -> None:
        sent.append(event)

    await ASGIApplication(app)({"type": "lifespan", "state": {}}, receive, send)
    return sent


async def test_the_hooks_of_an_application() -> None:
    log: list[str] = []
    app = application(Mount("/x", application()))
    app.on_startup.append(lambda app: log.append("startup"))
    app.on_shutdown.append(lambda app: log.append(f"shutdown {app.draining.is_set()}"))
    app.on_cleanup.append(lambda app: log.append("cleanup"))
    sent = await live(app)
    assert log == ["startup", "shutdown True", "cleanup"]
    assert [event["type"] for event in sent] == [
        "lifespan.startup.complete", "lifespan.shutdown.complete"
    ]  # fmt: skip


async def test_hooks_that_fail() -> None:
    def fail(app: Any) -> None:
        raise ValueError("oops")

    app = application()
    app.on_startup.append(fail)
    (event,) = await live(app)
    assert event["type"] == "lifespan.startup.failed"
    assert "oops" in event["message"]
    app = application()
    app.on_cleanup.append(fail)
    sent = await live(app)
    assert sent[1]["type"] == "lifespan.shutdown.failed"


async def test_a_function_has_no_hooks() -> None:
    sent = await live(lambda request: None)
    assert [event["type"] for event in sent] == [
        "lifespan.startup.complete", "lifespan.shutdown.complete"
    ]  # fmt: skip


async def test_other_scopes() -> None:
    with pytest.raises(NotImplementedError, match="telnet"):
        await ASGIApplication(application())({"type": "telnet"}, None, None)  # type: ignore[arg-type]
