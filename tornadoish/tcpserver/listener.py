"""Listener: one listening socket, and the way in which its connections are accepted.

Made by ``TCPServer`` for each of its sockets. It never counts and never looks at a connection: it
is told when to accept and when to pause. What comes during a pause waits in the system's queue.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import sys
from collections.abc import Callable
from typing import Any

from tornadoish.log import gen_log
from tornadoish.netutil import add_accept_handler

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

#: The ways of accepting: not at all; by our own loop, one by one; by the event loop's server.
PAUSED = "paused"
OURS = "ours"
LOOPS = "the loop's"
CLOSED = "closed"


def loop_accepts(loop: asyncio.AbstractEventLoop) -> int:
    """Up to how many connections ``loop.create_server`` is better than accepting by ourselves.

    uvloop's accepts in C and has a transport in the same call: half the cost of a connection. But
    when it runs out of descriptors it resets what comes, where we wait. asyncio's makes a task for
    each connection, as ours does, and those it has accepted but not opened are lost when it is
    closed (an AssertionError in ``Server._attach``).
    """
    if isinstance(loop, asyncio.SelectorEventLoop):
        return 0
    if resource is None:
        return sys.maxsize
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit // 2


class Listener:
    """Accepts on ``sock`` and owns it.

    :param backlog: connections that may wait in the system's queue.
    :param accepted: called with a connection's socket and address (OURS).
    :param make_stream: a protocol for a connection that the event loop has accepted (LOOPS).
    """

    __slots__ = ("_accepted", "_backlog", "_context", "_make_stream", "_opening", "_server",
                 "_sock", "_stop", "how")  # fmt: skip

    def __init__(
        self,
        sock: socket.socket,
        backlog: int,
        accepted: Callable[[socket.socket, Any], object],
        make_stream: Callable[[], asyncio.BaseProtocol],
    ) -> None:
        self._sock = sock
        self._backlog = backlog
        self._accepted = accepted
        self._make_stream = make_stream
        # Accepting goes on where a connection is closed: its context variables are not for others.
        self._context = contextvars.copy_context()
        #: how it accepts at the moment
        self.how = PAUSED
        self._stop: Callable[[], None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._server: asyncio.AbstractServer | None = None

    def accept(self, how: str) -> None:
        """Accept in this way from now on."""
        if self.how == how or self.how is CLOSED:
            return
        self._pause()
        self.how = how
        if how is OURS:
            self._stop = self._context.run(add_accept_handler, self._sock, self._accepted)
        elif how is LOOPS:
            self._opening = asyncio.Task(self._serve(), context=self._context)

    async def _serve(self) -> None:
        # The loop closes what it is given; the queue is that of the socket, not of a descriptor.
        sock = self._sock.dup()
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                self._make_stream, sock=sock, start_serving=False, backlog=self._backlog
            )
            await self._server.start_serving()
        except asyncio.CancelledError:
            sock.close()
            raise
        except Exception:
            gen_log.error("Cannot accept connections on %r", self._sock, exc_info=True)
            sock.close()
            self.close()

    def _pause(self) -> None:
        self.how = PAUSED
        if self._stop is not None:
            self._stop()
            self._stop = None
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if self._server is not None:
            self._server.close()
            self._server = None

    def take_in(self) -> None:
        """Accept what has come already, and then nothing more.

        That is at most what the system's queue holds: who keeps connecting does not keep us here.
        """
        if self.how is CLOSED:
            return
        self._pause()
        try:
            for _ in range(self._backlog + 1):
                connection, address = self._sock.accept()
                connection.setblocking(False)
                self._accepted(connection, address)
        except BlockingIOError:
            pass
        except OSError as error:
            gen_log.warning("Connections that have come already are lost: %s", error)
        self.close()

    def close(self) -> None:
        """Accept nothing more; what waits in the queue is reset by the system."""
        if self.how is not CLOSED:
            self._pause()
            self.how = CLOSED
            self._sock.close()
