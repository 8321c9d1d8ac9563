"""Files as answers: ``wsgi.file_wrapper`` (PEP 3333, "Optional Platform-Specific File Handling").

An application may return a file wrapped in it. If it is a plain file on disk the connection sends
it itself, and no thread is kept for that; else its pieces are an answer like any other.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from io import BufferedRandom, BufferedReader, FileIO
from typing import Any

#: Whose descriptor is known to hold what they read: others, such as gzip's, have one as well.
_PLAIN_FILES = (BufferedReader, BufferedRandom)


class FileWrapper:
    """What is in ``filelike``, in pieces of ``block_size`` bytes."""

    def __init__(self, filelike: Any, block_size: int = 64 * 1024) -> None:
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece: bytes = self.filelike.read(self.block_size)
        if not piece:
            raise StopIteration
        return piece

    def part_of_file(self) -> tuple[int, int, int] | None:
        """Descriptor, offset and number of bytes of what is to be sent; None if this is no plain
        file."""
        file = self.filelike
        raw = file.raw if type(file) in _PLAIN_FILES else file
        if type(raw) is not FileIO:
            return None
        try:
            fd = raw.fileno()
            status = os.fstat(fd)
            offset = file.tell()
        except (OSError, ValueError):
            return None  # whoever reads it learns why
        if not stat.S_ISREG(status.st_mode):
            return None
        return fd, offset, max(0, status.st_size - offset)
