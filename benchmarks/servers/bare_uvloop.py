"""The limit: a protocol that parses nothing and writes a constant: `bare_uvloop.py PORT`.

It is no server: whatever bytes arrive in one read count as one request. What it costs is what the
kernel and the loop cost, and no server on this loop can be below it.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

from serving import HELLO, run

RESPONSE = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n"
    b"\r\n%s" % (len(HELLO), HELLO)
)


class Constant(asyncio.Protocol):
    """One write for each read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the bound method: even the attribute lookups are left out."""
        self.write = cast(asyncio.Transport, transport).write

    def data_received(self, _data: bytes) -> None:
        """Answer without looking."""
        self.write(RESPONSE)


async def main(port: int) -> None:
    """Serve until ended from outside."""
    loop = asyncio.get_running_loop()
    await loop.create_server(Constant, "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    run(main(int(sys.argv[1])))
