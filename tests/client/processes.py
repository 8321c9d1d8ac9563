"""The processes of these tests: each tells where it is in a line of JSON and ends with its input.

So none outlives the tests, however those end.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO

import tornadoish

TESTS = Path(__file__).resolve().parents[1]
CERT, KEY = str(TESTS / "certs" / "localhost.pem"), str(TESTS / "certs" / "localhost.key")
PATIENCE = 100.0  # seconds: never waited for unless something hangs


def start(module: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """Run a module of this package; its standard error goes to the file ``log``."""
    path = [str(TESTS), str(Path(tornadoish.__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    environment.pop("PYTHONASYNCIODEBUG", None)  # it takes too long
    with log.open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-bb", "-W", "error", "-m", f"client.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process by the end of its input, and wait for it."""
    with process:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(PATIENCE / 10)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def told(process: subprocess.Popen[bytes], log: Path) -> Any:
    """What a process says in its next line."""
    stdout: Any = process.stdout
    ready, _, _ = select.select([stdout], [], [], PATIENCE)
    line = stdout.readline() if ready else b""
    if not line:
        process.kill()
        raise AssertionError(f"it said nothing, but:\n{log.read_text(encoding='utf-8')}")
    return json.loads(line)


# -- in the processes


def tell(value: Any) -> None:
    """Tell it to whoever started this process."""
    print(json.dumps(value), flush=True)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run ``main`` on the kind of loop that the tests are to run on."""
    factory = None
    if os.environ.get("TORNADOISH_TEST_LOOP") == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


async def until_told_to_end(stdin: BinaryIO = sys.stdin.buffer) -> None:
    """Until our input ends."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(stdin.fileno(), ended.set)
    await ended.wait()
    loop.remove_reader(stdin.fileno())
