"""What a stream can fail with (Tornado: tornado.iostream)."""

from __future__ import annotations


class StreamClosedError(OSError):
    """The stream is closed, or was closed while somebody waited for it.

    ``real_error`` is the exception that closed it, if there was one.
    """

    def __init__(self, real_error: BaseException | None = None) -> None:
        super().__init__("Stream is closed")
        self.real_error = real_error


class UnsatisfiableReadError(Exception):
    """What a read waits for cannot come any more: more than ``max_bytes`` came without it."""


class StreamBufferFullError(Exception):
    """More is to be kept than the stream's buffer may hold."""
