"""aiohttp.web: `aiohttp_server.py PORT`."""

from __future__ import annotations

import asyncio

from aiohttp import web
from serving import CHUNK, CHUNKS_PER_MIB, HELLO, loop_name, parser, run, tls_context


async def hello(_request: web.Request) -> web.Response:
    """The 13-byte answer; every aiohttp handler is a coroutine."""
    return web.Response(body=HELLO, content_type="text/plain")


async def json_arguments(request: web.Request) -> web.Response:
    """A path argument and a query argument."""
    number = int(request.match_info["number"])
    return web.json_response({"id": number, "name": request.query["name"]})


async def echo(request: web.Request) -> web.Response:
    """A small body, buffered by the framework."""
    return web.Response(body=await request.read())


async def upload(request: web.Request) -> web.Response:
    """A large body, counted as it arrives."""
    received = 0
    async for chunk in request.content.iter_any():
        received += len(chunk)
    return web.Response(text=str(received))


async def download(request: web.Request) -> web.StreamResponse:
    """A large answer, a chunk at a time; `write` waits for the client."""
    mib = int(request.match_info["mib"])
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = mib << 20
    await response.prepare(request)
    for _ in range(mib * CHUNKS_PER_MIB):
        await response.write(CHUNK)
    await response.write_eof()
    return response


async def route(request: web.Request) -> web.Response:
    """The target of each of the many routes."""
    return web.Response(text=request.match_info["name"])


async def tell_loop(_request: web.Request) -> web.Response:
    """Which event loop is being measured."""
    return web.Response(text=loop_name())


def application(routes: int) -> web.Application:
    """The same URL table as in tornado_style.py, in aiohttp's own way of writing it."""
    app = web.Application()
    for number in range(routes):
        app.router.add_get(rf"/r{number}/{{name:\w+}}", route)
    app.router.add_get("/", hello)
    app.router.add_get("/coro", hello)
    app.router.add_get(r"/json/{number:\d+}", json_arguments)
    app.router.add_post("/echo", echo)
    app.router.add_post("/upload", upload)
    app.router.add_get(r"/download/{mib:\d+}", download)
    app.router.add_get("/loop", tell_loop)
    return app


async def main(port: int, routes: int, tls: list[str] | None) -> None:
    """Serve until ended from outside."""
    runner = web.AppRunner(application(routes), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls_context(tls)).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    run(main(options.port, options.routes, options.tls))
