"""URLs, dates, credentials and reason phrases, next to Tornado's."""

from __future__ import annotations

import http.client
import time
from datetime import UTC, datetime, timedelta, timezone
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornadoish.httputil import urls

pytest.importorskip("tornado")
from tornado import httputil as tornado_httputil

both = pytest.mark.parametrize("httputil", [urls, tornado_httputil], ids=["ours", "tornado"])


@both
@pytest.mark.parametrize(
    ("url", "args", "expected"),
    [
        ("https://h/p", [("y", "/y"), ("z", "z")], "https://h/p?y=%2Fy&z=z"),
        ("https://h/p?", (("y", "y"),), "https://h/p?y=y"),
        ("https://h/p?x", {"y": "y"}, "https://h/p?x=&y=y"),
        ("https://h/p?x&", {"y": "y"}, "https://h/p?x=&y=y"),
        ("https://h/p?r=1&r=2", [("r", "3"), ("r", "é")], "https://h/p?r=1&r=2&r=3&r=%C3%A9"),
        ("https://h/p;v=1?a=b#tab", {"y": "y"}, "https://h/p;v=1?a=b&y=y#tab"),
        ("/p?r=1&t=2", [], "/p?r=1&t=2"),
        ("/p?r=%20 1", None, "/p?r=%20 1"),
        ("", {"a": "b"}, "?a=b"),
    ],
)
def test_url_concat(httputil: Any, url: str, args: Any, expected: str) -> None:
    assert httputil.url_concat(url, args) == expected


@both
@pytest.mark.parametrize("args", ["a=b", 1, iter([("a", "b")])])
def test_url_concat_refuses_other_types(httputil: Any, args: Any) -> None:
    with pytest.raises(TypeError):
        httputil.url_concat("/", args)


@both
@pytest.mark.parametrize(
    ("netloc", "expected"),
    [
        ("host", ("host", None)),
        ("host:80", ("host", 80)),
        ("host:", ("host:", None)),
        ("host:80x", ("host:80x", None)),
        ("host:+80", ("host:+80", None)),
        (":80", (":80", None)),
        ("[::1]:8080", ("[::1]", 8080)),
        ("[::1]", ("[::1]", None)),
        ("", ("", None)),
    ],
)
def test_split_host_and_port(httputil: Any, netloc: str, expected: Any) -> None:
    assert httputil.split_host_and_port(netloc) == expected


@pytest.mark.parametrize(
    "netloc", ["host:٨٠", "host:80\n", "host:" + "9" * 6, "host:" + "9" * 5000]
)
def test_split_host_and_port_takes_ascii_digits_only(netloc: str) -> None:
    assert urls.split_host_and_port(netloc) == (netloc, None)


@both
def test_qs_to_qsl(httputil: Any) -> None:
    assert list(httputil.qs_to_qsl(parse_qs("a=1&b=2&a=3"))) == [("a", "1"), ("a", "3"), ("b", "2")]
    assert list(httputil.qs_to_qsl({"a": [b"1"], "b": []})) == [("a", b"1")]


@both
def test_encode_username_password(httputil: Any) -> None:
    composed = "é".encode()
    assert httputil.encode_username_password("e\u0301", "pass:word") == composed + b":pass:word"
    # bytes are the caller's own encoding
    assert httputil.encode_username_password(b"\xe9", b"e\xcc\x81") == b"\xe9:e\xcc\x81"


NOW = 1359312200.503611


@both
@pytest.mark.parametrize(
    "ts",
    [
        NOW,
        int(NOW),
        time.gmtime(NOW),
        tuple(time.gmtime(NOW)),
        datetime.fromtimestamp(NOW, UTC),
        datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None),
        datetime.fromtimestamp(NOW, timezone(timedelta(hours=-4))),
    ],
)
def test_format_timestamp(httputil: Any, ts: Any) -> None:
    assert httputil.format_timestamp(ts) == "Sun, 27 Jan 2013 18:43:20 GMT"


@both
@pytest.mark.parametrize("ts", ["now", None, b"1"])
def test_format_timestamp_refuses_other_types(httputil: Any, ts: Any) -> None:
    with pytest.raises(TypeError):
        httputil.format_timestamp(ts)


@given(st.datetimes(datetime(1, 1, 3), timezones=st.timezones()))
def test_format_timestamp_as_tornado(ts: datetime) -> None:
    try:
        expected = tornado_httputil.format_timestamp(ts)
    except OverflowError:  # beyond year 9999 in UTC
        with pytest.raises(OverflowError):
            urls.format_timestamp(ts)
        return
    assert urls.format_timestamp(ts) == expected
    assert len(expected) == len("Sun, 06 Nov 1994 08:49:37 GMT")


def test_responses() -> None:
    assert urls.responses == http.client.responses
    assert urls.responses[404] == HTTPStatus.NOT_FOUND.phrase
    assert type(next(iter(urls.responses))) is int
