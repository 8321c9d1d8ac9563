"""Whether a server has answered hostile input rightly: bytes that came back, and a verdict on them.

More lenient than our own tests: of a refusal any 4xx, 501 and 505 will do, with or without a
`Connection: close`, as long as the connection ends; and where an RFC lets a server take what we
refuse, taking it is as right (`Others` in the table).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hostile_table import Case, Others

#: verdicts; all but the first are faults
RIGHT = "right"
SMUGGLED = "a request behind it was served that must not be"
TAKEN = "it was served"
LIVES = "the connection lived on"
STATUS = "refused with another status"
CLOSED = "closed without an answer"
SILENT = "no answer at all"
LOST = "not served, or not as it was sent"
VERDICTS = (RIGHT, SMUGGLED, TAKEN, LIVES, STATUS, CLOSED, SILENT, LOST)

_STATUS_LINE = re.compile(rb"HTTP/[0-9]\.[0-9] ([0-9]{3})(?: [^\r\n]*)?\r\n")
_FIELD = re.compile(rb"([^:\r\n]+):[ \t]*([^\r\n]*?)[ \t]*\r\n")
_SIZE = re.compile(rb"([0-9A-Fa-f]+)[^\r\n]*\r\n")


class Reply(NamedTuple):
    """One final answer; 1xx are left out."""

    status: int
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether the application has been given a request."""
        return 200 <= self.status < 300

    @property
    def is_refusal(self) -> bool:
        """Whether this says that the request is wrong or beyond what is served."""
        return 400 <= self.status < 500 or self.status in (501, 505)


@dataclass(frozen=True)
class Outcome:
    """All that came back on one connection, and whether the server ended it."""

    data: bytes
    ended: bool


def replies(outcome: Outcome, methods: Sequence[str]) -> list[Reply] | None:
    """The whole answers in what came back; None if something else is in it."""
    found: list[Reply] = []
    data = outcome.data
    while data:
        line = _STATUS_LINE.match(data)
        end = data.find(b"\r\n\r\n")
        if line is None or end < 0:
            return found if b"HTTP/".startswith(data[:5]) or line else None
        status = int(line[1])
        fields = {
            name.strip().lower(): value for name, value in _FIELD.findall(data, line.end(), end + 2)
        }
        rest = data[end + 4 :]
        if 100 <= status < 200 and status != 101:
            data = rest
            continue
        is_head = len(found) < len(methods) and methods[len(found)] == "HEAD"
        taken = (b"", rest) if is_head or status in (101, 204, 304) else _body(fields, rest)
        if taken is None:
            if not outcome.ended or b"content-length" in fields:
                return found  # not whole
            taken = (rest, b"")
        found.append(Reply(status, taken[0]))
        data = taken[1]
        if status == 101:
            break
    return found


def _body(fields: dict[bytes, bytes], data: bytes) -> tuple[bytes, bytes] | None:
    """The body at the beginning of `data` and what follows; None if its end is not there."""
    if b"content-length" in fields:
        length = int(fields[b"content-length"])
        return (data[:length], data[length:]) if len(data) >= length else None
    if fields.get(b"transfer-encoding", b"").lower() != b"chunked":
        return None
    body = b""
    while (size := _SIZE.match(data)) is not None:
        length, data = int(size[1], 16), data[size.end() :]
        if len(data) < length + 2:
            return None
        body, data = body + data[:length], data[length + 2 :]
        if length == 0:
            return body, data
    return None


def is_complete(case: Case, outcome: Outcome, with_next: bool) -> bool:
    """Whether nothing more is to be waited for, the end of the connection left aside."""
    if outcome.ended:
        return True
    if case.others is Others.EITHER:
        wanted = 1 + len(case.served if case.status is not None else ())
    elif case.others is Others.SERVE and case.lives:
        wanted = len(case.served) + with_next
    else:
        return False
    return len(replies(outcome, _methods(case)) or []) >= wanted


def _methods(case: Case) -> list[str]:
    return [request.method for request in case.served]


def judge(case: Case, outcome: Outcome, with_next: bool) -> str:
    """The verdict on what came back for `case`, with or without the next request behind it."""
    nothing = CLOSED if outcome.ended else SILENT
    found = replies(outcome, _methods(case))
    if found is None:
        return nothing
    good = [reply for reply in found if reply.is_good]
    if any(reply.body.startswith(b"GET /smuggled ") for reply in good):
        return SMUGGLED
    if case.others is Others.SERVE:
        verdict = _judge_served(case, found, must_go_on=with_next and not outcome.ended)
    else:
        verdict = _judge_refused(case, found, outcome.ended)
    return verdict or nothing


def _judge_refused(case: Case, found: list[Reply], ended: bool) -> str | None:
    """The verdict on these answers to what we refuse; None if the one that counts is not there."""
    if case.status is not None and case.served:
        # The good requests before it are answered, whatever follows them.
        if not _are_echoes(case, found[: len(case.served)]):
            return LOST
        found = found[len(case.served) :]
    if not found:
        if case.others is Others.WAIT and not ended:
            return RIGHT
        # RFC 6585, 5: who is flooded may just as well drop the connection.
        return RIGHT if case.group == "limits" and ended else None
    good = sum(reply.is_good for reply in found)
    if good and case.others is Others.EITHER_LAST:
        return RIGHT if good == 1 and ended else LIVES
    if good:
        return RIGHT if case.others is Others.EITHER else TAKEN
    if not found[0].is_refusal and not (case.others is Others.EITHER and found[0].status == 101):
        return STATUS
    return RIGHT if ended or case.others is Others.EITHER else LIVES


def _judge_served(case: Case, found: list[Reply], *, must_go_on: bool) -> str | None:
    """The verdict on these answers to what is to be served; None if one of them is not there."""
    if not found:
        return None
    if not _are_echoes(case, found[: len(case.served)]):
        return LOST
    # What follows the last request is not to be served; an error says so, too.
    more = found[len(case.served) :]
    if case.lives and must_go_on and not more:
        return None
    return LIVES if not case.lives and any(reply.is_good for reply in more) else RIGHT


def _are_echoes(case: Case, found: Sequence[Reply]) -> bool:
    """Whether these are the answers to what is to be served; targets are written in many ways."""
    if len(found) != len(case.served):
        return False
    for reply, request in zip(found, case.served, strict=True):
        if not reply.is_good:
            return False
        if request.method == "HEAD":
            continue
        method, _, rest = reply.body.partition(b" ")
        if method != request.method.encode() or not rest.endswith(b" " + request.body):
            return False
    return True
