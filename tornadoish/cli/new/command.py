"""The command, and how the project is written.

The files of the project are beside this one, in ``project/``, with ``.in`` behind their names; in
their names and texts ``@package@`` stands for the package, ``@name@`` for the project.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from tornadoish.cli.errors import CommandError
from tornadoish.cli.terminal import Paint

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*", re.IGNORECASE)
_SUFFIX = ".in"
_TAKEN = ("tests", "tornadoish", "tornado")

_HELP = """\
Usage: tornadoish new NAME

Writes a small project into the directory NAME, which must not be there or be empty: handlers, a
page, a test, pyproject.toml. NAME may have a path before it.
"""


def new(words: Sequence[str]) -> int:
    """``tornadoish new WORD ...``

    :raises CommandError: there can be no such project.
    """
    if words in (["-h"], ["--help"]):
        print(_HELP, end="")
        return 0
    if len(words) != 1 or words[0].startswith("-"):
        raise CommandError("say how the project is called: tornadoish new NAME")
    directory = Path(words[0])
    package = _package_of(directory.name)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise CommandError(f"{directory} is there, and not empty: take another name")
    written = list(_write(directory, directory.name, package))
    _tell(directory, written)
    return 0


def _package_of(name: str) -> str:
    """The name that its modules are imported by."""
    if not _NAME.fullmatch(name):
        raise CommandError(
            f"{name!r} is no name for a project: letters and digits, - or _ between them"
        )
    package = name.lower().replace("-", "_")
    if keyword.iskeyword(package):
        raise CommandError(f"{package!r} is a word of Python's: take another name")
    if package in sys.stdlib_module_names or package in _TAKEN:
        raise CommandError(f"there is a module {package!r} already: take another name")
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None:
        raise CommandError(f"a package {package!r} is installed here: take another name")
    return package


def _write(directory: Path, name: str, package: str) -> Iterator[Path]:
    def filled_in(text: str) -> str:
        return text.replace("@package@", package).replace("@name@", name)

    for place, source in _sources(files("tornadoish.cli.new") / "project", Path()):
        target = directory / filled_in(str(place).removesuffix(_SUFFIX))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(filled_in(source.read_text("utf-8")), "utf-8")
        except OSError as error:
            raise CommandError(f"{target} cannot be written: {error.strerror}") from None
        yield target


def _sources(directory: Traversable, place: Path) -> Iterator[tuple[Path, Traversable]]:
    for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _sources(entry, place / entry.name)
        elif entry.name.endswith(_SUFFIX):
            yield place / entry.name, entry


def _tell(directory: Path, written: list[Path]) -> None:
    paint = Paint(sys.stdout)
    print(f"A project in {paint('bold', str(directory))}:")
    for path in written:
        print(f"  {path}")
    print("Next:")
    for command, why in (
        (f"cd {directory}", ""),
        ("pip install -e '.[test]'", "it, and what its test needs"),
        ("tornadoish --reload", "http://127.0.0.1:8888"),
        ("pytest", ""),
    ):
        print(f"  {paint('green', command)}{' ' * (26 - len(command))}  {why}".rstrip())
