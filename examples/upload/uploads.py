"""PUT /files/NAME: a request whose body goes to disk while it arrives.

Used by server.py. A RequestHandler gets its body whole, at the end; the delegate in here gets it in
pieces. While a block is on its way to the disk the server reads nothing more from that client. The
rest waits on the client's side, and the memory used is the same for a kilobyte and for a terabyte.

The answer is 201 with {"name": ..., "size": ..., "sha256": ...}, or an error status with
{"error": ...}. How files are named and kept apart is told in storage.py.
"""

import asyncio
import errno
import json
import logging
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import cast
from urllib.parse import quote

from sizes import human_size
from storage import BadNameError, PartialFile, file_name

from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    responses,
)

BLOCK_BYTES = 1024 * 1024  # gathered before they go to a thread, so that the hop costs little

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

log = logging.getLogger("upload")


class Uploads(HTTPServerConnectionDelegate):
    """Where the route /files/ ends: makes one Upload for each request."""

    def __init__(self, directory: Path, max_size: int) -> None:
        self.directory = directory
        self.max_size = max_size

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        return Upload(request_conn, self)


class Upload(HTTPMessageDelegate):
    """One request, from its head to its answer: the public methods are in the order of its life.

    The server calls none before what the one before has returned is done. So the blocks of a file
    reach the disk in order, though each is written by whichever thread is free.
    """

    def __init__(self, connection: HTTPConnection, uploads: Uploads) -> None:
        self._connection = connection
        self._uploads = uploads
        self._method = ""
        self._name = ""
        self._block = bytearray()
        self._size = 0
        self._file: PartialFile | None = None  # while there is one to write, publish or remove

    async def headers_received(self, start_line: object, headers: HTTPHeaders) -> None:
        """Refuse what its head alone shows to be wrong; else make the temporary file."""
        request = cast(RequestStartLine, start_line)
        self._method = request.method
        if request.method in ("GET", "HEAD"):
            return self._refuse(404, "There is nothing to download here.")
        if request.method != "PUT":
            return self._refuse(405, "Files are uploaded with PUT.", Allow="PUT")
        try:
            self._name = file_name(request.path.partition("?")[0])
        except BadNameError as error:
            return self._refuse(400, str(error))
        size = int(headers.get("Content-Length", "0"))  # digits: the server has checked
        limit = self._uploads.max_size
        if size > limit:
            return self._refuse(413, f"The file is larger than {human_size(limit)}.")
        self._connection.set_max_body_size(sys.maxsize)  # we count, if no size was announced

        self._file = PartialFile(self._uploads.directory)
        try:
            await asyncio.to_thread(self._file.open, size)
        except OSError as error:
            await self._fail(self._file, error)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Keep a small piece for later; have the server wait until a full block is written."""
        if self._file is None:
            return None
        self._size += len(chunk)
        if self._size > self._uploads.max_size:
            return self._refuse_large(self._file)
        self._block += chunk
        return self._write_block(self._file) if len(self._block) >= BLOCK_BYTES else None

    async def finish(self) -> None:
        """The body has come whole: give the file its name, and answer."""
        file = self._file
        if file is None:
            return
        try:
            await asyncio.to_thread(file.write, self._block)
            name = await asyncio.to_thread(file.publish, self._name)
        except OSError as error:
            await self._fail(file, error)
            return
        self._file = None
        log.info("%s: %s, SHA-256 %s", name, human_size(file.size), file.sha256)
        result = {"name": name, "size": file.size, "sha256": file.sha256}
        self._answer(201, result, Location=f"/files/{quote(name)}")

    def on_connection_close(self) -> None:
        """Called instead of finish(): the client has gone, or was refused. Leave nothing behind."""
        if self._file is not None:
            asyncio.get_running_loop().run_in_executor(None, self._file.discard)
            self._file = None

    async def _write_block(self, file: PartialFile) -> None:
        block, self._block = self._block, bytearray()
        try:
            await asyncio.to_thread(file.write, block)
        except OSError as error:
            await self._fail(file, error)

    async def _refuse_large(self, file: PartialFile) -> None:
        """More has come than may come, and nobody had said so."""
        await asyncio.to_thread(file.discard)
        self._file = None
        self._refuse(413, f"The file is larger than {human_size(self._uploads.max_size)}.")

    async def _fail(self, file: PartialFile, error: OSError) -> None:
        """The disk did not do what was asked of it."""
        log.error("%s: %s", self._name, error)
        await asyncio.to_thread(file.discard)
        self._file = None
        if error.errno in DISK_FULL:
            self._refuse(507, "There is not enough space for this file.")
        else:
            self._refuse(500, "The file could not be stored.")

    def _refuse(self, status: int, message: str, **fields: str) -> None:
        """Answer with an error. What is still to come of the body will not be read."""
        self._answer(status, {"error": message}, **fields)

    def _answer(self, status: int, result: dict[str, object], **fields: str) -> None:
        body = json.dumps(result).encode() + b"\n"
        headers = HTTPHeaders(fields)
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(body))
        start_line = ResponseStartLine("HTTP/1.1", status, responses[status])
        chunk = None if self._method == "HEAD" else body
        self._connection.write_headers(start_line, headers, chunk)
        self._connection.finish()
