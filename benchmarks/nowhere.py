"""Connections without a kernel and without a client, for benchmarks within one process.

What is to be read is given to the stream as bytes, and what is written is thrown away.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from tornadoish.httpserver import HTTPServer
from tornadoish.iostream import IOStream


class Nowhere(asyncio.Transport):
    """Takes all that is written."""

    def write(self, data: Any) -> None: ...
    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


def open_stream() -> IOStream:
    """A stream whose peer takes everything, and sends what ``data_received`` is given."""
    stream = IOStream(socket.socketpair()[0])
    stream.connection_made(Nowhere())
    return stream


def connect(server: HTTPServer) -> IOStream:
    """The stream of a connection to ``server``."""
    stream = open_stream()
    server.handle_stream(stream, ("127.0.0.1", 1))
    return stream
