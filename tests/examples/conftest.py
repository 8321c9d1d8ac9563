"""What the tests of all examples share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .running import Example
from .uploading import UploadServer

Start = Callable[..., Example]
Serve = Callable[..., UploadServer]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: moves much data; TORNADOISH_SLOW=1 moves all of it")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that runs an example; at the end of the test each must end clean."""
    running: list[Example] = []

    def start_one(name: str, *arguments: str) -> Example:
        log = tmp_path / f"stderr-{len(running)}.txt"
        running.append(Example(name, *arguments, log=log))
        return running[-1]

    yield start_one
    try:
        for example in running:
            if example.process.poll() is None:
                example.check_clean_end()
    finally:
        for example in running:
            example.process.kill()
            example.close()


@pytest.fixture
def serve(start: Start, tmp_path: Path) -> Iterator[Serve]:
    """A function that runs the upload example on a directory that does not exist before."""
    directory = tmp_path / "made" / "uploads"

    def serve_uploads(*arguments: str) -> UploadServer:
        path = str(directory)
        example = start("upload/server.py", "--port", "0", "--directory", path, *arguments)
        return UploadServer(example, directory)

    yield serve_uploads
    shutil.rmtree(directory, ignore_errors=True)  # pytest keeps the rest of tmp_path for a while
