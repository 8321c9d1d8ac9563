"""examples/hello.py."""

from __future__ import annotations

import shutil
import signal
import subprocess

import httpx
import pytest

from .conftest import Start


def test_it_says_hello(start: Start) -> None:
    example = start("hello.py", "0")
    with httpx.Client(base_url=example.url, trust_env=False) as client:
        for _ in range(3):  # over one connection
            response = client.get("/")
            assert (response.status_code, response.text) == (200, "Hello, world")
        assert response.headers["content-type"] == "text/html; charset=UTF-8"
        assert client.get("/elsewhere").status_code == 404
        assert client.post("/").status_code == 405


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_it_says_hello_to_curl(start: Start) -> None:
    example = start("hello.py", "0")
    command = ["curl", "-sS", "--noproxy", "*", "--max-time", "20", example.url]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    assert done.stdout == b"Hello, world"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_ends_it_in_silence(start: Start, number: signal.Signals) -> None:
    example = start("hello.py", "0")
    with example.connect() as idle, httpx.Client(base_url=example.url, trust_env=False) as client:
        assert client.get("/").status_code == 200  # and the connection stays open
        assert example.stop(number) == 0
        assert idle.recv(1) == b""
    assert example.said() == ""
