"""What tests over both libraries' streams and servers share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from libraries import LIBRARIES, Library, installed
from streams import Streams


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Library:
    return Library(installed(request.param))


@pytest.fixture
async def streams(library: Library) -> AsyncIterator[Streams]:
    """Makes streams; nothing of them may be left at the end of the test."""
    streams = Streams(library)
    yield streams
    await streams.close()
