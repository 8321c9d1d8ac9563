"""docs/first-ten-minutes.md, played: what its reader types gives what the page shows.

Two terminals, as on the page: one in which the server runs, from the block that starts it on, whose
further lines are the blocks of text; and one for everything else. What installs is left out.
"""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .commanding import PATIENCE, Command

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "first-ten-minutes.md").read_text()
BLOCKS = re.findall(r"^```(console|text)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return str(sock.getsockname()[1])


def same(text: str) -> str:
    """What differs from machine to machine and from time to time made the same."""
    for pattern, word in (
        (r"\d\d:\d\d:\d\d", "TIME"),
        (r"(asyncio|uvloop [\d.]+)", "LOOP"),
        (r"by (polling|watchfiles)", "by WATCHING"),
        (r"tornadoish \d\S+, CPython \S+, LOOP, pid \d+", "VERSIONS"),
        (r"in [\d.]+ m?s\b", "in DURATION"),
        (r"in [\d.]+s\b", "in DURATION"),
        (r'File "\S*?/demo/demo/', 'File "HERE/'),
        (r":\d{4,5}\b", ":PORT"),
        (r"\^C|\r", ""),
        (r" +$", ""),
    ):
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return text.strip()


def matches(printed: str, shown: str) -> bool:
    """Where the page has ``...`` in a line of its own, there may be anything."""
    parts = [re.escape(part) for part in re.split(r"^\.\.\.$", same(shown), flags=re.MULTILINE)]
    return re.fullmatch(".*?".join(parts), same(printed), re.DOTALL) is not None


def commands(block: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


class Terminal:
    """The first terminal: a server in it, and what it shows."""

    def __init__(self, command: str, directory: Path, environment: dict[str, str]) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(directory)
            os.execvpe("bash", ["bash", "-c", f"exec {command}"], environment)
        self._shown = ""

    def shows(self, expected: str) -> None:
        """The next lines are these."""
        deadline = time.monotonic() + PATIENCE
        lines = expected.count("\n")
        while self._shown.count("\n") < lines:
            left = deadline - time.monotonic()
            assert left > 0, f"only this is shown: {self._shown}"
            if select.select([self._fd], [], [], left)[0]:
                self._shown += os.read(self._fd, 65536).decode()
        *first, self._shown = self._shown.split("\n", lines)
        assert same("\n".join(first)) == same(expected)

    def end(self) -> int:
        os.write(self._fd, b"\x03")
        _, status = os.waitpid(self._pid, 0)
        os.close(self._fd)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            os.close(self._fd)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """``tornadoish`` and ``pytest`` are what is tested and what tests."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (
        ("tornadoish", "-m tornadoish"),
        ("pytest", "-m pytest -p no:cacheprovider -p no:xdist -p no:randomly"),
    ):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (programs / name).chmod(0o755)
    given = Command.environment({"NO_COLOR": "1", "TORNADOISH_PORT": free_port(), "COLUMNS": "80"})
    given["PATH"] = os.pathsep.join([str(programs), given["PATH"]])
    given.pop("PYTEST_ADDOPTS", None)
    return given


def test_the_page_is_what_happens(tmp_path: Path, environment: dict[str, str]) -> None:
    for name in ("jinja2", "httpx", "pytest_asyncio"):
        pytest.importorskip(name)
    directory, terminal = tmp_path, None
    try:
        for language, block in BLOCKS:
            if language == "text":
                assert terminal is not None
                terminal.shows(block)
                continue
            for command, shown in commands(block):
                if "pip install" in command or "venv" in command:
                    continue
                if command.startswith("cd "):
                    directory = directory / command[3:]
                elif command == "tornadoish --reload":
                    terminal = Terminal(command, directory, environment)
                    terminal.shows(shown)
                else:
                    command = command.replace("8888", environment["TORNADOISH_PORT"])
                    done = subprocess.run(
                        ["bash", "-c", command], cwd=directory, env=environment, check=False,
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                        timeout=PATIENCE,
                    )  # fmt: skip
                    assert matches(done.stdout, shown), done.stdout
        assert terminal is not None
        assert terminal.end() == 0
    finally:
        if terminal is not None:
            terminal.kill()


def test_a_page_that_is_wrong_would_be_seen() -> None:
    assert matches("a\nb\nc 17:00:00\n", "a\n...\nc 18:01:02\n")
    assert not matches("a\nb\n", "a\nc\n")
    assert not matches("a\n", "...\nb\n")
    assert len(BLOCKS) >= 15
