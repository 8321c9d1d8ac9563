"""Behind Debian's haproxy: two servers, with the configuration of docs/deployment/haproxy.md."""

from __future__ import annotations

import asyncio
import shlex
import socket
import subprocess
from pathlib import Path

import pytest
from cli.supervising import until
from ports import free_ports

from .running import (
    CERTIFICATES,
    Browser,
    Load,
    Processes,
    block,
    listens,
    replaced,
    tool,
    wait_until,
)

PAGE = "haproxy.md"


class Balanced:
    """haproxy, and two servers of ours behind it."""

    def __init__(self, processes: Processes, announce: str = "") -> None:
        program = tool("haproxy")
        self._announce = announce
        self.processes = processes
        self.http, self.https, *self.ports = free_ports(4)
        directory = processes.directory
        certificate = directory / "both.pem"
        parts = [(CERTIFICATES / f"localhost.{kind}").read_text() for kind in ("pem", "key")]
        certificate.write_text("".join(parts))
        self._admin = directory / "admin.sock"
        text = replaced(
            block(PAGE, "haproxy"),
            {
                "bind :80\n": f"bind 127.0.0.1:{self.http}\n",
                "bind :443 ": f"bind 127.0.0.1:{self.https} ",
                "/etc/haproxy/tls/example.org.pem": str(certificate),
                "/run/haproxy/admin.sock": str(self._admin),
                "127.0.0.1:8001": f"127.0.0.1:{self.ports[0]}",
                "127.0.0.1:8002": f"127.0.0.1:{self.ports[1]}",
            },
        )
        configuration = directory / "haproxy.cfg"
        configuration.write_text(text)
        self.servers = [self.serve(index, "old") for index in range(2)]
        self.haproxy = processes.start("haproxy", program, "-db", "-f", str(configuration))
        wait_until(lambda: listens(self.https) and self.states() == {"one": 2, "two": 2},
                   self.haproxy)  # fmt: skip

    def serve(self, index: int, version: str) -> subprocess.Popen[bytes]:
        lines = block(PAGE, "sh", "tornadoish").splitlines()
        words = shlex.split(lines[index])
        assert words[:3] == ["tornadoish", "app:make_app", "--port"]
        assert words[3] == str(8001 + index)
        return self.processes.serve(
            self.ports[index], *words[4:], VERSION=version, ANNOUNCE=self._announce
        )

    def admin(self, command: str) -> str:
        """What haproxy answers to a command."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self._admin))
            sock.sendall(f"{command}\n".encode())
            answer = b""
            while data := sock.recv(65536):
                answer += data
        return answer.decode()

    def states(self) -> dict[str, int]:
        """By server: 2 is up, 0 is down."""
        if not Path(self._admin).exists():
            return {}
        lines = self.admin("show servers state app").splitlines()[2:]
        return {words[3]: int(words[5]) for line in lines if (words := line.split())}

    async def ended(self, index: int) -> None:
        """SIGTERM; the process must have ended well."""
        assert await asyncio.to_thread(self.processes.end, self.servers[index]) == 0


@pytest.fixture
def balanced(processes: Processes) -> Balanced:
    return Balanced(processes)


@pytest.mark.parametrize("told", [True, False], ids=["haproxy is told", "it is announced"])
async def test_servers_are_replaced_and_no_request_is_lost(
    processes: Processes, told: bool
) -> None:
    balanced = Balanced(processes, announce="" if told else "3")
    old = {server.pid for server in balanced.servers}
    async with Load(balanced.https, browsers=6, tls=True) as load:
        await until(lambda: load.pids == old)
        for index, name in enumerate(("one", "two")):
            if told:
                balanced.admin(f"set server app/{name} state drain")
            await load.goes_on()
            await balanced.ended(index)
            await load.goes_on()
            server = await asyncio.to_thread(balanced.serve, index, "new")
            if told:
                balanced.admin(f"set server app/{name} state ready")
            await until(lambda pid=server.pid: pid in load.pids)
        assert balanced.states() == {"one": 2, "two": 2}
        load.pids.clear()
        await load.goes_on()
        assert not load.pids & old
    assert load.lost == []


async def test_the_application_sees_the_client(balanced: Balanced) -> None:
    for source in ("127.0.0.1", "127.0.0.9"):
        browser = Browser(balanced.https, tls=True, source=source)
        seen = await browser.ask(
            "GET", "/", X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="http",
            Forwarded="for=192.0.2.3",
        )  # fmt: skip
        assert (seen["client"], seen["protocol"]) == (source, "https")
        assert "Forwarded" not in seen["headers"]
        browser.close()
    browser = Browser(balanced.http)
    await browser.send("GET", "/a")
    status, fields = await browser.head()
    assert (status, fields["location"]) == (308, "https://localhost/a")
    browser.close()


async def test_a_websocket_through_it(balanced: Balanced) -> None:
    websockets = pytest.importorskip("websockets.asyncio.client")
    tls = Browser(balanced.https, tls=True)._tls
    async with websockets.connect(f"wss://localhost:{balanced.https}/echo", ssl=tls) as sock:
        await sock.send("ö")
        assert await sock.recv() == "ö"


async def test_without_its_header_a_server_answers_nobody(balanced: Balanced) -> None:
    browser = Browser(balanced.ports[0])
    await browser.send("GET", "/")
    with pytest.raises((EOFError, OSError)):
        await browser.head()
    browser.close()
