"""What the tests of the web framework share."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from libraries import LIBRARIES, installed

from .serving import Framework, Serve, Site, start_site


@pytest.fixture(params=LIBRARIES)
def framework(request: pytest.FixtureRequest) -> Framework:
    """Ours, and the one whose behaviour is asked for."""
    return Framework(installed(request.param))


@pytest.fixture
def web(framework: Framework) -> Any:
    """The framework's module ``web``."""
    return framework.web


@pytest.fixture
async def serve(framework: Framework, request: pytest.FixtureRequest) -> AsyncIterator[Serve]:
    """A function that serves handlers; ours must leave nothing to the loop's exception handler.

    Where tests are marked ``in_memory``, ours is served without a socket; TORNADOISH_TEST_WIRE, if
    it is "memory" or "sockets", decides for all of them.
    """
    wire = os.environ.get("TORNADOISH_TEST_WIRE")
    marked = request.node.get_closest_marker("in_memory") is not None
    in_memory = marked if wire is None else wire == "memory"
    sites: list[Site] = []
    unheard: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unheard.append(context))

    async def start(handlers: Any, **options: Any) -> Site:
        sites.append(start_site(framework, handlers, in_memory=in_memory, **options))
        return sites[-1]

    yield start
    for site in sites:
        await site.close()
    if not framework.is_tornado:
        if unheard:
            gc.collect()
        assert unheard == []
