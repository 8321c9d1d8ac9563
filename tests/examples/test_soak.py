"""benchmarks/soak.py, reduced: real processes, a few thousand requests, and nothing left behind."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from .running import ROOT

LIMIT = 240  # seconds for all of it; it takes about 12
REDUCED = {
    "requests": 700,
    "connections": 50,
    "rounds": 3,
    "seconds": 2,
    "growth": 4,  # so few requests do not fill the allocator's pools
    "limit": LIMIT,
}


@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    "loop",
    [
        pytest.param(
            "asyncio",
            marks=pytest.mark.xfail(
                strict=False, reason="asyncio logs what is written to a connection that was reset"
            ),
        ),
        "uvloop",
    ],
)
def test_it_stays_whole(loop: str) -> None:
    if loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    options = [f"--{name}={value}" for name, value in {**REDUCED, "loop": loop}.items()]
    command = [sys.executable, str(ROOT / "benchmarks" / "soak.py"), *options]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LIMIT + 40, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("passed")
