"""What tests over both libraries' streams and servers share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from behind import Behind
from libraries import LIBRARIES, Library, installed
from servers import Servers
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


@pytest.fixture
async def servers(library: Library) -> AsyncIterator[Servers]:
    """Makes servers and their clients; nothing of them may be left at the end of the test."""
    servers = Servers(library)
    yield servers
    await servers.close()


@pytest.fixture
async def behind(library: Library) -> AsyncIterator[Behind]:
    """Makes servers that tell who is asking."""
    behind = Behind(library)
    yield behind
    await behind.close()
