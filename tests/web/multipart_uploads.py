"""Pieces of multipart bodies with the boundary B, and requests that carry them in chunks."""

from __future__ import annotations

from .serving import Peer, Site

TYPE = "Content-Type: multipart/form-data; boundary=B"
CHUNKED = "Transfer-Encoding: chunked"
LAST = b"--B--\r\n"


def field(name: str, value: bytes = b"x") -> bytes:
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + value + b"\r\n"


def file(name: str, value: bytes = b"x", filename: str = "x.bin") -> bytes:
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
    return head.encode() + b"Content-Type: a/b\r\n\r\n" + value + b"\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def upload(site: Site, body: bytes, *fields: str) -> Peer:
    """A request whose chunked body begins with ``body``."""
    peer = await site.connect()
    peer.send("POST / HTTP/1.1", "Host: a", TYPE, CHUNKED, *fields, body=chunk(body))
    return peer
