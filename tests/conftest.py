"""What all tests share: the event loop that they run on, and servers that are cleaned up.

TORNADOISH_TEST_LOOP=uvloop runs the asynchronous tests on uvloop; the default is asyncio's loop.
The others do not depend on the loop: they run with asyncio's alone, not again in its debug mode.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import hypothesis
import pytest

# How long an example takes says more of the machine than of us.
hypothesis.settings.register_profile("whole", deadline=None)
# For runs that repeat what another one has tested with all the generated inputs.
hypothesis.settings.register_profile("light", max_examples=20, deadline=None)
hypothesis.settings.load_profile("whole")

pytest.register_assert_rewrite("support", "reading", "servers", "streams")

from support import Serving  # noqa: E402 - its assertions are to be explained

LOOP = os.environ.get("TORNADOISH_TEST_LOOP", "asyncio")
LOOPS = ("asyncio", "uvloop")


def pytest_configure(config: pytest.Config) -> None:
    if LOOP not in LOOPS:
        raise pytest.UsageError(f"TORNADOISH_TEST_LOOP is {LOOP!r}, not one of {LOOPS}")


# optionalhook: pytest-asyncio has it since 1.4, and only tests that use it need that.
@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if LOOP == "uvloop" and importlib.util.find_spec("uvloop"):
        import uvloop

        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


#: What the oracle checks by assert statements alone, which -O takes away.
ORACLE_ASSERTS = re.compile(
    r"test_redirect_with_another_status\[tornado-"
    r"|test_routing\.py::(test_add_rules_takes_rules_and_arguments\[tornado"
    r"|test_named_and_nameless_groups_do_not_mix\[tornado|test_reverse\[tornado.*AssertionError)"
)


#: Whether this run is for what depends on the loop.
LOOP_ALONE = LOOP == "uvloop" or bool(os.environ.get("PYTHONASYNCIODEBUG"))


def is_asynchronous(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if sys.flags.optimize:
        gone = pytest.mark.skip(reason="Tornado checks this by assert, and -O takes asserts away")
        for item in items:
            if ORACLE_ASSERTS.search(item.nodeid):
                item.add_marker(gone)
    elif LOOP_ALONE:
        config.hook.pytest_deselected(items=[item for item in items if not is_asynchronous(item)])
        items[:] = [item for item in items if is_asynchronous(item)]
    if LOOP != "uvloop" or importlib.util.find_spec("uvloop"):
        return
    skip = pytest.mark.skip(reason="TORNADOISH_TEST_LOOP=uvloop, but uvloop is not installed")
    for item in items:
        if is_asynchronous(item):
            item.add_marker(skip)


def pytest_collection_finish(session: pytest.Session) -> None:
    # Many tests collect garbage to see that nothing is left. All that is there by now stays to the
    # end: it need not be looked at each time, which is most of the time of a short test.
    gc.collect()
    gc.freeze()


@pytest.fixture
async def serve() -> AsyncIterator[Any]:
    """``serve(application, **options)`` serves on a free port of loopback; see ``support``.

    At the end of the test everything is closed, and the contract must have been kept.
    """
    serving = Serving()
    try:
        yield serving.start
    finally:
        await serving.close()
    serving.check()
