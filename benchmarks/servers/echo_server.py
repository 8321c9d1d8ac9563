"""The servers of `bad_input.py`, each in its own way of being started: `echo_server.py KIND PORT`.

Nothing is configured but the port, one process, and silence: what a server refuses is what it
refuses by default.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from echo_app import app, echo
from serving import run

HOST = "127.0.0.1"


def tornado_style(package: str, port: int) -> None:
    """tornadoish and Tornado: one program, as in `tornado_style.py`."""
    httpserver: Any = importlib.import_module(f"{package}.httpserver")
    httputil: Any = importlib.import_module(f"{package}.httputil")

    def answer(request: Any) -> None:
        body = echo(request.method, request.uri, request.body)
        fields = httputil.HTTPHeaders({"Content-Length": str(len(body))})
        line = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
        request.connection.write_headers(line, fields, b"" if request.method == "HEAD" else body)
        request.connection.finish()

    async def main() -> None:
        httpserver.HTTPServer(answer).listen(port, HOST)
        await asyncio.Event().wait()

    run(main())


def aiohttp(port: int, parser: str) -> None:
    """aiohttp without its router: a handler for whatever is a request."""
    if parser == "py":
        os.environ["AIOHTTP_NO_EXTENSIONS"] = "1"
    from aiohttp import web

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(body=echo(request.method, request.path_qs, await request.read()))

    async def main() -> None:
        runner = web.ServerRunner(web.Server(answer, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, HOST, port).start()
        await asyncio.Event().wait()

    run(main())


def uvicorn(port: int, parser: str) -> None:
    """uvicorn with one of its parsers."""
    import uvicorn

    uvicorn.run(
        app,
        host=HOST,
        port=port,
        http=parser,
        lifespan="off",
        log_level="critical",
        access_log=False,
    )


def hypercorn(port: int) -> None:
    """hypercorn on asyncio."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.loglevel = "CRITICAL"
    shutdown = asyncio.Event()
    run(serve(app, config, shutdown_trigger=shutdown.wait))  # type: ignore[arg-type]


def granian(port: int) -> None:
    """granian with one worker."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    Granian(
        "echo_app:app",
        address=HOST,
        port=port,
        interface=Interfaces.ASGINL,
        workers=1,
        log_level=LogLevels.critical,
    ).serve()


def gunicorn(port: int, worker: str, application: str) -> None:
    """gunicorn with one worker process."""
    from gunicorn.app.wsgiapp import run as run_gunicorn  # type: ignore[import-untyped]

    sys.argv = [
        "gunicorn", "--bind", f"{HOST}:{port}", "--worker-class", worker, "--threads", "32",
        "--log-level", "critical", "--no-control-socket", application,
    ]  # fmt: skip
    run_gunicorn()


KINDS: dict[str, Callable[[int], None]] = {
    "tornadoish": lambda port: tornado_style("tornadoish", port),
    "tornado": lambda port: tornado_style("tornado", port),
    "aiohttp": lambda port: aiohttp(port, "c"),
    "aiohttp-py": lambda port: aiohttp(port, "py"),
    "uvicorn-h11": lambda port: uvicorn(port, "h11"),
    "uvicorn-httptools": lambda port: uvicorn(port, "httptools"),
    "hypercorn": hypercorn,
    "granian": granian,
    "gunicorn-wsgi": lambda port: gunicorn(port, "gthread", "echo_app:wsgi_app"),
    "gunicorn-asgi": lambda port: gunicorn(port, "asgi", "echo_app:app"),
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](int(sys.argv[2]))
