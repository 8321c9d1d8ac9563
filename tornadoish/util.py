"""Two small helpers with Tornado's names: a dict with attributes, and import by dotted name.

Called by httputil (uploaded files) and by applications. Standard library only.
"""

from __future__ import annotations

import importlib
from typing import Any


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
