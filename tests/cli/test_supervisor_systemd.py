"""systemd's protocol: what a service manager says and hears, and what process 1 has to do."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tornadoish.netutil import bind_sockets
from tornadoish.supervisor import Notifier, inherited_sockets

from .supervising import PATIENCE, ROOT, Supervised, is_running, until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sockets of Unix")


class Manager:
    """A service manager's socket, and what it hears."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.setblocking(False)
        self.heard: list[list[str]] = []

    def hear(self) -> list[list[str]]:
        """All that has been said, each as its lines."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(self.sock.recv(4096).decode().splitlines())
        return self.heard

    def has_heard(self, state: str) -> bool:
        return any(state in lines for lines in self.hear())


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.sock.close()


# -- notifications


def test_what_a_manager_is_told(manager: Manager, tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"))
    notifier.ready("2 workers serve")
    notifier.watchdog()
    notifier.stopping("a\nREADY=1\x1b")
    notifier.reloading()
    *others, reloading = manager.hear()
    assert others == [
        ["READY=1", "STATUS=2 workers serve"],
        ["WATCHDOG=1"],
        ["STOPPING=1", "STATUS=a READY=1 "],
    ]
    assert reloading[0] == "RELOADING=1"
    name, _, microseconds = reloading[1].partition("=")
    assert name == "MONOTONIC_USEC"
    assert int(microseconds) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_a_manager_with_an_abstract_name() -> None:
    name = f"tornadoish-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    Notifier(f"@{name}").ready()
    assert manager.hear() == [["READY=1"]]
    manager.sock.close()


def test_nobody_wants_to_hear_anything() -> None:
    Notifier().ready()
    assert Notifier.from_environment({}).watchdog_seconds is None


def test_a_manager_that_is_gone_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(str(tmp_path / "nowhere"))
    notifier.ready()
    notifier.ready()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "2500000"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_s_time(variables: dict[str, str], seconds: float | None) -> None:
    environment = variables | {"NOTIFY_SOCKET": "/nowhere", "PATH": "/bin"}
    assert Notifier.from_environment(environment).watchdog_seconds == seconds
    assert environment == {"PATH": "/bin"}


# -- sockets


def activated(
    script: str, sock: socket.socket, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a script that is given ``sock`` as descriptor 3, as a service manager gives it."""
    start = f"import os\nos.dup2({sock.fileno()}, 3)\nos.environ['LISTEN_PID'] = str(os.getpid())\n"
    variables = {"PYTHONPATH": ROOT, "LISTEN_FDS": "1", **variables}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", start + script],
        check=False,
        pass_fds=[sock.fileno()],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


SHOW = """
from tornadoish.supervisor import inherited_sockets
for name, sock in inherited_sockets():
    print(name, sock.getsockname()[1], sock.get_inheritable())
print(inherited_sockets(), [name for name in os.environ if name.startswith("LISTEN")])
"""


def test_sockets_that_a_manager_has_opened() -> None:
    [sock] = bind_sockets(0, "127.0.0.1")
    port = sock.getsockname()[1]
    for variables, name in [({"LISTEN_FDNAMES": "web"}, "web"), ({}, "unknown")]:
        done = activated(SHOW, sock, **variables)
        assert done.stdout.splitlines() == [f"{name} {port} False", "[] []"], done.stderr
    sock.close()


def test_what_is_no_listening_socket() -> None:
    with socket.socket() as sock:
        done = activated(SHOW, sock, LISTEN_FDNAMES="web")
    said = "ValueError: socket activation: descriptor 3 (web): that socket does not listen"
    assert said in done.stderr
    assert done.returncode == 1
    with open(os.devnull) as file:
        done = activated(SHOW, file)  # type: ignore[arg-type]
    assert "ValueError: socket activation: descriptor 3 (unknown): " in done.stderr


def test_sockets_for_another_process() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
    assert inherited_sockets(environment) == []
    assert environment == {}
    with pytest.raises(ValueError, match="no numbers"):
        inherited_sockets({"LISTEN_PID": "me", "LISTEN_FDS": "1"})


# -- a supervisor under a manager


async def test_a_supervisor_tells_its_manager(supervised: Supervised, manager: Manager) -> None:
    environment = {
        "NOTIFY_SOCKET": str(supervised.directory / "notify"),
        "WATCHDOG_USEC": "300000",
    }
    await supervised.start(environment=environment, serves=False)
    await until(lambda: manager.has_heard("READY=1"))
    assert ["READY=1", "STATUS=2 of 2 workers serve"] in manager.heard
    await until(lambda: manager.hear().count(["WATCHDOG=1"]) >= 3)
    manager.heard.clear()
    supervised.signal(signal.SIGHUP)
    await until(lambda: manager.has_heard("RELOADING=1"))
    await until(lambda: manager.has_heard("READY=1"))
    manager.heard.clear()
    # New code that does not start ends the reload as well.
    supervised.behave(fails=["no", 78])
    supervised.signal(signal.SIGHUP)
    await until(lambda: manager.has_heard("READY=1"))
    supervised.signal(signal.SIGTERM)
    await until(lambda: manager.has_heard("STOPPING=1"))
    assert await supervised.ended() == 0


@pytest.fixture
async def listening() -> AsyncIterator[socket.socket]:
    [sock] = bind_sockets(0, "127.0.0.1")
    yield sock
    sock.close()


async def test_workers_serve_on_a_manager_s_socket(
    supervised: Supervised, listening: socket.socket
) -> None:
    number = listening.fileno()
    script = (
        f"import os, sys; os.dup2({number}, 3);"
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    await supervised.start(prefix=(sys.executable, "-c", script), pass_fds=(number,))
    assert supervised.where == list(listening.getsockname())
    pids = await supervised.pids()
    async with supervised.load() as load:
        supervised.signal(signal.SIGHUP)
        await supervised.all_serve(instead_of=pids)
    assert load.lost == []
    assert (await supervised.get())["inherited"] == []
    assert await supervised.stop() == 0


# -- process 1


def can_be_process_1() -> bool:
    command = ["unshare", "--pid", "--fork", "--kill-child", "true"]
    try:
        done = subprocess.run(command, stderr=subprocess.DEVNULL, timeout=10, check=False)
        return done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


async def test_process_1_reaps_and_forwards(supervised: Supervised) -> None:
    if not can_be_process_1():
        pytest.skip("no process of a container can be made here (unshare)")
    supervised.behave(orphan=True)
    await supervised.start(prefix=("unshare", "--pid", "--fork", "--kill-child"))
    # Their numbers are those of the inner system: they are looked for from outside.
    parent = children_of(supervised.process.pid)[0]

    def only_workers() -> bool:
        there = children_of(parent)
        return len(there) == 2 and all(is_running(pid) for pid in there)

    await until(only_workers)
    client, answer = await supervised.hold()
    os.kill(parent, signal.SIGTERM)
    await until(lambda: "2 workers drain" in supervised.said())
    assert not answer.done()
    supervised.release()
    assert await answer
    client.close()
    assert await supervised.ended() == 0


def children_of(pid: int) -> list[int]:
    """The children of a process, those that nobody has waited for included."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(number) for number in path.read_text().split()]
