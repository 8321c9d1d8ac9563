"""What cannot be served: one line that names the mend, and an exit status; and ``--check``, which
finds it out beforehand. All of it without a process of its own: nothing is served."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tornadoish.cli import main

from .commanding import APP

CERTS = Path(__file__).parents[1] / "certs"

Try = Callable[..., tuple[int, str]]


@pytest.fixture
def attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Try:
    """``attempt(*words)``: the exit status of a command in a directory with ``hello.py``, and the
    line that it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "hello", raising=False)
    (tmp_path / "hello.py").write_text(APP)

    def run(*words: str) -> tuple[int, str]:
        status = main(["hello:make_app", *words])
        error = capsys.readouterr().err
        assert error.startswith("tornadoish: error: ")
        assert error.count("\n") == 1
        return status, error

    return run


# -- addresses


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host=192.0.2.1"], "192.0.2.1:8888: no interface of this machine has that address"),
        (["--host=a..b"], "cannot resolve 'a..b'"),
        (["--unix=none/x"], "--unix none/x: make its directory first"),
        (["--unix=" + "x" * 200], "a path of a socket has about 100 bytes at most"),
        (["--unix=hello.py"], "'hello.py' exists and is not a socket"),
        (["--fd=99"], "--fd 99: no such descriptor was inherited"),
        (["--fd=1"], "--fd 1: that is no socket"),
    ],
)
def test_addresses_that_cannot_be_had(attempt: Try, words: list[str], said: str) -> None:
    status, error = attempt(*words)
    assert status == 2
    assert said in error


def test_a_port_in_use_is_told_with_whose_it_is(attempt: Try) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        status, error = attempt(f"--port={port}")
    assert status == 2
    assert f"127.0.0.1:{port} is in use" in error
    if sys.platform == "linux":
        assert f"(pid {os.getpid()})" in error


# -- certificates


@pytest.mark.parametrize(
    ("cert", "key", "more", "said"),
    [
        ("localhost.pem", "example.key", [], "key is not that of the certificate in"),
        ("none.pem", "", [], "none.pem: No such file or directory"),
        ("localhost.pem", "", [], "localhost.pem holds no private key in PEM: name its file by"),
        ("localhost.key", "", [], "localhost.key holds no certificate in PEM"),
        ("localhost.pem", "localhost.pem", [], "holds no private key in PEM"),
        ("example.pem", "encrypted.key", [], "has a password: name its file by --tls-password-"),
        ("example.pem", "encrypted.key", ["--tls-password-file=hello.py"],
         "the password in hello.py is not that of the key"),
        ("localhost.pem", "localhost.key", ["--tls-client-ca=hello.py"],
         "--tls-client-ca hello.py holds no certificate in PEM"),
        ("localhost.pem", "localhost.key", ["--tls-client-ca=none"],
         "--tls-client-ca none: No such file or directory"),
        ("example.pem", "encrypted.key", ["--tls-password-file=none"],
         "--tls-password-file none: No such file or directory"),
        ("example.pem", "encrypted.key", ["--tls-password-file=latin-1"],
         "the password in latin-1 is not that of the key"),
    ],
)  # fmt: skip
def test_certificates_that_cannot_be_used(
    attempt: Try, tmp_path: Path, cert: str, key: str, more: list[str], said: str
) -> None:
    (tmp_path / "latin-1").write_text("geheim: ü\n", "latin-1")
    words = [f"--tls-cert={CERTS / cert}", *([f"--tls-key={CERTS / key}"] if key else []), *more]
    status, error = attempt("--port=0", *words)
    assert status == 78
    assert said in error


# -- --check


def test_check_looks_and_serves_nothing(
    attempt: Try, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        status = main(
            ["hello:make_slowly", "--check", f"--port={port}", "--unix=s",
             f"--tls-cert={CERTS / 'localhost.pem'}", f"--tls-key={CERTS / 'localhost.key'}"]
        )  # fmt: skip
    assert status == 0
    out, error = capsys.readouterr()
    assert error == ""
    words = [line.split(maxsplit=2) for line in out.splitlines()]
    assert [word[0] for word in words] == ["ok"] * len(words)
    assert f"https://127.0.0.1:{port}, in use now" in out
    assert "hello:make_slowly (Application)" in out
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--tls-cert=hello.py"], 78),
        (["--host=192.0.2.1"], 2),
        (["--unix=none/s"], 2),
        (["--fd=99"], 2),
        (["--limit=connections=0"], 2),
    ],
)
def test_check_finds_what_is_wrong(attempt: Try, words: list[str], status: int) -> None:
    assert attempt("--check", *words)[0] == status


def test_check_finds_what_is_wrong_with_the_application(
    attempt: Try, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hello:none", "--check"]) == 2
    assert "there is no 'none' in hello" in capsys.readouterr().err
