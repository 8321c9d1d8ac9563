"""HTTP/1.1 messages as the grammar makes them (RFC 9112 and 9110).

A sample knows what it means: the events that a reader must make of it, in the form of ``reading``.
These are computed here from what was chosen, never by the code under test.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from meddling import WAYS, meddle
from sources import Source, pick, rarely

Pair = tuple[str, str]

TCHARS = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"  # RFC 9110, 5.6.2
VCHARS = "".join(map(chr, range(0x21, 0x7F)))
OBS_TEXT = "".join(map(chr, range(0x80, 0x100)))
UNRESERVED = string.ascii_letters + string.digits + "-._~"  # RFC 3986, 2.3
SUB_DELIMS = "!$&'()*+,;="  # RFC 3986, 2.2


class Sample(NamedTuple):
    """One message, or several in a row."""

    data: bytes
    events: list[tuple[Any, ...]]
    last: bool  # no message follows it
    until_close: bool = False  # the end of the connection is part of it
    method: str = ""  # of responses: what the request was

    @property
    def is_response(self) -> bool:
        return self.method != ""


# -- request lines (RFC 9112, 3; RFC 3986)

METHODS = ["GET", "POST", "GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "PATCH", "get", ""]
VERSIONS = ["HTTP/1.1"] * 13 + ["HTTP/1.0", "HTTP/1.0", "HTTP/1.9"]
_ESCAPES = ["%20", "%2F", "%00", "%0d%0a", "%e9", "%25", "..", "."]
_HOST_NAMES = ["x", "example.org", "127.0.0.1", "[::1]", "[2001:db8::7]", "[::ff:1.2.3.4]", "a%2Fb",
               "[v1F.x:y]"]  # fmt: skip
_PORTS = ["", "", "", ":", ":80", ":00443", ":65535"]
_SCHEMES = ["http://", "https://", "HTTP://"]


def token(source: Source) -> str:
    return source.text(TCHARS, 1, 6)


def _host(source: Source, ports: list[str]) -> str:
    if source.number(0, 3):
        return pick(source, _HOST_NAMES) + pick(source, ports)
    return source.text(UNRESERVED + SUB_DELIMS, 1, 8) + pick(source, ports)


def _path(source: Source) -> str:
    path = "/"
    for part in range(source.number(0, 2)):
        path += "/" if part else ""
        path += (
            pick(source, _ESCAPES)
            if rarely(source)
            else source.text(UNRESERVED + SUB_DELIMS + ":@", 0, 6)
        )
    return path


def _query(source: Source) -> str:
    return "?" + source.text(UNRESERVED + SUB_DELIMS + ":@/?", 0, 8) if rarely(source) else ""


def _request_line(source: Source) -> tuple[str, str]:
    """A method and a target of a form that it can have."""
    form = source.number(0, 15)
    if form == 15:
        return "CONNECT", _host(source, [":1", ":443", ":08080"])
    if form == 14:
        return "OPTIONS", "*"
    method = pick(source, METHODS) or token(source)
    if form > 10:
        path = _path(source) if source.number(0, 1) else ""
        target = pick(source, _SCHEMES) + _host(source, _PORTS) + path + _query(source)
    else:
        target = _path(source) + _query(source)
    return "GET" if method == "CONNECT" else method, target


# -- fields (RFC 9110, 5; RFC 9112, 5)

#: names that mean something to whoever frames or routes a message
FRAMING_NAMES = frozenset(
    ["host", "content-length", "transfer-encoding", "connection", "content-type", "expect"]
)
NAMES = ["Accept", "Cookie", "X-A", "x-a", "Upgrade", "Proxy-Connection", "Date", "", ""]
VALUES = ["1", "", "websocket", "chunked", "a, b", 'q="x;y"', "h2c", "a b c"]
_FORMS = ["{}: {}"] * 6 + ["{}:{}", "{}:\t{}", "{}: {} ", "{}:  {}\t ", "{}:{}\t"]
_OPTIONS = ["close", "keep-alive", "Close", "Keep-Alive", "x", "te", "upgrade", ""]


def value(source: Source) -> str:
    if source.number(0, 2):
        return pick(source, VALUES)
    return source.text(VCHARS + OBS_TEXT + " \t", 0, 10).strip(" \t")


def _fields(source: Source, most: int = 3) -> list[Pair]:
    pairs = []
    for _ in range(source.number(0, most)):
        name = pick(source, NAMES) or token(source)
        if name.lower() not in FRAMING_NAMES:
            pairs.append((name, value(source)))
    return pairs


def _put(source: Source, pairs: list[Pair], name: str, value: str) -> None:
    pairs.insert(source.number(0, len(pairs)), (name, value))


def _lines(source: Source, pairs: Iterable[Pair]) -> list[str]:
    return [pick(source, _FORMS).format(*pair) for pair in pairs]


def _latin(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


# -- bodies (RFC 9112, 6 and 7)

_BODIES = [b"hello", b"", b"\r", b"\r\n", b"\n", b"0\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"]
_BWS = ["", "", "", "", "", "", " ", "\t"]
_SIZES = ["%x", "%x", "%X", "0%x", "000%X"]
_LENGTHS = ["%d", "%d", "%d", "0%d", "000000%d"]
#: fields that a trailer section must not have (RFC 9110, 6.5.1): they are dropped
_NO_TRAILERS = ["Host", "content-length", "Transfer-Encoding", "Authorization", "TE", "Cookie"]
_DROPPED = frozenset(name.lower() for name in _NO_TRAILERS)
_DROPPED |= {"upgrade", "date", "proxy-connection", "age", "vary", "range", "pragma"}


def _extensions(source: Source) -> str:
    """RFC 9112, 7.1.1: *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )"""
    text = ""
    for _ in range(2 if rarely(source) else source.number(0, 3) // 3):
        text += f"{pick(source, _BWS)};{pick(source, _BWS)}{token(source)}"
        if source.number(0, 1):
            text += f"{pick(source, _BWS)}={pick(source, _BWS)}"
            quoted = re.sub(r'(["\\])', r"\\\1", source.text(VCHARS + " \t" + OBS_TEXT, 0, 5))
            text += f'"{quoted}"' if source.number(0, 1) else token(source)
    return text


def _chunked(source: Source, body: bytes) -> tuple[bytes, list[Pair]]:
    """``body`` in chunks, and the trailer fields that may be kept, as they are shown."""
    wire = b""
    while body:
        size = source.number(1, len(body))
        piece, body = body[:size], body[size:]
        wire += _latin(pick(source, _SIZES) % size + _extensions(source)) + piece + b"\r\n"
    wire += _latin(pick(source, ["0", "0", "00", "0000"]) + _extensions(source))
    trailers = _fields(source, 2) if rarely(source) else []
    if rarely(source):
        trailers.append((pick(source, _NO_TRAILERS), value(source)))
    wire += _latin(*_lines(source, trailers), "")
    return wire, [
        ("-".join(word.capitalize() for word in name.split("-")), value)
        for name, value in trailers
        if name.lower() not in _DROPPED
    ]


def _framed(source: Source, pairs: list[Pair], kind: str) -> tuple[bytes, list[tuple[Any, ...]]]:
    """Put the field that frames a body among ``pairs``: the body's bytes and events."""
    if kind == "none":
        return b"", []
    body = pick(source, _BODIES) if source.number(0, 2) else source.octets(24)
    data = [("data", body)] if body else []
    if kind == "length":
        _put(source, pairs, "Content-Length", pick(source, _LENGTHS) % len(body))
        return body, [*data, ("end", [])] if body else []
    if kind == "chunked":
        name = pick(source, ["Transfer-Encoding", "transfer-encoding"])
        _put(source, pairs, name, pick(source, ["chunked", "chunked", "Chunked"]))
        wire, trailers = _chunked(source, body)
        return wire, [*data, ("end", trailers)]
    return body, [*data, ("end", [])]


def _persists(source: Source, pairs: list[Pair], version: str) -> bool:
    """Put a Connection field among ``pairs``, or none: whether the connection lives (9112, 9.3)."""
    if source.number(0, 3) != 3:
        return version != "HTTP/1.0"
    options = [pick(source, _OPTIONS) for _ in range(source.number(1, 3))]
    _put(source, pairs, "Connection", ", ".join(options).strip(" "))
    said = [option.lower() for option in options]
    return "close" not in said and (version != "HTTP/1.0" or "keep-alive" in said)


# -- messages


def request(source: Source) -> Sample:
    """A valid request."""
    method, target = _request_line(source)
    version = pick(source, VERSIONS)
    pairs = _fields(source)
    if version != "HTTP/1.0" or source.number(0, 1):
        _put(source, pairs, "Host", "" if rarely(source) else _host(source, _PORTS))
    if rarely(source):
        _put(source, pairs, "Content-Type", value(source))
    kinds = ["none", "none", "length"] + ["chunked"] * (version != "HTTP/1.0")
    wire, events = _framed(source, pairs, pick(source, kinds))
    persists = _persists(source, pairs, version)
    if rarely(source):
        _put(source, pairs, "Expect", pick(source, ["100-continue", "100-Continue", ""]))
    blank = b"\r\n" if source.number(0, 11) == 11 else b""  # RFC 9112, 2.2
    head = _latin(f"{method} {target} {version}", *_lines(source, pairs), "")
    events.insert(0, ("head", (method, target, version), pairs))
    return Sample(blank + head + wire, events, not persists or method == "CONNECT")


def response(source: Source, method: str) -> Sample:
    """A valid response to a request of ``method``, with an interim one before it or none."""
    data, events = b"", []
    if rarely(source):
        code = pick(source, [100, 102, 103, 199])
        fields = _fields(source)
        data += _latin(f"HTTP/1.1 {code} Wait", *_lines(source, fields), "")
        events.append(("head", ("HTTP/1.1", code, "Wait"), fields))
    version = pick(source, VERSIONS)
    code = pick(source, [200, 200, 204, 205, 304, 404, 500, 999])
    reason = value(source)
    pairs = _fields(source)
    tunnel = method == "CONNECT" and 200 <= code < 300
    if method == "HEAD" or code in (204, 304) or tunnel:
        # No body, whatever the fields say (RFC 9112, 6.3).
        if source.number(0, 1):
            _put(source, pairs, "Content-Length", "7")
        kind = "none"
    else:
        kinds = ["length", "length", "until close"] + ["chunked"] * (version != "HTTP/1.0")
        kind = pick(source, kinds)
    wire, more = _framed(source, pairs, kind)
    persists = _persists(source, pairs, version) and kind != "until close"
    space = " " if reason or source.number(0, 1) else ""
    lines = [_fold(source, line) for line in _lines(source, pairs)]
    data += _latin(f"{version} {code}{space}{reason}", *lines, "") + wire
    events += [("head", (version, code, reason), pairs), *more]
    return Sample(data, events, not persists, kind == "until close", method)


def _fold(source: Source, line: str) -> str:
    """Perhaps write a space of the value as obs-fold, which a recipient takes for one (5.2)."""
    found = re.search(r"(?<=[!-~\x80-\xff]) (?=[!-~\x80-\xff])", line[line.index(":") + 2 :])
    if found is None or not rarely(source):
        return line
    at = found.start() + line.index(":") + 2
    return line[:at] + pick(source, ["\r\n ", "\r\n\t"]) + line[at + 1 :]


def _row(source: Source, make: Callable[[], Sample], most: int) -> Sample:
    """Messages in a row: up to the first behind which none is read."""
    row = make()
    for _ in range(source.number(0, most - 1)):
        if row.last:
            break
        following = make()
        row = following._replace(
            data=row.data + following.data, events=row.events + following.events
        )
    return row


def request_row(source: Source) -> Sample:
    """A few valid requests in a row."""
    return _row(source, lambda: request(source), 3)


def response_row(source: Source) -> Sample:
    """Valid responses in a row, all to requests of one method."""
    method = pick(source, ["GET", "GET", "POST", "HEAD", "CONNECT"])
    return _row(source, lambda: response(source, method), 2)


# -- and what becomes of them

_WAYS = sorted(WAYS)


def broken(source: Source, row: Sample) -> Sample:
    """``row`` after somebody has meddled with its bytes, or not; its events say nothing now."""
    steps = [
        (pick(source, _WAYS), source.number(0, 1023), source.number(0, 255))
        for _ in range(source.number(0, 3))
    ]
    return row._replace(data=meddle(row.data, steps))


def broken_requests(source: Source) -> Sample:
    """Requests in a row, meddled with."""
    return broken(source, request_row(source))


def broken_responses(source: Source) -> Sample:
    """Responses in a row, meddled with."""
    return broken(source, response_row(source))
