"""StaticContent: static files as content and as versioned URLs; what needs no request.

The class-level half of ``StaticFileHandler``, by whose hooks a subclass may serve something else
than files. ``RequestHandler.static_url`` uses it, too. (Interface: Tornado, web.StaticFileHandler.)
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Generator, Iterable
from time import time
from typing import Any

from tornadoish.iostream import read_at
from tornadoish.log import gen_log
from tornadoish.web.static.containment import OpenFile, Stamp, join_below, stamp_of

#: bytes of a file that ``get_content`` reads at a time
CHUNK = 64 * 1024
#: A file that changed within so many seconds may change again without its times telling.
FRESH_SECONDS = 1.0


class StaticContent:
    """Files below a directory, and the versions of their content.

    Versions are kept until the file changes (Tornado: until :meth:`reset`); of those of no file in
    the file system until :meth:`reset`.
    """

    #: seconds for which a URL with a version may be cached
    CACHE_MAX_AGE = 86400 * 365 * 10
    #: bytes of a file that is read to make a version of it; a larger one has none
    MAX_VERSION_CONTENT_SIZE = 64 * 1024 * 1024
    #: versions that are kept
    MAX_CACHED_VERSIONS = 10_000

    _static_hashes: dict[str, str | None] = {}  # noqa: RUF012 - shared by all, as in Tornado
    _static_stamps: dict[str, Stamp | None] = {}  # noqa: RUF012
    _lock = threading.Lock()

    @classmethod
    def reset(cls) -> None:
        """Forget all versions."""
        with cls._lock:
            cls._static_hashes.clear()
            cls._static_stamps.clear()

    # -- hooks

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:
        """The absolute path of ``path``, which is relative to ``root``. Override freely: any text
        will do that :meth:`get_content` understands, one for each thing.

        :raises HTTPError: 403, it leads out of ``root``, as it is written; 404, it cannot be the
            name of a file.
        """
        return join_below(root, path)

    @classmethod
    def get_content(
        cls, abspath: str, start: int | None = None, end: int | None = None
    ) -> Generator[bytes, None, None]:
        """The content of ``abspath``, or its bytes from ``start`` up to ``end``. Override freely,
        to return bytes or an iterator of them.

        :raises HTTPError: there is no such file, or it is no regular one.
        """
        file = OpenFile(abspath)
        try:
            offset = start or 0
            while end is None or offset < end:
                piece = read_at(file.fd, CHUNK if end is None else min(CHUNK, end - offset), offset)
                if not piece:
                    return
                yield piece
                offset += len(piece)
        finally:
            file.close()

    @classmethod
    def get_content_version(cls, abspath: str) -> str:
        """A text that changes with the content of ``abspath``: its SHA-512, as in Tornado, so that
        both make the same URLs. Override freely.

        It is made at once, a millisecond or two for each MiB.

        :raises ValueError: it is larger than ``MAX_VERSION_CONTENT_SIZE``.
        """
        content: bytes | Iterable[bytes] = cls.get_content(abspath)
        digest, size = hashlib.sha512(), 0
        for piece in [content] if isinstance(content, bytes) else content:
            size += len(piece)
            if size > cls.MAX_VERSION_CONTENT_SIZE:
                raise ValueError(f"{abspath!r} is too large for a version")
            digest.update(piece)
        return digest.hexdigest()

    @classmethod
    def get_version(cls, settings: dict[str, Any], path: str) -> str | None:
        """The version of ``path``, relative to the setting ``static_path``; None: it has none.

        ``path`` must not be what somebody asked for: it is read, and its version is kept.
        """
        return cls._get_cached_version(cls.get_absolute_path(settings["static_path"], path))

    @classmethod
    def make_static_url(
        cls, settings: dict[str, Any], path: str, include_version: bool = True
    ) -> str:
        """The URL of ``path``, relative to the setting ``static_path``, with its version in ``v``.
        Override freely, with ``(cls, settings, path)`` at least."""
        url: str = settings.get("static_url_prefix", "/static/") + path
        version = cls.get_version(settings, path) if include_version else None
        return f"{url}?v={version}" if version else url

    # -- versions that are known

    @classmethod
    def _get_cached_version(cls, abs_path: str) -> str | None:
        stamp = stamp_at(abs_path)
        known, version = cls._known_version(abs_path, stamp)
        if known:
            return version
        try:
            version = cls.get_content_version(abs_path)
        except Exception as error:
            gen_log.error("Could not make a version of static file %r: %s", abs_path, error)
            version = None
        if stamp_at(abs_path) == stamp and not is_fresh(stamp):
            with cls._lock:
                cls._remember(abs_path, version, stamp)
        return version

    @classmethod
    def _known_version(cls, abs_path: str, stamp: Stamp | None) -> tuple[bool, str | None]:
        """Whether there is a version of what has this stamp, and which."""
        with cls._lock:
            if abs_path in cls._static_hashes and cls._static_stamps.get(abs_path) == stamp:
                return True, cls._static_hashes[abs_path]
        return False, None

    @classmethod
    def _remember(cls, abs_path: str, version: str | None, stamp: Stamp | None) -> None:
        hashes, stamps = cls._static_hashes, cls._static_stamps
        while len(hashes) >= cls.MAX_CACHED_VERSIONS:
            oldest = next(iter(hashes))
            del hashes[oldest]
            stamps.pop(oldest, None)
        hashes[abs_path] = version
        stamps[abs_path] = stamp


def stamp_at(path: str) -> Stamp | None:
    """What changes when the file at ``path`` does; None: there is no file."""
    try:
        return stamp_of(os.stat(path))
    except (OSError, ValueError):
        return None  # it is no file, but something that a subclass knows of


def is_fresh(stamp: Stamp | None) -> bool:
    """Whether a file has changed so lately that it could change again without its stamp."""
    if stamp is None:
        return False
    changed = stamp[1] if os.name == "posix" else stamp[0]  # elsewhere that is its birth
    return 0 <= time() - changed / 1e9 < FRESH_SECONDS
