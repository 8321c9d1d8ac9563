"""Sentry's and OpenTelemetry's own integrations for Tornado, from the registry, pointed at us."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("integrated.py")
TRACE = "0af7651916cd43dd8448eb211c80319c"


def seen(kind: str) -> list[Any]:
    """What the integration has seen of five requests."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), kind], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["statuses"] == [500, 200, 500, 404, 200]
    events: list[Any] = told["seen"]
    return events


@pytest.mark.skipif(
    find_spec("sentry_sdk") is None or find_spec("tornado") is None,
    reason="needs sentry-sdk and tornado",
)
def test_sentry() -> None:
    events = seen("sentry")
    errors = [event for event in events if event["kind"] == "event"]
    plain, waiting = errors
    assert (plain["errors"], plain["of"], plain["query"]) == (["ZeroDivisionError"], "get", "q=1")
    assert plain["url"] == "http://x/plain/fail"
    assert plain["trace"] == TRACE
    assert (waiting["errors"], waiting["of"]) == (["ValueError"], "post")
    assert waiting["data"] == {"a": ["b"]}
    assert waiting["tags"] == {"name": "fail"}
    transactions = [event for event in events if event["kind"] == "transaction"]
    assert len(transactions) == 5
    assert len({event["trace"] for event in transactions}) == 5, "requests share a trace"
    assert [event["tags"] for event in transactions].count({"name": "good"}) == 1


@pytest.mark.skipif(
    find_spec("opentelemetry.instrumentation.tornado") is None
    if find_spec("opentelemetry") and find_spec("opentelemetry.instrumentation")
    else True,
    reason="needs opentelemetry-instrumentation-tornado",
)
def test_opentelemetry() -> None:
    events = seen("opentelemetry")
    assert [(event["of"], event["status"], event["error"]) for event in events] == [
        ("GET /plain/{name}", 500, True),
        ("GET /plain/{name}", 200, False),
        ("POST /waiting/{name}", 500, True),
        ("POST /waiting/{name}", 404, False),
        ("POST /waiting/{name}", 200, False),
    ]
    assert events[0]["trace"] == TRACE and events[0]["is_child"]
    assert not any(event["is_child"] for event in events[1:])
    assert len({event["trace"] for event in events}) == 5
