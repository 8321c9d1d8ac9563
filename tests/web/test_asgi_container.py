"""Foreign ASGI applications on our server: what they are told, what becomes of what they send."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tornadoish.asgi import ASGIContainer, Event, LifespanError, Receive, Scope, Send
from tornadoish.httpserver import HTTPServer
from tornadoish.iostream import StreamClosedError
from tornadoish.routing import Mount
from tornadoish.web import Application

from .serving import PATIENCE, Framework, Serve, until

GET = ("GET / HTTP/1.1", "Host: a")
MIB = 1 << 20
OK: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.fixture
def framework() -> Framework:
    return Framework("tornadoish")


def app(act: Callable[[Scope, Receive, Send], Awaitable[None]]) -> ASGIContainer:
    """A container of an application without a lifespan."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(scope["type"])
        await act(scope, receive, send)

    return ASGIContainer(application)


def sending(*events: Event) -> ASGIContainer:
    """An application that sends these events and ends."""

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        for event in events:
            await send(event)

    return app(act)


def body(data: bytes = b"", more: bool = False) -> Event:
    return {"type": "http.response.body", "body": data, "more_body": more}


def start(status: int = 200, *fields: tuple[bytes, bytes], **more: Any) -> Event:
    return {"type": "http.response.start", "status": status, "headers": fields, **more}


# ---- What it is told -------------------------------------------------------------------------


async def told(serve: Serve, *lines: str, prefix: str = "") -> Scope:
    scopes: list[Scope] = []

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send(start(204))
        await send(body())

    container = app(act)
    site = await serve([Mount(prefix, container)] if prefix else container)
    answer = await (await site.connect()).ask(*lines)
    assert answer.status == 204
    scopes[0]["test.port"] = site.port
    return scopes[0]


async def test_scope(serve: Serve) -> None:
    scope = await told(
        serve, "OPTIONS /a%20b/%C3%A9%2Fc?x=%20&y HTTP/1.1", "Host: b:1", "X-Ab: 1", "X-AB: \xe92"
    )
    port = scope.pop("test.port")
    client = scope.pop("client")
    assert client[0] == "127.0.0.1"
    assert 0 < client[1] < 65536
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "OPTIONS",
        "scheme": "http",
        "path": "/a b/é/c",
        "raw_path": b"/a%20b/%C3%A9%2Fc",
        "query_string": b"x=%20&y",
        "root_path": "",
        "headers": [(b"host", b"b:1"), (b"x-ab", b"1"), (b"x-ab", "é2".encode())],
        "server": ("127.0.0.1", port),
        "state": {},
        "extensions": {
            "http.response.early_hint": {},
            "http.response.pathsend": {},
            "http.response.trailers": {},
            "http.response.zerocopysend": {},
        },
    }


async def test_below_a_prefix(serve: Serve) -> None:
    scope = await told(serve, "GET /%C3%A9/x?y HTTP/1.1", "Host: a", prefix="/%C3%A9")
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/é", "/é/x", b"/%C3%A9/x")


async def test_behind_a_proxy(serve: Serve) -> None:
    scopes: list[Scope] = []

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send(start())
        await send(body())

    site = await serve(app(act), server={"trusted_proxies": ["127.0.0.1"]})
    fields = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    await site.get("/", headers=fields)
    assert (scopes[0]["client"], scopes[0]["scheme"]) == (("192.0.2.7", 0), "https")


# ---- The body of the request -----------------------------------------------------------------


async def received(receive: Receive) -> list[Event]:
    events = [await receive()]
    while events[-1].get("more_body"):
        events.append(await receive())
    return events


async def test_a_body(serve: Serve) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        events = await received(receive)
        assert {event["type"] for event in events} == {"http.request"}
        await send(start())
        await send(body(b"".join([event["body"] for event in events])))

    site = await serve(app(act))
    assert (await site.get("/")).content == b""
    data = os.urandom(300_000)
    assert (await site.post("/", content=data)).content == data

    async def pieces() -> Any:
        for index in range(0, len(data), 7_000):
            yield data[index : index + 7_000]

    assert (await site.post("/", content=pieces())).content == data


async def test_no_more_is_read_than_is_received(serve: Serve) -> None:
    go_on = asyncio.Event()
    begun = asyncio.Event()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        begun.set()
        await go_on.wait()
        size = sum([len(event["body"]) for event in await received(receive)])
        await send(start())
        await send(body(b"%d" % size))

    site = await serve(app(act))
    peer = await site.connect()
    peer.send("POST / HTTP/1.1", "Host: a", f"Content-Length: {20 * MIB}", body=bytes(20 * MIB))
    await begun.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert peer.writer.transport.get_write_buffer_size() > 10 * MIB
    go_on.set()
    assert int((await peer.answer()).body) > 19 * MIB


async def test_continue_is_said_when_the_body_is_received(serve: Serve) -> None:
    reading = asyncio.Event()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/no":
            await send(start(403))
            await send(body(b"no"))
            return
        await reading.wait()
        (event, _) = await received(receive)
        await send(start())
        await send(body(event["body"]))

    site = await serve(app(act))
    head = ("Host: a", "Content-Length: 5", "Expect: 100-continue")
    peer = await site.connect()
    peer.send("POST / HTTP/1.1", *head)
    reading.set()
    assert (await peer.answer()).status == 100
    peer.writer.write(b"hello")
    assert (await peer.answer()).body == b"hello"
    peer = await site.connect()
    assert (await peer.ask("POST /no HTTP/1.1", *head)).status == 403


async def test_an_answer_before_the_body_was_received(serve: Serve) -> None:
    after: list[Event] = []

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(413))
        await send(body(b"no"))
        after.append(await receive())
        await go_on.wait()  # whatever the application does now, the connection is free

    go_on = asyncio.Event()
    site = await serve(app(act))
    peer = await site.connect()
    answer = await peer.ask(
        "POST / HTTP/1.1", "Host: a", "Content-Length: 10000", body=bytes(10_000)
    )
    assert (answer.status, after) == (413, [{"type": "http.disconnect"}])
    assert (await peer.ask(*GET)).status == 413  # the rest of it was read
    go_on.set()


@pytest.mark.parametrize("length", [0, 1000])
async def test_a_client_that_goes_away(serve: Serve, length: int) -> None:
    """Known to who receives, and to who sends."""
    events: list[Event] = []
    errors: list[BaseException] = []
    waiting = asyncio.Event()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        events.extend(await received(receive) if length == 0 else [await receive()])
        waiting.set()
        events.append(await receive())
        try:
            await send(start())
        except OSError as error:
            errors.append(error)

    site = await serve(app(act))
    peer = await site.connect()
    peer.send("POST / HTTP/1.1", "Host: a", f"Content-Length: {length}", body=b"x" * (length // 2))
    await waiting.wait()
    peer.close()
    await until(lambda: errors)
    assert [event["type"] for event in events] == ["http.request", "http.disconnect"]
    assert isinstance(errors[0], StreamClosedError)


# ---- The answer ------------------------------------------------------------------------------


async def test_a_whole_answer(serve: Serve) -> None:
    fields = [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    site = await serve(sending(start(201, *fields), body(b"hello")))
    answer = await (await site.connect()).ask(*GET)
    assert (answer.status, answer.reason, answer.body) == (201, "Created", b"hello")
    assert answer.get("Content-Length") == "5"
    assert [v for n, v in answer.fields if n.lower() == "set-cookie"] == ["a=1", "b=2"]
    assert answer.get("Date")
    assert answer.get("Server")


async def test_pieces_are_sent_as_they_come(serve: Serve) -> None:
    go_on = asyncio.Event()

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"", True))
        await go_on.wait()
        await send(body(b"first", True))
        await send(body(b"second"))

    site = await serve(app(act))
    async with site.client.stream("GET", "/") as answer:
        go_on.set()
        assert await answer.aread() == b"firstsecond"
        assert answer.headers["Transfer-Encoding"] == "chunked"


async def test_who_reads_slowly_makes_it_wait(serve: Serve) -> None:
    sent: list[int] = []
    ended: list[BaseException] = []

    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            while True:
                await send(body(bytes(10_000), True))
                sent.append(1)
        except OSError as error:
            ended.append(error)
            raise

    site = await serve(app(act))
    peer = await site.connect()
    peer.writer.transport.pause_reading()
    peer.send(*GET)
    await until(lambda: any(each.stream.blocked for each in site.server._connections))
    for _ in range(100):
        await asyncio.sleep(0)
    count = len(sent)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(sent) == count
    peer.close()
    await until(lambda: ended)


@pytest.mark.parametrize("status", [204, 304])
async def test_no_body(serve: Serve, status: int) -> None:
    site = await serve(sending(start(status, (b"x-a", b"1")), body(b"nobody", True), body(b"x")))
    peer = await site.connect()
    for _ in range(2):
        assert (await peer.ask(*GET)).get("X-A") == "1"


async def test_head(serve: Serve) -> None:
    site = await serve(sending(start(), body(b"hello")))
    peer = await site.connect()
    answer = await peer.ask("HEAD / HTTP/1.1", "Host: a")
    assert (answer.get("Content-Length"), answer.body) == ("5", b"")
    assert (await peer.ask(*GET)).body == b"hello"


async def test_trailers(serve: Serve) -> None:
    trailers: Event = {
        "type": "http.response.trailers",
        "headers": [(b"x-sum", b"1")],
        "more_trailers": True,
    }
    last: Event = {"type": "http.response.trailers", "headers": [(b"x-end", b"2")]}
    head = start(200, (b"trailer", b"x-sum, x-end"), trailers=True)
    site = await serve(sending(head, body(b"hello"), trailers, last))
    peer = await site.connect()
    peer.send(*GET)
    async with asyncio.timeout(PATIENCE):
        data = await peer.reader.readuntil(b"X-End: 2\r\n\r\n")
    assert data.endswith(b"\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-End: 2\r\n\r\n")


@pytest.mark.parametrize("before", [True, False], ids=["before the head", "behind it"])
async def test_early_hints(serve: Serve, before: bool) -> None:
    hint: Event = {"type": "http.response.early_hint", "links": [b"</a>; rel=preload"]}
    events = [hint, start()] if before else [start(), hint]
    site = await serve(sending(*events, body(b"x", True), hint, body()))
    peer = await site.connect()
    answer = await peer.ask(*GET)
    assert (answer.status, answer.get("Link")) == (103, "</a>; rel=preload")
    assert (await peer.answer()).body == b"x"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4096)
    return path


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_path(serve: Serve, file: Path, method: str) -> None:
    site = await serve(sending(start(), {"type": "http.response.pathsend", "path": str(file)}))
    answer = await site.request(method, "/")
    assert answer.content == (file.read_bytes() if method == "GET" else b"")
    assert answer.headers["Content-Length"] == str(MIB)


async def test_a_path_that_is_none(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    event: Event = {"type": "http.response.pathsend", "path": str(tmp_path / "none")}
    site = await serve(sending(start(), event))
    assert (await site.get("/")).status_code == 500
    assert "FileNotFoundError" in caplog.text


async def test_parts_of_a_file(serve: Serve, file: Path) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        with file.open("rb", buffering=0) as opened:
            part: Event = {"type": "http.response.zerocopysend", "file": opened}
            await send({**part, "offset": 1, "count": 2, "more_body": True})
            await send(body(b"|", True))
            opened.seek(MIB - 3)
            await send(part)

    site = await serve(app(act))
    assert (await site.get("/")).content == b"\1\2|\xfd\xfe\xff"


# ---- What goes wrong -------------------------------------------------------------------------


async def test_an_exception(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def act(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/head":
            await send(start())
        raise ValueError("oops")

    site = await serve(app(act))
    for path in ("/head", "/"):
        answer = await site.get(path)
        assert (answer.status_code, answer.text) == (500, "500: Internal Server Error\n")
    assert caplog.text.count("ValueError: oops") == 2


@pytest.mark.parametrize("length", [None, b"100"])
async def test_half_an_answer(
    serve: Serve, length: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    fields = [] if length is None else [(b"content-length", length)]
    site = await serve(sending(start(200, *fields), body(b"some", True)))
    peer = await site.connect()
    answer = await peer.ask(*GET)
    assert (answer.body, answer.complete) == (b"some", False)
    assert await peer.ended()
    assert "ended without an answer (the head is out" in caplog.text


async def test_no_answer(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    site = await serve(sending())
    assert (await site.get("/")).status_code == 500
    assert "ended without an answer (nothing has been sent): GET /" in caplog.text


@pytest.mark.parametrize(
    ("events", "word"),
    [
        ([body()], "Unexpected"),
        ([start(), start()], "Unexpected"),
        ([start(), {"type": "http.response.trailers"}], "Unexpected"),
        ([{"type": "websocket.accept"}], "Unexpected"),
        ([start(99)], "status"),
        ([start(101)], "status"),
        ([start(1000)], "status"),
        ([start(200, (b"x", b"a\r\nb: c"))], "Unsafe"),
        ([start(200, (b"x y", b"a"))], "Unsafe"),
        ([start(200, (b"content-length", b"5")), body(b"sixsix")], "announced"),
    ],
)
async def test_mistakes(
    serve: Serve, events: list[Event], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = await serve(sending(*events))
    assert (await site.get("/")).status_code == 500
    assert word in caplog.text


async def test_more_than_is_complete(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    site = await serve(sending(start(), body(b"all"), body(b"more")))
    peer = await site.connect()
    assert (await peer.ask(*GET)).body == b"all"
    await until(lambda: "Unexpected ASGI event 'http.response.body'" in caplog.text)
    assert (await peer.ask(*GET)).body == b"all"


async def test_fields_of_the_connection_are_not_an_applications(serve: Serve) -> None:
    fields = [(b"connection", b"x"), (b"transfer-encoding", b"chunked"), (b"keep-alive", b"x")]
    site = await serve(sending(start(200, *fields), body(b"hello")))
    answer = await (await site.connect()).ask(*GET)
    assert {name for name, _ in answer.fields} == {"Date", "Server", "Content-Length"}


# ---- Its life --------------------------------------------------------------------------------


def living(
    log: list[str], startup: str = "complete", shutdown: str = "complete"
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """An application that says how its life goes."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for what, outcome in (("startup", startup), ("shutdown", shutdown)):
                event = await receive()
                assert event == {"type": f"lifespan.{what}"}
                log.append(what)
                scope["state"]["number"] = len(log)
                await send({"type": f"lifespan.{what}.{outcome}", "message": "not today"})
                if outcome == "failed":
                    return
            return
        log.append(f"request {scope['state'].pop('number')}")
        await send(start())
        await send(body())

    return application


async def test_a_lifespan_is_that_of_the_server(serve: Serve) -> None:
    log: list[str] = []
    container = ASGIContainer(living(log))
    site = await serve([Mount("/x", container)])
    await site.application.startup()
    await site.get("/x/")
    await site.get("/x/")
    assert log == ["startup", "request 1", "request 1"]
    await site.server.drain(0)
    assert log[3:] == ["shutdown"]


async def test_a_lifespan_of_several_servers() -> None:
    log: list[str] = []
    container = ASGIContainer(living(log))
    first, second = HTTPServer(container), HTTPServer(Application([(".*", container)]))
    await container.startup()
    await container.startup()
    await first.drain()
    assert log == ["startup"]
    await second.drain()
    assert log == ["startup", "shutdown"]


async def test_a_lifespan_begins_with_the_first_request_at_the_latest(serve: Serve) -> None:
    log: list[str] = []
    site = await serve(ASGIContainer(living(log)))
    await asyncio.gather(site.get("/"), site.get("/"))
    assert log == ["startup", "request 1", "request 1"]
    await site.server.drain(0)
    assert log[3:] == ["shutdown"]


async def test_a_start_that_fails(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    log: list[str] = []
    container = ASGIContainer(living(log, startup="failed"))
    with pytest.raises(LifespanError, match="not today"):
        await container.startup()
    site = await serve(container)
    assert (await site.get("/")).status_code == 503
    assert log == ["startup", "startup"]
    assert "not today" in caplog.text


async def test_an_end_that_fails() -> None:
    container = ASGIContainer(living([], shutdown="failed"))
    await container.startup()
    with pytest.raises(LifespanError, match="not today"):
        await container.cleanup()
    await container.cleanup()  # nothing is left


async def test_an_application_without_a_lifespan(serve: Serve) -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send(start())
            await send(body(b"silent"))

    for container in (sending(start(), body(b"silent")), ASGIContainer(silent)):
        await container.startup()
        site = await serve(container)
        assert (await site.get("/")).text == "silent"
        await container.cleanup()
