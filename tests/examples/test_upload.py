"""examples/upload/: what is stored, under which name, and what is not."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import resource
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from .conftest import Serve
from .running import until
from .uploading import RawUpload, UploadServer, blocks

MIB = 1024 * 1024

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def put(server: UploadServer, target: str, body: bytes = b"content") -> tuple[int, dict[str, str]]:
    """PUT to exactly this target, which httpx would tidy up; its status and its JSON."""
    connection = http.client.HTTPConnection(server.example.host, server.example.port, timeout=20)
    try:
        connection.request("PUT", target, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- What is stored -------------------------------------------------------------------------------


@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
def test_64_mib_arrive_whole(serve: Serve, announced: bool) -> None:
    server = serve()
    total = 64 * MIB
    body = list(blocks(total, os.urandom(3_000_017)))
    digest = hashlib.sha256(b"".join(body)).hexdigest()
    headers = {"Content-Length": str(total)} if announced else {}
    with httpx.Client(base_url=server.example.url, trust_env=False, timeout=60) as client:
        response = client.put("/files/big.bin", content=iter(body), headers=headers)
        assert response.status_code == 201
        assert response.headers["content-type"] == "application/json"
        assert response.headers["location"] == "/files/big.bin"
        assert response.json() == {"name": "big.bin", "size": total, "sha256": digest}
    assert server.names() == {"big.bin"}
    assert sha256_of(server.directory / "big.bin") == digest


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1])
def test_sizes_around_a_block(serve: Serve, size: int) -> None:
    server = serve()
    body = os.urandom(size)
    digest = hashlib.sha256(body).hexdigest()
    assert put(server, "/files/a", body) == (201, {"name": "a", "size": size, "sha256": digest})
    assert (server.directory / "a").read_bytes() == body


def test_tiny_chunks(serve: Serve) -> None:
    server = serve()
    with RawUpload(server) as upload:
        upload.head("/files/tiny", "Transfer-Encoding: chunked")
        upload.send(b"1\r\nx\r\n" * 50_000)
        upload.chunk(b"")
        answer = upload.answer()
    assert (answer.status, answer.result["size"]) == (201, 50_000)
    assert (server.directory / "tiny").read_bytes() == b"x" * 50_000


def test_several_uploads_over_one_connection(serve: Serve) -> None:
    server = serve()
    with RawUpload(server) as upload:
        for name in ("a", "b", "c"):
            upload.head(f"/files/{name}", "Content-Length: 1")
            upload.send(name.encode())
            assert upload.answer().status == 201
    assert server.names() == {"a", "b", "c"}
    assert (server.directory / "c").read_bytes() == b"c"


@needs_curl
def test_curl_sends_a_file(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    source = tmp_path / "holiday photo ä.jpg"
    source.write_bytes(os.urandom(5 * MIB))  # large enough for curl to ask with Expect first
    url = f"{server.example.url}/files/"
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", "20", "-T", str(source), url]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    expected = {"name": source.name, "size": 5 * MIB, "sha256": sha256_of(source)}
    assert json.loads(done.stdout) == expected
    assert sha256_of(server.directory / source.name) == sha256_of(source)


# --- What is interrupted --------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "reset", "malformed", "server-stops"])
@pytest.mark.parametrize("framing", ["Content-Length: 8388608", "Transfer-Encoding: chunked"])
def test_an_interrupted_upload_leaves_nothing(serve: Serve, end: str, framing: str) -> None:
    server = serve()
    with RawUpload(server) as upload:
        upload.head("/files/half.bin", framing)
        send = upload.chunk if "chunked" in framing else upload.send
        for piece in blocks(3 * MIB + 12345, b"h" * 100_000):
            send(piece)
        until(lambda: any(path.stat().st_size >= MIB for path in server.directory.iterdir()))
        assert "half.bin" not in server.names()
        if end == "close":
            upload.socket.close()
        elif end == "reset":
            upload.reset()
        elif end == "malformed":
            upload.send(b"no chunk size\r\n")
            upload.socket.shutdown(1)
        else:
            server.example.check_clean_end(signal.SIGTERM)
            assert server.names() == set()
    until(lambda: server.names() == set())


def test_an_interrupted_upload_leaves_others_alone(serve: Serve) -> None:
    server = serve()
    with RawUpload(server) as lost, RawUpload(server) as kept:
        for upload in (lost, kept):
            upload.head("/files/same.bin", f"Content-Length: {2 * MIB}")
            upload.send(b"k" * MIB)
        until(lambda: len(server.names()) == 2)
        lost.reset()
        until(lambda: len(server.names()) == 1)
        kept.send(b"k" * MIB)
        assert kept.answer().result["name"] == "same.bin"
    assert (server.directory / "same.bin").read_bytes() == b"k" * 2 * MIB


# --- Two of one name ------------------------------------------------------------------------------


def test_interleaved_uploads_of_one_name_do_not_mix(serve: Serve) -> None:
    server = serve()
    pieces = [[os.urandom(700_000) for _ in range(6)] for _ in range(2)]
    with RawUpload(server) as first, RawUpload(server) as second:
        for upload in (first, second):
            upload.head("/files/same.tar.gz", f"Content-Length: {6 * 700_000}")
        for one, other in zip(*pieces, strict=True):
            first.send(one)
            second.send(other)
        answers = [first.answer().result, second.answer().result]
    assert {answer["name"] for answer in answers} == {"same.tar.gz", "same.tar (1).gz"}
    for answer, sent in zip(answers, pieces, strict=True):
        whole = b"".join(sent)
        assert answer["sha256"] == hashlib.sha256(whole).hexdigest()
        assert (server.directory / str(answer["name"])).read_bytes() == whole
    assert len(server.names()) == 2


def test_many_at_once_get_a_name_each(serve: Serve) -> None:
    server = serve()
    bodies = [bytes([number]) * 300_000 for number in range(24)]
    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda body: put(server, "/files/n.txt", body), bodies))
    assert {status for status, _ in answers} == {201}
    stored = {result["name"]: body for (_, result), body in zip(answers, bodies, strict=True)}
    assert set(stored) == {"n.txt"} | {f"n ({number}).txt" for number in range(1, 24)}
    assert server.names() == set(stored)
    for name, body in stored.items():
        assert (server.directory / name).read_bytes() == body


# --- Names ----------------------------------------------------------------------------------------

GOOD_NAMES = {
    "/files/plain.txt": "plain.txt",
    "/files/%C3%A4%20%E2%82%AC%20%F0%9F%91%8D.txt": "ä € 👍.txt",
    "/files/100%25.txt": "100%.txt",
    "/files/a+b.txt": "a+b.txt",
    "/files/x.txt?query=1": "x.txt",
    "/files/folder/x.txt": "x.txt",
    "/files/../../x.txt": "x.txt",
    "/files/..%2F..%2Fx.txt": "x.txt",
    "/files/%2Fetc%2Fx.txt": "x.txt",
    "/files/C%3A%5CUsers%5Cx.txt": "x.txt",
    "/files/%252e%252e%252fx": "%2e%2e%2fx",  # decoded once, not twice
    "/files/" + quote("ä" * 127 + "x"): "ä" * 127 + "x",
}


@pytest.mark.parametrize("target", GOOD_NAMES)
def test_a_name_is_the_last_part_of_the_path(serve: Serve, target: str) -> None:
    server = serve()
    status, result = put(server, target)
    assert (status, result["name"]) == (201, GOOD_NAMES[target])
    assert server.names() == {GOOD_NAMES[target]}
    assert [path.name for path in server.directory.parent.iterdir()] == ["uploads"]


BAD_NAMES = {
    "empty": "/files/",
    "empty-part": "/files/folder/",
    "dot": "/files/.",
    "dots": "/files/..",
    "encoded-dots": "/files/%2e%2e",
    "dots-after-a-slash": "/files/a%2F..",
    "dots-after-a-backslash": "/files/a%5C..",
    "hidden": "/files/.bashrc",
    "temporary": "/files/.upload-1",
    "nul": "/files/a%00.txt",
    "newline": "/files/a%0Ab",
    "delete": "/files/a%7Fb",
    "c1-control": "/files/a%C2%85b",
    "turned-around": "/files/a%E2%80%AEgpj.exe",
    "not-utf-8": "/files/%FF.txt",
    "surrogate": "/files/%ED%A0%80",
    "too-long": "/files/" + "x" * 256,
    "too-long-in-bytes": "/files/" + quote("ä" * 128),
}


@pytest.mark.parametrize("target", BAD_NAMES.values(), ids=BAD_NAMES)
def test_a_bad_name_is_refused(serve: Serve, target: str) -> None:
    server = serve()
    status, result = put(server, target)
    assert status == 400
    assert "name" in result["error"]
    assert server.names() == set()
    assert [path.name for path in server.directory.parent.iterdir()] == ["uploads"]


def test_a_numbered_name_is_not_too_long(serve: Serve) -> None:
    server = serve()
    name = "ä" * 125 + ".text"  # 255 bytes
    for _ in range(3):
        assert put(server, f"/files/{quote(name)}")[0] == 201
    assert server.names() == {name} | {f"{'ä' * 123} ({number}).text" for number in (1, 2)}
    assert max(len(one.encode()) for one in server.names()) <= 255


# --- What is refused ------------------------------------------------------------------------------


def test_too_large_is_refused_before_the_body(serve: Serve) -> None:
    server = serve("--max-size", "1M")
    with RawUpload(server) as upload:
        upload.head("/files/a", f"Content-Length: {MIB + 1}", "Expect: 100-continue")
        answer = upload.answer()  # though not one byte of the body was sent
    assert (answer.status, answer.result) == (413, {"error": "The file is larger than 1 MiB."})
    assert server.names() == set()
    assert put(server, "/files/just-fits", b"x" * MIB)[0] == 201


def test_too_large_without_an_announced_size(serve: Serve) -> None:
    server = serve("--max-size", "1M")
    with RawUpload(server) as upload:
        upload.head("/files/a", "Transfer-Encoding: chunked")
        upload.chunk(b"x" * MIB)
        upload.chunk(b"x")
        answer = upload.answer()
    assert (answer.status, answer.result) == (413, {"error": "The file is larger than 1 MiB."})
    until(lambda: server.names() == set())


@needs_curl
@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
def test_curl_is_told_that_it_is_too_large(serve: Serve, tmp_path: Path, expect: str) -> None:
    server = serve("--max-size", "1M")
    source = tmp_path / "large"
    source.write_bytes(bytes(20 * MIB))
    url = f"{server.example.url}/files/"
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", "20", "-H", expect, "-T", str(source)]
    done = subprocess.run([*command, url], capture_output=True, check=False, timeout=30)
    assert json.loads(done.stdout) == {"error": "The file is larger than 1 MiB."}, done.stderr
    assert server.names() == set()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nothing_is_served(serve: Serve, method: str) -> None:
    server = serve()
    with RawUpload(server) as request:
        request.head("/files/unknown", method=method)
        assert request.answer(method).status == 404
        request.head("/files/unknown", method=method)  # the connection is as good as before
        assert request.answer(method).status == 404


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(serve: Serve, method: str) -> None:
    server = serve()
    with RawUpload(server) as request:
        request.head("/files/a", "Content-Length: 3", method=method)
        request.send(b"abc")
        answer = request.answer()
    assert (answer.status, answer.headers["Allow"]) == (405, "PUT")
    assert server.names() == set()


def test_other_paths(serve: Serve) -> None:
    server = serve("--max-size", "1536M")
    with httpx.Client(base_url=server.example.url, trust_env=False) as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert "1.5 GiB" in page.text
        assert "{{" not in page.text
        assert client.get("/style.css").headers["content-type"].startswith("text/css")
        assert "javascript" in client.get("/upload.js").headers["content-type"]
        assert client.get("/nothing").status_code == 404
        assert client.post("/", content=b"x").status_code == 405
        assert client.post("/", content=b"x" * 100_000).status_code == 413


# --- Trouble with the disk ------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit(2), as Linux has it")
def test_a_full_disk(serve: Serve) -> None:
    server = serve()
    limits = (4 * MIB, 4 * MIB)  # the kernel refuses to let a file grow beyond, with EFBIG
    resource.prlimit(server.example.process.pid, resource.RLIMIT_FSIZE, limits)
    with RawUpload(server) as upload:
        upload.head("/files/a", f"Content-Length: {8 * MIB}")
        upload.send(b"x" * (6 * MIB))
        answer = upload.answer()
        assert answer.status == 507
        assert answer.result == {"error": "There is not enough space for this file."}
        assert upload.closed()
    assert server.names() == set()
    assert put(server, "/files/small")[0] == 201


def test_more_than_the_disk_has_free(serve: Serve) -> None:
    server = serve("--max-size", "100000T")
    with RawUpload(server) as upload:
        upload.head("/files/a", f"Content-Length: {90_000 * 1024**4}")
        assert upload.answer().status == 507
    assert server.names() == set()


def test_the_directory_is_gone(serve: Serve) -> None:
    server = serve()
    server.directory.rmdir()
    assert put(server, "/files/a") == (500, {"error": "The file could not be stored."})
    server.directory.mkdir()
    assert put(server, "/files/a")[0] == 201


# --- Memory ---------------------------------------------------------------------------------------


def memory(pid: int, field: str) -> int:
    """A field of /proc/PID/status, in bytes: VmRSS is what is resident now, VmHWM its peak."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise LookupError(field)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_stays_constant(serve: Serve) -> None:
    total = 2048 * MIB if os.environ.get("TORNADOISH_SLOW") == "1" else 256 * MIB
    server = serve()
    pid = server.example.process.pid
    before = memory(pid, "VmRSS")
    digest = hashlib.sha256()
    with RawUpload(server) as upload:
        upload.socket.settimeout(60)
        upload.head("/files/zeros", f"Content-Length: {total}")
        for block in blocks(total, bytes(MIB)):
            upload.send(block)
            digest.update(block)
        answer = upload.answer()
    assert answer.result == {"name": "zeros", "size": total, "sha256": digest.hexdigest()}
    assert (server.directory / "zeros").stat().st_size == total
    assert memory(pid, "VmHWM") - before < 32 * MIB
