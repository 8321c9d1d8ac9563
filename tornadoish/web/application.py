"""Application: the routes, the settings, and the delegate that brings a request to its handler.

``HTTPServer`` asks it for a delegate per request (it is a router). (Interface: Tornado,
web.Application.)
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Sequence
from typing import Any, cast

from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import (
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
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
from tornadoish.web.compression import ContentEncoding
from tornadoish.web.delegate import HandlerRun
from tornadoish.web.exchange import Drained
from tornadoish.web.handler import RequestHandler
from tornadoish.web.life import LivingApplication
from tornadoish.web.modules import collect_ui_methods, collect_ui_modules
from tornadoish.web.simple import ErrorHandler, TooEarlyHandler
from tornadoish.web.static.handler import StaticFileHandler, static_rules
from tornadoish.web.templates import LoaderCache, check_engine
from tornadoish.web.transforms import OutputTransform


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


class _HandlerDelegate(HandlerRun, HTTPMessageDelegate):
    """Collects a request's body (unless it is streamed) and runs its handler."""

    __slots__ = ()


url = URLSpec
