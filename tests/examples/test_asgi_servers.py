"""Our application under foreign servers: uvicorn, with two of its parsers each for HTTP and for
WebSockets, hypercorn, granian."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ports import free_ports
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from .running import PATIENCE, ROOT, until

MIB = 1 << 20
UVICORN = ("uvicorn", "--port={port}", "--log-level=warning")
SERVERS = {
    "uvicorn-h11": (*UVICORN, "--http=h11", "--ws=websockets-sansio"),
    "uvicorn-httptools": (*UVICORN, "--http=httptools", "--ws=wsproto"),
    "hypercorn": ("hypercorn", "--bind=127.0.0.1:{port}"),
    "granian": ("granian", "--interface=asgi", "--port={port}", "--log-level=warning"),
}


class Host:
    """A server as a process, with our application."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        [self.port] = free_ports(1)
        module, *arguments = [part.format(port=self.port) for part in SERVERS[name]]
        path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments, "asgi_app:app"],
                stdout=output, stderr=output, cwd=log.parent,
                env=os.environ | {"PYTHONPATH": path},
            )  # fmt: skip
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=PATIENCE
        )

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def answers(self) -> bool:
        assert self.process.poll() is None, self.said()
        try:
            return self.client.get("/log").status_code == 200
        except httpx.TransportError:
            return False

    def open(self, path: str, **options: Any) -> ClientConnection:
        """Open a WebSocket."""
        url = f"ws://127.0.0.1:{self.port}{path}"
        client: ClientConnection = connect(url, proxy=None, open_timeout=PATIENCE, **options)
        return client

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def log(self) -> Any:
        return self.client.get("/log").json()

    def close(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@pytest.fixture(scope="module", params=SERVERS)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if importlib.util.find_spec(SERVERS[request.param][0]) is None:
        pytest.skip(f"{request.param} is not installed")
    host = Host(request.param, tmp_path_factory.mktemp("host") / "log")
    try:
        until(host.answers)
        yield host
    finally:
        host.close()


def test_requests(host: Host) -> None:
    base = f"http://127.0.0.1:{host.port}"
    answer = host.client.get("/echo?a=%C3%A9&a=2")
    assert answer.json() == {
        "asked": ["GET", f"{base}/echo?a=%C3%A9&a=2", "HTTP/1.1"],
        "from": "127.0.0.1",
        "arguments": {"a": ["é", "2"]},
        "files": {},
    }
    assert len(answer.headers.get_list("Date")) == len(answer.headers.get_list("Server")) == 1
    answer = host.client.post("/echo", data={"b": "1"}, files={"f": bytes(100_000)})
    assert (answer.json()["arguments"], answer.json()["files"]) == ({"b": ["1"]}, {"f": 100_000})
    answer = host.client.head("/echo")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0
    known = host.client.get("/echo", headers={"If-None-Match": answer.headers["ETag"]})
    assert known.status_code == 200  # of another method
    known = host.client.head("/echo", headers={"If-None-Match": answer.headers["ETag"]})
    assert known.status_code == 304
    assert host.client.get("/none").status_code == 404
    answer = host.client.put("/echo")
    assert answer.status_code == 405


def test_pieces(host: Host) -> None:
    answer = host.client.get("/pieces")
    assert answer.text == "".join([f"{number}\n" for number in range(100)])
    answer = host.client.get("/events")
    assert answer.text == 'id: 1\ndata: {"number": 1}\n\nevent: named\ndata: two\n\n'


def test_an_upload(host: Host) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(200):
            yield bytes(100_000)

    assert host.client.post("/upload", content=pieces()).text == "20000000"
    assert host.client.post("/upload", content=bytes(5_000_000)).text == "5000000"


def test_half_an_answer_is_known_to_be_one(host: Host) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        host.client.get("/half")


def test_a_body_that_is_refused(host: Host) -> None:
    with host.connect() as client:
        client.sendall(
            b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        answer = client.recv(65536)
    if host.name == "hypercorn":  # it says so whatever an application may say
        assert answer.startswith(b"HTTP/1.1 100 ")
    else:
        assert answer.startswith(b"HTTP/1.1 403 ")


def test_a_client_that_goes_away(host: Host) -> None:
    with host.connect() as client:
        client.sendall(b"GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    until(lambda: "waiting cancelled" in host.log()["log"])


def test_a_client_that_does_not_read(host: Host) -> None:
    with host.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        before = [-1]

        def stands_still() -> bool:
            before.append(host.log()["pieces"])
            return before[-1] == before[-2] > 0

        until(stands_still)
        assert before[-1] < 256  # pieces of 64 KiB: what sockets and servers hold
    until(lambda: {"endless closed", "endless ended"} <= {*host.log()["log"]})


# ---- WebSockets ------------------------------------------------------------------------------


def test_a_websocket(host: Host) -> None:
    options: dict[str, Any] = {
        "additional_headers": {"Cookie": "c=1"},
        "subprotocols": [Subprotocol("a"), Subprotocol("b")],
    }
    with host.open("/socket?a=%C3%A9", **options) as client:
        assert client.subprotocol == "b"
        assert client.response is not None
        if host.name != "granian":  # it sends no fields of an application's
            assert client.response.headers["Set-Cookie"] == "seen=yes; Path=/"
        assert json.loads(client.recv(PATIENCE))["asked"] == [
            f"http://127.0.0.1:{host.port}/socket?a=%C3%A9", "127.0.0.1", "HTTP/1.1", "1",
        ]  # fmt: skip
        messages: list[str | bytes] = ["hé", b"\0\xff", "", b"", "x" * 100_000, bytes(1_000_000)]
        for message in messages:
            client.send(message)
            assert client.recv(PATIENCE) == message
        client.close(4000)
    # One host tells nobody how its clients have closed.
    closed = "socket None" if host.name == "hypercorn" else "socket 4000"
    until(lambda: closed in host.log()["log"])


def test_messages_that_a_coroutine_takes(host: Host) -> None:
    with host.open("/iterating") as client:
        for number in range(100):
            client.send(str(number))
        assert [client.recv(PATIENCE) for _ in range(100)] == [str(n) for n in range(100)]
    until(lambda: "iterated" in host.log()["log"])


def test_a_message_in_parts(host: Host) -> None:
    with host.open("/parts") as client:
        client.send(bytes(4_000_000))
        assert client.recv(PATIENCE) == "4000000"
        client.send(["ab"] * 10)
        assert client.recv(PATIENCE) == "20"


def test_a_handler_that_closes(host: Host) -> None:
    with host.open("/socket") as client:
        client.recv(PATIENCE)
        client.send("close")
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE)
        assert (client.close_code, client.close_reason) == (4001, "why")
    until(lambda: "socket 4001" in host.log()["log"])


def test_refused_websockets(host: Host) -> None:
    for path, origin, status in (("/socket", "http://evil.example", 403), ("/none", None, 404)):
        with pytest.raises(InvalidStatus) as raised:
            host.open(path, origin=origin)
        response = raised.value.response
        assert response.status_code == status
        assert (b"Cross origin" if status == 403 else b"404: Not Found") in response.body


def test_a_websocket_whose_client_goes_away(host: Host) -> None:
    with host.open("/waiting-socket") as client:
        client.send("a")
        client.socket.shutdown(socket.SHUT_RDWR)
    until(lambda: "waiting socket cancelled" in host.log()["log"])


def test_a_websocket_whose_client_does_not_read(host: Host) -> None:
    before = host.log()["tasks"]
    counts = [-1]

    def stands_still() -> bool:
        counts.append(host.log()["pieces"])
        return counts[-1] == counts[-2] > 0

    with host.open("/endless-socket", max_queue=1, compression=None) as client:
        until(stands_still)
        assert counts[-1] < 256  # pieces of 64 KiB: what sockets and servers hold
        client.socket.shutdown(socket.SHUT_RDWR)
    until(lambda: "endless socket ended" in host.log()["log"])
    until(lambda: host.log()["tasks"] <= before)


# ---- Its end ---------------------------------------------------------------------------------


def test_its_life(host: Host) -> None:
    """Last, for the server ends here."""
    assert host.log()["log"][0] == "startup"
    assert "cleaned up" not in host.said()
    host.close()
    assert "cleaned up" in host.said()
    for word in ("Traceback", "never awaited", "never retrieved"):
        assert word not in host.said(), host.said()
