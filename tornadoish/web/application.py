"""Application: the routes, the settings, and the delegate that brings a request to its handler.

``HTTPServer`` asks it for a delegate per request (it is a router). (Interface: Tornado,
web.Application.)
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Sequence
from contextvars import Context
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import Any, cast

from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.log import access_log
from tornadoish.routing import (
    AnyMatches,
    DefaultHostMatches,
    HostMatches,
    ReversibleRuleRouter,
    Rule,
    URLSpec,
    _RuleList,
)
from tornadoish.web.bodies import PulledBody, PushedBody
from tornadoish.web.compression import ContentEncoding
from tornadoish.web.exchange import Drained
from tornadoish.web.handler import RequestHandler
from tornadoish.web.life import LivingApplication
from tornadoish.web.modules import collect_ui_methods, collect_ui_modules
from tornadoish.web.simple import ErrorHandler, TooEarlyHandler
from tornadoish.web.static.handler import StaticFileHandler, static_rules
from tornadoish.web.tasks import run_in_task
from tornadoish.web.templates import LoaderCache, check_engine
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


class _ApplicationRouter(ReversibleRuleRouter):
    """Rules whose targets may be handler classes."""

    def __init__(self, application: Application, rules: _RuleList | None = None) -> None:
        self.application = application
        super().__init__(rules)

    def process_rule(self, rule: Rule) -> Rule:
        rule = super().process_rule(rule)
        if isinstance(rule.target, (list, tuple)):
            rule.target = _ApplicationRouter(self.application, cast(_RuleList, rule.target))
        return rule

    def get_target_delegate(
        self, target: Any, request: HTTPServerRequest, **target_params: Any
    ) -> HTTPMessageDelegate | None:
        if isinstance(target, type) and issubclass(target, RequestHandler):
            return self.application.get_handler_delegate(request, target, **target_params)
        return super().get_target_delegate(target, request, **target_params)


class Application(LivingApplication):
    """A set of handlers and what they share.

    :param handlers: routes in the order in which they are tried: ``(pattern, handler class[, kwargs
        [, name]])``, :class:`URLSpec` or :class:`Rule`.
    :param default_host: the host that a request counts for whose own matches no host rule.
    :param transforms: classes of :class:`OutputTransform` for every answer; without them the
        setting ``compress_response`` stands for :class:`ContentEncoding`.
    :param settings: ``log_function`` (called with each handler when it is done), ``debug``
        (implies ``serve_traceback``, and False for ``compiled_template_cache`` and
        ``static_hash_cache``), ``serve_traceback``, ``default_handler_class`` and
        ``default_handler_args`` (for requests without a route), ``static_path`` and others of
        static files (:class:`StaticFileHandler`; their routes come before all others),
        ``ui_modules`` and ``ui_methods`` (``web.modules``), those of templates
        (``web.templates``); ours alone: ``automatic_head``, ``automatic_options``,
        ``handler_timeout`` and ``handler_timeout_status``, for handlers whose attributes of these
        names do not say otherwise; ``observers``, who are told of what its servers do (``Observer``
        of ``tornadoish.httputil``); and whatever handlers look for: it is the place for what they
        share, such as the pool of a database.
    """

    def __init__(
        self,
        handlers: _RuleList | None = None,
        default_host: str | None = None,
        transforms: list[type[OutputTransform]] | None = None,
        **settings: Any,
    ) -> None:
        if transforms is None and (settings.get("compress_response") or settings.get("gzip")):
            transforms = [ContentEncoding]
        self.transforms: list[type[OutputTransform]] = list(transforms or [])
        self.default_host = default_host
        self.settings: dict[str, Any] = settings
        #: whether answers get an entity tag that is made of their body, unless their handler says
        #: otherwise: the setting of this name
        self.automatic_etag: bool = settings.get("automatic_etag", True)
        if settings.get("debug"):
            settings.setdefault("serve_traceback", True)
            settings.setdefault("compiled_template_cache", False)
            settings.setdefault("static_hash_cache", False)
        if settings.get("static_path"):
            settings.setdefault("static_handler_class", StaticFileHandler)
            handlers = [*static_rules(settings), *(handlers or [])]
        if "observers" in settings:
            self.observers = settings["observers"]
        check_engine(settings)
        self.ui_modules = collect_ui_modules(settings.get("ui_modules", {}))
        self.ui_methods = collect_ui_methods(settings.get("ui_methods", {}))
        self.template_loaders = LoaderCache()
        self.wildcard_router = _ApplicationRouter(self, handlers)
        self.default_router = _ApplicationRouter(self, [Rule(AnyMatches(), self.wildcard_router)])
        #: set when a server of this application begins to stop (``HTTPServer.drain``): what would
        #: go on for ever, such as an event stream, waits for it too (ours alone, not Tornado's)
        self.draining = asyncio.Event()
        #: open streams of events and WebSockets, which are ended then
        self.event_streams: set[Drained] = set()
        # Tasks of handlers that wait: the loop itself would hold them only weakly.
        self._running: set[asyncio.Task[None]] = set()

    def listen(
        self,
        port: int,
        address: str | None = None,
        *,
        family: socket.AddressFamily = socket.AF_UNSPEC,
        backlog: int = 128,
        flags: int | None = None,
        reuse_port: bool = False,
        **kwargs: Any,
    ) -> HTTPServer:
        """Serve this application on ``port``.

        :param kwargs: passed to :class:`HTTPServer`; the others as of ``TCPServer.listen``.
        :returns: the server, listening.
        """
        server = HTTPServer(self, **kwargs)
        server.listen(port, address, family, backlog, flags, reuse_port)
        return server

    # -- routes

    def add_handlers(self, host_pattern: str, host_handlers: _RuleList) -> None:
        """Add routes for hosts that match ``host_pattern`` (a regular expression); tried before
        those without a host."""
        host_matcher = HostMatches(host_pattern)
        rule = Rule(host_matcher, _ApplicationRouter(self, host_handlers))
        self.default_router.rules.insert(-1, rule)
        if self.default_host is not None:
            matcher = DefaultHostMatches(self, host_matcher.host_pattern)
            self.wildcard_router.add_rules([Rule(matcher, host_handlers)])

    def add_transform(self, transform_class: type[OutputTransform]) -> None:
        """Apply one more transform to every answer."""
        self.transforms.append(transform_class)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate:
        """The delegate for ``request``: of the first route that matches, or of the default."""
        if self._life is not None and not self._life.serves:
            self._life.complain()
            return self.get_handler_delegate(request, TooEarlyHandler)
        rules = self.default_router._rules
        # Without host rules there is but one, and it matches everything.
        router = self.wildcard_router if len(rules) == 1 else self.default_router
        route = router.find_handler(request)
        if route is not None:
            return route
        default = self.settings.get("default_handler_class")
        if default is not None:
            arguments = self.settings.get("default_handler_args", {})
            return self.get_handler_delegate(request, default, arguments)
        return self.get_handler_delegate(request, ErrorHandler, {"status_code": 404})

    def get_handler_delegate(
        self,
        request: HTTPServerRequest,
        target_class: type[RequestHandler],
        target_kwargs: dict[str, Any] | None = None,
        path_args: list[bytes] | None = None,
        path_kwargs: dict[str, bytes] | None = None,
    ) -> _HandlerDelegate:
        """A delegate that answers ``request`` with a new ``target_class``."""
        return _HandlerDelegate(self, request, target_class, target_kwargs, path_args, path_kwargs)

    def reverse_url(self, name: str, /, *args: Any, **named: Any) -> str:
        """The path of the route called ``name``, with ``args`` in its groups.

        :param named: values by the names of the pattern's placeholders (ours alone).
        :raises KeyError: there is none.
        :raises ValueError: a placeholder cannot take its value (``PathMatches.reverse``).
        """
        url = self.default_router.reverse_url(name, *args, **named)
        if url is None:
            raise KeyError(f"{name} not found in named urls")
        return url

    def __call__(self, request: HTTPServerRequest) -> Awaitable[None] | None:
        """Answer a request that is there as a whole (Tornado's old interface)."""
        delegate = cast(_HandlerDelegate, self.find_handler(request))
        return delegate.execute()

    def on_drain(self) -> None:
        """A server of this application begins to stop; override for more than ``draining``."""
        self.draining.set()
        for stream in list(self.event_streams):
            stream.on_drain()
        self.default_router.on_drain()

    def _within(self) -> Sequence[HTTPServerConnectionDelegate]:
        return (self.default_router,)

    # -- logging

    def log_request(self, handler: RequestHandler) -> None:
        """Log one finished request; override or set ``log_function`` for one's own way."""
        if "log_function" in self.settings:
            self.settings["log_function"](handler)
            return
        status = handler._status_code
        level = logging.INFO
        if status >= 400:
            level = logging.WARNING if status < 500 else logging.ERROR
        if access_log.isEnabledFor(level):
            milliseconds = 1000.0 * handler.request.request_time()
            summary = handler._request_summary()
            access_log.log(level, "%d %s %.2fms", status, summary, milliseconds)

    # -- tasks

    def hold(self, task: asyncio.Task[None]) -> None:
        """Keep a handler's task alive until it is done."""
        if not task.done():
            self._running.add(task)
            task.add_done_callback(self._running.discard)


class _HandlerDelegate(HTTPMessageDelegate):
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
        application: Application,
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


url = URLSpec
