"""How static files are sent: small ones at once, large ones by sendfile or piece by piece."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import random
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tornadoish import web
from tornadoish.http1connection import HTTP1Connection
from tornadoish.httputil import HTTPConnection
from tornadoish.iostream import IOStream, files
from tornadoish.web.static import handler as static_handler
from tornadoish.web.static import sending

from .serving import Framework, Serve, Site, until

SMALL = random.Random(3).randbytes(static_handler.SMALL)
LARGE = random.Random(4).randbytes(3_000_000)
TEXT = b"To be compressed. " * 50_000


@pytest.fixture
def framework() -> Framework:
    """Ours alone."""
    return Framework("tornadoish")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, data in {"small": SMALL, "large": LARGE, "text.txt": TEXT}.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.fixture
async def closed(root: Path) -> AsyncIterator[None]:
    """At the end none of the files is open."""
    yield

    def are_closed() -> bool:
        for number in os.listdir("/proc/self/fd"):
            try:
                if os.readlink(f"/proc/self/fd/{number}").startswith(str(root)):
                    return False
            except FileNotFoundError:
                pass
        return True

    await until(are_closed)


@pytest.fixture
async def site(closed: None, serve: Serve, root: Path) -> Site:
    return await serve([], static_path=str(root))


def says(monkeypatch: pytest.MonkeyPatch, at_hand: bool | None) -> None:
    """Let the system say so of every file, whether it can be read without waiting."""
    for module in (files, static_handler):
        monkeypatch.setattr(module, "at_hand", lambda fd, offset, count: at_hand)


@pytest.mark.parametrize("at_hand", [True, False, None])
@pytest.mark.parametrize(("name", "data"), [("small", SMALL), ("large", LARGE)])
async def test_whole(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, at_hand: bool | None
) -> None:
    says(monkeypatch, at_hand)
    for _ in range(2):
        answer = await site.get(f"/static/{name}")
        assert (answer.status_code, answer.content) == (200, data)
    assert (await site.request("HEAD", f"/static/{name}")).content == b""


async def test_a_small_file_is_one_write(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    class Counted:
        """A transport, and the sizes of what is written to it."""

        def __init__(self, transport: Any) -> None:
            self.transport = transport

        def __getattr__(self, name: str) -> Any:
            return getattr(self.transport, name)

        def write(self, data: bytes) -> None:
            written.append(len(data))
            self.transport.write(data)

    made = IOStream.connection_made
    monkeypatch.setattr(
        IOStream, "connection_made", lambda stream, transport: made(stream, Counted(transport))
    )
    monkeypatch.setattr(site.application, "hold", None)  # who has a task calls it
    assert (await site.get("/static/small")).content == SMALL
    assert len([size for size in written if size]) == 1


@pytest.mark.parametrize(("name", "data"), [("small", SMALL), ("large", LARGE)])
async def test_a_disk_is_waited_for_in_a_thread(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes
) -> None:
    """Where the system says that it would have to be waited for; the hash of the small one is
    known."""
    await site.get(f"/static/{name}")
    says(monkeypatch, False)
    threads = set()
    read_at = files.read_at

    def watched(fd: int, count: int, offset: int) -> bytes:
        threads.add(threading.current_thread())
        return read_at(fd, count, offset)

    for module in (files, static_handler):
        monkeypatch.setattr(module, "read_at", watched)
    assert (await site.get(f"/static/{name}")).content == data
    assert threads
    assert threading.main_thread() not in threads


async def test_large_files_do_not_pass_through_python(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def copied(*arguments: Any) -> int:
        raise AssertionError("copied")

    monkeypatch.setattr(files, "copy_file", copied)
    monkeypatch.setattr(sending, "copy_file", copied)
    assert (await site.get("/static/large")).content == LARGE


async def test_a_client_that_goes_away(
    site: Site, caplog: pytest.LogCaptureFixture, root: Path
) -> None:
    """Its file is closed, and nobody says a word but for the access log."""
    os.truncate(root / "large", 100_000_000)
    caplog.set_level(logging.INFO)
    before = asyncio.all_tasks()
    for _ in range(3):
        peer = await site.connect()
        peer.send("GET /static/large HTTP/1.1", "Host: x")
        await peer.reader.readexactly(100_000)
        peer.close()
    await until(lambda: not (asyncio.all_tasks() - before))
    assert [record.name for record in caplog.records] == ["tornado.access"] * 3


async def test_the_last_answer_of_a_connection(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends in the context in which it began, and so does the connection."""
    peer = await site.connect()
    answer = await peer.ask("GET /static/large HTTP/1.1", "Host: x", "Connection: close")
    assert answer.body == LARGE
    assert await peer.ended()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_file_that_becomes_shorter(
    site: Site, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The client sees that it is not all; the log has one line, and names it."""
    os.truncate(root / "large", 100_000_000)
    peer = await site.connect()
    peer.send("GET /static/large HTTP/1.1", "Host: x")
    await peer.reader.readexactly(100_000)
    os.truncate(root / "large", 10_000_000)
    rest = await peer.reader.read()
    assert len(rest) < 10_000_000
    messages = [record.getMessage() for record in caplog.records if record.levelno >= 30]
    assert len(messages) == 1
    assert "large" in messages[0]
    assert "too early" in messages[0]


async def test_a_file_that_grows(site: Site, root: Path) -> None:
    """What was announced is sent."""
    os.truncate(root / "large", 20_000_000)
    peer = await site.connect()
    peer.send("GET /static/large HTTP/1.1", "Host: x", "Range: bytes=1-19999998")
    await peer.reader.readuntil(b"\r\n\r\n")
    os.truncate(root / "large", 30_000_000)
    await peer.reader.readexactly(19_999_998)
    assert (await peer.ask("GET /static/small HTTP/1.1", "Host: x")).body == SMALL


async def test_a_small_file_that_becomes_shorter(
    site: Site, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its head is sent it is an error like any other."""
    for at_hand in (True, False):
        says(monkeypatch, at_hand)
        monkeypatch.setattr(
            web.StaticFileHandler, "get_content_size", lambda handler: len(SMALL) - 10
        )
        os.truncate(root / "small", 100)
        assert (await site.get("/static/small")).status_code == 500


async def test_compressed_on_the_way(
    closed: None, serve: Serve, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file is compressed as it goes; one that is not worth it goes by sendfile."""
    site = await serve([], static_path=str(root), compress_response=True)
    answer = await site.get("/static/text.txt", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Content-Length" not in answer.headers
    assert answer.content == TEXT
    monkeypatch.setattr(static_handler, "send_by", None)  # nothing is read any more
    answer = await site.get("/static/text.txt", headers={"Accept-Encoding": "identity"})
    assert answer.headers["Content-Length"] == str(len(TEXT))
    assert answer.content == TEXT
    answer = await site.get("/static/large", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Length"] == str(len(LARGE))
    assert answer.content == LARGE
    # A part of a file is a part of the file.
    headers = {"Accept-Encoding": "gzip", "Range": "bytes=5-200004"}
    answer = await site.get("/static/text.txt", headers=headers)
    assert (answer.status_code, answer.content) == (206, TEXT[5:200_005])
    assert "Content-Encoding" not in answer.headers


async def test_a_transform_that_nobody_knows(closed: None, serve: Serve, root: Path) -> None:
    """It sees every piece."""

    class Upper(web.OutputTransform):
        def transform_first_chunk(
            self, status_code: int, headers: Any, chunk: bytes, finishing: bool
        ) -> Any:
            return status_code, headers, chunk.upper()

        def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
            return chunk.upper()

    site = await serve([], static_path=str(root), transforms=[Upper])
    assert (await site.get("/static/text.txt")).content == TEXT.upper()


@pytest.mark.parametrize("name", ["large", "small"])
async def test_a_connection_that_cannot_send_files(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Such as one of another protocol: it is given the pieces."""
    monkeypatch.setattr(HTTP1Connection, "write_file", HTTPConnection.write_file)
    answer = await site.get(f"/static/{name}")
    assert answer.content == (LARGE if name == "large" else SMALL)


# -- precompressed


def compressed(root: Path, *suffixes: str, newer: int = 0) -> None:
    """Lay files with ``suffixes`` beside a.js, so many seconds newer."""
    (root / "a.js").write_bytes(b"original")
    os.utime(root / "a.js", (1_000_000_000, 1_000_000_000))
    for suffix in suffixes:
        path = root / f"a.js{suffix}"
        path.write_bytes(
            gzip.compress(b"original", mtime=0) if suffix == ".gz" else suffix.encode()
        )
        os.utime(path, (1_000_000_000 + newer,) * 2)


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, zstd", "zstd"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("br;q=0, *", "zstd"),
        ("identity, br;q=0.5", None),
        ("deflate", None),
        ("gzip;q=0", None),
        ("", None),
        ("br;q=" + "0" * 5000, None),
    ],
)
async def test_precompressed(serve: Serve, root: Path, accept: str, coding: str | None) -> None:
    compressed(root, ".br", ".gz", ".zst")
    site = await serve([], static_path=str(root), static_handler_args={"precompressed": True})
    peer = await site.connect()
    head = ("GET /static/a.js HTTP/1.1", "Host: x", f"Accept-Encoding: {accept}")
    answer = await peer.ask(*head)
    assert answer.get("Content-Encoding") == coding
    assert answer.get("Vary") == "Accept-Encoding"
    assert answer.get("Content-Type") == "text/javascript"
    wanted = root / ("a.js" + (static_handler.SUFFIXES[coding] if coding else ""))
    assert answer.body == wanted.read_bytes()
    # Each has a tag of its own, a 304 and its parts.
    others = await peer.ask("GET /static/a.js HTTP/1.1", "Host: x")
    assert (others.get("Etag") == answer.get("Etag")) is (coding is None)
    known = await peer.ask(*head, f"If-None-Match: {answer.get('Etag')}")
    assert (known.status, known.get("Vary")) == (304, "Accept-Encoding")
    assert known.get("Etag") == answer.get("Etag")
    part = await peer.ask(*head, "Range: bytes=1-2")
    assert (part.status, part.body) == (206, answer.body[1:3])
    assert part.get("Content-Encoding") == coding


async def test_precompressed_is_asked_for(serve: Serve, root: Path) -> None:
    """By default what lies there is a file of its own, and costs nothing to look for."""
    compressed(root, ".gz")
    site = await serve([], static_path=str(root))
    answer = await site.get("/static/a.js", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert "Vary" not in answer.headers
    answer = await site.get("/static/a.js.gz")
    assert answer.headers["Content-Type"] == "application/gzip"


async def test_some_codings(serve: Serve, root: Path) -> None:
    compressed(root, ".br", ".gz")
    arguments = {"precompressed": ["gzip"]}
    site = await serve([], static_path=str(root), static_handler_args=arguments)
    answer = await site.get("/static/a.js", headers={"Accept-Encoding": "br, gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.content == b"original"


async def test_precompressed_from_something_else(serve: Serve, root: Path) -> None:
    """What is older than the original was made of another one; a link may lead elsewhere; and a
    directory is none. Where none is left, the answer does not depend on it."""
    compressed(root, ".gz", newer=-1)
    (root / "a.js.br").mkdir()
    site = await serve([], static_path=str(root), static_handler_args={"precompressed": True})
    headers = {"Accept-Encoding": "zstd, br, gzip"}
    answer = await site.get("/static/a.js", headers=headers)
    assert answer.content == b"original"
    assert "Content-Encoding" not in answer.headers
    assert "Vary" not in answer.headers
    secret = root.parent / f"{root.name}-secret"
    secret.write_bytes(b"secret")
    (root / "a.js.zst").symlink_to(secret)
    answer = await site.get("/static/a.js", headers=headers)
    assert answer.content == b"original"
    secret.unlink()


async def test_precompressed_and_compressed_on_the_way(serve: Serve, root: Path) -> None:
    """Never twice; and what has no file in a coding that the client knows is compressed."""
    compressed(root, ".br")
    (root / "a.js").write_bytes(TEXT)
    os.utime(root / "a.js", (1_000_000_000,) * 2)
    site = await serve(
        [],
        static_path=str(root),
        static_handler_args={"precompressed": True},
        compress_response=True,
    )
    peer = await site.connect()
    answer = await peer.ask("GET /static/a.js HTTP/1.1", "Host: x", "Accept-Encoding: br, gzip")
    assert (answer.get("Content-Encoding"), answer.body) == ("br", b".br")
    assert answer.get("Vary") == "Accept-Encoding"
    answer = await peer.ask("GET /static/a.js HTTP/1.1", "Host: x", "Accept-Encoding: gzip")
    assert (answer.get("Content-Encoding"), gzip.decompress(answer.body)) == ("gzip", TEXT)
    assert answer.get("Vary") == "Accept-Encoding"
