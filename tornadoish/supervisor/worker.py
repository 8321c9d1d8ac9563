"""Worker: one worker process, as the supervisor has it.

Made by the supervisor for each process that it starts. It reads what the process says, and knows in
which state it is; it decides nothing: that is the supervisor's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

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
from tornadoish.supervisor.policy import Figures, Policy, WorkerView

#: The states of a worker: its process runs and serves nothing yet; it serves; it finishes what it
#: has begun; it has been killed; its process is no more. They are passed in this order, and any may
#: be left out.
STARTING = "starting"
SERVING = "ready"
LEAVING = "draining"
ENDING = "ending"
GONE = "gone"
_ORDER = (STARTING, SERVING, LEAVING, ENDING, GONE)

# After SIGABRT or the like, which a worker may answer by a last word.
_LAST_WORDS_SECONDS = 2.0


class Worker:
    """One process, from its start until its end has been taken note of.

    :param sockets: the listening sockets that it inherits.
    :param heard: called after it has said something.
    :raises OSError: the process cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        sockets: Sequence[socket.socket],
        *,
        slot: int,
        generation: int,
        policy: Policy,
        heard: Callable[[], object],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._policy = policy
        self._heard = heard
        self._messages = Messages()
        self.slot = slot
        self.generation = generation
        self.state = self.was = STARTING  # and the one before
        self.figures = Figures()
        #: why it cannot start, and the exit status for that, as it says itself
        self.failure: tuple[str, int] | None = None
        #: why it was killed; empty: it was not
        self.offence = ""
        now = self._loop.time()
        self.started_at = self.heard_at = now
        #: when it said that it is ready; None: it has not
        self.ready_at: float | None = None
        #: when it is killed, if its process has not ended by then
        self.deadline = None if policy.start_seconds is None else now + policy.start_seconds
        # Lower, never higher than what was asked for.
        self._max_requests = lower(policy.max_requests, policy.jitter)
        self._max_bytes = lower(policy.max_resident_bytes, policy.jitter)
        self._sock, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = self._start(command, theirs, sockets)
            except BaseException:
                self._sock.close()
                raise
        self.pid = self._process.pid
        self._sock.setblocking(False)
        self._loop.add_reader(self._sock, self._receive)

    def _start(
        self, command: Sequence[str], link: socket.socket, sockets: Sequence[socket.socket]
    ) -> subprocess.Popen[bytes]:
        numbers = [sock.fileno() for sock in sockets]
        told = {
            "link": link.fileno(),
            "sockets": numbers,
            "slot": self.slot,
            "beat_seconds": self._policy.beat_seconds,
            "grace_seconds": self._policy.grace_seconds,
        }
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=[link.fileno(), *numbers],
            env={**os.environ, VARIABLE: json.dumps(told)},
            # A terminal's Ctrl-C is for the supervisor, which tells its workers what to do.
            process_group=0,
        )

    def __repr__(self) -> str:
        return f"worker {self.slot} (pid {self.pid})"

    def view(self) -> WorkerView:
        return WorkerView(
            slot=self.slot,
            pid=self.pid,
            state=self.state,
            generation=self.generation,
            age=self._loop.time() - self.started_at,
            figures=self.figures,
        )

    def move(self, state: str) -> bool:
        """Enter a state; False: it is in it already, or beyond."""
        if _ORDER.index(state) <= _ORDER.index(self.state):
            return False
        self.was, self.state = self.state, state
        return True

    # -- what it says

    def _receive(self) -> None:
        self._read()
        self._heard()

    def _read(self) -> None:
        """Take what it has said."""
        try:
            data = self._sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:  # its process is about to end, or else its silence will be noticed
            self._hang_up()
            return
        self.heard_at = self._loop.time()
        try:
            for message in self._messages.feed(data):
                self._take(message)
        except (MessageError, KeyError, TypeError, ValueError) as error:
            self._hang_up()
            self.kill(f"it says what no worker should: {error}")

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["kind"]
        if kind == BEAT:
            told = {field.name: int(message[field.name]) for field in fields(Figures)}
            self.figures = Figures(**told)
        elif kind == READY:
            if self.move(SERVING):
                self.ready_at, self.deadline = self.heard_at, None
        elif kind == DRAINING:
            if self.move(LEAVING):
                gen_log.info("%r drains", self)
                self._must_have_drained()
        elif kind == FAILED:
            self.failure = str(message["message"]), int(message["status"])

    def _hang_up(self) -> None:
        if self._sock.fileno() != -1:
            self._loop.remove_reader(self._sock)
            self._sock.close()

    # -- what it should do, and whether it does

    def worn(self) -> str | None:
        """Why it should be replaced; None: it should not."""
        if self._max_requests is not None and self.figures.requests >= self._max_requests:
            return f"has answered {self.figures.requests} requests"
        size = self.figures.resident_bytes
        if self._max_bytes is not None and size >= self._max_bytes:
            return f"holds {size / 2**20:.0f} MiB of memory"
        return None

    def drain(self, *, replaced: bool) -> None:
        """Tell it to finish what it has begun, and to end.

        :param replaced: another serves in its place already.
        """
        was_starting = self.state == STARTING
        if not self.move(LEAVING):
            return
        self._must_have_drained()
        with contextlib.suppress(OSError):
            words = encode(DRAIN, grace=self._policy.grace_seconds, replaced=replaced)
            self._sock.send(words)
        if was_starting:  # it may be far from listening to us, and serves nobody
            self._signal(signal.SIGTERM)

    def hurry(self) -> None:
        """Tell it to end now."""
        if self.move(ENDING):
            self._signal(signal.SIGTERM)
            self._must_end_in(_LAST_WORDS_SECONDS)

    def look(self, now: float) -> None:
        """Kill it if it is late."""
        policy = self._policy
        if self.deadline is not None and now >= self.deadline:
            if self.state == STARTING:
                self.failure = f"it was not ready in {policy.start_seconds:g} seconds", 1
                self.kill(self.failure[0])
            elif self.state == ENDING:
                self._signal(signal.SIGKILL)
                self._must_end_in(_LAST_WORDS_SECONDS)
            else:
                self.kill("it has not ended in time")
        elif self.state == SERVING and policy.answer_seconds is not None:
            silent = now - self.heard_at
            if silent >= policy.answer_seconds:
                self.kill(f"its event loop has not run for {silent:.0f} seconds")

    def kill(self, why: str) -> None:
        """It is of no more use: let it say where it is, and end it."""
        if self.move(ENDING):
            self.offence = why
            gen_log.error("%r is killed: %s", self, why)
            self._signal(signal.SIGABRT)
            self._must_end_in(_LAST_WORDS_SECONDS)

    def _must_have_drained(self) -> None:
        self._must_end_in(self._policy.grace_seconds + self._policy.clean_up_seconds)

    def _must_end_in(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds

    def _signal(self, number: signal.Signals) -> None:
        # Its end has not been taken note of, so the number is still its own.
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    # -- its end

    def ended(self) -> int | None:
        """Its exit code, negative for a signal, once its process has ended; then its last words
        have been heard. None: it runs."""
        code = self._process.poll()
        if code is not None and self.state != GONE:
            while self._sock.fileno() != -1 and self._has_more():
                self._read()
            self._hang_up()
            self.move(GONE)
        return code

    def _has_more(self) -> bool:
        try:
            return bool(self._sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False


def lower(bound: int | None, jitter: float) -> float | None:
    """A worker's own bound: lower by a random part, up to ``jitter``."""
    return None if bound is None else bound * (1 - random.uniform(0, jitter))


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if -code == signal.SIGKILL:
        name += " (by somebody, or by the kernel for want of memory)"
    return f"was ended by {name}"
