"""Metrics: an observer that counts, in the metrics of ``prometheus_client``.

Whoever reads them finds as many series as there are routes, methods and statuses, and no more:
nothing that a peer can choose freely becomes a label.
"""

from __future__ import annotations

import math
from bisect import bisect_left
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

#: between two times that counts are handed on
_SECONDS = 0.5

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
        self._websockets = counter("websockets_total", "WebSockets that were opened")
        self._gauges = {name: open_ones.labels(name) for name in ("active", "idle", "detached")}
        self._gauges["websockets"] = gauge("open_websockets", "Open WebSockets")
        self._limits = counter("limits_reached_total", "Limits that were reached", ("limit",))
        self._draining = gauge("draining", "Whether the server stops")
        # What has been counted and not been handed on: each of these metrics costs several times
        # what counting does, and in one of several processes each time some calls of the system.
        self._bounds = [*buckets, math.inf]
        self._tallies: dict[tuple[str, str, int], _Tally] = {}
        self._counts = {"connections": 0, "websockets": 0}
        self._open = {"active": 0, "idle": 0, "detached": 0, "websockets": 0}
        super().__init__(_SECONDS)  # nothing can fail any more

    def collect(self) -> Any:
        """The registry, up to date (:class:`Source`)."""
        self.flush()
        return self.registry

    # -- Observer

    def connection_opened(self, connection: object) -> None:
        self._counts["connections"] += 1
        self._open["idle"] += 1
        self._flush_later()

    def connection_closed(self, connection: object, detached: Exchange | None) -> None:
        if detached is None:
            self._open["idle"] -= 1
        else:
            self._open["detached"] -= 1
            if _is_websocket(detached):
                self._open["websockets"] -= 1
        self._flush_later()

    def waiting(self, exchange: Exchange) -> None:
        self._open["active"] += 1
        self._open["idle"] -= 1
        self._flush_later()

    def ended(self, exchange: Exchange) -> None:
        line = exchange.start_line
        key = (OTHER if line is None else line.method, exchange.route, exchange.status)
        tally = self._tallies.get(key) or self._learn(key)
        duration = exchange.finished - exchange.begun
        tally.count += 1
        tally.seconds += duration
        tally.buckets[bisect_left(self._bounds, duration)] += 1
        tally.bytes_in += exchange.bytes_in
        tally.bytes_out += exchange.bytes_out
        if self._timer is None:
            self._flush_later()
        if exchange.waits:
            self._open["active"] -= 1
            self._open["idle"] += 1
        if exchange.ended is not _DONE:
            self._ended_otherwise(exchange)

    def _ended_otherwise(self, exchange: Exchange) -> None:
        if exchange.ended is not Ended.DETACHED:
            self._unfinished.labels(exchange.ended.value).inc()
            return
        self._open["idle"] -= 1
        self._open["detached"] += 1
        if _is_websocket(exchange):
            self._counts["websockets"] += 1
            self._open["websockets"] += 1

    def limit_reached(self, name: str) -> None:
        self._limits.labels(name).inc()

    def draining(self) -> None:
        self._draining.set(1)

    # -- handing on

    def _learn(self, key: tuple[str, str, int]) -> _Tally:
        """Make a tally for a key that was not there before."""
        method, route, status = key
        if method not in METHODS:
            method = OTHER
        key = (method, route, status)
        tally = self._tallies.get(key)
        if tally is None:
            requests = self._requests.labels(method, route, str(status))
            durations = self._durations.labels(method, route)
            tally = self._tallies[key] = _Tally(requests, durations, len(self._bounds))
        return tally

    def take(self) -> None:
        for tally in self._tallies.values():
            if tally.count:
                if tally.bytes_in:
                    self._bytes_in.inc(tally.bytes_in)
                if tally.bytes_out:
                    self._bytes_out.inc(tally.bytes_out)
                tally.push()
        for counter, name in ((self._connections, "connections"), (self._websockets, "websockets")):
            if self._counts[name]:
                counter.inc(self._counts[name])
                self._counts[name] = 0
        for name, gauge in self._gauges.items():
            gauge.set(self._open[name])
        self._in_flight.set(self._open["active"])


class _Tally:
    """What has been counted of requests that are alike."""

    __slots__ = (
        "buckets", "bytes_in", "bytes_out", "count", "durations", "requests", "seconds",
    )  # fmt: skip

    def __init__(self, requests: Any, durations: Any, buckets: int) -> None:
        self.requests = requests
        self.durations = durations
        self.count = self.bytes_in = self.bytes_out = 0
        self.seconds = 0.0
        self.buckets = [0] * buckets

    def push(self) -> None:
        self.requests.inc(self.count)
        # There is no public way to add many observations; all versions since 0.0.14 have this one.
        self.durations._sum.inc(self.seconds)
        for bucket, count in zip(self.durations._buckets, self.buckets, strict=True):
            if count:
                bucket.inc(count)
        self.count = self.bytes_in = self.bytes_out = 0
        self.seconds = 0.0
        self.buckets = [0] * len(self.buckets)


def _is_websocket(exchange: Exchange) -> bool:
    headers = exchange.headers
    return headers is not None and headers.get("Upgrade", "").lower() == "websocket"
