"""Framing: how long a body is and a connection lives, by fields alone (RFC 9112, 6, 9)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornadoish.http1 import framing
from tornadoish.http1.framing import CHUNKED, UNTIL_CLOSE
from tornadoish.httputil import HTTPInputError
from tornadoish.httputil.headers import build_index

TE, CL = "transfer-encoding", "content-length"


def refused(call: object, *arguments: object) -> int:
    with pytest.raises(HTTPInputError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.status


@pytest.mark.parametrize(
    ("version", "index", "wanted"),
    [
        ("HTTP/1.1", {}, 0),
        ("HTTP/1.0", {}, 0),
        ("HTTP/1.1", {CL: "0"}, 0),
        ("HTTP/1.1", {CL: "5"}, 5),
        ("HTTP/1.0", {CL: "5"}, 5),
        ("HTTP/1.1", {CL: "9" * 18}, 10**18 - 1),
        ("HTTP/1.1", {TE: "chunked"}, CHUNKED),
        ("HTTP/1.1", {TE: "Chunked"}, CHUNKED),
    ],
)
def test_request_length(version: str, index: dict[str, str], wanted: int) -> None:
    assert framing.request_length(version, index) == wanted


@pytest.mark.parametrize(
    ("version", "index", "code"),
    [
        ("HTTP/1.1", {CL: "5", TE: "chunked"}, 400),
        ("HTTP/1.1", {CL: "5", TE: "gzip"}, 400),
        ("HTTP/1.0", {TE: "chunked"}, 400),
        ("HTTP/1.1", {TE: "gzip, chunked"}, 400),
        ("HTTP/1.1", {TE: "gzip"}, 501),
        ("HTTP/1.1", {TE: ""}, 400),
        ("HTTP/1.1", {CL: "9" * 19}, 400),
        ("HTTP/1.1", {CL: ""}, 400),
        ("HTTP/1.1", {CL: "5\n"}, 400),
    ],
)
def test_requests_that_are_refused(version: str, index: dict[str, str], code: int) -> None:
    assert refused(framing.request_length, version, index) == code


@given(st.text(max_size=8))
def test_only_ascii_digits_are_a_length(text: str) -> None:
    """Whatever ``int()`` would take: signs, underscores, spaces, the digits of every script."""
    good = len(text) > 0 and all(c in "0123456789" for c in text)
    if good:
        assert framing.request_length("HTTP/1.1", {CL: text}) == int(text)
    else:
        assert refused(framing.request_length, "HTTP/1.1", {CL: text}) == 400


@given(st.text(max_size=12))
def test_only_chunked_is_chunked(text: str) -> None:
    if text.lower() == "chunked" and text.isascii():
        assert framing.request_length("HTTP/1.1", {TE: text}) == CHUNKED
    else:
        assert refused(framing.request_length, "HTTP/1.1", {TE: text}) in (400, 501)


@pytest.mark.parametrize(
    ("method", "code", "index", "wanted"),
    [
        ("GET", 200, {}, UNTIL_CLOSE),
        ("GET", 200, {CL: "5"}, 5),
        ("GET", 200, {CL: "5, 5,5"}, 5),
        ("GET", 200, {TE: "chunked"}, CHUNKED),
        ("HEAD", 200, {CL: "5"}, 0),
        ("HEAD", 200, {TE: "chunked"}, 0),
        ("HEAD", 200, {}, 0),
        ("GET", 204, {CL: "5"}, 0),
        ("GET", 304, {TE: "chunked"}, 0),
        ("GET", 100, {}, 0),
        ("CONNECT", 200, {CL: "5"}, 0),
        ("CONNECT", 299, {TE: "chunked"}, 0),
        ("CONNECT", 400, {CL: "5"}, 5),
    ],
)
def test_response_length(method: str, code: int, index: dict[str, str], wanted: int) -> None:
    assert framing.response_length(method, code, index) == wanted


@pytest.mark.parametrize(
    "index",
    [{CL: "5, 6"}, {CL: "5,"}, {CL: "+5"}, {CL: "5", TE: "chunked"}, {TE: "gzip, chunked"}],
)
def test_responses_that_are_refused(index: dict[str, str]) -> None:
    assert refused(framing.response_length, "GET", 200, index) == 400


@pytest.mark.parametrize(
    ("version", "connection", "wanted"),
    [
        ("HTTP/1.1", None, True),
        ("HTTP/1.1", "close", False),
        ("HTTP/1.1", "CLOSE", False),
        ("HTTP/1.1", "a , close\t", False),
        ("HTTP/1.1", "keep-alive", True),
        ("HTTP/1.1", "keep-alive, close", False),
        ("HTTP/1.1", "closed", True),
        ("HTTP/1.1", "", True),
        ("HTTP/1.0", None, False),
        ("HTTP/1.0", "keep-alive", True),
        ("HTTP/1.0", "Keep-Alive, x", True),
        ("HTTP/1.0", "keep-alive, close", False),
        ("HTTP/1.0", "x", False),
    ],
)
def test_persists(version: str, connection: str | None, wanted: bool) -> None:
    index = {} if connection is None else {"connection": connection}
    assert framing.persists(version, index) is wanted


@pytest.mark.parametrize(
    ("version", "expect", "wanted"),
    [
        ("HTTP/1.1", None, False),
        ("HTTP/1.1", "100-continue", True),
        ("HTTP/1.1", "100-Continue", True),
        ("HTTP/1.0", "100-continue", False),
        ("HTTP/1.0", "tea", False),
    ],
)
def test_expects_continue(version: str, expect: str | None, wanted: bool) -> None:
    index = {} if expect is None else {"expect": expect}
    assert framing.expects_continue(version, index) is wanted


def test_another_expectation() -> None:
    assert refused(framing.expects_continue, "HTTP/1.1", {"expect": "tea"}) == 417


def test_hosts() -> None:
    for version, pairs in [
        ("HTTP/1.0", []),
        ("HTTP/1.0", [("Host", "x")]),
        ("HTTP/1.1", [("Host", "")]),
        ("HTTP/1.1", [("Host", "x"), ("A", "1"), ("A", "2")]),
    ]:
        framing.check_fields(version, pairs, build_index(pairs))
    for version, pairs in [
        ("HTTP/1.1", []),
        ("HTTP/1.1", [("Host", "a"), ("host", "a")]),
        ("HTTP/1.0", [("Host", "a"), ("host", "a")]),
        ("HTTP/1.1", [("Host", "a/b")]),
    ]:
        assert refused(framing.check_fields, version, pairs, build_index(pairs)) == 400


@pytest.mark.parametrize("target", ["h:443", "[::1]:1", "1.2.3.4:5"])
def test_connect_targets(target: str) -> None:
    assert framing.check_target_form("CONNECT", target) is None


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("CONNECT", "h"),
        ("CONNECT", "h:"),
        ("CONNECT", "/"),
        ("CONNECT", "http://h:1"),
        ("CONNECT", "h:\u0665"),
        ("GET", "*"),
        ("GET", "h:1"),
        ("GET", "http:/x"),
        ("GET", "http://"),
        ("GET", "javascript://x"),
    ],
)
def test_targets_that_are_refused(method: str, target: str) -> None:
    assert refused(framing.check_target_form, method, target) == 400
