"""Hello, watched by one kind of observer: `observed.py KIND PORT`. Started by ../observing.py."""

from __future__ import annotations

import argparse
import asyncio
import atexit
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from serving import HELLO, loop_name, run

from tornadoish import web

if TYPE_CHECKING:
    from tornadoish.httputil import Observer


class Hello(web.RequestHandler):
    """The cheapest request there is."""

    def get(self) -> None:
        """Answer 13 bytes."""
        self.write(HELLO)


class LoopName(web.RequestHandler):
    """Tells the benchmark which event loop it is measuring."""

    def get(self) -> None:
        """Answer the loop's class."""
        self.write(loop_name())


def access_log(format: str, handler_of: Callable[[Any], logging.Handler] | None = None) -> Observer:
    """A log in a file without a name: it is really written, and nobody has to remove it."""
    from tornadoish.accesslog import LOGGER, AccessLog, LineHandler

    file = tempfile.TemporaryFile("w", encoding="utf-8")  # noqa: SIM115 - as long as the process
    logger = logging.getLogger(LOGGER)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler((handler_of or LineHandler)(file))
    return AccessLog(format)


def metrics() -> Observer:
    """In one process."""
    from tornadoish.metrics import Metrics

    return Metrics()


def metrics_of_workers() -> Observer:
    """As in a worker: in files that are mapped into memory."""
    from tornadoish.metrics import WorkerMetrics

    workers = WorkerMetrics()
    os.environ.update(workers.environment)
    for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
        del sys.modules[name]  # it looks at the environment when it is imported
    atexit.register(workers.close)
    return metrics()


def tracing(sampled: bool) -> Observer:
    """Spans that are made and thrown away, or not even made."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    from tornadoish.tracing import Tracing

    return Tracing(TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF))


def nothing() -> Observer:
    """Is told, and does nothing."""
    from tornadoish.httputil import Exchange, Observer

    class Nothing(Observer):
        def ended(self, exchange: Exchange) -> None:
            pass

    return Nothing()


PATTERN = '%a %{ms}T %m %U %s %b "%{X-Request-Id}i" "%{Content-Type}o" %R'
KINDS: dict[str, Callable[[], Observer]] = {
    "nothing": nothing,
    "combined": lambda: access_log("combined"),
    "text": lambda: access_log("text"),
    "json": lambda: access_log("json"),
    "pattern": lambda: access_log(PATTERN),
    "logging": lambda: access_log("combined", logging.StreamHandler),
    "metrics": metrics,
    "metrics-workers": metrics_of_workers,
    "tracing": lambda: tracing(True),
    "tracing-unsampled": lambda: tracing(False),
}


async def main(kind: str, port: int) -> None:
    """Serve until ended from outside."""
    options: dict[str, Any] = {"observers": [KINDS[kind]()]} if kind in KINDS else {}
    logging.getLogger("tornado.access").setLevel(logging.WARNING)
    if kind == "log_request":  # Tornado's own way: a line of each handler's
        logging.getLogger("tornado.access").setLevel(logging.INFO)
        logging.basicConfig(stream=tempfile.TemporaryFile("w"), level=logging.INFO)  # noqa: SIM115
    app = web.Application([("/", Hello), ("/loop", LoopName)])
    app.listen(port, address="127.0.0.1", backlog=1024, **options)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["off", "log_request", *KINDS])
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    run(main(arguments.kind, arguments.port))
    sys.exit()
