"""WebSocket servers that send back what they get: `websocket_echo.py KIND PORT`.

`core` is tornadoish.ws over a bare asyncio protocol, with just so much of HTTP as its handshake
needs; `tornadoish` and `tornado` run one handler, of the package that they are named after.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
from typing import Any

from serving import run

from tornadoish.ws import (
    CLOSED,
    DeflateOptions,
    HandshakeError,
    Message,
    Opening,
    Protocol,
    ProtocolError,
)

#: bytes of a message; the largest of Autobahn's cases has 16 MiB
LIMIT = 32 << 20


class CoreEcho(asyncio.Protocol):
    """One connection: reads wait while the client does not take its answers."""

    transport: asyncio.Transport
    protocol: Protocol | None = None
    head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """A request's head, and frames behind it."""
        if self.protocol is None:
            self.head += data
            head, end, rest = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            try:
                self.accept(head.decode("latin-1"))
            except HandshakeError as error:
                self.transport.write(f"HTTP/1.1 {error.status} {error}\r\n\r\n".encode())
                self.transport.close()
                return
            data = rest
        self.echo(data)

    def accept(self, head: str) -> None:
        """Answer the handshake."""
        line, *fields = head.split("\r\n")
        named = [field.partition(":") for field in fields]
        headers = {name.title(): value.strip() for name, _, value in named}
        headers = {key.replace("Websocket", "WebSocket"): value for key, value in headers.items()}
        answer = Opening.read(line.partition(" ")[0], headers).answer(deflate=DeflateOptions())
        lines = [f"{name}: {value}" for name, value in answer.headers]
        lines.insert(0, "HTTP/1.1 101 Switching Protocols")
        self.transport.write("\r\n".join([*lines, "\r\n"]).encode())
        self.protocol = Protocol(False, deflate=answer.deflate, max_message_size=LIMIT)

    def echo(self, data: bytes) -> None:
        """Send back each message as it came."""
        protocol = self.protocol
        if protocol is None:
            return
        protocol.receive(data)
        try:
            while (event := protocol.next_event()) is not None:
                if isinstance(event, Message):
                    self.transport.write(protocol.send_message(event.data))
                self.transport.write(protocol.bytes_to_send())
        except ProtocolError:
            self.transport.write(protocol.bytes_to_send())
            self.transport.close()
        if protocol.state is CLOSED:
            self.transport.close()

    def pause_writing(self) -> None:
        """The client is behind."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.transport.resume_reading()


async def serve_core(port: int) -> None:
    """Serve until ended from outside."""
    server = await asyncio.get_running_loop().create_server(CoreEcho, "127.0.0.1", port)
    await server.serve_forever()


async def serve_handler(package: str, port: int) -> None:
    """The same with a handler, of ``tornadoish`` or ``tornado``."""
    web: Any = importlib.import_module(f"{package}.web")
    websocket: Any = importlib.import_module(f"{package}.websocket")

    class Echo(websocket.WebSocketHandler):  # type: ignore[misc]
        """Sends back what it gets."""

        def check_origin(self, origin: str) -> bool:
            """Anybody may come."""
            return True

        def get_compression_options(self) -> dict[str, Any]:
            """Compress, with the defaults."""
            return {}

        async def on_message(self, message: str | bytes) -> None:
            """Send it back."""
            await self.write_message(message, binary=isinstance(message, bytes))

    app = web.Application([(r"/", Echo)], websocket_max_message_size=LIMIT)
    app.listen(port, address="127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["core", "tornadoish", "tornado"])
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    if options.kind == "core":
        run(serve_core(options.port))
    else:
        run(serve_handler(options.kind, options.port))
