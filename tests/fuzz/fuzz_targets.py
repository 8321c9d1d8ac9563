"""What is fuzzed: functions of bytes that return, or raise what nobody may see.

Each is total over bytes, so a fuzzer may change what it likes. None needs the fuzzer: pytest runs
them over the corpus.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import h11
from disagreements import explain
from fuzz_websocket import upgrade, websocket
from grammar import request_row, response_row
from multipart_reading import SMALL as SMALL_MULTIPART
from multipart_reading import parts_of
from multipart_reading import read as read_multipart
from parsers import OTHERS
from reading import Case, read
from sources import Source, pick

from tornadoish.buffer import ReceiveBuffer
from tornadoish.http1.body import END, ChunkedBody
from tornadoish.http1.limits import Limits
from tornadoish.http1.states import BODY, HEAD, LAST, SWITCHED
from tornadoish.http1.writer import Writer
from tornadoish.httputil import (
    HTTPFile,
    HTTPHeaders,
    HTTPInputError,
    HTTPOutputError,
    RequestStartLine,
    ResponseStartLine,
    parse_body_arguments,
    parse_cookie,
)
from tornadoish.httputil.forms import _parse_header

SMALL = Limits(
    start_line_bytes=40,
    header_bytes=120,
    header_fields=4,
    field_bytes=40,
    body_bytes=24,
    piece_bytes=5,
    chunk_line_bytes=8,
    chunk_excess_bytes=20,
    trailer_bytes=30,
    trailer_fields=2,
)
LIMITS = [Limits(), SMALL]


class Taken:
    """A source of choices that takes them from bytes; at their end every choice is the first."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0

    def number(self, least: int, most: int) -> int:
        size = 1 if most - least < 256 else 2
        number = int.from_bytes(self.octets_of(size), "big")
        return least + number % (most - least + 1)

    def octets_of(self, size: int) -> bytes:
        taken = self.data[self.pos : self.pos + size]
        self.pos += size
        return taken

    def octets(self, most: int) -> bytes:
        return self.octets_of(self.number(0, most))

    def text(self, alphabet: str, least: int, most: int) -> str:
        size = self.number(least, most)
        octets = self.octets_of(size).ljust(size, b"\0")
        return "".join(alphabet[octet % len(alphabet)] for octet in octets)


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def must(truth: object, *shown: object) -> None:
    """An assertion that holds under -O too."""
    if not truth:
        raise AssertionError(*shown)


# -- readers


def _same_in_pieces(case: Case) -> None:
    data = case.data
    whole = read([data], case)
    must(read(bytewise(data), case) == whole, "byte by byte")
    third = len(data) // 3
    for cut in (1, third, 2 * third, len(data) - 1):
        must(read([data[:cut], data[cut:]], case) == whole, f"cut at {cut}")


def request(data: bytes) -> None:
    """Requests, as a server reads them: the same whole and in any pieces. The first byte chooses
    the limits."""
    limits = LIMITS[data[0] & 1] if data else LIMITS[0]
    _same_in_pieces(Case("", data[1:], [], HEAD, limits))


METHODS = ["GET", "HEAD", "CONNECT", "POST"]


def response(data: bytes) -> None:
    """The same for responses: the first byte chooses limits, method, and whether an end follows."""
    chosen = data[0] if data else 0
    limits, method, eof = LIMITS[chosen & 1], METHODS[chosen >> 2 & 3], bool(chosen & 2)
    _same_in_pieces(Case("", data[1:], [], HEAD, limits, True, method, eof))


def chunked(data: bytes) -> None:
    """A chunked body by itself: in bounds, and the same in any pieces."""
    limits = LIMITS[data[0] & 1] if data else LIMITS[0]
    whole = _take_all([data[1:]], limits)
    must(_take_all(bytewise(data[1:]), limits) == whole)


def _take_all(pieces: list[bytes], limits: Limits) -> tuple[object, ...]:
    buffer = ReceiveBuffer()
    body = ChunkedBody(limits, limits.body_bytes)
    received = b""
    for piece in pieces:
        buffer.append(piece)
        while True:
            try:
                taken = body.take(buffer, limits.piece_bytes)
            except HTTPInputError as fault:
                return received, fault.status
            if taken is END:
                trailers = None if body.trailers is None else list(body.trailers.get_all())
                return received, "end", trailers
            if not isinstance(taken, bytes):
                break
            must(0 < len(taken) <= limits.piece_bytes)
            received += taken
            must(len(received) <= limits.body_bytes)
    return received, "more"


def differential(data: bytes) -> None:
    """Our reader, h11 and llhttp: they differ only by rules that are known."""
    for parser in OTHERS:
        found = explain(parser, data)
        must(isinstance(found, str), parser, found)


def generated(data: bytes) -> None:
    """What the grammar makes of any choices is read back exactly."""
    source = Taken(data)
    row = request_row(source) if source.number(0, 1) else response_row(source)
    case = Case("", row.data, [], HEAD, Limits(), row.is_response, row.method, row.until_close)
    wanted = (row.events, LAST if row.last else HEAD)
    must(read([row.data], case) == wanted, row)
    must(read(bytewise(row.data), case) == wanted, row)


# -- texts


def headers(data: bytes) -> None:
    """HTTPHeaders.parse: refused as the peer's fault, or fields that are written and read back."""
    text = data.decode("latin-1")
    try:
        parsed = HTTPHeaders.parse(text)
    except HTTPInputError:
        return
    pairs = list(parsed.get_all())
    for name, value in pairs:
        must(re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name), name)
        must(re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value) and value == value.strip(" \t"), value)
        must(value in parsed.get_list(name.swapcase()) and name.upper() in parsed)
    again = HTTPHeaders.parse(str(parsed))
    must(list(again.get_all()) == pairs and dict(again) == dict(parsed))
    for name in dict(parsed):
        must(parsed[name] == ",".join(value for key, value in pairs if key == name))


def cookies(data: bytes) -> None:
    """parse_cookie: never fails, and no cookie comes from nowhere."""
    text = data.decode("latin-1")
    parsed = parse_cookie(text)
    must(len(parsed) <= text.count(";") + 1)
    for name, value in parsed.items():
        must(name == name.strip(" \t") and ";" not in name and "=" not in name and name in text)
        must(len(value) <= len(text))


def forms(data: bytes) -> None:
    """Form bodies: the first line is the Content-Type. Read, or refused and nothing has changed."""
    line, _, body = data.partition(b"\n")
    content_type = line.decode("latin-1")
    arguments: dict[str, list[bytes]] = {"a": [b"1"]}
    files: dict[str, list[HTTPFile]] = {}
    _parse_header(content_type)
    try:
        parse_body_arguments(content_type, body, arguments, files)
    except HTTPInputError as fault:
        must(fault.status in (400, 413, 415))
        must(arguments == {"a": [b"1"]} and files == {})
        return
    values = [value for found in arguments.values() for value in found]
    contents = [file["body"] for found in files.values() for file in found]
    must(sum(map(len, values + contents)) <= len(body) + 1)
    must(len(values) + len(contents) <= 1 + max(body.count(b"&") + 1, body.count(b"--")))


def multipart(data: bytes) -> None:
    """multipart/form-data with the boundary B, the first byte chooses the limits: the same whole,
    byte by byte and cut in two, and no more than was sent."""
    limits = SMALL_MULTIPART if data[:1] == b"\1" else {}
    body = data[1:]
    whole = read_multipart([body], **limits)
    must(read_multipart(bytewise(body), **limits) == whole, "byte by byte")
    for cut in (1, len(body) // 3, 2 * len(body) // 3, len(body) - 1):
        must(read_multipart([body[:cut], body[cut:]], **limits) == whole, f"cut at {cut}")
    parts, status = parts_of(whole)
    must(status in (None, 400, 413))
    must(sum(len(data) for _, _, data in parts) <= len(body))
    must(not any(b"\r\n--B" in b"\r\n" + data for _, _, data in parts), "a delimiter is data")
    if limits:
        fields = [data for _, filename, data in parts if not filename]
        must(len(parts) <= 3 and len(fields) <= 2 and sum(map(len, fields)) <= 9, parts)


# -- the writer

_NAMES = ["Content-Length", "Transfer-Encoding", "Connection", "A", "Set-Cookie", "Trailer", ""]
_VALUES = ["2", "chunked", "close", "keep-alive", "0", "x, close", "", "\x85", "5", "upgrade", "?"]
_TEXT = "".join(map(chr, range(32, 127))) + "\r\n\0\t\x7f\x80\xa0\xff\u0130\u2028"


def _fields(source: Source) -> HTTPHeaders:
    """Any fields that HTTPHeaders takes."""
    fields = HTTPHeaders()
    for _ in range(source.number(0, 4)):
        name = pick(source, _NAMES) or source.text(_TEXT, 0, 6)
        value = pick(source, _VALUES)
        try:
            fields.add(name, source.text(_TEXT, 0, 8) if value == "?" else value)
        except HTTPInputError:
            pass
    return fields


def writer(data: bytes) -> None:
    """Whatever is written, in either role: refused, or our reader and h11 read it as it was."""
    source = Taken(data)
    if source.number(0, 1):
        _write_request(source)
    else:
        _write_response(source)


def _write(source: Source, machine: Writer, start: Callable[..., bytes]) -> tuple[bytes, bytes]:
    """A message by pieces: its bytes, and its body (b"" and None if it was refused)."""
    pieces = [source.octets(5) for _ in range(source.number(0, 3))]
    first = pieces.pop(0) if pieces and source.number(0, 1) else None
    wire = start(first)
    for piece in pieces:
        wire += machine.data(piece)
    return wire + machine.end(), (first or b"") + b"".join(pieces)


def _write_response(source: Source) -> None:
    machine = Writer()
    method, version = pick(source, METHODS), pick(source, ["HTTP/1.1", "HTTP/1.1", "HTTP/1.0"])
    machine.answer(method, version, bool(source.number(0, 1)) and method != "CONNECT")
    code = pick(source, [200, 204, 304, 205, 404, 103, 101, source.number(0, 1100)])
    line = ResponseStartLine("HTTP/1.1", code, source.text(_TEXT, 0, 6))
    fields = _fields(source)
    before = list(fields.get_all())

    def start(first: bytes | None) -> bytes:
        try:
            return machine.response(line, fields, first)
        except HTTPOutputError:
            must(machine.state is HEAD, "as it was before")
            raise

    if 100 <= code < 200:
        _write_interim(machine, start, line, version)
        return
    try:
        wire, body = _write(source, machine, start)
    except HTTPOutputError:
        must(machine.state is not SWITCHED)
        return
    must(list(fields.get_all()) == before, "what belongs to the application is left alone")
    if method == "HEAD" or code in (204, 304):
        must(body == b"" or method == "HEAD")
        body = b""
    tunnel = method == "CONNECT" and 200 <= code < 300
    last = machine.state is LAST
    case = Case("", wire, [], HEAD, Limits(), True, method)
    events, state = read([wire], case)
    if state is BODY:  # the end of the connection is the end of the body
        must(last)
        events, state = read([wire], case._replace(eof=True))
    must(events[0][1] == ("HTTP/1.1", code, line.reason), events)
    if tunnel:
        must(wire.endswith(body) and last)
        return
    received = b"".join(event[1] for event in events if event[0] == "data")
    must(received == body, received, body)
    must(state is (LAST if last else HEAD), state)
    must([event[0] for event in events].count("head") == 1 and events[-1][0] != "error")
    must(_h11_reads(h11.CLIENT, wire, method, last) == body)


def _write_interim(
    machine: Writer, start: Callable[..., bytes], line: ResponseStartLine, version: str
) -> None:
    try:
        wire = start(None)
    except HTTPOutputError:
        return
    if version == "HTTP/1.0" and line.code != 101:
        must(wire == b"" and machine.state is HEAD)
        return
    must(machine.state is (SWITCHED if line.code == 101 else HEAD))
    events, state = read([wire], Case("", wire, [], HEAD, Limits(), True))
    must(len(events) == 1 and state is machine.state, events)


def _write_request(source: Source) -> None:
    machine = Writer()
    method = pick(source, [*METHODS, "OPTIONS", source.text(_TEXT, 0, 4)])
    target = pick(source, ["/", "*", "h:1", "http://h/", source.text(_TEXT, 0, 6)])
    fields = _fields(source)
    fields["Host"] = "x"
    try:
        wire, body = _write(
            source,
            machine,
            lambda first: machine.request(
                RequestStartLine(method, target, "HTTP/1.1"), fields, first
            ),
        )
    except HTTPOutputError:
        return
    events, state = read([wire], Case("", wire, [], HEAD))
    must(events[0][:2] == ("head", (method, target, "HTTP/1.1")), events)
    must(state is HEAD or state is LAST, state)
    must(machine.state is LAST or state is HEAD or method == "CONNECT")
    must(b"".join(event[1] for event in events if event[0] == "data") == body)
    must([event[0] for event in events].count("head") == 1 and events[-1][0] != "error")
    must(_h11_reads(h11.SERVER, wire, method, False) == body)


def _h11_reads(role: Any, wire: bytes, method: str, ends: bool) -> bytes:
    """The body of the one message that h11 finds."""
    parser = h11.Connection(role)
    if role is h11.CLIENT:
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
    parser.receive_data(wire)
    if ends:
        parser.receive_data(b"")
    body = b""
    head = parser.next_event()
    must(isinstance(head, h11.Response if role is h11.CLIENT else h11.Request), head)
    while isinstance(event := parser.next_event(), h11.Data):
        body += bytes(event.data)
    must(isinstance(event, h11.EndOfMessage), event)
    must(parser.trailing_data[0] == b"")
    return body


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        request, response, chunked, differential, generated, headers, cookies, forms, multipart,
        writer, websocket, upgrade,
    )
}  # fmt: skip
