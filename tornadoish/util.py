"""Small helpers: a dict with attributes and import by dotted name (both Tornado's), and the import
of what an extra brings.

Called by httputil (uploaded files), by whatever is optional, and by applications. Standard library
only.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Coroutine
from inspect import iscoroutine
from typing import Any, TypeVar

T = TypeVar("T")


class ObjectDict(dict[str, Any]):
    """A dict whose keys may also be read and set as attributes.

    Reading a missing attribute raises AttributeError. Methods of dict win over keys of the same
    name. Source: Tornado: tornado.util.ObjectDict.
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def import_object(name: str) -> Any:
    """Import a module, or what a module holds: ``"x"``, ``"x.y"`` or ``"x.y.name"``.

    :raises ImportError: there is no such module, or it holds no such name.

    Source: Tornado: tornado.util.import_object.
    """
    module_name, _, attribute = name.rpartition(".")
    if not module_name:
        return importlib.import_module(name)
    module = importlib.import_module(module_name)
    try:
        return getattr(module, attribute)
    except AttributeError:
        pass
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that exists but fails to import something else must say so.
        if error.name != name:
            raise
        raise ImportError(f"No module named {attribute}") from None


def import_extra(name: str, extra: str) -> Any:
    """Import a module of a package that is not always there (ours alone, not Tornado's).

    :param name: the module, by its full name.
    :param extra: the extra of this package that brings it.
    :raises ImportError: its package is not installed; the message says how to get it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            raise  # it is there, and lacks something itself
        raise ImportError(
            f"{package} is not installed: pip install 'tornadoish[{extra}]'", name=package
        ) from None


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


def as_coroutine(awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
    """What ends as ``awaitable`` does, as tasks want it: a coroutine."""
    return awaitable if iscoroutine(awaitable) else _awaited(awaitable)
