"""Several worker processes under one supervisor: `fork_processes`, with Tornado's names.

Called by tcpserver's ``start(n)`` and by applications, before there is an event loop. The
supervisor only waits, restarts and passes signals on; it never serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading

from tornadoish.log import gen_log

__all__ = ["cpu_count", "fork_processes", "task_id"]

_MAX_RESTARTS = 100  # Tornado's default
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_task_id: int | None = None  # set once, in a worker


def cpu_count() -> int:
    """The number of processors that this process may run on, at least 1.

    Source: Tornado: tornado.process.cpu_count.
    """
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def task_id() -> int | None:
    """Which worker this process is, as `fork_processes` returned it; None if it is none.

    Source: Tornado: tornado.process.task_id.
    """
    return _task_id


def fork_processes(num_processes: int | None, max_restarts: int | None = None) -> int:
    """Fork worker processes; return in each of them, and supervise them from this one.

    A worker that ends abnormally (by a signal, or with another status than 0) is started anew with
    the same id. SIGTERM and SIGINT that this process gets are passed on to the workers (except
    SIGINT in the foreground of a terminal, which sends Ctrl-C to the workers itself); from then on
    none is restarted. The workers have the signal handlers that were set before the call.

    In the supervisor the call never returns. Once all the workers have ended it leaves by
    `sys.exit`, with status 0 if each of them ended normally or by a signal that was passed on, else
    with 1.

    Listen before the call, so that the workers share the sockets; make event loops, threads and
    database connections after it.

    :param num_processes: how many workers; None, 0 or less: one for each processor.
    :param max_restarts: restarts of all the workers together, before the supervisor gives up, stops
        the rest with SIGTERM and waits for them; None means 100.
    :returns: the worker's id, 0 to `num_processes` - 1.
    :raises RuntimeError: an event loop is running, this is a worker already, this is not the main
        thread, or the platform cannot fork; in the supervisor, too many restarts.
    :raises OSError: forking failed. Workers that had been started are stopped.

    Availability: Unix. Source: Tornado: tornado.process.fork_processes.
    """
    global _task_id
    _check_that_we_may_fork()
    if num_processes is None or num_processes <= 0:
        num_processes = cpu_count()
    if max_restarts is None:
        max_restarts = _MAX_RESTARTS
    gen_log.info("starting %d worker processes", num_processes)
    worker = _Supervisor(_SignalPipe(), max_restarts).run(num_processes)
    _task_id = worker
    return worker


def _check_that_we_may_fork() -> None:
    if not hasattr(os, "fork"):
        raise RuntimeError("this platform cannot fork")
    if _task_id is not None:
        raise RuntimeError("fork_processes: this process is a worker already")
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("fork_processes must be called in the main thread")
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    # Parent and children would share the loop's epoll descriptor and wake-up socket.
    raise RuntimeError("fork_processes must be called before the event loop is started")


class _SignalPipe:
    """Signals as bytes of a pipe, so that they are handled between two steps and not inside one.

    `os.wait` and handlers cannot do that: a handler may run between a worker's end and our noting
    it, and in a process with other threads a signal need not interrupt the wait at all.
    """

    __slots__ = ("_old_handlers", "_old_wakeup_fd", "_reader", "_writer")

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._old_wakeup_fd = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._old_handlers = {
            signum: signal.signal(signum, lambda *_: None)
            for signum in (signal.SIGCHLD, *_STOP_SIGNALS)
            # Ignored before, ignored now: a shell's background job has no business with Ctrl-C.
            if signum == signal.SIGCHLD or signal.getsignal(signum) != signal.SIG_IGN
        }

    def wait(self) -> set[int]:
        """Block until there are signals, and return which."""
        return set(os.read(self._reader, 512))

    def close(self) -> None:
        """Give the process its own handlers back."""
        for signum, handler in self._old_handlers.items():
            # None: it was not set from Python, and cannot be set again from there.
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._old_wakeup_fd)
        os.close(self._reader)
        os.close(self._writer)


class _Supervisor:
    """The parent's side of `fork_processes`."""

    __slots__ = ("_failed", "_passed_on", "_restarts_left", "_signals", "_workers")

    def __init__(self, signals: _SignalPipe, max_restarts: int) -> None:
        self._signals = signals
        self._restarts_left = max_restarts
        self._workers: dict[int, int] = {}  # process id -> task id
        self._passed_on: set[int] = set()  # signals; empty while nobody wants us to stop
        self._failed = False  # a worker ended abnormally while stopping

    def run(self, num_processes: int) -> int:
        """In a worker, return its task id; in the parent, leave by an exception."""
        try:
            worker = self._supervise(num_processes)
        except BaseException:
            # Leave no workers behind that nobody looks after.
            self._pass_on(signal.SIGTERM)
            self._reap()
            while self._workers:
                self._wait_for_signals()
                self._reap()
            self._signals.close()
            raise
        if worker is not None:
            return worker
        self._signals.close()
        sys.exit(1 if self._failed else 0)

    def _supervise(self, num_processes: int) -> int | None:
        """The task id in a worker; None in the parent, once all the workers have ended."""
        for worker in range(num_processes):
            if self._start(worker):
                return worker
        while self._workers:
            self._wait_for_signals()
            for worker in self._reap():
                if self._restarts_left <= 0:
                    raise RuntimeError("too many restarts of worker processes, giving up")
                self._restarts_left -= 1
                if self._start(worker):
                    return worker
        return None

    def _start(self, worker: int) -> bool:
        """Fork one worker. True in the worker, False in the parent."""
        # While a worker still has our handlers, a signal to it would be lost on it and wake us.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD, *_STOP_SIGNALS))
        try:
            process = os.fork()
            if process == 0:
                self._workers.clear()  # its siblings are none of its business
                self._signals.close()
                return True
            self._workers[process] = worker
            return False
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _wait_for_signals(self) -> None:
        """Block until there is something to do."""
        received = self._signals.wait()
        for signum in _STOP_SIGNALS:
            if signum in received:
                self._pass_on(signum)

    def _pass_on(self, signum: signal.Signals) -> None:
        if not self._passed_on:
            gen_log.info("stopping %d worker processes (%s)", len(self._workers), signum.name)
        self._passed_on.add(signum)
        if signum == signal.SIGINT and in_foreground_of_terminal():
            return
        for process in self._workers:  # not waited for yet, so the ids are still theirs
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signum)

    def _reap(self) -> list[int]:
        """Take note of the workers that have ended; return those to be started anew.

        Only our own are waited for: whoever started other child processes needs their status.
        """
        to_restart: list[int] = []
        for process, worker in list(self._workers.items()):
            try:
                ended, status = os.waitpid(process, os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it, and knows how it ended
                ended, status = process, 0
            if not ended:
                continue
            del self._workers[process]
            if not self._ended_well(worker, process, os.waitstatus_to_exitcode(status)):
                to_restart.append(worker)
        return to_restart

    def _ended_well(self, worker: int, process: int, exit_code: int) -> bool:
        """Log a worker's end; whether it may rest in peace."""
        if exit_code == 0:
            gen_log.info("worker %d (pid %d) exited normally", worker, process)
            return True
        how = f"exited with status {exit_code}"
        if exit_code < 0:
            how = f"was killed by signal {-exit_code}"
        if not self._passed_on:
            gen_log.warning("worker %d (pid %d) %s", worker, process, how)
            return False
        gen_log.info("worker %d (pid %d) %s while stopping", worker, process, how)
        self._failed = self._failed or -exit_code not in self._passed_on
        return True


def in_foreground_of_terminal() -> bool:
    """Whether Ctrl-C reaches the workers without us: a terminal signals a whole process group.

    A second SIGINT would cut short the orderly end that `asyncio.run` makes of the first.
    """
    try:
        terminal = os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY)
    except OSError:  # there is no terminal
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
