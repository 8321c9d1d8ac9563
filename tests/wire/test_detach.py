"""Detaching: a connection's stream is handed to somebody else, with what nobody has read of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support import App, Client, Delegate, get, soon, until

from tornadoish.httputil import HTTPHeaders, ResponseStartLine
from tornadoish.iostream import StreamClosedError

Serve = Callable[..., Awaitable[Any]]
OK = ResponseStartLine("", 200, "OK")


@pytest.mark.parametrize(
    "when",
    ["headers", "finish", "later", "coroutine", "headers coroutine", "goes on", "returns more"],
)
async def test_detach_with_bytes_that_nobody_read(serve: Serve, when: str) -> None:
    streams: list[Any] = []
    ended, over = asyncio.Event(), []

    def detach(delegate: Delegate) -> None:
        streams.append(delegate.connection.detach())
        app.something.set()

    async def detach_in_a_coroutine(delegate: Delegate) -> None:
        await asyncio.sleep(0)
        detach(delegate)

    async def going_on() -> None:
        await ended.wait()
        over.append("over")

    async def detach_and_go_on(delegate: Delegate) -> None:
        detach(delegate)
        await going_on()

    methods: dict[str, Any] = {
        "headers": {"on_headers": detach, "on_finish": lambda d: None},
        "headers coroutine": {"on_headers": detach_in_a_coroutine, "on_finish": lambda d: None},
        "finish": {"on_finish": detach},
        "later": {"on_finish": lambda d: asyncio.get_running_loop().call_soon(detach, d) and None},
        "coroutine": {"on_finish": detach_in_a_coroutine},
        "goes on": {"on_finish": detach_and_go_on},
        "returns more": {"on_finish": lambda d: (detach(d), going_on())[1]},
    }
    app = App(**methods[when])
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get("/", "Upgrade: x") + b"not HTTP at all\r\n\r\nand more")
        await until(lambda: streams)
        await until(lambda: app.closed)
        stream = streams[0]
        assert await soon(stream.read_until(b"\r\n\r\n")) == b"not HTTP at all\r\n\r\n"
        await stream.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\nhi")
        assert await soon(stream.read_bytes(8)) == b"and more"
        await client.send(b"later")
        assert await soon(stream.read_bytes(5)) == b"later"
        stream.close()
        assert await client.eof() == b"HTTP/1.1 101 Switching Protocols\r\n\r\nhi"
    ended.set()
    await asyncio.sleep(0.01)
    assert over == (["over"] if when in ("goes on", "returns more") else [])
    assert len(app.closed) == 1
    assert served.connections == []


@pytest.mark.parametrize("method", ["on_headers", "on_finish"])
@pytest.mark.parametrize("later", [False, True])
async def test_failing_once_detached(
    serve: Serve, method: str, later: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Logged; nothing is written to a stream that is somebody else's."""
    streams: list[Any] = []

    def sync(delegate: Delegate) -> None:
        streams.append(delegate.connection.detach())
        raise ZeroDivisionError

    async def coroutine(delegate: Delegate) -> None:
        streams.append(delegate.connection.detach())
        await asyncio.sleep(0)
        raise ZeroDivisionError

    app = App(**{"on_finish": lambda d: None, method: coroutine if later else sync})
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await until(lambda: app.closed)
        await until(lambda: caplog.records)
        await streams[0].write(b"mine")
        assert await client.more() == b"mine"
        streams[0].close()
        assert await client.eof() == b""
    assert [r.name for r in caplog.records if r.levelno == logging.ERROR] == ["tornado.application"]
    assert len(app.closed) == 1


async def test_a_detached_connection_answers_no_more(serve: Serve) -> None:
    app = App(on_finish=lambda delegate: None)
    served = await serve(app)
    async with Client.connect(served.port) as client:
        await client.send(get())
        await soon(app.something.wait())
        connection = app.delegates[0].connection
        stream = connection.detach()
        with pytest.raises(StreamClosedError):
            await connection.write_headers(OK, HTTPHeaders(), b"x")
        with pytest.raises(StreamClosedError):
            connection.detach()
        stream.close()
        assert await client.eof() == b""
