"""The upload example's server and a client for it that can stop half-way."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .running import Example


class UploadServer:
    """A running examples/upload/server.py, and the directory that it fills."""

    def __init__(self, example: Example, directory: Path) -> None:
        self.example = example
        self.directory = directory

    def names(self) -> set[str]:
        """All that is in the directory, temporary files too."""
        return {path.name for path in self.directory.iterdir()}


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    result: dict[str, object]


class RawUpload:
    """One request on a connection of its own, sent piece by piece."""

    def __init__(self, server: UploadServer) -> None:
        self.socket = server.example.connect()

    def __enter__(self) -> RawUpload:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def head(self, target: str, *fields: str, method: str = "PUT") -> None:
        """Send a request line and header fields; Host is added."""
        lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def chunk(self, data: bytes) -> None:
        """Send a piece of a chunked body; an empty one ends it."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def reset(self) -> None:
        """Close the connection as a crash does, with a TCP reset."""
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # struct linger: on, 0 seconds
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def answer(self, method: str = "PUT") -> Answer:
        """Read the answer, which has to be JSON (unless it is one to a HEAD)."""
        response = http.client.HTTPResponse(self.socket, method=method)
        response.begin()
        body = response.read()
        if method != "HEAD":
            assert response.headers["Content-Type"] == "application/json", (response.status, body)
        return Answer(response.status, response.headers, json.loads(body or b"{}"))

    def closed(self) -> bool:
        """Wait until the server has closed the connection, and sent nothing more."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True


def blocks(total: int, block: bytes) -> Iterator[bytes]:
    """`total` bytes made of repetitions of `block`, a block at a time."""
    while total > 0:
        yield block[:total]
        total -= len(block)
