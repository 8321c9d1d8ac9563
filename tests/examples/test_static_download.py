"""A large static file from a running process: whole, in constant memory, while others are served.

1 GiB with TORNADOISH_SLOW=1, else 64 MiB.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .conftest import Start
from .running import Example

MIB = 1 << 20
SIZE = (1024 if os.environ.get("TORNADOISH_SLOW") else 64) * MIB
#: bytes by which the process may grow: some pieces, and what the allocator keeps
GROWTH = 4 * MIB
SERVER = "../tests/examples/static_server.py"

pytestmark = pytest.mark.slow


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """With a file whose every MiB is another."""
    directory = tmp_path / "files"
    directory.mkdir()
    with (directory / "large").open("wb") as file:
        block = os.urandom(MIB - 8)
        for number in range(SIZE // MIB):
            file.write(number.to_bytes(8, "big") + block)
    (directory / "small.txt").write_bytes(b"small")
    yield directory
    shutil.rmtree(directory)  # pytest keeps the rest of tmp_path for a while


def memory(example: Example, name: str) -> int:
    """``VmRSS`` or ``VmHWM`` of the process in bytes."""
    status = Path(f"/proc/{example.process.pid}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("flags", [(), ("--copy",)], ids=["sendfile", "copied"])
def test_in_constant_memory(start: Start, directory: Path, flags: tuple[str, ...]) -> None:
    example = start(SERVER, str(directory), *flags)
    with httpx.Client(base_url=example.url, trust_env=False, timeout=60) as client:
        assert client.get("/static/small.txt").content == b"small"
        before = memory(example, "VmRSS")
        digest, count = hashlib.sha256(), 0
        with client.stream("GET", "/static/large") as answer:
            assert answer.headers["Content-Length"] == str(SIZE)
            for piece in answer.iter_raw(MIB):
                digest.update(piece)
                count += len(piece)
                if count // MIB % 256 == 0:  # others are served meanwhile
                    assert httpx.get(f"{example.url}static/small.txt", trust_env=False).is_success
        assert digest.hexdigest() == digest_of(directory / "large")
    assert memory(example, "VmHWM") - before < GROWTH


def test_many_that_do_not_read(start: Start, directory: Path) -> None:
    """Each holds a socket, a descriptor of the file and a piece at the most."""
    example = start(SERVER, str(directory), "--copy")
    before = memory(example, "VmRSS")
    request = b"GET /static/large HTTP/1.1\r\nHost: x\r\n\r\n"
    peers: list[socket.socket] = []
    try:
        for _ in range(50):
            peers.append(example.connect())
            peers[-1].sendall(request)
            assert peers[-1].recv(1000)
        assert httpx.get(f"{example.url}static/small.txt", trust_env=False).content == b"small"
        assert memory(example, "VmHWM") - before < GROWTH + 50 * 256 * 1024
    finally:
        for peer in peers:
            peer.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_goes_on_where_it_stopped(start: Start, directory: Path, tmp_path: Path) -> None:
    """``curl -C -``: a range with what it has already."""
    example = start(SERVER, str(directory))
    target = tmp_path / "download"
    with (directory / "large").open("rb") as file:
        target.write_bytes(file.read(SIZE // 2 + 1))
    url = f"{example.url}static/large"
    command = ["curl", "-sSf", "--noproxy", "*", "-C", "-", "-o", str(target), url]
    subprocess.run(command, check=True, timeout=120)
    assert digest_of(target) == digest_of(directory / "large")
    target.unlink()
