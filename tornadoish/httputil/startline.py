"""The first lines of messages, as values, and their strict text forms (RFC 9112, 3 and 4)."""

from __future__ import annotations

import re
from typing import NamedTuple

from tornadoish.httputil.abnf import FIELD_CHAR, TCHAR
from tornadoish.httputil.errors import HTTPInputError


class RequestStartLine(NamedTuple):
    """``method``, ``path`` (the request target as it was sent) and ``version`` ("HTTP/1.1")."""

    method: str
    path: str
    version: str


class ResponseStartLine(NamedTuple):
    """``version`` ("HTTP/1.1"), ``code`` (an int) and ``reason`` (may be empty)."""

    version: str
    code: int
    reason: str


# RFC 9112, 3: method SP request-target SP HTTP-version. The target is visible ASCII without the
# fragment mark, which no request target may have (RFC 9112, 3.2; RFC 3986, 4.3).
REQUEST_LINE = re.compile(rf"([{TCHAR}]++) ([\x21\x22\x24-\x7e]++) (HTTP/[0-9]\.[0-9])")
# RFC 9112, 4: HTTP-version SP status-code SP [ reason-phrase ]; the last SP is often forgotten.
STATUS_LINE = re.compile(rf"(HTTP/[0-9]\.[0-9]) ([1-9][0-9]{{2}})(?: ([{FIELD_CHAR}]*+))?")


def parse_request_start_line(line: str) -> RequestStartLine:
    """Take a request line (without its line end) apart.

    :raises HTTPInputError: not a request line, or not HTTP/1.x (RFC 9112, 3).
    """
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise HTTPInputError("Malformed HTTP request line")
    if not match[3].startswith("HTTP/1."):
        raise HTTPInputError("Unsupported HTTP version", 505)
    return RequestStartLine._make(match.groups())


def parse_response_start_line(line: str) -> ResponseStartLine:
    """Take a status line (without its line end) apart.

    :raises HTTPInputError: not a status line, or not HTTP/1.x (RFC 9112, 4).
    """
    match = STATUS_LINE.fullmatch(line)
    if match is None or not match[1].startswith("HTTP/1."):
        raise HTTPInputError("Malformed HTTP status line")
    return ResponseStartLine(match[1], int(match[2]), match[3] or "")
