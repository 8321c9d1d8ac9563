"""A connection without sockets: two asyncio transports, and what is on its way between them.

``connect`` gives two protocols a transport each. Used by ``testing.memory_connection``, and where a
foreign server keeps the connection to itself; nothing here knows what is sent. Each direction holds
a bounded number of bytes on its way (as the systems' buffers do), and behind that what the sender's
transport keeps: so back-pressure is what it is on a socket, and so are half-closed connections,
ends and resets. Nothing is delivered in the call that sends it, but in a later round of the loop.
"""

from __future__ import annotations

import asyncio
import errno
import socket as socket_module
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tornadoish.buffer import ReceiveBuffer

#: bytes on their way in one direction, by default
CAPACITY = 64 * 1024
#: bytes that a protocol is given at once, by default (as by asyncio's own transports)
READ_SIZE = 256 * 1024
#: bytes that a transport keeps until it tells its protocol to stop, and to go on, by default
HIGH_WATER, LOW_WATER = 64 * 1024, 16 * 1024

# The life of one end.
OPEN = "open"
ENDING = "ending"  # write_eof(): nothing more is written, reading goes on
CLOSING = "closing"  # close(): what was written is still sent, nothing is read
CLOSED = "closed"


class MemorySocket:
    """What ``get_extra_info("socket")`` gives: a socket's look, with nothing behind it.

    Options can be set and are kept; SO_LINGER of zero seconds makes a reset out of the end, as
    ``socket(7)`` says. There is no descriptor, so what needs one is refused with OSError (ENOTSUP).
    """

    family = socket_module.AF_INET
    type = socket_module.SOCK_STREAM
    proto = socket_module.IPPROTO_TCP

    def __init__(self, here: tuple[str, int], there: tuple[str, int]) -> None:
        self._here = here
        self._there = there
        self._options: dict[tuple[int, int], Any] = {}

    def getsockname(self) -> tuple[str, int]:
        return self._here

    def getpeername(self) -> tuple[str, int]:
        return self._there

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        self._options[level, option] = value

    def getsockopt(self, level: int, option: int, size: int = 0) -> Any:
        """What was set.

        :raises OSError: nothing was (ENOPROTOOPT).
        """
        try:
            return self._options[level, option]
        except KeyError:
            raise OSError(errno.ENOPROTOOPT, "an option that nobody has set") from None

    def fileno(self) -> int:
        raise OSError(errno.ENOTSUP, "a connection in memory has no descriptor")

    def resets(self) -> bool:
        """Whether closing is to drop everything and reset the connection."""
        linger = self._options.get((socket_module.SOL_SOCKET, socket_module.SO_LINGER))
        if not isinstance(linger, bytes) or len(linger) != struct.calcsize("ii"):
            return False
        on, seconds = struct.unpack("ii", linger)
        return bool(on) and seconds == 0


class MemoryTLS:
    """What ``get_extra_info("ssl_object")`` gives on a connection that counts as one over TLS,
    though nothing is encrypted and nobody has a certificate."""

    def getpeercert(self, binary_form: bool = False) -> dict[str, Any] | None:
        return None

    def selected_alpn_protocol(self) -> str | None:
        return None

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> tuple[str, str, int] | None:
        return None


class Wire:
    """One direction: what was sent and has not been read."""

    __slots__ = ("bytes", "capacity", "ended", "reset", "unread")

    def __init__(self, capacity: int) -> None:
        self.bytes = ReceiveBuffer()
        self.capacity = capacity
        self.ended = False  #: nothing comes behind what is there
        self.reset = False  #: the sender has reset the connection
        self.unread = False  #: the receiver is gone: nobody will ever read

    @property
    def room(self) -> int:
        return max(0, self.capacity - len(self.bytes))


class PipeTransport(asyncio.Transport):
    """One end. Its protocol is an :class:`asyncio.Protocol` (not a ``BufferedProtocol``)."""

    _peer: Any  # the other end; None when both are closed

    def __init__(
        self,
        protocol: asyncio.Protocol,
        loop: asyncio.AbstractEventLoop,
        incoming: Wire,
        outgoing: Wire,
        extra: Mapping[str, Any],
        read_size: int,
    ) -> None:
        super().__init__(extra)
        self._socket: MemorySocket = extra["socket"]
        self._loop = loop
        self._protocol: Any = protocol
        self._incoming = incoming
        self._outgoing = outgoing
        self._read_size = read_size
        self._state = OPEN
        self._reading = True
        self._told_end = False  # eof_received() has been called
        self._turn: asyncio.Handle | None = None  # a look at what there is to do is due
        self._kept = ReceiveBuffer()  # written, and there was no room on the wire yet
        self._blocked = False
        self._low, self._high = LOW_WATER, HIGH_WATER

    # -- reading

    def is_reading(self) -> bool:
        """Whether what arrives is given to the protocol."""
        return self._reading and self._state in (OPEN, ENDING)

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._wake()

    # -- writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``; what finds no room on the wire is kept. After the end it is dropped.

        :raises TypeError: no bytes.
        :raises RuntimeError: after ``write_eof()``.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"a bytes-like object is required, not {type(data).__name__!r}")
        if self._state is ENDING:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or self._state is not OPEN:
            return
        self._kept.append(bytes(data))
        self._send()
        self._heed_limits()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Say that nothing more will be written; the other direction goes on."""
        if self._state is OPEN:
            self._state = ENDING
            self._send()

    def get_write_buffer_size(self) -> int:
        """Bytes that were written and are not on their way yet."""
        return len(self._kept)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See :class:`asyncio.WriteTransport`.

        :raises ValueError: not ``high >= low >= 0``.
        """
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._low, self._high = low, high
        self._heed_limits()

    def _send(self) -> None:
        """Put on the wire what there is room for; and the end, if nothing is left before it."""
        wire = self._outgoing
        if self._kept and wire.unread:  # nobody is there any more, and the system says so
            self._incoming.reset = True
            self._incoming.bytes.clear()
            self._wake()
            return
        if self._kept and wire.room:
            wire.bytes.append(self._kept.take(wire.room))
        if not self._kept and self._state is not OPEN:
            wire.ended = True
        self._peer._wake()

    def _heed_limits(self) -> None:
        kept = len(self._kept)
        if kept > self._high and not self._blocked:
            self._blocked = True
            self._tell(self._protocol.pause_writing)
        elif kept <= self._low and self._blocked:
            self._blocked = False
            self._tell(self._protocol.resume_writing)

    def _tell(self, method: Callable[[], None]) -> None:
        try:
            method()
        except Exception as error:
            self._report(error, f"protocol.{method.__name__}() failed")

    # -- one turn

    def _wake(self) -> None:
        """Look in the loop's next round what there is to do."""
        if self._turn is None and self._state is not CLOSED:
            self._turn = self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        if self._state is CLOSED:
            return
        if self._kept and not self._incoming.reset:
            self._send()
            self._heed_limits()
        if self._state is CLOSING and not self._kept:
            self._finish(None)
        elif self._incoming.reset and (self._kept or self.is_reading()):
            # As on asyncio's sockets: who neither reads nor writes does not hear of it.
            self._lose(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
        elif self.is_reading():
            self._read()

    def _read(self) -> None:
        incoming = self._incoming
        if incoming.bytes:
            data = incoming.bytes.take(self._read_size)
            self._peer._wake()  # there is room again
            if incoming.bytes or incoming.ended:
                self._wake()
            try:
                self._protocol.data_received(data)
            except Exception as error:
                self._report(error, "protocol.data_received() failed")
                self._lose(error)
        elif incoming.ended and not self._told_end:
            self._told_end = True
            try:
                keep_open = self._protocol.eof_received()
            except Exception as error:
                self._report(error, "protocol.eof_received() failed")
                self._lose(error)
                return
            if not keep_open:
                self.close()

    # -- the end

    def is_closing(self) -> bool:
        return self._state in (CLOSING, CLOSED)

    def close(self) -> None:
        """Send what was written, then end; nothing more is read. What the peer has sent and nobody
        has read makes a reset of it, as it does on a socket."""
        if not self.is_closing():
            self._state = CLOSING
            self._wake()

    def abort(self) -> None:
        """End at once. What is on its way still arrives, what was kept is dropped."""
        if self._state is not CLOSED:
            self._state = CLOSING
            self._kept.clear()
            self._wake()

    def _lose(self, error: BaseException) -> None:
        self._state = CLOSING
        self._kept.clear()
        self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        """Nothing is left to be done: the connection is gone for this end."""
        self._state = CLOSED
        self._blocked = False
        incoming, outgoing = self._incoming, self._outgoing
        incoming.unread = True
        outgoing.ended = True
        if incoming.bytes or self._socket.resets():
            # RFC 9293, 3.10.7.4: what the peer has not read yet goes, too.
            outgoing.reset = True
            outgoing.bytes.clear()
        incoming.bytes.clear()
        peer = self._peer
        if peer._state is CLOSED:
            self._peer = peer._peer = None  # they hold each other no longer
        else:
            peer._wake()
        protocol, self._protocol = self._protocol, None
        try:
            protocol.connection_lost(error)
        except Exception as failure:
            self._report(failure, "protocol.connection_lost() failed", protocol)

    def _report(self, error: Exception, message: str, protocol: object = None) -> None:
        self._loop.call_exception_handler(
            {
                "message": message,
                "exception": error,
                "transport": self,
                "protocol": protocol or self._protocol,
            }
        )

    # -- looking

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def __repr__(self) -> str:
        return f"<PipeTransport {self._state} {self.get_extra_info('sockname')}>"


def connect(
    client: asyncio.Protocol,
    server: asyncio.Protocol,
    *,
    capacity: int = CAPACITY,
    read_size: int = READ_SIZE,
    client_address: tuple[str, int] = ("127.0.0.1", 50000),
    server_address: tuple[str, int] = ("127.0.0.1", 80),
    tls: bool = False,
) -> tuple[PipeTransport, PipeTransport]:
    """Connect two protocols; ``connection_made`` of both is called in the loop's next round.

    :param capacity: bytes that may be on their way in each direction, at least 1.
    :param read_size: bytes that the server's protocol is given at once, at most.
    :param tls: whether the connection is to look like one over TLS.
    :returns: the transports of the client and of the server.
    :raises ValueError: ``capacity`` or ``read_size`` is below 1.
    """
    if capacity < 1 or read_size < 1:
        raise ValueError("a connection over which nothing can go")
    loop = asyncio.get_running_loop()
    there, back = Wire(capacity), Wire(capacity)
    ends = []
    for protocol, incoming, outgoing, here, other, size in (
        (client, back, there, client_address, server_address, READ_SIZE),
        (server, there, back, server_address, client_address, read_size),
    ):
        extra: dict[str, Any] = {"sockname": here, "peername": other}
        extra["socket"] = MemorySocket(here, other)
        if tls:
            extra["ssl_object"] = MemoryTLS()
        ends.append(PipeTransport(protocol, loop, incoming, outgoing, extra, size))
    ends[0]._peer, ends[1]._peer = ends[1], ends[0]
    for end in ends:
        # Before anything can be delivered, for that takes a turn, which comes later.
        loop.call_soon(end._protocol.connection_made, end)
    return ends[0], ends[1]
