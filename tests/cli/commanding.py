"""``tornadoish ...`` as a running process, in a terminal if need be: started, read, asked, told to
end."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import tornadoish

ROOT = str(Path(tornadoish.__file__).parents[1])
PATIENCE = 30.0  # seconds: never waited for unless something hangs

#: an application that says what it is asked
APP = '''
import asyncio, os
from pathlib import Path
from tornadoish.web import Application, RequestHandler


class Main(RequestHandler):
    def get(self):
        self.write({"pid": os.getpid(), "protocol": self.request.protocol,
                    "ip": self.request.remote_ip, "word": WORD})


class Slow(RequestHandler):
    """Answers when there is a file called "go"."""

    async def get(self):
        Path("slow").touch()
        while not Path("go").exists():
            await asyncio.sleep(0.01)
        self.write("slow")


WORD = "one"


def make_app():
    return Application([("/", Main), ("/slow", Slow)])


async def make_slowly():
    await asyncio.sleep(0)
    return make_app()
'''


def until(condition: Callable[[], Any]) -> Any:
    """What ``condition()`` gives, as soon as it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value


class Command:
    """A process in a directory, and what it says."""

    def __init__(
        self,
        directory: Path,
        *words: str,
        program: list[str] | None = None,
        environment: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        self._logs = (directory / "stdout.txt", directory / "stderr.txt")
        with self._logs[0].open("wb") as out, self._logs[1].open("wb") as error:
            self.process = subprocess.Popen(
                [*(program or [sys.executable, "-m", "tornadoish"]), *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=error,
                cwd=directory,
                env=self.environment(environment),
                **options,
            )

    @staticmethod
    def environment(more: dict[str, str] | None = None) -> dict[str, str]:
        """That of this process, without options; and what a test wants there."""
        path = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TORNADOISH_")}
        return {
            **inherited,
            "PYTHONPATH": os.pathsep.join([*path, ROOT]),
            "PYTHONWARNINGS": "error",
            "PYTHONDONTWRITEBYTECODE": "1",  # files are written over within a second
            **(more or {}),
        }

    @property
    def out(self) -> str:
        return self._logs[0].read_text()

    @property
    def error(self) -> str:
        return self._logs[1].read_text()

    def said(self, pattern: str, times: int = 1) -> str:
        """Wait until standard error has lines that match, and return the last group of them."""

        def found() -> list[str]:
            assert self.process.poll() is None or re.search(pattern, self.error), self.error
            matches = re.findall(pattern, self.error)
            return matches if len(matches) >= times else []

        return str(until(found)[-1])

    @property
    def url(self) -> str:
        """Where it says that it serves."""
        return self.said(r"(?<!Metrics) at (https?://[^\s;\"]+)")

    def get(self, path: str = "/", **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, trust_env=False, timeout=PATIENCE, **options)

    def ended(self) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(PATIENCE)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.ended()

    def clean_up(self) -> None:
        """End it, whatever it does; its processes end when they find it gone."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait(PATIENCE)


@contextmanager
def answering(command: Command, directory: Path) -> Iterator[Future[httpx.Response]]:
    """A request that has begun, and the answer that it will have."""
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(command.get, "/slow")
        until((directory / "slow").exists)
        yield answer


class Terminal:
    """A window in which a program runs, and what it shows."""

    def __init__(self, words: list[str], directory: Path, environment: dict[str, str]) -> None:
        import pty  # which not every system has

        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(directory)
            os.execvpe(words[0], words, environment)
        #: all of it; who has dealt with a part may take that away
        self.shown = ""
        self._is_open = True

    def wait_for(self, condition: Callable[[str], object]) -> None:
        """Until it holds for what is shown."""
        deadline = time.monotonic() + PATIENCE
        while not condition(self.shown):
            left = deadline - time.monotonic()
            assert left > 0, f"only this is shown: {self.shown}"
            if select.select([self._fd], [], [], left)[0]:
                try:
                    self.shown += os.read(self._fd, 65536).decode()
                except OSError as error:  # EIO: nobody has it open any more
                    raise AssertionError(f"only this was shown: {self.shown}") from error

    def press_ctrl_c(self) -> None:
        os.write(self._fd, b"\x03")

    def close(self) -> None:
        """The window is closed: SIGHUP, and no word more."""
        os.close(self._fd)
        self._is_open = False

    def ended(self) -> int:
        """The program's exit status, once it has ended."""
        ended = until(lambda: os.waitpid(self._pid, os.WNOHANG) if self._has_ended() else None)
        self._pid = 0
        return os.waitstatus_to_exitcode(ended[1])

    def _has_ended(self) -> bool:
        """It stays a child until it is waited for."""
        return bool(os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))

    def clean_up(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        if self._is_open:
            self.close()
