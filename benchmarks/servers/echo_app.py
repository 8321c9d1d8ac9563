"""What every server of `bad_input.py` runs: a request is answered with what it said.

The answer is the method, the target and the body, so that a request that was never sent, but found
in the bytes of another one, can be seen. Here for ASGI and WSGI; `echo_server.py` has the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

Message = dict[str, Any]


def echo(method: str, target: str, body: bytes) -> bytes:
    """The answer's body."""
    return f"{method} {target} ".encode("utf-8", "surrogateescape") + body


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """The ASGI callable; a WebSocket is refused."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
        return
    if scope["type"] != "http":
        return
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return  # nobody is there any more, or what came was no body
        body += message.get("body", b"")
        more = message.get("more_body", False)
    target = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    answer = echo(scope["method"], target, bytes(body))
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def wsgi_app(environ: Message, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI callable."""
    body = environ["wsgi.input"].read()
    target = environ.get("RAW_URI") or environ["PATH_INFO"]
    answer = echo(environ["REQUEST_METHOD"], target, body)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]
