"""Upload files of any size, from a browser or with curl, straight to disk.

    python examples/upload/server.py --directory uploads
    curl -T film.mkv http://127.0.0.1:8888/files/

An ordinary Application serves the page at /, which sends each file as `PUT /files/NAME`. Those
requests go by another route, to the delegate in uploads.py, which is given bodies as they arrive.
"""

import argparse
import asyncio
import logging
import signal
from pathlib import Path

from sizes import human_size, parse_size
from uploads import Uploads

from tornadoish.httpserver import HTTPServer
from tornadoish.netutil import bind_sockets
from tornadoish.routing import AnyMatches, PathMatches, Rule, RuleRouter
from tornadoish.web import Application, RequestHandler

PAGE = Path(__file__).parent / "page"

OTHER_BODY_BYTES = 16 * 1024  # no other request than an upload needs a body


class AssetHandler(RequestHandler):
    """GET /style.css and /upload.js: the two files that the page needs."""

    TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}  # noqa: RUF012

    def get(self, name: str) -> None:
        asset = PAGE / name  # one of the names in the route, nothing else
        self.set_header("Content-Type", self.TYPES[asset.suffix])
        self.write(asset.read_bytes())


class PageHandler(RequestHandler):
    """GET /: the page, which is told how large a file may be."""

    def initialize(self, max_size: int) -> None:
        self.max_size = max_size

    def get(self) -> None:
        page = (PAGE / "index.html").read_text(encoding="utf-8")
        page = page.replace("{{ max_bytes }}", str(self.max_size))
        page = page.replace("{{ max_size }}", human_size(self.max_size))
        self.set_header("Content-Security-Policy", "default-src 'self'; img-src 'self' data:")
        self.write(page)


def routes(directory: Path, max_size: int) -> RuleRouter:
    """Uploads to their delegate, everything else to an Application."""
    page = Application(
        [
            (r"/", PageHandler, {"max_size": max_size}),
            (r"/(style\.css|upload\.js)", AssetHandler),
        ]
    )
    return RuleRouter(
        [
            Rule(PathMatches(r"/files/.*"), Uploads(directory, max_size)),
            Rule(AnyMatches(), page),
        ]
    )


async def main(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM; uploads that are under way then are given up."""
    options.directory.mkdir(parents=True, exist_ok=True)
    router = routes(options.directory, options.max_size)
    server = HTTPServer(router, max_body_size=OTHER_BODY_BYTES)
    sockets = bind_sockets(options.port, options.address)
    server.add_sockets(sockets)
    host = f"[{options.address}]" if ":" in options.address else options.address
    print(f"http://{host}:{sockets[0].getsockname()[1]}", flush=True)

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    server.stop()
    await server.close_all_connections()


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Take uploads from browsers and from curl.")
    parser.add_argument("--port", type=int, default=8888, help="default 8888; 0: any free one")
    parser.add_argument("--address", default="127.0.0.1", help="default 127.0.0.1: this host only")
    parser.add_argument("--directory", type=Path, default=Path("uploads"), help="default ./uploads")
    parser.add_argument("--max-size", type=parse_size, default="10GiB", help="default 10GiB a file")
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    asyncio.run(main(parse_options()))
