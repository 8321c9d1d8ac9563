"""HandlerRun: between a connection and the handler of one request.

What ``_HandlerDelegate`` does, of which ``Application`` makes one for each request that it has a
handler for. It collects the body, or lets the handler take it as it comes, makes the handler and
runs it. (Tornado: web._HandlerDelegate.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextvars import Context
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import Any, cast

from tornadoish.compiling import mypyc_attr
from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.web.bodies import PulledBody, PushedBody
from tornadoish.web.exchange import HandlerApplication
from tornadoish.web.handler import RequestHandler
from tornadoish.web.tasks import run_in_task
from tornadoish.web.timer import HandlerTimer
from tornadoish.web.transforms import OutputTransform

_own_execute = RequestHandler._execute


@lru_cache(maxsize=4096)
def _runs_inline(method: Any, prepare: Any, execute: Any) -> bool:
    """Whether a handler with these functions runs without a task: the method and ``prepare`` are
    plain, and ``_execute`` is nobody else's (wrapped or overridden, it wants to be called)."""
    return (
        execute is _own_execute
        and not iscoroutinefunction(method)
        and not iscoroutinefunction(prepare)
    )


_NO_KWARGS: dict[str, Any] = {}  # read only, of course


@mypyc_attr(allow_interpreted_subclasses=True)
class HandlerRun:
    """Collects a request's body (unless it is streamed) and runs its handler."""

    __slots__ = (
        "application",
        "chunks",
        "connection",
        "handler",
        "handler_class",
        "handler_kwargs",
        "path_args",
        "path_kwargs",
        "request",
        "taker",
    )

    def __init__(
        self,
        application: HandlerApplication,
        request: HTTPServerRequest,
        handler_class: type[RequestHandler],
        handler_kwargs: dict[str, Any] | None,
        path_args: list[bytes] | None,
        path_kwargs: dict[str, bytes] | None,
    ) -> None:
        self.application = application
        self.connection = request.connection
        self.request = request
        self.handler_class = handler_class
        self.handler_kwargs = handler_kwargs or _NO_KWARGS
        self.path_args: Sequence[bytes] = path_args or ()
        self.path_kwargs = path_kwargs or _NO_KWARGS
        self.chunks: Sequence[bytes] = ()
        self.handler: RequestHandler | None = None
        # Who takes the body as it arrives, if it is not collected.
        self.taker: PushedBody | PulledBody | None = None

    @property
    def stream_request_body(self) -> bool:
        """Whether the handler takes the body as it arrives."""
        return self.handler_class._stream_request_body

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        if not self.handler_class._stream_request_body:
            return None
        if self.handler_class._pull_request_body:
            return self._let_pull()
        loop = asyncio.get_running_loop()
        end = self.request._body_future = loop.create_future()
        handler = self.handler_class(self.application, self.request, **self.handler_kwargs)
        self.handler = handler
        self.taker = PushedBody(handler, end)
        prepared = handler._prepared_future = loop.create_future()
        self._run_as_task(handler)
        return None if prepared.done() else prepared

    def _let_pull(self) -> Awaitable[None] | None:
        """Run the handler now. What is returned is done when it begins to read the body."""
        body = self.taker = self.request._pulled = PulledBody()
        handler = self.handler_class(self.application, self.request, **self.handler_kwargs)
        self.handler = handler
        connection: object = self.connection
        follows = True
        if isinstance(connection, HTTPConnection):
            connection.set_body_callback(body.let_go)
            follows = connection.body_follows
        task = self._run_as_task(handler)
        task.add_done_callback(lambda _: body.let_go() if handler._finished else None)
        return body.wanted() if follows and not handler._finished else None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self.taker is not None:
            return self.taker.data_received(chunk)
        if self.chunks:
            cast("list[bytes]", self.chunks).append(chunk)
        else:
            self.chunks = [chunk]
        return None

    def trailers_received(self, trailers: HTTPHeaders) -> None:
        self.request.trailers = trailers

    def finish(self) -> None:
        if self.taker is not None:
            self.taker.finish()
            return
        chunks = self.chunks
        if chunks:
            self.request.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self.execute()

    def on_connection_close(self) -> None:
        self.chunks = ()
        handler, taker = self.handler, self.taker
        if handler is None or taker is None:
            return
        taker.on_connection_close()
        if not handler._finished or handler._abandoned:
            self.connection.set_close_callback(None)  # it hears of it here, once
            handler.on_connection_close()

    def execute(self) -> Awaitable[None] | None:
        """Run the handler: at once where its method is a plain function, else as a task."""
        cls = self.handler_class
        application, request = self.application, self.request
        if self.handler_kwargs:
            handler = cls(application, request, **self.handler_kwargs)
        else:
            handler = cls(application, request)
        self.handler = handler
        # Looked up every time, for applications and tests replace methods of their classes.
        method = getattr(cls, request.method.lower(), None)
        if not _runs_inline(method, cls.prepare, cls._execute):
            return self._run_as_task(handler)
        if application.transforms:
            handler._transforms = self._make_transforms()
        rest = handler._run(self.path_args, self.path_kwargs)
        if rest is None:
            return None
        # It has begun in the request's own context and must end there (whoever set a variable in
        # prepare() may reset it in on_finish()); not eagerly, for we are in that context now.
        variables = getattr(self.connection, "variables", None)  # tests have odd connections
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(
            rest, context=variables if isinstance(variables, Context) else None
        )
        self._make_timer(handler)
        self._hold(task, handler)
        return task

    def _run_as_task(self, handler: RequestHandler) -> asyncio.Task[None]:
        coroutine = handler._execute(self._make_transforms(), *self.path_args, **self.path_kwargs)
        if asyncio.isfuture(coroutine):  # overridden by a gen.coroutine: runs already
            return cast("asyncio.Task[None]", coroutine)
        self._make_timer(handler)
        task = run_in_task(coroutine)
        self._hold(task, handler)
        return task

    def _make_timer(self, handler: RequestHandler) -> None:
        """Make a timer for the handler, if its time is bounded; ``_hold`` starts it."""
        seconds = handler.handler_timeout
        if seconds is ...:
            seconds = self.application.settings.get("handler_timeout")
        if seconds is not None:
            timer = handler._timer = HandlerTimer(handler, seconds)
            if isinstance(self.taker, PulledBody):
                self.taker.timer = timer

    def _hold(self, task: asyncio.Task[None], handler: RequestHandler) -> None:
        """Keep the handler's task alive, say whose work the answer is, and how long it may take."""
        if handler._timer is not None:
            handler._timer.start(task)
        if not task.done():
            self.application.hold(task)
            connection: object = self.connection
            if isinstance(connection, HTTPConnection):
                connection.worked_on_by(task, cancel_on_close=handler.cancel_on_close)

    def _make_transforms(self) -> list[OutputTransform]:
        return [transform(self.request) for transform in self.application.transforms]
