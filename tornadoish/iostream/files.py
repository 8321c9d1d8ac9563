"""Files: how the bytes of a file reach a stream, without passing through Python where they can.

Called by connections that are told to send a file. Nothing here waits for a disk in the loop's own
thread, as far as the system tells whether it would have to; and no peer, fast or slow, keeps others
waiting or holds more than a piece of the file.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from typing import Any

from tornadoish.iostream.base import OPEN, BaseIOStream
from tornadoish.iostream.errors import StreamClosedError

#: bytes of a file that one peer is sent before others have their turn; and that are waited for, if
#: a disk has them, at a time
SLICE = 512 * 1024
#: bytes of a file that are held, where they have to pass through Python
PIECE = 64 * 1024

_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)  # Linux
_fadvise: Callable[..., None] | None = getattr(os, "posix_fadvise", None)
_sendfile: Callable[[int, int, int, int], int] | None = getattr(os, "sendfile", None)
#: what sendfile says of files that are not of its kind
_NOT_THIS_WAY = frozenset((errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOVERFLOW))


# -- reading


def at_hand(fd: int, offset: int, count: int) -> bool | None:
    """Whether ``count`` bytes of a file at ``offset`` can be read without waiting for a disk. None:
    the system does not say (it is not Linux, or a file system such as tmpfs or overlayfs).

    Only the last of them is asked for: what is read in order comes into memory in order.
    """
    if not _NOWAIT:
        return None
    try:
        os.preadv(fd, [bytearray(1)], offset + count - 1, _NOWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _read_at(fd: int, count: int, offset: int) -> bytes:
    os.lseek(fd, offset, os.SEEK_SET)  # Windows has nothing better
    return os.read(fd, count)


#: ``read_at(fd, count, offset)``: up to ``count`` bytes of a file; less only at its end. May wait.
read_at: Callable[[int, int, int], bytes] = getattr(os, "pread", _read_at)


async def read_soon(fd: int, count: int, offset: int) -> bytes:
    """The same, in the loop's thread only if the bytes are at hand."""
    if at_hand(fd, offset, count):
        return read_at(fd, count, offset)
    data: bytes = await _in_thread(read_at, fd, count, offset)
    return data


async def _bring(fd: int, offset: int, count: int) -> None:
    """Let the system have these bytes at hand."""
    if not at_hand(fd, offset, count):
        await _in_thread(_fetch, fd, count, offset)


def _fetch(fd: int, count: int, offset: int) -> None:
    if _fadvise is None:
        read_at(fd, count, offset)
    else:
        _fadvise(fd, offset, count, os.POSIX_FADV_WILLNEED)
        read_at(fd, 1, offset + count - 1)  # which is there when the others are


async def _in_thread(read: Callable[[int, int, int], Any], fd: int, count: int, offset: int) -> Any:
    """``read`` with a descriptor of the thread's own: whoever gave up waiting may close his."""
    own = _Descriptor(os.dup(fd))
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, own.use, read, count, offset)


class _Descriptor:
    """A descriptor that is closed when nobody has it any more, used or not."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def use(self, read: Callable[[int, int, int], Any], count: int, offset: int) -> Any:
        return read(self._fd, count, offset)

    def __del__(self) -> None:
        os.close(self._fd)


async def copy_file(
    fd: int,
    offset: int,
    count: int,
    write: Callable[[bytes], Awaitable[None]],
    piece_size: int = PIECE,
) -> int:
    """Read part of a file piece by piece and give each to ``write``, when the one before is done.

    :returns: how many bytes there were: fewer than ``count`` if the file ends before.
    :raises OSError: it cannot be read; or whatever ``write`` raises.
    """
    copied = brought = 0
    while copied < count:
        size = min(piece_size, count - copied)
        if copied >= brought or at_hand(fd, offset + copied, size) is False:
            # More than a piece: a thread costs more than a piece does.
            ahead = min(SLICE, count - copied)
            await _bring(fd, offset + copied, ahead)
            brought = copied + ahead
        piece = read_at(fd, size, offset + copied)
        if not piece:
            break
        await write(piece)
        copied += len(piece)
        await asyncio.sleep(0)
    return copied


# -- sending


async def send_file(stream: BaseIOStream, fd: int, offset: int, count: int) -> int:
    """Send part of a file over ``stream``, behind what was written before. Until it is done,
    nothing else may be written.

    Over plain sockets the system moves the bytes (sendfile, on every loop that can watch a
    descriptor), else they are read and written. A peer that does not take them is bounded like any
    other: the stream counts as blocked as long as it is behind.

    :param fd: of a regular file, open for reading; its position is neither used nor moved, where
        the system has pread.
    :returns: how many bytes there were: fewer than ``count`` if the file ends before.
    :raises StreamClosedError: the stream is closed, or was before all was sent.
    :raises OSError: the file cannot be read.
    """
    sent = 0
    if can_send_file(stream):
        await _emptied(stream)
        try:
            while sent < count:
                size = min(SLICE, count - sent)
                await _bring(fd, offset + sent, size)
                moved = await _send_slice(stream, fd, offset + sent, size)
                sent += moved
                if moved < size:
                    return sent
        except _OtherWay as way:
            sent += way.sent
        finally:
            if stream.blocked and not stream.closed():
                stream.resume_writing()
    return sent + await copy_file(fd, offset + sent, count - sent, stream.write)


def can_send_file(stream: BaseIOStream) -> bool:
    """Whether the system can move a file's bytes to the stream's socket by itself."""
    return (
        _sendfile is not None
        and stream._state is OPEN
        and stream.ssl_object is None
        and stream.get_extra_info("socket") is not None  # else it leads to somewhere in memory
    )


class _OtherWay(Exception):
    """This file, or this socket, is none for sendfile; or there are no descriptors left."""

    def __init__(self, sent: int) -> None:
        self.sent = sent


async def _emptied(stream: BaseIOStream) -> None:
    """Wait until the transport has sent all that was written: the file comes behind it."""
    stream.flush_cork()
    transport = stream._transport
    if not transport.get_write_buffer_size():
        return
    transport.set_write_buffer_limits(0)  # it says that there is room when it is empty
    try:
        await stream.room()
    finally:
        if not transport.is_closing():
            transport.set_write_buffer_limits()


async def _send_slice(stream: BaseIOStream, fd: int, offset: int, size: int) -> int:
    """Send so many bytes, and let others have their turn; returned is how many there were."""
    sent = 0
    while sent < size:
        if stream.closed():
            raise StreamClosedError(stream.error)
        moved = _try_sendfile(stream, fd, offset + sent, size - sent, sent)
        if moved == 0:
            break
        if moved is None:
            await _writable(stream, sent)
            continue
        sent += moved
        if stream._progress is not None:
            stream._progress.given += moved
        if sent == size and moved == size and stream.blocked:
            stream.resume_writing()  # there was room for all of it: the peer has caught up
        await asyncio.sleep(0)
    return sent


def _try_sendfile(stream: BaseIOStream, fd: int, offset: int, size: int, sent: int) -> int | None:
    """What sendfile says; None: there is no room. ``sent`` is what was sent of the slice before."""
    if _sendfile is None:
        raise _OtherWay(sent)
    try:
        return _sendfile(stream._transport.get_extra_info("socket").fileno(), fd, offset, size)
    except (BlockingIOError, InterruptedError):
        return None
    except (ConnectionError, TimeoutError) as error:
        if stream.error is None:
            stream.error = error
        stream.abort()
        raise StreamClosedError(error) from None
    except OSError as error:
        if error.errno in _NOT_THIS_WAY:
            raise _OtherWay(sent) from None
        raise


async def _writable(stream: BaseIOStream, sent: int) -> None:
    """The peer is behind: wait until its socket takes more, as long as the stream allows."""
    if not stream.blocked:
        stream.pause_writing()
    loop = asyncio.get_running_loop()
    try:
        # A loop refuses to watch what a transport of its own watches. By another number it is
        # another descriptor.
        own = os.dup(stream._transport.get_extra_info("socket").fileno())
    except OSError:
        raise _OtherWay(sent) from None
    waiter: asyncio.Future[None] = loop.create_future()
    waiters = stream._write_waiters
    waiters.append(waiter)  # so it hears, too, when the stream is closed
    try:
        loop.add_writer(own, _wake, waiter)
        try:
            await waiter
        finally:
            loop.remove_writer(own)
    except NotImplementedError:
        raise _OtherWay(sent) from None  # Windows
    finally:
        os.close(own)
        if waiter in waiters:
            waiters.remove(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
