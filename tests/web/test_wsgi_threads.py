"""WSGI applications between threads and the event loop: bodies of any size both ways, slow clients,
those that go away, and what is bounded."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tornadoish.httputil import HTTPServerRequest
from tornadoish.iostream import StreamClosedError
from tornadoish.wsgi import WSGIContainer
from tornadoish.wsgi.call import Call
from tornadoish.wsgi.crossing import HELD_BYTES

from .serving import PATIENCE, Framework, Peer, Serve, until
from .wsgi_apps import GET, simple

MIB = 1 << 20
UPLOAD = ("POST / HTTP/1.1", "Host: a", f"Content-Length: {20 * MIB}")


@pytest.fixture
def framework() -> Framework:
    return Framework("tornadoish")


class Watched(WSGIContainer):
    """Keeps its calls, for tests to look into."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.calls: list[Call] = []

    def start(self, request: HTTPServerRequest, call: Call) -> None:
        self.calls.append(call)
        super().start(request, call)


class Gate:
    """Where threads wait until a test lets them go on."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.waiting = 0

    def wait(self) -> None:
        self.waiting += 1
        if not self._open.wait(PATIENCE):
            raise TimeoutError

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


async def settled() -> None:
    """Let the loop do all that it can: what comes over loopback, and from threads that wait."""
    for _ in range(50):
        await asyncio.sleep(0)


# ---- Bodies that come in ---------------------------------------------------------------------


async def test_an_upload_waits_for_who_reads_it(serve: Serve, gate: Gate) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        gate.wait()
        size = 0
        while piece := environ["wsgi.input"].read(10_000):
            size += len(piece)
        return simple([b"%d" % size])(environ, start_response)

    container = Watched(application)
    site = await serve(container)
    peer = await site.connect()
    peer.send(*UPLOAD)
    await until(lambda: peer.writer.transport.get_write_buffer_size() == 0)
    assert not container.calls  # of a body of which nothing is there
    peer.writer.write(bytes(20 * MIB))
    await until(lambda: gate.waiting)
    body = container.calls[0].incoming
    await settled()
    assert HELD_BYTES <= body._held < 3 * HELD_BYTES
    assert peer.writer.transport.get_write_buffer_size() > 10 * MIB  # the rest waits at the client
    gate.open()
    answer = await peer.answer()
    assert answer.body == b"%d" % (20 * MIB)


async def test_a_form_that_comes_slowly_keeps_no_thread(serve: Serve) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        return simple([environ["wsgi.input"].read()])(environ, start_response)

    site = await serve(WSGIContainer(application, threads=1))
    slow = await site.connect()
    slow.send("POST / HTTP/1.1", "Host: a", "Content-Length: 10", body=b"12345")
    assert (await site.post("/", content=b"quick")).content == b"quick"
    slow.writer.write(b"67890")
    assert (await slow.answer()).body == b"1234567890"


async def test_an_answer_before_the_body_was_read(serve: Serve) -> None:
    site = await serve(WSGIContainer(simple(status="413 No", body=[b"too much"])))
    peer = await site.connect()
    peer.send(*UPLOAD, body=bytes(1 * MIB))
    answer = await peer.answer()
    assert (answer.status, answer.body) == (413, b"too much")
    assert answer.get("Connection") == "close"  # too much is to come


async def test_a_client_that_goes_away_as_it_sends(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[BaseException] = []

    def application(environ: Any, start_response: Any) -> Any:
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            failures.append(error)
            raise
        return simple()(environ, start_response)

    site = await serve(WSGIContainer(application))
    peer = await site.connect()
    peer.send(*UPLOAD, body=bytes(1 * MIB))
    await until(lambda: peer.writer.transport.get_write_buffer_size() == 0)
    peer.close()
    await until(lambda: failures)
    assert isinstance(failures[0], StreamClosedError)
    assert "Uncaught" not in caplog.text


async def test_many_small_chunks(serve: Serve) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        lines = list(environ["wsgi.input"])
        return simple([b"%d" % len(lines)])(environ, start_response)

    async def chunks() -> Any:
        for _ in range(3_000):
            yield b"line\n"

    site = await serve(WSGIContainer(application))
    assert (await site.post("/", content=chunks())).content == b"3000"


# ---- Answers ---------------------------------------------------------------------------------


def endless(made: list[int], ended: threading.Event) -> Any:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            while True:
                made.append(1)
                yield bytes(10_000)
        finally:
            ended.set()

    return application


async def test_who_reads_slowly_makes_the_thread_wait(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[int] = []
    ended = threading.Event()
    container = Watched(endless(made, ended))
    site = await serve(container)
    peer = await site.connect()
    peer.writer.transport.pause_reading()
    peer.send(*GET)
    await until(lambda: container.calls)
    (call,) = container.calls
    (connection,) = site.server._connections
    await until(lambda: connection.stream.blocked and call.outgoing._held >= HELD_BYTES)
    await settled()
    count = len(made)
    assert call.outgoing._held < HELD_BYTES + 20_000
    await settled()
    assert len(made) == count  # it waits
    peer.close()
    await asyncio.to_thread(ended.wait, PATIENCE)
    assert ended.is_set()
    assert "Uncaught" not in caplog.text


async def test_pieces_are_sent_as_they_come(serve: Serve, gate: Gate) -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"first"
        gate.wait()
        yield b"second"

    site = await serve(WSGIContainer(application))
    async with site.client.stream("GET", "/") as answer:
        pieces = answer.aiter_raw()
        assert await anext(pieces) == b"first"
        gate.open()
        assert await anext(pieces) == b"second"


async def test_an_answer_that_is_whole_does_not_wait_for_its_thread(
    serve: Serve, gate: Gate
) -> None:
    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "5")])
        yield b"whole"
        if environ["PATH_INFO"] == "/":
            gate.wait()

    site = await serve(WSGIContainer(application, threads=2))
    peer = await site.connect()
    assert (await peer.ask(*GET)).body == b"whole"
    assert (await peer.ask("GET /next HTTP/1.1", "Host: a")).body == b"whole"


async def test_variables_of_the_request(serve: Serve) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    class Container(WSGIContainer):
        def start(self, request: HTTPServerRequest, call: Call) -> None:
            variable.set(request.path)
            super().start(request, call)

    def application(environ: Any, start_response: Any) -> Any:
        seen = variable.get().encode()
        variable.set("changed")
        return simple([seen])(environ, start_response)

    site = await serve(Container(application))
    assert (await site.get("/a")).content == b"/a"
    assert (await site.get("/b")).content == b"/b"


# ---- Files -----------------------------------------------------------------------------------


def sending(opened: Any, headers: list[tuple[str, str]], before: int = 0) -> Any:
    """An application that returns a wrapped file."""

    def application(environ: Any, start_response: Any) -> Any:
        file = opened()
        file.read(before)
        start_response("200 OK", headers)
        return environ["wsgi.file_wrapper"](file, 1000)

    return application


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(b"".join(b"%7d\n" % number for number in range(2 * MIB // 8)))
    return path


@pytest.mark.parametrize(
    ("headers", "before", "expected"),
    [
        ([], 0, slice(None)),
        ([], 3, slice(3, None)),
        ([("Content-Length", "1000")], 8, slice(8, 1008)),
    ],
)
async def test_a_file(
    serve: Serve, large: Path, headers: Any, before: int, expected: slice
) -> None:
    files: list[Any] = []

    def opened() -> Any:
        files.append(large.open("rb"))
        return files[-1]

    site = await serve(WSGIContainer(sending(opened, headers, before)))
    answer = await site.get("/")
    content = large.read_bytes()[expected]
    assert answer.content == content
    assert answer.headers["Content-Length"] == str(len(content))
    await until(lambda: files[0].closed)
    answer = await site.request("HEAD", "/")
    assert answer.headers["Content-Length"] == str(len(content))
    await until(lambda: files[1].closed)


async def test_what_only_looks_like_a_file(serve: Serve, tmp_path: Path) -> None:
    """Its descriptor is of what it decompresses."""
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"plain" * 1000))
    site = await serve(WSGIContainer(sending(lambda: gzip.open(path), [])))
    assert (await site.get("/")).content == b"plain" * 1000
    site = await serve(WSGIContainer(sending(lambda: BytesIO(b"memory"), [])))
    assert (await site.get("/")).content == b"memory"


async def test_a_file_that_is_too_short(
    serve: Serve, large: Path, caplog: pytest.LogCaptureFixture
) -> None:
    headers = [("Content-Length", str(3 * MIB))]
    site = await serve(WSGIContainer(sending(lambda: large.open("rb"), headers)))
    assert (await site.get("/")).status_code == 500
    assert "announced" in caplog.text


async def test_a_file_keeps_no_thread(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    files: list[Any] = []

    def application(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/file":
            return simple()(environ, start_response)
        files.append(path.open("rb"))
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](files[0])

    site = await serve(WSGIContainer(application, threads=1))
    slow = await site.connect()
    slow.writer.transport.pause_reading()
    slow.send("GET /file HTTP/1.1", "Host: a")
    await until(lambda: files)
    assert (await site.get("/")).content == b"hello"
    assert not files[0].closed
    slow.close()
    await until(lambda: files[0].closed)


async def test_a_file_for_nobody(serve: Serve, large: Path, gate: Gate) -> None:
    files: list[Any] = []

    def application(environ: Any, start_response: Any) -> Any:
        gate.wait()
        files.append(large.open("rb"))
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](files[0])

    container = Watched(application)
    site = await serve(container)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: gate.waiting)
    peer.close()
    await until(lambda: container.calls[0].outgoing.is_cut)
    gate.open()
    await until(lambda: files and files[0].closed)


# ---- Bounds ----------------------------------------------------------------------------------


async def test_only_so_many_wait_for_a_thread(
    serve: Serve, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tornado.access")

    def application(environ: Any, start_response: Any) -> Any:
        gate.wait()
        return simple()(environ, start_response)

    container = Watched(application, threads=1, max_waiting=2)
    site = await serve(container)
    peers: list[Peer] = []
    for number in range(3):  # one runs, two wait
        peers.append(await site.connect())
        peers[-1].send(*GET)
        await until(lambda count=number + 1: len(container.calls) == count and gate.waiting)
    answer = await (await site.connect()).ask(*GET)
    assert (answer.status, answer.get("Retry-After")) == (503, "1")
    upload = await site.connect()  # refused before its body is read
    upload.send(*UPLOAD)
    assert (await upload.answer()).status == 503
    assert "503 GET /" in caplog.text
    gate.open()
    for peer in peers:
        assert (await peer.answer()).body == b"hello"
    assert (await site.get("/")).content == b"hello"
    assert container._waiting == 0


async def test_who_stops_waiting_makes_room(serve: Serve, gate: Gate) -> None:
    """Also those whose client goes away, as soon as a thread comes to them."""

    def application(environ: Any, start_response: Any) -> Any:
        gate.wait()
        return simple()(environ, start_response)

    container = Watched(application, threads=1)
    site = await serve(container)
    for _ in range(3):
        peer = await site.connect()
        peer.send(*GET)
    await until(lambda: len(container.calls) == 3)
    for peer in site.peers:
        peer.close()
    gate.open()
    await until(lambda: container._waiting == 0 and not container._tasks)
    assert (await site.get("/")).content == b"hello"


async def test_a_server_that_stops_lets_threads_go(serve: Serve) -> None:
    ended = threading.Event()
    container = Watched(endless([], ended))
    site = await serve(container)
    peer = await site.connect()
    peer.writer.transport.pause_reading()
    peer.send(*GET)
    await until(lambda: container.calls)
    await site.server.drain(0)
    await asyncio.to_thread(ended.wait, PATIENCE)
    assert ended.is_set()
    assert container._own_executor is None


async def test_a_client_that_goes_away_while_it_waits(serve: Serve, gate: Gate) -> None:
    """Known at once: what the application makes then is not kept for anybody."""

    def application(environ: Any, start_response: Any) -> Any:
        gate.wait()
        return simple()(environ, start_response)

    container = Watched(application)
    site = await serve(container)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: gate.waiting)
    peer.close()
    await until(lambda: container.calls[0].outgoing.is_cut)
    gate.open()
    await until(lambda: not container._tasks)


async def test_an_executor_that_is_shut_down(serve: Serve, gate: Gate) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        gate.wait()
        return simple()(environ, start_response)

    with ThreadPoolExecutor(1) as executor:
        container = Watched(application, executor)
        site = await serve(container)
        peers = [await site.connect() for _ in range(2)]
        peers[0].send(*GET)
        await until(lambda: gate.waiting)
        peers[1].send(*GET)
        await until(lambda: container._waiting == 1)
        executor.shutdown(wait=False, cancel_futures=True)
        assert (await peers[1].answer()).status == 500  # it will never run
        gate.open()
        assert (await peers[0].answer()).body == b"hello"
    assert container._waiting == 0
    assert (await site.get("/")).status_code == 500
