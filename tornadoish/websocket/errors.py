"""What goes wrong with WebSockets, as applications see it (Tornado: tornado.websocket)."""

from __future__ import annotations

from tornadoish.httputil import HTTPHeaders


class WebSocketError(Exception):
    """The base of the others."""


class WebSocketClosedError(WebSocketError):
    """The WebSocket is closed, or is being closed: nothing can be sent any more."""


class WebSocketRefusedError(WebSocketError):
    """A server has answered a client's handshake otherwise than by a WebSocket (ours alone, not
    Tornado's, where it is an error of its HTTP client).

    :param code: the status of its answer; 101 if it has accepted, but not as RFC 6455 says.
    :param message: why, in words.
    :param headers: the fields of its answer.
    :param body: the body of its answer, the first 64 KiB of it.
    """

    def __init__(self, code: int, message: str, headers: HTTPHeaders, body: bytes = b"") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.headers = headers
        self.body = body

    def __str__(self) -> str:
        return f"HTTP {self.code}: {self.message}"
