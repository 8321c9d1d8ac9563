"""Start lines: next to Tornado's, and what is refused."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tornadoish.httputil import (
    HTTPInputError,
    RequestStartLine,
    ResponseStartLine,
    parse_request_start_line,
    parse_response_start_line,
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("GET /foo HTTP/1.1", ("GET", "/foo", "HTTP/1.1")),
        ("M-SEARCH * HTTP/1.0", ("M-SEARCH", "*", "HTTP/1.0")),
        ("GET http://a/b?c=d HTTP/1.1", ("GET", "http://a/b?c=d", "HTTP/1.1")),
        ("CONNECT a:1 HTTP/1.1", ("CONNECT", "a:1", "HTTP/1.1")),
        ("get /%20 HTTP/1.9", ("get", "/%20", "HTTP/1.9")),
    ],
)
def test_request_lines(httputil: Any, line: str, expected: tuple[str, str, str]) -> None:
    parsed = httputil.parse_request_start_line(line)
    assert isinstance(parsed, httputil.RequestStartLine)
    assert tuple(parsed) == expected
    assert (parsed.method, parsed.path, parsed.version) == expected


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("", 400),
        ("GET", 400),
        ("GET /", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET / HTTP/1.1\r", 400),
        (" GET / HTTP/1.1", 400),
        ("GET /a b HTTP/1.1", 400),
        ("GET /\t HTTP/1.1", 400),
        ("GET\t/ HTTP/1.1", 400),
        ("G(T / HTTP/1.1", 400),
        ("GET / HTTP/11", 400),
        ("GET / HTTP/1.10", 400),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1.\u0661", 400),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/0.9", 505),
    ],
)
def test_what_is_no_request_line(httputil: Any, line: str, status: int) -> None:
    with pytest.raises(httputil.HTTPInputError) as caught:
        httputil.parse_request_start_line(line)
    if httputil is not importlib.import_module("tornado.httputil"):  # its errors have no status
        assert caught.value.status == status


@pytest.mark.parametrize("path", ["/é", "/\x7f", "/\x00", "/#x", "/a#"])
def test_targets_of_visible_ascii_only(path: str) -> None:
    with pytest.raises(HTTPInputError):
        parse_request_start_line(f"GET {path} HTTP/1.1")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("HTTP/1.1 200 OK", ("HTTP/1.1", 200, "OK")),
        ("HTTP/1.0 404 Not Found", ("HTTP/1.0", 404, "Not Found")),
        ("HTTP/1.1 599 Straße", ("HTTP/1.1", 599, "Straße")),
    ],
)
def test_status_lines(httputil: Any, line: str, expected: tuple[str, int, str]) -> None:
    parsed = httputil.parse_response_start_line(line)
    assert isinstance(parsed, httputil.ResponseStartLine)
    assert tuple(parsed) == expected
    assert (parsed.version, parsed.code, parsed.reason) == expected


@pytest.mark.parametrize("line", ["HTTP/1.1 599 ", "HTTP/1.1 599"])
def test_a_reason_may_be_missing(line: str) -> None:
    """To Tornado it is None, and without the space it is an error."""
    assert parse_response_start_line(line) == ("HTTP/1.1", 599, "")


@pytest.mark.parametrize(
    "line",
    ["", "HTTP/1.1", "HTTP/1.1 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/2 200 OK",
     "HTTP/1.1  200 OK", "HTTP/1.1 200 O\nK", "HTTP/1.1 200 O\x00", "http/1.1 200 OK"],
)  # fmt: skip
def test_what_is_no_status_line(httputil: Any, line: str) -> None:
    with pytest.raises(httputil.HTTPInputError):
        httputil.parse_response_start_line(line)


@pytest.mark.parametrize(
    "line", ["HTTP/1.1 \u0661\u0661\u0661 OK", "HTTP/1.1 099 x", "HTTP/2.0 200 OK", "HTTP/0.9 200"]
)
def test_status_lines_that_we_refuse(line: str) -> None:
    with pytest.raises(HTTPInputError):
        parse_response_start_line(line)


@given(st.text(st.characters(max_codepoint=255), max_size=30))
@example("GET / HTTP/1.1")
@example("HTTP/1.1 200 OK")
def test_any_text_is_a_line_or_an_error(text: str) -> None:
    parsed: RequestStartLine | ResponseStartLine
    try:
        parsed = parse_request_start_line(text)
    except HTTPInputError:
        pass
    else:
        assert " ".join(parsed) == text
    try:
        parsed = parse_response_start_line(text)
    except HTTPInputError:
        pass
    else:
        assert f"{parsed.version} {parsed.code} {parsed.reason}".rstrip() == text.rstrip()


def test_they_are_named_tuples() -> None:
    line = RequestStartLine("GET", "/", "HTTP/1.1")
    assert line._replace(method="HEAD") == ("HEAD", "/", "HTTP/1.1")
    assert ResponseStartLine(version="HTTP/1.1", code=200, reason="OK").code == 200
