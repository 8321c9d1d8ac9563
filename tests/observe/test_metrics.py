"""Metrics: what is counted, of one process and of several together, and how it is served."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import PATIENCE, App, Client, Endings, get, post, settled, soon, until

pytest.importorskip("prometheus_client", reason="needs the extra metrics")

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from tornadoish.http1.limits import Limits
from tornadoish.httputil import Exchange, RequestStartLine
from tornadoish.metrics import Metrics, MetricsHandler, WorkerMetrics, metrics_application
from tornadoish.web import Application, RequestHandler
from tornadoish.websocket import WebSocketHandler, websocket_connect

from .watching import uninstall

Serve = Callable[..., Awaitable[Any]]
Read = Callable[..., float]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
def read(metrics: Metrics) -> Read:
    """The value of a metric by its name and labels; 0 if there is no such series."""

    def value(name: str, **labels: str) -> float:
        found = metrics.collect().get_sample_value(f"tornadoish_{name}", labels)
        return 0 if found is None else float(found)

    return value


class Own(RequestHandler):
    def get(self, **groups: Any) -> None:
        self.write("12345")

    def post(self) -> None:
        self.write(self.request.body)


APPLICATION = [("/", Own), (r"/users/{name}", Own)]


async def test_requests(serve: Serve, metrics: Metrics, read: Read) -> None:
    served = await serve(Application(APPLICATION), observers=[metrics], check=False)
    async with Client.connect(served.port) as client:
        for data in (get("/users/a"), get("/users/b"), get("/nowhere"), post(b"abc")):
            await client.send(data)
            await client.response()
    assert read("requests_total", method="GET", route="/users/{name}", status="200") == 2
    assert read("requests_total", method="GET", route="", status="404") == 1
    assert read("requests_total", method="POST", route="/", status="200") == 1
    labels = {"method": "GET", "route": "/users/{name}"}
    assert read("request_duration_seconds_count", **labels) == 2
    assert 0 < read("request_duration_seconds_sum", **labels) < 5
    assert read("request_body_bytes_total") == 3
    assert read("response_body_bytes_total") == 5 + 5 + 69 + 3


async def test_durations(metrics: Metrics, read: Read) -> None:
    """A bucket has what is not above its bound; all that is larger is in the last."""
    exchanges = []
    for seconds in (0.001, 0.005, 0.0051, 9.0, 20.0):
        exchange = Exchange()
        exchange.start_line = RequestStartLine("GET", "/", "HTTP/1.1")
        exchange._route, exchange.status = "/", 200
        exchange.begun, exchange.finished = 0.0, seconds
        exchanges.append(exchange)
    for exchange in exchanges[:2]:
        metrics.ended(exchange)
    metrics.flush()
    for exchange in exchanges[2:]:
        metrics.ended(exchange)
    bounds = {"0.0025": 0, "0.005": 2, "0.01": 3, "7.5": 3, "10.0": 4, "+Inf": 5}
    for bound, count in bounds.items():
        labels = {"method": "GET", "route": "/", "le": bound}
        assert read("request_duration_seconds_bucket", **labels) == count
    total = read("request_duration_seconds_sum", method="GET", route="/")
    assert total == pytest.approx(29.0111)


async def test_nothing_that_a_peer_chooses_is_a_label(
    serve: Serve, metrics: Metrics, read: Read
) -> None:
    served = await serve(Application(APPLICATION), observers=[metrics], check=False)
    async with Client.connect(served.port) as client:
        for number in range(20):
            await client.send(get(f"/other/{number}?{number}", f"X: {number}"))
            await client.send(get("/").replace(b"GET", b"METHOD%d" % number))
            await client.response(), await client.response()
    assert read("requests_total", method="GET", route="", status="404") == 20
    assert read("requests_total", method="_OTHER", route="/", status="405") == 20
    (family,) = metrics._requests.collect()
    series = family.samples
    assert len([sample for sample in series if sample.name.endswith("_total")]) == 2


async def test_in_flight_and_connections(serve: Serve, metrics: Metrics, read: Read) -> None:
    app = Endings()
    served = await serve(app, observers=[metrics])

    def states() -> list[float]:
        names = ("active", "idle", "detached")
        return [read("open_connections", state=name) for name in names]

    async with Client.connect(served.port) as one, Client.connect(served.port) as other:
        await one.send(get())
        await one.response()
        await until(lambda: states() == [0, 2, 0])
        assert read("requests_in_flight") == 0
        await one.send(get("/task"))
        await until(lambda: states() == [1, 1, 0])
        assert read("requests_in_flight") == 1
        await other.send(get("/detach"))
        await until(lambda: read("connections_total") == 2 and sum(states()) == 1)
        app.gate.set()
        assert (await one.response()).body == b"later"
        assert (states(), read("requests_in_flight")) == ([0, 1, 0], 0)
        app.gate.clear()
        await one.send(get("/task"))
        await until(lambda: states() == [1, 0, 0])
    await until(lambda: states() == [0, 0, 0])
    assert read("requests_in_flight") == 0
    assert read("requests_unfinished_total", reason="client_gone") == 1
    app.gate.set()
    await asyncio.gather(*app.tasks)


async def test_websockets(serve: Serve, metrics: Metrics, read: Read) -> None:
    class Echo(WebSocketHandler):
        def on_message(self, message: str | bytes) -> None:
            self.write_message(message)

    served = await serve(Application([("/ws", Echo)]), observers=[metrics], check=False)
    connection = await websocket_connect(f"ws://127.0.0.1:{served.port}/ws")
    await connection.write_message("x")
    assert await connection.read_message() == "x"
    assert (read("open_websockets"), read("websockets_total")) == (1, 1)
    assert read("open_connections", state="detached") == 1
    assert read("requests_total", method="GET", route="/ws", status="101") == 1
    assert read("requests_unfinished_total", reason="detached") == 0
    connection.close()
    await until(lambda: read("open_websockets") == 0)
    assert read("open_connections", state="detached") == 0
    assert read("websockets_total") == 1


async def test_limits_and_drain(serve: Serve, metrics: Metrics, read: Read) -> None:
    served = await serve(App(), observers=[metrics], limits=Limits(body_bytes=2))
    async with Client.connect(served.port) as client:
        await client.send(post(b"abc"))
        assert (await client.response()).status == 413
    assert read("limits_reached_total", limit="body_bytes") == 1
    assert read("requests_unfinished_total", reason="limit") == 1
    assert read("draining") == 0
    await soon(served.server.drain())
    assert read("draining") == 1


async def test_one_for_several_servers(
    serve: Serve, metrics: Metrics, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        served = await serve(App(), observers=[metrics])
        async with Client.connect(served.port) as client:
            await client.send(get())
            await client.response()
    assert read("requests_total", method="GET", route="", status="200") == 2
    registered: list[object] = []
    monkeypatch.setattr("atexit.register", lambda *what: registered.append(what))
    with pytest.raises(ValueError):
        Metrics(metrics.registry)
    assert registered == [], "what could not be made has nothing to hand on"
    Metrics(metrics.registry, namespace="other")
    assert len(registered) == 1


@pytest.mark.parametrize(
    ("accept", "parse"),
    [("", text_string_to_metric_families),
     ("application/openmetrics-text; version=1.0.0", open_metrics)],
)  # fmt: skip
async def test_serving(
    serve: Serve, metrics: Metrics, accept: str, parse: Callable[[str], Any]
) -> None:
    """In the very application that is observed; what it has answered already is in it."""
    routes = [("/metrics", MetricsHandler, {"source": metrics}), *APPLICATION]
    served = await serve(Application(routes), observers=[metrics], check=False)
    async with Client.connect(served.port) as client:
        await client.send(get("/users/a") + get("/metrics", f"Accept: {accept}"))
        await client.response()
        answer = await client.response()
    assert answer.headers["cache-control"] == "no-store"
    families = {family.name: family for family in parse(answer.body.decode())}
    (sample,) = [s for s in families["tornadoish_requests"].samples if s.name.endswith("_total")]
    assert sample.labels == {"method": "GET", "route": "/users/{name}", "status": "200"}


# -- several processes

WORKER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from support import Client, get
from tornadoish.metrics import Metrics
from tornadoish.web import Application, RequestHandler

class Own(RequestHandler):
    async def get(self, path):
        if path == "slow":
            print("slow", flush=True)
            await asyncio.Event().wait()
        self.write("x")

async def main():
    server = Application([("/(.*)", Own)]).listen(0, "127.0.0.1", observers=[Metrics()])
    port = next(iter(server._sockets.values())).getsockname()[1]
    async with Client.connect(port) as client:
        for _ in range(int(sys.argv[2])):
            await client.send(get())
            await client.response()
        await client.send(get("/slow"))
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


class Workers:
    """Processes that have answered so many requests each and have one more in flight."""

    def __init__(self) -> None:
        self.metrics = WorkerMetrics()
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *counts: int) -> None:
        tests = str(Path(__file__).parents[1])
        started = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, tests, str(count)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env={**os.environ, **self.metrics.environment},
            )
            for count in counts
        ]  # fmt: skip
        self.processes += started
        for process in started:
            assert process.stdout is not None and process.stdout.readline() == "slow\n"

    def end(self, process: subprocess.Popen[str]) -> None:
        self.processes.remove(process)
        process.kill()
        process.communicate()
        self.metrics.worker_gone(process.pid)

    def become(self, requests: int, in_flight: int) -> bool:
        """Whether so much is told soon: processes hand on what they have counted now and then."""
        wanted = {
            "requests_total": requests,
            "request_duration_seconds_count": requests,
            "requests_in_flight": in_flight,
        }
        until = time.monotonic() + PATIENCE
        while self.read() != wanted and time.monotonic() < until:
            time.sleep(0.01)
        return self.read() == wanted

    def read(self) -> dict[str, float]:
        """Requests that are through, all latencies counted, and what is in flight."""
        wanted = ("requests_total", "request_duration_seconds_count", "requests_in_flight")
        found = dict.fromkeys(wanted, 0.0)
        for family in self.metrics.collect().collect():
            for sample in family.samples:
                name = sample.name.removeprefix("tornadoish_")
                if name in found:
                    found[name] += sample.value
        return found

    def files(self) -> list[str]:
        return sorted(os.listdir(self.metrics.directory))

    def close(self) -> None:
        for process in list(self.processes):
            self.end(process)
        self.metrics.close()


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers()
    yield workers
    workers.close()
    assert not os.path.exists(workers.metrics.directory)


def test_workers_are_added_up(workers: Workers) -> None:
    workers.start(2, 3)
    assert workers.become(5, 2)
    workers.end(workers.processes[0])
    assert workers.become(5, 1), "what is gone is in flight no more, and was counted"
    workers.start(4)
    assert workers.become(9, 2)
    before = len(workers.files())
    for process in list(workers.processes):
        workers.end(process)
    assert workers.become(9, 0)
    assert len(workers.files()) < before
    assert all(name.endswith("_0.db") for name in workers.files()), "files of the dead pile up"


def test_the_last_counts_of_a_process_count(workers: Workers) -> None:
    """It ends before it would have handed them on."""
    workers.start(3)
    (process,) = workers.processes
    process.communicate("\n")
    assert process.returncode == 0
    assert workers.read()["requests_total"] >= 3
    workers.end(process)


def test_the_next_run_begins_at_nothing(workers: Workers) -> None:
    workers.start(1)
    other = WorkerMetrics()
    assert other.directory != workers.metrics.directory
    assert list(other.collect().collect()) == []
    other.close()


async def test_serving_of_workers(serve: Serve, workers: Workers) -> None:
    await asyncio.to_thread(workers.start, 2)
    assert await asyncio.to_thread(workers.become, 2, 1)
    served = await serve(metrics_application(workers.metrics), check=False)
    async with Client.connect(served.port) as client:
        await client.send(get("/metrics"))
        answer = await client.response()
        assert b'status="200"} 2.0' in answer.body
        process = workers.processes[0]
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(workers.end, process)
        await client.send(get("/metrics"))
        assert b"tornadoish_requests_in_flight 1.0" not in (await client.response()).body
        await client.send(get("/"))
        assert (await client.response()).status == 404
    await settled()


def test_a_file_of_nonsense_is_kept_apart(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(workers.metrics.directory) / "counter_12345.db"
    path.write_bytes(b"\xff\xff\xff\x00" + b"nonsense" * 2)
    workers.metrics.worker_gone(12345)
    assert "kept apart" in caplog.text
    path.unlink()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall("prometheus_client", monkeypatch)
    with pytest.raises(ImportError, match=r"tornadoish\[metrics\]"):
        Metrics()
