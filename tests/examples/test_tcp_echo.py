"""examples/tcp_echo.py."""

from __future__ import annotations

import signal
import socket

import pytest

from .conftest import Start


def test_each_line_comes_back(start: Start) -> None:
    example = start("tcp_echo.py", "0")
    with example.connect() as one, one.makefile("rb") as lines:
        one.sendall(b"first\nsec")
        assert lines.readline() == b"first\n"
        with example.connect() as other, other.makefile("rb") as others:
            other.sendall(b"from another\n")
            assert others.readline() == b"from another\n"
        one.sendall(b"ond\nthird\n\n")
        assert [lines.readline() for _ in range(3)] == [b"second\n", b"third\n", b"\n"]


def test_a_line_cut_off_by_the_end_is_dropped(start: Start) -> None:
    example = start("tcp_echo.py", "0")
    with example.connect() as client:
        client.sendall(b"whole\ncut")
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as lines:
            assert lines.read() == b"whole\n"


def test_a_client_without_line_ends_is_disconnected(start: Start) -> None:
    example = start("tcp_echo.py", "0")
    with example.connect() as client:
        try:
            client.sendall(b"x" * 1_000_000)
            answer = client.recv(1)
        except ConnectionError:  # it need not have read all that we sent
            answer = b""
        assert answer == b""
    with example.connect() as client:  # and others are served
        client.sendall(b"still there?\n")
        assert client.recv(100) == b"still there?\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_ends_it_in_silence(start: Start, number: signal.Signals) -> None:
    example = start("tcp_echo.py", "0")
    with example.connect() as client:
        client.sendall(b"a\n")
        assert client.recv(100) == b"a\n"
        assert example.stop(number) == 0
    assert example.said() == ""
