"""The smallest application: one handler on one address.

    python examples/hello.py [PORT]

PORT is 8888 by default; 0 takes any free one. The address is printed on start. Ctrl-C or SIGTERM
ends it.
"""

import asyncio
import signal
import sys

from tornadoish.httpserver import HTTPServer
from tornadoish.netutil import bind_sockets
from tornadoish.web import Application, RequestHandler


class MainHandler(RequestHandler):
    def get(self) -> None:
        self.write("Hello, world")


async def main(port: int) -> None:
    sockets = bind_sockets(port, "127.0.0.1")
    server = HTTPServer(Application([(r"/", MainHandler)]))
    server.add_sockets(sockets)
    print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await server.drain(10)  # seconds for whoever is being answered


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8888))
