"""Compression: answers in the content coding that the client likes best (RFC 9110, 8.4 and 12.5.3).

Output transforms, one instance per request: ``GZipContentEncoding`` under Tornado's name, and
``ContentEncoding``, which knows zstd and br beside it and is what ``compress_response=True`` stands
for. They never decode anything, and leave alone what says that it is coded already.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

from tornadoish.httputil import HTTPHeaders, HTTPServerRequest
from tornadoish.httputil.negotiation import add_to_vary, choose_coding
from tornadoish.web.transforms import OutputTransform

#: takes a piece and whether it is the last one; what it returns holds all of the pieces so far
Compress = Callable[[bytes, bool], bytes]

# Of the body as it is (RFC 9530 and its elders): what has one of these is not to be changed.
_DIGESTS = ("repr-digest", "content-digest", "digest", "content-md5")


class GZipContentEncoding(OutputTransform):
    """Compresses answers with gzip where the client takes it (interface: Tornado, web).

    Whole answers of at least ``MIN_LENGTH`` bytes, and all that are sent piece by piece: each piece
    goes out at once. Not compressed: other types than ``CONTENT_TYPES`` and text; parts of a body
    (206, ``Content-Range``); what has a ``Content-Encoding`` or a digest, or is marked
    ``Cache-Control: no-transform``; and streams of events, which would cost 100 KiB and more of
    memory for as long as each of them is open, unless their type is one of ``CONTENT_TYPES``.

    A strong entity tag becomes weak, for the bytes are not the same any more (RFC 9110, 8.8.1).
    """

    #: what may be compressed beside ``text/...`` and types that end in ``+json`` or ``+xml``
    CONTENT_TYPES: set[str] = {  # noqa: RUF012 - Tornado's, where applications change it
        "application/atom+xml",
        "application/javascript",
        "application/json",
        "application/wasm",
        "application/x-javascript",
        "application/x-ndjson",
        "application/xhtml+xml",
        "application/xml",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/svg+xml",
        "image/x-icon",
    }
    #: bytes from which on a whole answer is compressed
    MIN_LENGTH = 1024
    #: 1 (fast) to 9 (small)
    GZIP_LEVEL = 6
    #: bytes from which on the last piece is compressed in a thread (ours alone, not Tornado's)
    THREAD_LENGTH = 128 * 1024
    #: codings by their names, of those that are as welcome the first (ours alone, not Tornado's)
    CODINGS: tuple[str, ...] = ("gzip",)

    def __init__(self, request: HTTPServerRequest) -> None:
        fields = request.headers.index()
        self._request = request
        self._compress: Compress | None = None
        self._coding = choose_coding(fields.get("accept-encoding", ""), _installed(self.CODINGS))

    def _compressible_type(self, ctype: str) -> bool:
        """Whether a media type (in lower case, without parameters) is worth it."""
        if ctype.startswith("text/"):
            return ctype != "text/event-stream" or ctype in self.CONTENT_TYPES
        return ctype in self.CONTENT_TYPES or ctype.endswith(("+json", "+xml"))

    def _make_compressor(self, coding: str) -> Compress:
        return _gzip(self.GZIP_LEVEL)

    # -- OutputTransform

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        if status_code == 304:
            add_to_vary(headers, "Accept-Encoding")  # RFC 9110, 15.4.5
            self._weaken_as_known(headers)
        elif self._is_candidate(status_code, headers):
            add_to_vary(headers, "Accept-Encoding")
            coding = self._coding
            if coding is not None and self._is_worth_it(status_code, headers, chunk, finishing):
                chunk = self._begin(coding, headers, chunk, finishing)
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        compress = self._compress
        if compress is None or not (chunk or finishing):
            return chunk
        return compress(chunk, finishing)

    def passes_on(self) -> bool:
        return self._compress is None

    def takes_long(self, status_code: int, headers: HTTPHeaders, chunk: bytes) -> bool:
        if self._coding is None or len(chunk) < self.THREAD_LENGTH:
            return False
        return self._compress is not None or (
            self._is_candidate(status_code, headers)
            and self._is_worth_it(status_code, headers, chunk, True)
        )

    # -- whether

    def _is_candidate(self, status_code: int, headers: HTTPHeaders) -> bool:
        """Whether an answer of this kind depends on what codings the client takes."""
        fields = headers.index()
        if "content-encoding" in fields or status_code < 200 or status_code == 204:
            return False
        ctype = fields.get("content-type", "").partition(";")[0].strip().lower()
        if not self._compressible_type(ctype):
            return False
        return "no-transform" not in fields.get("cache-control", "").lower()

    def _is_worth_it(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> bool:
        """Whether this one is to be compressed, if the client takes it."""
        fields = headers.index()
        if status_code == 206 or "content-range" in fields:
            return False
        if any(name in fields for name in _DIGESTS):
            return False
        if not finishing:
            return True
        length = len(chunk)
        if length == 0 and self._request.method == "HEAD":
            announced = fields.get("content-length", "")
            length = int(announced) if announced.isascii() and announced.isdigit() else 0
        return length >= self.MIN_LENGTH

    # -- how

    def _begin(self, coding: str, headers: HTTPHeaders, chunk: bytes, finishing: bool) -> bytes:
        headers["Content-Encoding"] = coding
        fields = headers.index()
        etag = fields.get("etag", "")
        if etag.startswith('"'):
            headers["Etag"] = f"W/{etag}"
        if "accept-ranges" in fields:
            del headers["Accept-Ranges"]  # ranges are of what is sent, and that is not kept
        if finishing and not chunk:  # to a HEAD: nobody knows how long it would be
            del headers["Content-Length"]
            return chunk
        self._compress = self._make_compressor(coding)
        chunk = self.transform_chunk(chunk, finishing)
        if "content-length" in fields:
            if finishing:
                headers["Content-Length"] = str(len(chunk))
            else:
                del headers["Content-Length"]
        return chunk

    def _weaken_as_known(self, headers: HTTPHeaders) -> None:
        """Let a 304 name the tag by which the client knows the body: if it was compressed, that was
        a weak one, and a cache looks for exactly that (RFC 9111, 4.3.4)."""
        weak = f"W/{headers.get('Etag', '')}"
        if weak.startswith('W/"') and weak in self._request.headers.get("If-None-Match", ""):
            headers["Etag"] = weak


class ContentEncoding(GZipContentEncoding):
    """Compresses answers with zstd, br or gzip (ours alone, not Tornado's).

    zstd needs Python 3.14 or the extra ``zstd``, br the extra ``br``; what is not installed is not
    offered.
    """

    CODINGS = ("zstd", "br", "gzip")
    #: 1 (fast) to 19 (small)
    ZSTD_LEVEL = 3
    #: 0 (fast) to 11 (small)
    BROTLI_QUALITY = 4

    def _make_compressor(self, coding: str) -> Compress:
        if coding == "zstd":
            return _zstd(self.ZSTD_LEVEL)
        if coding == "br":
            return _brotli(self.BROTLI_QUALITY)
        return super()._make_compressor(coding)


# -- the codings


def _gzip(level: int) -> Compress:
    compressor = zlib.compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def compress(data: bytes, finishing: bool) -> bytes:
        mode = zlib.Z_FINISH if finishing else zlib.Z_SYNC_FLUSH
        return compressor.compress(data) + compressor.flush(mode)

    return compress


def _brotli(quality: int) -> Compress:
    compressor: Any = import_module("brotli").Compressor(quality=quality)

    def compress(data: bytes, finishing: bool) -> bytes:
        begin: bytes = compressor.process(data)
        rest: bytes = compressor.finish() if finishing else compressor.flush()
        return begin + rest

    return compress


# RFC 9659: a window of 8 MiB is as much as every client has. Level 3 takes 2.
_ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


def _zstd(level: int) -> Compress:
    compressor: Any = import_module(_ZSTD).ZstdCompressor(level=level)

    def compress(data: bytes, finishing: bool) -> bytes:
        mode = compressor.FLUSH_FRAME if finishing else compressor.FLUSH_BLOCK
        coded: bytes = compressor.compress(data, mode)
        return coded

    return compress


_MODULES = {"br": "brotli", "zstd": _ZSTD}


@lru_cache(maxsize=64)
def _installed(codings: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``codings`` that can be made here."""
    return tuple([coding for coding in codings if coding == "gzip" or _is_installed(coding)])


def _is_installed(coding: str) -> bool:
    module = _MODULES.get(coding)
    if module is None:
        return False
    try:
        import_module(module)
    except ImportError:
        return False
    return True
