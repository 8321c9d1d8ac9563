"""A server that takes forms with files of any size: run as a process by test_multipart_upload.

    python multipart_server.py DIRECTORY

Files are saved into DIRECTORY, "spooled" ones are read into a temporary file and measured there,
and "dropped" ones are not read; the answer says of each part what there was.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import sys
from pathlib import Path

from tornadoish import web
from tornadoish.httpserver import HTTPServer
from tornadoish.netutil import bind_sockets

TERABYTE = 1 << 40


@web.pull_request_body
class Upload(web.RequestHandler):
    def initialize(self, directory: Path) -> None:
        self.directory = directory

    def prepare(self) -> None:
        self.request.connection.set_max_body_size(TERABYTE)

    async def post(self) -> None:
        found: list[list[object]] = []
        async for part in self.multipart():
            if not part.is_file:
                found.append([part.name, await part.text()])
            elif part.name == "spooled":
                upload = await part.spool()
                digest = hashlib.file_digest(upload.file, "sha256")  # type: ignore[arg-type]
                found.append([part.name, part.filename, upload.size, digest.hexdigest()])
            elif part.name != "dropped":
                size = await part.save(self.directory / f"{len(found)}")
                found.append([part.name, part.filename, size])
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps({"found": found}))


async def main(directory: Path) -> None:
    server = HTTPServer(web.Application([("/", Upload, {"directory": directory})]))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}/", flush=True)
    await ended.wait()
    server.stop()
    await server.close_all_connections()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
