"""Outgoing: the writing half of a WebSocket connection, and what becomes of slow readers.

Frames go to the stream at once. While the peer is behind (the stream is ``blocked``), two bounds
count: whoever uses ``send`` waits, and what is written all the same waits in the transport, up to
``max_unsent_bytes``; above that, and when ``send`` has waited for too long, the connection is
closed with 1013. A peer that takes nothing at all is cut by the stream's own pace.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from tornadoish.escape import json_encode
from tornadoish.iostream import IOStream, StreamClosedError, unsent_bytes
from tornadoish.log import gen_log
from tornadoish.websocket.errors import WebSocketClosedError
from tornadoish.websocket.parameters import Parameters
from tornadoish.ws import PreparedMessage, Protocol, WrongState
from tornadoish.ws.codes import TRY_AGAIN_LATER

Data = str | bytes | bytearray | memoryview | dict[str, Any]

#: what a frame costs beside its bytes as long as it waits, in bytes, about
FRAME_COST = 1024
#: bytes a second that a peer takes of what waits, on average over ``send_timeout``; below: cut
TAKEN_PER_SECOND = 500


class Outgoing:
    """What ``WebSocketConnection`` writes with."""

    __slots__ = ("_behind", "_fault", "_queue", "_queued", "parameters", "protocol", "stream")

    def __init__(self, stream: IOStream, protocol: Protocol, parameters: Parameters) -> None:
        self.stream = stream
        self.protocol = protocol
        self.parameters = parameters
        # The code and reason with which we have ended it by ourselves, if we have.
        self._fault: tuple[int, str] | None = None
        self._behind = 0  # frames that were written since the peer fell behind
        # Those who wait in send(), one behind the other, and the bytes that they have.
        self._queue: asyncio.Lock | None = None
        self._queued = 0
        stream.max_write_buffer_size = None
        stream.set_write_pace(parameters.send_timeout, TAKEN_PER_SECOND)

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """See ``WebSocketConnection.close``."""
        raise NotImplementedError

    # -- messages

    def write_message(self, message: Data, binary: bool | None = False) -> asyncio.Future[None]:
        """See ``Talking.write_message``."""
        if isinstance(message, dict):
            message = json_encode(message)
        try:
            frame = self.protocol.send_message(message, binary=binary)
        except WrongState:
            raise WebSocketClosedError() from None
        return self._write(frame)

    async def send(self, message: Data, binary: bool | None = None) -> None:
        """See ``Talking.send``."""
        if isinstance(message, dict):
            message = json_encode(message)
        if not self.stream.blocked and self._queue is None:
            self.write_message(message, binary)
            return
        size = len(message) + FRAME_COST
        # One alone may be of any size, as it may if the peer is not behind.
        if self._queued and self._queued + size > self.parameters.max_unsent_bytes:
            self._end_slow()
            raise WebSocketClosedError("The peer is too slow")
        self._queued += size
        queue = self._queue = self._queue or asyncio.Lock()
        try:
            async with asyncio.timeout(self.parameters.send_timeout), queue:
                await self.stream.room()
                self.write_message(message, binary)
        except StreamClosedError:
            raise WebSocketClosedError() from None
        except TimeoutError:
            self._end_slow()
            raise WebSocketClosedError("The peer is too slow") from None
        finally:
            self._queued -= size
            if not self._queued:
                self._queue = None

    def write_prepared(self, message: PreparedMessage) -> bool:
        """Send one of a broadcast. False: the connection is closed, or the peer is too slow."""
        try:
            frame = message.frame(self.protocol)
            if self.stream.blocked:
                self._count_behind()
            self.stream.write(frame)
        except (WrongState, StreamClosedError, WebSocketClosedError):
            return False
        return True

    # -- control frames

    def write_ping(self, data: bytes) -> None:
        """Send a ping.

        :raises WebSocketClosedError: the connection is closed or closing.
        :raises ValueError: more than 125 bytes.
        """
        try:
            frame = self.protocol.ping(data)
        except WrongState:
            raise WebSocketClosedError() from None
        self._write(frame)

    def _answer(self) -> None:
        """Send what the protocol has to say by itself; if the peer is behind, when it is not."""
        if self.stream.blocked:
            self._watch_room()
            return
        self._write_last(self.protocol.bytes_to_send())

    def _write_last(self, data: bytes) -> None:
        """Write what nobody waits for: if the stream is closed, somebody else sees to that."""
        if data and not self.stream.closed():
            self.stream.write(data)

    # -- bytes

    def _write(self, frame: bytes) -> asyncio.Future[None]:
        stream = self.stream
        if stream.blocked:
            self._count_behind()
        try:
            room = stream.write(frame)
        except StreamClosedError:
            raise WebSocketClosedError() from None
        if room.done():
            return room
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        room.add_done_callback(partial(_pass_on, future))
        return future

    def _count_behind(self) -> None:
        """One more frame for a peer that is behind.

        :raises WebSocketClosedError: too much waits already.
        """
        self._watch_room()
        waiting = unsent_bytes(self.stream) + FRAME_COST * self._behind
        if waiting > self.parameters.max_unsent_bytes:
            self._end_slow()
            raise WebSocketClosedError("The peer is too slow")
        self._behind += 1

    def _watch_room(self) -> None:
        if not self._behind:
            self._behind = 1
            self.stream.room().add_done_callback(self._caught_up)

    def _caught_up(self, room: asyncio.Future[None]) -> None:
        self._behind = 0
        if not self.stream.closed():
            self._answer()

    def _end_slow(self) -> None:
        if self._fault is None:
            self._fault = TRY_AGAIN_LATER, "Too slow"
            gen_log.info("WebSocket closed: %r is too slow", self.stream.get_extra_info("peername"))
            self.close(*self._fault)


def _pass_on(future: asyncio.Future[None], room: asyncio.Future[None]) -> None:
    """What has become of ``room``, in words of WebSockets."""
    if future.done():
        return
    if room.cancelled() or room.exception() is not None:
        future.set_exception(WebSocketClosedError())
        future.exception()  # nobody has to look at it
    else:
        future.set_result(None)
