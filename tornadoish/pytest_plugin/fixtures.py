"""The fixtures. All names begin with ``tornadoish_``: none is another plugin's.

    tornadoish_app              what is tested: the fixture ``app``, unless overridden
    tornadoish_server_options   options of the HTTPServer; to be overridden
    tornadoish_server           the application, served on a free port
    tornadoish_client           httpx.AsyncClient of that server
    tornadoish_memory_client    the same without a socket
    tornadoish_expect_log       what is to be logged

Imports of the package stay in the fixtures: this is loaded into runs that need none of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

async_fixture: Callable[[Any], Any] = pytest.fixture  # anyio's plugin runs these
try:
    import pytest_asyncio
except ImportError:
    pass
else:
    async_fixture = pytest_asyncio.fixture  # which in its strict mode runs no other ones

if TYPE_CHECKING:
    import logging

    import httpx

    from tornadoish.pytest_plugin.served import Served
    from tornadoish.testing import ExpectLog


@pytest.fixture
def tornadoish_app(request: pytest.FixtureRequest) -> Any:
    """The application that is tested: an ``Application``, or whatever a ``HTTPServer`` serves.

    To be overridden; if it is not, it is what the fixture ``app`` gives.
    """
    return request.getfixturevalue("app")


@pytest.fixture
def tornadoish_server_options() -> dict[str, Any]:
    """Options of the ``HTTPServer`` of the fixtures below; to be overridden."""
    return {}


@async_fixture
async def tornadoish_server(
    request: pytest.FixtureRequest,
    tornadoish_app: Any,
    tornadoish_server_options: dict[str, Any],
) -> AsyncGenerator[Served, None]:
    """The application, started and served on a free port of 127.0.0.1: a :class:`Served`, with
    ``server``, ``app``, ``port``, ``base_url`` and ``url(path)``.

    Behind the test it is stopped, with whatever is still connected, and has shut down.
    """
    from tornadoish.pytest_plugin.served import serving  # noqa: PLC0415

    async with serving(tornadoish_app, tornadoish_server_options, is_strict(request)) as served:
        yield served


@async_fixture
async def tornadoish_client(tornadoish_server: Served) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of that server: ``await tornadoish_client.get("/")``."""
    from tornadoish.pytest_plugin.served import new_client  # noqa: PLC0415

    async with new_client(tornadoish_server.base_url) as client:
        yield client


@async_fixture
async def tornadoish_memory_client(
    request: pytest.FixtureRequest,
    tornadoish_app: Any,
    tornadoish_server_options: dict[str, Any],
) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of the same application that needs no socket (``MemoryTransport``)."""
    from tornadoish.pytest_plugin.served import in_memory  # noqa: PLC0415

    async with in_memory(tornadoish_app, tornadoish_server_options, is_strict(request)) as client:
        yield client


@pytest.fixture
def tornadoish_expect_log() -> Generator[Callable[..., ExpectLog], None, None]:
    """A function that says what is to be logged, from now until the end of the test::

        tornadoish_expect_log("tornado.application", "Uncaught exception")

    The parameters are those of :class:`tornadoish.testing.ExpectLog`, and so is the result. The
    test fails if it was not; if it was, nobody else sees it.
    """
    from tornadoish.testing import ExpectLog  # noqa: PLC0415

    with contextlib.ExitStack() as stack:

        def expect_log(
            logger: logging.Logger | str,
            regex: str,
            required: bool = True,
            level: int | None = None,
        ) -> ExpectLog:
            return stack.enter_context(ExpectLog(logger, regex, required, level))

        yield expect_log


def is_strict(request: pytest.FixtureRequest) -> bool:
    """Whether leftovers are errors: the option of the command line or of the configuration."""
    return bool(
        request.config.getoption("tornadoish_strict") or request.config.getini("tornadoish_strict")
    )
