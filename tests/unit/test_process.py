"""process.py with real forks: each case is a script in an interpreter of its own.

Scripts say what happens on standard output, one short os.write a line, so that workers never mix
lines, and wait for signals or pipes only; the interpreter's own time limit is the last resort.
"""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

import tornadoish.log
from tornadoish import process

ROOT = str(Path(tornadoish.log.__file__).parents[1])
TIME_LIMIT = 30  # seconds for one script

PRELUDE = """
import logging, os, signal, sys
from tornadoish.process import fork_processes, task_id
signal.alarm(30)
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
"""


def start(script: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    # A session of its own: no terminal, whatever pytest was started from.
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PRELUDE + script],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
        start_new_session=True,
    )


@contextlib.contextmanager
def running(script: str, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    with start(script, stdin) as popen:
        # Reading a line blocks, so a hanging script has to be ended from here.
        timer = threading.Timer(TIME_LIMIT, os.killpg, (popen.pid, signal.SIGKILL))
        timer.start()
        try:
            yield popen
        finally:
            timer.cancel()
            timer.join()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(popen.pid, signal.SIGKILL)


def run(script: str) -> tuple[int, list[str], str]:
    """Exit status, sorted lines of standard output, log."""
    with running(script) as popen:
        out, err = popen.communicate()
        return popen.returncode, sorted(out.splitlines()), err


def read_lines(stream: IO[str] | None, count: int) -> list[str]:
    assert stream is not None
    return sorted(stream.readline().rstrip("\n") for _ in range(count))


# ------------------------------------------------------------------------------ start and end


def test_cpu_count_is_what_this_process_may_use() -> None:
    assert process.cpu_count() == len(os.sched_getaffinity(0))
    assert process.task_id() is None


def test_each_worker_gets_its_id_and_the_supervisor_exits_with_0() -> None:
    status, lines, log = run(
        """
try:
    worker = fork_processes(3)
except SystemExit as error:
    say("supervisor", error.code, task_id())
    raise
say("worker", worker, task_id(), os.getppid() != 1)
"""
    )
    assert (status, lines) == (
        0,
        ["supervisor 0 None", "worker 0 0 True", "worker 1 1 True", "worker 2 2 True"],
    )
    assert log.count("exited normally") == 3


@pytest.mark.parametrize("number", ["None", "0", "-1"])
def test_no_number_means_one_worker_per_processor(number: str) -> None:
    _, lines, _ = run(f"say(fork_processes({number}))")
    assert lines == sorted(str(worker) for worker in range(process.cpu_count()))


def test_workers_draw_different_random_numbers() -> None:
    _, lines, _ = run("import random; fork_processes(3); say(random.getrandbits(64))")
    assert len(set(lines)) == 3


# ------------------------------------------------------------------------------ restarts


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("os._exit(3)", "exited with status 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by signal 9"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "was killed by signal 15"),
    ],
)
def test_a_worker_that_ended_abnormally_is_started_anew(end: str, message: str) -> None:
    status, lines, log = run(
        f"""
tokens, more = os.pipe()
os.write(more, b"xx")
os.set_blocking(tokens, False)
worker = fork_processes(2)
say("worker", worker)
if worker == 1:
    try:
        os.read(tokens, 1)
    except BlockingIOError:
        pass
    else:
        {end}
"""
    )
    assert (status, lines) == (0, ["worker 0", "worker 1", "worker 1", "worker 1"])
    assert log.count(message) == 2


@pytest.mark.parametrize("max_restarts", [0, 1, 3])
def test_too_many_restarts_stop_the_other_workers_too(max_restarts: int) -> None:
    status, lines, log = run(
        f"""
def stopped(*_):
    say("0 stopped")
    os._exit(0)
signal.signal(signal.SIGTERM, stopped)
ready, tell = os.pipe()
try:
    worker = fork_processes(2, max_restarts={max_restarts})
except RuntimeError as error:
    say("gave up:", error)
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        say("nobody left")
    os._exit(7)
if worker == 0:
    os.write(tell, b"r" * 10)
    while True:
        signal.pause()
os.read(ready, 1)
say("1 fails")
os._exit(1)
"""
    )
    assert status == 7, log
    assert lines == [
        "0 stopped",
        *["1 fails"] * (max_restarts + 1),
        "gave up: too many restarts of worker processes, giving up",
        "nobody left",
    ]


def test_default_of_max_restarts_is_100() -> None:
    status, lines, _ = run(
        """
try:
    fork_processes(1, None)
except RuntimeError:
    say("gave up")
    os._exit(7)
say("started")
os._exit(1)
"""
    )
    assert (status, lines) == (7, ["gave up"] + ["started"] * 101)


def test_simultaneous_ends_are_all_noticed() -> None:
    """Signals coalesce: twenty ends may be one SIGCHLD."""
    status, lines, _ = run(
        """
gate, opener = os.pipe()
ready, tell = os.pipe()
worker = fork_processes(21)
if worker == 20:
    for _ in range(20):
        os.read(ready, 1)
    os.write(opener, b"." * 20)
else:
    os.write(tell, b".")
    os.read(gate, 1)
say(worker)
"""
    )
    assert (status, lines) == (0, sorted(map(str, range(21))))


def test_children_that_are_not_workers_keep_their_status() -> None:
    status, lines, _ = run(
        """
import subprocess
other = subprocess.Popen([sys.executable, "-c", "raise SystemExit(5)"])
os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
try:
    fork_processes(2)
except SystemExit:
    say(other.wait())
else:
    other.returncode = 0  # a copy in a worker
"""
    )
    assert (status, lines) == (0, ["5"])


# ------------------------------------------------------------------------------ signals


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_stop_signals_reach_the_workers_and_are_waited_for(signum: signal.Signals) -> None:
    # Blocked, so that the signal cannot come before the wait for it.
    with running(
        f"""
signal.signal(signal.{signum.name}, lambda *_: None)
worker = fork_processes(2)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.{signum.name}])
say("ready", worker)
say("stopped", worker, signal.sigwait([signal.{signum.name}]).name)
"""
    ) as popen:
        assert read_lines(popen.stdout, 2) == ["ready 0", "ready 1"]
        popen.send_signal(signum)
        out, log = popen.communicate()
    assert sorted(out.splitlines()) == [f"stopped 0 {signum.name}", f"stopped 1 {signum.name}"]
    assert popen.returncode == 0
    assert f"stopping 2 worker processes ({signum.name})" in log


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("os._exit(0)", "os._exit(0)", 0),
        ("os._exit(0)", "os.kill(os.getpid(), signal.SIGTERM)", 0),
        ("os._exit(4)", "os._exit(0)", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", "os._exit(0)", 1),
    ],
)
def test_nothing_is_restarted_while_stopping(first: str, second: str, status: int) -> None:
    with running(
        f"""
worker = fork_processes(2)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
say("ready", worker)
signal.sigwait([signal.SIGTERM])
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
{first} if worker == 0 else {second}
"""
    ) as popen:
        assert read_lines(popen.stdout, 2) == ["ready 0", "ready 1"]
        popen.terminate()
        out, _ = popen.communicate()
    assert (popen.returncode, out) == (status, "")


def test_a_second_stop_signal_is_passed_on_too() -> None:
    with running(
        """
fork_processes(1)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
say("ready")
say(signal.sigwait([signal.SIGTERM]).name)
say(signal.sigwait([signal.SIGINT]).name)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)  # the first one counts as an orderly end, too
"""
    ) as popen:
        assert read_lines(popen.stdout, 1) == ["ready"]
        popen.send_signal(signal.SIGTERM)
        assert read_lines(popen.stdout, 1) == ["SIGTERM"]
        popen.send_signal(signal.SIGINT)
        assert read_lines(popen.stdout, 1) == ["SIGINT"]
        assert popen.wait() == 0


def test_workers_have_the_handlers_from_before_and_no_pipe_of_ours() -> None:
    status, lines, _ = run(
        """
def mine(*_): pass
signal.signal(signal.SIGTERM, mine)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
before = set(os.listdir("/proc/self/fd"))
try:
    who = fork_processes(1)
except SystemExit:
    who = "supervisor"
say(
    who,
    signal.getsignal(signal.SIGTERM) is mine,
    signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN,
    signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    signal.set_wakeup_fd(-1),
    signal.pthread_sigmask(signal.SIG_BLOCK, []),
    set(os.listdir("/proc/self/fd")) == before,
)
"""
    )
    assert status == 0
    assert lines == [f"{who} True True True -1 set() True" for who in ("0", "supervisor")]


def test_an_ignored_sigint_stays_ignored() -> None:
    with running(
        """
signal.signal(signal.SIGINT, signal.SIG_IGN)
fork_processes(1)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
say(os.getpid())
signal.sigwait([signal.SIGTERM])
"""
    ) as popen:
        (worker,) = read_lines(popen.stdout, 1)
        popen.send_signal(signal.SIGINT)
        os.kill(int(worker), signal.SIGKILL)
        (restarted,) = read_lines(popen.stdout, 1)  # so the supervisor is not stopping
        assert restarted not in ("", worker)
        popen.terminate()
        assert popen.wait() == 0


def test_ctrl_c_on_a_terminal_reaches_a_worker_once() -> None:
    keyboard, terminal = pty.openpty()
    try:
        with running(
            """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signals = [signal.SIGTERM, signal.SIGINT]
fork_processes(1)
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
say("ready")
while True:
    signum = signal.sigwait(signals)
    say(signum.name)
    if signum == signal.SIGTERM:
        break
""",
            stdin=terminal,
        ) as popen:
            assert read_lines(popen.stdout, 1) == ["ready"]
            # The supervisor may see it only after the worker, or two SIGINTs could merge into one.
            popen.send_signal(signal.SIGSTOP)
            os.write(keyboard, b"\x03")
            assert read_lines(popen.stdout, 1) == ["SIGINT"]
            popen.send_signal(signal.SIGCONT)
            # The supervisor logs that it has seen it, then passes it on (or not): a later signal
            # cannot overtake that.
            assert popen.stderr is not None
            assert any("(SIGINT)" in line for line in popen.stderr)
            popen.terminate()
            out, _ = popen.communicate()
        assert (popen.returncode, out) == (0, "SIGTERM\n")
    finally:
        os.close(keyboard)
        os.close(terminal)


# ------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "import asyncio\nasync def main(): fork_processes(1)\nasyncio.run(main())",
            "RuntimeError: fork_processes must be called before the event loop is started",
        ),
        (
            """
import threading
threading.excepthook = lambda args: print(repr(args.exc_value), file=sys.stderr)
thread = threading.Thread(target=fork_processes, args=(1,))
thread.start()
thread.join()
sys.exit(1)
""",
            "RuntimeError('fork_processes must be called in the main thread')",
        ),
    ],
)
def test_refuses_to_fork(script: str, message: str) -> None:
    status, _, log = run(script)
    assert status == 1
    assert message in log
    assert "starting" not in log


def test_a_worker_cannot_fork_workers() -> None:
    status, lines, _ = run(
        """
fork_processes(1)
try:
    fork_processes(1)
except RuntimeError as error:
    say(error)
"""
    )
    assert (status, lines) == (0, ["fork_processes: this process is a worker already"])


def test_fork_failure_stops_what_was_started() -> None:
    """RLIMIT_NPROC does not bind root, so it is an audit hook that refuses the third fork."""
    status, lines, _ = run(
        """
forks = []
def refuse(event, args):
    if event == "os.fork":
        forks.append(event)
        if len(forks) == 3:
            raise BlockingIOError(11, "no more processes")
sys.addaudithook(refuse)
try:
    worker = fork_processes(3)
except BlockingIOError as error:
    say("supervisor", error.errno)
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        say("nobody left")
    os._exit(7)
while True:
    signal.pause()
"""
    )
    assert (status, lines) == (7, ["nobody left", "supervisor 11"])
