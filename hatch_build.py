"""Build hook: the wheel is compiled by mypyc where it can be, and pure Python where it cannot.

Hatchling calls ``CustomBuildHook``; the list of the modules is its table in pyproject.toml. The
compiling is done by this file as well, as a program of its own in a copy of the package: no file is
left in the tree, and the compiler may end as it likes. An editable installation is never compiled.

``TORNADOISH_COMPILE`` in the environment: ``0`` never, ``1`` without fail, not set: if it can be.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

#: Read when there is something to compile, and not before: a pure build needs hatchling alone.
REQUIREMENTS = ["mypy[mypyc]>=2.4,<2.5", "setuptools>=77"]
#: The library with all compiled code, and its name among modules. Each module's own loads it.
LIBRARY = "tornadoish._compiled"


class CannotCompileError(Exception):
    """The compiler, or what it needs, is not there; or it has failed. The text is one line."""


def wanted() -> bool | None:
    """What the environment says: never, without fail, or (None) if it can be."""
    said = os.environ.get("TORNADOISH_COMPILE", "")
    if said not in ("", "0", "1"):
        raise SystemExit(f"TORNADOISH_COMPILE is 0, 1 or not set, not {said!r}")
    return None if not said else said == "1"


def check_compiler() -> None:
    """Raise CannotCompileError unless this Python can have modules that are compiled here."""
    if sys.implementation.name != "cpython":
        raise CannotCompileError(f"mypyc knows CPython, and this is {sys.implementation.name}")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise CannotCompileError("this Python has no global lock, and nothing was tested without")
    if os.name == "nt":
        return  # whether there is a compiler is known to setuptools alone
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    if shutil.which(command[0]) is None:
        raise CannotCompileError(f"there is no C compiler ({command[0]})")
    headers = [f"-I{sysconfig.get_path(name)}" for name in ("include", "platinclude")]
    tried = subprocess.run(
        [*command, *headers, "-fsyntax-only", "-x", "c", "-"],
        input="#include <Python.h>\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tried.returncode:
        raise CannotCompileError(f"{command[0]} finds no headers of Python ({headers[0][2:]})")


def check_modules(modules: list[str], root: Path) -> None:
    """A module that is on the list and not there is a mistake of ours, whatever is wanted."""
    missing = [name for name in modules if not (root / name).is_file()]
    if missing:
        raise SystemExit(f"pyproject.toml: no such modules to compile: {', '.join(missing)}")


def compiled(modules: list[str], options: list[str], root: Path, directory: Path) -> list[Path]:
    """Compile modules of the package in ``root`` in an empty directory.

    Gives the paths of the libraries there, relative to it.

    Raises:
        CannotCompileError: If that fails, with the first error. All that was said is on stderr if
            nothing else will do.
    """
    others = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
    shutil.copytree(root / "tornadoish", directory / "tornadoish", ignore=others)
    environment = {name: value for name, value in os.environ.items() if name != "MYPYPATH"}
    done = subprocess.run(
        [sys.executable, "-P", Path(__file__).resolve(), *options, *modules],
        cwd=directory, env=environment, stdin=subprocess.DEVNULL, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
    )  # fmt: skip
    libraries = [
        path.relative_to(directory)
        for pattern in ("*.so", "*.pyd")
        for path in (directory / "tornadoish").rglob(pattern)
    ]
    if done.returncode or len(libraries) != len(modules) + 1:
        if wanted():
            print(done.stdout, file=sys.stderr)
        said = [line.strip() for line in done.stdout.splitlines() if "error" in line.lower()]
        raise CannotCompileError("; ".join(["mypyc has failed", *said[:1]]))
    return libraries


def main(arguments: list[str]) -> None:
    """Compile in the working directory; arguments are mypy's, files and options."""
    from mypyc.build import mypycify
    from setuptools import setup

    extensions = mypycify(
        ["--config-file=", "--cache-dir=cache", *arguments],
        opt_level="3", debug_level="0", target_dir="c", group_name=LIBRARY,
    )  # fmt: skip
    setup(
        name="compiled", packages=[], ext_modules=extensions,
        script_name="setup.py", script_args=["build_ext", "--inplace", "--build-temp=c"],
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
else:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class CustomBuildHook(BuildHookInterface):
        """What hatchling calls."""

        def dependencies(self) -> list[str]:
            """What a build needs beyond hatchling: nothing if nothing is to be compiled."""
            if wanted() is False:
                return []
            try:
                check_compiler()
            except CannotCompileError:
                return []  # the build says it
            return REQUIREMENTS

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Before a wheel is put together: add what is compiled, and say so in its name."""
            modules, options, root = self.config["modules"], self.config["mypy"], Path(self.root)
            check_modules(modules, root)
            if version == "editable" or wanted() is False:
                return
            self._directory = TemporaryDirectory(prefix="tornadoish-")
            directory = Path(self._directory.name).resolve()
            try:
                check_compiler()
                libraries = compiled(modules, options, root, directory)
            except CannotCompileError as reason:
                if wanted():
                    self.app.abort(f"TORNADOISH_COMPILE=1, and it cannot be compiled: {reason}")
                self.app.display_warning(
                    f"tornadoish is built as pure Python, which is slower: {reason}"
                )
                return
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            for path in libraries:
                build_data["force_include"][str(directory / path)] = path.as_posix()
