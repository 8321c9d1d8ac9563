"""WebSocketConnection: a WebSocket on its stream, in either role, from the handshake to its end.

It is the stream's receiver: a read goes down from here to the delegate (a handler, a client) in one
call stack, and what the delegate answers goes out in one write. There is no task for a connection
that waits. Only where the delegate returns an awaitable is that waited for; until it is done no
other message is delivered, and nothing more is read from the peer than a little.

``turn`` says who has to do something next; it is the state of this machine and moves only here and
in ``lifetime``. It knows nothing of HTTP: who has shaken hands makes one.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import CancelledError
from collections.abc import Awaitable
from typing import Any

from tornadoish.util import as_coroutine
from tornadoish.websocket.inbox import Inbox, IncomingMessage, NotReadError
from tornadoish.websocket.lifetime import (
    DELEGATE,
    ENDING,
    LATER,
    OVER,
    PEER,
    PUMP,
    Due,
    Lifetime,
)
from tornadoish.ws import OPEN, Close, Event, Message, MessagePart, Ping, Pong, ProtocolError
from tornadoish.ws.codes import NORMAL

#: messages after which other connections have their turn; of large ones, each piece of so many
#: bytes counts as one (compressed, a whole series of them may have come at once)
MESSAGES_PER_TURN, PIECE = 64, 16 * 1024
#: bytes that are read while nobody takes a message: so many can come before a peer that goes away
#: is no longer noticed
READ_AHEAD = 16 * 1024

ERRORS = (Exception, CancelledError)
_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class WebSocketConnection(Lifetime):
    """See the module; ``WebSocketHandler.ws_connection``, and ``protocol`` of a client.

    :param stream: what was left of the connection when hands were shaken.
    :param protocol: the sans-io half.
    :param parameters: what is allowed.
    :param delegate: who hears of it,
    :param context: in this context.
    :param selected_subprotocol: what was agreed on, or None.

    ``stream``, ``protocol``, ``parameters`` and ``selected_subprotocol`` are public attributes.
    """

    __slots__ = ("__weakref__",)

    def __repr__(self) -> str:
        return f"<WebSocketConnection {self.turn.name} {self.protocol!r} {self.stream!r}>"

    # -- beginning

    def start(self, opening: Any = None) -> None:
        """Deliver messages from now on; if ``opening`` is an awaitable, when that is done."""
        self.stream.set_receiver(self)
        self._lost = self.stream.closed()
        if self.protocol.state is OPEN:
            self._look_after()
        if opening is not None:
            future = self._future_of(opening, eagerly=False)
            self._busy = self._waits = future
            future.add_done_callback(self._delegate_done)
        else:
            self._go_on_later()

    def take_in(self) -> Inbox[Any]:
        """Messages go into an inbox from now on, also while ``open`` is running."""
        inbox = self.inbox
        if inbox is None:
            inbox = self.inbox = Inbox()
            if self.protocol.state is not OPEN:
                inbox.end(drop=True)
            busy = self._busy
            if busy is not None and self._waits is busy:
                self._iterates = busy is asyncio.current_task()
                self._waits = None
                self._go_on_later()
        return inbox

    def _go_on_later(self) -> None:
        """Not here: we may be in the delegate's context, where it cannot be called again."""
        self.turn = LATER
        if self.stream.buffer.data or self._lost or self._busy is not None:
            asyncio.get_running_loop().call_soon(self._go_on_if_later)
        else:
            self.turn = PEER

    def _go_on_if_later(self) -> None:
        if self.turn is LATER:
            self._go_on()

    # -- what the stream calls: StreamReceiver

    def bytes_arrived(self) -> bool:
        self._heard = True
        turn = self.turn
        if turn is PEER:
            return self._pump()
        if turn is ENDING or turn is OVER:
            self._drop()
            return True
        if turn is DELEGATE:
            self._look_for_controls()
        return self._may_read_ahead()

    def end_of_input(self) -> None:
        """The stream closes itself, and says so when it is."""

    def stream_closed(self) -> None:
        self._lost = True
        delegate = self._delegate
        if self._draining or (delegate is not None and delegate.cancel_on_close):
            self._give_up_work()
        if self.turn is PEER:
            self._pump()
        elif self.turn is ENDING:
            self.turn = OVER

    # -- the pump

    def _pump(self) -> bool:
        """Go on as long as there is something to do in this call stack. False: nobody takes what
        is there, let nothing more come in."""
        self.turn = PUMP
        protocol, stream = self.protocol, self.stream
        buffer = stream.buffer
        left = MESSAGES_PER_TURN
        try:
            while self.turn is PUMP:
                event = protocol.next_event()
                if buffer.data and stream.corked is None:
                    stream.cork()  # more is here, and so its answers go out at once
                if type(event) is Message:
                    if protocol.state is OPEN:
                        self._deliver(event.data)
                    if not buffer.data and self.turn is PUMP:
                        self._nothing_more()
                        break
                    left -= len(event.data) // PIECE
                elif event is None:
                    self._nothing_more()
                    break
                else:
                    self._take(event)
                left -= 1
                if left <= 0 and self.turn is PUMP:
                    self.turn = LATER
                    asyncio.get_running_loop().call_soon(self._go_on_if_later)
        except ProtocolError as fault:
            self._fail(fault)
        finally:
            if stream.corked is not None:
                stream.uncork()
        if self.turn is PEER:
            return True
        if self.turn is DELEGATE:
            self._look_for_controls()
        return self._may_read_ahead()

    def _go_on(self) -> None:
        side = self._side
        if side is not None and self.protocol.state is OPEN:
            # One call is over before the next is made.
            self.turn = DELEGATE
            self._waits = side
        elif self._pump():
            self.stream.resume_reading()
        else:
            self.stream.pause_reading()

    def _may_read_ahead(self) -> bool:
        if self.turn is ENDING or self.turn is OVER:
            return True
        return len(self.stream.buffer) < READ_AHEAD

    def _nothing_more(self) -> None:
        """All that has come has been taken."""
        if self._lost:
            self.protocol.end_of_input()
            self._end(OVER)
        else:
            self.turn = PEER

    def _look_for_controls(self) -> None:
        """While the delegate is at something: a ping is answered, unless a message waits before it.
        (A Close stays: what is worked on may still be answered.)"""
        protocol = self.protocol
        try:
            while self._side is None and protocol.control_is_next():
                event = protocol.next_event()
                if event is None:
                    return
                self._tell_control(event)
        except ProtocolError as fault:
            self._fail(fault)

    # -- events

    def _deliver(self, message: Any) -> None:
        if self.inbox is not None:
            room = self.inbox.put(message)
            if room is not None:
                self._wait(room)
            return
        delegate = self._delegate
        if delegate is None:
            return
        try:
            pending = self._context.run(delegate.on_message, message)
        except ERRORS as error:
            self._delegate_failed(error)
            return
        if pending is not None:
            self._be_busy(pending)

    def _take(self, event: Event) -> None:
        if isinstance(event, MessagePart):
            self._take_part(event)
        elif isinstance(event, Close):
            self._answer_last()
            # A server closes first (RFC 6455, 7.1.1), so that its clients need not wait.
            if self.protocol.is_client:
                self._end(ENDING)
                self._expect(Due.CLOSE, self.parameters.close_timeout)
            else:
                self._end(OVER)
                self.stream.close()
        else:
            self._tell_control(event)
            if self._side is not None and self.turn is PUMP:
                self.turn = DELEGATE
                self._waits = self._side

    def _take_part(self, event: MessagePart) -> None:
        """Some of a message that is read as it arrives. Whoever reads it decides the pace; when he
        is through with it, be it at its end or before, the rest of it is dropped."""
        if self.protocol.state is not OPEN:
            return
        if event.begins:
            self._begin_message(event)
        incoming = self._incoming
        if incoming is None:
            return
        room = incoming.put(event.data) if event.data else None
        if not event.ends:
            if room is not None:
                self._wait(room)
            return
        incoming.end()
        self._incoming = None
        gate, self._gate = self._gate, None
        if gate is not None and not gate.done():
            self.turn = DELEGATE
            self._waits = gate

    def _begin_message(self, event: MessagePart) -> None:
        incoming = self._incoming = IncomingMessage(event.binary)
        self._deliver(incoming)
        if self.turn is DELEGATE:  # its parts are to come all the same
            self.turn = PUMP
            self._gate, self._waits = self._waits, None
        elif self.inbox is None:  # nobody reads it
            incoming.end(NotReadError(), drop=True)
            self._incoming = None

    def _tell_control(self, event: Event) -> None:
        """A ping or a pong has come. ``_side`` is what the delegate has to do about it, if that
        takes time: whatever else it is at goes on meanwhile."""
        delegate = self._delegate
        if isinstance(event, Ping):
            self._answer()
        if delegate is None or self.protocol.state is not OPEN:
            return
        try:
            if isinstance(event, Ping):
                pending = self._context.run(delegate.on_ping, event.data)
            elif isinstance(event, Pong):
                pending = self._context.run(delegate.on_pong, event.data)
            else:
                return
        except ERRORS as error:
            self._delegate_failed(error)
            return
        if pending is None:
            return
        future = self._future_of(pending)
        if future.done():
            self._settle(future)
        else:
            self._side = future
            future.add_done_callback(self._side_done)

    def _side_done(self, future: asyncio.Future[Any]) -> None:
        self._side = None
        self._settle(future)
        if self.turn is ENDING or self.turn is OVER:
            self._tell_end_if_idle()
        elif future is self._waits:
            self._ready(future)
        elif self.turn is DELEGATE:
            self._look_for_controls()

    # -- waiting

    def _be_busy(self, pending: Any) -> None:
        """The delegate is at a message until ``pending`` is done."""
        future = self._future_of(pending)
        if future.done():
            self._settle(future)
            return
        self._busy = future
        if self.turn is PUMP:
            self.turn = DELEGATE
            self._waits = future
        future.add_done_callback(self._delegate_done)

    def _wait(self, room: asyncio.Future[Any]) -> None:
        if room.done():
            return
        self.turn = DELEGATE
        self._waits = room
        room.add_done_callback(self._ready)

    def _ready(self, future: asyncio.Future[Any]) -> None:
        if future is self._waits:
            self._waits = None
            if self.turn is DELEGATE:
                self._go_on()

    def _delegate_done(self, future: asyncio.Future[Any]) -> None:
        self._busy = None
        incoming, self._incoming = self._incoming, None
        if incoming is not None and self.inbox is None:
            incoming.end(NotReadError(), drop=True)
        self._settle(future)
        if self._iterates:
            self._iterates = False
            self.close(NORMAL)
        if self.turn is ENDING or self.turn is OVER:
            self._tell_end_if_idle()
        else:
            self._ready(future)

    def _future_of(self, pending: Awaitable[Any], *, eagerly: bool = True) -> asyncio.Future[Any]:
        """``pending`` as a future; a coroutine becomes a task in the delegate's context."""
        if asyncio.isfuture(pending):
            return pending
        coroutine: Any = as_coroutine(pending)
        options = _EAGER if eagerly else {}
        loop = asyncio.get_running_loop()
        return asyncio.Task(coroutine, loop=loop, context=self._context, **options)

    def _settle(self, future: asyncio.Future[Any]) -> None:
        try:
            future.result()
        except ERRORS as error:
            self._delegate_failed(error)
