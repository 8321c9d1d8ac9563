"""The pages on a server of ours or of Tornado's: a process that is told which by its argument."""

from __future__ import annotations

import gc
import logging
import socket
import ssl
import struct
import sys
from typing import Any

from libraries import Library

from client.pages import Page, held, page, refused, release
from client.processes import CERT, KEY, run, tell, until_told_to_end

library = Library(sys.argv[1])
web = library.web
StreamClosedError = library.iostream.StreamClosedError


class Pages(web.RequestHandler):  # type: ignore[name-defined, misc]
    """Answers every request with its page."""

    async def answer(self) -> None:
        request = self.request
        fields = list(request.headers.get_all())
        if release(request.uri):
            return
        await self.send(page(request.method, request.uri, fields, self.body()))

    SUPPORTED_METHODS = (*web.RequestHandler.SUPPORTED_METHODS, "PURGE")
    get = head = post = put = patch = delete = options = purge = answer

    def body(self) -> bytes:
        whole: bytes = self.request.body
        return whole

    async def send(self, page: Page) -> None:
        if page.silent:
            stream = self.detach()
            try:
                await stream.read_until_close()
            except StreamClosedError:
                pass
        elif page.raw is not None:
            await self.send_raw(page, page.raw)
        else:
            await self.send_page(page)

    async def send_page(self, page: Page) -> None:
        self.clear_header("Content-Type")
        self.set_status(page.status)
        for name, value in page.fields:
            self.add_header(name, value)
        for piece in page.pieces:
            self.write(piece)
            if not page.sized:
                await self.flush()
        self.finish()

    async def send_raw(self, page: Page, raw: bytes) -> None:
        stream = self.detach()
        try:
            await stream.write(raw)
            if page.held:
                if await held(page.held) == "reset" and stream.socket is not None:
                    sock = stream.socket
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    await stream.write(page.rest)
        except StreamClosedError:
            pass  # the client has seen enough
        stream.close()

    def compute_etag(self) -> None:
        """Nothing here is to differ between servers."""


@web.stream_request_body
class Guarded(Pages):
    """Looks at the head and may refuse the body."""

    def prepare(self) -> None:
        self.pieces: list[bytes] = []
        answer = refused(list(self.request.headers.get_all()))
        if answer is not None:
            self.set_status(answer.status)
            self.finish(b"".join(answer.pieces))

    def data_received(self, chunk: bytes) -> None:
        self.pieces.append(chunk)

    def body(self) -> bytes:
        return b"".join(self.pieces)


def listen(server: Any, address: str) -> int | None:
    try:
        sockets = library.netutil.bind_sockets(0, address)
    except OSError:
        return None
    server.add_sockets(sockets)
    port: int = sockets[0].getsockname()[1]
    return port


async def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
    application = web.Application([("/guarded", Guarded), (".*", Pages)])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)
    server = library.httpserver.HTTPServer(application)
    secure = library.httpserver.HTTPServer(application, ssl_options=context)
    tell(
        {
            "http": listen(server, "127.0.0.1"),
            "http6": listen(server, "::1"),
            "https": listen(secure, "127.0.0.1"),
        }
    )
    await until_told_to_end()
    for each in (server, secure):
        each.stop()
        await each.close_all_connections()
    gc.collect()


if __name__ == "__main__":
    run(main)
