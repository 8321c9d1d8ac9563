"""WSGI applications of the tests, and containers for them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from .serving import Framework, Serve

GET = ("GET / HTTP/1.1", "Host: a")


def container_of(framework: Framework, application: Any, *args: Any, **options: Any) -> Any:
    wsgi = importlib.import_module(f"{framework.name}.wsgi")
    return wsgi.WSGIContainer(application, *args, **options)


def simple(
    body: Iterable[bytes] = (b"hello",),
    status: str = "200 OK",
    headers: Iterable[tuple[str, str]] = (("Content-Type", "text/plain"),),
) -> Callable[..., Any]:
    """An application that always says the same."""

    def application(environ: Any, start_response: Any) -> Any:
        start_response(status, list(headers))
        return body

    return application


def seeing(seen: list[dict[str, Any]]) -> Callable[..., Any]:
    """An application that keeps what it is told."""

    def application(environ: Any, start_response: Any) -> Any:
        seen.append(environ)
        environ["test.body"] = environ["wsgi.input"].read()
        start_response("204 No Content", [])
        return []

    return application


async def told(serve: Serve, framework: Framework, *lines: str, body: bytes = b"") -> Any:
    """The environment of a request."""
    seen: list[dict[str, Any]] = []
    site = await serve(container_of(framework, seeing(seen)))
    answer = await (await site.connect()).ask(*lines, body=body)
    assert answer.status == 204
    return seen[0]
