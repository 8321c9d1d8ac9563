"""The words that a worker and its supervisor exchange: lines of JSON over a pair of sockets.

Used by both sides. It never touches a socket. Each side is held to believe little of the other: a
line has a bound, and what is no message is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

#: The variable by which a worker knows that it is one, and what it has inherited.
VARIABLE = "TORNADOISH_LINK"

#: bytes of one message
MAX_LINE = 64 * 1024

# What is said upwards ...
READY = "ready"
BEAT = "beat"
DRAINING = "draining"
FAILED = "failed"
# ... and downwards.
DRAIN = "drain"


class MessageError(ValueError):
    """The other side says what is no message."""


def encode(kind: str, **fields: Any) -> bytes:
    """A message as its line."""
    return json.dumps({"kind": kind, **fields}, separators=(",", ":")).encode() + b"\n"


class Messages:
    """The messages in a stream of bytes, however it is cut."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The messages that are complete with these bytes.

        :raises MessageError: a line is too long, or no message. The stream has no further use.
        """
        self._rest += data
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        if len(rest) > MAX_LINE:
            raise MessageError(f"a message of more than {MAX_LINE} bytes")
        for line in lines:
            yield _decoded(bytes(line))


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise MessageError(f"no message: {line[:100]!r}")
    return message
