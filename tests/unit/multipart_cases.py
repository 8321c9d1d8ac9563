"""Bodies of multipart/form-data with the boundary B, and the right answer to each.

The tests hold our parser to them, cut anywhere; the benchmark asks other parsers for theirs, and
the fuzzer begins with them. Nothing here knows a parser.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: a part: its name, its file's name (None: a field), its data
Part = tuple[str, str | None, bytes]


def part(disposition: str, body: str | bytes = "x", *more: str) -> bytes:
    """One part with the delimiter before it and the line end behind it."""
    lines = ["--B", f"Content-Disposition: {disposition}", *more, "", ""]
    data = body.encode() if isinstance(body, str) else body
    return "\r\n".join(lines).encode() + data + b"\r\n"


A = part("form-data; name=a")
LAST = b"--B--"


@dataclass(frozen=True)
class Case:
    """One body. ``parts`` is what it says; ``status`` how it is refused behind them, if it is."""

    id: str
    data: bytes
    parts: list[Part] = field(default_factory=list)
    status: int | None = None
    #: limits, by the names of ParseMultipartConfig
    limits: dict[str, int | None] = field(default_factory=dict)


def refused(id: str, data: bytes, *parts: Part, status: int = 400, **limits: int | None) -> Case:
    return Case(id, data, list(parts), status, limits)


def taken(id: str, data: bytes, *parts: Part, **limits: int | None) -> Case:
    return Case(id, data, list(parts), None, limits)


X: Part = ("a", None, b"x")

TAKEN = [
    taken("a field", A + LAST, X),
    taken("a line end behind the end", A + LAST + b"\r\n", X),
    taken("an epilogue", A + LAST + b"\r\nepilogue\r\n--B\r\n--Bx", X),
    taken("no parts", LAST),
    taken("an empty field", part("form-data; name=a", "") + LAST, ("a", None, b"")),
    taken(
        "a part whose blank line ends in the delimiter",
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n--B--\r\n',
        ("f", "x", b""),
    ),
    taken(
        "a file",
        part('form-data; name="f"; filename="é.txt"', "é", "Content-Type: text/x; a=b") + LAST,
        ("f", "é.txt", "é".encode()),
    ),
    taken("no file chosen", part('form-data; name=f; filename=""', "") + LAST, ("f", "", b"")),
    taken("other line ends", part("form-data; name=a", "\n\r\r\n\n--B\r--B--\n") + LAST,
          ("a", None, b"\n\r\r\n\n--B\r--B--\n")),
    taken("a delimiter within a line", part("form-data; name=a", "x--B\r\ny--B--") + LAST,
          ("a", None, b"x--B\r\ny--B--")),
    taken("nearly a delimiter", part("form-data; name=a", "\r\n--A\r\n-B\r\n--\r\n\r\n") + LAST,
          ("a", None, b"\r\n--A\r\n-B\r\n--\r\n\r\n")),
    taken("line ends before the delimiter", part("form-data; name=a", "\r\n\r\n\r") + LAST,
          ("a", None, b"\r\n\r\n\r")),
    taken("data that begins like a delimiter", part("form-data; name=a", "--") + LAST,
          ("a", None, b"--")),
    taken("CVE-2026-34516 a length that is not believed",
          part("form-data; name=a", "hello", "Content-Length: +5") + A + LAST,
          ("a", None, b"hello"), X),
    taken("a quoted name", part(r'form-data; name="a\"b\\"; filename="C:\x"') + LAST,
          ('a"b\\', r"C:\x", b"x")),
    taken("an extended file name", part("form-data; name=a; filename*=UTF-8''%C3%A9") + LAST,
          ("a", "é", b"x")),
    taken("another order and case",
          b"--B\r\nX-Y:z\r\nCONTENT-disposition:Form-Data ;NAME=a\r\n\r\nx\r\n--B--", X),
    taken("as many parts as may be", A * 2 + LAST, X, X, max_parts=2),
    taken("a field as large as it may be", part("form-data; name=a", "12345") + LAST,
          ("a", None, b"12345"), max_field_size=5),
    taken("a file is no field", part("form-data; name=a; filename=b", "1234567") + LAST,
          ("a", "b", b"1234567"), max_field_size=5, max_fields_size=5, max_fields=0),
]  # fmt: skip

REFUSED = [
    refused("nothing", b""),
    refused("only a line end", b"\r\n"),
    refused("a preamble", b"preamble\r\n" + A + LAST),
    refused("a line end first", b"\r\n" + A + LAST),
    refused("no first delimiter", A[5:] + LAST),
    refused("another delimiter", A.replace(b"--B", b"--C") + b"--C--"),
    refused("one hyphen", A[1:] + LAST),
    refused("no end", A),
    refused("only a delimiter", b"--B\r\n"),
    refused("the end is cut", A + b"--B-"),
    refused("another end", A + b"--C--"),
    refused("an end within a line", A[:-2] + LAST),
    refused("text behind the end", A + LAST + b"x", X),
    refused("a hyphen behind the end", A + LAST + b"-", X),
    refused("half a line end behind the end", A + LAST + b"\r", X),
    refused("RFC 2046 padding behind the end", A + LAST + b" \r\n", X),
    refused("RFC 2046 padding behind a delimiter", A + b"--B \r\n" + A[5:] + LAST),
    refused("RFC 2046 a line that begins with the delimiter",
            part("form-data; name=a", "\r\n--Bx\r\n") + LAST),
    refused("the same as the first line of the data", part("form-data; name=a", "--Bx") + LAST),
    refused("a bare LF behind a delimiter", A + b"--B\n" + A[5:] + LAST),
    refused("a bare CR behind a delimiter", A + b"--B\rx" + A[5:] + LAST),
    refused("a bare LF between headers", part("form-data; name=a\nX: y") + LAST),
    refused("bare LFs everywhere", (A + LAST).replace(b"\r\n", b"\n")),
    refused("an empty part", A + b"--B\r\n" + LAST, X),
    refused("no headers", b"--B\r\n\r\nx\r\n--B--"),
    refused("no disposition", b"--B\r\nContent-Type: a/b\r\n\r\nx\r\n--B--"),
    refused("no blank line", b"--B\r\nContent-Disposition: form-data; name=a\r\nx\r\n--B--"),
    refused("a delimiter among the headers", b"--B\r\nA: b\r\n--B: c\r\n" + A[5:] + LAST),
    refused("a delimiter before the headers", b"--B\r\n--B: c\r\n" + A[5:] + LAST),
    refused("another disposition", part("attachment; name=a") + LAST),
    refused("no name", part("form-data; filename=a") + LAST),
    refused("an empty name", part('form-data; name=""') + LAST),
    refused("two names", part("form-data; name=a; name=b") + LAST),
    refused("two file names", part("form-data; name=a; filename=b; FILENAME=c") + LAST),
    refused("an open quote", part('form-data; filename="a; name="a') + LAST),
    refused("two dispositions",
            part("form-data; name=a", "x", "content-disposition: form-data; name=b") + LAST),
    refused("two types", part("form-data; name=a", "x", "Content-Type: a/b", "Content-Type: c/d")
            + LAST),
    refused("no colon", part("form-data; name=a", "x", "No-Colon") + LAST),
    refused("a space before the colon", part("form-data; name=a", "x", "X-A : b") + LAST),
    refused("an empty header name", part("form-data; name=a", "x", ": b") + LAST),
    refused("a folded header", part("form-data;\r\n name=a") + LAST),
    refused("a CR in a name", part('form-data; name="a\rb"') + LAST),
    refused("a NUL in a file name", part('form-data; name=a; filename="a\0b"') + LAST),
    refused("CVE-2026-34514 a control character",
            part("form-data; name=a", "x", "X: a\x08b") + LAST),
    refused("not UTF-8", A.replace(b"=a", b"=\xe9") + LAST),
    refused("CVE-2026-31958 CVE-2023-25577 CVE-2023-30798 too many parts", A * 3 + LAST, X,
            status=413, max_parts=2),
    refused("no part at all may be", A + LAST, status=413, max_parts=0),
    refused("too many fields", A + part("form-data; name=f; filename=f") + A + LAST, X,
            ("f", "f", b"x"), status=413, max_fields=1),
    refused("CVE-2026-34516 too many headers",
            part("form-data; name=a", "x", "A: b", "C: d") + LAST, status=413, max_part_headers=2),
    refused("the only header is one too many", A + LAST, status=413, max_part_headers=0),
    refused("headers too large", A + LAST, status=413, max_part_header_size=36),
    refused("headers that do not end", b"--B\r\nA: " + b"x" * 50, status=413,
            max_part_header_size=36),
    refused("GHSA-q34m-jh98-gwm2 CVE-2024-47874 a large field",
            part("form-data; name=a", "123456") + LAST, status=413, max_field_size=5),
    refused("a large field of line ends", part("form-data; name=a", "\r\n--\r\n--") + LAST,
            status=413, max_field_size=5),
    refused("CVE-2025-69228 CVE-2026-34517 large fields together", A * 3 + LAST, X, X, status=413,
            max_fields_size=2),
    refused("a large field without end", part("form-data; name=a", "123456")[:-2], status=413,
            max_field_size=5),
]  # fmt: skip

CASES = TAKEN + REFUSED
