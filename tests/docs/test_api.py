"""The pages of docs/api have every public name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import pytest

import tornadoish
from tornadoish.web import Application, RequestHandler

from .blocks import DOCS

#: Modules whose public names are all that they define.
WITHOUT_ALL = ("escape", "health", "log", "tracing")
#: Pages that are of no whole module.
OTHERS = ("index", "limits", "run")
PAGES = sorted(path.stem for path in (DOCS / "api").glob("*.md") if path.stem not in OTHERS)
#: Not for applications: the command's insides, what is below the contract, the plugin's fixtures.
INSIDES = {"__main__", "buffer", "cli", "http1", "pytest_plugin", "supervisor", "util", "ws"}


def text_of(page: str) -> str:
    return (DOCS / "api" / f"{page}.md").read_text(encoding="utf-8")


def test_every_module_has_a_page() -> None:
    modules = {found.name for found in pkgutil.iter_modules(tornadoish.__path__)}
    assert modules - INSIDES == set(PAGES)


@pytest.mark.parametrize("module", PAGES)
def test_a_module_s_page_has_all_its_names(module: str) -> None:
    names = getattr(importlib.import_module(f"tornadoish.{module}"), "__all__", None)
    assert (names is None) == (module in WITHOUT_ALL)
    if f".. automodule:: tornadoish.{module}" in text_of(module):
        return  # Sphinx goes by __all__
    said = set(re.findall(r"\.\. auto\w+:: (?:tornadoish\.web\.)?([\w.]+)", text_of(module)))
    assert {name for name in names or () if not name.startswith("_")} - {"url"} <= {
        name.partition(".")[0] for name in said
    } | {"TemplateModule", "GZipContentEncoding", "redirect", *OLD_NAMES}


#: Tornado's first names of what has a better one, and another spelling.
OLD_NAMES = {"DEFAULT_SIGNED_VALUE_MIN_VERSION", "DEFAULT_SIGNED_VALUE_VERSION"}
OLD_METHODS = {
    "set_secure_cookie",
    "get_secure_cookie",
    "get_secure_cookie_key_version",
}


def public(cls: type) -> set[str]:
    return {
        name
        for base in cls.__mro__
        if base.__module__.startswith("tornadoish.web")
        for name in vars(base)
        if not name.startswith("_")
    }


def test_every_member_of_a_handler_is_in_one_of_the_groups() -> None:
    said = re.findall(r"\.\. auto(?:method|attribute):: RequestHandler\.(\w+)", text_of("web"))
    assert len(said) == len(set(said))
    verbs = {verb.lower() for verb in RequestHandler.SUPPORTED_METHODS}
    assert {verb for verb in verbs if f" RequestHandler.{verb}(*args" in text_of("web")} == verbs
    attributes = {"application", "request"}  # of instances; but a compiled class has them
    assert public(RequestHandler) - OLD_METHODS - verbs - attributes == set(said)
    for name in said:
        value = inspect.getattr_static(RequestHandler, name)
        kind = "method" if inspect.isroutine(value) or name == "initialize" else "attribute"
        assert f".. auto{kind}:: RequestHandler.{name}\n" in text_of("web")


def test_every_member_of_an_application_is_named() -> None:
    (line,) = re.findall(r":members: (listen.*)", text_of("web"))
    machinery = {"find_handler", "get_handler_delegate", "hold", "startup", "shutdown", "cleanup",
                 "start_within"}  # fmt: skip
    assert public(Application) - machinery == set(line.split(", "))
