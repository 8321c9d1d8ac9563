"""Our reader next to h11 and httptools: where they read bytes otherwise, it is by a known rule.

``docs/parsers.md`` lists the rules. To look for more of them than the suite does:

    TORNADOISH_SEEDS=200000 python -m pytest tests/wire/test_differential.py -k seeds -s
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest
from disagreements import LATER, RULES, SAME, explain
from grammar import broken_requests
from hypothesis import given, settings
from parsers import OTHERS
from reader_cases import CASES
from sources import Seeded, generated

SEEDS = int(os.environ.get("TORNADOISH_SEEDS", "1500"))
DOCUMENT = Path(__file__).parents[2] / "docs" / "parsers.md"

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"0\r\n\r\n"


def line(text: bytes) -> bytes:
    return text + b"\r\nHost: x\r\n\r\n"


def field(text: bytes) -> bytes:
    return GET + text + b"\r\n\r\n"


def host(text: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: " + text + b"\r\n\r\n"


# An input, and the rule by which h11 and by which httptools reads it otherwise. Among them are all
# inputs on which servers of today were seen to differ, also those on which these two do as we do.
TARGET, LONG = "a request target", "a long length"
EXAMPLES: list[tuple[bytes, str, str]] = [
    # start lines
    (line(b"GET / HTTP/1.1"), SAME, SAME),
    (line(b"GET foo HTTP/1.1"), TARGET, SAME),
    (line(b"GET * HTTP/1.1"), TARGET, TARGET),
    (line(b"GET /#a HTTP/1.1"), TARGET, TARGET),
    (line(b"GET ftp://a/ HTTP/1.1"), TARGET, TARGET),
    (line(b"GET http:///a HTTP/1.1"), TARGET, TARGET),
    (line(b"GET http://:80/ HTTP/1.1"), TARGET, TARGET),
    (line(b"GET http://a@b/ HTTP/1.1"), TARGET, TARGET),
    (line(b"CONNECT /a HTTP/1.1"), TARGET, TARGET),
    (line(b"GET /\xe9 HTTP/1.1"), SAME, SAME),
    (line(b'GET /"<>\\^`{|} HTTP/1.1'), SAME, SAME),
    (line(b"GET / HTTP/2.0"), "another version", "another version"),
    (line(b"GET / HTTP/0.9"), "another version", "another version"),
    (b"GET /\r\n", LATER, "no version"),
    (line(b"GET / HTTP/1.2"), SAME, "HTTP/1.2"),
    (line(b"GET / RTSP/1.0"), SAME, "another protocol"),
    (line(b"SOURCE / ICE/1.0"), SAME, "another protocol"),
    (line(b"BREW / HTTP/1.1"), SAME, "a method"),
    (line(b"get / HTTP/1.1"), SAME, "a method"),
    (line(b"GET  / HTTP/1.1"), SAME, "spaces"),
    (line(b"GET /  HTTP/1.1"), SAME, "spaces"),
    (line(b"GET / HTTP/1.1 "), SAME, SAME),
    (line(b"\r\nGET / HTTP/1.1"), "one empty line", SAME),
    (line(b"\r\n\r\nGET / HTTP/1.1"), SAME, "empty lines"),
    (line(b"\nGET / HTTP/1.1"), SAME, "empty lines"),
    (b"GET / HTTP/1.1\nHost: x\n\n", "a bare LF", SAME),
    (GET + b"\n", "a bare LF", SAME),
    # fields
    (b"GET / HTTP/1.1\r\n\r\n", SAME, "no Host"),
    (b"GET / HTTP/1.9\r\n\r\n", "no Host", SAME),
    (b"GET / HTTP/1.0\r\n\r\n", SAME, SAME),
    (field(b"Host: x"), SAME, "two Hosts"),
    (host(b"a/../b?c@d"), "an invalid Host", "an invalid Host"),
    (host(b"a b"), "an invalid Host", "an invalid Host"),
    (host(b"[:::1]"), "an invalid Host", "an invalid Host"),
    (field(b"Content-Type: a\r\nContent-Type: b"), "two Content-Types", "two Content-Types"),
    (POST + b"Expect: tea\r\nContent-Length: 1\r\n\r\na", "an expectation", "an expectation"),
    (field(b"A: b\r\n c"), "a folded line", SAME),
    (field(b"Transfer-Encoding:\r\n chunked") + LAST, "a folded line", SAME),
    (field(b"A: \x01"), "a control", SAME),
    (field(b"A: \x7f"), "a control", SAME),
    (field(b"A: \x00"), SAME, SAME),
    (field(b"A: b\rc"), SAME, SAME),
    (field(b"A: b\nc: d"), "a bare LF", SAME),
    (field(b"X(y): z"), SAME, SAME),
    (field(b"Sec-WebSocket-Protocol: \x80\xff"), SAME, SAME),
    # framing
    (field(b"Content-Length: 5\r\nTransfer-Encoding: chunked") + LAST + NEXT,
     "length and chunked", SAME),
    (field(b"Content-Length: 5, 5") + b"hello", "the same length again", SAME),
    (field(b"Content-Length: 5\r\nContent-Length: 5") + b"hello", "the same length again", SAME),
    (field(b"Content-Length : 5") + b"hello", SAME, SAME),
    (field(b"Content-Length: \xd9\xa5") + b"hello", SAME, SAME),
    (field(b"Content-Length: " + b"9" * 19), LONG, LONG),
    (field(b"Content-Length: 0000000000000000005") + b"hello", LONG, LONG),
    (field(b"Content-Length: " + b"1" * 23), SAME, SAME),
    (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "chunked in 1.0",
     "chunked in 1.0"),
    (field(b"Transfer-Encoding: gzip, chunked") + LAST, SAME, "other codings"),
    (field(b"Transfer-Encoding: ,chunked") + LAST, SAME, "other codings"),
    (field(b"Transfer-Encoding: gzip") + LAST, SAME, SAME),
    (field(b"Transfer-Encoding: chunked, chunked") + LAST, SAME, SAME),
    (field(b"Transfer-Encoding: \x0bchunked") + LAST + NEXT, SAME, SAME),
    (field(b"Transfer-Encoding: chunked\t") + LAST, SAME, "a tab behind chunked"),
    # chunks
    (CHUNKED + b"5 \r\nhello\r\n" + LAST, "space behind a size", SAME),
    (CHUNKED + b"5 ;a\r\nhello\r\n" + LAST, "space before an extension",
     "space before an extension"),
    (CHUNKED + b"5;a\r\nhello\r\n" + LAST, SAME, SAME),
    (CHUNKED + b"5; a\r\nhello\r\n" + LAST, SAME, "an extension"),
    (CHUNKED + b"5;\r\nhello\r\n" + LAST, SAME, "an extension"),
    (CHUNKED + b'5;a="\\"\xff";b\r\nhello\r\n' + LAST, SAME, SAME),
    (CHUNKED + b"5;a\x01\r\nhello\r\n" + LAST, "a control in an extension", SAME),
    (CHUNKED + b"5;a\rb\r\nhello\r\n" + LAST, "a control in an extension", SAME),
    (CHUNKED + b"0x5\r\nhello\r\n" + LAST, SAME, SAME),
    (CHUNKED + b"5\nhello\r\n" + LAST, SAME, SAME),
    (CHUNKED + b"5\r\nhelloXX" + LAST, SAME, SAME),
    (CHUNKED + b"f" * 16 + b"\r\n", "a long size", "a long size"),
    (CHUNKED + b"f" * 17 + b"\r\n", "a long size", SAME),
    (CHUNKED + b"0" * 16 + b"5\r\nhello\r\n" + LAST, "a long size", "a long size"),
    (CHUNKED + b"0\r\nA: b\r\n\r\n", SAME, SAME),
    (CHUNKED + b"0\r\nA: b\n\n", "trailers", SAME),
    (CHUNKED + b"0\r\nA: b\r\n c\r\n\r\n", "trailers", SAME),
    (CHUNKED + b"0\r\nContent-Length: x\r\n\r\n" + NEXT, "framing in trailers",
     "framing in trailers"),
    # the connection
    (field(b"Connection: close") + NEXT, SAME, SAME),
    (field(b"Connection: close") + b"\x00", SAME, SAME),
    (GET + b"\r\n\x00\x00", SAME, SAME),
    (line(b"CONNECT h:1 HTTP/1.1") + NEXT, "CONNECT", SAME),
    (b"CONNECT h:1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na", "CONNECT",
     "a body before a tunnel"),
    (POST + b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\na" + NEXT, SAME,
     "a body before a tunnel"),
    (field(b"Connection: upgrade\r\nUpgrade: x") + NEXT, SAME, "an upgrade"),
    (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + NEXT, "keep-alive in 1.0", SAME),
    (b"GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n" + NEXT, SAME,
     "close and keep-alive"),
    (field(b"Proxy-Connection: close") + NEXT, SAME, "Proxy-Connection"),
    (b"GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n" + NEXT, SAME, "Proxy-Connection"),
    (CHUNKED + b"0\r\nConnection: close\r\n\r\n" + NEXT, SAME, "Connection in trailers"),
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=[repr(data) for data, *_ in EXAMPLES])
def test_examples(example: tuple[bytes, str, str]) -> None:
    data, by_h11, by_httptools = example
    assert (explain("h11", data), explain("httptools", data)) == (by_h11, by_httptools)


def test_every_rule_has_its_example_and_its_line_in_the_document() -> None:
    """And no others: what another parser no longer does is taken out."""
    shown = {("h11", name) for _, name, _ in EXAMPLES}
    shown |= {("httptools", name) for _, _, name in EXAMPLES}
    rules = {("h11", rule.name) for rule in RULES if rule.h11}
    rules |= {("httptools", rule.name) for rule in RULES if rule.httptools}
    assert {(parser, name) for parser, name in shown if name not in (SAME, LATER)} == rules
    document = DOCUMENT.read_text()
    assert re.findall(r"(?m)^\| \*\*(.+?)\*\* \|", document) == [rule.name for rule in RULES]


@pytest.mark.parametrize("parser", OTHERS)
def test_every_disagreement_on_the_table_of_cases_has_a_rule(parser: str) -> None:
    for case in CASES:
        if not case.client and case.limits.header_fields > 3:
            assert isinstance(explain(parser, case.data), str), case.name


@pytest.mark.timeout(600)  # what fails is made small first
@pytest.mark.parametrize("parser", OTHERS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(row=generated(broken_requests))
def test_every_disagreement_has_a_rule(parser: str, row: object) -> None:
    assert isinstance(explain(parser, row.data), str)  # type: ignore[attr-defined]


@pytest.mark.timeout(0)
@pytest.mark.parametrize("parser", OTHERS)
def test_every_disagreement_has_a_rule_for_many_seeds(parser: str) -> None:
    counts: Counter[str] = Counter()
    for seed in range(SEEDS):
        data = broken_requests(Seeded(seed)).data
        found = explain(parser, data)
        assert isinstance(found, str), f"seed {seed}: {data!r}: {found}"
        counts[found] += 1
    print(f"\n{parser}: {SEEDS} inputs", *map(str, counts.most_common()), sep="\n  ")
    assert counts[SAME] > SEEDS / 2
    assert counts[LATER] < SEEDS / 5
