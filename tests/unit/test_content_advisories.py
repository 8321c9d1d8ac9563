"""Advisories about what is in a message, as far as no other test has their name.

Those about the messages themselves are in ``hostile`` (see ``wire/test_advisories.py``); others are
in the tests of the module that they are about, in the name or the identifier of a test.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tornadoish.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPServerRequest,
    ResponseStartLine,
    forms,
    parse_cookie,
)
from tornadoish.log import LogFormatter

ROOT = Path(__file__).parent.parent.parent
MULTIPART = "multipart/form-data; boundary=B"


def part(body: bytes, *lines: bytes) -> bytes:
    head = [b"--B", b"Content-Disposition: form-data; name=a", *lines]
    return b"\r\n".join([*head, b"", body, b""])


def parse(body: bytes, content_type: str = MULTIPART) -> dict[str, list[bytes]]:
    arguments: dict[str, list[bytes]] = {}
    forms.parse_body_arguments(content_type, body, arguments, {})
    return arguments


# -- multipart/form-data


@pytest.mark.parametrize("length", [b"+5", b"-1", b"0", b"1_0", b"99999999999999999999", b"x"])
def test_the_length_that_a_part_claims_is_not_believed_CVE_2026_34516(length: bytes) -> None:
    """python-multipart read everything for a negative one; the boundary alone ends a part."""
    body = part(b"hello", b"Content-Length: " + length) + part(b"x") + b"--B--"
    assert parse(body) == {"a": [b"hello", b"x"]}


def test_header_fields_of_a_part_are_bounded_CVE_2026_34516() -> None:
    many = part(b"x", *[b"X%d: y" % number for number in range(2000)])
    with pytest.raises(HTTPInputError, match="header too large"):
        parse(many + b"--B--")


@pytest.mark.parametrize(
    "line",
    [b"X: a\rY: b", b"X: a\nY: b", b"X: a\x00", b"X: a\x7f", b"X : a", b"X", b": a", b" X: a"],
)
def test_a_part_s_header_field_that_is_none_CVE_2026_34514_CVE_2026_50269(line: bytes) -> None:
    with pytest.raises(HTTPInputError, match="Invalid header"):
        parse(part(b"x", line) + b"--B--")


# Which made aiohttp read for ever, the second one only where assert statements are gone.
ENDLESS = [
    b"",
    b"--B",
    b"--B\r\n",
    b"--B\r\n\r\n",
    b"--B\r\n--B--",
    part(b"x"),
    part(b"x")[:-2],
    part(b"x") + b"--B-",
    part(b"x") + b"--B\r\n",
    part(b"x") + b"--C--",
    part(b"x", b"Content-Type: multipart/mixed; boundary=C") + b"--B",
    part(b"--B", b"Content-Transfer-Encoding: base64"),
]


def test_a_body_that_does_not_end_CVE_2024_30251() -> None:
    for body in ENDLESS:
        with pytest.raises(HTTPInputError):
            parse(body)


def test_nothing_relies_on_assert_statements_CVE_2025_69227() -> None:
    """The same, and the framing, where Python takes them away."""
    script = f"""
import sys
sys.path[:0] = {[str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "unit")]!r}
from test_content_advisories import ENDLESS, HTTPInputError, parse
from hostile import REFUSED
from tornadoish.buffer import ReceiveBuffer
from tornadoish.http1.limits import Limits
from tornadoish.http1.reader import Reader

if __debug__:
    sys.exit("assert statements are there")
for body in ENDLESS:
    try:
        parse(body)
    except HTTPInputError:
        continue
    sys.exit(f"taken: {{body!r}}")
for case in REFUSED:
    if case.decompress or case.is_large:
        continue
    buffer = ReceiveBuffer()
    buffer.append(case.data)
    reader = Reader(buffer, Limits(body_bytes=1 << 20))
    try:
        while (event := reader.next_event()) is not None:
            if str(reader.state) == "DONE":
                reader.next_message()
    except HTTPInputError:
        continue
    sys.exit(f"taken: {{case.id}}")
"""
    done = subprocess.run(
        [sys.executable, "-O", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


# -- cookies, hosts, logs


def test_bad_cookies_are_not_logged_CVE_2025_69230(caplog: pytest.LogCaptureFixture) -> None:
    """aiohttp wrote a line for each."""
    caplog.set_level(logging.DEBUG)
    bad = "; ".join(f'a{number}\x01="\\{number}' for number in range(1000))
    headers = HTTPHeaders.from_pairs([("Cookie", bad)])
    request = HTTPServerRequest(method="GET", uri="/", headers=headers)
    assert len(request.cookies) == 0
    assert len(parse_cookie(bad)) == 1000
    assert caplog.records == []


@pytest.mark.parametrize("host", ["a/../b?c", "a?b", "a#b"])
def test_the_path_is_not_taken_from_the_host_CVE_2026_48710(host: str) -> None:
    """No such Host reaches a request over HTTP/1; here is one that was made by hand."""
    request = HTTPServerRequest(
        method="GET", uri="/path?query", headers=HTTPHeaders.from_pairs([("Host", host)])
    )
    assert (request.path, request.query) == ("/path", "query")


def test_a_path_in_the_access_log_CVE_2020_7694() -> None:
    """Most of it cannot be in a target at all; what a log line is made of is escaped anyway."""
    made = logging.makeLogRecord({"msg": "200 GET %s", "args": ("/\x1b[31m\r\nforged",)})
    line = LogFormatter("%(message)s", color=False).format(made)
    assert line == "200 GET /\\x1b[31m\\r\n    forged"


# -- what we send


@pytest.mark.parametrize(
    "fields",
    [{"X": "a\r\nSet-Cookie: a=b"}, {"X": "a\n"}, {"X\r\nY": "a"}, {"X:": "a"}, {"": "a"}],
)
def test_a_line_end_in_a_field_is_refused_CVE_2020_7695_CVE_2018_1000164(
    fields: dict[str, str],
) -> None:
    with pytest.raises(HTTPInputError):
        HTTPHeaders(fields)


@pytest.mark.parametrize("reason", ["a\r\nX: y", "a\n", "\x00"])
def test_a_line_end_in_a_reason_is_refused_CVE_2026_34519(reason: str) -> None:
    from tornadoish.http1.writer import Writer
    from tornadoish.httputil import HTTPOutputError

    writer: Any = Writer()
    with pytest.raises(HTTPOutputError):
        writer.response(ResponseStartLine("", 200, reason), HTTPHeaders(), None)
