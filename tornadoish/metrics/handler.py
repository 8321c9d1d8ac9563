"""MetricsHandler: what a Prometheus server reads.

It asks a source; that is the ``Metrics`` of this process or the ``WorkerMetrics`` of others.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from tornadoish.util import import_extra
from tornadoish.web import Application, RequestHandler


class Source(Protocol):
    """What can be served."""

    def collect(self) -> Any:
        """Bring everything up to date, in the event loop's thread: what ``prometheus_client``
        writes out then (a registry), in another one."""
        ...


class MetricsHandler(RequestHandler):
    """Answers with all metrics, in the text format or OpenMetrics, whichever is asked for.

    :param source: whose.
    """

    def initialize(self, source: Source) -> None:
        self._source = source

    async def get(self) -> None:
        exposition = import_extra("prometheus_client.exposition", "metrics")
        encode, media_type = exposition.choose_encoder(self.request.headers.get("Accept", ""))
        registry = self._source.collect()
        # In a thread: there may be thousands of lines to write, and files to read.
        body = await asyncio.to_thread(encode, registry)
        self.set_header("Content-Type", media_type)
        self.set_header("Cache-Control", "no-store")
        self.finish(body)


def metrics_application(source: Source, path: str = "/metrics") -> Application:
    """An application that serves nothing but metrics, below ``path``."""
    return Application(
        [(path, MetricsHandler, {"source": source})],
        log_function=lambda handler: None,
        automatic_etag=False,
    )
