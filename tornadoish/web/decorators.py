"""Decorators of handlers' methods: who may call them, and with which slashes (Tornado:
tornado.web).

A client is never sent to a place that begins with two slashes (or what browsers take for them):
that would be another host.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast
from urllib.parse import urlencode, urlsplit

from tornadoish.httputil.urls import is_protocol_relative
from tornadoish.web.errors import HTTPError
from tornadoish.web.security import Security

# The handler is one of the parameters: apart from them (Concatenate), methods with **kwargs would
# not do, for these could be called "self".
P = ParamSpec("P")
R = TypeVar("R")

_REDIRECTED = ("GET", "HEAD")  # others would lose their bodies on the way


def authenticated(method: Callable[P, R]) -> Callable[P, R | None]:
    """Call a method only if there is a ``current_user``.

    Otherwise GET and HEAD are redirected to :meth:`RequestHandler.get_login_url`, with the argument
    ``next`` (unless that URL has a query already) for the way back: the target as it was sent, or
    a whole URL if the login page's is one or the target could be taken for another host. Other
    methods are a 403.

    Source: Tornado: tornado.web.authenticated. Integrations know the wrapper by its
    ``__wrapped__`` and by the name of its code, ``authenticated.<locals>.wrapper``.
    """

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
        handler = cast(Security, args[0])
        if handler.current_user:
            return method(*args, **kwargs)
        if handler.request.method not in _REDIRECTED:
            raise HTTPError(403)
        url = handler.get_login_url()
        if "?" not in url:
            target = handler.request.uri or ""
            if urlsplit(url).scheme or is_protocol_relative(target):
                target = handler.request.full_url()
            url += "?" + urlencode({"next": target})
        handler.redirect(url)
        return None

    return wrapper


def removeslash(method: Callable[P, R]) -> Callable[P, R | None]:
    """Redirect ``/foo/`` to ``/foo``, for a route such as ``/foo/*``; the query stays.

    :raises HTTPError: (the method) 404 for others than GET and HEAD, 403 where the path begins with
        two slashes.

    Source: Tornado: tornado.web.removeslash.
    """

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
        handler = cast(Security, args[0])
        path = handler.request.path
        without = path.rstrip("/")
        if without == path or (not without and handler.request.method in _REDIRECTED):
            return method(*args, **kwargs)  # there is none, or "/" is all there is
        _redirect_to_path(handler, without)
        return None

    return wrapper


def addslash(method: Callable[P, R]) -> Callable[P, R | None]:
    """Redirect ``/foo`` to ``/foo/``, for a route such as ``/foo/?``; otherwise as
    :func:`removeslash`. Source: Tornado: tornado.web.addslash.
    """

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
        handler = cast(Security, args[0])
        path = handler.request.path
        if path.endswith("/"):
            return method(*args, **kwargs)
        _redirect_to_path(handler, path + "/")
        return None

    return wrapper


def _redirect_to_path(handler: Security, path: str) -> None:
    """Send the client to ``path``, for good, with the query that it came with."""
    request = handler.request
    if request.method not in _REDIRECTED:
        raise HTTPError(404)
    if is_protocol_relative(path):
        raise HTTPError(403, "Not redirected to a path with two slashes before it")
    handler.redirect(f"{path}?{request.query}" if request.query else path, permanent=True)
