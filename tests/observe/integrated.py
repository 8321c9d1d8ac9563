"""Other people's integrations for Tornado, pointed at us: `integrated.py sentry|opentelemetry`.

They change classes for good, so each has a process of its own. What they have seen of some requests
is printed as JSON. The recipes are those of docs/howto/observability.md.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import types
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import Client, get, post

from tornadoish import web, websocket

PARENT = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SENTRYS = "sentry-trace: 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"


def use_sentry(seen: list[Any]) -> None:
    import sentry_sdk
    from sentry_sdk.integrations import tornado as integration
    from sentry_sdk.transport import Transport

    class Seen(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            for item in envelope.items:
                event = item.payload.json
                if event is None:
                    continue
                errors = (event.get("exception") or {}).get("values", [])
                seen.append({
                    "kind": item.type,
                    "of": event["transaction"].rpartition(".")[2],
                    "url": event["request"]["url"],
                    "query": event["request"]["query_string"],
                    "tags": event.get("tags"),
                    "data": event["request"].get("data"),
                    "errors": [error["type"] for error in errors],
                    "trace": event["contexts"]["trace"]["trace_id"],
                })  # fmt: skip

    integration.RequestHandler = web.RequestHandler
    integration.HTTPError = web.HTTPError
    sentry_sdk.init(
        "http://key@127.0.0.1/1",
        transport=Seen,
        traces_sample_rate=1.0,
        integrations=[integration.TornadoIntegration()],
    )


def use_opentelemetry(seen: list[Any]) -> None:
    import tornado.httpclient
    import wrapt
    from opentelemetry.instrumentation import tornado as integration
    from opentelemetry.instrumentation.tornado import _utils
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

    class Seen(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            attributes = span.attributes or {}
            seen.append({
                "of": span.name,
                "status": attributes.get("http.status_code"),
                "error": not span.status.is_ok,
                "trace": f"{span.context.trace_id:032x}",
                "is_child": span.parent is not None,
            })  # fmt: skip

    provider = TracerProvider()
    provider.add_span_processor(Seen())

    def wrap(module: str, name: str, wrapper: Any) -> Any:
        if module == "tornado.web":
            module = "tornadoish.web"
        return wrapt.wrap_function_wrapper(module, name, wrapper)

    integration.wrap_function_wrapper = wrap
    integration.tornado = types.SimpleNamespace(
        web=web, websocket=websocket, httpclient=tornado.httpclient
    )
    _utils.RequestHandler = web.RequestHandler
    integration.TornadoInstrumentor().instrument(tracer_provider=provider)


class Plain(web.RequestHandler):
    def get(self, name: str) -> None:
        if name == "fail":
            raise ZeroDivisionError
        self.write("x")


class Waiting(web.RequestHandler):
    async def post(self, name: str) -> None:
        await asyncio.sleep(0)
        if "sentry_sdk" in sys.modules:
            sys.modules["sentry_sdk"].set_tag("name", name)
        if name == "missing":
            raise web.HTTPError(404)
        if name == "fail":
            raise ValueError
        self.write("x")


async def main(seen: list[Any]) -> None:
    app = web.Application([("/plain/{name}", Plain), ("/waiting/{name}", Waiting)])
    server = app.listen(0, "127.0.0.1")
    port = next(iter(server._sockets.values())).getsockname()[1]
    form = "Content-Type: application/x-www-form-urlencoded"
    async with Client.connect(port) as client:
        await client.send(
            get("/plain/fail?q=1", PARENT, SENTRYS)
            + get("/plain/good")
            + post(b"a=b", form, path="/waiting/fail")
            + post(b"", path="/waiting/missing")
            + post(b"", path="/waiting/good")
        )
        statuses = [(await client.response()).status for _ in range(5)]
    await server.drain()
    print(json.dumps({"statuses": statuses, "seen": seen}))


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    told: list[Any] = []
    {"sentry": use_sentry, "opentelemetry": use_opentelemetry}[sys.argv[1]](told)
    asyncio.run(main(told))
