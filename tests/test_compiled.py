"""Which kind of the package is tested: compiled, or pure Python."""

from __future__ import annotations

import ast
import os
import sysconfig
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from tornadoish.compiling import is_compiled

ROOT = Path(__file__).parent.parent
HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
    "wheel"
]["hooks"]["custom"]


def test_the_kind_that_is_tested_is_the_one_that_was_meant() -> None:
    meant = os.environ.get("TORNADOISH_TEST_COMPILED", "0")
    assert is_compiled() == (meant == "1")


@pytest.mark.parametrize("path", HOOK["modules"])
def test_every_module_on_the_list_is_there_and_all_are_of_one_kind(path: str) -> None:
    assert (ROOT / path).is_file()
    spec = find_spec(path.removesuffix(".py").replace("/", "."))
    assert spec is not None
    assert spec.origin is not None
    suffix = sysconfig.get_config_var("EXT_SUFFIX") if is_compiled() else ".py"
    assert spec.origin.endswith(suffix)


def test_the_page_names_what_is_compiled() -> None:
    page = (ROOT / "docs" / "compiled.md").read_text()
    for path in HOOK["modules"]:
        (row,) = [
            line
            for line in page.splitlines()
            if f"`{path.removesuffix('.py').replace('/', '.')}`" in line and line.startswith("| ")
        ]
        for node in ast.parse((ROOT / path).read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                assert node.name == "ConnectionState" or f"`{node.name}`" in row


@pytest.mark.parametrize("path", HOOK["modules"])
def test_no_coroutine_is_compiled_mypyc_1214(path: str) -> None:
    """Compiled ones throw into what they wait for in a way that Python 3.12 warns of."""
    tree = ast.walk(ast.parse((ROOT / path).read_text()))
    assert [node.name for node in tree if isinstance(node, ast.AsyncFunctionDef)] == []


@pytest.mark.parametrize("path", HOOK["modules"])
def test_no_property_of_a_compiled_class_has_a_setter(path: str) -> None:
    """mypyc looks neither at what it is given nor whether it is to be deleted (then it crashes)."""
    tree = ast.walk(ast.parse((ROOT / path).read_text()))
    setters = [
        decorator.value
        for node in tree
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Attribute) and decorator.attr in ("setter", "deleter")
    ]
    assert setters == []
