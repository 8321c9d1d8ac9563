"""The limit: a protocol that parses nothing and writes a constant: `bare_uvloop.py PORT`.

It is no server: whatever bytes arrive in one read count as one request, or as the number told by
--pipelined. What it costs is what the kernel and the loop cost, and no server on this loop can be
below it.
"""

from __future__ import annotations

import asyncio
from typing import cast

from serving import HELLO, parser, run

RESPONSE = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n"
    b"\r\n%s" % (len(HELLO), HELLO)
)


class Constant(asyncio.Protocol):
    """One write for each read."""

    answer = RESPONSE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the bound method: even the attribute lookups are left out."""
        self.write = cast(asyncio.Transport, transport).write

    def data_received(self, _data: bytes) -> None:
        """Answer without looking."""
        self.write(self.answer)


async def main(port: int) -> None:
    """Serve until ended from outside."""
    loop = asyncio.get_running_loop()
    await loop.create_server(Constant, "127.0.0.1", port, backlog=1024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    Constant.answer = RESPONSE * options.pipelined
    run(main(options.port))
