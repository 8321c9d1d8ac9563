"""Prints the tables of docs/tornado.md: every public name of Tornado's modules, and what is here.

python docs/print_tornado.py      # needs Tornado 6.6

What is said of a name is in ``VERDICTS``; a name that is not in there is the same in both. A name
that is missing here and has no verdict is an error, and so is a verdict on a name that Tornado does
not have.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

MODULES = (
    "web",
    "websocket",
    "httputil",
    "routing",
    "escape",
    "template",
    "locale",
    "wsgi",
    "testing",
)
VERDICTS_FILE = Path(__file__).with_name("tornado_verdicts.txt")


def verdicts() -> dict[str, str]:
    """``module.name`` or ``module.Class.name`` -> what is said of it, from lines ``NAME: TEXT``."""
    found: dict[str, str] = {}
    for line in VERDICTS_FILE.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, text = line.partition(": ")
            found[name] = text
    return found


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The names that a module defines, classes with their members behind them."""
    for name, value in sorted(vars(module).items()):
        if name.startswith("_") or inspect.ismodule(value) or name == "doctests":
            continue
        constant = name.isupper() and isinstance(value, (int, str, dict, tuple))
        if getattr(value, "__module__", None) != module.__name__ and not constant:
            continue
        yield name, value
        if inspect.isclass(value):
            for member in sorted(vars(value)):
                if not member.startswith("_"):
                    yield f"{name}.{member}", getattr(value, member, None)


def has(module: ModuleType, name: str) -> bool:
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            # What is set on instances alone.
            return part in getattr(value, "__annotations__", {})
        value = getattr(value, part)
    return True


def tables() -> str:
    """All tables."""
    warnings.simplefilter("ignore")
    said = verdicts()
    lines: list[str] = []
    missing: list[str] = []
    for short in MODULES:
        theirs = importlib.import_module(f"tornado.{short}")
        ours = importlib.import_module(f"tornadoish.{short}")
        lines += ["", f"## {short}", "", "| name | |", "|---|---|"]
        absent: set[str] = set()  # classes, of which no more is said
        for name, _ in public(theirs):
            if name.partition(".")[0] in absent:
                continue
            full = f"{short}.{name}"
            text = said.pop(full, "")
            if text.startswith("absent"):
                absent.add(name)
            if not text and not has(ours, name):
                missing.append(full)
            lines.append(f"| `{name}` | {text or 'same'} |")
    if missing or said:
        raise SystemExit(
            f"missing and without a verdict: {', '.join(missing)}\n"
            f"verdicts on nothing: {', '.join(said)}"
        )
    return "\n".join(lines[1:]) + "\n"


if __name__ == "__main__":
    print(tables(), end="")
