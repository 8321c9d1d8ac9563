"""The soaks of benchmarks/, reduced: real processes, and nothing left behind."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from .running import ROOT

LIMIT = 240  # seconds for all of it; the first takes about 12, the second 25
REDUCED = {
    "soak.py": {
        "requests": 700,
        "connections": 50,
        "rounds": 3,
        "seconds": 2,
        "growth": 4,  # so few requests do not fill the allocator's pools
    },
    "websocket_soak.py": {"connections": 200, "rounds": 2},
}


@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("program", REDUCED)
def test_nothing_is_left(program: str, loop: str) -> None:
    if loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    told = {**REDUCED[program], "loop": loop, "limit": LIMIT}
    command = [sys.executable, str(ROOT / "benchmarks" / program)]
    command += [f"--{name}={value}" for name, value in told.items()]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LIMIT + 40, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("passed")
