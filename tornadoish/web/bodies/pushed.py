"""PushedBody: a body that its handler is given as it arrives (``stream_request_body``).

Stands between the delegate of a request and the handler's ``data_received``. What goes wrong there
is answered as it is in the handler's other methods. It never keeps anything of the body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from tornadoish.iostream import StreamClosedError


class Receiving(Protocol):
    """What is asked of a handler."""

    def data_received(self, chunk: bytes) -> Awaitable[None] | None: ...
    def _handle_request_exception(self, error: BaseException) -> None: ...


class PushedBody:
    """Gives ``handler`` the pieces of its body.

    :param end: a future, done when the body has been received to its end; or it fails with a
        :class:`StreamClosedError`, for that will not come.
    """

    __slots__ = ("_end", "_handler")

    def __init__(self, handler: Receiving, end: asyncio.Future[None]) -> None:
        self._handler = handler
        self._end = end

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece; what is returned has to be waited for."""
        try:
            pending = self._handler.data_received(chunk)
        except Exception as error:
            self._handler._handle_request_exception(error)
            return None
        return None if pending is None else self._watch(pending)

    async def _watch(self, pending: Awaitable[None]) -> None:
        try:
            await pending
        except Exception as error:
            self._handler._handle_request_exception(error)

    def finish(self) -> None:
        """The body has come to its end."""
        if not self._end.done():
            self._end.set_result(None)

    def on_connection_close(self) -> None:
        """The rest will not come, or nobody needs it."""
        if not self._end.done():
            self._end.set_exception(StreamClosedError())
            self._end.exception()  # the handler may have ended already
