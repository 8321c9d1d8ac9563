"""docs/first-ten-minutes.md, played: what its reader types gives what the page shows.

Two terminals, as on the page: one in which the server runs, from the block that starts it on, whose
further lines are the blocks of text; and one for everything else. What installs is left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs.blocks import blocks_of
from docs.playing import commands
from ports import free_ports

from .commanding import PATIENCE, Command, Terminal

BLOCKS = blocks_of("docs/first-ten-minutes.md")


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


def shows(terminal: Terminal, expected: str) -> None:
    """The next lines are these."""
    count = expected.count("\n")
    terminal.wait_for(lambda shown: shown.count("\n") >= count)
    *lines, terminal.shown = terminal.shown.split("\n", count)
    assert same("\n".join(lines)) == same(expected)


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
    port = str(free_ports(1)[0])
    given = Command.environment({"NO_COLOR": "1", "TORNADOISH_PORT": port, "COLUMNS": "80"})
    given["PATH"] = os.pathsep.join([str(programs), given["PATH"]])
    given.pop("PYTEST_ADDOPTS", None)
    return given


def test_the_page_is_what_happens(tmp_path: Path, environment: dict[str, str]) -> None:
    for name in ("jinja2", "httpx", "pytest_asyncio"):
        pytest.importorskip(name)
    directory, terminal = tmp_path, None
    try:
        for block in BLOCKS:
            if block.language == "text":
                assert terminal is not None
                shows(terminal, block.text)
                continue
            assert block.language == "console"
            for command, shown in commands(block.text):
                command = command.rstrip("\n")
                if "pip install" in command or "venv" in command:
                    continue
                if command.startswith("cd "):
                    directory = directory / command[3:]
                elif command == "tornadoish --reload":
                    terminal = Terminal(command.split(), directory, environment)
                    shows(terminal, shown)
                else:
                    command = command.replace("8888", environment["TORNADOISH_PORT"])
                    done = subprocess.run(
                        ["bash", "-c", command], cwd=directory, env=environment, check=False,
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                        timeout=PATIENCE,
                    )  # fmt: skip
                    assert matches(done.stdout, shown), done.stdout
        assert terminal is not None
        terminal.press_ctrl_c()
        assert terminal.ended() == 0
    finally:
        if terminal is not None:
            terminal.clean_up()


def test_a_page_that_is_wrong_would_be_seen() -> None:
    assert matches("a\nb\nc 17:00:00\n", "a\n...\nc 18:01:02\n")
    assert not matches("a\nb\n", "a\nc\n")
    assert not matches("a\n", "...\nb\n")
    assert len(BLOCKS) >= 15
