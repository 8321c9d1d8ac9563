"""Traces: a span of each request, in the trace of its client, with the attributes of the semantic
conventions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support import Client, FakeClock, get, post, until

pytest.importorskip("opentelemetry.sdk", reason="needs opentelemetry-sdk")

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.semconv.attributes import (
    client_attributes,
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    url_attributes,
    user_agent_attributes,
)
from opentelemetry.trace import SpanKind, StatusCode

from tornadoish.http1.limits import Limits
from tornadoish.tracing import Tracing
from tornadoish.web import Application, RequestHandler

from .watching import Watch, uninstall

Serve = Callable[..., Awaitable[Any]]
PARENT = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
KNOWN = {
    value
    for module in (
        client_attributes, error_attributes, http_attributes, network_attributes,
        server_attributes, url_attributes, user_agent_attributes,
    )
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}  # fmt: skip


class Spans:
    """Keeps the spans that have ended."""

    def __init__(self, **options: Any) -> None:
        self.provider = TracerProvider(**options)
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def __call__(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    @property
    def one(self) -> ReadableSpan:
        (span,) = self()
        return span


class Inner(RequestHandler):
    """Makes a span of its own, in a task."""

    async def get(self) -> None:
        await asyncio.sleep(0)
        tracer = self.settings["spans"].provider.get_tracer("inner")
        await asyncio.create_task(self.work(tracer))
        self.write("x")

    async def work(self, tracer: trace.Tracer) -> None:
        with tracer.start_as_current_span("work"):
            await asyncio.sleep(0)


class Named(RequestHandler):
    async def get(self, name: str) -> None:
        if name == "fail":
            raise ZeroDivisionError
        if name == "slow":
            await asyncio.Event().wait()
        self.write(f"{trace.get_current_span().get_span_context().trace_id:032x}")

    def post(self, name: str) -> None:
        self.write(f"{trace.get_current_span().get_span_context().trace_id:032x}")


async def start(serve: Serve, spans: Spans, *more: Any, **options: Any) -> Any:
    app = Application([("/inner", Inner), (r"/named/{name}", Named)], spans=spans)
    tracing = Tracing(spans.provider)
    return await serve(app, observers=[tracing, *more], check=False, **options)


async def test_a_span_of_a_request(serve: Serve) -> None:
    spans = Spans()
    served = await start(serve, spans)
    async with Client.connect(served.port) as client:
        await client.send(get("/named/a?b=1&sig=secret&c=2", PARENT, "User-Agent: me"))
        answer = await client.response()
    span = spans.one
    assert (span.name, span.kind) == ("GET /named/{name}", SpanKind.SERVER)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/named/{name}",
        "url.path": "/named/a",
        "url.query": "b=1&sig=REDACTED&c=2",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "client.address": "127.0.0.1",
        "server.address": "x",
        "server.port": 80,
        "user_agent.original": "me",
    }
    assert span.attributes.keys() <= KNOWN
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent is not None and span.parent.span_id == 0xB7AD6B7169203331
    assert answer.body == b"0af7651916cd43dd8448eb211c80319c", "it is current in the handler"


async def test_requests_do_not_see_each_others_spans(serve: Serve) -> None:
    """Not those that wait in the buffer while another one is answered, either."""
    spans = Spans()
    served = await start(serve, spans)
    async with Client.connect(served.port) as client:
        await client.send(get("/named/a", PARENT) + get("/inner") + post(b"", path="/named/b"))
        bodies = [(await client.response()).body.decode() for _ in range(3)]
    first, work, inner, last = spans()
    assert (work.name, inner.name) == ("work", "GET /inner")
    assert first.parent is not None and inner.parent is None and last.parent is None
    assert work.parent is not None and work.parent.span_id == inner.context.span_id
    traces = [f"{span.context.trace_id:032x}" for span in (first, inner, last)]
    assert len(set(traces)) == 3
    assert bodies == [traces[0], "x", traces[2]]


async def test_errors(serve: Serve) -> None:
    spans = Spans()
    served = await start(serve, spans)
    async with Client.connect(served.port) as client:
        for path in ("/named/fail", "/nowhere"):
            await client.send(get(path))
            await client.response()
        await client.send(get("/inner").replace(b"GET", b"BREW"))
        await client.response()
    failed, unknown, odd = spans()
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes is not None and failed.attributes["error.type"] == "500"
    assert (unknown.name, unknown.status.status_code) == ("GET", StatusCode.UNSET)
    assert unknown.attributes is not None and "http.route" not in unknown.attributes
    assert odd.name == "HTTP /inner"
    assert odd.attributes is not None
    assert odd.attributes["http.request.method"] == "_OTHER"
    assert odd.attributes["http.request.method_original"] == "BREW"


@pytest.mark.parametrize("how", ["gone", "late", "cut"])
async def test_requests_that_are_not_answered(serve: Serve, how: str) -> None:
    """Nobody is to blame for a client that goes away; else it is an error."""
    spans, clock = Spans(), FakeClock()
    served = await start(serve, spans, clock=clock, limits=Limits(body_gap_seconds=5))
    data = post(b"xx", path="/named/x")[:-1] if how == "late" else get("/named/slow")
    async with Client.connect(served.port) as client:
        await client.send(data)
        await until(lambda: served.connections and served.connections[0].message)
        await asyncio.sleep(0)
        if how == "late":
            clock.passes(6)
            clock.passes(1)
        elif how == "cut":
            await served.server.drain(0)
        else:
            client.writer.transport.abort()
        await until(spans)
    span = spans.one
    assert span.attributes is not None
    ended = {"gone": "client_gone", "late": "timeout", "cut": "cut"}[how]
    assert span.attributes["tornadoish.ended"] == ended
    assert span.attributes.get("http.response.status_code") == {"gone": 499, "late": 408}.get(how)
    is_error = span.status.status_code is StatusCode.ERROR
    assert is_error == (how != "gone") == ("error.type" in span.attributes)


async def test_what_has_no_head_has_no_span(serve: Serve) -> None:
    spans = Spans()
    served = await start(serve, spans)
    async with Client.connect(served.port) as client:
        await client.send(b"nonsense\r\n\r\n")
        assert (await client.response()).status == 400
    assert spans() == ()


async def test_what_is_not_sampled(serve: Serve) -> None:
    """Its trace goes on all the same: the client's decision is handed on."""
    spans = Spans(sampler=ParentBased(ALWAYS_OFF))
    served = await start(serve, spans)
    async with Client.connect(served.port) as client:
        await client.send(get("/named/a", PARENT.replace("-01", "-00")))
        assert (await client.response()).body == b"0af7651916cd43dd8448eb211c80319c"
        await client.send(get("/named/a", PARENT))
        await client.response()
    assert spans.one.context.trace_id == 0x0AF7651916CD43DD8448EB211C80319C


async def test_the_log_knows_the_trace(serve: Serve) -> None:
    spans, watch = Spans(), Watch()
    served = await start(serve, spans, watch)
    async with Client.connect(served.port) as client:
        await client.send(get("/named/a", PARENT))
        await client.response()
    exchange = await watch.end_of_one()
    assert exchange.notes == {
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": f"{spans.one.context.span_id:016x}",
    }


async def test_what_is_skipped(serve: Serve) -> None:
    spans = Spans()
    app = Application([(r"/named/{name}", Named)])
    tracing = Tracing(spans.provider, skip=lambda e: "skipped" in str(e.start_line))
    served = await serve(app, observers=[tracing], check=False)
    async with Client.connect(served.port) as client:
        await client.send(get("/named/skipped") + get("/named/other"))
        assert (await client.response()).body == b"0" * 32
        await client.response()
    assert spans.one.attributes is not None and spans.one.attributes["url.path"] == "/named/other"


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall("opentelemetry", monkeypatch)
    with pytest.raises(ImportError, match=r"tornadoish\[otel\]"):
        Tracing()
