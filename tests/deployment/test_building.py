"""Building a package: what is in it, what it is called, and what is said when it is not compiled.

A compiled one takes a minute, and the environments of tox that are called compiled test it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from pathlib import Path
from hatchling import build

kind, where = sys.argv[1:]
print(getattr(build, f"get_requires_for_build_{kind}")())
print(Path(where, getattr(build, f"build_{kind}")(where)))
"""
PURE = "tornadoish is built as pure Python, which is slower: "

Build = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Build a wheel, an editable one or an sdist in a copy: prints what it needs, and its path."""
    source = tmp_path / "source"
    shutil.copytree(
        ROOT / "tornadoish", source / "tornadoish", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, source)

    def start(kind: str = "wheel", **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if key not in ("CC",)}
        environment.pop("TORNADOISH_COMPILE", None)
        return subprocess.run(
            [sys.executable, "-c", SCRIPT, kind, tmp_path], cwd=source, env=environment | variables,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return start


def result(built: subprocess.CompletedProcess[str]) -> tuple[str, Path]:
    """What was needed, and what was built."""
    assert built.returncode == 0, built.stderr
    needed, path = built.stdout.splitlines()
    return needed, Path(path)


def suffixes(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as opened:
        return {Path(name).suffix for name in opened.namelist()}


def test_a_pure_wheel_is_for_every_python_and_needs_no_compiler(build: Build) -> None:
    built = build(TORNADOISH_COMPILE="0")
    needed, wheel = result(built)
    assert needed == "[]"
    assert wheel.name.endswith("-py3-none-any.whl")
    assert ".so" not in suffixes(wheel)
    assert not built.stderr


def test_without_a_compiler_one_line_says_that_the_wheel_is_pure(build: Build) -> None:
    built = build(CC="no-such-compiler -pthread")
    needed, wheel = result(built)
    assert needed == "[]"
    assert wheel.name.endswith("-py3-none-any.whl")
    assert built.stderr == f"{PURE}there is no C compiler (no-such-compiler)\n"


def test_without_python_s_headers_one_line_says_so(build: Build) -> None:
    built = build(CC="false")
    needed, wheel = result(built)
    assert needed == "[]"
    assert wheel.name.endswith("-py3-none-any.whl")
    assert built.stderr.startswith(f"{PURE}false finds no headers of Python (/")
    assert built.stderr.count("\n") == 1


def test_a_compiler_that_fails_leaves_a_pure_wheel(build: Build, tmp_path: Path) -> None:
    (tmp_path / "source" / "tornadoish" / "buffer.py").write_text("def\n")
    built = build(CC="true")
    needed, wheel = result(built)
    assert "mypy" in needed
    assert "setuptools" in needed
    assert wheel.name.endswith("-py3-none-any.whl")
    assert ".so" not in suffixes(wheel)
    assert built.stderr.startswith(f"{PURE}mypyc has failed; ")
    assert built.stderr.count("\n") == 1


def test_who_must_have_it_compiled_gets_it_or_an_error(build: Build, tmp_path: Path) -> None:
    built = build(TORNADOISH_COMPILE="1", CC="no-such-compiler")
    assert built.returncode == 1
    assert built.stderr == (
        "TORNADOISH_COMPILE=1, and it cannot be compiled: "
        "there is no C compiler (no-such-compiler)\n"
    )
    assert not list(tmp_path.glob("*.whl"))


def test_the_variable_has_no_other_values(build: Build) -> None:
    built = build(TORNADOISH_COMPILE="yes")
    assert built.returncode == 1
    assert built.stderr == "TORNADOISH_COMPILE is 0, 1 or not set, not 'yes'\n"


def test_a_module_that_is_not_there_is_not_left_out(build: Build, tmp_path: Path) -> None:
    (tmp_path / "source" / "tornadoish" / "buffer.py").unlink()
    for wish in ("0", "1"):
        built = build(TORNADOISH_COMPILE=wish)
        assert built.returncode == 1
        assert "no such modules to compile: tornadoish/buffer.py" in built.stderr


def test_what_is_edited_is_not_compiled(build: Build) -> None:
    built = build("editable")
    _, wheel = result(built)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert ".so" not in suffixes(wheel)
    assert not built.stderr


def test_an_sdist_has_what_a_build_needs(build: Build) -> None:
    needed, archive = result(build("sdist"))
    assert needed == "[]"
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"pyproject.toml", "hatch_build.py", "README.md", "LICENSE"} <= names
    assert {"tornadoish/py.typed", "tornadoish/buffer.py"} <= names
