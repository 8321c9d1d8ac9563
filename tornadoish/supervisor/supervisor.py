"""Supervisor: keeps a number of worker processes running, and replaces them without a gap.

Called by the command line, in a process that serves no requests. All that happens - a signal, a
word of a worker, the end of a process, time - only wakes it; what is to be done follows from one
look at how things are (``_look``), so nothing depends on the order in which they came.

The listening sockets are made before the first worker and stay open in this process until it stops:
a connection that waits to be accepted is never lost with a worker. A worker is replaced by starting
another in its slot; when that is ready, the first is told to drain.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence

from tornadoish.log import app_log, gen_log
from tornadoish.supervisor.children import reap_orphans
from tornadoish.supervisor.policy import Policy, WorkerView
from tornadoish.supervisor.sharing import Sharing
from tornadoish.supervisor.slot import Slot
from tornadoish.supervisor.systemd import Notifier
from tornadoish.supervisor.worker import (
    ENDING,
    LEAVING,
    SERVING,
    STARTING,
    Worker,
    how_it_ended,
)

# What a supervisor does: its first workers start; all serve; workers are replaced because somebody
# said so; it ends.
_BEGINNING = "beginning"
_SERVING = "serving"
_ROLLING = "rolling"
_STOPPING = "stopping"

# Statuses that say: the command or its configuration is wrong (EX_CONFIG: sysexits(3)).
_HOPELESS = (2, 78)
_LONGEST_SLEEP = 1.0  # seconds between two looks
_LATE_SECONDS = 0.1  # after which a look was kept from happening


class Supervisor:
    """Runs ``workers`` processes of ``command``, each a fresh interpreter.

    :param command: the program and its arguments; the same for every worker. It serves on
        ``WorkerLink.from_environment().sockets``. On SIGTERM it drains and ends; on a second one it
        ends at once.
    :param sockets: listening sockets, as from ``bind_sockets`` (without ``reuse_port``) or from a
        service manager. The supervisor owns them from now on.
    :param workers: how many processes serve at a time.
    :param policy: bounds and times.
    :param split: each worker has a socket of its own on each address, if that can be: connections
        are shared out evenly (``sharing.py`` has the figures). Else all accept from the same.
    :param notifier: who hears when all are ready, and so on; default: nobody.
    :param on_gone: called with the process id of each worker that has ended.
    :raises ValueError: ``workers`` is below 1.
    :raises RuntimeError: the platform has no processes that inherit sockets (Windows).
    """

    def __init__(
        self,
        command: Sequence[str],
        sockets: Sequence[socket.socket],
        *,
        workers: int,
        policy: Policy | None = None,
        split: bool = True,
        notifier: Notifier | None = None,
        on_gone: Callable[[int], object] | None = None,
    ) -> None:
        if os.name != "posix":
            raise RuntimeError("there is no supervisor of workers on this platform")
        if workers < 1:
            raise ValueError(f"{workers} workers cannot serve")
        self._command = list(command)
        self._policy = policy or Policy()
        self._notifier = notifier or Notifier()
        self._on_gone = on_gone
        self._sharing = Sharing(sockets, workers, split)
        self._slots = [Slot(index, self._policy) for index in range(workers)]
        self._state = _BEGINNING
        self._generation = 0
        self._status = 0
        self._ever_ready = False
        self._woken = asyncio.Event()
        self._looked_at: float | None = None
        self._watchdog_at = 0.0
        #: why it has given up; None: it has not
        self.reason: str | None = None

    async def run(self) -> int:
        """Start the workers and look after them, until told to stop. In the main thread, on a loop
        of asyncio's own (uvloop has SIGCHLD to itself).

        SIGTERM and SIGINT: drain and end; a second one, or SIGQUIT: end at once. SIGHUP: replace
        all workers, one by one, by new ones.

        :returns: the exit status: 0 if all ended as they should; what a worker said that could not
            start; else 1.
        """
        signals = self._listen_to_signals()
        try:
            while self._state != _STOPPING or self._workers():
                self._look()
                await self._sleep()
        finally:
            await self._end()
            loop = asyncio.get_running_loop()
            for number in signals:
                loop.remove_signal_handler(number)
        return self._status

    def stop(self) -> None:
        """As SIGTERM: drain; again: end at once."""
        if self._state == _STOPPING:
            self._hurry()
            return
        gen_log.info("Stopping: %d workers drain", len(self._workers()))
        self._stop()

    def roll(self) -> None:
        """As SIGHUP: replace all workers by new ones, that load code, configuration and
        certificates anew. If one does not start, those that are not replaced yet go on."""
        if self._state == _STOPPING:
            return
        gen_log.info("All workers are replaced, one by one")
        self._generation += 1
        for slot in self._slots:
            slot.wanted = self._generation
        self._woken.set()

    def views(self) -> list[WorkerView]:
        """All the workers of this moment, by slot and age."""
        return [worker.view() for worker in self._workers()]

    # -- what wakes it

    def _listen_to_signals(self) -> list[signal.Signals]:
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGQUIT: self._hurry,
            signal.SIGHUP: self.roll,
            signal.SIGCHLD: self._woken.set,
        }
        # Ignored before, ignored now: a shell's background job has no business with Ctrl-C.
        ignored = [signal.SIGINT] if signal.getsignal(signal.SIGINT) == signal.SIG_IGN else []
        heard = [number for number in handlers if number not in ignored]
        for number in heard:
            loop.add_signal_handler(number, handlers[number])
        return heard

    async def _sleep(self) -> None:
        """Until something happens or is due."""
        now = asyncio.get_running_loop().time()
        until = now + _LONGEST_SLEEP
        if self._watchdog_at:
            until = min(until, self._watchdog_at)
        for slot in self._slots:
            if slot.not_before > now:
                until = min(until, slot.not_before)
            for worker in slot.workers():
                if worker.deadline is not None:
                    until = min(until, worker.deadline)
        try:
            async with asyncio.timeout_at(until):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    # -- one look

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        self._excuse_silence(now)
        self._tell_watchdog(now)
        for worker in self._workers():
            worker.look(now)
            code = worker.ended()
            if code is not None:
                self._gone(worker, code)
        reap_orphans({worker.pid for worker in self._workers()})
        for slot in self._slots:
            for worker in slot.settle(now):
                self._lost(slot, worker)
        if self._state == _STOPPING:
            return
        self._start_missing(now)
        self._tell_progress()

    def _excuse_silence(self, now: float) -> None:
        """Time in which this process did not run is no time in which workers were silent."""
        gap = 0.0 if self._looked_at is None else now - self._looked_at
        self._looked_at = now
        if gap > _LONGEST_SLEEP + _LATE_SECONDS:
            for worker in self._workers():
                worker.heard_at = min(now, worker.heard_at + gap)

    def _tell_watchdog(self, now: float) -> None:
        seconds = self._notifier.watchdog_seconds
        if seconds is not None and now >= self._watchdog_at:
            self._watchdog_at = now + seconds / 3
            self._notifier.watchdog()

    def _start_missing(self, now: float) -> None:
        """Start whoever is missing, and a successor for one who is worn out or of old."""
        for slot in self._slots:
            if slot.serving is None and slot.coming is None and now >= slot.not_before:
                self._start(slot, now)
                if self._state == _STOPPING:
                    return
        if any(slot.coming is not None for slot in self._slots):
            return  # one replacement at a time
        for slot in self._slots:
            worker = slot.serving
            if worker is None or now < slot.not_before:
                continue
            worn = worker.worn()
            if worn is not None or slot.outdated():
                if worn is not None:
                    gen_log.info("%r %s: it is replaced", worker, worn)
                self._start(slot, now)
                return

    def _start(self, slot: Slot, now: float) -> None:
        try:
            slot.coming = Worker(
                self._command,
                self._sharing.of(slot.index),
                slot=slot.index,
                generation=self._generation,
                policy=self._policy,
                heard=self._woken.set,
            )
        except OSError as error:
            slot.failed(now)
            why = f"no process can be started: {error}"
            gen_log.error("Worker %d: %s", slot.index, why)
            if slot.serving is not None:
                self._successor_failed()
            self._consider_giving_up(slot, why, 1)

    def _tell_progress(self) -> None:
        """Note what has been reached, and say it."""
        if self._state == _STOPPING:  # since nobody could be started
            return
        serving = sum(slot.serving is not None for slot in self._slots)
        self._ever_ready = self._ever_ready or serving > 0
        outdated = any(slot.outdated() for slot in self._slots)
        starting = any(slot.coming is not None for slot in self._slots)
        # One that fails again and again does not keep the others from serving.
        begun = serving and all(slot.serving is not None or slot.failures for slot in self._slots)
        if (self._state == _BEGINNING and begun) or (
            self._state == _ROLLING and not outdated and not starting
        ):
            self._state = _SERVING
            self._say_serving(serving)
        if self._state == _SERVING and outdated:
            self._state = _ROLLING
            self._notifier.reloading("replacing the workers")

    def _say_serving(self, serving: int) -> None:
        pids = ", ".join(str(slot.serving.pid) for slot in self._slots if slot.serving is not None)
        gen_log.info("%d workers serve (pids %s)", serving, pids)
        self._notifier.ready(f"{serving} of {len(self._slots)} workers serve")

    # -- ends of workers

    def _gone(self, worker: Worker, code: int) -> None:
        """A process has ended."""
        if worker.was == LEAVING:
            self._has_left(worker, code)
        elif worker.was == ENDING and self._state == _STOPPING:
            self._status = self._status or 1  # whatever it held was cut
        if self._on_gone is not None:
            try:
                self._on_gone(worker.pid)
            except Exception:
                app_log.error("Uncaught exception in on_gone", exc_info=True)

    def _has_left(self, worker: Worker, code: int) -> None:
        """It was told to end, or has said that it would."""
        served_nobody = worker.ready_at is None and code == -signal.SIGTERM
        if code == 0 or served_nobody:
            gen_log.info("%r has drained", worker)
            return
        gen_log.warning("%r %s as it drained", worker, how_it_ended(code))
        if self._state == _STOPPING:
            self._status = self._status or 1

    def _lost(self, slot: Slot, worker: Worker) -> None:
        """A worker is no longer at work, and nobody has told it so."""
        if self._state == _STOPPING:
            return
        why, status = worker.failure or ("", 1)
        code = worker.ended()
        hopeless = bool(why)
        if code is not None and worker.was in (STARTING, SERVING):
            hopeless = hopeless or code in _HOPELESS
            status = code if code in _HOPELESS and not why else status
            why = why or f"it {how_it_ended(code)}"
            gen_log.error("%r is lost: %s", worker, why)
        why = why or worker.offence or "it was told to end, by somebody else"
        if worker.ready_at is None and slot.serving is not None:
            self._successor_failed()
        elif worker.ready_at is None and hopeless and not self._ever_ready:
            self._give_up(f"worker {slot.index} cannot start: {why}", status)
            return
        self._consider_giving_up(slot, why, status)

    def _successor_failed(self) -> None:
        """The worker before it goes on; so do all whose turn has not come."""
        if self._state == _ROLLING:
            gen_log.error("A new worker does not start: those that are not replaced yet go on")
        for slot in self._slots:
            if slot.serving is not None:
                slot.wanted = min(slot.wanted, slot.serving.generation)

    def _consider_giving_up(self, slot: Slot, why: str, status: int) -> None:
        serving = any(other.serving is not None for other in self._slots)
        if slot.failures >= self._policy.attempts and not serving:
            times = f"{slot.failures} times in a row"
            self._give_up(f"worker {slot.index} could not stay, {times}: {why}", status)
            return
        if slot.failures > 1 and slot.serving is None and serving:
            self._sharing.park(slot.index)
        wait = slot.not_before - asyncio.get_running_loop().time()
        if wait > 0:
            gen_log.info("Worker %d is started anew in %.1f seconds", slot.index, wait)

    def _give_up(self, why: str, status: int) -> None:
        self.reason = why
        self._status = status
        gen_log.error("Giving up: %s", why)
        self._stop()

    # -- the supervisor's own end

    def _stop(self) -> None:
        self._state = _STOPPING
        self._notifier.stopping(self.reason or "draining")
        # What has come is taken in by the workers. Once the last has let go of a socket as well,
        # whoever comes is refused at once, and can try elsewhere.
        self._sharing.close()
        for worker in self._workers():
            worker.drain(replaced=False)
        self._woken.set()

    def _hurry(self) -> None:
        if self._state != _STOPPING:
            self._stop()
        gen_log.warning("Stopping at once: what is not answered yet is cut")
        for worker in self._workers():
            worker.hurry()
        self._woken.set()

    async def _end(self) -> None:
        """Leave nobody behind, however this has come."""
        if self._state != _STOPPING or self._workers():
            self._hurry()
        while self._workers():
            self._look()
            await self._sleep()

    def _workers(self) -> list[Worker]:
        return [worker for slot in self._slots for worker in slot.workers()]
