"""Rest: the last part of an answer, kept apart while it is transformed in a thread.

Made by ``Exchange.finish`` for what takes long to compress. The handler may go on meanwhile, and
what it does is nothing to what it has finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from tornadoish.httputil import HTTPHeaders, ResponseStartLine
from tornadoish.web.transforms import OutputTransform


class Rest:
    """``chunk`` is all that is left of an answer's body, and if it ``begins`` the answer, the head
    comes before it."""

    __slots__ = ("begins", "chunk", "headers", "reason", "status")

    def __init__(
        self, status: int, reason: str, headers: HTTPHeaders, chunk: bytes, *, begins: bool
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers.copy()
        self.chunk = chunk
        self.begins = begins

    async def transform(self, transforms: Iterable[OutputTransform]) -> None:
        """Apply ``transforms``, those that take long not in this thread."""
        loop = asyncio.get_running_loop()
        for transform in transforms:
            if transform.takes_long(self.status, self.headers, self.chunk):
                await loop.run_in_executor(None, self._apply, transform)
            else:
                self._apply(transform)

    def _apply(self, transform: OutputTransform) -> None:
        if self.begins:
            self.status, self.headers, self.chunk = transform.transform_first_chunk(
                self.status, self.headers, self.chunk, True
            )
        else:
            self.chunk = transform.transform_chunk(self.chunk, True)

    def write(self, connection: Any) -> asyncio.Future[None]:
        """Write it; the future is done when the client has taken enough."""
        written: asyncio.Future[None]
        if self.begins:
            line = ResponseStartLine("", self.status, self.reason)
            written = connection.write_headers(line, self.headers, self.chunk)
        else:
            written = connection.write(self.chunk)
        return written
