"""Output transforms: what may change an answer on its way out (Tornado: web.OutputTransform)."""

from __future__ import annotations

from tornadoish.httputil import HTTPHeaders, HTTPServerRequest


class OutputTransform:
    """Sees every piece of an answer before it is written; one instance per request.

    An application's ``transforms`` are classes like this one, applied in their order.
    """

    def __init__(self, request: HTTPServerRequest) -> None:
        """``request`` is the request that is answered."""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """The head and the first piece; ``finishing`` says that it is the last one too."""
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        """Any later piece."""
        return chunk

    def passes_on(self) -> bool:
        """Whether every later piece comes out as it goes in (ours alone, not Tornado's): then a
        file need not be read to be sent.

        Asked when the head has been sent.
        """
        return False

    def takes_long(self, status_code: int, headers: HTTPHeaders, chunk: bytes) -> bool:
        """Whether transforming ``chunk`` would keep the event loop from other work for too long
        (ours alone, not Tornado's).

        Asked where it is the last piece, or the only one: its transformation is then called in a
        thread, and the answer finished when that is done.
        """
        return False
