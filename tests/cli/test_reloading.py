"""``--reload``: what is watched, and what becomes of the process that serves."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tornadoish.cli.reloading.files import is_watched, watched_files
from tornadoish.cli.reloading.watching import Polling, Watcher, Watchfiles, make_watcher

from .commanding import APP, until
from .conftest import Start

HAS_WATCHFILES = importlib.util.find_spec("watchfiles") is not None

Watch = Callable[..., Iterator[set[str]]]


def tree(directory: Path) -> None:
    for name in (
        "app.py", "pages/home.html", "pages/.hidden.html", "data.json", "notes.txt",
        ".git/hook.py", "__pycache__/x.py", "node_modules/x.html", "env/pyvenv.cfg",
        "env/lib/x.py", "pack/deep/deeper/mod.py", "#app.py", ".#app.py",
    ):  # fmt: skip
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")


@pytest.mark.parametrize(
    ("name", "watched"),
    [
        ("a.py", True), ("a.HTML", True), ("a.j2", True), ("a.pyc", False), ("a.py~", False),
        (".a.py", False), ("#a.py", False), ("a", False), ("a.css", False), ("test_a.py", False),
        ("conftest.py", False), ("a.sqlite3", False),
    ],
)  # fmt: skip
def test_code_and_templates_are_watched(name: str, watched: bool) -> None:
    assert is_watched(name) is watched


def test_environments_and_caches_are_not(tmp_path: Path) -> None:
    tree(tmp_path)
    found = {os.path.relpath(entry.path, tmp_path) for entry in watched_files(str(tmp_path))}
    assert found == {"app.py", "pages/home.html", "pack/deep/deeper/mod.py"}


KINDS = [
    Polling,
    pytest.param(Watchfiles, marks=pytest.mark.skipif(
        not HAS_WATCHFILES, reason="watchfiles is not installed")),
]  # fmt: skip


@pytest.fixture(params=KINDS)
def watch(request: pytest.FixtureRequest) -> Iterator[Watch]:
    stop = threading.Event()

    def begin(directory: Path, *files: Path) -> Iterator[set[str]]:
        arguments = ([str(directory)], list(map(str, files)), stop)
        watcher: Watcher
        if request.param is Polling:
            watcher = Polling(*arguments)
        else:
            watcher = Watchfiles(pytest.importorskip("watchfiles"), *arguments)
        changes = iter(watcher.changes())
        assert next(changes) == set()  # now it watches
        return changes

    yield begin
    stop.set()


def next_changes(changes: Iterator[set[str]], directory: Path) -> set[str]:
    changed = until(lambda: next(changes))
    return {os.path.relpath(path, os.path.realpath(directory)) for path in changed}


def test_changes_are_seen(watch: Watch, tmp_path: Path) -> None:
    tree(tmp_path)
    changes = watch(tmp_path)
    (tmp_path / "app.py").write_text("other")
    assert next_changes(changes, tmp_path) == {"app.py"}
    # An editor puts a new file in the place of the old one.
    (tmp_path / "new").write_text("newer")
    os.replace(tmp_path / "new", tmp_path / "pages" / "home.html")
    assert next_changes(changes, tmp_path) == {"pages/home.html"}
    # A new directory with a file, and one that goes; and what does not matter.
    for name in ("data.json", ".git/hook.py", "env/lib/x.py", "__pycache__/x.py"):
        (tmp_path / name).write_text("other")
    (tmp_path / "pack" / "deep" / "deeper" / "mod.py").unlink()
    assert next_changes(changes, tmp_path) == {"pack/deep/deeper/mod.py"}


def test_single_files_are_watched_whatever_they_are_called(watch: Watch, tmp_path: Path) -> None:
    directory, elsewhere = tmp_path / "here", tmp_path / "there"
    tree(directory)
    elsewhere.mkdir()
    config = elsewhere / "a.toml"
    config.write_text("1")
    changes = watch(directory, config)
    (elsewhere / "b.toml").write_text("1")
    (elsewhere / "b.py").write_text("1")
    config.write_text("other")
    assert next_changes(changes, directory) == {"../there/a.toml"}


def test_watching_ends(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    for watcher in (make_watcher([str(tmp_path)], [], stop), Polling([str(tmp_path)], [], stop)):
        assert [change for change in watcher.changes() if change] == []


# -- the processes

PAGE = (
    APP
    + """
from tornadoish.web import Application as _A
class Page(RequestHandler):
    def get(self):
        self.render("page.html")
def make_pages():
    return _A([("/", Page)], template_path=".", template_engine="jinja2")
"""
)


def test_code_templates_and_mistakes(start: Start, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    code, page = tmp_path / "hello.py", tmp_path / "page.html"
    code.write_text(PAGE)
    page.write_text("<p>one</p>")
    command = start("hello:make_pages", "--port=0", "--reload", "--grace=20")
    url = command.url
    assert command.get().text == "<p>one</p>"
    page.write_text("<p>two</p>")
    command.said("page.html has changed: starting again")
    assert command.get().text == "<p>two</p>"  # who asks too early waits
    # A mistake is shown, with what is of our own left out; then the next change is waited for.
    code.write_text("import os\ndef f():\n    return not_there\nf()\n")
    command.said(r"It ended with status 2: waiting for a change")
    shown = command.error[command.error.index("Traceback") :]
    assert 'hello.py", line 3, in f\n' in shown
    assert "NameError: name 'not_there' is not defined" in shown
    assert "tornadoish/cli" not in shown
    assert "importlib" not in shown
    assert "debug" not in shown
    code.write_text(PAGE.replace("make_pages():", "make_pages():\n    # mended"))
    assert command.get().text == "<p>two</p>"
    assert command.url == url
    assert command.stop() == 0
    assert command.error.count("tornadoish 0") == 1


def test_the_file_of_options_is_watched_too(start: Start, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(APP)
    config = tmp_path / "conf.toml"
    config.write_text("app = 'hello:make_app'\nreload = true\nport = 0\n")
    command = start("--config=conf.toml")
    assert command.get().status_code == 200
    config.write_text("app = 'hello:make_app'\nreload = true\nport = 0\nlimit = {header_fields=1}")
    command.said("conf.toml has changed: starting again")
    assert command.get().status_code == 431
    assert command.stop(signal.SIGINT) == 0


@pytest.mark.skipif(shutil.which("nohup") is None, reason="there is no nohup")
def test_what_was_ignored_before_is_ignored(start: Start, tmp_path: Path) -> None:
    code = tmp_path / "hello.py"
    code.write_text(APP)
    nohup = ["nohup", sys.executable, "-m", "tornadoish"]
    command = start("hello:make_app", "--port=0", "--reload", program=nohup)
    assert command.get().json()["word"] == "one"
    command.process.send_signal(signal.SIGHUP)
    code.write_text(APP.replace('"one"', '"two"'))
    command.said("hello.py has changed: starting again")
    assert command.get().json()["word"] == "two"
    assert command.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_it_leaves_nobody_behind(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "hello.py").write_text(APP)
    command = start("hello:make_app", "--port=0", "--reload")
    child = command.get().json()["pid"]
    assert child != command.process.pid
    assert command.stop(number) == (0 if number == signal.SIGTERM else -number)
    until(lambda: not Path(f"/proc/{child}/fd").exists() or is_dead(child))


def is_dead(pid: int) -> bool:
    """Ended, if perhaps not waited for by whoever adopts orphans here."""
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
