"""What the tests of WebSockets share."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from libraries import LIBRARIES, installed
from support import FakeClock
from web.serving import Framework

from .talking import Notes, Serve, Talk, start_talk, websocket_of


@pytest.fixture(params=LIBRARIES)
def framework(request: pytest.FixtureRequest) -> Framework:
    """Ours, and the one whose behaviour is asked for."""
    return Framework(installed(request.param))


@pytest.fixture
def ws(framework: Framework) -> Any:
    """The framework's module ``websocket``."""
    return websocket_of(framework)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def serve(framework: Framework) -> AsyncIterator[Serve]:
    """A function that serves handlers; ours must leave no task behind, and nothing to the loop's
    exception handler."""
    talks: list[Talk] = []
    unheard: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    before = asyncio.all_tasks()

    async def start(handlers: Any, **options: Any) -> Talk:
        talks.append(start_talk(framework, handlers, **options))
        return talks[-1]

    yield start
    for talk in talks:
        await talk.close()
    if not framework.is_tornado:
        for talk in talks:
            await talk.server.drain(0)
        for _ in range(100):
            left = asyncio.all_tasks() - before - {asyncio.current_task()}
            if not left:
                break
            await asyncio.sleep(0.01)
        assert left == set()
        if unheard:
            gc.collect()
        assert unheard == []


@pytest.fixture(scope="session")
def certificates() -> tuple[str, str]:
    """A certificate for localhost that signs itself, and its key."""
    certs = Path(__file__).parents[1] / "certs"
    return str(certs / "localhost.pem"), str(certs / "localhost.key")
