"""A block of field lines, split and validated in one pass."""

from __future__ import annotations

import re

from tornadoish.http1.grammar import FIELD_LINE
from tornadoish.httputil.errors import HTTPInputError


def parse_fields(
    text: str, start: int, max_fields: int, pattern: re.Pattern[str] = FIELD_LINE
) -> list[tuple[str, str]]:
    """The (name, value) pairs of ``text[start:]``, where every line ends in CRLF.

    :raises HTTPInputError: a line that is no field line (RFC 9112, 5), or too many of them (431).
    """
    pairs: list[tuple[str, str]] = pattern.findall(text, start)
    if len(pairs) != text.count("\n", start):
        raise HTTPInputError("Malformed header field")
    if len(pairs) > max_fields:
        raise HTTPInputError("Too many header fields", 431)
    # OWS behind a value is not part of it; rare enough to be looked for at once.
    if " \r" in text or "\t\r" in text:
        return [(name, value.rstrip(" \t")) for name, value in pairs]
    return pairs
