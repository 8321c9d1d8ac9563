"""Plays a page from its top to its end, in a directory of its own, as its reader would.

- A block whose first line is a comment with a file's name is written to that file.
- ``python`` without one is run as a program of its own; ``await`` is allowed at its top level.
- ``console``: what follows ``$ `` is run by bash, the lines below must be what it prints. With the
  word ``serve`` behind it: one command, which is a server; it is waited for until it listens, and
  ended (by SIGTERM, with status 0) by the next such block, or at the end of the page. Until then
  its process is ``$SERVER``.
- ``sh``: run by bash, must succeed.
- ``text`` behind one of these: what it has printed.
- ``json`` and ``toml`` are parsed.

``...`` in what is printed stands for anything. The ports of the pages are replaced by free ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

from ports import free_ports

from .blocks import ROOT, Block

PATIENCE = 30.0  # seconds until a thing that should happen soon counts as not happening
PORTS = ("8888", "8889", "8443", "9090")  # as the pages have them
# What no test may do.
_INSTALLS = re.compile(r"\b(?:pip3? install|apt-get|apt |docker |systemctl|kubectl|sudo )")


class PageError(AssertionError):
    """A page says what is not so."""


def matches(printed: str, shown: str) -> bool:
    """Whether ``shown``, where ``...`` is anything, is what was printed."""
    parts = [re.escape(part) for part in _tidy(shown).split("...")]
    return re.fullmatch(".*?".join(parts), _tidy(printed), re.DOTALL) is not None


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a ``console`` block, each with what is shown below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        count = 1
        while lines[count - 1].endswith("\\\n"):
            count += 1
        yield "".join(lines[:count]), "".join(lines[count:])


class Player:
    """One page that is played; ``close`` at the end."""

    def __init__(self, directory: Path, before: str = "") -> None:
        """``before``: Python that comes before each snippet, for what a reader has already."""
        self.directory = directory / "page"
        self.directory.mkdir()
        self.before = before
        self.written: dict[str, Block] = {}
        self.mentioned = ""  # all that has been run, to see which files have been used
        self._ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self._printed: str | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._told_to_end = False
        self._log = directory / "server.txt"
        self._snippets: subprocess.Popen[str] | None = None
        self._environment = self._make_environment(directory / "bin")

    def _make_environment(self, programs: Path) -> dict[str, str]:
        """``tornadoish`` and ``python`` are those that run the tests, whatever is installed."""
        programs.mkdir()
        for name, start in (("tornadoish", "-m tornadoish"), ("python", ""), ("python3", "")):
            script = programs / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {start} "$@"\n')
            script.chmod(0o755)
        path = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        return os.environ | {
            "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join([*path, str(ROOT)]),
            "PYTHONWARNINGS": "error",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # files are written over within a second
            "COLUMNS": "80",
            # Of the plugins that are here, a reader has not these, and they take their time.
            "PYTEST_ADDOPTS": "-p no:hypothesispytest -p no:playwright -p no:xdist",
            "TORNADOISH_PORT": self._ports["8888"],  # which is the default
        }

    def play(self, block: Block) -> None:
        """:raises PageError: it does not do what the page says."""
        text = self._with_ports(block.text)
        if block.file is not None:
            self._write(block, block.file, text)
        elif block.language == "python":
            self._printed = self._run_snippet(block, text)
        elif block.language == "console" and "serve" in block.words:
            self._serve(block, text)
        elif block.language == "console":
            for command, shown in commands(text):
                self._compare(block, self._run(block, command), shown)
        elif block.language == "sh":
            self._printed = self._run(block, "set -e\n" + text)
        elif block.language == "text":
            if self._printed is None:
                raise PageError(f"{block}: nothing has been printed before it")
            self._compare(block, self._printed, text)
            self._printed = None
        elif block.language == "json":
            json.loads(text)
        elif block.language == "toml":
            tomllib.loads(text)
        else:
            raise PageError(f"{block}: nobody runs {block.language or 'what has no language'}")

    def port(self, shown: str) -> str:
        """The port that stands for one that the pages have."""
        return self._ports[shown]

    def close(self) -> None:
        """End what runs; a server that does not end well is an error of its page."""
        if self._snippets is not None:
            self._snippets.communicate()
        self._stop_server()

    def kill(self) -> None:
        """End what still runs, whatever it says."""
        for process in (self._snippets, self._server):
            if process is not None and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process is not None and process.stdin is not None:
                process.stdin.close()
            if process is not None and process.stdout is not None:
                process.stdout.close()

    # -- kinds of blocks

    def _write(self, block: Block, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.written[name] = block

    def _run_snippet(self, block: Block, text: str) -> str:
        self.mentioned += text
        if self._snippets is None:
            self._snippets = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("snippets.py"))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=self.directory,
                env=self._environment, start_new_session=True,
            )  # fmt: skip
        assert self._snippets.stdin is not None and self._snippets.stdout is not None
        order = {"name": block.page, "line": block.line, "text": text, "before": self.before}
        self._snippets.stdin.write(json.dumps(order) + "\n")
        self._snippets.stdin.flush()
        if not select.select([self._snippets.stdout], [], [], PATIENCE)[0]:
            raise PageError(f"{block} does not end")
        answer = json.loads(self._snippets.stdout.readline())
        if answer["error"] is not None:
            raise PageError(f"{block}:\n{answer['error']}")
        return str(answer["printed"])

    def _run(self, block: Block, command: str) -> str:
        if _INSTALLS.search(command):
            raise PageError(f"{block} installs: say in the table why it is not run")
        self.mentioned += command
        self._told_to_end = self._told_to_end or "kill -TERM $SERVER" in command
        bash = shutil.which("bash") or "sh"
        done = subprocess.run(
            [bash, "-c", command], check=False, cwd=self.directory, env=self._environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=2 * PATIENCE, text=True, errors="replace",
        )  # fmt: skip
        fails = "fails" in block.words
        if (done.returncode != 0) is not fails:
            raise PageError(
                f"{block}: status {done.returncode} of {command}\n{done.stdout}\n{self._said()}"
            )
        return done.stdout

    def _compare(self, block: Block, printed: str, shown: str) -> None:
        if not matches(printed, shown):
            raise PageError(f"{block} shows\n{shown}\nbut it is\n{printed}\n{self._said()}")

    # -- a server

    def _serve(self, block: Block, text: str) -> None:
        self._stop_server()
        ((command, shown),) = commands(text)
        self.mentioned += command
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(
                [shutil.which("bash") or "sh", "-c", f"exec {command}"],
                cwd=self.directory, env=self._environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._told_to_end = False
        self._environment["SERVER"] = str(self._server.pid)
        port = next((new for old, new in self._ports.items() if old in block.text), None)
        self._wait_for(block, int(port or self._ports["8888"]))
        self._printed = None
        if shown.strip():
            until = time.monotonic() + PATIENCE
            while not matches(self._said(), shown + "...") and time.monotonic() < until:
                time.sleep(0.02)
            self._compare(block, self._said(), shown + "...")

    def _wait_for(self, block: Block, port: int) -> None:
        until = time.monotonic() + PATIENCE
        assert self._server is not None
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if self._server.poll() is not None or time.monotonic() > until:
                raise PageError(f"{block}: it does not listen; it said:\n{self._said()}")
            time.sleep(0.02)

    def _stop_server(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        if server.poll() is None and not self._told_to_end:  # a second signal is another matter
            server.terminate()
        try:
            status = server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._server = server  # to be killed
            raise PageError(f"a server does not end; it said:\n{self._said()}") from None
        said = self._said()
        # Others than ours end by the signal itself.
        fine = (0,) if "tornadoish" in str(server.args) else (0, -signal.SIGTERM)
        if status not in fine or any(word in said for word in ("Warning", "never retrieved")):
            raise PageError(f"a server has ended with status {status}; it said:\n{said}")

    def _said(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _with_ports(self, text: str) -> str:
        return re.sub(rf"\b(?:{'|'.join(PORTS)})\b", lambda found: self._ports[found.group()], text)
