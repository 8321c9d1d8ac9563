"""Tornado and ours side by side: a test that runs over both says what the interface is."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

#: ``params`` of a fixture over both. TORNADOISH_TEST_ORACLE=no leaves Tornado out: what it does has
#: been seen once and depends on neither the Python nor the loop.
LIBRARIES = ["tornadoish", "tornado"]
if os.environ.get("TORNADOISH_TEST_ORACLE") == "no":
    LIBRARIES = ["tornadoish"]


def installed(name: str) -> str:
    """One of the ``LIBRARIES``; the test is skipped if that is Tornado and it is not there."""
    if name == "tornado":
        pytest.importorskip(name)
    return name


class Library:
    """The modules of Tornado or of ours, by their common names."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.httpserver: Any = importlib.import_module(f"{name}.httpserver")
        self.httputil: Any = importlib.import_module(f"{name}.httputil")
        self.iostream: Any = importlib.import_module(f"{name}.iostream")
        self.locale: Any = importlib.import_module(f"{name}.locale")
        self.netutil: Any = importlib.import_module(f"{name}.netutil")
        self.routing: Any = importlib.import_module(f"{name}.routing")
        self.tcpserver: Any = importlib.import_module(f"{name}.tcpserver")
        self.web: Any = importlib.import_module(f"{name}.web")

    @property
    def is_ours(self) -> bool:
        return self.name == "tornadoish"

    def __repr__(self) -> str:
        return self.name
