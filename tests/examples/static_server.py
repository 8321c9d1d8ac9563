"""Static files for test_static_download.py: `static_server.py DIRECTORY [--copy]`.

`--copy` takes sendfile away, as where the transport cannot use it. Prints its address.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from tornadoish import httpserver, netutil, web
from tornadoish.iostream import files


async def main(directory: str) -> None:
    """Serve until SIGTERM."""
    server = httpserver.HTTPServer(web.Application([], static_path=directory))
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}/", flush=True)
    await stopped.wait()
    await server.drain(1)


if __name__ == "__main__":
    if "--copy" in sys.argv:
        files._sendfile = None
    asyncio.run(main(sys.argv[1]))
