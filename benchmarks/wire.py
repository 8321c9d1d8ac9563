"""A blocking HTTP/1.1 client just large enough to check an answer and to move a large body.

It is deliberately none of the libraries under test, and it copies nothing it does not have to: it
runs on one CPU against a server on the other and must not be the slower of the two.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from processes import HOST, ServerError

TIMEOUT_SECONDS = 10.0
BLOCK = 1 << 18
_MAX_HEAD = 1 << 16

Header = tuple[str, str]


@dataclass(frozen=True)
class Reply:
    """One response; `size` is all its bytes on the wire, the head included."""

    status: int
    headers: dict[str, str]
    body: bytes
    size: int


def connect(port: int, trust: str | None = None, source: str | None = None) -> socket.socket:
    """A connection on which nothing waits for ever: with TLS, if there is a certificate to
    `trust`, and from the loopback address `source`, if it has to be a certain one."""
    origin = None if source is None else (source, 0)
    sock = socket.create_connection((HOST, port), TIMEOUT_SECONDS, origin)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if trust is None:
        return sock
    return ssl.create_default_context(cafile=trust).wrap_socket(sock, server_hostname=HOST)


def head(method: str, target: str, port: int, headers: Iterable[Header] = ()) -> bytes:
    """A request's head as bytes."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}:{port}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def read_head(sock: socket.socket, data: bytes = b"") -> tuple[int, dict[str, str], int, bytes]:
    """Read one response head: status, headers in lower case, its length, body bytes so far.
    `data` is what has come of it already."""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(BLOCK)
        if not piece or len(data) > _MAX_HEAD:
            raise ServerError(f"no complete response head, only {data[:200]!r}")
        data += piece
    block, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = block.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if "content-length" not in headers:
        raise ServerError(f"answered without a Content-Length: {first}")
    return int(first.split()[1]), headers, len(block) + 4, rest


def read_replies(sock: socket.socket, count: int) -> Iterator[Reply]:
    """Read so many responses, and not a byte more, with their bodies."""
    rest = b""
    for _ in range(count):
        status, headers, head_size, rest = read_head(sock, rest)
        length = int(headers["content-length"])
        while len(rest) < length:
            piece = sock.recv(BLOCK)
            if not piece:
                raise ServerError(f"closed after {len(rest)} of {length} body bytes")
            rest += piece
        body, rest = rest[:length], rest[length:]
        yield Reply(status, headers, body, head_size + length)
    if rest:
        raise ServerError(f"sent {len(rest)} bytes beyond its Content-Length")


def read_reply(sock: socket.socket) -> Reply:
    """Read one response and keep its body."""
    [reply] = read_replies(sock, 1)
    return reply


def ask(port: int, target: str, trust: str | None = None) -> Reply:
    """One GET on a connection of its own."""
    with connect(port, trust) as sock:
        sock.sendall(head("GET", target, port))
        return read_reply(sock)
