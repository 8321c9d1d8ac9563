"""Compressed answers as Tornado has them not: zstd and br, what is left alone, and threads."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import sys
import threading
import zlib
from typing import Any

import pytest
from libraries import installed

from tornadoish import web
from tornadoish.httputil import HTTPHeaders
from tornadoish.web import compression

from .serving import Answer, Framework, Serve, Site, getting, until

TEXT = b"".join(b"line %d of a long text\n" % number for number in range(500))
LARGE = TEXT * 20
assert len(LARGE) > web.ContentEncoding.THREAD_LENGTH > len(TEXT)
ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


@pytest.fixture
def framework() -> Framework:
    """Tornado has nothing of the kind."""
    return Framework(installed("tornadoish"))


def decode(coding: str | None, data: bytes) -> bytes:
    """One whole member or frame and nothing behind it."""
    if coding is None:
        return data
    if coding == "gzip":
        decompressor: Any = zlib.decompressobj(31)
        plain: bytes = decompressor.decompress(data)
        assert (decompressor.eof, decompressor.unused_data) == (True, b"")
    elif coding == "zstd":
        decompressor = importlib.import_module(ZSTD).ZstdDecompressor()
        plain = decompressor.decompress(data)
        assert (decompressor.eof, decompressor.unused_data) == (True, b"")
    else:
        decompressor = importlib.import_module("brotli").Decompressor()
        plain = decompressor.process(data)
        assert decompressor.is_finished()
    return plain


def plain(answer: Answer) -> bytes:
    return decode(answer.get("Content-Encoding"), answer.body)


def writing(body: bytes = TEXT, status: int = 200, **fields: str) -> type[web.RequestHandler]:
    def get(self: Any) -> None:
        self.set_status(status)
        for name, value in fields.items():
            self.set_header(name.replace("_", "-"), value)
        self.write(body)

    handler: type[web.RequestHandler] = getting(web, get)
    return handler


async def ask(
    site: Site, *fields: str, accept: str = "gzip, deflate, br, zstd", method: str = "GET"
) -> Answer:
    peer = await site.connect()
    head = (f"{method} / HTTP/1.1", "Host: a", f"Accept-Encoding: {accept}")
    return await peer.ask(*head, *fields)


# ---- Which coding ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0.9, gzip;q=1.0", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, br;q=0, *", "gzip"),
        ("identity", None),
        ("*;q=0", None),
    ],
)
async def test_the_coding_that_the_client_likes_best(
    serve: Serve, accept: str, coding: str | None
) -> None:
    site = await serve([("/", writing())], compress_response=True)
    answer = await ask(site, accept=accept)
    assert answer.get("Content-Encoding") == coding
    assert answer.get("Content-Length") == str(len(answer.body))
    assert plain(answer) == TEXT


@pytest.mark.parametrize("coding", ["br", "gzip", "zstd"])
async def test_each_flush_is_a_piece_of_its_own(serve: Serve, coding: str) -> None:
    taken = [asyncio.Event() for _ in range(3)]
    pieces = [b"first ", b"second ", b"third"]

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            for piece, event in zip(pieces, taken, strict=True):
                self.write(piece)
                await self.flush()
                await event.wait()

    site = await serve([("/", Handler)], compress_response=True)
    peer = await site.connect()
    peer.send("GET / HTTP/1.1", "Host: a", f"Accept-Encoding: {coding}")
    head = await peer.reader.readuntil(b"\r\n\r\n")
    assert b"Content-Encoding: " + coding.encode() in head
    decompressor: Any
    if coding == "gzip":
        decompressor = zlib.decompressobj(31)
    elif coding == "zstd":
        decompressor = importlib.import_module(ZSTD).ZstdDecompressor()
    else:
        decompressor = importlib.import_module("brotli").Decompressor()
    decompress = decompressor.process if coding == "br" else decompressor.decompress
    for piece, event in zip(pieces, taken, strict=True):
        size = int(await peer.reader.readuntil(b"\r\n"), 16)
        assert decompress(await peer.reader.readexactly(size)) == piece
        await peer.reader.readexactly(2)
        event.set()


async def test_what_is_not_installed_is_not_offered(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, ZSTD, None)
    compression._installed.cache_clear()
    try:
        site = await serve([("/", writing())], compress_response=True)
        assert (await ask(site)).get("Content-Encoding") == "gzip"
        assert (await ask(site, accept="br")).get("Content-Encoding") is None
    finally:
        compression._installed.cache_clear()


async def test_a_subclass_chooses_its_codings(serve: Serve) -> None:
    class Small(web.ContentEncoding):
        CODINGS = ("br", "gzip", "magic")
        BROTLI_QUALITY = 9

    site = await serve([("/", writing())], transforms=[Small])
    assert (await ask(site)).get("Content-Encoding") == "br"
    assert (await ask(site, accept="zstd, magic")).get("Content-Encoding") is None


# ---- What is left alone ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ctype", "compressed"),
    [
        ("TEXT/Plain ; charset=utf-8", True),
        ("application/problem+json", True),
        ("application/rss+xml", True),
        ("application/wasm", True),
        ("font/ttf", True),
        ("font/woff2", False),
        ("video/mp4", False),
        ("text/event-stream", False),
        ("json", False),
    ],
)
async def test_types(serve: Serve, ctype: str, compressed: bool) -> None:
    site = await serve([("/", writing(Content_Type=ctype))], compress_response=True)
    answer = await ask(site)
    assert (answer.get("Content-Encoding") is not None) == compressed
    assert (answer.get("Vary") is not None) == compressed  # else it depends on nothing
    assert plain(answer) == TEXT


async def test_an_empty_answer_that_is_flushed(serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def get(self) -> None:
            self.set_status(204)
            await self.flush()

    answer = await ask(await serve([("/", Handler)], compress_response=True))
    assert (answer.status, answer.get("Content-Encoding")) == (204, None)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (206, {"Content_Range": "bytes 0-11389/20000"}),
        (206, {}),
        (416, {"Content_Range": "bytes */20000"}),
        (200, {"Repr_Digest": "sha-256=:AAAA:"}),
        (200, {"Content_MD5": "AAAA"}),
        (200, {"Cache_Control": "public, No-Transform"}),
    ],
)
async def test_what_must_stay_as_it_is(serve: Serve, status: int, fields: dict[str, str]) -> None:
    site = await serve([("/", writing(status=status, **fields))], compress_response=True)
    answer = await ask(site)
    assert answer.status == status
    assert answer.get("Content-Encoding") is None
    assert answer.body == TEXT
    assert answer.get("Content-Length") == str(len(TEXT))
    assert (answer.get("Vary") is None) == ("Cache_Control" in fields)


async def test_ranges_are_not_of_compressed_bytes(serve: Serve) -> None:
    site = await serve([("/", writing(Accept_Ranges="bytes"))], compress_response=True)
    assert (await ask(site)).get("Accept-Ranges") is None
    assert (await ask(site, accept="")).get("Accept-Ranges") == "bytes"


async def test_head_without_a_body(serve: Serve) -> None:
    """A handler that knows how long its body would be, but not how long when compressed."""

    class Handler(web.RequestHandler):
        def head(self) -> None:
            self.set_header("Content-Length", len(TEXT))
            self.set_header("Etag", '"x"')

    site = await serve([("/", Handler)], compress_response=True)
    answer = await ask(site, method="HEAD")
    assert answer.get("Content-Length") is None
    assert (answer.get("Content-Encoding"), answer.get("Etag")) == ("zstd", 'W/"x"')
    answer = await ask(site, method="HEAD", accept="")
    assert (answer.get("Content-Length"), answer.get("Etag")) == (str(len(TEXT)), '"x"')


# ---- Entity tags -----------------------------------------------------------------------------


async def test_a_weak_tag_stays(serve: Serve) -> None:
    site = await serve([("/", writing(Etag='W/"w"'))], compress_response=True)
    assert (await ask(site)).get("Etag") == 'W/"w"'


@pytest.mark.parametrize(
    ("known", "etag"),
    [
        ('W/"x"', 'W/"x"'),
        ('"x"', '"x"'),
        ('"a", W/"x", "b"', 'W/"x"'),
        ("*", '"x"'),
    ],
)
async def test_a_304_has_the_tag_by_which_the_client_asked(
    serve: Serve, known: str, etag: str
) -> None:
    """A cache finds what it stored by exactly that (RFC 9111, 4.3.4)."""
    site = await serve([("/", writing(Etag='"x"'))], compress_response=True)
    for accept in ("gzip", "identity"):
        answer = await ask(site, f"If-None-Match: {known}", accept=accept)
        assert (answer.status, answer.get("Etag")) == (304, etag)
        assert answer.get("Vary") == "Accept-Encoding"


# ---- Threads ---------------------------------------------------------------------------------


class Slow(web.ContentEncoding):
    """Waits in its thread until it is let go."""

    gate: threading.Event
    entered: threading.Event
    threads: list[bool]  # of each piece, whether it was the main one

    def transform_first_chunk(self, *args: Any) -> Any:
        self.wait()
        return super().transform_first_chunk(*args)

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        if self._begun:  # else it is called by the other one
            self.wait()
        self._begun = True
        return super().transform_chunk(chunk, finishing)

    _begun = False

    def wait(self) -> None:
        here = threading.current_thread() is threading.main_thread()
        self.threads.append(here)
        self.entered.set()
        if not here and not self.gate.wait(10):
            raise TimeoutError


@pytest.fixture
def slow() -> type[Slow]:
    class Fresh(Slow):
        gate, entered = threading.Event(), threading.Event()
        threads = []

    return Fresh


@pytest.mark.parametrize("coding", ["br", "gzip", "zstd"])
async def test_a_large_answer_is_compressed_in_a_thread(
    serve: Serve, slow: type[Slow], coding: str
) -> None:
    """Others are served meanwhile, and what the client sends behind it waits for its turn."""
    site = await serve([("/", writing(LARGE)), ("/small", writing())], transforms=[slow])
    peer = await site.connect()
    head = ("Host: a", f"Accept-Encoding: {coding}")
    peer.send("GET / HTTP/1.1", *head)
    peer.send("GET /small HTTP/1.1", *head)
    await until(slow.entered.is_set)
    other = await site.connect()
    assert plain(await other.ask("GET /small HTTP/1.1", *head)) == TEXT
    slow.gate.set()
    large, small = await peer.answer(), await peer.answer()
    assert (large.get("Content-Encoding"), plain(large), plain(small)) == (coding, LARGE, TEXT)
    assert large.get("Content-Length") == str(len(large.body))
    assert slow.threads == [False, True, True]


async def test_what_is_not_compressed_needs_no_thread(serve: Serve, slow: type[Slow]) -> None:
    handlers = [
        ("/png", writing(LARGE, Content_Type="image/png")),
        ("/part", writing(LARGE, 206)),
        ("/", writing(LARGE)),
    ]
    site = await serve(handlers, transforms=[slow])
    peer = await site.connect()
    for path, accept in (("/png", "gzip"), ("/part", "gzip"), ("/", "identity")):
        answer = await peer.ask(f"GET {path} HTTP/1.1", "Host: a", f"Accept-Encoding: {accept}")
        assert answer.body == LARGE
    assert slow.threads == [True] * 3


async def test_the_last_piece_of_a_stream(serve: Serve, slow: type[Slow]) -> None:
    class Handler(web.RequestHandler):
        async def get(self) -> None:
            self.write(TEXT)
            await self.flush()
            self.write(LARGE)
            self.set_trailer("X-Checksum", "1")
            await self.finish()

    slow.gate.set()
    site = await serve([("/", Handler)], transforms=[slow])
    peer = await site.connect()
    peer.send("GET / HTTP/1.1", "Host: a", "Accept-Encoding: gzip")
    data = await peer.reader.readuntil(b"X-Checksum: 1\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in data
    assert slow.threads == [True, False]


async def test_head_and_errors_in_a_thread(serve: Serve, slow: type[Slow]) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            raise web.HTTPError(404)

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.write(LARGE)  # finished by whoever has called

        head = get

    slow.gate.set()
    site = await serve([("/", Handler)], transforms=[slow])
    get, head = await ask(site), await ask(site, method="HEAD")
    assert (get.status, head.status, plain(get)) == (404, 404, LARGE)
    assert get.get("Content-Length") == head.get("Content-Length")
    assert slow.threads == [False, False]


async def test_the_end_comes_when_the_answer_is_sent(serve: Serve, slow: type[Slow]) -> None:
    """on_finish and the log, in the request's own context; ``finish`` is a wait for it."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    events: list[str] = []

    class Handler(web.RequestHandler):
        def prepare(self) -> None:
            self.token = variable.set("set")

        async def get(self) -> None:
            future = self.finish(LARGE)
            events.append(f"finish {future.done()}")
            with pytest.raises(RuntimeError):
                self.write("more")
            with pytest.raises(RuntimeError):
                self.finish()
            await future
            events.append("sent")

        def on_finish(self) -> None:
            variable.reset(self.token)
            assert threading.current_thread() is threading.main_thread()
            events.append(f"on_finish {self.request.request_time() >= 0}")

    def log(handler: web.RequestHandler) -> None:
        events.append(f"log {handler.get_status()} {variable.get()}")

    site = await serve([("/", Handler)], transforms=[slow], log_function=log)
    peer = await site.connect()
    peer.send("GET / HTTP/1.1", "Host: a", "Accept-Encoding: gzip")
    await until(slow.entered.is_set)
    assert events == ["finish False"]
    assert len(site.application._running) == 2  # nobody else may hold it
    slow.gate.set()
    assert plain(await peer.answer()) == LARGE
    await until(lambda: "sent" in events)
    assert events == ["finish False", "log 200 set", "on_finish True", "sent"]
    await until(lambda: site.application._running == set())


async def test_a_client_that_goes_away_meanwhile(serve: Serve, slow: type[Slow]) -> None:
    events: list[object] = []

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            try:
                await self.finish(LARGE)
            except OSError as error:
                events.append(type(error).__name__)

        def on_connection_close(self) -> None:
            events.append("close")

        def on_finish(self) -> None:
            events.append("on_finish")

    site = await serve([("/", Handler)], transforms=[slow])
    peer = await site.connect()
    peer.send("GET / HTTP/1.1", "Host: a", "Accept-Encoding: gzip")
    await until(slow.entered.is_set)
    peer.close()
    await until(lambda: "close" in events)
    slow.gate.set()
    await until(lambda: len(events) == 3)
    assert events == ["close", "on_finish", "StreamClosedError"]
    await until(lambda: site.application._running == set())


async def test_a_handler_that_is_cancelled_meanwhile(serve: Serve, slow: type[Slow]) -> None:
    """Its answer was finished, and is sent."""
    tasks: list[asyncio.Task[Any] | None] = []

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            tasks.append(asyncio.current_task())
            await self.finish(LARGE)

    site = await serve([("/", Handler)], transforms=[slow])
    peer = await site.connect()
    peer.send("GET / HTTP/1.1", "Host: a", "Accept-Encoding: gzip")
    await until(slow.entered.is_set)
    (task,) = tasks
    assert task is not None
    task.cancel()
    await until(task.cancelled)
    slow.gate.set()
    assert plain(await peer.answer()) == LARGE


@pytest.mark.parametrize("where", ["thread", "loop", "on_finish"])
async def test_what_goes_wrong_is_logged(
    serve: Serve, slow: type[Slow], where: str, caplog: pytest.LogCaptureFixture
) -> None:
    finished: list[int] = []

    class Broken(web.OutputTransform):
        def transform_first_chunk(self, *args: Any) -> Any:
            raise KeyError("broken")

        def takes_long(self, status_code: int, headers: HTTPHeaders, chunk: bytes) -> bool:
            return where == "thread"

    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.write(LARGE)

        def on_finish(self) -> None:
            finished.append(self.get_status())
            if where == "on_finish":
                raise KeyError("broken")

    slow.gate.set()
    transforms = [slow] if where == "on_finish" else [slow, Broken]
    site = await serve([("/", Handler)], transforms=transforms)
    peer = await site.connect()
    peer.send("GET / HTTP/1.1", "Host: a", "Accept-Encoding: gzip")
    if where == "on_finish":
        assert plain(await peer.answer()) == LARGE
    else:
        assert await peer.ended()
    await until(lambda: site.application._running == set())
    (record,) = [record for record in caplog.records if record.name == "tornado.application"]
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError
    assert finished == [200]


async def test_a_drain_waits_for_it(serve: Serve, slow: type[Slow]) -> None:
    site = await serve([("/", writing(LARGE))], transforms=[slow])
    peer = await site.connect()
    peer.send("GET / HTTP/1.1", "Host: a", "Accept-Encoding: gzip")
    await until(slow.entered.is_set)
    drained = asyncio.ensure_future(site.server.drain(10))
    await asyncio.sleep(0)
    slow.gate.set()
    answer = await peer.answer()
    assert (plain(answer), answer.get("Connection")) == (LARGE, "close")
    peer.close()
    assert await drained == 0
