"""Metrics for Prometheus (extra ``metrics``; ours alone, not Tornado's).

``Metrics`` is an observer of a server, and what it has counted is served by a handler::

    metrics = Metrics()
    application = Application([("/metrics", MetricsHandler, {"source": metrics}), ...])
    server = HTTPServer(application, observers=[metrics])

or at another address, where not everybody comes by, by ``metrics_application(metrics)``. Several
worker processes count into files of one directory; whoever has started them serves their sum::

    workers = WorkerMetrics()  # its environment is for the workers, worker_gone() for who watches
    server = HTTPServer(metrics_application(workers))
"""

from tornadoish.metrics.handler import MetricsHandler, Source, metrics_application
from tornadoish.metrics.observer import DURATION_BUCKETS, Metrics
from tornadoish.metrics.workers import WorkerMetrics

__all__ = [
    "DURATION_BUCKETS",
    "Metrics",
    "MetricsHandler",
    "Source",
    "WorkerMetrics",
    "metrics_application",
]
