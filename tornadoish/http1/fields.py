"""A block of field lines, split and validated in one pass."""

from __future__ import annotations

import re

from tornadoish.http1.grammar import FIELD_LINE
from tornadoish.httputil.errors import HTTPInputError


def parse_fields(
    text: str, max_fields: int, max_bytes: int, pattern: re.Pattern[str] = FIELD_LINE
) -> list[tuple[str, str]]:
    """The (name, value) pairs of ``text``, where every line ends in CRLF.

    :raises HTTPInputError: a line that is no field line (RFC 9112, 5), or too many of them, or one
        of more than ``max_bytes`` (431).
    """
    pairs: list[tuple[str, str]] = pattern.findall(text)
    if len(pairs) != text.count("\n"):
        raise HTTPInputError("Malformed header field")
    if len(pairs) > max_fields:
        raise HTTPInputError("Too many header fields", 431)
    if len(text) > max_bytes and max([len(name) + len(value) for name, value in pairs]) > max_bytes:
        raise HTTPInputError("Header field too large", 431)
    # OWS behind a value is not part of it; rare enough to be looked for at once.
    if " \r" in text or "\t\r" in text:
        return [(name, value.rstrip(" \t")) for name, value in pairs]
    return pairs
