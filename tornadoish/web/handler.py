"""RequestHandler: what an application's handlers derive from.

It is put together from parts, each on top of the one before: ``Exchange`` (the answer),
``Arguments`` (what is asked), ``Cookies``, ``Security`` (the current user, XSRF), ``Localization``,
``Rendering`` (templates), ``Methods`` (the verbs), ``Failures`` (what goes wrong), ``Events``
(server-sent events), and here the life of a request: prepare, the method, finish. (Interface:
Tornado, web.RequestHandler.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from tornadoish.iostream import StreamClosedError
from tornadoish.log import app_log
from tornadoish.web.events import Events
from tornadoish.web.exchange import end_answer
from tornadoish.web.rest import Rest
from tornadoish.web.running import ERRORS, Steps, begin, call_method
from tornadoish.web.transforms import OutputTransform

H = TypeVar("H", bound="type[RequestHandler]")


class RequestHandler(Events):
    """Base class of handlers: subclasses define ``get``, ``post`` and so on.

    Each of them, and ``prepare``, may be a plain function, which runs at once, or a coroutine,
    which runs as a task. They are called with the groups of the route's pattern. When they are
    through, the answer is finished if it has not been.

    Subclasses override ``initialize`` rather than ``__init__``.
    """

    #: Whether the coroutine of a handler of this class is cancelled when its client goes away
    #: before the answer is finished (ours alone, not Tornado's).
    cancel_on_close = False
    # Set by the decorators stream_request_body and (both of them) pull_request_body.
    _stream_request_body = False
    _pull_request_body = False
    # Set on the instance of a handler that streams its body: done when prepare() is.
    _prepared_future: asyncio.Future[None] | None = None

    # -- hooks

    def _initialize(self) -> None:
        """Override to take the keyword arguments of the route (``URLSpec``'s ``kwargs``)."""

    initialize: Any = _initialize

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Override to take the body as it arrives, in a class with :func:`stream_request_body`.

        May be a coroutine: the next piece is not read before it is done.
        """
        raise NotImplementedError

    def detach(self) -> Any:
        """Take the connection's stream away: nothing more is read or written as HTTP."""
        stream = self.request.connection.detach()
        self._finished = True  # not before: a connection that has no stream is to be answered
        return stream

    # -- the life of a request

    def _steps(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Steps:
        """What happens to a request, in order; yields what has to be waited for (in a task)."""
        body: asyncio.Future[None] | None = self.request._body_future
        try:
            pending = begin(self, args, kwargs)
            if pending is not None:
                yield pending
            self._set_prepared()
            if body is not None and not self._finished:
                if self._timer is not None:
                    self._timer.pause()
                yield body
                if self._timer is not None:
                    self._timer.resume()
        except ERRORS as error:
            if not self._is_given_up(error):
                self._handle_request_exception(error)
            return
        finally:
            self._set_prepared()
        yield from self._rest(None, called=False)

    def _rest(self, pending: Awaitable[Any] | None, *, called: bool) -> Steps:
        """The second part of the steps: the method, unless it was ``called``, and the end."""
        try:
            if pending is not None:
                yield pending
            if not called and not self._finished:
                pending = call_method(self)
                if pending is not None:
                    yield pending
            if self._auto_finish and not self._finished:
                self.finish()
        except ERRORS as error:
            if not self._is_given_up(error):
                self._handle_request_exception(error)

    def _is_given_up(self, error: BaseException) -> bool:
        """Whether ``error`` says no more than that the client went away within its body."""
        if not isinstance(error, StreamClosedError):
            return False
        end, pulled = self.request._body_future, self.request._pulled
        if pulled is not None:
            return pulled.gone
        return end is not None and end.done() and end.exception() is not None

    def _set_prepared(self) -> None:
        if self._prepared_future is not None and not self._prepared_future.done():
            self._prepared_future.set_result(None)

    async def _execute(self, transforms: list[OutputTransform], *args: Any, **kwargs: Any) -> None:
        """Run a request (in a task). Integrations wrap this one under Tornado's private name."""
        if transforms:
            self._transforms = transforms
        steps = self._steps(args, kwargs)
        for pending in steps:
            await self._go_on(steps, pending)

    async def _send_rest(
        self, rest: Rest, transforms: list[OutputTransform], sent: asyncio.Future[None]
    ) -> None:
        """Transform and send it; ``sent`` hears what the future of the last ``flush`` says."""
        failure: Exception | None = None
        try:
            await rest.transform(transforms)
            self._status_code, self._reason = rest.status, rest.reason  # for the log
            await rest.write(self.request.connection)
            end_answer(self)
        except StreamClosedError as error:
            failure = error
        except Exception as error:
            app_log.error("Uncaught exception as an answer was finished", exc_info=True)
            failure = error
        finally:
            if self.request._finish_time is None:
                self._abandon()
            if not sent.done():
                if failure is None:
                    sent.set_result(None)
                else:
                    sent.set_exception(failure)
                    sent.exception()  # nobody has to look at it

    async def _go_on(self, steps: Steps, pending: Awaitable[Any]) -> None:
        """Wait for one step after the other; their errors are handled where they would arise."""
        step: Awaitable[Any] | None = pending
        while step is not None:
            try:
                await step
            except ERRORS as error:
                if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                    # Somebody cancelled the task: the client must not wait for ever.
                    if self._overdue is not None:
                        self._answer_overdue()
                    elif not self._finished:
                        if not self._headers_written:
                            self.set_status(499, "Cancelled")  # for the log: nobody is told
                        self._abandon()
                    raise
                try:
                    step = steps.throw(error)
                except StopIteration:
                    step = None
            else:
                step = next(steps, None)


def _is_cancelled() -> bool:
    """Whether this task is asked to end, and not only what it waits for was cancelled."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def pull_request_body(cls: H) -> H:
    """Class decorator: the handler reads the body itself, when it likes (ours alone, not
    Tornado's).

    ``prepare`` and then the method are called when the head is there. The body comes as it is asked
    for: ``async for chunk in self.request.body_chunks()``, ``await self.request.read_body(limit)``,
    or part by part, ``async for part in self.multipart()``. Until then the client waits, and one
    that asks whether it may send the body (``Expect: 100-continue``) is told to go on when the
    handler first reads. What has not been read when the answer is finished is dropped, or the
    connection is closed.

    If the client goes away, or its body is refused (malformed, too large, too slow), who reads gets
    a StreamClosedError; one that leaves the handler then ends it without a word in the log.

    :raises TypeError: not a handler, or one of :func:`stream_request_body`.
    """
    if _has_stream_request_body(cls) and not cls._pull_request_body:
        raise TypeError(f"{cls.__name__} streams its body already")
    cls._stream_request_body = cls._pull_request_body = True
    return cls


def stream_request_body(cls: type[RequestHandler]) -> type[RequestHandler]:
    """Class decorator: the body is not collected but given to ``data_received`` as it arrives.

    ``prepare`` is called when the head is there, the method when the body has been read.
    """
    if not issubclass(cls, RequestHandler):
        raise TypeError(f"expected subclass of RequestHandler, got {cls!r}")
    cls._stream_request_body = True
    return cls


def _has_stream_request_body(cls: type[RequestHandler]) -> bool:
    if not issubclass(cls, RequestHandler):
        raise TypeError(f"expected subclass of RequestHandler, got {cls!r}")
    return cls._stream_request_body
