"""What the tests of deployments share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .running import Processes


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    running = Processes(tmp_path)
    try:
        yield running
    finally:
        running.close()
