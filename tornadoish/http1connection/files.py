"""Files as bodies: what ``HTTP1Connection.write_file`` does.

The stream moves the bytes; the writer is told how many, so that what is sent is still exactly what
was announced.
"""

from __future__ import annotations

from tornadoish.http1connection.message import HTTP1Message
from tornadoish.httputil.errors import HTTPOutputError
from tornadoish.iostream import StreamClosedError, copy_file, send_file


async def write_file(message: HTTP1Message, fd: int, offset: int, count: int) -> None:
    """See :meth:`HTTPConnection.write_file`."""
    pump = message.pump
    if pump is None or pump.stream.closed():
        raise StreamClosedError()
    if count <= 0:
        return
    stream, writer = pump.stream, pump.writer
    sent = 0
    if writer.set_aside(count):
        try:
            sent = await send_file(stream, fd, offset, count)
        finally:
            writer.take_back(sent)
            message.file_sent(sent)
            # After an error nobody knows how much of it is on its way: the answer stays incomplete.
            if sent < count and not stream.closed():
                message.abort()
    elif writer.sends_nothing:
        return
    else:
        sent = await copy_file(fd, offset, count, message.write)
        if sent < count:
            message.abort()
    if sent < count:
        raise HTTPOutputError(f"The file ended {count - sent} bytes too early")
