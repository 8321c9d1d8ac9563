"""Sans-io WebSocket (RFC 6455) with permessage-deflate (RFC 7692), in both roles.

Imports no asyncio, socket, ssl or time, and knows neither HTTP/1 nor a handler: whoever has bytes
and header fields can use it. ``Protocol`` is a connection behind its handshake.
"""

from tornadoish.ws.deflate import Deflate
from tornadoish.ws.events import (
    Close,
    Event,
    Message,
    MessagePart,
    Ping,
    Pong,
    ProtocolError,
)
from tornadoish.ws.extensions import DeflateOptions
from tornadoish.ws.handshake import (
    Agreed,
    Answer,
    ClientOpening,
    HandshakeError,
    Opening,
    accept_key,
)
from tornadoish.ws.prepared import PreparedMessage
from tornadoish.ws.protocol import Protocol
from tornadoish.ws.states import CLOSED, CLOSING, FAILED, LOST, OPEN, State, WrongState

__all__ = [
    "CLOSED",
    "CLOSING",
    "FAILED",
    "LOST",
    "OPEN",
    "Agreed",
    "Answer",
    "ClientOpening",
    "Close",
    "Deflate",
    "DeflateOptions",
    "Event",
    "HandshakeError",
    "Message",
    "MessagePart",
    "Opening",
    "Ping",
    "Pong",
    "PreparedMessage",
    "Protocol",
    "ProtocolError",
    "State",
    "WrongState",
    "accept_key",
]
