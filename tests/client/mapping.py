"""Our modules under Tornado's names, in a process in which nobody has imported those of Tornado."""

from __future__ import annotations

import importlib
import sys
from typing import Any

#: what Tornado's client stands on
MAPPED = ("escape", "log", "httputil", "netutil", "iostream", "http1connection")


def put_ours_in_place() -> None:
    """From now on ``tornado.iostream`` and the like are ours, for whoever imports them.

    :raises RuntimeError: somebody has been earlier.
    """
    import tornado

    for name in MAPPED:
        if f"tornado.{name}" in sys.modules:
            raise RuntimeError(f"tornado.{name} has been imported already")
        module = importlib.import_module(f"tornadoish.{name}")
        sys.modules[f"tornado.{name}"] = module
        setattr(tornado, name, module)


def where_the_client_stands() -> dict[str, str]:
    """The module that each thing comes from which the client has imported by its name."""
    tornado, http, simple, tcp = (
        importlib.import_module(name)
        for name in (
            "tornado", "tornado.httpclient", "tornado.simple_httpclient", "tornado.tcpclient",
        )
    )  # fmt: skip
    used: dict[str, Any] = {
        "HTTP1Connection": simple.HTTP1Connection,
        "HTTPHeaders": http.httputil.HTTPHeaders,
        "HTTPMessageDelegate": simple._HTTPConnection.__mro__[1],
        "IOStream": tcp.IOStream,
        "Resolver": tcp.Resolver,
        "StreamClosedError": simple.StreamClosedError,
        "SimpleAsyncHTTPClient": simple.SimpleAsyncHTTPClient,
        "utf8": http.utf8,
    }
    found = {name: thing.__module__ for name, thing in used.items()}
    for name in MAPPED:
        found[f"tornado.{name}"] = getattr(tornado, name).__name__
    return found
