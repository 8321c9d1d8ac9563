"""Events: answers that are streams of server-sent events (WHATWG HTML, 9.2), ours alone.

The first event opens the stream. From then on a timer looks after it: where nothing else was sent
for a while it sends a comment, so that proxies let the connection live and a client that is gone is
noticed. When the server stops, the application ends its streams. Nothing is kept of what was sent:
where a client comes back, its ``last_event_id`` says what it has seen, and the handler knows what
follows.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tornadoish.escape import json_encode
from tornadoish.iostream import StreamClosedError
from tornadoish.web.errors import Finish
from tornadoish.web.failures import Failures
from tornadoish.web.tasks import current_context

EventData = str | bytes | dict[Any, Any] | list[Any]

_LINE_END = re.compile(rb"\r\n|\r|\n")
_NOT_IN_FIELDS = re.compile("[\r\n\0]")  # an id with a NUL would be ignored
_HEARTBEAT = b":\n\n"
#: seconds by which a timer may come too early
_CLOCK_RESOLUTION = 0.002


class Events(Failures):
    """Failures, and answers that are streams of events."""

    #: seconds without an event after which a comment is sent; None: never
    event_heartbeat: float | None = 15.0

    _event_stream: _Stream | None = None

    @property
    def last_event_id(self) -> str | None:
        """The ``id`` of the last event that the client has had (``Last-Event-ID``), if there was
        one: what comes behind it is to be sent first. The client's word: it may be anything."""
        value: str | None = self.request.headers.get("Last-Event-ID")
        return None if value is None else value.encode("latin-1").decode("utf-8", "replace")

    async def send_event(
        self,
        data: EventData | None,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
    ) -> None:
        """Send an event; the first one opens the stream. Done when there is room for more.

        When the client goes away, the coroutine that has opened the stream is cancelled. When the
        server stops, the stream is ended (a browser will come back, to another server) and the
        coroutine is cancelled, too, unless it is within :meth:`event_stream`. A client that is not
        to come back any more is told so by a 204 in place of a stream.

        :param data: text, or bytes that are UTF-8; a dict or list is sent as JSON. The client sees
            all kinds of line ends as ``\\n``. None: it takes note of ``id`` and ``retry`` only.
        :param event: the type of the event; without it the client's is "message".
        :param id: what :attr:`last_event_id` is when the client comes back after this event.
        :param retry: milliseconds that it should wait before that.
        :raises ValueError: a line end or NUL in ``event`` or ``id``; a ``retry`` below 0.
        :raises TypeError: data of another type.
        :raises RuntimeError: the head of another answer has been sent already.
        :raises StreamClosedError: the client is gone (before the stream was opened: later, the
            coroutine is cancelled), or the stream was ended. Who lets it leave the handler ends it,
            without a word in the log.
        """
        message = _message(data, event, id, retry)
        await (self._event_stream or self._open_event_stream()).send(message)

    async def send_comment(self, text: str = "") -> None:
        """Send what clients ignore; otherwise as :meth:`send_event`."""
        message = b"".join([b": %b\n" % line for line in _LINE_END.split(text.encode())]) + b"\n"
        await (self._event_stream or self._open_event_stream()).send(message)

    @asynccontextmanager
    async def event_stream(self) -> AsyncIterator[None]:
        """``async with self.event_stream():`` opens the stream at once, before there is an event.

        When the server stops, the block is left, wherever it waits, as one of
        :func:`asyncio.timeout` is, but without an error. What stands behind it is done then, and
        may send events still. When the client goes away, the coroutine is cancelled all the same.

        :raises RuntimeError: the head of another answer has been sent already.
        """
        stream = self._event_stream or self._open_event_stream()
        cancelling = stream.task.cancelling()
        stream.in_block = True
        try:
            await stream.send(b"")
            yield
        except asyncio.CancelledError:
            if not stream.has_cancelled(cancelling):
                raise  # it was somebody else
        else:
            stream.has_cancelled(cancelling)
        finally:
            stream.in_block = False

    def _handle_request_exception(self, error: BaseException) -> None:
        stream = self._event_stream
        if isinstance(error, StreamClosedError) and stream is not None and stream.is_lost:
            if not self._finished:
                self._abandon()  # as if it had been cancelled
            return
        super()._handle_request_exception(error)

    def _open_event_stream(self) -> _Stream:
        if self._headers_written:
            raise RuntimeError("A stream of events behind the head of another answer")
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A stream of events needs a coroutine")
        self.set_header("Content-Type", "text/event-stream")
        for name, value in (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")):
            if name not in self._headers:
                self.set_header(name, value)
        if self.request.method == "HEAD":
            self.flush()
            raise Finish  # there is nothing that will ever be sent behind the head
        # A stream without a reader is of no use. Said to the instance, too: of a task that was
        # started eagerly nobody has told the connection yet.
        self.cancel_on_close = True
        self.handler_timeout = None
        self.request.connection.worked_on_by(task, cancel_on_close=True)
        stream = self._event_stream = _Stream(self, task)
        return stream


class _Stream:
    """What an open stream of events has beside its answer.

    :param task: the coroutine that feeds it; the stream is looked after as long as that runs.
    """

    __slots__ = (
        "_context", "_ending", "_handler", "_last", "_loop", "_sent", "_timer", "in_block",
        "is_lost", "task",
    )  # fmt: skip

    def __init__(self, handler: Events, task: asyncio.Task[Any]) -> None:
        self.task = task
        #: the task is in a block that it leaves when it is cancelled
        self.in_block = False
        #: somebody has been told that nothing can be sent any more
        self.is_lost = False
        self._handler: Events | None = handler
        self._ending = False  # it was cancelled by us
        self._sent: asyncio.Future[None] | None = None  # the last flush
        # Where on_finish() is to be called, if it is we who finish.
        self._context = current_context(handler.request.connection)
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()  # when something was sent
        self._timer: asyncio.TimerHandle | None = None
        handler.application.event_streams.add(self)
        task.add_done_callback(self._stop)
        self._set_timer(handler)
        if handler.application.draining.is_set():
            self.on_drain()

    async def send(self, message: bytes) -> None:
        handler = self._handler
        if handler is None or (self._ending and handler._finished):
            self.is_lost = True
            raise StreamClosedError()
        if message:
            handler.write(message)
        self._last = self._loop.time()
        self._sent = handler.flush()
        try:
            await self._sent
        except StreamClosedError:
            self.is_lost = True
            raise

    # -- while nothing is sent

    def _set_timer(self, handler: Events) -> None:
        if handler.event_heartbeat is not None:
            self._timer = self._loop.call_at(
                self._last + handler.event_heartbeat, self._beat, context=self._context
            )

    def _beat(self) -> None:
        handler = self._handler
        if handler is None or handler._finished or handler.event_heartbeat is None:
            return
        now = self._loop.time()
        if now + _CLOCK_RESOLUTION >= self._last + handler.event_heartbeat:
            self._last = now
            # Not to a client that has enough to read, and not in the middle of something.
            if (self._sent is None or self._sent.done()) and not handler._write_buffer:
                handler.write(_HEARTBEAT)
                self._sent = handler.flush()
        self._set_timer(handler)

    # -- the end

    def on_drain(self) -> None:
        """The server stops."""
        self._loop.call_soon(self._end, context=self._context)

    def _end(self) -> None:
        handler = self._handler
        if handler is None or handler._finished or self._ending:
            return
        self._ending = True
        try:
            if not self.in_block:
                handler.finish()
        finally:
            self.task.cancel()

    def has_cancelled(self, cancelling: int) -> bool:
        """Take it back that the task was cancelled, if it was from here. True: from nowhere else.

        :param cancelling: how often it was before.
        """
        return self._ending and self.task.uncancel() <= cancelling

    def _stop(self, _: object) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.application.event_streams.discard(self)
        if self._timer is not None:
            self._timer.cancel()


def _message(
    data: EventData | None, event: str | None, id: str | int | None, retry: int | None
) -> bytes:
    """An event as it goes on the wire (9.2.5)."""
    fields = []
    if event is not None:
        fields.append(b"event: %b\n" % _checked("event", event))
    if id is not None:
        fields.append(b"id: %b\n" % _checked("id", str(id)))
    if retry is not None:
        if retry < 0:
            raise ValueError(f"A client cannot wait {retry} milliseconds")
        fields.append(b"retry: %d\n" % retry)
    if data is not None:
        fields += [b"data: %b\n" % line for line in _LINE_END.split(_encoded(data))]
    return b"".join(fields) + b"\n"


def _checked(name: str, text: str) -> bytes:
    if _NOT_IN_FIELDS.search(text) is not None:
        raise ValueError(f"A line end or NUL in the {name} of an event: {text!r}")
    return text.encode()


def _encoded(data: EventData) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes):
        return data
    if isinstance(data, (dict, list)):  # pyright: ignore[reportUnnecessaryIsInstance]
        return json_encode(data).encode()
    raise TypeError(f"Data of an event must be text, bytes, a dict or a list, not {data!r}")
