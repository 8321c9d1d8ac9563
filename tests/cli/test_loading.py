"""APP: from a name to what a server can ask, and what is said where there is no way."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tornadoish.asgi import ASGIContainer
from tornadoish.cli.applications import as_delegate, what_it_is
from tornadoish.cli.loading import AppError, load
from tornadoish.httputil import HTTPServerConnectionDelegate
from tornadoish.web import Application, RequestHandler

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """``write(name, text)`` writes a file below the current directory; what is imported from there
    is forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write_file(name: str, text: str = "") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        importlib.invalidate_caches()
        return path

    yield write_file
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


# -- where it is


def test_a_module_of_the_current_directory(write: Write) -> None:
    write("mine_1.py", "class Things:\n    app = 'it'\nother = 'other'\n")
    assert load("mine_1:Things.app") == "it"
    assert load("mine_1:other") == "other"
    assert load("mine_1:other()") == "other"  # it would be called anyway


def test_a_module_of_a_package(write: Write) -> None:
    write("pack_1/__init__.py")
    write("pack_1/sub/__init__.py")
    write("pack_1/sub/web.py", "from . import __name__ as name\napp = name\n")
    assert load("pack_1.sub.web:app") == "pack_1.sub"


@pytest.mark.parametrize("app", ["dir_2/mine_2.py", "./dir_2/mine_2.py:app", "{here}/mine_2.py"])
def test_a_file(write: Write, tmp_path: Path, app: str) -> None:
    write("dir_2/beside_2.py", "word = 'beside'\n")
    write("dir_2/mine_2.py", "from beside_2 import word as app\n")
    assert load(app.format(here=tmp_path / "dir_2")) == "beside"


def test_a_file_within_a_package_is_part_of_it(write: Write) -> None:
    write("dir_3/pack_3/__init__.py")
    write("dir_3/pack_3/other.py", "word = 'relative'\n")
    write("dir_3/pack_3/web.py", "from .other import word as app\n")
    assert load("dir_3/pack_3/web.py") == "relative"


@pytest.mark.parametrize("name", ["app", "application", "make_app", "create_app"])
def test_usual_names(write: Write, name: str) -> None:
    write(f"usual_{name}.py", f"{name} = 'this'\nsomething = 1\n")
    assert load(f"usual_{name}") == "this"


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("", "'' is no application: expected module:name"),
        (":app", "':app' is no application"),
        ("a-b:app", "'a-b:app' is no application"),
        ("goodd:app", "there is no module 'goodd' in {here}; did you mean good?"),
        ("good.sub:app", "there is no module 'good.sub'"),
        ("packg.web:app", "there is no module 'packg' in {here}; did you mean package_4?"),
        ("package_4.wep:app", "there is no module 'package_4.wep' in {here}/package_4; did you"),
        ("good:ap", "there is no 'ap' in good; did you mean app?"),
        ("good:app.x", "there is no 'x' in good"),
        ("nameless", "nameless has no app, application, make_app or create_app: say what to "
         "serve, nameless:NAME; it has serve_me"),
        ("nameless.py:x", "there is no 'x' in nameless.py; it has serve_me"),
        ("godo.py", "there is no file godo.py; did you mean good.py?"),
        ("package_4/", "package_4 is a directory"),
        ("no-name.py", "no-name.py cannot be imported: 'no-name' is no name of a module"),
        ("json.py", "json.py is called as the module 'json', which Python has already"),
        ("needs.py", "needs.py cannot be imported: needs.py, line 2 needs the module "
         "'not_there_at_all', which is not here"),
        ("deeper", "deeper cannot be imported: needs.py, line 2 needs the module"),
        ("syntax", "syntax cannot be imported: syntax.py, line 2: SyntaxError: "),
        ("raises", "raises cannot be imported: raises.py, line 3: ZeroDivisionError: division"),
        ("wrong_name", "cannot import name 'nothing' from 'good'"),
        ("ends", "importing ends ends the program: sys.exit(3); guard it by `if __name__"),
        ("lines", "lines cannot be imported: lines.py, line 1: ValueError: one two"),
    ],
)  # fmt: skip
def test_what_is_not_there(write: Write, tmp_path: Path, app: str, said: str) -> None:
    write("good.py", "app = 1\n")
    write("nameless.py", "import os.path\nfrom os.path import join\ndef serve_me(): pass\n")
    write("package_4/__init__.py")
    write("package_4/web.py")
    write("no-name.py")
    write("json.py", "app = 1\n")
    write("needs.py", "import sys\nimport not_there_at_all\n")
    write("deeper.py", "import needs\n")
    write("syntax.py", "import sys\ndef f(:\n")
    write("raises.py", "def f():\n    1\n    1 / 0\nf()\n")
    write("wrong_name.py", "from good import nothing\n")
    write("ends.py", "import sys\nsys.exit(3)\n")
    write("lines.py", "raise ValueError('one\\ntwo')\n")
    with pytest.raises(AppError) as caught:
        load(app)
    assert said.format(here=os.getcwd()) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.status == 2


# -- what it is


class Delegate(HTTPServerConnectionDelegate):
    pass


class Hello(RequestHandler):
    pass


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    pass


class ASGIObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        pass


class Middleware:
    """Returns another one's coroutine."""

    def __init__(self, app: Any = asgi) -> None:
        self.app = app

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        return self.app(scope, receive, send)


async def any_arguments(*args: Any) -> None:
    pass


application = Application()


async def make_slowly() -> Application:
    return application


def make_with_default(debug: bool = False) -> Application:
    return application


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (application, "Application"),
        (Delegate(), "Delegate"),
        (asgi, "ASGI"),
        (ASGIObject(), "ASGI, ASGIObject"),
        (Middleware(), "ASGI, Middleware"),
        (any_arguments, "ASGI"),
        (lambda: application, "Application"),
        (lambda: asgi, "ASGI"),
        (make_slowly, "Application"),
        (make_with_default, "Application"),
        (Application, "Application"),
        (Delegate, "Delegate"),
        (Middleware, "ASGI, Middleware"),
        (ASGIObject, "ASGI, ASGIObject"),
        (lambda *args: Delegate(), "Delegate"),
    ],
)
async def test_what_can_be_served(found: Any, kind: str) -> None:
    delegate = await as_delegate(found, "m:x")
    assert isinstance(delegate, HTTPServerConnectionDelegate)
    assert what_it_is(delegate) == kind


async def test_the_asgi_application_itself_is_served() -> None:
    delegate = await as_delegate(asgi, "m:x")
    assert isinstance(delegate, ASGIContainer)
    assert delegate.application is asgi


def fail() -> None:
    raise ValueError("no database")


async def fail_slowly() -> None:
    raise ValueError("no database")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "m:x is None: expected an Application"),
        ("text", "m:x is a str: expected"),
        (Hello, "m:x is a handler: serve an application, Application([('/', m:x)])"),
        (lambda environ, start_response: [], "m:x looks like a WSGI application: serve "
         "tornadoish.wsgi.WSGIContainer(m:x)"),
        (lambda request: None, "m:x needs arguments, and is called without"),
        (lambda: None, "m:x() has made None: expected"),
        (lambda: 1, "m:x() has made an int: expected"),
        (lambda: lambda: application, "m:x() has made a function"),
        (fail, "m:x() has failed: "),
        (fail_slowly, "test_loading.py, line "),
    ],
)  # fmt: skip
async def test_what_cannot_be_served(found: Any, said: str) -> None:
    with pytest.raises(AppError) as caught:
        await as_delegate(found, "m:x")
    assert said in str(caught.value)
    assert (caught.value.raised is not None) is (found in (fail, fail_slowly))
    assert ("--log-level debug" in caught.value.told()) is (found in (fail, fail_slowly))
