"""The pytest plugin: fixtures for functions that test applications (ours alone, not Tornado's).

pytest loads it into every run where the package is installed (the entry point ``pytest11``). So
this imports nothing of the package, and neither does anything else before a fixture is used. The
fixtures are coroutines and need pytest-asyncio, in either of its modes; or, without that, anyio's
plugin.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tornadoish")
    text = "fail tests that leave tasks or connections behind the fixtures of tornadoish"
    group.addoption("--tornadoish-strict", action="store_true", default=None, help=text)
    parser.addini("tornadoish_strict", text, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    # Not before all plugins are there: which of them runs coroutines is known by then.
    from tornadoish.pytest_plugin import fixtures  # noqa: PLC0415

    config.pluginmanager.register(fixtures, "tornadoish fixtures")
