"""What an object is that is to be served, and how to serve it.

Called within the event loop, for what makes an application may be a coroutine function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

from tornadoish.asgi import ASGIApp, ASGIContainer
from tornadoish.cli.loading import AppError, told_of
from tornadoish.httputil import HTTPServerConnectionDelegate
from tornadoish.web import RequestHandler

_SERVED = (
    "expected an Application, another HTTPServerConnectionDelegate, an ASGI application, or a "
    "function without parameters that makes one of these"
)


async def as_delegate(found: object, name: str) -> HTTPServerConnectionDelegate:
    """What a server may ask for each request, of whatever ``name`` is.

    :raises AppError: it cannot be served, or what makes it has raised something.
    """
    delegate = _served(found)
    if delegate is not None:
        return delegate
    if not callable(found):
        raise AppError(f"{name} is {_kind(found)}: {_SERVED}")
    _check_call(found, name)
    try:
        made = found()
        if inspect.isawaitable(made):
            made = await made
    except Exception as error:
        raise AppError(f"{name}() has failed: {told_of(error)}", error) from None
    delegate = _served(made)
    if delegate is None:
        hint = "; does it return what it makes?" if made is None else ""
        raise AppError(f"{name}() has made {_kind(made)}: {_SERVED}{hint}")
    return delegate


def what_it_is(delegate: HTTPServerConnectionDelegate) -> str:
    """A word for the log."""
    if isinstance(delegate, ASGIContainer):
        application = delegate.application
        kind = type(application)
        return "ASGI" if inspect.isroutine(application) else f"ASGI, {kind.__name__}"
    return type(delegate).__name__


def _served(found: object) -> HTTPServerConnectionDelegate | None:
    if isinstance(found, type):
        return None
    if isinstance(found, HTTPServerConnectionDelegate):
        return found
    if callable(found) and _takes(found, 3) and (not _takes(found, 0) or _is_coroutine(found)):
        return ASGIContainer(cast(ASGIApp, found))
    return None


def _check_call(found: Callable[..., Any], name: str) -> None:
    if _takes(found, 0):
        return
    if isinstance(found, type) and issubclass(found, RequestHandler):
        raise AppError(f"{name} is a handler: serve an application, Application([('/', {name})])")
    if _takes(found, 2):
        raise AppError(
            f"{name} looks like a WSGI application: serve tornadoish.wsgi.WSGIContainer({name})"
        )
    raise AppError(f"{name} needs arguments, and is called without: {_SERVED}")


def _takes(found: Callable[..., Any], count: int) -> bool:
    """Whether it may be called with so many arguments."""
    try:
        inspect.signature(found).bind(*range(count))
    except (TypeError, ValueError):  # ValueError: of some built-in functions it is not known
        return False
    return True


def _is_coroutine(found: Callable[..., Any]) -> bool:
    method = inspect.getattr_static(type(found), "__call__", None)
    return inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(method)


def _kind(found: object) -> str:
    if found is None:
        return "None"
    if isinstance(found, type):
        return f"the class {found.__name__}"
    name = type(found).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
