"""Loading APP: from ``module:name`` or the path of a file to an object.

Called once in a process that serves, or checks. What goes wrong in the application's own module is
told in one line, with the place in its source; the log level ``debug`` shows the traceback, too.
What the object is, is found out by ``applications``.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tornadoish.cli.errors import CommandError, did_you_mean, short_path
from tornadoish.log import gen_log

#: what is looked for where no name is told, in this order
USUAL_NAMES = ("app", "application", "make_app", "create_app")


class AppError(CommandError):
    """The application's own code cannot be used.

    :param raised: what it has raised, if it did; the log level ``debug`` shows the traceback.
    """

    def __init__(self, message: str, raised: Exception | None = None) -> None:
        super().__init__(message)
        self.raised = raised
        if raised is not None:
            gen_log.debug("%s", message, exc_info=raised)
            if not gen_log.isEnabledFor(logging.DEBUG):
                self.more = "--log-level debug shows more"


class _Place(NamedTuple):
    """Where an application is: a module's name, a directory to find it from, a name within."""

    module: str
    directory: str
    name: str
    file: Path | None  # as it was told


def load(app: str) -> Any:
    """The object that ``app`` names. The directory where the command was started, or that of the
    file, comes first on the path of imports, as with ``python``.

    :raises AppError: there is none.
    """
    place = _place_of(app)
    if place.directory not in sys.path[:1]:
        sys.path.insert(0, place.directory)
    module = _import(place)
    if not place.name:
        return _usual(module, app)
    found: Any = module
    for part in place.name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            hint = did_you_mean(part, [name for name in dir(found) if not name.startswith("_")])
            where = f"{place.file or place.module}"
            raise AppError(f"there is no {part!r} in {where}{hint or _offer(module)}") from None
    return found


def _place_of(app: str) -> _Place:
    path, colon, name = app.rpartition(":")
    if not colon or os.sep in name or name.endswith(".py"):  # C:\x is a path, too
        path, name = app, ""
    name = name.removesuffix("()")  # it is called anyway
    if path.endswith(".py") or os.sep in path:
        return _place_in_file(Path(path), name)
    if not path or not all(part.isidentifier() for part in path.split(".")):
        raise AppError(f"{app!r} is no application: expected module:name, or path/to/file.py")
    return _Place(path, os.getcwd(), name, None)


def _place_in_file(file: Path, name: str) -> _Place:
    """A file is imported as what it is: part of a package, if its directory is one."""
    full = Path(os.path.abspath(file))
    if full.is_dir():
        raise AppError(f"{file} is a directory: name a file in it, or a module with dots")
    if not full.is_file():
        others = [path.name for path in full.parent.glob("*.py")] if full.parent.is_dir() else []
        raise AppError(f"there is no file {file}{did_you_mean(full.name, others)}")
    parts = [full.stem] if full.stem != "__init__" else []
    directory = full.parent
    while (directory / "__init__.py").exists():
        parts.insert(0, directory.name)
        directory = directory.parent
    if not parts or not all(part.isidentifier() for part in parts):
        raise AppError(f"{file} cannot be imported: {'.'.join(parts)!r} is no name of a module")
    return _Place(".".join(parts), str(directory), name, file)


def _import(place: _Place) -> ModuleType:
    try:
        module = importlib.import_module(place.module)
    except ModuleNotFoundError as error:
        if error.name and f"{place.module}.".startswith(f"{error.name}."):
            raise AppError(_no_module(place, error.name)) from None
        raise _failed(place, error) from None
    except Exception as error:
        raise _failed(place, error) from None
    except SystemExit as error:
        text = f"importing {place.file or place.module} ends the program: sys.exit({error.code!r})"
        raise AppError(f'{text}; guard it by `if __name__ == "__main__":`') from None
    if place.file is not None:
        _check_file(module, place.file)
    return module


def _no_module(place: _Place, name: str) -> str:
    package, _, last = name.rpartition(".")
    directory = Path(place.directory, *package.split(".")) if package else Path(place.directory)
    near = did_you_mean(last, _modules_in(directory))
    return f"there is no module {name!r} in {directory}{near or ' or elsewhere on the path'}"


def _modules_in(directory: Path) -> Iterator[str]:
    try:
        for entry in sorted(directory.iterdir()):
            if entry.suffix == ".py" or (entry / "__init__.py").exists():
                yield entry.stem
    except OSError:
        return


def _check_file(module: ModuleType, file: Path) -> None:
    """A file may be called as a module that is there already."""
    found = getattr(module, "__file__", None)
    if found is None or not os.path.samefile(found, file):
        raise AppError(
            f"{file} is called as the module {module.__name__!r}, which Python has already "
            f"({found or 'built in'}): give the file another name"
        )


def _failed(place: _Place, error: Exception) -> AppError:
    """What the module's own code raised, with its place."""
    told = place.file or place.module
    if isinstance(error, ModuleNotFoundError) and error.name:
        root = error.name.partition(".")[0]
        return AppError(
            f"{told} cannot be imported: {_where(error)} needs the module {error.name!r}, which "
            f"is not here (is {root} installed for {sys.executable}?)",
            error,
        )
    return AppError(f"{told} cannot be imported: {told_of(error)}", error)


def told_of(error: Exception) -> str:
    """What was raised, and where, in a line."""
    what = traceback.format_exception_only(error)[-1].strip()
    return f"{_where(error)}: {what}"


def _where(error: Exception) -> str:
    """File and line that the error is about: of the last frame that is no import of Python's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{short_path(error.filename)}, line {error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and frame.filename != importlib.__file__
    ]
    if not frames:
        return "it"
    return f"{short_path(frames[-1].filename)}, line {frames[-1].lineno}"


def _usual(module: ModuleType, app: str) -> Any:
    for name in USUAL_NAMES:
        if hasattr(module, name):
            return getattr(module, name)
    known = ", ".join(USUAL_NAMES[:-1])
    raise AppError(
        f"{app} has no {known} or {USUAL_NAMES[-1]}: say what to serve, {app}:NAME{_offer(module)}"
    )


def _offer(module: ModuleType) -> str:
    """What of a module looks as if it could be served."""
    own = [
        (name, value)
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and not isinstance(value, type)
    ]
    likely = [name for name, value in own if hasattr(value, "start_request")]
    likely += [
        name
        for name, value in own
        if name not in likely and getattr(value, "__module__", "") == module.__name__
    ]
    return f"; it has {', '.join(likely[:5])}" if likely else ""
