"""The units of docs/deployment/systemd.md, read by systemd's own tools; its protocol is tested with
the supervisor."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ports import free_ports

from .running import PATIENCE, Browser, Load, Processes, block, replaced, tool

PAGE = "systemd.md"


def unit(name: str) -> str:
    return block(PAGE, "ini", f"# {name}\n")


def settings(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=["="], allow_no_value=True)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string(unit(name))
    return parser


def command() -> list[str]:
    """The program's arguments."""
    program, *arguments = shlex.split(settings("app.service")["Service"]["ExecStart"])
    assert Path(program).name == "tornadoish"
    return arguments


def test_systemd_can_read_the_units(tmp_path: Path) -> None:
    program = tool("systemd-analyze")
    (tmp_path / "app.socket").write_text(unit("app.socket"))
    (tmp_path / "app.service").write_text(
        replaced(unit("app.service"), {"/srv/app/venv/bin/tornadoish": "/bin/true"})
    )
    done = subprocess.run(
        [program, "verify", "--man=no", "--recursive-errors=no", "app.socket", "app.service"],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "app." in line]
    assert said == []
    if "Failed to" in done.stderr:
        pytest.skip(f"systemd-analyze cannot work here: {done.stderr.splitlines()[0]}")


def test_the_times_fit() -> None:
    service = settings("app.service")["Service"]
    assert int(service["TimeoutStopSec"]) > 30 + 5
    assert service["RestartPreventExitStatus"].split() == ["2", "78"]


async def test_systemd_s_sockets_are_served_on(processes: Processes) -> None:
    """systemd-socket-activate gives sockets away as systemd itself does."""
    program = tool("systemd-socket-activate")
    [port] = free_ports(1)
    address = processes.directory / "notify"
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(address))
        manager.settimeout(PATIENCE)
        server = processes.start(
            "activated", program, "-E", f"NOTIFY_SOCKET={address}", "-E", "PYTHONPATH",
            "-l", f"127.0.0.1:{port}",
            sys.executable, "-m", "tornadoish", *command(), "--no-access-log",
            TORNADOISH_WORKERS="2",
        )  # fmt: skip
        # Started by the first who comes, and he is served.
        browser = Browser(port)
        while True:
            try:
                first = await browser.ask("GET", "/")
                break
            except OSError:
                assert server.poll() is None, processes.said("activated")
                await asyncio.sleep(0.02)
        assert first["client"] == "127.0.0.1"
        browser.close()
        heard: list[str] = []

        def hear(state: str) -> None:
            while not heard or state not in heard[-1].splitlines():
                heard.append(manager.recv(4096).decode())

        await asyncio.to_thread(hear, "READY=1")
        async with Load(port, browsers=4) as load:
            server.send_signal(signal.SIGHUP)
            await asyncio.to_thread(hear, "RELOADING=1")
            await asyncio.to_thread(hear, "READY=1")
        assert load.lost == []
        assert await asyncio.to_thread(processes.end, server) == 0
        hear("STOPPING=1")
