"""The bare ASGI callable that uvicorn and granian serve: no framework, everything by hand.

It is the floor of what an ASGI application can cost on these servers, not what one usually does.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from serving import CHUNK, CHUNKS_PER_MIB, HELLO, loop_name

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def answer(
    send: Send, body: bytes, kind: bytes = b"text/plain; charset=utf-8", status: int = 200
) -> None:
    """Send one complete response."""
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read(receive: Receive) -> bytes:
    """The whole request body."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def count(receive: Receive) -> int:
    """The length of the request body, none of it kept."""
    received = 0
    while True:
        message = await receive()
        received += len(message.get("body", b""))
        if not message.get("more_body"):
            return received


async def download(send: Send, mib: int) -> None:
    """Send `mib` MiB, a chunk a message: ASGI's `send` is where backpressure is waited for."""
    kind = (b"content-type", b"application/octet-stream")
    length = (b"content-length", str(mib << 20).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [kind, length]})
    for _ in range(mib * CHUNKS_PER_MIB):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Route by hand, the cheapest comparison first."""
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path in ("/", "/coro"):
        await answer(send, HELLO)
    elif path.startswith("/json/"):
        number, names = path[6:], parse_qs(scope["query_string"].decode("ascii")).get("name")
        if not number.isdecimal():
            await answer(send, b"not found", status=404)
        elif names is None:
            await answer(send, b"name is missing", status=400)
        else:
            value = {"id": int(number), "name": names[-1]}
            await answer(send, json.dumps(value).encode(), b"application/json")
    elif path == "/echo":
        await answer(send, await read(receive), b"application/octet-stream")
    elif path == "/upload":
        await answer(send, str(await count(receive)).encode())
    elif path.startswith("/download/"):
        await download(send, int(path[10:]))
    elif path == "/loop":
        await answer(send, loop_name().encode())
    else:
        await answer(send, b"not found", status=404)
