"""Sending: part of a file as the next bytes of an answer, over whatever connection there is.

The fallback of :meth:`HTTPConnection.write_file`: a connection that has no way of its own is given
the file piece by piece.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tornadoish.httputil import HTTPConnection, HTTPOutputError
from tornadoish.iostream import PIECE, copy_file


async def send_file(connection: object, fd: int, offset: int, count: int) -> None:
    """Write ``count`` bytes of a file to ``connection``; errors as of its ``write_file``."""
    if isinstance(connection, HTTPConnection):
        try:
            await connection.write_file(fd, offset, count)
            return
        except NotImplementedError:
            pass
    write: Callable[[bytes], Awaitable[None]] = connection.write  # type: ignore[attr-defined]
    await send_by(write, fd, offset, count)


async def send_by(
    write: Callable[[bytes], Awaitable[None]],
    fd: int,
    offset: int,
    count: int,
    piece: int = PIECE,
) -> None:
    """Give ``count`` bytes of a file to ``write``, ``piece`` bytes at a time.

    :raises HTTPOutputError: there are fewer.
    """
    sent = await copy_file(fd, offset, count, write, piece)
    if sent < count:
        raise HTTPOutputError(f"The file ended {count - sent} bytes too early")
