"""What an entry of the table is: bytes, and the right answer to them.

Nothing here knows a server. The tests hold ours to the exact answer; the benchmark grants others
whatever the RFCs grant them (``Others``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

#: stands where only a server that is deceived takes it for a request: never to be served
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
#: put behind a whole entry: to be served if, and only if, the connection lives on
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
#: put before an entry: to be answered whatever follows it
FIRST = b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n"

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

#: bytes that are too many for any line, head or trailer section, whoever reads them
FAR_TOO_MANY = 1 << 20


class Others(Enum):
    """What is right for a server that is not ours."""

    REFUSE = "an answer that refuses it, then the end of the connection"
    SERVE = "serving it"
    EITHER = "either: an RFC lets a server take it, or nothing in it can deceive anybody"
    EITHER_LAST = "either, but if it is served the connection ends behind it"
    WAIT = "an answer that refuses it, or waiting for as much as it announces"


def with_trap(data: bytes, others: Others) -> bytes:
    """``data`` and behind it what nobody serves who has seen that ``data`` is wrong. To whoever may
    take it the same bytes would be just the next request."""
    return data + SMUGGLED if others in (Others.REFUSE, Others.EITHER_LAST) else data


class Served(NamedTuple):
    """A request as the application is given it."""

    method: str
    target: str
    body: bytes = b""

    def echo(self) -> bytes:
        """The body of the application's answer: what the request said."""
        return f"{self.method} {self.target} ".encode() + self.body


@dataclass(frozen=True, kw_only=True)
class Case:
    """One entry of the table."""

    #: begins with the advisory, or else with the clause, that it comes from
    id: str
    #: a key of ``GROUPS``
    group: str
    data: bytes
    #: what the application is given and answers with a 200
    served: tuple[Served, ...] = ()
    #: how we refuse what follows that, closing the connection; None: nothing is wrong
    status: int | None = None
    #: whether the connection lives on
    lives: bool = False
    others: Others = Others.REFUSE
    #: served with gzip bodies decompressed
    decompress: bool = False
    #: a limit or an option of ours: nothing to compare others by
    only_ours: bool = False

    @property
    def is_large(self) -> bool:
        """Too large to be cut everywhere."""
        return len(self.data) > 1500


def refused(
    group: str,
    id: str,
    data: bytes,
    status: int = 400,
    others: Others = Others.REFUSE,
    *served: Served,
    only_ours: bool = False,
    decompress: bool = False,
) -> Case:
    """What is answered with an error, after ``served``."""
    return Case(
        id=id, group=group, data=data, status=status, others=others, served=served,
        only_ours=only_ours, decompress=decompress,
    )  # fmt: skip


def accepted(
    group: str,
    id: str,
    data: bytes,
    *served: Served,
    others: Others = Others.SERVE,
    lives: bool = True,
    decompress: bool = False,
    only_ours: bool = False,
) -> Case:
    """What is served, whole."""
    return Case(
        id=id, group=group, data=data, others=others, served=served, lives=lives,
        decompress=decompress, only_ours=only_ours,
    )  # fmt: skip


def behind(case: Case, first: bytes, *served: Served) -> Case:
    """The same entry behind requests that must be answered."""
    return replace(case, data=first + case.data, served=served + case.served)


#: The groups in the order in which they are shown: what they are about, and where it is written.
GROUPS = {
    "request line": "RFC 9112, 3; RFC 9112, 2.3",
    "target": "RFC 9112, 3.2",
    "fields": "RFC 9112, 5; RFC 9110, 5.1 and 5.5",
    "line ends": "RFC 9112, 2.2",
    "Host": "RFC 9112, 3.2; RFC 9110, 7.2",
    "Content-Length": "RFC 9110, 8.6; RFC 9112, 6.3",
    "Transfer-Encoding": "RFC 9112, 6.1 and 6.3",
    "chunks": "RFC 9112, 7.1",
    "trailers": "RFC 9112, 7.1.2; RFC 9110, 6.5.1",
    "limits": "RFC 9110, 17.5; RFC 6585, 5",
    "connection": "RFC 9112, 9.3; RFC 9110, 9.3.6",
    "pipelining": "RFC 9112, 9.3.2",
    "gzip": "RFC 9110, 8.4.1.3",
    "to be served": "RFC 9110 and 9112",
}
