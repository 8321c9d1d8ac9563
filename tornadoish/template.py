"""Tornado's template language: the real ``tornado.template``, under a name of ours.

Tornado's templates stay what they are, so nothing here reads one: each name is looked up in the
installed Tornado (an extra, ``tornado-templates``) when it is first asked for. Whoever asks for one
without it is told how to get it. Called by ``web.templates`` and by applications that import
``Template`` or ``Loader`` from here.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

from tornadoish.util import import_extra

__all__ = [
    "BaseLoader",
    "DictLoader",
    "Loader",
    "ParseError",
    "Template",
    "filter_whitespace",
]

# Looked up by __getattr__.
BaseLoader: Any
DictLoader: Any
Loader: Any
ParseError: Any
Template: Any
filter_whitespace: Any

_NAME = "tornado.template"
_loaded: ModuleType | None = None


def tornado_template() -> Any:
    """The module ``tornado.template`` of the installed Tornado.

    :raises ImportError: there is none; the message names the extra.
    """
    global _loaded
    if _loaded is None:
        module = import_extra(_NAME, "tornado-templates")
        # An application may have put our modules in place of Tornado's, this one too.
        _loaded = _load_from_file() if module is sys.modules[__name__] else module
    return _loaded


def _load_from_file() -> ModuleType:
    """``tornado.template`` itself, although something else is called so."""
    spec = PathFinder.find_spec(_NAME, import_extra("tornado", "tornado-templates").__path__)
    if spec is None or spec.loader is None:
        raise ImportError(f"{_NAME} is not where Tornado's modules are", name=_NAME)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # asked for by the import system and by introspection
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(tornado_template(), name)
