"""The pages on a server that is neither ours nor Tornado's: h11 over asyncio's own streams."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from typing import Any

import h11

from client.pages import Page, Pairs, held, page, refused, release
from client.processes import CERT, KEY, run, tell, until_told_to_end


class Served:
    """One connection, which serves one request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.http = h11.Connection(h11.SERVER)

    async def event(self) -> Any:
        while True:
            event = self.http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self.http.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.http.receive_data(await self.reader.read(65536))

    async def send(self, event: Any) -> None:
        self.writer.write(self.http.send(event) or b"")
        await self.writer.drain()

    async def serve(self) -> None:
        request = await self.event()
        if not isinstance(request, h11.Request):
            return
        method, target = request.method.decode(), request.target.decode()
        fields = [
            (name.decode(), value.decode("latin-1")) for name, value in request.headers.raw_items()
        ]
        answer = refused(fields) if target == "/guarded" else None
        if answer is None:
            body = b""
            while isinstance(event := await self.event(), h11.Data):
                body += event.data
            answer = Page() if release(target) else page(method, target, fields, body)
        if answer.silent:
            await self.reader.read()
        elif answer.raw is not None:
            await self.send_raw(answer, answer.raw)
        else:
            await self.send_page(method, answer)

    async def send_page(self, method: str, page: Page) -> None:
        fields: Pairs = list(page.fields)
        if not page.sized:
            fields.append(("Transfer-Encoding", "chunked"))
        elif page.status not in (204, 304):
            fields.append(("Content-Length", str(sum(map(len, page.pieces)))))
        fields.append(("Connection", "close"))
        await self.send(h11.Response(status_code=page.status, headers=fields, reason=b"As asked"))
        for piece in [] if method == "HEAD" else page.pieces:
            await self.send(h11.Data(data=piece))
        await self.send(h11.EndOfMessage())

    async def send_raw(self, page: Page, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()
        if page.held:
            if await held(page.held) == "reset":
                sock = self.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.writer.transport.abort()
            else:
                self.writer.write(page.rest)
                await self.writer.drain()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, h11.RemoteProtocolError):  # the client has seen enough
        await Served(reader, writer).serve()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def listen(address: str, tls: ssl.SSLContext | None = None) -> tuple[Any, int | None]:
    try:
        server = await asyncio.start_server(serve, address, 0, ssl=tls)
    except OSError:
        return None, None
    return server, server.sockets[0].getsockname()[1]


async def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)
    servers = [await listen("127.0.0.1"), await listen("::1"), await listen("127.0.0.1", context)]
    tell(dict(zip(("http", "http6", "https"), [port for _, port in servers], strict=True)))
    await until_told_to_end()
    for server, _ in servers:
        if server is not None:
            server.close()


if __name__ == "__main__":
    run(main)
