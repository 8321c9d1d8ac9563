"""Ranges: which bytes of a representation a client asks for (RFC 9110, 13.1.5 and 14).

Text from a peer becomes a short list of ranges in time linear in its length: how many there may be
is counted before anything else is done, and what overlaps is sent once (CVE-2025-62727).
"""

from __future__ import annotations

import re
from datetime import datetime
from time import time
from typing import NamedTuple

from tornadoish.httputil import format_timestamp
from tornadoish.web.conditional import parse_http_date, unmodified_since

#: ranges in one request; a header with more is ignored (14.2 allows to ignore any)
MAX_RANGES = 100
#: Ranges with less between them are sent as one: a part's head costs more (15.3.7.2).
SMALL_GAP = 80

# 14.1.2. ASCII digits only, and more of them than any file is long.
_SPEC = re.compile(r"([0-9]{1,32})-([0-9]{0,32})|-([0-9]{1,32})")


class Range(NamedTuple):
    """The bytes from ``start`` up to ``end``, which is the first that does not belong to it."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes in it."""
        return self.end - self.start

    def content_range(self, whole: int) -> str:
        """The value of ``Content-Range`` (14.4), of ``whole`` bytes."""
        return f"bytes {self.start}-{self.end - 1}/{whole}"


def parse_ranges(text: str, size: int) -> list[Range] | None:
    """The ranges that a ``Range`` field asks for, as far as they are there.

    What overlaps or nearly touches is made one; else they are in the order in which they were
    asked for.

    :param size: bytes of the whole representation.
    :returns: None: the field is to be ignored (another unit, malformed, too many). An empty list:
        nothing of what is asked for is there (416).

    >>> parse_ranges("bytes=0-4, -5", 100)
    [Range(start=0, end=5), Range(start=95, end=100)]
    >>> parse_ranges("bytes=100-", 100)
    []
    """
    unit, equals, rest = text.partition("=")
    if not equals or unit.strip(" \t").lower() != "bytes" or rest.count(",") >= MAX_RANGES:
        return None
    found: list[Range] = []
    specs = 0
    for spec in rest.split(","):
        spec = spec.strip(" \t")
        if not spec:
            continue  # 5.6.1: an empty member of a list says nothing
        match = _SPEC.fullmatch(spec)
        if match is None:
            return None
        specs += 1
        one = _resolve(match[1], match[2], match[3], size)
        if one is not None:
            found.append(one)
    if not specs:
        return None
    return _coalesce(found) if len(found) > 1 else found


def _resolve(first: str | None, last: str | None, suffix: str | None, size: int) -> Range | None:
    """14.1.2; None: nothing of it is there."""
    if first is None:
        start, end = max(0, size - int(suffix or 0)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    return Range(start, end) if start < end else None


def _coalesce(ranges: list[Range]) -> list[Range]:
    """Make one of ranges that overlap or nearly touch, in the place of the first of them."""
    order = sorted(range(len(ranges)), key=lambda number: ranges[number])
    merged: list[tuple[int, Range]] = []
    for number in order:
        start, end = ranges[number]
        if merged:
            place, before = merged[-1]
            if start <= before.end + SMALL_GAP:
                merged[-1] = (min(place, number), Range(before.start, max(before.end, end)))
                continue
        merged.append((number, ranges[number]))
    return [one for _, one in sorted(merged)]


def may_send_part(condition: str, etag: str, modified: datetime | None) -> bool:
    """Whether an ``If-Range`` holds (13.1.5): what the client has a part of is, to the byte, what
    there is.

    :param etag: of what there is; empty if it has none.
    :param modified: when that was modified; None: not known.
    """
    condition = condition.strip(" \t")
    if condition.startswith(('"', "W/")):
        return condition == etag and not etag.startswith("W/")
    date = parse_http_date(condition)
    if date is None or modified is None or unmodified_since(modified, condition) is not True:
        return False
    # Not only no later, but the same (13.1.5); and not of this very second, in which it may still
    # change (8.8.2.2).
    since = date.timestamp()
    return unmodified_since(date, format_timestamp(modified)) is True and time() - since >= 1
