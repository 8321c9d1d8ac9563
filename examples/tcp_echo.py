"""A TCP server without any HTTP: each line that a client sends comes back.

    python examples/tcp_echo.py [PORT]
    nc 127.0.0.1 8888

PORT is 8888 by default; 0 takes any free one. The address is printed on start. Ctrl-C or SIGTERM
ends it.
"""

import asyncio
import signal
import sys

from tornadoish.iostream import IOStream, StreamClosedError
from tornadoish.netutil import bind_sockets
from tornadoish.tcpserver import TCPServer

MAX_LINE = 64 * 1024
"""Bytes a line may have, its newline included; a client that sends a longer one is disconnected."""


class EchoServer(TCPServer):
    async def handle_stream(self, stream: IOStream, address: tuple[object, ...]) -> None:
        try:
            while True:
                line = await stream.read_until(b"\n", max_bytes=MAX_LINE)
                await stream.write(line)
        except StreamClosedError:
            pass  # the client has gone, or its line was too long
        finally:
            stream.close()


async def main(port: int) -> None:
    sockets = bind_sockets(port, "127.0.0.1")
    server = EchoServer()
    server.add_sockets(sockets)
    # Not HTTP, but the one form in which every example tells its address.
    print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    server.stop()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8888))
