"""What the tests of the command line and of the supervisor share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .supervising import Supervised


@pytest.fixture
async def supervised(tmp_path: Path) -> AsyncIterator[Supervised]:
    """A supervisor that a test starts; neither it nor its workers outlive the test."""
    process = Supervised(tmp_path)
    try:
        yield process
    finally:
        await process.clean_up()
