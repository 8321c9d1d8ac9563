"""What the tests of single modules share: the same module of Tornado's and of ours."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest
from libraries import LIBRARIES, installed


@pytest.fixture(params=LIBRARIES)
def httputil(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(f"{installed(request.param)}.httputil")


@pytest.fixture(params=LIBRARIES)
def tornado_or_ours(request: pytest.FixtureRequest) -> ModuleType:
    """The module ``routing``."""
    return importlib.import_module(f"{installed(request.param)}.routing")
