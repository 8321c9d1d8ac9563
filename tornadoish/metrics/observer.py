"""Metrics: an observer that counts, in the metrics of ``prometheus_client``.

Whoever reads them finds as many series as there are routes, methods and statuses, and no more:
nothing that a peer can choose freely becomes a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tornadoish.httpserver.batching import BatchObserver
from tornadoish.httputil import Ended, Exchange
from tornadoish.util import import_extra

#: seconds; those of OpenTelemetry's ``http.server.request.duration``
DURATION_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
#: what ``method`` is called beside this: anybody can think of another one (OpenTelemetry's word)
OTHER = "_OTHER"
METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
)

_DETACHED = Ended.DETACHED
_DONE = Ended.DONE


class Metrics(BatchObserver):
    """Counts what a server does; one may observe several servers. The metrics, each behind
    ``namespace`` and an underscore:

    ``requests_total``
        by ``method``, ``route`` (the pattern; "" if none was found) and ``status`` (499: the
        client went away before there was an answer, 0: nobody answered)
    ``request_duration_seconds``
        a histogram, from the head of a request to the end of its answer, by ``method`` and
        ``route``; of a WebSocket it is the handshake
    ``requests_unfinished_total``
        those that did not end well, by ``reason`` (:class:`Ended`, but "done" and "detached")
    ``requests_in_flight``
        those that are being answered, but for what is answered on the spot
    ``request_body_bytes_total``, ``response_body_bytes_total``
        without heads, and without framing
    ``connections_total``, ``open_connections``
        all there were, and the open ones by ``state``: "active" with a request in flight, "idle",
        "detached" to another protocol
    ``websockets_total``, ``open_websockets``
        all there were, and the open ones
    ``limits_reached_total``
        by ``limit``: the names of :class:`Limits`
    ``draining``
        1 when the server stops

    :param registry: of ``prometheus_client``, its own if not given: there an application's other
        metrics are, too.
    :param namespace: what the names begin with.
    :param buckets: of the histogram, in seconds.
    :raises ImportError: without the extra ``metrics``.
    :raises ValueError: the registry has such metrics already.
    """

    wants_request = True

    def __init__(
        self,
        registry: Any = None,
        *,
        namespace: str = "tornadoish",
        buckets: Sequence[float] = DURATION_BUCKETS,
    ) -> None:
        super().__init__()
        prometheus = import_extra("prometheus_client", "metrics")
        self.registry = prometheus.REGISTRY if registry is None else registry
        common: dict[str, Any] = {"namespace": namespace, "registry": self.registry}

        def counter(name: str, text: str, labels: Sequence[str] = ()) -> Any:
            return prometheus.Counter(name, text, labels, **common)

        def gauge(name: str, text: str, labels: Sequence[str] = ()) -> Any:
            # Of several processes, those that live count, all together.
            return prometheus.Gauge(name, text, labels, multiprocess_mode="livesum", **common)

        self._requests = counter(
            "requests_total", "Requests that have ended", ("method", "route", "status")
        )
        self._durations = prometheus.Histogram(
            "request_duration_seconds", "From a request's head to the end of its answer",
            ("method", "route"), buckets=buckets, **common,
        )  # fmt: skip
        self._unfinished = counter(
            "requests_unfinished_total", "Requests that did not end well", ("reason",)
        )
        self._in_flight = gauge("requests_in_flight", "Requests that are being answered")
        self._bytes_in = counter("request_body_bytes_total", "Bytes of bodies that came")
        self._bytes_out = counter("response_body_bytes_total", "Bytes of bodies that went")
        self._connections = counter("connections_total", "Connections that were accepted")
        open_ones = gauge("open_connections", "Open connections", ("state",))
        self._active, self._idle, self._detached = map(
            open_ones.labels, ("active", "idle", "detached")
        )
        self._websockets = counter("websockets_total", "WebSockets that were opened")
        self._open_websockets = gauge("open_websockets", "Open WebSockets")
        self._limits = counter("limits_reached_total", "Limits that were reached", ("limit",))
        self._draining = gauge("draining", "Whether the server stops")
        # (method, route, status) -> the two metrics for it: looking for them costs as much as
        # counting.
        self._known: dict[tuple[str, str, int], tuple[Any, Any]] = {}

    def collect(self) -> Any:
        """The registry, up to date (:class:`Source`)."""
        self.flush()
        return self.registry

    # -- Observer

    def connection_opened(self, connection: object) -> None:
        self._connections.inc()
        self._idle.inc()

    def connection_closed(self, connection: object, detached: Exchange | None) -> None:
        if detached is None:
            self._idle.dec()
            return
        self._detached.dec()
        if _is_websocket(detached):
            self._open_websockets.dec()

    def waiting(self, exchange: Exchange) -> None:
        self._in_flight.inc()
        self._active.inc()
        self._idle.dec()

    def ended(self, exchange: Exchange) -> None:
        super().ended(exchange)
        if exchange.waits:
            self._in_flight.dec()
            self._active.dec()
            self._idle.inc()
        if exchange.ended is _DETACHED:
            self._idle.dec()
            self._detached.inc()
            if _is_websocket(exchange):
                self._websockets.inc()
                self._open_websockets.inc()

    def limit_reached(self, name: str) -> None:
        self._limits.labels(name).inc()

    def draining(self) -> None:
        self._draining.set(1)

    # -- BatchObserver

    def take(self, exchanges: Sequence[Exchange]) -> None:
        known = self._known
        counts: dict[tuple[str, str, int], int] = {}
        bytes_in = bytes_out = 0
        for exchange in exchanges:
            line = exchange.start_line
            method = OTHER if line is None else line.method
            key = (method, exchange.route, exchange.status)
            if key not in known:
                key = self._learn(key)
            counts[key] = counts.get(key, 0) + 1
            known[key][1].observe(exchange.finished - exchange.begun)
            bytes_in += exchange.bytes_in
            bytes_out += exchange.bytes_out
            if exchange.ended is not _DONE and exchange.ended is not _DETACHED:
                self._unfinished.labels(exchange.ended.value).inc()
        for key, count in counts.items():
            known[key][0].inc(count)
        if bytes_in:
            self._bytes_in.inc(bytes_in)
        if bytes_out:
            self._bytes_out.inc(bytes_out)

    def _learn(self, key: tuple[str, str, int]) -> tuple[str, str, int]:
        """Make metrics for a key that was not there before; what they are found by."""
        method, route, status = key
        if method not in METHODS:
            method = OTHER
        key = (method, route, status)
        if key not in self._known:
            requests = self._requests.labels(method, route, str(status))
            self._known[key] = (requests, self._durations.labels(method, route))
        return key


def _is_websocket(exchange: Exchange) -> bool:
    headers = exchange.headers
    return headers is not None and headers.get("Upgrade", "").lower() == "websocket"
