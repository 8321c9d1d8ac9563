"""Reloader: the parent of the process that serves, which it starts anew when files change.

It keeps the listening sockets, so that a browser that asks meanwhile waits and is not refused. A
process that ends by itself has told why; then the next change is waited for. It imports nothing of
the application, so no mistake in there can end it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from typing import NamedTuple

from tornadoish.cli.errors import short_path
from tornadoish.cli.reloading.watching import make_watcher
from tornadoish.log import gen_log
from tornadoish.process import in_foreground_of_terminal
from tornadoish.supervisor.worker import how_it_ended

_VARIABLE = "TORNADOISH_RELOADED"
#: seconds that requests have to end before a restart; nobody likes to wait at his own desk
GRACE = 1.0
_END_SECONDS = 4.0  # after that it is killed
_NAMED = 3  # files in the log


class Inheritance(NamedTuple):
    """What a reloader hands down."""

    sockets: list[socket.socket]
    #: a pipe that comes to its end when the reloader does
    leash: int


def inherited() -> Inheritance | None:
    """What a reloader has handed down; None if this process is not its child. Can be had once."""
    told = os.environ.pop(_VARIABLE, None)
    if told is None:
        return None
    leash, *numbers = [int(number) for number in told.split(",")]
    for number in (leash, *numbers):
        os.set_inheritable(number, False)
    return Inheritance([socket.socket(fileno=number) for number in numbers], leash)


class Reloader:
    """Runs ``command``, again and again.

    :param command: serves on ``inherited().sockets``.
    :param directories: what is watched.
    :param files: and these, whatever they are called.
    """

    def __init__(
        self,
        command: Sequence[str],
        sockets: Sequence[socket.socket],
        directories: Sequence[str],
        files: Sequence[str] = (),
    ) -> None:
        self._command = list(command)
        self._sockets = sockets
        self._stop = threading.Event()
        self._watcher = make_watcher(directories, files, self._stop)
        self._directories = directories
        self._process: subprocess.Popen[bytes] | None = None
        self._signal: int | None = None
        self._leash = os.pipe()

    def run(self) -> int:
        """Until SIGTERM, SIGINT or SIGHUP; the exit status."""
        old = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
            # Ignored before, ignored now: nohup, or a shell's background job.
            if signal.getsignal(number) != signal.SIG_IGN
        }
        names = map(short_path, self._directories)
        watched = " and ".join("this directory" if name == "." else name for name in names)
        gen_log.info("Watching %s, by %s", watched, self._watcher.by)
        try:
            self._start()
            for changed in self._watcher.changes():
                if changed:
                    gen_log.info("%s: starting again", _told(changed))
                    self._end()
                    self._start()
                else:
                    self._look()
            return 0
        finally:
            self._end(passed_on=True)
            for number, handler in old.items():
                signal.signal(number, handler)
            for fd in self._leash:
                os.close(fd)

    def _on_signal(self, number: int, frame: object) -> None:
        if self._signal is not None and self._process is not None:
            # The second one: nobody waits any longer.
            self._process.kill()
        self._signal = number
        self._stop.set()

    def _start(self) -> None:
        numbers = [self._leash[0], *(sock.fileno() for sock in self._sockets)]
        environment = {**os.environ, _VARIABLE: ",".join(map(str, numbers))}
        # In this process group: a terminal's input is for the application (a debugger, perhaps).
        self._process = subprocess.Popen(self._command, pass_fds=numbers, env=environment)

    def _look(self) -> None:
        """Whether it has ended by itself."""
        process = self._process
        if process is None or process.poll() is None or self._stop.is_set():
            return
        self._process = None
        gen_log.warning("It %s: waiting for a change", how_it_ended(process.returncode))

    def _end(self, passed_on: bool = False) -> None:
        """Let it finish what it has begun.

        :param passed_on: a terminal's Ctrl-C has reached it as well.
        """
        process = self._process
        if process is None or process.poll() is not None:
            return
        if not (passed_on and self._signal == signal.SIGINT and in_foreground_of_terminal()):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(GRACE + _END_SECONDS)
        except subprocess.TimeoutExpired:
            gen_log.warning("It does not end: it is killed")
            process.kill()
            process.wait()
        self._process = None


def _told(changed: set[str]) -> str:
    names = sorted(map(short_path, changed))
    more = len(names) - _NAMED
    text = ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{text} {'has' if len(names) == 1 else 'have'} changed"
