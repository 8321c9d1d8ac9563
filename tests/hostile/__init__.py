"""Hostile input, and what must be served all the same: one table of bytes and right answers.

Every advisory about an HTTP/1 parser or connection that we know of is an entry here. Read by the
tests, which hold our server to it, and by ``benchmarks/bad_input.py``, which shows it to others.
"""

from __future__ import annotations

from hostile.case import FIRST, GROUPS, NEXT, SMUGGLED, Case, Others, Served, behind
from hostile.fields import FIELDS, HOSTS, LINE_ENDS, LONG_HEADS
from hostile.framing import CHUNKS, CODINGS, LENGTHS, TRAILERS
from hostile.heads import LINES, TARGETS
from hostile.limits import GZIP, LONG_BODIES
from hostile.served import CONNECTION, GOOD, PIPELINING

CASES: list[Case] = [
    *LINES,
    *TARGETS,
    *FIELDS,
    *LINE_ENDS,
    *HOSTS,
    *LENGTHS,
    *CODINGS,
    *CHUNKS,
    *TRAILERS,
    *LONG_HEADS,
    *LONG_BODIES,
    *GZIP,
    *CONNECTION,
    *PIPELINING,
    *GOOD,
]
REFUSED = [case for case in CASES if case.status is not None]
SERVED = [case for case in CASES if case.status is None]

__all__ = [
    "CASES",
    "FIRST",
    "GROUPS",
    "NEXT",
    "REFUSED",
    "SERVED",
    "SMUGGLED",
    "Case",
    "Others",
    "Served",
    "behind",
]
