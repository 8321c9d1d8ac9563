"""Compressed answers as Tornado has them: gzip, as a setting, as a transform, as a base class."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import zlib
from typing import Any

import pytest

from .serving import Answer, Framework, Serve, Site, getting

pytestmark = pytest.mark.in_memory

TEXT = b"".join(b"line %d of a long text\n" % number for number in range(500))
SHORT = b"too short to be worth it"


def gunzip(data: bytes) -> bytes:
    """One whole gzip member and nothing behind it."""
    decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
    plain = decompressor.decompress(data)
    assert decompressor.eof
    assert decompressor.unused_data == b""
    return plain


async def ask(site: Site, *fields: str, accept: str = "gzip", method: str = "GET") -> Answer:
    peer = await site.connect()
    head = (f"{method} / HTTP/1.1", "Host: a")
    return await peer.ask(*head, *([f"Accept-Encoding: {accept}"] if accept else []), *fields)


@pytest.fixture
def writing(web: Any) -> Any:
    """Makes a handler that sets fields and writes a body."""

    def make(body: bytes = TEXT, status: int = 200, **fields: str) -> Any:
        def get(self: Any) -> None:
            self.set_status(status)
            for name, value in fields.items():
                self.set_header(name.replace("_", "-"), value)
            self.write(body)

        return getting(web, get)

    return make


# ---- Whole answers ---------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["compress_response", "gzip"])
async def test_a_setting_compresses(writing: Any, serve: Serve, setting: str) -> None:
    site = await serve([("/", writing())], **{setting: True})
    answer = await ask(site)
    assert answer.get("Content-Encoding") == "gzip"
    assert answer.get("Vary") == "Accept-Encoding"
    assert answer.get("Content-Length") == str(len(answer.body))
    assert len(answer.body) < len(TEXT) / 3
    assert gunzip(answer.body) == TEXT


async def test_without_the_setting_nothing_is_compressed(writing: Any, serve: Serve) -> None:
    site = await serve([("/", writing())], compress_response=False)
    answer = await ask(site)
    assert (answer.get("Content-Encoding"), answer.get("Vary")) == (None, None)
    assert answer.body == TEXT


@pytest.mark.parametrize("accept", ["", "identity", "deflate", "br"])
async def test_a_client_that_does_not_take_gzip(
    web: Any, writing: Any, serve: Serve, accept: str
) -> None:
    site = await serve([("/", writing())], transforms=[web.GZipContentEncoding])
    answer = await ask(site, accept=accept)
    assert answer.get("Content-Encoding") is None
    assert answer.get("Vary") == "Accept-Encoding"  # another client will get another body
    assert answer.body == TEXT


@pytest.mark.parametrize("accept", ["gzip;q=0", "gzip;q=0.2, identity", "gzipped"])
async def test_a_client_that_says_that_it_does_not(
    framework: Framework, writing: Any, serve: Serve, accept: str
) -> None:
    site = await serve([("/", writing())], transforms=[framework.web.GZipContentEncoding])
    answer = await ask(site, accept=accept)
    # Tornado looks for the word only.
    assert answer.get("Content-Encoding") == ("gzip" if framework.is_tornado else None)


@pytest.mark.parametrize("length", [0, 1, 1023, 1024])
async def test_min_length(web: Any, writing: Any, serve: Serve, length: int) -> None:
    site = await serve([("/", writing(b"x" * length))], transforms=[web.GZipContentEncoding])
    answer = await ask(site)
    if length < 1024:
        assert answer.get("Content-Encoding") is None
        assert (answer.body, answer.get("Vary")) == (b"x" * length, "Accept-Encoding")
    else:
        assert gunzip(answer.body) == b"x" * length


@pytest.mark.parametrize(
    ("ctype", "compressed"),
    [
        ("text/plain", True),
        ("text/x-anything; charset=utf-8", True),
        ("application/json; charset=UTF-8", True),
        ("application/javascript", True),
        ("application/x-javascript", True),
        ("application/xml", True),
        ("application/atom+xml", True),
        ("application/xhtml+xml", True),
        ("image/svg+xml", True),
        ("image/png", False),
        ("application/octet-stream", False),
        ("", False),
    ],
)
async def test_types(web: Any, writing: Any, serve: Serve, ctype: str, compressed: bool) -> None:
    handler = writing(Content_Type=ctype)
    site = await serve([("/", handler)], transforms=[web.GZipContentEncoding])
    answer = await ask(site)
    assert answer.get("Content-Encoding") == ("gzip" if compressed else None)
    assert (gunzip(answer.body) if compressed else answer.body) == TEXT


async def test_never_twice(web: Any, writing: Any, serve: Serve) -> None:
    coded = zlib.compress(TEXT, wbits=31)
    handler = writing(coded + b"\0" * 1024, Content_Encoding="gzip")
    site = await serve([("/", handler)], transforms=[web.GZipContentEncoding] * 2)
    answer = await ask(site)
    assert answer.body == coded + b"\0" * 1024
    assert answer.get("Content-Encoding") == "gzip"

    site = await serve([("/", writing())], transforms=[web.GZipContentEncoding] * 2)
    answer = await ask(site)
    assert gunzip(answer.body) == TEXT
    assert answer.get("Content-Encoding") == "gzip"


@pytest.mark.parametrize("before", ["Cookie", "Cookie, Origin"])
async def test_vary_is_merged(web: Any, writing: Any, serve: Serve, before: str) -> None:
    site = await serve([("/", writing(Vary=before))], transforms=[web.GZipContentEncoding])
    for accept in ("gzip", ""):
        answer = await ask(site, accept=accept)
        assert answer.get("Vary") == f"{before}, Accept-Encoding"


async def test_an_error_page_is_compressed_like_any_other(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            raise web.HTTPError(404)

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.finish(TEXT)

    site = await serve([("/", Handler)], transforms=[web.GZipContentEncoding])
    answer = await ask(site)
    assert (answer.status, gunzip(answer.body)) == (404, TEXT)


async def test_head_says_what_get_says(web: Any, writing: Any, serve: Serve) -> None:
    handler = writing()
    handler.head = handler.get
    site = await serve([("/", handler)], transforms=[web.GZipContentEncoding])
    get = await ask(site)
    head = await ask(site, method="HEAD")
    assert head.body == b""
    for name in ("Content-Encoding", "Content-Length", "Vary", "Etag", "Content-Type"):
        assert head.get(name) == get.get(name)


async def test_204(web: Any, serve: Serve) -> None:
    handler = getting(web, lambda self: self.set_status(204))
    site = await serve([("/", handler)], transforms=[web.GZipContentEncoding])
    answer = await ask(site)
    assert (answer.status, answer.get("Content-Encoding")) == (204, None)


# ---- Answers that are sent piece by piece ----------------------------------------------------


class Pieces:
    """A streamed answer, decompressed as it comes."""

    def __init__(self, web: Any, **fields: str) -> None:
        outer = self
        self.go_on: list[bytes] = []

        class Handler(web.RequestHandler):
            async def get(self) -> None:
                for name, value in fields.items():
                    self.set_header(name.replace("_", "-"), value)
                for piece in outer.go_on:
                    self.write(piece)
                    await self.flush()

        self.handler = Handler


async def test_each_flush_is_a_piece_of_its_own(web: Any, serve: Serve) -> None:
    """What was flushed can be read before any more comes."""
    pieces = Pieces(web)
    pieces.go_on = [b"first ", b"second ", b"third"]
    site = await serve([("/", pieces.handler)], transforms=[web.GZipContentEncoding])
    peer = await site.connect()
    peer.send("GET / HTTP/1.1", "Host: a", "Accept-Encoding: gzip")
    await peer.reader.readuntil(b"\r\n\r\n")
    decompressor = zlib.decompressobj(31)
    seen = []
    while size := int(await peer.reader.readuntil(b"\r\n"), 16):
        seen.append(decompressor.decompress(await peer.reader.readexactly(size)))
        await peer.reader.readexactly(2)
    assert [piece for piece in seen if piece] == pieces.go_on
    assert decompressor.eof


async def test_a_streamed_answer_has_no_length(web: Any, serve: Serve) -> None:
    pieces = Pieces(web, Content_Length="11", Content_Type="text/plain")
    pieces.go_on = [b"hello", b" world"]  # short, but nobody can know yet
    site = await serve([("/", pieces.handler)], transforms=[web.GZipContentEncoding])
    answer = await ask(site)
    assert answer.get("Content-Length") is None
    assert (gunzip(answer.body), answer.complete) == (b"hello world", True)


async def test_a_flush_of_nothing(web: Any, serve: Serve) -> None:
    pieces = Pieces(web)
    pieces.go_on = [b"", b"", TEXT, b"", b""]
    site = await serve([("/", pieces.handler)], transforms=[web.GZipContentEncoding])
    assert gunzip((await ask(site)).body) == TEXT


async def test_a_stream_to_a_client_of_http_1_0(web: Any, serve: Serve) -> None:
    pieces = Pieces(web)
    pieces.go_on = [TEXT, TEXT]
    site = await serve([("/", pieces.handler)], transforms=[web.GZipContentEncoding])
    peer = await site.connect()
    answer = await peer.ask("GET / HTTP/1.0", "Accept-Encoding: gzip")
    assert gunzip(answer.body) == TEXT * 2


# ---- Transforms as applications write them ---------------------------------------------------


async def test_a_subclass_with_more_types(web: Any, writing: Any, serve: Serve) -> None:
    """As mitmproxy's."""

    class WithFlows(web.GZipContentEncoding):
        CONTENT_TYPES = {"application/octet-stream", *web.GZipContentEncoding.CONTENT_TYPES}

    handler = writing(Content_Type="application/octet-stream")
    site = await serve([("/", handler)], transforms=[WithFlows])
    assert gunzip((await ask(site)).body) == TEXT


async def test_a_subclass_with_other_rules(web: Any, writing: Any, serve: Serve) -> None:
    class Eager(web.GZipContentEncoding):
        MIN_LENGTH = 3
        GZIP_LEVEL = 1

        def _compressible_type(self, ctype: str) -> bool:
            return ctype == "image/png"

    site = await serve([("/", writing(b"four", Content_Type="image/png"))], transforms=[Eager])
    answer = await ask(site)
    assert (gunzip(answer.body), answer.get("Content-Length")) == (b"four", str(len(answer.body)))


async def test_what_is_set_on_the_class_counts_for_the_setting(
    web: Any, writing: Any, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.GZipContentEncoding, "MIN_LENGTH", 5)
    site = await serve([("/", writing(b"12345"))], compress_response=True)
    assert gunzip((await ask(site)).body) == b"12345"


async def test_a_transform_before_it(web: Any, writing: Any, serve: Serve) -> None:
    """As livereload's: it puts something into pages."""

    class Injector(web.OutputTransform):
        def __init__(self, request: Any) -> None:
            super().__init__(request)

        def transform_first_chunk(
            self, status_code: int, headers: Any, chunk: bytes, finishing: bool
        ) -> Any:
            if "text/html" in headers.get("Content-Type", "text/html"):
                chunk = chunk.replace(b"</head>", b"<script></script></head>")
                if "Content-Length" in headers:
                    length = int(headers["Content-Length"]) + len(b"<script></script>")
                    headers["Content-Length"] = str(length)
            return super().transform_first_chunk(status_code, headers, chunk, finishing)

    page = b"<head></head>" + TEXT
    transforms = [Injector, web.GZipContentEncoding]
    site = await serve([("/", writing(page))], transforms=transforms)
    injected = page.replace(b"</head>", b"<script></script></head>")
    assert gunzip((await ask(site)).body) == injected
    answer = await ask(site, accept="")
    assert (answer.body, answer.complete) == (injected, True)


async def test_a_transform_added_later(web: Any, writing: Any, serve: Serve) -> None:
    site = await serve([("/", writing())])
    site.application.add_transform(web.GZipContentEncoding)
    assert gunzip((await ask(site)).body) == TEXT


async def test_transforms_take_the_place_of_the_setting(
    web: Any, writing: Any, serve: Serve
) -> None:
    site = await serve([("/", writing())], compress_response=True, transforms=[])
    assert (await ask(site)).body == TEXT


# ---- Entity tags -----------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["gzip", ""])
async def test_a_compressed_answer_is_known_by_its_tag(
    web: Any, writing: Any, serve: Serve, accept: str
) -> None:
    site = await serve([("/", writing())], transforms=[web.GZipContentEncoding])
    etag = (await ask(site, accept=accept)).get("Etag") or ""
    answer = await ask(site, f"If-None-Match: {etag}", accept=accept)
    assert (answer.status, answer.get("Etag")) == (304, etag)
    assert answer.get("Vary") == "Accept-Encoding"
    assert answer.get("Content-Encoding") is None


async def test_two_codings_never_share_a_strong_tag(
    framework: Framework, writing: Any, serve: Serve
) -> None:
    """RFC 9110, 8.8.3.3; Tornado leaves the tag as it is."""
    site = await serve([("/", writing())], transforms=[framework.web.GZipContentEncoding])
    plain = (await ask(site, accept="")).get("Etag") or ""
    coded = (await ask(site)).get("Etag")
    assert coded == (plain if framework.is_tornado else f"W/{plain}")
