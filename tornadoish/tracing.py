"""Traces of OpenTelemetry (extra ``otel``; ours alone, not Tornado's).

``Tracing`` is an observer of a server: each request is a span, part of the trace that its client
has begun (W3C Trace Context, or whatever propagators are set up), and current for whatever its
handler does::

    server = HTTPServer(application, observers=[Tracing()])

Names and attributes are those of the semantic conventions for HTTP servers, which are stable.
Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tornadoish import __version__
from tornadoish.httputil import Ended, Exchange, HTTPHeaders, Observer, split_host_and_port
from tornadoish.util import import_extra

_METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
)
_PORTS = {"http": 80, "https": 443}
# url.query: "Query string values for the following keys SHOULD be redacted by default".
_SECRETS = re.compile(r"((?:^|&)(?:AWSAccessKeyId|Signature|sig|X-Goog-Signature)=)[^&]*")
# How an exchange may end that is nobody's fault, or the client's.
_NO_ERRORS = frozenset((Ended.DONE, Ended.DETACHED, Ended.UNREAD, Ended.CLIENT_GONE))
_SCHEMA = "https://opentelemetry.io/schemas/1.23.0"


class Tracing(Observer):
    """Makes a span of each request whose head could be read.

    In the access log, requests have the notes ``trace_id`` and ``span_id``.

    :param provider: of tracers; the global one if not given.
    :param skip: called with each exchange as it begins; True: no span.
    :raises ImportError: without the extra ``otel``.
    """

    wants_request = True

    def __init__(
        self, provider: Any = None, *, skip: Callable[[Exchange], bool] | None = None
    ) -> None:
        trace = import_extra("opentelemetry.trace", "otel")
        context = import_extra("opentelemetry.context", "otel")
        propagate = import_extra("opentelemetry.propagate", "otel")
        self._tracer = trace.get_tracer(
            "tornadoish", __version__, tracer_provider=provider, schema_url=_SCHEMA
        )
        self._skip = skip
        self._attach = context.attach
        self._extract = propagate.extract
        self._propagator = propagate.get_global_textmap
        # The fields that propagators look at, as they are set up when the first request comes:
        # to look for them is a quarter of what a request costs that has none.
        self._fields: frozenset[str] = frozenset()
        self._set_span = trace.set_span_in_context
        self._server_kind = trace.SpanKind.SERVER
        self._error = trace.Status(trace.StatusCode.ERROR)
        self._getter = _getter(import_extra("opentelemetry.propagators.textmap", "otel"))

    def begun(self, exchange: Exchange) -> None:
        if self._skip is not None and self._skip(exchange):
            return
        line, headers = exchange.start_line, exchange.headers
        if line is None or headers is None:
            return
        parent = None
        if not self._fields:
            self._fields = frozenset(field.lower() for field in self._propagator().fields)
        if not self._fields.isdisjoint(headers.index()):
            parent = self._extract(headers, getter=self._getter)
        span = self._tracer.start_span(
            line.method if line.method in _METHODS else "HTTP",
            parent,
            self._server_kind,
            _attributes_of(exchange),
        )
        exchange.span = span
        # In the request's own context, which ends with it: so nobody has to take it off again.
        self._attach(self._set_span(span, parent))
        told = span.get_span_context()
        if told.is_valid:
            exchange.note("trace_id", f"{told.trace_id:032x}")
            exchange.note("span_id", f"{told.span_id:016x}")

    def ended(self, exchange: Exchange) -> None:
        span, exchange.span = exchange.span, None
        if span is None:
            return
        if span.is_recording():
            self._complete(span, exchange)
        span.end()

    def _complete(self, span: Any, exchange: Exchange) -> None:
        line, route = exchange.start_line, exchange.route
        if route and line is not None:
            span.set_attribute("http.route", route)
            method = line.method if line.method in _METHODS else "HTTP"
            span.update_name(f"{method} {route}")
        status, ended = exchange.status, exchange.ended
        if status:
            span.set_attribute("http.response.status_code", status)
        if ended is not Ended.DONE:
            span.set_attribute("tornadoish.ended", ended.value)
        if ended not in _NO_ERRORS:
            span.set_attribute("error.type", ended.value)
            span.set_status(self._error)
        elif status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(self._error)


def _attributes_of(exchange: Exchange) -> dict[str, Any]:
    """What is known of a request from its head; samplers look at it."""
    line, headers, context = exchange.start_line, exchange.headers, exchange.context
    if line is None or headers is None:
        return {}
    fields = headers.index()
    scheme = context.protocol
    path, _, query = line.path.partition("?")
    attributes: dict[str, Any] = {
        "http.request.method": line.method,
        "url.path": path,
        "url.scheme": scheme,
        "network.protocol.version": line.version.removeprefix("HTTP/"),
        "client.address": context.remote_ip,
    }
    if line.method not in _METHODS:
        attributes["http.request.method"] = "_OTHER"
        attributes["http.request.method_original"] = line.method
    if query:
        attributes["url.query"] = _SECRETS.sub(r"\1REDACTED", query)
    host = fields.get("host")
    if host:
        name, port = split_host_and_port(host)
        attributes["server.address"] = name
        attributes["server.port"] = port or _PORTS.get(scheme, 0)
    agent = fields.get("user-agent")
    if agent:
        attributes["user_agent.original"] = agent
    return attributes


def _getter(textmap: Any) -> Any:
    """What finds a field for a propagator."""

    class Getter(textmap.Getter):  # type: ignore[misc]
        def get(self, carrier: HTTPHeaders, key: str) -> list[str] | None:
            value = carrier.index().get(key.lower())
            return None if value is None else [value]

        def keys(self, carrier: HTTPHeaders) -> list[str]:
            return list(carrier.index())

    return Getter()
