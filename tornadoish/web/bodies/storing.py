"""Storing: files that are written as a body arrives, without keeping the loop from its work.

Whatever may wait for a disk is done in a thread, and what has begun there is waited for even by who
is cancelled: nobody closes a file under a thread that writes to it. Nothing is left behind by an
upload that fails: no descriptor, and no file.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from io import BufferedReader, BytesIO, RawIOBase
from pathlib import Path
from typing import BinaryIO, Self, TypeVar, cast

from tornadoish.httputil import HTTPHeaders, HTTPInputError
from tornadoish.httputil.multipart import PartHead

T = TypeVar("T")

#: bytes that are gathered for one trip into a thread
BLOCK = 256 * 1024


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """What ``function`` returns, called in a thread of the loop's executor.

    Who waits for this and is cancelled is so when the function is done, not before.
    """
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(None, function, *arguments)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError:
                continue
        if not future.cancelled():
            future.exception()  # nobody asks for it any more
        raise


async def _take_blocks(
    pieces: AsyncIterator[bytes], limit: int | None, take: Callable[[bytes], Awaitable[None]]
) -> int:
    """Give the pieces to ``take``, in blocks; returned is their size.

    :raises HTTPInputError: (413) there are more than ``limit`` bytes.
    """
    total = size = 0
    block: list[bytes] = []
    async for piece in pieces:
        total += len(piece)
        if limit is not None and total > limit:
            raise HTTPInputError("File too large", 413, survives=True)
        block.append(piece)
        size += len(piece)
        if size >= BLOCK:
            await take(b"".join(block))
            block, size = [], 0
    if block:
        await take(b"".join(block))
    return total


class _File:
    """A file that is written in threads; each of its methods but ``add`` is for one."""

    def __init__(self) -> None:
        self.file: BinaryIO | None = None

    async def add(self, block: bytes) -> None:
        await in_thread(self.write, block)

    def open(self) -> BinaryIO:
        raise NotImplementedError

    def write(self, block: bytes) -> None:
        """All of it: a file without a buffer may take less at a time."""
        if self.file is None:
            self.file = self.open()
        rest = memoryview(block)
        while rest:
            rest = rest[self.file.write(rest) :]

    def discard(self) -> None:
        if self.file is not None:
            self.file.close()


# -- under a name


async def save(
    pieces: AsyncIterator[bytes], path: str | os.PathLike[str], limit: int | None
) -> int:
    """Write ``pieces`` to the file ``path``, which is there when it is whole.

    Until then it has another name in the same directory: an upload that fails leaves what was there
    before. A file that is there is replaced.

    :returns: its size, in bytes.
    :raises OSError: it cannot be written.
    :raises HTTPInputError: (413) more than ``limit`` bytes.
    """
    file = _PartialFile(Path(path))
    try:
        await file.add(b"")  # what cannot be written is known before the body is read
        size = await _take_blocks(pieces, limit, file.add)
        await in_thread(file.keep)
    except BaseException:
        await in_thread(file.discard)
        raise
    return size


class _PartialFile(_File):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.partial = path.with_name(f".upload-{secrets.token_hex(8)}")

    def open(self) -> BinaryIO:
        return self.partial.open("xb", buffering=0)

    def keep(self) -> None:
        super().discard()
        self.partial.replace(self.path)

    def discard(self) -> None:
        super().discard()
        if self.file is not None:
            self.partial.unlink(missing_ok=True)


# -- without a name


class Upload:
    """A part that has been read to its end: in memory, or in a file that has no name.

    ``name``, ``filename``, ``content_type`` and ``headers`` are those of the part, ``size`` is in
    bytes, and ``file`` a binary file, open for reading at its begin; reading from it waits for the
    disk if ``on_disk``, so use :meth:`read`. It is closed by :meth:`close`, at the end of a
    ``with`` statement, or when nobody has the upload any more.
    """

    def __init__(self, head: PartHead, file: BinaryIO, size: int, on_disk: bool) -> None:
        self.name: str = head.name
        self.filename: str | None = head.filename
        self.content_type: str | None = head.content_type
        self.headers: HTTPHeaders = head.headers
        self.file = file
        self.size = size
        self.on_disk = on_disk
        self.close: Callable[[], object] = weakref.finalize(self, _close, file, on_disk)
        """Let go of the file. Done in a thread if it is on disk, for that takes its time."""

    async def read(self, size: int = -1) -> bytes:
        """So many of the next bytes, or all; fewer only at the end."""
        if self.on_disk:
            return await in_thread(self.file.read, size)
        return self.file.read(size)

    async def seek(self, offset: int) -> None:
        """Go on reading so many bytes behind the begin."""
        self.file.seek(offset)  # nothing is read yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        where = "on disk" if self.on_disk else "in memory"
        return f"<Upload {self.name!r} {self.filename!r}: {self.size} bytes {where}>"


def _close(file: BinaryIO, on_disk: bool) -> None:
    if on_disk:
        try:
            asyncio.get_running_loop().run_in_executor(None, file.close)
            return
        except RuntimeError:  # there is no loop any more
            pass
    file.close()


async def spool(
    head: PartHead,
    pieces: AsyncIterator[bytes],
    max_memory: int,
    limit: int | None,
    directory: str | os.PathLike[str] | None,
) -> Upload:
    """Read ``pieces`` into memory, and into a temporary file as soon as they are more than
    ``max_memory`` bytes; limits and errors as of :func:`save`."""
    spooled = _SpooledFile(max_memory, directory)
    try:
        size = await _take_blocks(pieces, limit, spooled.add)
    except BaseException:
        await in_thread(spooled.discard)
        raise
    file = spooled.file
    if file is None:
        return Upload(head, BytesIO(b"".join(spooled.memory)), size, on_disk=False)
    file.seek(0)
    return Upload(head, cast(BinaryIO, BufferedReader(cast(RawIOBase, file))), size, on_disk=True)


class _SpooledFile(_File):
    def __init__(self, max_memory: int, directory: str | os.PathLike[str] | None) -> None:
        super().__init__()
        self.max_memory = max_memory
        self.directory = directory
        self.memory: list[bytes] = []
        self.size = 0

    def open(self) -> BinaryIO:
        return cast(BinaryIO, tempfile.TemporaryFile(buffering=0, dir=self.directory))

    async def add(self, block: bytes) -> None:
        self.size += len(block)
        if self.size <= self.max_memory:
            self.memory.append(block)
            return
        held, self.memory = self.memory, []
        for written in [*held, block]:
            await super().add(written)
