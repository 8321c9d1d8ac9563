"""Form bodies: application/x-www-form-urlencoded (WHATWG URL) and multipart/form-data (RFC 7578).

Called by `HTTPServerRequest` with a whole body in memory. What a body may cost is decided before it
is taken apart: fields and parts are counted first, part headers are capped, and every step is
linear in bytes. Nothing here logs (the caller logs a bad request, once) or does I/O, and no error
message repeats what the peer sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from tornadoish.escape import parse_qs_bytes
from tornadoish.httputil.abnf import CONTROL, TOKEN
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.util import ObjectDict

if TYPE_CHECKING:
    from tornadoish.httputil.headers import HTTPHeaders


class HTTPFile(ObjectDict):
    """A file uploaded through a form; its attributes are also keys.

    `filename` is what the peer says: never use it as a path. `content_type` is too
    ("application/unknown" if the peer says nothing). Source: Tornado: tornado.httputil.HTTPFile.
    """

    filename: str
    body: bytes
    content_type: str


# --------------------------------------------------------------------------------- limits


@dataclass(frozen=True)
class ParseMultipartConfig:
    """Limits for multipart/form-data. Source: Tornado: tornado.httputil.ParseMultipartConfig."""

    enabled: bool = True
    """Whether such bodies are parsed at all; if not, they are an error."""
    max_parts: int | None = 100
    """How many parts (fields and files) one body may have; None: no limit."""
    max_part_header_size: int | None = 10 * 1024
    """Size of one part's header section, in bytes; None: no limit."""


@dataclass(frozen=True)
class ParseUrlEncodedConfig:
    """Limits for application/x-www-form-urlencoded bodies.

    Source: Tornado: tornado.httputil.ParseUrlEncodedConfig.
    """

    max_arguments: int | None = 1000
    """How many ``&``-separated fields one body may have, empty ones counted; None: no limit."""


@dataclass(frozen=True)
class ParseBodyConfig:
    """Limits for all form bodies. Source: Tornado: tornado.httputil.ParseBodyConfig."""

    multipart: ParseMultipartConfig = field(default_factory=ParseMultipartConfig)
    urlencoded: ParseUrlEncodedConfig = field(default_factory=ParseUrlEncodedConfig)


_DEFAULT_PARSE_BODY_CONFIG = ParseBodyConfig()


def set_parse_body_config(config: ParseBodyConfig) -> None:
    """Set the limits for the whole process.

    Source: Tornado: tornado.httputil.set_parse_body_config.
    """
    global _DEFAULT_PARSE_BODY_CONFIG
    _DEFAULT_PARSE_BODY_CONFIG = config


def get_parse_body_config() -> ParseBodyConfig:
    """The limits of the whole process, as last set."""
    return _DEFAULT_PARSE_BODY_CONFIG


# --------------------------------------------------------------------------------- bodies


def parse_body_arguments(
    content_type: str,
    body: bytes,
    arguments: dict[str, list[bytes]],
    files: dict[str, list[HTTPFile]],
    headers: HTTPHeaders | None = None,
    *,
    config: ParseBodyConfig | None = None,
) -> None:
    """Add the fields and files of a form body to `arguments` and `files`.

    A body of any other media type is left alone. Values are bytes, blank ones are kept. After an
    error both mappings are as they were.

    :param content_type: the request's Content-Type.
    :param headers: the request's headers; a Content-Encoding left in them is an error, for what
        could be decoded has been, and its field taken away.
    :param config: the limits; default those of `set_parse_body_config`.
    :raises HTTPInputError: malformed, beyond a limit, or (status 415) encoded or disabled.

    Source: Tornado: tornado.httputil.parse_body_arguments.
    """
    if config is None:
        config = _DEFAULT_PARSE_BODY_CONFIG
    media_type = content_type.partition(";")[0].strip(" \t").lower()
    if media_type not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return
    if headers is not None and headers.get("Content-Encoding"):
        raise HTTPInputError("Unsupported Content-Encoding", 415)
    if media_type == "multipart/form-data":
        boundary = _find_boundary(content_type)
        parse_multipart_form_data(boundary, body, arguments, files, config=config.multipart)
        return
    try:
        fields = parse_qs_bytes(
            body, keep_blank_values=True, max_num_fields=config.urlencoded.max_arguments
        )
    except ValueError as error:
        raise HTTPInputError(f"Invalid x-www-form-urlencoded body: {error}") from None
    for name, values in fields.items():
        arguments.setdefault(name, []).extend(values)


def parse_multipart_form_data(
    boundary: bytes,
    data: bytes,
    arguments: dict[str, list[bytes]],
    files: dict[str, list[HTTPFile]],
    *,
    config: ParseMultipartConfig | None = None,
) -> None:
    """Add the parts of a multipart/form-data body to `arguments` and `files`.

    A part with a filename is a file. After an error both mappings are as they were.

    :param boundary: as in the Content-Type, possibly quoted.
    :param config: the limits; default those of `set_parse_body_config`.
    :raises HTTPInputError: malformed, beyond a limit, or (status 415) disabled.

    Source: RFC 7578; Tornado: tornado.httputil.parse_multipart_form_data.
    """
    if config is None:
        config = _DEFAULT_PARSE_BODY_CONFIG.multipart
    if not config.enabled:
        raise HTTPInputError("multipart/form-data parsing is disabled", 415)
    if len(boundary) >= 2 and boundary.startswith(b'"') and boundary.endswith(b'"'):
        boundary = boundary[1:-1]
    parts = [
        _parse_part(data, start, end, config.max_part_header_size)
        for start, end in _part_spans(data, boundary, config.max_parts)
    ]
    for name, value in parts:
        if isinstance(value, HTTPFile):
            files.setdefault(name, []).append(value)
        else:
            arguments.setdefault(name, []).append(value)


# RFC 2046, 5.1.1: 1 to 70 characters, no space at the end. Any visible one is taken: real clients
# use more than the grammar's few.
_BOUNDARY = re.compile(rb"[ -~]{0,69}[!-~]")


def _find_boundary(content_type: str) -> bytes:
    """The boundary parameter of a multipart Content-Type (RFC 2046 section 5.1.1)."""
    pairs = list(_split_parameters(content_type))[1:]
    values = [_unquote(value) for name, value in pairs if name == "boundary"]
    if len(values) != 1 or not values[0]:
        # Of two boundaries, another program on the way may have believed the other one.
        raise HTTPInputError("multipart boundary not found, or more than one")
    return values[0].encode("utf-8")


def _part_spans(data: bytes, boundary: bytes, max_parts: int | None) -> Iterator[tuple[int, int]]:
    """Where each part begins and ends in `data` (RFC 2046 section 5.1.1), counted beforehand.

    A delimiter is a whole line, and what follows the last one is ignored. All searching is done by
    `bytes.find` and `bytes.count` for strings that hold the boundary, from left to right: megabytes
    of line ends cost no more than other bytes (CVE-2023-46136).
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise HTTPInputError("Invalid multipart/form-data boundary")
    separator = b"\r\n--" + boundary + b"\r\n"
    terminator = b"\r\n--" + boundary + b"--"
    # The body begins with a delimiter: the line end before it is that of the header section.
    if data.startswith(terminator[2:]):
        return
    if not data.startswith(separator[2:]):
        raise HTTPInputError("multipart/form-data does not begin with the boundary")
    start = len(separator) - 2
    # A line end may belong to two delimiters, with nothing between them: hence the twos.
    last = data.find(terminator, start - 2)
    if last == -1:
        raise HTTPInputError("Invalid multipart/form-data: no final boundary found")
    if max_parts is not None and 1 + data.count(separator, start - 2, last + 2) > max_parts:
        raise HTTPInputError("multipart/form-data has too many parts")
    while (end := data.find(separator, start - 2, last + 2)) != -1:
        yield start, end
        start = end + len(separator)
    yield start, last


def _parse_part(
    data: bytes, start: int, end: int, max_header_size: int | None
) -> tuple[str, bytes | HTTPFile]:
    """The field name of one part, and its value or file (RFC 7578 section 4)."""
    # A part without a body shares the blank line's CRLF with the delimiter behind it.
    header_end = data.find(b"\r\n\r\n", start, end + 2)
    if header_end == -1:
        raise HTTPInputError("multipart/form-data missing headers")
    if max_header_size is not None and header_end - start > max_header_size:
        raise HTTPInputError("multipart/form-data part header too large")
    headers = _parse_part_headers(data[start:header_end])
    disposition, parameters = _parse_header(headers.get("content-disposition", ""))
    if disposition.lower() != "form-data":
        raise HTTPInputError("Invalid multipart/form-data: no Content-Disposition: form-data")
    name = parameters.get("name")
    if not name:
        raise HTTPInputError("multipart/form-data missing name")
    body = data[header_end + 4 : end]
    filename = parameters.get("filename")
    if not filename:
        return name, body
    content_type = headers.get("content-type", "application/unknown")
    return name, HTTPFile(filename=filename, body=body, content_type=content_type)


def _parse_part_headers(block: bytes) -> dict[str, str]:
    """Lower-case name -> value of a part's header fields.

    Not an HTTPHeaders: here text is UTF-8 (RFC 7578 section 5.1), there Latin-1.
    """
    try:
        lines = block.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise HTTPInputError("multipart/form-data part header is not UTF-8") from None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not TOKEN.fullmatch(name):
            raise HTTPInputError("Invalid header name in multipart/form-data")
        if CONTROL.search(value):
            raise HTTPInputError("Invalid header value in multipart/form-data")
        if name in headers:
            raise HTTPInputError("multipart/form-data part repeats a header")
        headers[name] = value.strip(" \t")
    return headers


# ------------------------------------------------------------------ parameters of a header

# Everything up to a semicolon outside quotes; an open quote holds the rest. One way to read any
# text, possessive: linear (CVE-2025-67726, CVE-2026-28356).
_PIECE = re.compile(r'((?:[^;"]++|"(?:[^"\\]++|\\.?)*+(?:"|\Z))*+)(?:;|\Z)', re.DOTALL)
_ESCAPED = re.compile(r'\\([\\"])')
# RFC 2231: "name*", "name*0", "name*0*". Two digits: int() sees no more than that.
_EXTENDED = re.compile(r"([^*]+)\*(?:([0-9]{1,2})(\*)?)?")
_CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "": "ascii"}


def _parse_header(line: str) -> tuple[str, dict[str, str]]:
    r"""Split a header value such as ``form-data; name="a\"b"; filename*=UTF-8''%C3%A1``.

    Returns the value before the first semicolon, and the parameters by lower-case name. Extended
    ones (RFC 8187; in sections, RFC 2231) are decoded and win over plain ones of the same name;
    otherwise the last one counts. A piece without ``=`` is dropped. Never fails.

    Source: Tornado: tornado.httputil._parse_header.
    """
    pairs = _split_parameters(line)
    value, _ = next(pairs)
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, text in pairs:
        extended = _EXTENDED.fullmatch(name)
        if extended is None:
            plain[name] = _unquote(text)
            continue
        base, number, star = extended.groups()
        encoded = number is None or star is not None
        sections.setdefault(base, {})[int(number or 0)] = (_unquote(text), encoded)
    for name, numbered in sections.items():
        plain[name] = _join_sections([numbered[number] for number in sorted(numbered)])
    return value, plain


def _split_parameters(line: str) -> Iterator[tuple[str, str]]:
    """First the leading value (with an empty second half), then each parameter's name and value.

    Names are lower-case, values as they stand, with their quotes.
    """
    pieces: Iterator[re.Match[str]] = _PIECE.finditer(line)
    yield next(pieces)[1].strip(" \t"), ""
    for piece in pieces:
        name, equals, value = piece[1].partition("=")
        if equals:
            yield name.strip(" \t").lower(), value.strip(" \t")


def _unquote(value: str) -> str:
    """Undo a quoted-string (RFC 9110 section 5.6.4), if it is one.

    Only a quote and a backslash are taken as escaped: browsers leave the backslashes of a file name
    alone (``C:\\name``).
    """
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return _ESCAPED.sub(r"\1", value[1:-1])
    return value


def _join_sections(sections: list[tuple[str, bool]]) -> str:
    """The value of an extended parameter: ``charset'language'percent-encoded`` (RFC 8187, 3.2).

    The charset is the peer's choice, and some of Python's codecs are slow or do odd things: only
    the two that RFC 8187 and RFC 5987 name are used. Everything else is read as Latin-1.
    """
    if not any(encoded for _, encoded in sections):
        return "".join([text for text, _ in sections])
    charset = ""
    first, encoded = sections[0]
    if encoded and first.count("'") >= 2:
        charset, _, first = first.split("'", 2)
    parts = [(first, encoded), *sections[1:]]
    codec = _CHARSETS.get(charset.lower(), "latin-1")
    data = b"".join(
        unquote_to_bytes(text) if encoded else text.encode(codec, "replace")
        for text, encoded in parts
    )
    return data.decode(codec, "replace")


def _encode_header(key: str, pdict: Mapping[str, str | None]) -> str:
    """Join a value and its parameters, sorted; None makes a parameter without value.

    Nothing is quoted: the caller knows its values to be tokens.
    Source: Tornado: tornado.httputil._encode_header.
    """
    parameters = [
        name if value is None else f"{name}={value}" for name, value in sorted(pdict.items())
    ]
    return "; ".join([key, *parameters])
