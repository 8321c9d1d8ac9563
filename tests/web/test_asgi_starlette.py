"""Starlette within our applications, and ours within Starlette's."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tornadoish import web
from tornadoish.asgi import ASGIApplication, ASGIContainer, hosted
from tornadoish.httpserver import HTTPServer
from tornadoish.routing import Mount

from .serving import Framework, Serve, until

pytest.importorskip("starlette")
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount as StarletteMount
from starlette.routing import Route


@pytest.fixture
def framework() -> Framework:
    return Framework("tornadoish")


async def hello(request: Request) -> Response:
    await request.send_early_hints("</a>; rel=preload")
    return JSONResponse(
        {
            "url": str(request.url),
            "here": str(request.url_for("hello", name="xy")),
            "name": request.path_params["name"],
            "number": request.state.number,
        }
    )


async def upload(request: Request) -> Response:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return PlainTextResponse(str(size))


class Told:
    """What handlers leave behind."""

    def __init__(self) -> None:
        self.words: list[str] = []


def make_application(told: Told, file: Path) -> Starlette:
    async def endless(request: Request) -> Response:
        async def make() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield bytes(10_000)
            finally:
                told.words.append("ended")

        return StreamingResponse(make())

    async def background(request: Request) -> Response:
        async def later() -> None:
            told.words.append("later")

        return PlainTextResponse("now", background=BackgroundTask(later))

    async def wait(request: Request) -> Response:
        told.words.append("waits")
        try:
            await request.body()
        except ClientDisconnect:
            told.words.append("disconnected")
            raise
        return Response()

    async def fail(request: Request) -> Response:
        raise ValueError("oops")

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        told.words.append("begin")
        yield {"number": 42}
        told.words.append("end")

    async def pass_on(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    return Starlette(
        routes=[
            Route("/hello/{name}", hello, name="hello"),
            Route("/upload", upload, methods=["POST"]),
            Route("/wait", wait, methods=["POST"]),
            Route("/endless", endless),
            Route("/background", background),
            Route("/file", lambda request: FileResponse(file)),
            Route("/fail", fail),
        ],
        lifespan=lifespan,
        middleware=[
            Middleware(BaseHTTPMiddleware, dispatch=pass_on),
            Middleware(GZipMiddleware),
        ],
    )


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def starlette(told: Told, tmp_path: Path) -> ASGIContainer:
    file = tmp_path / "file.bin"
    file.write_bytes(bytes(range(256)) * 4096)
    return ASGIContainer(make_application(told, file))


async def test_starlette_below_a_prefix(
    serve: Serve, starlette: ASGIContainer, told: Told, tmp_path: Path
) -> None:
    site = await serve([Mount("/api", starlette)])
    answer = await site.get("/api/hello/abc?q")
    base = str(site.client.base_url).rstrip("/")
    assert answer.json() == {
        "url": f"{base}/api/hello/abc?q",
        "here": f"{base}/api/hello/xy",
        "name": "abc",
        "number": 42,
    }
    assert (await site.post("/api/upload", content=bytes(3_000_000))).text == "3000000"
    answer = await site.get("/api/file", headers={"Accept-Encoding": "identity"})
    assert answer.content == (tmp_path / "file.bin").read_bytes()
    answer = await site.get("/api/file", headers={"Range": "bytes=256-257"})
    assert (answer.status_code, answer.content) == (206, b"\0\1")
    answer = await site.request("HEAD", "/api/file", headers={"Accept-Encoding": "identity"})
    assert (answer.headers["Content-Length"], answer.content) == (str(256 * 4096), b"")
    assert (await site.get("/api/background")).text == "now"
    await until(lambda: "later" in told.words)
    assert (await site.get("/api/fail")).status_code == 500
    assert (await site.get("/api/none")).status_code == 404
    answer = await site.get("/api/upload")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    await site.server.drain(0)
    assert (told.words[0], told.words[-1]) == ("begin", "end")


async def test_a_lifespan_and_a_server(starlette: ASGIContainer, told: Told) -> None:
    application = web.Application([Mount("/api", starlette)])
    async with HTTPServer(application):
        assert told.words == ["begin"]
    assert told.words == ["begin", "end"]


async def test_clients_that_go_away(
    serve: Serve, starlette: ASGIContainer, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    site = await serve(starlette)
    peer = await site.connect()
    peer.writer.transport.pause_reading()
    peer.send("GET /endless HTTP/1.1", "Host: a")
    await until(lambda: any(each.stream.blocked for each in site.server._connections))
    peer.close()
    await until(lambda: not hosted._running)
    gc.collect()  # to which Starlette leaves its iterator
    await until(lambda: "ended" in told.words)
    peer = await site.connect()
    peer.send("POST /wait HTTP/1.1", "Host: a", "Content-Length: 10", body=b"12345")
    await until(lambda: "waits" in told.words)
    peer.close()
    await until(lambda: "disconnected" in told.words)
    await until(lambda: not site.server._connections)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    await site.server.drain(0)


async def test_ours_below_a_mount_of_starlette() -> None:
    told: list[str] = []

    class Handler(web.RequestHandler):
        def get(self, name: str) -> None:
            self.write(f"{name} {self.request.root_path} {self.request.uri}")

    ours = web.Application([web.url("/hello/(.*)", Handler, name="hello")])
    ours.on_startup.append(lambda app: told.append("begin"))
    outer = Starlette(routes=[StarletteMount("/{tenant}/ours", ASGIApplication(ours))])
    await ours.startup()  # Starlette tells nothing to what is within it
    transport = httpx.ASGITransport(outer)
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        answer = await client.get("/t%C3%BC/ours/hello/x")
    assert answer.text == "x /t%C3%BC/ours /t%C3%BC/ours/hello/x"
    assert told == ["begin"]
    await asyncio.sleep(0)
