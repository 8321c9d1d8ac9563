"""BaseIOStream: one connection's bytes, pushed to a receiver or pulled by reads.

It IS the asyncio protocol of its transport: no second buffer layer, the same code on asyncio and
uvloop, over TCP, Unix sockets and TLS. ``iostream.stream`` adds how it comes to its transport. It
never says "HTTP". (Interface: Tornado, tornado.iostream.)

Whoever receives more than anyone takes pauses the transport, so what a peer can make a stream hold
is one read of the transport on top of what somebody asked for.
"""

from __future__ import annotations

import asyncio
import operator
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final, Protocol, TypeVar, cast

from tornadoish.buffer import ReceiveBuffer
from tornadoish.compiling import mypyc_attr
from tornadoish.iostream.deadlines import NEVER, DeadlineClock
from tornadoish.iostream.errors import (
    StreamBufferFullError,
    StreamClosedError,
    UnsatisfiableReadError,
)
from tornadoish.iostream.outgoing import Progress
from tornadoish.iostream.reads import (
    Read,
    ReadBytes,
    ReadInto,
    ReadUntil,
    ReadUntilClose,
    ReadUntilRegex,
)
from tornadoish.log import app_log, gen_log

T = TypeVar("T")
ExcInfo = None | bool | BaseException | tuple[Any, Any, Any]

# The life of a stream. Reads may still be served from the buffer in the last two.
NEW: Final = "new"  # no transport yet: what is written waits
OPEN: Final = "open"
CLOSING: Final = "closing"  # closed for us; the transport may still be sending
CLOSED: Final = "closed"

#: A piece of this many bytes, or this many pieces, are sent although a stream is corked, so that
#: gathering never hoards.
CORK_BYTES: Final = 16 * 1024
CORK_PIECES: Final = 64

#: Seconds in which the peer of a closed stream has to take at least some of what was written, and
#: to end its side of TLS.
CLOSE_SECONDS = 30.0


_NOT_OPEN: Final[Any] = None


class StreamReceiver(Protocol):
    """Who is given a stream's bytes as they come."""

    def bytes_arrived(self) -> bool:
        """``stream.buffer`` has grown. False: nobody takes more now, pause."""
        ...

    def end_of_input(self) -> None:
        """The peer will send nothing more."""

    def stream_closed(self) -> None:
        """The stream is closed; nothing follows."""

    def deadline_passed(self) -> None:
        """The deadline that was set has come."""


@mypyc_attr(allow_interpreted_subclasses=True)
class BaseIOStream:
    """A stream over an asyncio transport, present or to come.

    :param max_buffer_size: bytes that a read may make the stream hold (default 100 MiB).
    :param read_chunk_size: bytes that are held when nobody reads (default 64 KiB).
    :param max_write_buffer_size: bytes that may wait to be sent (default: no limit; awaiting
        :meth:`write` is the better one).
    """

    MAX_BUFFER_SIZE: ClassVar[int] = 100 * 1024 * 1024  # bytes

    __slots__ = ("_close_callback", "_done", "_loop", "_pending", "_progress", "_read",
                 "_read_future", "_receiver", "_state", "_transport", "_write_rate",
                 "_write_seconds", "_write_waiters", "blocked", "buffer", "clock",
                 "corked", "deadline", "error", "max_buffer_size",
                 "max_write_buffer_size", "on_lost", "on_open", "paused",
                 "read_chunk_size")  # fmt: skip

    def __init__(
        self,
        max_buffer_size: int | None = None,
        read_chunk_size: int | None = None,
        max_write_buffer_size: int | None = None,
    ) -> None:
        self.max_buffer_size = max_buffer_size or self.MAX_BUFFER_SIZE
        self.read_chunk_size = min(read_chunk_size or 64 * 1024, self.max_buffer_size)
        self.max_write_buffer_size = max_write_buffer_size
        self.buffer = ReceiveBuffer()
        self.error: BaseException | None = None
        self.deadline = NEVER
        #: called with the stream when its transport is there (a server's hook)
        self.on_open: Callable[[Any], None] | None = None
        #: called once when the connection is gone, whoever has the stream then (a server's hook)
        self.on_lost: Callable[[], None] | None = None
        self._state = NEW
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: Any = None  # an asyncio.Transport while OPEN or CLOSING
        self._receiver: StreamReceiver | None = None
        self._close_callback: Callable[[], None] | None = None
        self.clock: DeadlineClock | None = None
        # reading
        self.paused = False  #: whether the transport has been told to read no more
        self._read: Read | None = None
        self._read_future: asyncio.Future[Any] | None = None
        # writing: what waits for a transport, what is gathered, who waits for room
        self._pending: list[bytes] = []
        self.corked: list[bytes] | None = None  #: what is gathered, while it is
        self._done: asyncio.Future[None] = _NOT_OPEN  # a future that is done, once it is open
        self.blocked = False  #: whether the peer is behind, and what is written waits
        self._write_waiters: list[asyncio.Future[None]] = []
        # how fast a peer must take what it is sent, and what it takes while that is watched
        self._write_seconds: float | None = None
        self._write_rate = 0
        self._progress: Progress | None = None

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._state is not NEW:  # closed before it was open
            cast(asyncio.Transport, transport).abort()
            return
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()
        self._done.set_result(None)
        self._state = OPEN
        if self._pending:
            pending, self._pending = self._pending, []
            self.blocked = False
            # Which may block again; writelines() of Python 3.12 forgets to say so.
            self._transport.write(b"".join(pending))
            if not self.blocked:
                self.resume_writing()
        if self.on_open is not None:
            self.on_open(self)

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer
        if buffer.data:
            buffer.append(data)
        else:
            buffer.data = data
        receiver = self._receiver
        if receiver is not None:
            if not receiver.bytes_arrived():
                self.pause_reading()
            return
        if self._read is not None:
            self._try_read(self._read)
        nobody = self._receiver is None and self._read is None
        if nobody and len(buffer) >= self.read_chunk_size:
            self.pause_reading()

    def eof_received(self) -> bool:
        if self._receiver is not None:
            self._receiver.end_of_input()
        self.close()  # a peer that only sends gets no answer
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.error is None and exc is not None:
            self.error = exc
        self._state = CLOSED
        self._transport = None
        self._let_go()

    def pause_writing(self) -> None:
        self.blocked = True
        if self._write_seconds is not None:
            self._watch_writing(self._write_seconds)

    def resume_writing(self) -> None:
        self.blocked = False
        if self._progress is not None and self._state is OPEN and self.clock is not None:
            self._progress = None
            self.clock.caught_up(self)
        waiters, self._write_waiters = self._write_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # -- pushing

    def set_receiver(self, receiver: StreamReceiver | None) -> None:
        """Give arriving bytes to ``receiver`` from now on, or to nobody.

        What is in the buffer already is not announced: look there first.
        """
        self._receiver = receiver
        if receiver is not None:
            self._attach()
            self.resume_reading()

    def pause_reading(self) -> None:
        """Let nothing more come in; the peer feels it when the system's buffers are full."""
        if not self.paused and self._state is OPEN and self._transport is not None:
            self.paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """The opposite of :meth:`pause_reading`."""
        if self.paused:
            self.paused = False
            if self._state is OPEN and self._transport is not None:
                self._transport.resume_reading()

    # -- deadlines

    def watch(self, clock: DeadlineClock) -> None:
        """Let ``clock`` tell the receiver when its deadline has come."""
        self.clock = clock
        if self._state is not CLOSED:  # else nobody would ever take it off
            clock.add(self)

    def set_deadline(self, seconds: float | None) -> None:
        """Tell the receiver in ``seconds``, unless this is called again before; None: do not."""
        if seconds is None:
            self.deadline = NEVER
            return
        self.deadline = self._get_clock(seconds).after(seconds)

    def _get_clock(self, seconds: float) -> DeadlineClock:
        """The clock, or one of our own that is good enough for ``seconds``."""
        clock = self.clock
        if clock is None:
            clock = DeadlineClock(min(1.0, max(0.01, seconds / 4)))
            self.watch(clock)
        return clock

    def deadline_passed(self) -> None:
        if self._receiver is not None:
            self._receiver.deadline_passed()
        elif self._state is CLOSING:
            self.abort()

    def set_write_pace(self, seconds: float | None, bytes_per_second: int = 0) -> None:
        """Abort the stream when its peer is behind (above the transport's high-water mark) and
        takes less than so much, on average over ``seconds``; None: wait for ever, as at first."""
        self._write_seconds = seconds
        self._write_rate = bytes_per_second

    def _watch_writing(self, seconds: float) -> None:
        if self._transport is not None:
            self._progress = Progress(self._transport)
            self._get_clock(seconds).fell_behind(self, seconds)

    def write_deadline_passed(self) -> None:
        """The peer has been behind for so long: does it take anything?"""
        progress, self._progress = self._progress, None
        seconds = CLOSE_SECONDS if self._state is CLOSING else self._write_seconds
        if seconds is None or progress is None:
            return
        if progress.taken() < max(1.0, seconds * self._write_rate):
            gen_log.info("Peer takes too little of what it is sent: %r", self)
            if self.error is None:
                self.error = TimeoutError("The peer takes too little of what it is sent")
            self.abort()
        else:
            self._watch_writing(seconds)

    # -- pulling

    def read_bytes(self, num_bytes: int, partial: bool = False) -> Awaitable[bytes]:
        """Read ``num_bytes`` bytes; with ``partial``, as many of them as are there, at least one.

        A TypeError is raised at once for what is no integer.

        Every read fails with :class:`StreamClosedError` if the stream closes before it has what
        it waits for. Only one may be waiting at a time (AssertionError). One that is cancelled
        takes nothing, except that ``read_into`` keeps what it has put into its buffer.
        """
        return self._start_read(ReadBytes(operator.index(num_bytes), partial))

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Read all up to and with ``delimiter``.

        If that takes more than ``max_bytes``, the stream is closed and the ``real_error`` of the
        :class:`StreamClosedError` is an :class:`UnsatisfiableReadError`.
        """
        return self._start_read(ReadUntil(delimiter, max_bytes))

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Read all up to and with the first match of ``regex``; otherwise as ``read_until``."""
        return self._start_read(ReadUntilRegex(regex, max_bytes))

    def read_into(self, buf: bytearray | memoryview, partial: bool = False) -> Awaitable[int]:
        """Fill ``buf``, or with ``partial`` some of it; the result is the number of bytes.

        :raises TypeError: nothing can be written into ``buf``.
        """
        return self._start_read(ReadInto(memoryview(buf).cast("B"), partial))

    def read_until_close(self) -> Awaitable[bytes]:
        """Read until the peer ends (at most ``max_buffer_size`` bytes)."""
        return self._start_read(ReadUntilClose())

    def _start_read(self, read: Read) -> asyncio.Future[Any]:
        if self.reading():
            raise AssertionError("Already reading")
        self._attach()
        self._read = read
        future = self._read_future = self._get_loop().create_future()
        self._try_read(read, ended=self.closed())
        if not future.done():
            self.resume_reading()
        return future

    def _try_read(self, read: Read, ended: bool = False) -> None:
        """Satisfy the waiting read from the buffer if that is possible."""
        future = self._read_future
        if future is not None and future.cancelled():  # what has come is for the next one
            self._read = self._read_future = None
            return
        try:
            result = read.take(self.buffer, ended)
            if result is None:
                wanted = read.wants
                if len(self.buffer) > self.max_buffer_size or (
                    wanted is not None and wanted > self.max_buffer_size
                ):
                    raise StreamBufferFullError("Reached maximum read buffer size")
        except (UnsatisfiableReadError, StreamBufferFullError) as error:
            gen_log.info("Closing stream: %s", error)
            self._read = None
            self.close(error)
            self._fail_read()
            return
        if result is not None:
            self._read = self._read_future = None
            if future is not None and not future.done():
                future.set_result(result)
        elif ended:
            self._fail_read()

    def _fail_read(self) -> None:
        future, self._read, self._read_future = self._read_future, None, None
        if future is not None and not future.done():
            future.set_exception(StreamClosedError(self.error))
            future.exception()  # nobody has to look at it

    # -- writing

    def write(self, data: bytes | bytearray | memoryview) -> asyncio.Future[None]:
        """Send ``data``. The future is done when the peer has taken enough that more may follow; a
        buffer of the caller's may be changed again as soon as this returns, for it is copied.

        :raises StreamClosedError: the stream is closed.
        :raises StreamBufferFullError: more than ``max_write_buffer_size`` would wait.
        """
        if type(data) is not bytes:
            # Transports may send it later, and its owner writes into it again; no int is meant.
            data = bytes(memoryview(data))
        corked = self.corked
        if corked is not None and self._state is OPEN:
            corked.append(data)
            if len(data) < CORK_BYTES and len(corked) < CORK_PIECES and not self.blocked:
                return self._done
            self.flush_cork()
        elif self._state is OPEN:
            if self.max_write_buffer_size is not None:
                self._check_write_buffer(len(data))
            _send(self, self._transport, data)
            if not self.blocked:
                return self._done
        else:
            self._write_unopened(data)
        return self.room()

    def room(self) -> asyncio.Future[None]:
        """A future that is done when there is room to write; no new one in the usual case."""
        if not self.blocked and self._state is OPEN:
            return self._done
        waiter: asyncio.Future[None] = self._get_loop().create_future()
        if self.closed():
            waiter.set_exception(StreamClosedError(self.error))
            waiter.exception()
        else:
            self._write_waiters.append(waiter)
            if not self.blocked and self._state is OPEN:
                self.resume_writing()
        return waiter

    def _write_unopened(self, data: bytes) -> None:
        if self.closed():
            raise StreamClosedError(self.error)
        self._check_write_buffer(len(data))
        self._attach()
        self._pending.append(data)
        self.blocked = True

    def _check_write_buffer(self, more: int) -> None:
        waiting = sum(map(len, self._pending))
        if self._transport is not None:
            waiting += self._transport.get_write_buffer_size()
        if self.max_write_buffer_size is not None and waiting + more > self.max_write_buffer_size:
            raise StreamBufferFullError("Reached maximum write buffer size")

    def cork(self) -> None:
        """Gather what is written until :meth:`uncork`, to send it at once."""
        if self.corked is None:
            self.corked = []

    def flush_cork(self) -> None:
        """Send what is gathered and go on gathering."""
        if self.corked:
            self.uncork()
            self.corked = []

    def uncork(self) -> None:
        """Send what is gathered, if it is, and gather no longer."""
        corked = self.corked
        self.corked = None
        if corked and self._state is OPEN and self._transport is not None:
            _send(self, self._transport, corked[0] if len(corked) == 1 else b"".join(corked))

    # -- opening

    def _get_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def _attach(self) -> None:
        """Somebody reads or writes: get a transport, if there is none yet."""

    def _is_connected(self) -> bool:
        """Whether there is a peer already, but no transport, and a loop to have one in."""
        return False

    def _cancel_opening(self) -> None:
        """The stream is closed before it had a transport."""

    # -- closing

    def close(self, exc_info: ExcInfo = False) -> None:
        """Close the stream: what was written is still sent, reads fail.

        :param exc_info: what ``error`` shall be: an exception, an exc_info tuple, or True for the
            one that is being handled.
        """
        if self.closed():
            return
        if exc_info:
            self.error = _exception_of(exc_info)
        transport = self._transport
        if transport is not None:
            self.uncork()
            self._state = CLOSING
            transport.close()
            if self._read is not None:
                self._try_read(self._read, ended=True)
            if transport.get_write_buffer_size() or self.ssl_object is not None:
                self._watch_writing(CLOSE_SECONDS)
        else:
            self._state = CLOSED
            self._cancel_opening()
            self._let_go()

    def abort(self) -> None:
        """Close the stream at once: what has not been sent is dropped."""
        if self._transport is not None:
            self._state = CLOSING
            self._transport.abort()
        else:
            self.close()

    def reset(self) -> None:
        """Abort the stream in a way that its peer can tell from an end, where there is one."""
        self.abort()

    def write_eof(self) -> None:
        """Say that nothing more will be written, where the transport can (TLS cannot)."""
        self.uncork()
        if self._state is OPEN and self._transport is not None and self._transport.can_write_eof():
            try:
                self._transport.write_eof()
            except OSError as error:  # the peer has reset it, and nobody has noticed yet
                self.error = error
                self.abort()

    def _let_go(self) -> None:
        """The stream is closed: tell everyone who is concerned, and hold nothing any longer."""
        on_lost, self.on_lost = self.on_lost, None
        if on_lost is not None:
            on_lost()
        self._progress = None
        if self.clock is not None:
            self.clock.discard(self)
        if self._read is not None:
            self._try_read(self._read, ended=True)
        waiters, self._write_waiters = self._write_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(StreamClosedError(self.error))
                waiter.exception()
        self._pending.clear()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.stream_closed()
        callback, self._close_callback = self._close_callback, None
        if callback is not None:
            self._call(callback)

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:
            app_log.error("Exception in close callback of %r", self, exc_info=True)

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Call ``callback`` when the stream is closed, by whomever; soon, if it is already."""
        if callback is not None and self._state is CLOSED:
            self._get_loop().call_soon(self._call, callback)
            return
        self._close_callback = callback
        if callback is not None and self._is_connected():
            self._attach()  # else nobody would notice

    def take_close_callback(self) -> Callable[[], None] | None:
        """What was given to ``set_close_callback``; calling it is the caller's from now on."""
        callback, self._close_callback = self._close_callback, None
        return callback

    # -- looking

    def reading(self) -> bool:
        """Whether a read waits."""
        return self._read_future is not None and not self._read_future.done()

    def writing(self) -> bool:
        """Whether something that was written has not been sent yet."""
        if self._transport is None:
            return bool(self._pending)
        return bool(self.corked) or self._transport.get_write_buffer_size() > 0

    def closed(self) -> bool:
        """Whether the stream has been closed, by us or the peer."""
        return self._state is CLOSING or self._state is CLOSED

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """The TLS session, or None on a plain stream."""
        if self._transport is None:
            return None
        return cast("ssl.SSLObject | None", self._transport.get_extra_info("ssl_object"))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the transport knows (asyncio.BaseTransport.get_extra_info)."""
        if self._transport is None:
            return default
        return self._transport.get_extra_info(name, default)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state} {self.buffer!r}>"


def _send(stream: BaseIOStream, transport: Any, data: bytes) -> None:
    if stream._progress is not None:
        stream._progress.given += len(data)
    if transport.is_closing():
        stream.blocked = True  # a send has failed: connection_lost() comes next, and says why
    else:
        transport.write(data)


def _exception_of(exc_info: ExcInfo) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return cast("BaseException | None", exc_info[1])
    return sys.exc_info()[1]
