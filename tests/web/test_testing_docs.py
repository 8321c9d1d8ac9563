"""docs/testing.md: its blocks are files, and what is in them runs."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

from tornadoish.web import Application

PAGE = (Path(__file__).parent.parent.parent / "docs" / "testing.md").read_text()
PLUGIN = "tornadoish.pytest_plugin"


def test_every_block_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```(?:python|ini)\n# (\S+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert len(blocks) == PAGE.count("```") // 2 - 1 == 5  # one is for a shell
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    entries = importlib.metadata.entry_points(group="pytest11")
    loaded = [] if any(entry.value == PLUGIN for entry in entries) else ["-p", PLUGIN]
    counts = []
    for command in (
        ["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:xdist", *loaded],
        ["-W", "error", "-m", "unittest", "-q", "test_with_unittest"],
    ):
        done = subprocess.run(
            [sys.executable, *command], check=False, capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        counts += re.findall(r"(\d+) (?:passed|test)", done.stdout) or re.findall(
            r"Ran (\d+) ", done.stderr
        )
    assert counts == ["11", "4"]


def test_what_is_named_is_there() -> None:
    from tornadoish import testing
    from tornadoish.pytest_plugin import fixtures

    fixtures_named = set(re.findall(r"`(tornadoish_\w+)`", PAGE)) | {"tornadoish_memory_client"}
    assert {name for name in vars(fixtures) if name.startswith("tornadoish_")} == fixtures_named
    for name in re.findall(r"`(MemoryTransport|memory_connection|\w+TestCase|LoopAdapter)\b", PAGE):
        assert hasattr(testing, name)
    assert hasattr(Application(), "on_startup")
