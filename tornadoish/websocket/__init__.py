"""WebSockets: handlers and clients (Tornado: tornado.websocket)."""

from tornadoish.websocket.client import WebSocketClientConnection, websocket_connect
from tornadoish.websocket.connection import WebSocketConnection
from tornadoish.websocket.errors import (
    WebSocketClosedError,
    WebSocketError,
    WebSocketRefusedError,
)
from tornadoish.websocket.handler import WebSocketHandler
from tornadoish.websocket.inbox import IncomingMessage
from tornadoish.websocket.opening import ConnectRequest
from tornadoish.websocket.parameters import _default_max_message_size
from tornadoish.websocket.talking import broadcast

__all__ = [
    "ConnectRequest",
    "IncomingMessage",
    "WebSocketClientConnection",
    "WebSocketClosedError",
    "WebSocketConnection",
    "WebSocketError",
    "WebSocketHandler",
    "WebSocketRefusedError",
    "_default_max_message_size",
    "broadcast",
    "websocket_connect",
]
