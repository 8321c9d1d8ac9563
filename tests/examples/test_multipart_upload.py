"""Forms with files, sent by programs that others have written, to a server in its own process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import Start
from .running import until
from .test_upload import memory
from .uploading import RawUpload, UploadServer, blocks

MIB = 1024 * 1024
SERVER = "../tests/examples/multipart_server.py"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is read from /proc"
)


@pytest.fixture
def server(start: Start, tmp_path: Path) -> Iterator[UploadServer]:
    directory = tmp_path / "uploads"
    directory.mkdir()
    yield UploadServer(start(SERVER, str(directory)), directory)
    shutil.rmtree(directory, ignore_errors=True)  # pytest keeps the rest of tmp_path for a while


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@needs_curl
@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
def test_curl(server: UploadServer, tmp_path: Path, expect: str) -> None:
    data = os.urandom(5 * MIB)
    (tmp_path / 'a "b" ä;.bin').write_bytes(data)
    (tmp_path / "empty").write_bytes(b"")
    name = str(tmp_path / 'a "b" ä;.bin').replace('"', r"\"")
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", "20", "-H", expect]
    for form in ("text=hällo", f'file=@"{name}"', f'spooled=@"{name}"',
                 f"none=@{tmp_path / 'empty'};type=a/b", f'dropped=@"{name}"'):  # fmt: skip
        command += ["-F", form]
    done = subprocess.run(
        [*command, server.example.url], capture_output=True, check=True, timeout=30
    )
    # curl writes a quote in a name as %22, as browsers do, or with a backslash, as it did before.
    found = json.loads(done.stdout.decode().replace("%22", r"\""))["found"]
    assert found == [
        ["text", "hällo"],
        ["file", 'a "b" ä;.bin', len(data)],
        ["spooled", 'a "b" ä;.bin', len(data), sha256(data)],
        ["none", "empty", 0],
    ]
    assert (server.directory / "1").read_bytes() == data
    assert server.names() == {"1", "3"}


def test_httpx(server: UploadServer) -> None:
    data = os.urandom(5 * MIB)
    files: Any = [("file", ("a.bin", data, "a/b")), ("spooled", data), ("dropped", data)]
    with httpx.Client(trust_env=False, timeout=20) as client:
        for _ in range(2):
            response = client.post(server.example.url, data={"text": "hällo"}, files=files)
            assert response.json()["found"] == [
                ["text", "hällo"],
                ["file", "a.bin", len(data)],
                ["spooled", "upload", len(data), sha256(data)],
            ]
    assert (server.directory / "1").read_bytes() == data


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_proc
@pytest.mark.parametrize("name", ["file", "spooled", "dropped"])
def test_memory_stays_constant(server: UploadServer, name: str) -> None:
    total = 1024 * MIB if os.environ.get("TORNADOISH_SLOW") == "1" else 256 * MIB
    pid = server.example.process.pid
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'.encode()
    before = memory(pid, "VmRSS")
    block = os.urandom(MIB)
    with RawUpload(server) as upload:
        upload.socket.settimeout(120)
        length = len(head) + total + len(b"\r\n--B--\r\n")
        type_ = "Content-Type: multipart/form-data; boundary=B"
        upload.head("/", type_, f"Content-Length: {length}", method="POST")
        upload.send(head)
        for piece in blocks(total, block):
            upload.send(piece)
        upload.send(b"\r\n--B--\r\n")
        found = upload.answer("POST").result["found"]
    if name != "dropped":
        assert found[0][:3] == [name, "x", total]  # type: ignore[index]
    growth = memory(pid, "VmHWM") - before
    print(f"{name}: {growth / MIB:.1f} MiB more at its peak")
    assert growth < 16 * MIB
    until(lambda: server.names() == ({"0"} if name == "file" else set()))
    if name == "file":
        assert (server.directory / "0").stat().st_size == total
