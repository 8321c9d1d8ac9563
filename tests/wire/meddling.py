"""Ways to spoil a message: deleted, put in, doubled, moved, with other line ends and numbers.

Each way takes the bytes, a place and a choice, any numbers; the same ones give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

PIECES = [bytes([byte]) for byte in (*range(33), 34, 40, 43, 44, 45, 47, 48, 53, 58, 59, 64, 95,
                                     127, 128, 133, 160, 233, 255)] + [
    b"\r\n", b"\r\n\r\n", b"\n\n", b"\r\r\n", b"\r\n ", b"0\r\n\r\n", b"chunked", b"\xd9\xa5",
    b"HTTP/1.1", b"http://", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"; a=b", b"%", b"[", b"]",
]  # fmt: skip
LINE_ENDS = [b"\n", b"\r", b"", b"\r\r\n", b"\n\r", b" \r\n", b"\t\r\n", b"\x0b\r\n", b"\x00\r\n",
             b"\r\n\r\n", b"\r\n\t", b"\n\n"]  # fmt: skip
NUMBERS = [b"0", b"1", b"2", b"5", b"10", b"+5", b"-1", b"05", b"0x5", b"5 ", b" 5", b"5,5",
           b"5, 6", b"1_0", b"", b"f", b"\xb2", b"4294967296", b"9" * 18, b"9" * 19,
           b"f" * 16, b"0000000000000000005", b"1.1", b"1.0", b"2.0", b"5;"]  # fmt: skip
COLONS = [b" :", b"\t:", b":", b"", b";", b"::", b":\r\n ", b": \t", b":\x0b", b":\x0c", b"=",
          b": ,"]  # fmt: skip
LINES = [
    b"Host: y", b"Host: a b", b"Host: a@b", b"hOST:", b"Content-Length: 5", b"Content-Length: 0",
    b"Content-Length : 5", b"Content-Length: 5, 5", b"Content-Length:", b"Content_Length: 5",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity", b"Transfer-Encoding: xchunked", b"Transfer-Encoding:",
    b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding : chunked", b" folded", b"\tA: b",
    b"Transfer-Encoding:\r\n chunked", b"Transfer-Encoding: \x0bchunked", b"Content-Type: a/b",
    b"Connection: close", b"Connection: keep-alive", b"Connection: Upgrade", b"Upgrade: websocket",
    b"Upgrade: h2c", b"Expect: 100-continue", b"Expect: tea", b"X(y): z", b": a", b"nothing", b"0",
    b"Connection: close, keep-alive", b"Proxy-Connection: keep-alive", b"A: \x01", b"A: \x00", b"",
    b"GET / HTTP/1.1", b"GET foo HTTP/1.1", b"GET * HTTP/1.1", b"GET / HTTP/2.0", b"GET /",
    b"HTTP/1.1 200 OK", b"5\r\nhello", b"Trailer: A", b"TE: trailers",
]  # fmt: skip
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_NUMBER = re.compile(rb"[0-9A-Fa-f]*[0-9][0-9A-Fa-f.]*")


def _splice(data: bytes, start: int, end: int, new: bytes) -> bytes:
    return data[:start] + new + data[end:]


def _line_at(data: bytes, place: int) -> tuple[int, int]:
    """Where one of the lines of ``data`` begins and ends, with its line end."""
    lines = [match.span() for match in _LINE.finditer(data) if match[0]]
    return lines[place % len(lines)] if lines else (0, 0)


def _change_end(data: bytes, place: int, what: int) -> bytes:
    start, end = _line_at(data, place)
    line = data[start:end].rstrip(b"\r\n")
    return _splice(data, start + len(line), end, LINE_ENDS[what % len(LINE_ENDS)])


def _change_all_ends(data: bytes, place: int, what: int) -> bytes:
    return data.replace(b"\r\n", LINE_ENDS[what % 3])


def _change_number(data: bytes, place: int, what: int) -> bytes:
    found = [match.span() for match in _NUMBER.finditer(data)]
    if not found:
        return data
    return _splice(data, *found[place % len(found)], NUMBERS[what % len(NUMBERS)])


def _change_colon(data: bytes, place: int, what: int) -> bytes:
    found = [match.span() for match in re.finditer(rb":", data)]
    if not found:
        return data
    return _splice(data, *found[place % len(found)], COLONS[what % len(COLONS)])


def _move_line(data: bytes, place: int, what: int) -> bytes:
    start, end = _line_at(data, place)
    rest = _splice(data, start, end, b"")
    to = _line_at(rest, what)[0]
    return _splice(rest, to, to, data[start:end])


def _repeat_line(data: bytes, place: int, what: int) -> bytes:
    start, end = _line_at(data, place)
    return _splice(data, end, end, data[start:end])


def _new_line(data: bytes, place: int, what: int) -> bytes:
    start, _ = _line_at(data, place)
    return _splice(data, start, start, LINES[what % len(LINES)] + b"\r\n")


def _put_line(data: bytes, place: int, what: int) -> bytes:
    start, end = _line_at(data, place)
    return _splice(data, start, end, LINES[what % len(LINES)] + b"\r\n")


def _span(data: bytes, place: int, length: int) -> tuple[int, int]:
    start = place % (len(data) + 1)
    return start, min(len(data), start + length)


def _delete(data: bytes, place: int, what: int) -> bytes:
    return _splice(data, *_span(data, place, 1 + what % 3), b"")


def _insert(data: bytes, place: int, what: int) -> bytes:
    return _splice(data, *_span(data, place, 0), PIECES[what % len(PIECES)])


def _replace(data: bytes, place: int, what: int) -> bytes:
    return _splice(data, *_span(data, place, 1), PIECES[what % len(PIECES)])


def _repeat(data: bytes, place: int, what: int) -> bytes:
    start, end = _span(data, place, 1 + what % 16)
    return _splice(data, end, end, data[start:end])


def _change_case(data: bytes, place: int, what: int) -> bytes:
    start, end = _span(data, place, 1 + what % 12)
    return _splice(data, start, end, data[start:end].swapcase())


def _cut_off(data: bytes, place: int, what: int) -> bytes:
    return data[: _span(data, place, 0)[0]]


def _delete_line(data: bytes, place: int, what: int) -> bytes:
    return _splice(data, *_line_at(data, place), b"")


#: name -> (data, place, choice) -> data
WAYS: dict[str, Callable[[bytes, int, int], bytes]] = {
    "all line ends": _change_all_ends,
    "case": _change_case,
    "colon": _change_colon,
    "cut off": _cut_off,
    "delete": _delete,
    "delete a line": _delete_line,
    "insert": _insert,
    "line end": _change_end,
    "move a line": _move_line,
    "new line": _new_line,
    "number": _change_number,
    "other line": _put_line,
    "repeat": _repeat,
    "repeat a line": _repeat_line,
    "replace": _replace,
}


def meddle(data: bytes, steps: Iterable[tuple[str, int, int]]) -> bytes:
    """``data`` after one change after the other: (way, place, choice)."""
    for way, place, what in steps:
        data = WAYS[way](data, place, what)
    return data
