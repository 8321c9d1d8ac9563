"""Streams of bytes over asyncio transports (Tornado: tornado.iostream)."""

from tornadoish.iostream.base import BaseIOStream, StreamReceiver
from tornadoish.iostream.deadlines import NEVER, DeadlineClock
from tornadoish.iostream.errors import (
    StreamBufferFullError,
    StreamClosedError,
    UnsatisfiableReadError,
)
from tornadoish.iostream.files import (
    PIECE,
    at_hand,
    can_send_file,
    copy_file,
    read_at,
    read_soon,
    send_file,
)
from tornadoish.iostream.outgoing import keep_alive, unsent_bytes
from tornadoish.iostream.stream import IOStream, SSLIOStream

__all__ = [
    "NEVER",
    "PIECE",
    "BaseIOStream",
    "DeadlineClock",
    "IOStream",
    "SSLIOStream",
    "StreamBufferFullError",
    "StreamClosedError",
    "StreamReceiver",
    "UnsatisfiableReadError",
    "at_hand",
    "can_send_file",
    "copy_file",
    "keep_alive",
    "read_at",
    "read_soon",
    "send_file",
    "unsent_bytes",
]
