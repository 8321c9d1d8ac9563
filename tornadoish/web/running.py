"""Running: how the method of a handler is run where nothing has to be waited for.

The part of ``RequestHandler`` (see ``web.handler``) that every request goes through; what needs a
task is there. It stands low in the chain, on the answer and the arguments alone, and what comes
before and behind the method is overridden above, or by applications. (Tornado:
web.RequestHandler.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, ClassVar, Final

from tornadoish.compiling import Nothing, mypyc_attr
from tornadoish.httputil import HTTPServerRequest
from tornadoish.web.arguments import Arguments
from tornadoish.web.errors import HTTPError
from tornadoish.web.exchange import HandlerApplication

Steps = Generator[Awaitable[Any], None, None]

#: What a method of a handler may end with and is answered for. (Who cancels what a handler waits
#: for does not cancel the handler.)
ERRORS: Final = (Exception, asyncio.CancelledError)


@mypyc_attr(allow_interpreted_subclasses=True)
class Running(Arguments):
    """An exchange with arguments that has a method to run."""

    SUPPORTED_METHODS: ClassVar[tuple[str, ...]] = (
        "GET",
        "HEAD",
        "POST",
        "DELETE",
        "PATCH",
        "PUT",
        "OPTIONS",
    )

    def __init__(
        self, application: HandlerApplication, request: HTTPServerRequest, **kwargs: Any
    ) -> None:
        self.application = application
        self.request = request
        self.clear()
        if type(self).on_connection_close is not _own_on_connection_close:
            request.connection.set_close_callback(self.on_connection_close)
        handler: Any = self
        if kwargs:
            handler.initialize(**kwargs)
        else:
            handler.initialize()

    # -- hooks

    def prepare(self) -> Awaitable[None] | None:
        """Override for what comes before every method; may be a coroutine. Finishing here (or
        redirecting, or an error) keeps the method from being called."""
        return None

    def on_connection_close(self) -> Nothing:
        """Override to hear that the client went away before the answer was finished."""

    def _cross_origin_protection(self) -> Nothing:
        """Refuse what another site has sent in the user's name."""

    def _handle_request_exception(self, error: BaseException) -> Nothing:
        """Answer a request whose method, or what comes before it, has raised ``error``."""
        raise NotImplementedError

    def _rest(self, pending: Awaitable[Any] | None, *, called: bool) -> Steps:
        """What is left to do behind ``pending``."""
        raise NotImplementedError

    def _go_on(self, steps: Steps, pending: Awaitable[Any]) -> Coroutine[Any, Any, None]:
        """Wait for one step after the other, in a task."""
        raise NotImplementedError

    # -- the life of a request

    def _run(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Coroutine[Any, Any, None] | None:
        """Run a request whose method is a plain function: the same steps, at once. If something has
        to be waited for all the same, the rest of them is returned."""
        called = False
        try:
            pending = begin(self, args, kwargs)
            if pending is None:
                if self._finished:
                    return None
                called = True
                pending = call_method(self)
                if pending is None or _is_done(pending):
                    if self._auto_finish and not self._finished:
                        self.finish()
                    return None
        except ERRORS as error:
            self._handle_request_exception(error)
            return None
        steps = self._rest(pending, called=called)
        return self._go_on(steps, next(steps))


# What every request goes through and nobody overrides: no methods, for those are looked up.


def begin(handler: Running, args: Sequence[Any], kwargs: dict[str, Any]) -> Awaitable[None] | None:
    """All that comes before the method; what is returned has to be waited for."""
    method = handler.request.method
    if method not in handler.SUPPORTED_METHODS:
        raise HTTPError(405)
    if args or kwargs:
        _decode_path(handler, args, kwargs)
    if method != "GET":
        handler._cross_origin_protection()
    return handler.prepare()


def call_method(handler: Running) -> Awaitable[Any] | None:
    """The method itself; what it returns has to be waited for, if it is not None."""
    method: Callable[..., Awaitable[Any] | None] = getattr(handler, handler.request.method.lower())
    args, kwargs = handler._path_args, handler._path_kwargs
    if args or kwargs:
        return method(*(args or ()), **(kwargs or {}))
    return method()


def _decode_path(handler: Running, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    decode = handler.decode_argument
    handler._path_args = [decode(arg) if isinstance(arg, bytes) else arg for arg in args]
    if kwargs:  # what is no bytes is a group that took no part, or has been converted
        handler._path_kwargs = {
            name: decode(arg, name=name) if isinstance(arg, bytes) else arg
            for name, arg in kwargs.items()
        }


#: Nobody's: integrations replace it in the class itself.
_own_on_connection_close: Final = Running.on_connection_close


def _is_done(pending: Awaitable[Any]) -> bool:
    """Whether there is nothing to wait for. Raises what it has failed with."""
    if asyncio.isfuture(pending) and pending.done() and not pending.cancelled():
        pending.result()
        return True
    return False
