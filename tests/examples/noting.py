"""A server of examples/notes/ for all tests of a module: each of them has its own users."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .running import Example


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notes") / "data"


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[Example]:
    """The server; files may have 1 MiB, and this host is a proxy that is believed."""
    log = data.with_name("stderr.txt")
    options = ("--data", str(data), "--max-file", "1", "--trusted-proxy", "127.0.0.1")
    example = Example("notes/app.py", "0", *options, log=log)
    try:
        yield example
        example.check_clean_end()
    finally:
        example.process.kill()
        example.close()
