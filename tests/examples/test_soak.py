"""benchmarks/soak.py, reduced: real processes, a few thousand requests, and nothing left behind."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from .running import ROOT

REDUCED = ["--requests", "700", "--connections", "50", "--rounds", "3", "--seconds", "2"]
LIMIT = 240  # seconds for all of it; it takes about 20


@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_it_stays_whole(loop: str) -> None:
    if loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    command = [sys.executable, str(ROOT / "benchmarks" / "soak.py"), *REDUCED, "--loop", loop]
    command += ["--limit", str(LIMIT)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LIMIT + 40, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("passed")
