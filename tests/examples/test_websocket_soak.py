"""benchmarks/websocket_soak.py, reduced: real processes, and nothing left behind."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from .running import ROOT

LIMIT = 240  # seconds for all of it; it takes about 25
REDUCED = {"connections": 200, "rounds": 2, "limit": LIMIT}


@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_websockets_leave_nothing(loop: str) -> None:
    if loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    options = [f"--{name}={value}" for name, value in {**REDUCED, "loop": loop}.items()]
    command = [sys.executable, str(ROOT / "benchmarks" / "websocket_soak.py"), *options]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LIMIT + 40, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("passed")
