"""What the soak test sends: good requests, bad ones, and such as are given up.

Each case is a function of a connection and a random generator. A good one raises WrongAnswerError
unless it is answered as it should be, a bad one unless it is refused with its status and the
connection closed. A new case is a function and an entry in the table at the end.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from soak_client import Peer, WrongAnswerError, request

GOOD, BAD, ABORTED = "good", "bad", "aborted"

PIPELINED = 8
FLOOD = 100
KIB = 1024

Run = Callable[[Peer, Random], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that a client does on a connection.

    `requests` is how many it sends; `keeps` says whether the connection is good for more behind it,
    `weight` how often it comes.
    """

    name: str
    kind: str
    run: Run
    weight: float = 1.0
    requests: int = 1
    keeps: bool = False
    receive_bytes: int | None = None


PATTERN = b"".join(b"%07d\n" % number for number in range(1024 * 128))
"""The bodies of all downloads are beginnings of this one, as in servers/soak_app.py."""
BLOCK = PATTERN[: 16 * KIB]


def name(rng: Random) -> str:
    """Something to be answered, each time another."""
    return f"n{rng.getrandbits(40):x}"


def counted(body: bytes) -> dict[str, int]:
    """The answer to an upload."""
    return {"size": len(body), "crc": zlib.crc32(body)}


async def expect_counted(peer: Peer, body: bytes) -> None:
    """Read the answer to an upload of `body`."""
    answer = await peer.expect(200)
    if json.loads(answer.body) != counted(body):
        raise WrongAnswerError(f"{answer.body!r}; expected {counted(body)}")


# -- good ones, whose answer is known to the byte


async def plain(peer: Peer, rng: Random) -> None:
    what = name(rng)
    await peer.send(request("GET", f"/plain/{what}?{name(rng)}", f"X-Any: {name(rng)}"))
    await peer.expect(200, f"plain {what}".encode())


async def plain_cut(peer: Peer, rng: Random) -> None:
    what = name(rng)
    await peer.send_cut(request("GET", f"/plain/{what}", "Connection: keep-alive"), rng, 12)
    await peer.expect(200, f"plain {what}".encode())


async def block(peer: Peer, rng: Random) -> None:
    await peer.send(request("GET", "/block"))
    await peer.expect(200, BLOCK)


async def coroutine(peer: Peer, rng: Random) -> None:
    what = name(rng)
    await peer.send(request("GET", f"/coroutine/{what}/{rng.choice((0, 0, 1, 5, 20))}"))
    await peer.expect(200, f"coroutine {what}".encode())


async def head(peer: Peer, rng: Random) -> None:
    what = name(rng)
    await peer.send(request("HEAD", f"/plain/{what}") + request("HEAD", f"/coroutine/{what}/1"))
    for word in ("plain", "coroutine"):
        answer = await peer.expect(200, b"", "HEAD")
        if answer.headers.get("content-length") != str(len(f"{word} {what}")):
            raise WrongAnswerError(f"{answer.headers}")


async def echo(peer: Peer, rng: Random) -> None:
    body = rng.randbytes(rng.choice((0, 1, 1000, 20_000)))
    await peer.send_cut(request("POST", "/echo", body=body), rng, 3)
    await peer.expect(200, body)


async def upload(peer: Peer, rng: Random) -> None:
    body = rng.randbytes(rng.choice((0, 1, 5000, 70_000, 300_000)))
    target = rng.choice(("/upload", "/upload-slowly"))
    await peer.send_cut(request("PUT", target, body=body), rng)
    await expect_counted(peer, body)


async def upload_chunked(peer: Peer, rng: Random) -> None:
    chunks = [rng.randbytes(rng.choice((1, 30, 3000, 40_000))) for _ in range(rng.randrange(6))]
    target = rng.choice(("/upload", "/upload-slowly"))
    data = request("PUT", target, chunks=chunks)
    data = data[:-2] + b"X-Trailer: 1\r\n\r\n"
    await peer.send_cut(data, rng)
    await expect_counted(peer, b"".join(chunks))


async def upload_expected(peer: Peer, rng: Random) -> None:
    body = rng.randbytes(3000)
    head, _, _ = request("PUT", "/upload", "Expect: 100-continue", body=body).partition(b"\r\n\r\n")
    await peer.send(head + b"\r\n\r\n")
    await peer.expect(100)
    await peer.send(body)
    await expect_counted(peer, body)


async def download(peer: Peer, rng: Random) -> None:
    kib = rng.choice((0, 1, 50, 300))
    await peer.send(request("GET", f"/{rng.choice(('download', 'stream'))}/{kib}"))
    await peer.expect(200, PATTERN[: kib * KIB])


async def slow_reader(peer: Peer, rng: Random) -> None:
    await peer.send(request("GET", "/download/256", "Connection: close"))
    data = bytearray()
    while piece := await peer.receive(4 * KIB):
        data += piece
        if rng.random() < 0.3:
            await asyncio.sleep(0.01)
    if data.partition(b"\r\n\r\n")[2] != PATTERN[: 256 * KIB]:
        raise WrongAnswerError(f"{len(data)} bytes of a download of 256 KiB")


async def pipelined(peer: Peer, rng: Random) -> None:
    names = [name(rng) for _ in range(PIPELINED)]
    ways = [rng.randrange(4) for _ in names]
    data = b""
    for what, way in zip(names, ways, strict=True):
        text = what.encode()
        data += (
            request("GET", f"/plain/{what}"),
            request("GET", f"/coroutine/{what}/{rng.choice((0, 3))}"),
            request("POST", "/echo", body=text),
            request("PUT", "/upload", chunks=[text, text]),
        )[way]
    await peer.send_cut(data, rng, rng.randrange(4))
    for what, way in zip(names, ways, strict=True):
        text = what.encode()
        if way == 3:
            await expect_counted(peer, text * 2)
        else:
            await peer.expect(200, (b"plain " + text, b"coroutine " + text, text)[way])


async def old_version(peer: Peer, rng: Random) -> None:
    await peer.send(request("GET", rng.choice(("/block", "/stream/16")), version="HTTP/1.0"))
    await peer.expect(200, BLOCK)
    await peer.expect_end()


async def last_one(peer: Peer, rng: Random) -> None:
    what = name(rng)
    await peer.send(request("GET", f"/plain/{what}", "Connection: close"))
    await peer.expect(200, f"plain {what}".encode())
    await peer.expect_end()


async def half_closed(peer: Peer, rng: Random) -> None:
    await peer.send(request("GET", "/block"))
    peer.shut()
    await peer.expect(200, BLOCK)
    await peer.expect_end()


async def no_such(peer: Peer, rng: Random) -> None:
    await peer.send(request("GET", f"/{name(rng)}") + request("DELETE", "/echo"))
    await peer.expect(404)
    await peer.expect(405)


async def fails(peer: Peer, rng: Random) -> None:
    await peer.send(request("GET", "/fails"))
    await peer.expect(500)


async def refused(peer: Peer, rng: Random) -> None:
    """Answered before the body has been read; little enough of it that the connection lives on."""
    await peer.send_cut(request("PUT", "/refused", body=bytes(rng.choice((1, 100_000)))), rng)
    await peer.expect(403)


# -- bad ones, which are refused


async def refused_large(peer: Peer, rng: Random) -> None:
    """Too much of a body behind its answer; a client that goes on sending can still read it."""
    await send_anyway(peer, request("PUT", "/refused", body=bytes(2048 * KIB)))
    await peer.expect(403)
    await peer.expect_end()


async def send_anyway(peer: Peer, *data: bytes) -> None:
    """Send what the server may not want to have."""
    try:
        await peer.send(*data)
    except ConnectionError:
        pass


def bad(status: int, *data: bytes) -> Run:
    """A case: what is to be refused with `status`, whole or in pieces."""

    async def run(peer: Peer, rng: Random) -> None:
        whole = b"".join(data)
        try:
            if len(whole) < 100_000:
                await peer.send_cut(whole, rng, rng.randrange(4))
            else:
                await peer.send(whole)
        except ConnectionError:
            pass
        await peer.expect(status)
        await peer.expect_end()

    return run


async def garbage(peer: Peer, rng: Random) -> None:
    await send_anyway(peer, b"\x16\x03\x01" + rng.randbytes(rng.randrange(1, 3000)))
    await peer.expect(400)
    await peer.expect_end()


async def behind_good_ones(peer: Peer, rng: Random) -> None:
    """Good, good, bad, good: the last one is never answered."""
    what = name(rng)
    good = request("GET", f"/plain/{what}")
    later = request("GET", f"/coroutine/{what}/2")
    await peer.send_cut(good + later + b"GET / HTTP/1.1\r\nHost : a\r\n\r\n" + good, rng, 2)
    await peer.expect(200, f"plain {what}".encode())
    await peer.expect(200, f"coroutine {what}".encode())
    await peer.expect(400)
    await peer.expect_end()


def upload_head(*fields: str) -> bytes:
    """The head of an upload whose body is somebody else's business."""
    lines = ["PUT /upload HTTP/1.1", "Host: soak.example", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


CHUNKED = upload_head("Transfer-Encoding: chunked")

MALFORMED: tuple[tuple[str, int, bytes], ...] = (
    ("bare line feeds", 400, b"GET /plain/a HTTP/1.1\nHost: a\n\n"),
    ("no host", 400, b"GET /plain/a HTTP/1.1\r\n\r\n"),
    ("space before a colon", 400, b"GET /plain/a HTTP/1.1\r\nHost : a\r\n\r\n"),
    ("a folded field", 400, b"GET /plain/a HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n"),
    ("a zero byte", 400, b"GET /plain/a HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"),
    ("another protocol", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("two lengths", 400, upload_head("Content-Length: 1", "Content-Length: 2")),
    ("a length and chunks", 400, upload_head("Content-Length: 1", "Transfer-Encoding: chunked")),
    ("a signed length", 400, upload_head("Content-Length: +1")),
    ("an unknown coding", 501, upload_head("Transfer-Encoding: gzip")),
    ("too large", 413, upload_head(f"Content-Length: {1 << 40}") + bytes(3000)),
    ("unknown expectation", 417, upload_head("Expect: 200-ok", "Content-Length: 1")),
    ("a chunk without a size", 400, CHUNKED + b"3\r\nabc\r\nx\r\nabc\r\n"),
    ("a chunk that is too long", 400, CHUNKED + b"3\r\nabcdef\r\n"),
    ("a chunk larger than all", 413, CHUNKED + b"fffffffffff\r\n" + bytes(3000)),
    ("a line too long", 414, b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("a head too large", 431, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Any: 12345678\r\n" * 5000),
)


# -- such as are given up


async def half_head(peer: Peer, rng: Random) -> None:
    data = request("GET", f"/plain/{name(rng)}", f"X-Any: {name(rng)}")
    await peer.send(data[: rng.randrange(len(data) - 1)])
    end_somehow(peer, rng)


async def half_body(peer: Peer, rng: Random) -> None:
    target = rng.choice(("/upload", "/upload-slowly", "/echo", "/refused"))
    body = rng.randbytes(rng.choice((2, 3000, 200_000)))
    method = "POST" if target == "/echo" else "PUT"
    if rng.random() < 0.5:
        data = request(method, target, body=body)
    else:
        data = request(method, target, chunks=[body, body])
    await send_anyway(peer, data[: rng.randrange(len(data) // 2, len(data) - 1)])
    end_somehow(peer, rng)


async def half_expected(peer: Peer, rng: Random) -> None:
    await peer.send(upload_head("Expect: 100-continue", "Content-Length: 10"))
    if rng.random() < 0.5:
        await peer.expect(100)
    end_somehow(peer, rng)


async def gone_before_the_answer(peer: Peer, rng: Random) -> None:
    data = request("GET", f"/coroutine/{name(rng)}/{rng.choice((0, 10, 100))}")
    await peer.send(data * rng.choice((1, 1, 4)))
    if rng.random() < 0.5:
        await asyncio.sleep(0.005)
    end_somehow(peer, rng)


async def gone_within_the_answer(peer: Peer, rng: Random) -> None:
    await peer.send(request("GET", f"/{rng.choice(('download', 'stream'))}/1024"))
    for _ in range(rng.randrange(5)):
        await peer.receive(rng.choice((1, 1000, 50_000)))
    end_somehow(peer, rng)


async def flood(peer: Peer, rng: Random) -> None:
    """Many requests at once, and nobody reads their answers."""
    await send_anyway(peer, request("GET", "/block") * FLOOD)
    await asyncio.sleep(rng.choice((0.0, 0.05)))
    end_somehow(peer, rng)


async def nothing(peer: Peer, rng: Random) -> None:
    end_somehow(peer, rng)


def end_somehow(peer: Peer, rng: Random) -> None:
    """Close, or reset."""
    if rng.random() < 0.5:
        peer.reset()
    else:
        peer.close()


# -- such as fall silent, and are ended by the server within its bounds

SLACK_SECONDS = 10.0
"""How much later than its bound a server on a busy machine may be, its coarse clock included."""


async def end_between(peer: Peer, since: float, least: float) -> bytes:
    """What comes until the server ends the connection, which is neither early nor late."""
    rest = await peer.rest()
    seconds = time.monotonic() - since
    if not least <= seconds <= least + SLACK_SECONDS:
        raise WrongAnswerError(f"ended after {seconds:.1f} s; bound {least:g}, {rest[:100]!r}")
    return rest


async def silent_head(peer: Peer, rng: Random, seconds: float) -> None:
    since = time.monotonic()
    await peer.send(b"GET /plain/a HTTP/1.1\r\nHost: a\r\n")
    if not (await end_between(peer, since, seconds)).startswith(b"HTTP/1.1 408 "):
        raise WrongAnswerError("no 408 for a head that does not end")


async def silent_body(peer: Peer, rng: Random, seconds: float) -> None:
    await peer.send(upload_head("Content-Length: 10"))
    since = time.monotonic()
    await peer.send(b"12345")
    if not (await end_between(peer, since, seconds)).startswith(b"HTTP/1.1 408 "):
        raise WrongAnswerError("no 408 for a body that does not end")


async def silent_between(peer: Peer, rng: Random, seconds: float) -> None:
    since = time.monotonic()
    await plain(peer, rng)
    if rest := await end_between(peer, since, seconds):
        raise WrongAnswerError(f"a word to nobody: {rest[:100]!r}")


async def silent_reader(peer: Peer, rng: Random, seconds: float) -> None:
    await peer.send(request("GET", "/download/1024"))
    # Twice the time: what the system takes from the server at first counts as taken by the client.
    await asyncio.sleep(3 * seconds + 3)
    rest = await peer.rest()
    if not rest or len(rest) > 900 * KIB:
        raise WrongAnswerError(f"{len(rest)} bytes of a download of 1 MiB that nobody read")


def table() -> list[Case]:
    """All cases that are drawn at random."""
    good = [
        Case(name=run.__name__, kind=GOOD, run=run, weight=weight, requests=requests, keeps=True)
        for run, weight, requests in (
            (plain, 12, 1), (plain_cut, 4, 1), (block, 3, 1), (coroutine, 12, 1), (head, 2, 2),
            (echo, 6, 1), (upload, 5, 1), (upload_chunked, 5, 1), (upload_expected, 3, 1),
            (download, 4, 1), (pipelined, 4, PIPELINED), (no_such, 2, 2), (fails, 0.5, 1),
            (refused, 2, 1),
        )
    ]  # fmt: skip
    ending = [
        Case(name=run.__name__, kind=GOOD, run=run) for run in (old_version, last_one, half_closed)
    ]
    ending.append(Case(name="slow_reader", kind=GOOD, run=slow_reader, receive_bytes=4 * KIB))
    refusals = [
        Case(name=text, kind=BAD, run=bad(status, data), weight=0.4)
        for text, status, data in MALFORMED
    ]
    refusals += [
        Case(name="garbage", kind=BAD, run=garbage),
        Case(name="refused_large", kind=BAD, run=refused_large, weight=0.3),
        Case(name="behind_good_ones", kind=BAD, run=behind_good_ones, requests=4),
    ]
    ends = (half_head, half_body, half_expected, gone_before_the_answer, gone_within_the_answer)
    aborted = [Case(name=run.__name__, kind=ABORTED, run=run, weight=1.5) for run in ends]
    aborted += [
        Case(name="flood", kind=ABORTED, run=flood, weight=0.1, requests=FLOOD),
        Case(name="nothing", kind=ABORTED, run=nothing),
    ]
    return good + ending + refusals + aborted


def silent_table(seconds: float) -> list[Case]:
    """The cases that take their time, for a server whose bounds on time are `seconds`."""
    return [
        Case(
            name=run.__name__,
            kind=ABORTED,
            run=partial(run, seconds=seconds),
            receive_bytes=4 * KIB if run is silent_reader else None,
        )
        for run in (silent_head, silent_body, silent_between, silent_reader)
    ]
