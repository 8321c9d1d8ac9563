"""MultipartDelegate: forms that a delegate is told of, part by part."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tornadoish import web
from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPServerConnectionDelegate,
    MultipartDelegate,
    ParseMultipartConfig,
    PartHead,
    ResponseStartLine,
)
from tornadoish.netutil import bind_sockets
from tornadoish.testing import check_message_delegate

from .multipart_uploads import CHUNKED, LAST, TYPE, chunk, field, file, upload
from .pulling import framework
from .serving import Peer, Serve, until

__all__ = ["framework"]  # a fixture


class Recording(MultipartDelegate):
    """Tells what it was told; its hooks may be coroutines."""

    def __init__(self, slow: bool = False, **limits: Any) -> None:
        super().__init__(ParseMultipartConfig(**limits))
        self.slow = slow
        self.events: list[Any] = []

    def note(self, event: Any) -> Any:
        if not self.slow:
            self.events.append(event)
            return None
        return self.later(event)

    async def later(self, event: Any) -> None:
        await asyncio.sleep(0)
        self.events.append(event)

    def part_received(self, part: PartHead) -> Any:
        return self.note(part[:2])

    def part_data(self, chunk: bytes) -> Any:
        return self.note(chunk.decode())

    def part_finished(self) -> Any:
        return self.note(".")

    def on_connection_close(self) -> None:
        self.events.append("close")


class Bare(Recording):
    """Answers, too."""

    def __init__(self, connection: Any, app: Any) -> None:
        super().__init__(app.slow)
        self.connection = connection
        app.events = self.events

    def finish(self) -> Any:
        super().finish()
        self.events.append("finish")
        headers = HTTPHeaders({"Content-Length": "0"})
        self.connection.write_headers(ResponseStartLine("", 204, "Fine"), headers)
        self.connection.finish()


class Uploads(HTTPServerConnectionDelegate):
    def __init__(self, slow: bool) -> None:
        self.slow = slow
        self.events: list[Any] = []

    def start_request(self, server_conn: object, request_conn: Any) -> Bare:
        return Bare(request_conn, self)


BODY = field("a", b"1") + file("f", b"2") + field("b", b"") + LAST
TOLD = [("a", None), "1", ".", ("f", "x.bin"), "2", ".", ("b", None), "."]


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("end", ["finish", "malformed", "cut", "close", "another type"])
async def test_a_bare_delegate(slow: bool, end: str) -> None:
    uploads = Uploads(slow)
    checked = check_message_delegate(uploads)
    server = HTTPServer(checked)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    peer = Peer(*await asyncio.open_connection(*sockets[0].getsockname()))
    try:
        type_ = "Content-Type: text/plain" if end == "another type" else TYPE
        body = BODY if end == "finish" else field("a", b"1") + b"--B wrong" * (end == "malformed")
        peer.send("POST / HTTP/1.1", "Host: a", type_, CHUNKED, body=chunk(body))
        if end == "close":
            await until(lambda: "1" in uploads.events)
            peer.close()
            await until(lambda: "close" in uploads.events)
        else:
            peer.writer.write(chunk(b""))
            status = {"finish": 204, "another type": 415}.get(end, 400)
            assert (await peer.answer()).status == status
        await until(lambda: uploads.events)
        told = {"finish": [*TOLD, "finish"], "another type": ["close"]}
        assert uploads.events == told.get(end, [("a", None), "1", "close"])
        assert checked.violations == []
    finally:
        peer.close()
        server.stop()
        await server.close_all_connections()


async def test_a_delegate_in_a_handler(serve: Serve) -> None:
    @web.stream_request_body
    class Handler(web.RequestHandler):
        def prepare(self) -> None:
            self.parts = Recording(slow=True)
            self.parts.headers_received(None, self.request.headers)

        def data_received(self, chunk: bytes) -> Any:
            return self.parts.data_received(chunk)

        def post(self) -> None:
            self.parts.finish()
            self.write(str(self.parts.events == TOLD))

    site = await serve([("/", Handler)])
    peer = await upload(site, BODY)
    peer.writer.write(chunk(b""))
    assert (await peer.answer()).body == b"True"
    assert (await site.post("/", content=b"x")).status_code == 415


def test_a_delegate_that_is_not_told_of_the_head() -> None:
    delegate = MultipartDelegate()
    with pytest.raises(RuntimeError):
        delegate.data_received(b"x")
    delegate.headers_received(None, HTTPHeaders({"Content-Type": TYPE.partition(": ")[2]}))
    assert delegate.data_received(BODY) is None  # the hooks do nothing, if nobody overrides them
    assert delegate.finish() is None
