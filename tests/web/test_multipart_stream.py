"""Multipart bodies part by part, and files that are stored as they arrive."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tornadoish import web
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPServerRequest,
    ParseMultipartConfig,
)
from tornadoish.iostream import StreamClosedError
from tornadoish.web.bodies import storing

from .multipart_uploads import CHUNKED, LAST, TYPE, chunk, field, file, upload
from .pulling import framework
from .serving import Serve, Site, until

__all__ = ["framework"]  # a fixture

EXPECT = "Expect: 100-continue"


Body = Callable[[Any], Any]


async def site_of(serve: Serve, post: Body, **options: Any) -> Site:
    """Serves a handler that pulls, with this method."""
    handler = type("Handler", (web.RequestHandler,), {"post": post})
    return await serve([("/.*", web.pull_request_body(handler))], **options)


def descriptors() -> set[str]:
    """What is open, but for sockets."""
    names: set[str] = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            names.add(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:  # a thread has closed it meanwhile
            pass
    return {name for name in names if name.startswith("/")}


# -- streams


async def test_parts_as_they_arrive(serve: Serve) -> None:
    events: list[Any] = []

    async def post(self: Any) -> None:
        async for part in self.multipart():
            events.append((part.name, part.filename, part.content_type, part.is_file))
            if part.name == "text":
                events.append(await part.text())
            elif part.name == "file":
                async for data in part:
                    events.append(data.decode())
                events.append(part.headers["content-disposition"])
        events.append("end")

    site = await site_of(serve, post)
    peer = await upload(site, field("text", "é".encode()))
    await until(lambda: len(events) == 1)
    events.clear()
    peer.writer.write(chunk(file("file", b"one\r")[:-2]))
    await until(lambda: "one" in events)
    assert events[:2] == ["é", ("file", "x.bin", "a/b", True)]
    events.clear()
    peer.writer.write(chunk(b"two\r\n" + field("skipped", b"y" * 1000) + field("text") + LAST))
    await until(lambda: "x" in events)
    peer.writer.write(chunk(b"epilogue"))
    peer.writer.write(chunk(b""))
    assert (await peer.answer()).status == 200
    assert events == [
        "\r", "two", 'form-data; name="file"; filename="x.bin"',
        ("skipped", None, None, False), ("text", None, None, False), "x", "end",
    ]  # fmt: skip
    assert (await peer.ask("POST / HTTP/1.1", "Host: a")).status == 415  # the connection lives on


async def test_who_does_not_read_a_part_makes_the_client_wait(serve: Serve) -> None:
    streams: list[Any] = []
    go_on = asyncio.Event()

    async def post(self: Any) -> None:
        async for part in self.multipart():
            streams.append(self.request.connection.stream)
            await go_on.wait()
            size = 0
            async for data in part:
                size += len(data)
            self.write(str(size))

    site = await site_of(serve, post)
    peer = await site.connect()
    body = file("f", bytes(30_000_000)) + LAST
    peer.send("POST / HTTP/1.1", "Host: a", TYPE, f"Content-Length: {len(body)}", body=body)
    await until(lambda: streams and streams[0].paused)
    assert len(streams[0].buffer) < 600_000
    go_on.set()
    assert (await peer.answer()).body == b"30000000"


async def test_the_same_where_the_body_is_collected(serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def post(self) -> None:
            self.write({part.name: await part.text() async for part in self.multipart()})

    site = await serve([("/", Handler)])
    response = await site.post("/", data={"a": "1"}, files={"f": b"2"})
    assert response.json() == {"a": "1", "f": "2"}


async def test_after_read_body(serve: Serve) -> None:
    async def post(self: Any) -> None:
        await self.request.read_body()
        names = [part.name async for part in self.multipart()]
        self.write({"names": names, "a": self.get_body_argument("a"), "f": len(self.request.files)})

    site = await site_of(serve, post)
    response = await site.post("/", data={"a": "1"}, files={"f": b"2"})
    assert response.json() == {"names": ["a", "f"], "a": "1", "f": 1}


async def test_a_part_is_there_once(serve: Serve) -> None:
    async def post(self: Any) -> None:
        stream = self.multipart()
        first = await anext(stream)
        assert await first.read() == b"1"
        assert await first.read() == b""
        second = await anext(stream)
        third = await anext(stream)
        assert await first.read() == b""
        with pytest.raises(RuntimeError, match="passed"):
            await second.read()
        assert await third.read() == b"3"
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
        assert "third" in repr(third)

    site = await site_of(serve, post)
    body = field("first", b"1") + field("second", b"2") + field("third", b"3") + LAST
    peer = await upload(site, body)
    peer.writer.write(chunk(b""))
    assert (await peer.answer()).status == 200


async def read_all(self: Any) -> None:
    limit = self.get_query_argument("limit", None)
    async for part in self.multipart():
        await (part.text() if limit is None else part.read(int(limit)))
    self.write("read")


FAULTS: dict[str, tuple[bytes, int]] = {
    "malformed": (field("a") + b"--B--x", 400),
    "nothing": (b"x", 400),
    "cut": (field("a"), 400),
    "not UTF-8": (field("a", b"\xff") + LAST, 400),
    "CVE-2026-31958 too many parts": (field("a") * 101 + LAST, 413),
    "a large header": (b"--B\r\nA: " + b"x" * 11_000, 413),
    "CVE-2026-34516 many headers": (b"--B\r\n" + b"A: b\r\n" * 30 + b"\r\n", 413),
    "larger than the handler takes": (field("a", b"x" * (1 << 20) + b"x") + LAST, 413),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_faults_are_the_client_s(
    serve: Serve, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    body, status = FAULTS[name]
    site = await site_of(serve, read_all)
    peer = await upload(site, body)
    peer.writer.write(chunk(b""))
    assert (await peer.answer()).status == status
    peer.send("POST / HTTP/1.1", "Host: a", TYPE, CHUNKED, body=chunk(field("a") + LAST))
    peer.writer.write(chunk(b""))
    assert (await peer.answer()).body == b"read"  # the message was framed well
    assert [r for r in caplog.records if r.name == "tornado.application"] == []


async def test_the_fault_may_be_caught(serve: Serve) -> None:
    async def post(self: Any) -> None:
        try:
            await read_all(self)
        except HTTPInputError as error:
            self.write(f"{error.status} {error}")

    site = await site_of(serve, post)
    peer = await upload(site, b"x" * 100)
    assert (await peer.answer()).body.startswith(b"400 multipart/form-data does not begin")


async def test_limits_of_one_stream_CVE_2025_69228(serve: Serve) -> None:
    async def post(self: Any) -> None:
        config = ParseMultipartConfig(max_fields_size=5)
        names = [(await part.text(), part.name)[1] async for part in self.multipart(config)]
        self.write(str(names))

    site = await site_of(serve, post)
    for body, status in ((field("a", b"123") + file("f", b"123456") + field("b", b"12"), 200),
                         (field("a", b"123") + field("b", b"123"), 413)):  # fmt: skip
        peer = await upload(site, body + LAST)
        peer.writer.write(chunk(b""))
        assert (await peer.answer()).status == status


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("Content-Type: text/plain", 415),
        ("Content-Type: multipart/form-data", 400),
        (f"{TYPE}\r\nContent-Encoding: br", 415),
    ],
)
async def test_other_bodies_are_refused_unread(
    serve: Serve, content_type: str, status: int
) -> None:
    site = await site_of(serve, read_all)
    peer = await site.connect()
    peer.send("POST / HTTP/1.1", "Host: a", *content_type.split("\r\n"), CHUNKED, EXPECT)
    assert (await peer.answer()).status == status  # not 100


async def test_a_client_that_goes_away_between_parts(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Any] = []

    async def post(self: Any) -> None:
        try:
            async for part in self.multipart():
                events.append(part.name)
        except StreamClosedError:
            events.append("gone")
            raise

    site = await site_of(serve, post)
    peer = await upload(site, field("a"))
    await until(lambda: events)
    peer.close()
    await until(lambda: "gone" in events)
    assert [r for r in caplog.records if r.name == "tornado.application"] == []


async def test_a_token_that_is_one_of_the_parts(serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.write(self.xsrf_token)

        def check_xsrf_cookie(self) -> None:
            pass  # it has not come yet

        async def post(self) -> None:
            async for part in self.multipart():
                if part.name == "_xsrf":
                    self.check_xsrf_token(await part.text())

    site = await serve([("/", web.pull_request_body(Handler))], xsrf_cookies=True)
    token = (await site.get("/")).text
    for told, status in [(token, 200), (token[:-12], 403), ("", 403), ("0" * 32, 403)]:
        answer = await site.post("/", files={"_xsrf": (None, told), "f": ("a", b"x" * 999)})
        assert answer.status_code == status


async def test_a_stream_of_a_request_that_was_made_by_hand() -> None:
    headers = HTTPHeaders({"Content-Type": "multipart/form-data; boundary=B"})
    request = HTTPServerRequest(
        "POST",
        "/",
        headers=headers,
        body=field("a", b"1") + file("f", b"2") + field("b", b"") + LAST,
    )
    stream = web.MultipartStream(request)
    assert [(part.name, await part.read()) async for part in stream] == [
        ("a", b"1"), ("f", b"2"), ("b", b""),
    ]  # fmt: skip


# -- files


async def save_all(self: Any) -> None:
    sizes = []
    directory = Path(self.settings["directory"])
    limit = self.get_query_argument("limit", None)
    async for part in self.multipart():
        path = directory / part.name
        sizes.append(await part.save(path, limit=None if limit is None else int(limit)))
    self.write({"sizes": sizes})


async def test_save(serve: Serve, tmp_path: Path) -> None:
    site = await site_of(serve, save_all, directory=tmp_path)
    data = os.urandom(3_000_000)
    (tmp_path / "b").write_bytes(b"what was there")
    umask = os.umask(0o027)
    try:
        response = await site.post("/", files=[("a", data), ("b", b""), ("c", b"c")])
    finally:
        os.umask(umask)
    assert response.json() == {"sizes": [3_000_000, 0, 1]}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a": data, "b": b"", "c": b"c",
    }  # fmt: skip
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("end", ["close", "malformed", "limit", "stop"])
@pytest.mark.parametrize("before", [True, False])
async def test_an_upload_that_fails_leaves_nothing(
    serve: Serve, tmp_path: Path, end: str, before: bool
) -> None:
    site = await site_of(serve, save_all, directory=tmp_path)
    if before:
        (tmp_path / "a").write_bytes(b"what was there")
    opened = descriptors()
    peer = await site.connect()
    line = f"POST /{'?limit=2500000' if end == 'limit' else ''} HTTP/1.1"
    peer.send(line, "Host: a", TYPE, CHUNKED, body=chunk(file("a", os.urandom(2_000_000))[:-2]))
    await until(lambda: any(p.stat().st_size > 500_000 for p in tmp_path.iterdir()))
    if end == "close":
        peer.close()
    elif end == "stop":
        await site.server.close_all_connections()
    else:
        rest = b"\r\n--B wrong" if end == "malformed" else os.urandom(1_000_000)
        peer.writer.write(chunk(rest))
        assert (await peer.answer()).status == (400 if end == "malformed" else 413)
    left = {"a"} if before else set()
    await until(lambda: {path.name for path in tmp_path.iterdir()} == left)
    await until(lambda: descriptors() == opened)
    if before:
        assert (tmp_path / "a").read_bytes() == b"what was there"


async def test_a_directory_that_is_not_there(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = await site_of(serve, save_all, directory=tmp_path / "none")
    peer = await upload(site, file("a", b"x" * 100))
    peer.writer.write(chunk(LAST))
    peer.writer.write(chunk(b""))
    assert (await peer.answer()).status == 500
    assert "FileNotFoundError" in caplog.text


async def spool_all(self: Any) -> None:
    found = []
    async for part in self.multipart():
        upload = await part.spool(100_000, directory=self.settings.get("directory"))
        with upload:
            assert len(await upload.read(2)) == min(2, upload.size)
            await upload.seek(1)
            rest = await upload.read()
            found.append([upload.name, upload.filename, upload.size, upload.on_disk, len(rest)])
    self.write({"found": found})


async def test_spool(serve: Serve, tmp_path: Path) -> None:
    site = await site_of(serve, spool_all, directory=tmp_path)
    opened = descriptors()
    sizes = [0, 1, 100_000, 100_001, 3_000_000]
    files = [("f", (f"{size}.bin", os.urandom(size))) for size in sizes]
    response = await site.post("/", files=files)
    assert response.json()["found"] == [
        ["f", f"{size}.bin", size, size > 100_000, max(0, size - 1)] for size in sizes
    ]
    assert list(tmp_path.iterdir()) == []
    await until(lambda: descriptors() == opened)


@pytest.mark.parametrize("size", [10, 2_000_000])
async def test_what_was_spooled_can_be_read_like_any_file(serve: Serve, size: int) -> None:
    data = os.urandom(size)
    seen: list[Any] = []

    async def post(self: Any) -> None:
        async for part in self.multipart():
            upload = await part.spool(1000)
            seen.append((upload.file.read(), upload.size, repr(upload), upload.headers))
            upload.close()
            assert upload.on_disk or upload.file.closed
            upload.close()

    site = await site_of(serve, post)
    assert (await site.post("/", files={"f": data})).status_code == 200
    assert seen[0][:2] == (data, size)
    assert f"{size} bytes {'on disk' if size > 1000 else 'in memory'}" in seen[0][2]


@pytest.mark.parametrize("end", ["close", "malformed", "forgotten"])
async def test_a_spooled_file_is_closed_whatever_happens(
    serve: Serve, end: str, tmp_path: Path
) -> None:
    ended = asyncio.Event()

    async def post(self: Any) -> None:
        try:
            kept = [await part.spool(1000) async for part in self.multipart()]
            assert len(kept) == 2
        finally:
            ended.set()

    site = await site_of(serve, post)
    opened = descriptors()
    peer = await upload(site, file("a", bytes(300_000)) + file("b", bytes(300_000))[:-2])
    await until(lambda: descriptors() != opened)
    if end == "close":
        peer.close()
    else:
        peer.writer.write(chunk(b"\r\n--B wrong" if end == "malformed" else b"\r\n" + LAST))
        peer.writer.write(chunk(b""))
        assert (await peer.answer()).status == (400 if end == "malformed" else 200)
    await ended.wait()
    await until(lambda: descriptors() == opened)


async def test_writing_does_not_keep_the_loop_CVE_2025_54121(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that may wait for a disk is done in other threads."""
    threads: set[int] = set()
    write = storing._File.write

    def noting(self: Any, block: bytes) -> None:
        threads.add(threading.get_ident())
        write(self, block)

    monkeypatch.setattr(storing._File, "write", noting)

    async def post(self: Any) -> None:
        stream = self.multipart()
        await (await anext(stream)).save(tmp_path / "a")
        (await (await anext(stream)).spool(1000)).close()

    site = await site_of(serve, post)
    files = [("a", os.urandom(1_000_000)), ("b", os.urandom(1_000_000))]
    assert (await site.post("/", files=files)).status_code == 200
    assert threads and threading.get_ident() not in threads


@pytest.mark.parametrize("how", ["save", "spool"])
async def test_cancelled_while_a_thread_writes(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The file is closed when the thread is done with it, not under it."""
    go_on = threading.Event()
    writing: list[Any] = []
    tasks: list[Any] = []
    write = storing._File.write

    def slow(self: Any, block: bytes) -> None:
        if block:
            writing.append(self)
            go_on.wait(10)
            assert self.file is None or not self.file.closed
        write(self, block)

    monkeypatch.setattr(storing._File, "write", slow)

    async def post(self: Any) -> None:
        tasks.append(asyncio.current_task())
        part = await anext(self.multipart())
        await (part.save(tmp_path / "a") if how == "save" else part.spool(0, directory=tmp_path))

    site = await site_of(serve, post)
    opened = descriptors()
    peer = await upload(site, file("a", bytes(1_000_000))[:-2])
    await until(lambda: writing)
    for _ in range(2):
        tasks[0].cancel()
        for _ in range(10):
            await asyncio.sleep(0)
    assert not tasks[0].done()
    go_on.set()
    await until(tasks[0].done)
    assert tasks[0].cancelled()
    assert list(tmp_path.iterdir()) == []
    await until(lambda: descriptors() == opened)
    assert await peer.ended()
