"""What a request costs a server and what it leaves behind: nothing, as far as can be counted."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support import App, Client, Delegate, get, post, soon

from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import HTTPHeaders, ResponseStartLine

Serve = Callable[..., Awaitable[Any]]
OK = ResponseStartLine("", 200, "OK")

tag: contextvars.ContextVar[str] = contextvars.ContextVar("tag", default="clean")


@pytest.mark.parametrize("kind", ["sync", "coroutine"])
async def test_context_variables_are_of_one_request(serve: Serve, kind: str) -> None:
    """All calls of one share them, and nothing leaks into the next on the connection."""
    seen: list[tuple[str, str, str]] = []

    def on_headers(delegate: Delegate) -> None:
        before = tag.get()
        tag.set(delegate.line.path)
        seen.append(("headers", delegate.line.path, before))

    def on_data(delegate: Delegate, chunk: bytes) -> None:
        seen.append(("data", delegate.line.path, tag.get()))

    def sync(delegate: Delegate) -> None:
        seen.append(("finish", delegate.line.path, tag.get()))
        delegate.answer(b"x")

    async def coroutine(delegate: Delegate) -> None:
        await asyncio.sleep(0)
        sync(delegate)

    app = App(
        on_headers=on_headers, on_data=on_data, on_finish=sync if kind == "sync" else coroutine
    )
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(post(b"a", path="/1") + post(b"b", path="/2"))
        await client.response()
        await client.response()
        await client.send(post(b"c", path="/3"))
        await client.response()
    assert seen == [
        entry
        for path in ("/1", "/2", "/3")
        for entry in (("headers", path, "clean"), ("data", path, path), ("finish", path, path))
    ]
    assert tag.get() == "clean"


@pytest.mark.parametrize("size", [1, 100_000])
async def test_context_variables_do_not_leak_into_what_is_read_next(
    serve: Serve, size: int
) -> None:
    """A task that answers is what lets the next request go on: of the buffer, or of a transport
    that was paused. That one must not see the task's variables."""
    seen: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def work(delegate: Delegate) -> None:
        await asyncio.sleep(0)
        tag.set(delegate.line.path)
        delegate.answer(b"x")

    def on_headers(delegate: Delegate) -> None:
        seen.append(tag.get())

    def on_finish(delegate: Delegate) -> None:
        tasks.append(asyncio.get_running_loop().create_task(work(delegate)))

    served = await serve(App(on_headers=on_headers, on_finish=on_finish))
    async with Client.connect(served.port) as client:
        await client.send(b"".join(post(b"y" * size, path=f"/{number}") for number in range(4)))
        for _ in range(4):
            await client.response()
        await client.send(get("/later"))
        await client.response()
    await asyncio.gather(*tasks)
    assert seen == ["clean"] * 5


async def test_no_task_and_no_handle_for_a_synchronous_request(serve: Serve) -> None:
    served = await serve(App())
    loop = asyncio.get_running_loop()
    async with Client.connect(served.port) as client:
        await client.send(get())
        await client.response()
        connection = served.connections[0]
        made: list[Any] = []

        def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
            made.append(coro)
            return asyncio.Task(coro, loop=loop, **options)

        # Driven from here, so that the client's own tasks are not counted.
        sent: list[bytes] = []
        original = loop.call_soon
        loop.set_task_factory(factory)
        transport = connection.stream._transport
        try:
            loop.call_soon = lambda *a, **k: made.append(a) or original(*a, **k)  # type: ignore
        except AttributeError:
            pass  # uvloop's methods are fixed; tasks are counted all the same
        try:
            connection.stream._transport = Collecting(sent)
            connection.stream.data_received(post(b"hello") + get() * 3)
        finally:
            connection.stream._transport = transport
            loop.set_task_factory(None)
            with contextlib.suppress(AttributeError):
                del loop.call_soon  # type: ignore[attr-defined]
    assert made == []
    assert b"".join(sent).count(b"HTTP/1.1 200") == 4
    assert len(sent) == 1


class Collecting:
    """Takes what a stream writes and sends it nowhere."""

    def __init__(self, sent: list[bytes]) -> None:
        self.write = sent.append

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


async def test_no_reference_cycle_per_request() -> None:
    """The garbage collector has nothing to do: what a request made is gone when it is over."""

    def hello(request: Any) -> None:
        request.connection.write_headers(OK, HTTPHeaders({"Content-Length": "2"}), b"hi")
        request.connection.finish()

    server = HTTPServer(hello)
    server.listen(0, "127.0.0.1")
    port = next(iter(server._sockets.values())).getsockname()[1]
    count = 300
    reader, writer = await soon(asyncio.open_connection("127.0.0.1", port))

    async def ask(data: bytes) -> None:
        writer.write(data)
        await soon(reader.readuntil(b"\r\n\r\nhi"))

    requests = [get("/a?b=c", "A: b"), post(b"hello")]
    for request in requests * 20:
        await ask(request)
    gc.collect()
    gc.disable()
    try:
        for _ in range(count // 2):
            for request in requests:
                await ask(request)
        found = gc.collect()
    finally:
        gc.enable()
        writer.close()
        await soon(writer.wait_closed())
        server.stop()
        await soon(server.close_all_connections())
    assert found < count / 4, f"{found} objects in cycles after {count} requests"


async def test_no_timer_per_request(serve: Serve) -> None:
    served = await serve(App(), idle_connection_timeout=100, body_timeout=100)
    loop = asyncio.get_running_loop()
    scheduled = getattr(loop, "_scheduled", None)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await client.response()
        clock = served.server._clock
        timer = clock._timer
        before = None if scheduled is None else len(scheduled)
        for _ in range(50):
            client.writer.write(post(b"x"))
        for _ in range(50):
            head = await client.reader.readuntil(b"POST / x")
            assert head.startswith(b"HTTP/1.1 200")
        assert clock._timer is timer, "the same one sweep is due"
        assert scheduled is None or len(scheduled) == before
