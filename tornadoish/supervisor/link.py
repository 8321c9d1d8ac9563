"""WorkerLink: a worker's side of the pair of sockets between it and its supervisor.

Made by whatever serves in a worker process, before its event loop or within it. It tells the
supervisor that the worker is ready, that its loop runs, and why it could not start; and it tells
the worker to drain, as the supervisor says so or is gone. It never waits for the supervisor: what
that does not take, apart from a few words, is not said.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import json
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Self

from tornadoish.log import gen_log
from tornadoish.supervisor.messages import (
    BEAT,
    DRAIN,
    DRAINING,
    FAILED,
    READY,
    VARIABLE,
    MessageError,
    Messages,
    encode,
)
from tornadoish.supervisor.policy import Figures

try:
    import resource
except ImportError:  # Windows, which has no supervisor either
    resource = None  # type: ignore[assignment]

_PAGE_BYTES = 4096 if resource is None else resource.getpagesize()
_BACKLOG = 1024  # connections that may wait to be accepted
_FAILED_CHARACTERS = 8_000  # of a message that says why a worker does not start
_FAILED_SECONDS = 2.0  # in which the supervisor must have taken it


class WorkerLink:
    """The way to the supervisor. All but :meth:`failed` belongs to the event loop's thread."""

    __slots__ = ("_beat_seconds", "_figures", "_grace", "_loop", "_messages", "_on_drain",
                 "_sock", "_timer", "_unsent", "replaced", "slot", "sockets")  # fmt: skip

    def __init__(
        self,
        sock: socket.socket,
        sockets: list[socket.socket],
        *,
        slot: int = 0,
        beat_seconds: float = 1.0,
        grace_seconds: float = 30.0,
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        #: the sockets that the supervisor has made; they belong to the worker
        self.sockets = sockets
        #: the worker's place, 0 to the number of workers - 1
        self.slot = slot
        #: once it is to drain: whether another takes its place, and accepts what waits in
        #: ``sockets``; see ``HTTPServer.drain``
        self.replaced = False
        self._beat_seconds = beat_seconds
        self._grace = grace_seconds
        self._messages = Messages()
        self._unsent = b""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._on_drain: Callable[[float], object] | None = None
        self._figures: Callable[[], Figures] = Figures

    @classmethod
    def from_environment(cls) -> Self | None:
        """The link that this process has inherited; None if it is no supervisor's worker.

        Can be had once: the variable is removed, so that processes which the worker starts do not
        take themselves for workers, and none of them inherits the descriptors. From now on a worker
        that is killed for its silence (SIGABRT) shows on standard error where it was.
        """
        value = os.environ.pop(VARIABLE, None)
        if value is None:
            return None
        with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):
            faulthandler.enable()  # none of these: standard error is a file
        told = json.loads(value)
        numbers = [told["link"], *told["sockets"]]
        for number in numbers:
            os.set_inheritable(number, False)
        sock, *sockets = [socket.socket(fileno=number) for number in numbers]
        return cls(
            sock,
            sockets,
            slot=told["slot"],
            beat_seconds=told["beat_seconds"],
            grace_seconds=told["grace_seconds"],
        )

    def start(
        self, on_drain: Callable[[float], object], figures: Callable[[], Figures] = Figures
    ) -> None:
        """Listen to the supervisor and tell it, every second or so, that this event loop runs.

        :param on_drain: called at most once, with the seconds of grace: accept nothing more, finish
            what has begun, end the process with status 0. Called too if the supervisor is gone.
        :param figures: asked with every beat.
        :raises RuntimeError: no event loop is running.
        """
        self._loop = asyncio.get_running_loop()
        self._on_drain = on_drain
        self._figures = figures
        self._loop.add_reader(self._sock, self._receive)
        self._beat()

    def ready(self) -> None:
        """The application has started. Call this right after beginning to accept on ``sockets``:
        one that does not listen yet does so from now on."""
        for sock in self.sockets:
            if sock.fileno() != -1 and not _listens(sock):
                sock.listen(_BACKLOG)
        self._say(encode(READY))

    def draining(self) -> None:
        """This worker drains for a reason of its own (a signal to it alone). The supervisor starts
        another in its place at once."""
        self._on_drain = None
        self.replaced = True
        self._say(encode(DRAINING))

    def failed(self, message: str, status: int = 1) -> None:
        """The worker cannot start. The supervisor shows the message, so the worker need not; then
        it must end. Needs no event loop.

        :param message: what is wrong and how it is mended, as a person is to read it.
        :param status: the exit status with which the supervisor ends if no worker can start.
        """
        self._sock.settimeout(_FAILED_SECONDS)
        try:
            words = encode(FAILED, message=message[:_FAILED_CHARACTERS], status=status)
            self._sock.sendall(self._unsent + words)
        except OSError:  # nobody listens any more
            pass
        self.close()

    def close(self) -> None:
        """Leave the link. The supervisor takes it for the worker's end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._loop is not None and self._sock.fileno() != -1:
            self._loop.remove_reader(self._sock)
        self._sock.close()

    def _receive(self) -> None:
        try:
            data = self._sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            if self._on_drain is not None:
                gen_log.warning("The supervisor is gone: worker %d drains", self.slot)
            self._drain(self._grace)
            return
        try:
            for message in self._messages.feed(data):
                if message["kind"] == DRAIN:
                    self.replaced = message.get("replaced") is True
                    self._drain(float(message["grace"]))
        except (MessageError, KeyError, TypeError, ValueError) as error:
            gen_log.error("The supervisor says %s", error)

    def _drain(self, grace: float) -> None:
        on_drain, self._on_drain = self._on_drain, None
        if on_drain is not None:
            on_drain(grace)

    def _beat(self) -> None:
        if self._loop is None:
            return
        self._timer = self._loop.call_later(self._beat_seconds, self._beat)
        figures = replace(self._figures(), resident_bytes=resident_bytes())
        self._say(b"" if self._unsent else encode(BEAT, **asdict(figures)))

    def _say(self, line: bytes) -> None:
        """Send it, or what the system has no room for a beat later."""
        if self._sock.fileno() == -1:
            return
        self._unsent += line
        try:
            self._unsent = self._unsent[self._sock.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:  # it is gone: reading will tell
            self._unsent = b""


def _listens(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def resident_bytes() -> int:
    """How much memory of this process is resident, in bytes; where the system does not tell, the
    most that ever was."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        if resource is None:
            return 0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
