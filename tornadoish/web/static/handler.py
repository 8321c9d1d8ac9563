"""StaticFileHandler: files from a directory (Tornado: web.StaticFileHandler).

A request in order: the path becomes a file (``get_absolute_path``, ``validate_absolute_path``), the
file one of its representations, conditions and ranges say what of it is wanted, and that is sent.

What the loop's thread waits for. Names are looked up and files opened in it: the hooks that do so
are plain functions, and the system answers from memory but for the first time. Content is not: what
is not at hand is read in a thread; where the system does not say whether it is, a small file is
read like its name, a large one in a thread.
"""

from __future__ import annotations

import asyncio
import datetime
import mimetypes
import os
import re
import secrets
import stat
from collections.abc import Awaitable, Coroutine, Iterable, Sequence
from typing import Any, cast

from tornadoish.httputil import HTTPOutputError
from tornadoish.httputil.negotiation import add_to_vary, choose_coding
from tornadoish.iostream import StreamClosedError, at_hand, read_at, read_soon
from tornadoish.log import gen_log
from tornadoish.web.conditional import matches_strongly, unmodified_since
from tornadoish.web.errors import HTTPError
from tornadoish.web.handler import RequestHandler
from tornadoish.web.static.containment import (
    OpenFile,
    check_links,
    is_below,
    open_below,
)
from tornadoish.web.static.content import StaticContent, is_fresh, stamp_at
from tornadoish.web.static.ranges import Range, may_send_part, parse_ranges
from tornadoish.web.static.sending import send_by, send_file

#: bytes of a body that are read at once and sent in one write with their head
SMALL = 64 * 1024
#: bytes of a file whose entity tag is made of its content; that of a larger one is of its times
#: and its size
MAX_HASHED_SIZE = 1024 * 1024
#: bytes of a file that are transformed (compressed, say) before others have their turn
TRANSFORMED = 32 * 1024
#: codings of precompressed files and what their names end with, the best first
SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

_OWN = {
    name: getattr(StaticContent, name).__func__
    for name in ("get_content", "get_content_version", "_get_cached_version")
}


class StaticFileHandler(StaticContent, RequestHandler):
    """Serves the files of a directory; its route's pattern has one group, for their paths.

    The setting ``static_path`` of an application makes one for ``/static/`` (the setting
    ``static_url_prefix``), with ``static_handler_args`` for :meth:`initialize`; the setting
    ``static_handler_class`` is another class for it.

    Subclasses override the methods that are called hooks: of ``get_absolute_path`` and
    ``get_content`` all the way to something else than files. They may use ``root``, ``path``,
    ``absolute_path`` and ``modified``, and set ``allowed_symlink_directory``.
    """

    root: Any = ""
    default_filename: str | None = None
    #: where links may lead: one directory or several. None: nowhere but into ``root``
    allowed_symlink_directory: str | Sequence[str] | None = None
    #: codings in which files lie beside their originals (ours alone, not Tornado's)
    precompressed: Sequence[str] = ()
    path: str = ""
    absolute_path: str | None = None
    modified: datetime.datetime | None = None
    #: a file takes as long as its client does, within the limits of its server
    handler_timeout = None

    # What is sent, once it is known, if it is a file.
    _file: OpenFile | None = None
    _coding: str | None = None
    _allowed: Sequence[str] | None = None  # directories that it must be in
    _etag: str | None = ""  # "": nobody has asked for it yet
    _decided = False  # conditions have been looked at

    def initialize(
        self,
        path: str | os.PathLike[str],
        default_filename: str | None = None,
        allowed_symlink_directory: str | Sequence[str] | None = None,
        *,
        precompressed: bool | Sequence[str] = False,
    ) -> None:
        """
        :param path: the directory. Nothing outside of it is served.
        :param default_filename: what is served for a directory; None: a 403.
        :param allowed_symlink_directory: a directory, or several, in which files must be after all
            links are followed, instead of ``path``.
        :param precompressed: (ours) whether a file ``a.js.br``, ``a.js.zst`` or ``a.js.gz`` that is
            not older than ``a.js`` is its content, compressed, and is sent to who likes that
            better; or in which codings (``br``, ``zstd``, ``gzip``), the best first.
        """
        self.root = os.fspath(path) if isinstance(path, os.PathLike) else path
        self.default_filename = default_filename
        self.allowed_symlink_directory = allowed_symlink_directory
        if precompressed:
            self.precompressed = tuple(SUFFIXES if precompressed is True else precompressed)

    def head(self, path: str) -> Awaitable[None]:
        """As :meth:`get`, without the body."""
        awaitable: Awaitable[None] = self.get(path, include_body=False)
        return awaitable

    def get(self, path: str, include_body: bool = True) -> Awaitable[None]:
        """Answer with the file that ``path`` means.

        A small one is written at once, so this is a plain function; still what it returns has to be
        awaited.
        """
        rest = None
        try:
            rest = self._answer(path, include_body)
        finally:
            if rest is None:
                self._let_go()
        return _done() if rest is None else rest

    # -- the request, in order

    def _answer(self, path: str, include_body: bool) -> Coroutine[Any, Any, None] | None:
        """Answer as far as that goes at once; what is returned does the rest."""
        if not self.settings.get("static_hash_cache", True):
            self.reset()
        self.path = self.parse_url_path(path)
        absolute_path = self.get_absolute_path(self.root, self.path)
        self.absolute_path = self.validate_absolute_path(self.root, absolute_path)
        if self.absolute_path is None:
            return None
        self._choose_representation(self.absolute_path)
        self.modified = self.get_modified_time()
        self.set_headers()
        if self._coding is not None:
            self.set_header("Content-Encoding", self._coding)
        if self._has_changed():
            raise HTTPError(412)
        if self.should_return_304():
            self.set_status(304)
            return None
        self._decided = True
        size = self.get_content_size()
        ranges = self._wanted_ranges(size)
        if ranges is not None and not ranges:
            self._refuse_ranges(size)
            return None
        if ranges is not None and len(ranges) > 1:
            return self._send(self._multipart(ranges, size))
        return self._answer_one(ranges[0] if ranges else None, size, include_body)

    def _answer_one(
        self, wanted: Range | None, size: int, include_body: bool
    ) -> Coroutine[Any, Any, None] | None:
        """All of it, or one range."""
        start, count = 0, size
        if wanted is not None:
            self.set_status(206)
            self.set_header("Content-Range", wanted.content_range(size))
            start, count = wanted.start, wanted.size
        self._headers["Content-Length"] = str(count)
        if not include_body or not count:
            return None
        file = self._file
        if file is None or count > SMALL or not self._sends_files():
            return self._send([wanted])
        if at_hand(file.fd, start, count) is False:
            return self._send([wanted])
        self.write(_whole(file, read_at(file.fd, count, start), count))
        return None

    def _is_own(self, name: str) -> bool:
        """Whether a hook that is a class method is the one of this class."""
        return getattr(getattr(self, name), "__func__", None) is _OWN[name]

    def _sends_files(self) -> bool:
        """Whether the content is that of files, or whatever a subclass says."""
        return self._is_own("get_content")

    # -- which file

    def parse_url_path(self, url_path: str) -> str:
        """Hook: the path of a file, relative to ``root``, for the path of a URL."""
        return url_path if os.sep == "/" else url_path.replace("/", os.sep)

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Hook: the path that is served for ``absolute_path``, what ``get_absolute_path`` has
        returned; None: it has been answered (by a redirect, say).

        :raises HTTPError: 404, there is no such file; 403, it is none, or outside of ``root`` or
            of where links may lead.
        """
        if not is_below(os.path.abspath(root), absolute_path):
            raise HTTPError(403, "%r is not in the static directory", self.path)
        links = self.allowed_symlink_directory or root
        allowed = self._allowed = [links] if isinstance(links, str) else links
        if self.default_filename is not None and os.path.isdir(absolute_path):
            check_links(absolute_path, allowed)
            if not self.request.path.endswith("/"):
                self._redirect_to_directory()
                return None
            absolute_path = os.path.join(absolute_path, self.default_filename)
        self._file = open_below(absolute_path, allowed)
        return absolute_path

    def _redirect_to_directory(self) -> None:
        path = self.request.path
        if path[1:2] in ("/", "\\"):  # a browser would take what follows for a host
            path = "/" + path.lstrip("/\\")
        query = self.request.query
        self.redirect(f"{path}/?{query}" if query else f"{path}/", permanent=True)

    def _choose_representation(self, path: str) -> None:
        """Have the file open that is sent: the one of ``path``, or a precompressed one."""
        if self._file is not None and self._file.path != path:
            self._let_go()  # a subclass wants another one
        if not self._sends_files():
            return
        if self._file is None:
            self._file = OpenFile(path)
        if self.precompressed:
            self._choose_coding(self._file)

    def _choose_coding(self, original: OpenFile) -> None:
        """Take a precompressed file instead, if there is one that the client likes better."""
        available = [
            coding for coding in self.precompressed if _is_made_of(original, SUFFIXES[coding])
        ]
        if available:
            add_to_vary(self._headers, "Accept-Encoding")
        liked = self.request.headers.get("Accept-Encoding", "")
        while (coding := choose_coding(liked, available)) is not None:
            path = original.path + SUFFIXES[coding]
            try:
                file = OpenFile(path) if self._allowed is None else open_below(path, self._allowed)
            except HTTPError:
                available.remove(coding)  # it is a link that leads elsewhere, say
                continue
            self._let_go()
            self._file, self._coding = file, coding
            return

    def _let_go(self) -> None:
        """Close the file, if there is one open."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    # -- what is said of it

    def set_headers(self) -> None:
        """Hook: set the fields that describe the file and how long it may be cached."""
        self.set_header("Accept-Ranges", "bytes")
        self.set_etag_header()
        if self.modified is not None:
            self.set_header("Last-Modified", self.modified)
        content_type = self.get_content_type()
        if content_type:
            self.set_header("Content-Type", content_type)
        seconds = self.get_cache_time(self.path, self.modified, content_type)
        if seconds > 0:
            now = datetime.datetime.now(datetime.UTC)
            self.set_header("Expires", now + datetime.timedelta(seconds=seconds))
            self.set_header("Cache-Control", f"max-age={seconds}")
        self.set_extra_headers(self.path)

    def set_extra_headers(self, path: str) -> None:
        """Hook: set more fields."""

    def get_cache_time(self, path: str, modified: datetime.datetime | None, mime_type: str) -> int:
        """Hook: for how many seconds the file may be cached; 0: that is not said. By default ten
        years (``CACHE_MAX_AGE``), if the URL has a version in ``v``."""
        return self.CACHE_MAX_AGE if "v" in self.request.query_arguments else 0

    def get_content_type(self) -> str:
        """Hook: the media type, by the ending of the name."""
        mime_type, encoding = mimetypes.guess_type(self.absolute_path or "")
        if encoding == "gzip":  # RFC 6713
            return "application/gzip"
        if encoding is not None or mime_type is None:
            return "application/octet-stream"
        return mime_type

    def _stat(self) -> os.stat_result:
        return os.stat(self.absolute_path or "") if self._file is None else self._file.stat

    def get_content_size(self) -> int:
        """Hook: the size of the content in bytes."""
        return self._stat().st_size

    def get_modified_time(self) -> datetime.datetime | None:
        """Hook: when the content was last modified, to the second; None: not known."""
        try:
            seconds = int(self._stat().st_mtime)
            return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
        except (ValueError, OverflowError):
            return None  # beyond the years that there are

    def compute_etag(self) -> str | None:
        """Hook: the entity tag. That of a file up to ``MAX_HASHED_SIZE``, and of what is no file,
        is its version (``get_content_version``); that of a larger one is made of what changes when
        it does."""
        if self._etag == "":
            self._etag = self._compute_etag()
        return self._etag

    def _compute_etag(self) -> str | None:
        file = self._file
        if self.absolute_path is None:
            return None
        if file is None or not self._sends_files():
            version = self._get_cached_version(self.absolute_path)
            return f'"{version}"' if version else None
        if file.stat.st_size <= MAX_HASHED_SIZE or not self._is_own("get_content_version"):
            known, version = False, None
            if self._is_own("_get_cached_version"):
                known, version = self._known_version(file.path, file.stamp)
            if not known:
                version = self._get_cached_version(file.path)
            if version and (known or stamp_at(file.path) == file.stamp):
                return f'"{version}"'  # else another file has its place, and the version is of that
        modified, changed, size, _, _ = file.stamp
        # RFC 9110, 8.8.1: weak, as long as it could change without its times telling.
        weak = "W/" if is_fresh(file.stamp) else ""
        return f'{weak}"{modified:x}-{changed:x}-{size:x}{self._coding or ""}"'

    # -- conditions

    def should_return_304(self) -> bool:
        """Hook: whether the client has it already (RFC 9110, 13.1.2 and 13.1.3)."""
        fields = self.request.headers.index()
        if "if-none-match" in fields:  # 13.2.2: then the date does not count
            return self.check_etag_header()
        since = fields.get("if-modified-since")
        if since is None or self.modified is None:
            return False
        return unmodified_since(self.modified, since) is True

    def check_etag_header(self) -> bool:
        """See :meth:`RequestHandler.check_etag_header`. ``finish`` asks again, when
        ``should_return_304`` has decided."""
        return False if self._decided else super().check_etag_header()

    def _is_known_by_date(self) -> bool:
        return False if self._decided else super()._is_known_by_date()

    def _has_changed(self) -> bool:
        """Whether the client asks for what was there before (RFC 9110, 13.1.1 and 13.1.4)."""
        fields = self.request.headers.index()
        if "if-match" in fields:
            return not matches_strongly(self._headers.get("Etag", ""), fields["if-match"])
        since = fields.get("if-unmodified-since")
        if since is None or self.modified is None:
            return False
        return unmodified_since(self.modified, since) is False

    # -- ranges

    def _wanted_ranges(self, size: int) -> list[Range] | None:
        """None: all of it. RFC 9110, 14.2: only a GET may ask for less."""
        fields = self.request.headers.index()
        text = fields.get("range")
        if text is None or self.request.method != "GET":
            return None
        condition = fields.get("if-range")
        if condition is not None:
            etag = self._headers.get("Etag", "")
            if not may_send_part(condition, etag, self.modified):
                return None
        ranges = parse_ranges(text, size)
        if ranges and ranges[0] == (0, size):
            return None  # browsers play nothing if a part is all of it
        return ranges

    def _refuse_ranges(self, size: int) -> None:
        self.set_status(416)
        for name in ("Cache-Control", "Expires", "Content-Encoding"):
            self.clear_header(name)  # of the file; this is none, and must not be kept
        self.set_header("Content-Type", "text/plain")
        self.set_header("Content-Range", f"bytes */{size}")

    def _multipart(self, ranges: list[Range], size: int) -> list[bytes | Range | None]:
        """The head for several ranges, and their body (RFC 9110, 14.6)."""
        content_type = self._headers.get("Content-Type", "application/octet-stream")
        boundary = secrets.token_hex(16)
        parts: list[bytes | Range | None] = []
        length = 0
        for one in ranges:
            head = (
                f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
                f"Content-Range: {one.content_range(size)}\r\n\r\n"
            ).encode("latin-1")
            parts += [head, one]
            length += len(head) + one.size
        end = f"\r\n--{boundary}--\r\n".encode()
        self.set_status(206)
        self.set_header("Content-Type", f"multipart/byteranges; boundary={boundary}")
        self._headers["Content-Length"] = str(length + len(end))
        return [*parts, end]

    # -- sending

    async def _send(self, parts: Sequence[bytes | Range | None]) -> None:
        """Send a body: bytes as they are, ranges of the content, None for all of it."""
        try:
            for part in parts:
                if isinstance(part, bytes):
                    self.write(part)
                elif self._file is None or not self._sends_files():
                    await self._send_content(part)
                else:
                    start = part.start if part is not None else 0
                    count = part.size if part is not None else self.get_content_size()
                    await self._send_part(self._file, start, count)
                    if len(parts) > 1:
                        await self.flush()
        except StreamClosedError:
            return  # nobody is there to send it to
        except (HTTPOutputError, OSError) as error:
            if not self._headers_written:
                raise
            # It became shorter, or cannot be read any more.
            gen_log.warning("Cannot send all of %r: %s", self.absolute_path, error)
            if not self._finished:
                self._abandon()
        finally:
            self._let_go()

    async def _send_content(self, part: Range | None) -> None:
        """Send what a subclass has instead of files."""
        start, end = (None, None) if part is None else part
        content: Any = self.get_content(cast(str, self.absolute_path), start, end)
        pieces: Iterable[bytes] = [content] if isinstance(content, bytes) else content
        for piece in pieces:
            self.write(piece)
            await self.flush()

    async def _send_part(self, file: OpenFile, start: int, count: int) -> None:
        if count <= SMALL:
            self.write(_whole(file, await read_soon(file.fd, count, start), count))
            return
        await self.flush()
        if all(transform.passes_on() for transform in self._transforms):
            await send_file(self.request.connection, file.fd, start, count)
        else:
            await send_by(self._pass_on, file.fd, start, count, TRANSFORMED)

    def _pass_on(self, piece: bytes) -> asyncio.Future[None]:
        self.write(piece)
        return self.flush()


def _is_made_of(original: OpenFile, suffix: str) -> bool:
    """Whether there is a precompressed file, and not one of what was there before."""
    try:
        found = os.stat(original.path + suffix)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_mtime_ns >= original.stat.st_mtime_ns


def _whole(file: OpenFile, data: bytes, count: int) -> bytes:
    if len(data) != count:
        raise HTTPOutputError(f"{file.path!r} became shorter")
    return data


def _done() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def static_rules(settings: dict[str, Any]) -> list[Any]:
    """The rules that the settings of an application ask for, in the order in which they are tried:
    all files below ``static_url_prefix``, and two that are looked for at the top."""
    arguments = dict(settings.get("static_handler_args", {}), path=settings["static_path"])
    handler = settings.get("static_handler_class", StaticFileHandler)
    prefix = re.escape(settings.get("static_url_prefix", "/static/"))
    patterns = (r"/(robots\.txt)", r"/(favicon\.ico)", prefix + r"(.*)")
    return [(pattern, handler, arguments) for pattern in patterns]
