"""MultipartDelegate: hears of a multipart/form-data body part by part, as it arrives.

The delegate form of streaming uploads: for bare delegates, and for handlers that pass on what
``data_received`` gives them. Handlers that would rather read than be told use
``RequestHandler.multipart``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator

from tornadoish.httputil.delegates import HTTPMessageDelegate
from tornadoish.httputil.form_limits import ParseMultipartConfig
from tornadoish.httputil.forms import check_form_coding
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.multipart import (
    PART_END,
    MultipartEvent,
    MultipartParser,
    PartHead,
)
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine


class MultipartDelegate(HTTPMessageDelegate):
    """Subclasses override the three hooks; each may return an awaitable, and nothing more is read
    before that is done.

    A subclass that overrides a method of the contract calls this class's, ``finish`` before all
    else: whether the form was whole is known only then. ``on_connection_close`` is called for
    every other end, also for a body that turned out malformed.

    :param config: the limits; default those of :func:`set_parse_body_config`.
    """

    def __init__(self, config: ParseMultipartConfig | None = None) -> None:
        self._config = config
        self._parser: MultipartParser | None = None

    # -- hooks

    def part_received(self, part: PartHead) -> Awaitable[None] | None:
        """A part begins."""
        return None

    def part_data(self, chunk: bytes) -> Awaitable[None] | None:
        """Some of its data, never empty."""
        return None

    def part_finished(self) -> Awaitable[None] | None:
        """That was all of it."""
        return None

    # -- HTTPMessageDelegate

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine | None, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """A body with these headers comes (the start line may be None: a handler has none).

        :raises HTTPInputError: (415) it is no multipart/form-data, or coded; (400) no boundary.
        """
        check_form_coding(headers)
        content_type: str = headers.get("Content-Type", "")
        self._parser = MultipartParser.for_content_type(content_type, self._config)
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Some of the body.

        :raises HTTPInputError: (at once, or from the awaitable) malformed (400), or beyond a limit
            (413).
        """
        if self._parser is None:
            raise RuntimeError("data_received() before headers_received()")
        events = self._parser.feed(chunk)
        for event in events:
            pending = self._tell(event)
            if pending is not None:
                return self._go_on(pending, events)
        return None

    async def _go_on(self, pending: Awaitable[None], events: Iterator[MultipartEvent]) -> None:
        await pending
        for event in events:
            more = self._tell(event)
            if more is not None:
                await more

    def _tell(self, event: MultipartEvent) -> Awaitable[None] | None:
        if type(event) is bytes:
            return self.part_data(event)
        if type(event) is PartHead:
            return self.part_received(event)
        return self.part_finished() if event is PART_END else None

    def finish(self) -> Awaitable[None] | None:
        """The body has ended.

        :raises HTTPInputError: (400) the form has not.
        """
        if self._parser is not None:
            try:
                self._parser.close()
            except Exception:
                # We have been told of the end, so nobody will tell us of another one.
                self.on_connection_close()
                raise
        return None
