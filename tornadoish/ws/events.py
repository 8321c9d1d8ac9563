"""What ``Protocol.next_event`` returns, and the error that it raises.

Plain values: nothing here knows a frame or a connection.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Message:
    """A whole message: ``data`` is a str if it is text, bytes if it is binary."""

    data: str | bytes

    @property
    def binary(self) -> bool:
        """Whether the message is binary."""
        return not isinstance(self.data, str)


@dataclass(slots=True)
class MessagePart:
    """Some of a message, as it arrives (``Protocol(by_parts=True)``).

    ``begins`` and ``ends`` say whether it is the first and the last part. How a message is cut
    into parts says nothing: not where its frames end, nor what was sent at once. A last part may
    be empty, no other is.
    """

    data: str | bytes
    begins: bool
    ends: bool

    @property
    def binary(self) -> bool:
        """Whether the message is binary; the same for all of its parts."""
        return not isinstance(self.data, str)


@dataclass(slots=True)
class Ping:
    """A Ping (RFC 6455, 5.5.2), at most 125 bytes. Its Pong waits in ``bytes_to_send``."""

    data: bytes


@dataclass(slots=True)
class Pong:
    """A Pong (RFC 6455, 5.5.3), asked for or not, at most 125 bytes."""

    data: bytes


@dataclass(slots=True)
class Close:
    """The peer's Close (RFC 6455, 5.5.1): the last event. ``code`` is None if it names none.

    If it is the first one, the answer waits in ``bytes_to_send``.
    """

    code: int | None
    reason: str


Event = Message | MessagePart | Ping | Pong | Close


class ProtocolError(Exception):
    """The peer broke the rules, or a limit.

    ``code`` is the close code that says so (1002, 1007, 1008, 1009), ``reason`` the same in words;
    both are in the Close that waits in ``bytes_to_send``.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason} ({self.code})"
