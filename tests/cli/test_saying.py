"""What a command writes: its log for people and machines, the access log on a terminal."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tornadoish.cli import access, terminal
from tornadoish.cli.access import TerminalLine
from tornadoish.cli.errors import CommandError, did_you_mean
from tornadoish.cli.logs import JSONFormatter, TextFormatter, set_up_logs
from tornadoish.cli.settings import Settings
from tornadoish.httputil import Ended

from .commanding import APP, Command, Terminal


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def show_on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output and error are a terminal's now (not as a fixture: pytest puts its own back
    between that and the test)."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Screen())
    monkeypatch.setattr(sys, "stdout", Screen())


def record(message: str, *args: object, name: str = "tornado.general", **more: Any) -> Any:
    made = logging.LogRecord(name, logging.WARNING, "x.py", 1, message, args, None)
    made.created, made.msecs = 1_790_000_000.0425, 42.5
    vars(made).update(more)
    return made


# -- logs


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (record("hello %s", "you"), "warning hello you"),
        (record("hello", name="sqlalchemy.engine"), "warning sqlalchemy.engine: hello"),
        (record("a\nb\x1b[31m"), "warning a\n    b\\x1b[31m"),
        (record("%d", "x"), "warning Bad message ("),
    ],
)
def test_text_for_files(made: Any, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    text = TextFormatter().format(made)
    assert text.startswith(f"2026-09-21T14:13:20.042Z {line}")
    of_worker = TextFormatter(3).format(made)
    assert re.search(r"warning +\[3\] ", of_worker)


def test_text_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    show_on_terminal(monkeypatch)
    text = TextFormatter().format(record("hello"))
    assert re.fullmatch(r"\x1b\[33m\d\d:\d\d:\d\d warning \x1b\[0mhello", text)


def test_json_is_one_object_in_a_line() -> None:
    try:
        raise ValueError("über\n")
    except ValueError:
        exc_info = sys.exc_info()
    made = record("a\n%s \u2028", "ü", user=7, what=object, level="no", exc_info=exc_info)
    line = JSONFormatter(2).format(made)
    assert line.isascii()
    assert "\n" not in line
    told = json.loads(line)
    assert told["time"] == "2026-09-21T14:13:20.042Z"
    assert (told["level"], told["logger"], told["worker"]) == ("warning", "tornado.general", 2)
    assert (told["message"], told["user"]) == ("a\nü \u2028", 7)
    assert told["exception"].endswith("ValueError: über\n")
    assert json.loads(JSONFormatter().format(record("%d", "x")))["message"].startswith("Bad")
    assert "worker" not in json.loads(JSONFormatter().format(record("x")))


def test_logs_that_are_set_up_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    mine = logging.NullHandler()
    monkeypatch.setattr(root, "handlers", [mine])
    monkeypatch.setattr(root, "level", logging.ERROR)
    set_up_logs(Settings(log_level="debug"))
    assert (root.handlers, root.level) == ([mine], logging.ERROR)
    monkeypatch.setattr(root, "handlers", [])
    set_up_logs(Settings(log_level="debug", log_format="json"))
    assert isinstance(root.handlers[0].formatter, JSONFormatter)
    assert root.level == logging.DEBUG


# -- the access log


def exchange(**given: Any) -> Any:
    usual = {
        "status": 200, "start_line": ("GET", "/", "HTTP/1.1"), "bytes_out": 5, "duration": 0.0123,
        "ended": Ended.DONE, "context": SimpleNamespace(remote_ip="192.0.2.1"),
    }  # fmt: skip
    return SimpleNamespace(**{**usual, **given})


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "\x1b[32m200     \x1b[0m 192.0.2.1 GET /, 5 B in 12.3 ms"),
        ({"status": 404}, "\x1b[33m404     \x1b[0m 192.0.2.1 GET /, 5 B in 12.3 ms"),
        ({"status": 500}, "\x1b[31m500     \x1b[0m 192.0.2.1 GET /, 5 B in 12.3 ms"),
        ({"bytes_out": 3 * 2**19, "duration": 2.5}, "GET /, 1.5 MB in 2.5 s"),
        ({"status": 499, "ended": Ended.CLIENT_GONE}, "12.3 ms (client gone)"),
        ({"status": 0, "start_line": None, "ended": Ended.MALFORMED},
         "\x1b[31m-       \x1b[0m 192.0.2.1 no request, 5 B in 12.3 ms (malformed)"),
        ({"start_line": ("G\x1b", "/\x1b[31m", "")}, r"G\x1b /\x1b[31m, 5 B"),
        ({"start_line": ("GET", "/" + "a" * 5000, "")}, "/" + "a" * 119 + "..., 5 B"),
    ],
)  # fmt: skip
def test_a_line_on_a_terminal(
    given: dict[str, Any], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    show_on_terminal(monkeypatch)
    assert line in TerminalLine()(exchange(**given))


def test_handlers_do_not_log_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    log = access.access_log
    monkeypatch.setattr(log, "level", logging.NOTSET)
    access.access_observers(Settings(access_log=False))
    assert not log.isEnabledFor(logging.ERROR)
    # Unless somebody has said that he wants it.
    log.setLevel(logging.INFO)
    access.access_observers(Settings(access_log=False))
    assert log.level == logging.INFO


# -- on a terminal


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    show_on_terminal(monkeypatch)
    assert terminal.has_colours(sys.stderr)
    assert not terminal.has_colours(io.StringIO())
    assert not terminal.has_colours(None)
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal.has_colours(sys.stderr)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert terminal.has_colours(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not terminal.has_colours(sys.stderr)


def test_an_error_cannot_give_orders_to_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    terminal.complain(str(CommandError("a\nb \x1b[31m\x07 ü")))
    assert capsys.readouterr().err == "tornadoish: error: a b \\x1b[31m\\x07 ü\n"
    assert did_you_mean("zzz", ["a"]) == ""


@pytest.mark.skipif(os.name != "posix", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(
    ("more", "how"),
    [
        ("--no-access-log", "Ctrl-C"),
        ("--no-access-log", "closed"),
        ("--workers=1", "closed"),
        ("--reload", "closed"),
    ],
)
def test_in_a_terminal(tmp_path: Path, more: str, how: str) -> None:
    (tmp_path / "hello.py").write_text(APP)
    words = [sys.executable, "-m", "tornadoish", "hello:make_app", "--port=0", more]
    environment = Command.environment({"TERM": "xterm"})
    environment.pop("PYTHONUNBUFFERED", None)  # with it nothing is left to be written at the end
    window = Terminal(words, tmp_path, environment)
    try:
        serves = {"--workers=1": "1 workers serve", "--reload": "Ready"}
        window.wait_for(lambda shown: serves.get(more, "Ctrl-C ends it") in shown)
        if how == "Ctrl-C":
            window.press_ctrl_c()
            window.wait_for(lambda shown: "^C" in shown)
        else:
            window.close()
        assert window.ended() == 0
        assert "\x1b[32m" in window.shown
    finally:
        window.clean_up()
