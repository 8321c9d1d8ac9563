"""LineHandler: writes whole lines, many at a time, to a file or a stream.

A handler of :mod:`logging` like any other; an ``AccessLog`` whose logger has no others gives it
many at once. Several processes may write to one target: no line is torn apart.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
import time
from collections.abc import Sequence
from typing import IO, Any

#: bytes that go to a pipe in one piece, whoever else writes to it (PIPE_BUF: POSIX has at least
#: 512, Linux 4096)
_ATOMIC = select.PIPE_BUF if hasattr(select, "PIPE_BUF") else 512
_STALL_SECONDS = 1.0


class LineHandler(logging.Handler):
    """Writes log lines.

    :param target: the path of a file, which is appended to (and made anew when somebody has renamed
        or removed it, as those do who rotate logs: looked for once a second); or an open text
        stream. Default: standard output.
    :raises OSError: the file cannot be opened.
    """

    def __init__(self, target: str | os.PathLike[str] | IO[str] | None = None) -> None:
        super().__init__()
        self._path: str | None = None
        self._stream: IO[str] | None = None
        self._fd = -1
        self._whole = False  # whether a write of any size goes out in one piece
        self._identity = (0, 0)
        self._looked = 0.0
        if isinstance(target, (str, os.PathLike)):
            self._path = os.path.abspath(os.fspath(target))
            self._open(self._path)
        else:
            self._stream = sys.stdout if target is None else target
            self._fd = _descriptor(self._stream)
            if self._fd >= 0:
                self._whole = stat.S_ISREG(os.fstat(self._fd).st_mode)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        self.write_lines((line,))

    def write_lines(self, lines: Sequence[str]) -> None:
        """Write ``lines``, each without its line end. What fails is told as :mod:`logging` tells
        it, and lost."""
        self.acquire()
        try:
            if self._fd < 0:
                self._write_to_stream(lines)
            else:
                self._write(lines)
        except Exception:
            self.handleError(_record_of(lines))
        finally:
            self.release()

    def reopen(self) -> None:
        """Close the file and open it anew; nothing for a stream.

        :raises OSError: it cannot be opened; the old one is used on.
        """
        self.acquire()
        try:
            if self._path is not None:
                self._open(self._path)
        finally:
            self.release()

    def close(self) -> None:
        """Close the file; a stream is whoever's it was."""
        self.acquire()
        try:
            if self._path is not None and self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
                self._path = None
            super().close()
        finally:
            self.release()

    # -- writing

    def _write(self, lines: Sequence[str]) -> None:
        if self._path is not None and time.monotonic() - self._looked >= 1.0:
            self._look(self._path)
        data = ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")
        if self._whole or len(data) <= _ATOMIC:
            _write_all(self._fd, data)
            return
        start = 0
        while start < len(data):
            end = data.rfind(b"\n", start, start + _ATOMIC) + 1
            if not end:  # one long line: it may be torn, there is no way to have it otherwise
                end = data.index(b"\n", start) + 1
            _write_all(self._fd, data[start:end])
            start = end

    def _write_to_stream(self, lines: Sequence[str]) -> None:
        stream = self._stream
        if stream is None:
            raise ValueError("this handler has been closed")
        stream.write("\n".join(lines) + "\n")
        stream.flush()

    def _look(self, path: str) -> None:
        """Is the file that we write to still the one that has this name?"""
        self._looked = time.monotonic()
        try:
            found = os.stat(path)
        except FileNotFoundError:
            self._open(path)
            return
        if (found.st_dev, found.st_ino) != self._identity:
            self._open(path)

    def _open(self, path: str) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        old, self._fd = self._fd, fd
        if old >= 0:
            os.close(old)
        status = os.fstat(fd)
        self._identity = (status.st_dev, status.st_ino)
        self._whole = stat.S_ISREG(status.st_mode)
        self._looked = time.monotonic()


def _descriptor(stream: Any) -> int:
    """That of ``stream``, if there is nothing between it and the system but a buffer."""
    try:
        if stream.encoding.lower().replace("-", "") not in ("utf8", "ascii"):
            return -1
        stream.flush()
        fd: int = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return -1
    return fd


def _write_all(fd: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        try:
            written += os.write(fd, data[written:] if written else data)
        except BlockingIOError:
            # Somebody has made the pipe non-blocking; the one who reads it is behind.
            if not select.select([], [fd], [], _STALL_SECONDS)[1]:
                raise


def _record_of(lines: Sequence[str]) -> logging.LogRecord:
    shown = f"{len(lines)} lines, the first of them: {lines[0]}"
    return logging.LogRecord("tornadoish.access", logging.INFO, __file__, 0, shown, None, None)
