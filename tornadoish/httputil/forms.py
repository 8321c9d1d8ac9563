"""Form bodies: application/x-www-form-urlencoded (WHATWG URL) and multipart/form-data (RFC 7578).

Called by `HTTPServerRequest` with a whole body in memory; ``multipart`` has the parser. What a body
may cost is counted before it is taken apart, and every step is linear in bytes. Nothing here logs
(the caller logs a bad request, once) or does I/O, and no error message repeats what the peer sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornadoish.escape import parse_qs_bytes
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.form_limits import (
    ParseBodyConfig,
    ParseMultipartConfig,
    ParseUrlEncodedConfig,
    get_parse_body_config,
    set_parse_body_config,
)
from tornadoish.httputil.multipart import PART_END, MultipartParser, PartHead, find_boundary
from tornadoish.httputil.parameters import _encode_header, _parse_header
from tornadoish.util import ObjectDict

if TYPE_CHECKING:
    from tornadoish.httputil.headers import HTTPHeaders

# The limits, and what reads parameters, are found here in Tornado's module, too.
__all__ = [
    "HTTPFile",
    "ParseBodyConfig",
    "ParseMultipartConfig",
    "ParseUrlEncodedConfig",
    "_encode_header",
    "_parse_header",
    "check_form_coding",
    "get_parse_body_config",
    "is_form",
    "parse_body_arguments",
    "parse_multipart_form_data",
    "set_parse_body_config",
]

_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


class HTTPFile(ObjectDict):
    """A file uploaded through a form; its attributes are also keys.

    `filename` is what the peer says: never use it as a path. `content_type` is too
    ("application/unknown" if the peer says nothing). Source: Tornado: tornado.httputil.HTTPFile.
    """

    filename: str
    body: bytes
    content_type: str


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
        config = get_parse_body_config()
    media_type = _media_type(content_type)
    if media_type not in (_URLENCODED, _MULTIPART):
        return
    check_form_coding(headers)
    if media_type == _MULTIPART:
        boundary = find_boundary(content_type)
        parse_multipart_form_data(boundary, body, arguments, files, config=config.multipart)
        return
    most = config.urlencoded.max_arguments
    # Counted before anything is split: a megabyte of "&" must cost no more than reading it.
    if most is not None and body.count(b"&") >= most:
        raise HTTPInputError(
            "Invalid x-www-form-urlencoded body: Max number of fields exceeded", 413
        )
    for name, values in parse_qs_bytes(body, keep_blank_values=True).items():
        arguments.setdefault(name, []).extend(values)


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form, as far as `parse_body_arguments` knows."""
    return _media_type(content_type) in (_URLENCODED, _MULTIPART)


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip(" \t").lower()


def check_form_coding(headers: HTTPHeaders | None) -> None:
    """Refuse a form whose coding nobody has undone.

    :raises HTTPInputError: (415) there is a Content-Encoding.
    """
    if headers is not None and headers.get("Content-Encoding"):
        raise HTTPInputError("Unsupported Content-Encoding", 415)


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
    if len(boundary) >= 2 and boundary.startswith(b'"') and boundary.endswith(b'"'):
        boundary = boundary[1:-1]
    for part, value in _read_parts(MultipartParser(boundary, config), data):
        if not part.filename:
            arguments.setdefault(part.name, []).append(value)
            continue
        content_type = part.content_type
        if content_type is None:
            content_type = "application/unknown"
        file = HTTPFile(filename=part.filename, body=value, content_type=content_type)
        files.setdefault(part.name, []).append(file)


def _read_parts(parser: MultipartParser, data: bytes) -> list[tuple[PartHead, bytes]]:
    """All parts of a body that is there as a whole: so the data of each is one piece, or none."""
    parts: list[tuple[PartHead, bytes]] = []
    head: PartHead | None = None
    value = b""
    for event in parser.feed(data):
        if type(event) is bytes:
            value = event
        elif type(event) is PartHead:
            head, value = event, b""
        elif event is PART_END and head is not None:
            parts.append((head, value))
    parser.close()
    return parts
