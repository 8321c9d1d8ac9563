"""``--metrics ADDRESS``: what counts, in each process that serves, and what serves the counts.

One process serves its own; where there are workers, they count into files, and the supervisor's
process serves their sums.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator

from tornadoish.cli.errors import CommandError
from tornadoish.cli.listening import opened_address, urls_of
from tornadoish.cli.settings import Settings
from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import Observer
from tornadoish.log import gen_log
from tornadoish.metrics import Metrics, WorkerMetrics, metrics_application
from tornadoish.metrics.handler import Source

_OPTION = "--metrics"
_END_SECONDS = 1.0


def metrics_of(delegate: object) -> tuple[Metrics, list[Observer]]:
    """What counts in this process, and what of it the server must be told to ask: if the
    application has brought its own, nothing more.

    :raises CommandError: what it is done by is not installed, or done elsewhere.
    """
    for observer in getattr(delegate, "observers", ()):
        if isinstance(observer, Metrics):
            return observer, []
    try:
        metrics = Metrics()
    except ImportError as error:
        raise CommandError(f"{_OPTION}: {error}") from None
    except ValueError:  # names that the registry has already
        raise CommandError(
            f"{_OPTION}: this process has Metrics already: make them one of the application's "
            "observers, or leave the option out"
        ) from None
    return metrics, [metrics]


def make_worker_metrics() -> WorkerMetrics:
    """What adds up what the processes count that are started from now on.

    :raises CommandError: see above; or there is no place for its files.
    """
    try:
        workers = WorkerMetrics()
    except ImportError as error:
        raise CommandError(f"{_OPTION}: {error}") from None
    except OSError as error:
        raise CommandError(f"{_OPTION}: no directory for files of workers: {error}") from None
    os.environ.update(workers.environment)
    return workers


@contextlib.contextmanager
def metrics_opened(settings: Settings) -> Iterator[list[socket.socket]]:
    """The sockets where metrics are served; none if they are not.

    :raises CommandError: the address cannot be had.
    """
    if settings.metrics is None:
        yield []
        return
    with opened_address(settings.metrics, _OPTION) as sockets:
        yield sockets


@contextlib.asynccontextmanager
async def metrics_served(source: Source, sockets: list[socket.socket]) -> AsyncIterator[None]:
    """Serve what a source has, for as long as this is entered."""
    server = HTTPServer(metrics_application(source))
    server.add_sockets(sockets)
    gen_log.info("Metrics at %s/metrics", urls_of(sockets, tls=False))
    try:
        yield
    finally:
        await server.drain(_END_SECONDS)
