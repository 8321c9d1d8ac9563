"""One process and a service manager: what it is told, and sockets that it opens (systemd's)."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .commanding import APP, PATIENCE
from .conftest import Start

CERTS = Path(__file__).parents[1] / "certs"


@pytest.fixture(autouse=True)
def application(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(APP)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(PATIENCE)
        yield sock


def test_it_says_how_it_is(start: Start, tmp_path: Path, manager: socket.socket) -> None:
    for name in ("pem", "key"):
        shutil.copy(CERTS / f"localhost.{name}", tmp_path / f"a.{name}")
    command = start(
        "hello:make_app", "--port=0", "--tls-cert=a.pem", "--tls-key=a.key",
        environment={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"},
    )  # fmt: skip
    told: list[str] = []

    def hear(word: str) -> str:
        while word not in (heard := manager.recv(4096).decode()):
            told.append(heard)
        return heard

    assert f"STATUS=serving hello:make_app at {command.url}" in hear("READY=1")
    hear("WATCHDOG=1")
    hear("WATCHDOG=1")  # and again, and again
    command.process.send_signal(signal.SIGHUP)
    hear("RELOADING=1")
    hear("READY=1")
    assert not [one for one in told if "WATCHDOG=1" not in one]
    command.process.send_signal(signal.SIGTERM)
    hear("STOPPING=1")
    assert command.ended() == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="sh may know no descriptors above 9")
def test_it_takes_the_sockets_that_it_is_given(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        fd = sock.fileno()
        # For this very process, and as descriptor 3: so a shell becomes it.
        script = f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3<&{fd}'
        words = [sys.executable, "-m", "tornadoish", "hello:make_app"]
        command = start(program=["bash", "-c", script, *words], pass_fds=[fd])
        assert command.url == f"http://127.0.0.1:{sock.getsockname()[1]}"
        assert command.get().status_code == 200
    assert command.stop() == 0


def test_sockets_that_are_none(start: Start) -> None:
    script = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3</dev/null'
    words = [sys.executable, "-m", "tornadoish", "hello:make_app"]
    command = start(program=["sh", "-c", script, *words])
    assert command.ended() == 78
    assert "tornadoish: error: socket activation: descriptor 3" in command.error
    assert command.error.count("\n") == 1
