"""What can go wrong with a message, and what follows from it.

An error of this module answers the three questions that whoever catches it has to answer: whose
fault was it, which status says so to the peer, and may the connection live on. Protocols raise
them, connections act on them; nothing here knows a protocol.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Fault = Literal["peer", "ours"]


class HTTPMessageError(Exception):
    """A message that cannot be read or written as it stands.

    ``fault`` says who broke the rules, ``status`` is the code to answer with, ``survives`` whether
    the connection's framing is still known, so that it may serve another message.
    """

    fault: ClassVar[Fault]

    def __init__(self, message: str = "", status: int = 400, *, survives: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.survives = survives

    @property
    def message(self) -> str:
        """The reason in words: for logs, never sent to the peer unescaped."""
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[object, ...]:
        return type(self)._rebuild, (self.message, self.status, self.survives)

    @classmethod
    def _rebuild(cls, message: str, status: int, survives: bool) -> HTTPMessageError:
        return cls(message, status, survives=survives)


class HTTPInputError(HTTPMessageError):
    """The peer sent something malformed or beyond a limit (Tornado: httputil.HTTPInputError)."""

    fault = "peer"


class HTTPOutputError(HTTPMessageError):
    """Our side tried to send a message that breaks its own framing or grammar
    (Tornado: httputil.HTTPOutputError)."""

    fault = "ours"

    def __init__(self, message: str = "", status: int = 500, *, survives: bool = False) -> None:
        super().__init__(message, status, survives=survives)
