"""How to start this program once more, in a fresh interpreter: for workers and for ``--reload``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from tornadoish.cli.errors import CommandError
from tornadoish.cli.options import as_arguments


def of_command(app: str | None, typed: dict[str, Any]) -> list[str]:
    """The command line that says the same."""
    words = [sys.executable, *_flags(), "-m", "tornadoish", *as_arguments(typed)]
    return [*words, "--", app] if app else words


def of_program() -> list[str]:
    """This program, which calls ``tornadoish.run`` with an object of its own, with its arguments.

    :raises CommandError: there is no way to start it again.
    """
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        name = spec.name.removesuffix(".__main__")
        return [sys.executable, *_flags(), "-m", name, *sys.argv[1:]]
    file = getattr(main, "__file__", None)
    if file is None or not os.path.exists(file):
        raise CommandError(
            "run(): workers and reload start this program again, and it is no file: name the "
            'application instead, run("module:name")'
        )
    return [sys.executable, *_flags(), os.path.abspath(file), *sys.argv[1:]]


def _flags() -> Iterator[str]:
    """What this interpreter was told, as far as it goes for another."""
    flags = sys.flags
    letters = {
        "b": flags.bytes_warning,
        "B": flags.dont_write_bytecode,
        "E": flags.ignore_environment and not flags.isolated,
        "I": flags.isolated,
        "O": flags.optimize,
        "P": flags.safe_path and not flags.isolated,
        "s": flags.no_user_site and not flags.isolated,
        "v": flags.verbose,
    }
    for letter, times in letters.items():
        if times:
            yield f"-{letter * int(times)}"
    for name, value in sys._xoptions.items():
        yield f"-X{name}" if value is True else f"-X{name}={value}"
    if not os.environ.get("PYTHONWARNINGS"):
        for option in sys.warnoptions:
            yield f"-W{option}"
