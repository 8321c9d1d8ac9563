"""What the tests of the command line and of the supervisor share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from .commanding import Command
from .supervising import Supervised

Start = Callable[..., Command]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that runs a command in an empty directory; at the end of the test it is ended."""
    running: list[Command] = []

    def start_one(*words: str, **options: object) -> Command:
        running.append(Command(tmp_path, *words, **options))  # type: ignore[arg-type]
        return running[-1]

    yield start_one
    for command in running:
        command.clean_up()


@pytest.fixture
async def supervised(tmp_path: Path) -> AsyncIterator[Supervised]:
    """A supervisor that a test starts; neither it nor its workers outlive the test."""
    process = Supervised(tmp_path)
    try:
        yield process
    finally:
        await process.clean_up()
