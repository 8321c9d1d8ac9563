"""Quality lists: what a client likes, whatever it sends (RFC 9110, 12.4 and 12.5)."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measuring import growth

from tornadoish.httputil import HTTPHeaders, negotiation
from tornadoish.httputil.negotiation import (
    add_to_vary,
    choose_coding,
    choose_media_type,
    media_quality,
    quality_list,
)

ALL = ("zstd", "br", "gzip")


def test_the_examples_of_the_documentation() -> None:
    failed, tried = doctest.testmod(negotiation)
    assert (failed, tried > 4) == (0, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (",, ,", []),
        ("a", [("a", 1.0)]),
        ("A;q=0.5,B", [("b", 1.0), ("a", 0.5)]),
        ("a;q=0.3,b;q=0.7,c;q=0.7", [("b", 0.7), ("c", 0.7), ("a", 0.3)]),
        ("a ; Q=0.25\t,\tb", [("b", 1.0), ("a", 0.25)]),
        ("a;level=1;q=0.5", [("a", 0.5)]),
        ("a;q=0.5;level=1", [("a", 0.5)]),
        ("a;q=1.000, b;q=0.", [("a", 1.0), ("b", 0.0)]),
        ("a;q=0.3333333333333333", [("a", 0.3333333333333333)]),
        # No weights at all: such a member is not wanted.
        ("a;q=2", [("a", 0.0)]),
        ("a;q=1.1", [("a", 0.0)]),
        ("a;q=-1", [("a", 0.0)]),
        ("a;q=", [("a", 0.0)]),
        ("a;q=x", [("a", 0.0)]),
        ("a;q=1e-1", [("a", 0.0)]),
        ("a;q=0_1", [("a", 0.0)]),
        ("a;q=\u0661", [("a", 0.0)]),  # a digit of another script
        ("a;q=nan, b;q=inf", [("a", 0.0), ("b", 0.0)]),
        ("a;q", [("a", 1.0)]),
        ("a;", [("a", 1.0)]),
        # What is quoted is one thing.
        ('a;x="b,c;q=0";q=0.5, d', [("d", 1.0), ("a", 0.5)]),
        ('a;x="b\\",c";q=0.5', [("a", 0.5)]),
        ('a;x="never closed, b;q=0.1', [("a", 1.0)]),
        ('a;x="\\', [("a", 1.0)]),
    ],
)
def test_quality_list(text: str, expected: list[tuple[str, float]]) -> None:
    assert quality_list(text) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("br;q=0.5, *", "zstd"),
        ("*", "zstd"),
        ("zstd;q=0, *", "br"),
        ("*;q=0", None),
        ("gzip;q=0", None),
        ("gzip;q=0.001", "gzip"),
        ("deflate, compress", None),
        ("gzipped", None),
        ("identity", None),
        ("identity, gzip", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0, *;q=0", None),
        ("gzip;q=0, gzip", "gzip"),
        ("gzip;q=zero, br;q=0.1", "br"),
    ],
)
def test_choose_coding(accept: str, expected: str | None) -> None:
    assert choose_coding(accept, ALL) == expected
    assert choose_coding(accept, list(ALL)) == expected
    assert choose_coding(f"{accept}{' ' * 300}", ALL) == expected  # too long to be remembered


def test_the_servers_order_decides_between_equals() -> None:
    assert choose_coding("br, gzip", ("gzip", "br")) == "gzip"
    assert choose_coding("br, gzip", ()) is None


@pytest.mark.parametrize(
    ("accept", "media_type", "expected"),
    [
        ("", "text/html", (1.0, 0)),
        ("*/*", "text/html", (1.0, 0)),
        ("text/*;q=0.4, */*;q=0.1", "text/html", (0.4, 1)),
        ("text/*, text/html;q=0", "text/html", (0.0, 2)),
        ("*/*, text/*;q=0", "text/html", (0.0, 1)),
        ("text/html;level=1;q=0.2, text/html", "text/html", (1.0, 2)),
        ("image/png", "text/html", (0.0, 0)),
        ("text", "text/html", (0.0, 0)),
        ("*", "text/html", (0.0, 0)),
    ],
)
def test_media_quality(accept: str, media_type: str, expected: tuple[float, int]) -> None:
    assert media_quality(accept, media_type) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("application/json", "application/json"),
        ("application/*", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json;q=0.5, text/html", "text/html"),
        ("application/json, text/html", "text/html"),
        ("text/html;q=0, */*", "application/json"),
        ("image/png", None),
        ("*/*;q=0", None),
    ],
)
def test_choose_media_type(accept: str, expected: str | None) -> None:
    assert choose_media_type(accept, ("text/html", "application/json")) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], ["Accept-Encoding"]),
        ([""], ["Accept-Encoding"]),
        (["Cookie"], ["Cookie, Accept-Encoding"]),
        (["Cookie", "Origin"], ["Cookie,Origin, Accept-Encoding"]),
        (["cookie, accept-ENCODING"], ["cookie, accept-ENCODING"]),
        (["Accept-Encoding", "Cookie"], ["Accept-Encoding", "Cookie"]),
        (["X-Accept-Encoding"], ["X-Accept-Encoding, Accept-Encoding"]),
        (["*"], ["*"]),
    ],
)
def test_add_to_vary(before: list[str], after: list[str]) -> None:
    headers = HTTPHeaders()
    for value in before:
        headers.add("Vary", value)
    add_to_vary(headers, "Accept-Encoding")
    assert headers.get_list("Vary") == after


@given(st.text(alphabet='abgzip*/;,q=01."\\ \t\x80', max_size=60))
def test_nothing_raises(text: str) -> None:
    for _, weight in quality_list(text):
        assert 0.0 <= weight <= 1.0
    assert choose_coding(text, ALL) in (*ALL, None)
    assert choose_media_type(text, ("text/html", "a/b")) in ("text/html", "a/b", None)


@pytest.mark.parametrize(
    "piece",
    ["gzip;q=0.5,", ",", '"', '\\"', '"\\', ';x="a,', "a;q=1;", ' ; ; "', "0", "a;q=0.00000"],
    ids=repr,
)
def test_linear(piece: str) -> None:
    assert growth(lambda size: quality_list(piece * size), 4_000) < 24
