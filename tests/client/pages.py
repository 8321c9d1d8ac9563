"""What every server of these tests answers: the same pages, whoever speaks the protocol.

A page is values only. Each server turns it into an answer by its own means; where a page is ``raw``
it sends these very bytes instead, well-formed or not.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

Pairs = list[tuple[str, str]]


@dataclass
class Page:
    """One answer: a status, fields, and the body piece by piece."""

    status: int = 200
    fields: Pairs = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    #: announced by Content-Length; otherwise in chunks, one for each piece
    sized: bool = True
    #: sent as it is, in place of all this, and then the connection is closed
    raw: bytes | None = None
    #: what comes behind that: it waits to be told which, "go" (``rest`` follows) or "reset"; the
    #: key is whom to tell
    held: str = ""
    rest: bytes = b""
    #: nothing is answered at all
    silent: bool = False


def digest(body: bytes) -> str:
    """A body for a report: itself if it is short text, else its length and a hash."""
    if len(body) <= 300:
        return body.decode("latin-1")
    return f"{len(body)} bytes, {hashlib.sha256(body).hexdigest()[:16]}"


def pattern(size: int) -> bytes:
    """Bytes that are not the same anywhere near."""
    block = bytes(range(251))
    return (block * (size // 251 + 1))[:size]


# -- pages of their own


def echo(method: str, target: str, fields: Pairs, body: bytes) -> Page:
    """What was asked, to the letter."""
    seen = {"method": method, "target": target, "fields": fields, "body": digest(body)}
    text = json.dumps(seen, indent=0).encode()
    return Page(fields=[("Content-Type", "application/json")], pieces=[text])


def plain() -> Page:
    fields = [("Content-Type", "text/plain"), ("X-One", "1"), ("x-tWo", "2")]
    return Page(fields=[*fields, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], pieces=[b"hello"])


def packed(how: str) -> Page:
    """A body with Content-Encoding, of one kind or another."""
    text = pattern(100_000)
    data = gzip.compress(text, mtime=0)
    coding, pieces, sized = "gzip", [data], True
    if how == "chunks":
        pieces, sized = [data[at : at + 99] for at in range(0, len(data), 99)], False
    elif how == "members":
        pieces = [gzip.compress(b"one ", mtime=0), gzip.compress(b"two", mtime=0)]
    elif how == "cut":
        pieces = [data[:-20]]
    elif how == "garbage":
        pieces = [b"this is no gzip"]
    elif how == "nothing":
        pieces = []
    elif how == "x-gzip":
        coding = "x-gzip"
    elif how == "deflate":
        coding, pieces = "deflate", [zlib.compress(b"nobody unpacks this")]
    return Page(fields=[("Content-Encoding", coding)], pieces=pieces, sized=sized)


def redirect(query: dict[str, str]) -> Page:
    fields = [("Location", query["to"])] if "to" in query else []
    return Page(int(query["code"]), fields, [b"elsewhere"])


def chunks(size: int, count: int) -> Page:
    return Page(pieces=[pattern(size)] * count, sized=False)


def status(code: int) -> Page:
    return Page(code, [("X-Status", str(code))], [] if code in (204, 304) else [b"of status"])


def refused(fields: Pairs) -> Page | None:
    """An answer to the head alone, for who asks before it sends the body."""
    for name, value in fields:
        if name.lower() == "x-refuse":
            return Page(int(value), [], [b"keep it"])
    return None


# -- raw answers

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"

RAW = {
    # good ones that no framework writes
    "http10": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
    "http10-length": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "until-close": OK + b"\r\n" + pattern(100_000),
    "until-close-empty": OK + b"\r\n",
    "no-reason": b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi",
    "no-reason-no-space": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
    "other-reason": b"HTTP/1.1 299 Quite so, n\xe9e\r\nContent-Length: 2\r\n\r\nhi",
    "latin-1": OK + b"X-Name: \xe9\xff\r\nContent-Length: 2\r\n\r\nhi",
    "no-space": OK + b"X-Name:tight\t\r\nX-Empty:\r\nContent-Length:2\r\n\r\nhi",
    "extensions": CHUNKED + b'2;a=b;c="d"\r\nhi\r\n3 ; x\r\n ho\r\n0;last\r\n\r\n',
    "trailers": CHUNKED + b"2\r\nhi\r\n0\r\nX-Trailer: late\r\nContent-Length: 9\r\n\r\n",
    "upper-case-chunks": CHUNKED + b"00A\r\n0123456789\r\n0\r\n\r\n",
    "same-length-twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
    "empty-line-first": b"\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
    "folded": OK + b"X-Fold: one\r\n  two\r\nContent-Length: 2\r\n\r\nhi",
    "early": EARLY * 2 + OK + b"Content-Length: 2\r\n\r\nhi",
    "early-for-ever": EARLY * 1000 + OK + b"Content-Length: 2\r\n\r\nhi",
    "more-behind": OK + b"Content-Length: 2\r\n\r\nhi" + OK + b"Content-Length: 2\r\n\r\nho",
    "204": b"HTTP/1.1 204 No Content\r\n\r\nwhat is this",
    "204-length": b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi",
    "304-length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nEtag: x\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nbytes of x",
    "large-head": OK + b"X-Large: %b\r\n" % (b"x" * 23_000) * 3 + b"Content-Length: 2\r\n\r\nhi",
    "many-fields": OK + b"X-Many: x\r\n" * 120 + b"Content-Length: 2\r\n\r\nhi",
    # ends within
    "nothing": b"",
    "cut-line": b"HTTP/1.1 200",
    "cut-head": OK + b"Content-Len",
    "cut-body": OK + b"Content-Length: 5\r\n\r\nhi",
    "cut-size": CHUNKED + b"2\r\nhi\r\n3",
    "cut-chunk": CHUNKED + b"5\r\nhi",
    "cut-chunks": CHUNKED + b"2\r\nhi\r\n",
    "cut-end": CHUNKED + b"2\r\nhi\r\n0\r\n",
    "cut-early": EARLY,
    # nothing a client may take
    "garbage": b"220 smtp.example ESMTP\r\n\r\n",
    "tls-alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "http2": b"HTTP/2.0 200 OK\r\n\r\n",
    "no-code": b"HTTP/1.1 OK\r\n\r\n",
    "no-colon": OK + b"Nothing of a field\r\n\r\n",
    "space-before-colon": OK + b"Content-Length : 2\r\n\r\nhi",
    "nul": OK + b"X-Nul: a\0b\r\nContent-Length: 2\r\n\r\nhi",
    "lines-without-cr": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
    "two-lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
    "no-length": OK + b"Content-Length: two\r\n\r\nhi",
    "plus-length": OK + b"Content-Length: +2\r\n\r\nhi",
    "length-and-chunked": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "other-coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "no-size": CHUNKED + b"zz\r\nhi\r\n0\r\n\r\n",
    "minus-size": CHUNKED + b"-2\r\nhi\r\n0\r\n\r\n",
    "longer-chunk": CHUNKED + b"2\r\nhi!\r\n0\r\n\r\n",
    "chunks-without-cr": CHUNKED + b"2\nhi\n0\n\n",
}

#: (before, behind) for pages that are held in between
HELD = {
    "body": (OK + b"Content-Length: 6\r\n\r\none", b"two"),
    "chunks": (CHUNKED + b"3\r\none\r\n", b"3\r\ntwo\r\n0\r\n\r\n"),
    "until-close": (OK + b"\r\none", b"two"),
    "head": (OK + b"Content-", b"Length: 6\r\n\r\nonetwo"),
    "nothing": (b"", OK + b"Content-Length: 6\r\n\r\nonetwo"),
}

PAGES: dict[str, Callable[[dict[str, str]], Page]] = {
    "plain": lambda query: plain(),
    "bytes": lambda query: Page(pieces=[pattern(int(query["n"]))]),
    "chunks": lambda query: chunks(int(query["size"]), int(query["count"])),
    "gzip": lambda query: packed(query["how"]),
    "redirect": redirect,
    "status": lambda query: status(int(query["code"])),
    "raw": lambda query: Page(raw=RAW[query["name"]]),
    "held": lambda query: Page(
        raw=HELD[query["name"]][0], rest=HELD[query["name"]][1], held=query["key"]
    ),
    "silent": lambda query: Page(silent=True),
}


def page(method: str, target: str, fields: Pairs, body: bytes) -> Page:
    """The answer to a request."""
    parts = urlsplit(target)
    name = parts.path.strip("/")
    if name in ("echo", "guarded"):
        return echo(method, target, fields, body)
    made: Any = PAGES.get(name)
    if made is None:
        return Page(404, [], [b"no such page"])
    answer: Page = made({key: values[0] for key, values in parse_qs(parts.query).items()})
    return answer


# -- pages that wait

_held: dict[str, asyncio.Future[str]] = {}


def held(key: str) -> asyncio.Future[str]:
    """What becomes of the page that is held under ``key``, in this process."""
    return _held.setdefault(key, asyncio.get_running_loop().create_future())


def release(target: str) -> bool:
    """Let a page go, if that is what is asked for."""
    parts = urlsplit(target)
    if parts.path != "/release":
        return False
    query = parse_qs(parts.query)
    held(query["key"][0]).set_result(query["how"][0])
    return True
