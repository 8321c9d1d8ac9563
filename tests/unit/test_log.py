"""Log formatting: what reaches a terminal or a file."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tornadoish.log
from tornadoish.log import LogFormatter, enable_pretty_logging

pytest.importorskip("tornado")
import tornado.log

both = pytest.mark.parametrize(
    "log", [pytest.param(tornadoish.log, id="ours"), pytest.param(tornado.log, id="tornado")]
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of its own, with its handlers closed afterwards."""
    logger = logging.Logger("test")  # in no registry: it leaves nothing behind
    yield logger
    for handler in logger.handlers:
        handler.close()


def record(message: object, *args: Any, level: int = logging.ERROR, **rest: Any) -> Any:
    made = logging.LogRecord("n", level, "/x/file.py", 7, message, args, rest.pop("exc_info", None))
    made.__dict__.update(rest)
    return made


def plain(message: object, *args: Any, **rest: Any) -> str:
    return LogFormatter("%(message)s", color=False).format(record(message, *args, **rest))


def failure() -> Any:
    try:
        raise ValueError("bad \x1b[31m value")
    except ValueError:
        return sys.exc_info()


def test_the_loggers_are_tornados() -> None:
    assert tornadoish.log.access_log is tornado.log.access_log
    assert tornadoish.log.app_log is tornado.log.app_log
    assert tornadoish.log.gen_log is tornado.log.gen_log


@both
def test_default_format(log: Any) -> None:
    made = record("hello %s", "é", created=0.0)
    text = log.LogFormatter(color=False).format(made)
    when = logging.Formatter(datefmt="%y%m%d %H:%M:%S").formatTime(made, "%y%m%d %H:%M:%S")
    assert text == f"[E {when} file:7] hello é"


@both
def test_constructor_takes_tornados_arguments(log: Any) -> None:
    formatter = log.LogFormatter("%(asctime)s %(message)s", "%Y", "%", False, {})
    assert formatter.format(record("x", created=86400.0 * 20)) == "1970 x"
    assert formatter.format(record("x", created=86400.0 * 20)) == "1970 x"


@both
def test_continuation_lines_are_indented(log: Any) -> None:
    text = log.LogFormatter("%(message)s", color=False).format(record("a\n[E forged]\nb"))
    assert text == "a\n    [E forged]\n    b"


@both
def test_exceptions_are_appended_indented(log: Any) -> None:
    text = log.LogFormatter("%(message)s", color=False).format(record("a", exc_info=failure()))
    lines = text.split("\n")
    assert lines[:2] == ["a", "    Traceback (most recent call last):"]
    assert lines[-1].startswith("    ValueError: bad ")


@both
def test_a_bad_log_call_still_gives_a_line(log: Any) -> None:
    text = log.LogFormatter("%(message)s", color=False).format(record("%d", "x"))
    assert text.startswith("Bad message (TypeError(")


@pytest.mark.parametrize(
    ("raw", "escaped"),
    [
        pytest.param("\x1b[31m", "\\x1b[31m", id="CVE-2020-7694"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\x00\x7f\x08", "a\\rb\\x00\\x7f\\x08"),
        ("\x85\u2028\u2029", "\\x85\\u2028\\u2029"),
        ("\ud800", "\\ud800"),
        ("tab\t ü € \U0001f600 \\x1b", "tab\t ü € \U0001f600 \\x1b"),
    ],
)
def test_control_characters_are_escaped(raw: str, escaped: str) -> None:
    assert plain(raw) == escaped
    assert plain("%s", raw) == escaped


def test_every_control_character_is_escaped() -> None:
    # str.isprintable is false for controls; tab and newline are let through.
    text = plain("".join(map(chr, [*range(9), *range(11, 32), *range(127, 160)])))
    assert text.isascii()
    assert text.isprintable()


def test_control_characters_in_tracebacks_are_escaped() -> None:
    made = record("x", exc_info=failure(), stack_info="stack \x1b[2J")
    text = LogFormatter("%(message)s", color=False).format(made)
    assert "\x1b" not in text
    assert "ValueError: bad \\x1b[31m value" in text
    assert text.endswith("\n    stack \\x1b[2J")
    # the record is shared: other formatters see the exception as it was
    assert "\x1b[31m" in made.exc_text


def test_a_broken_message_is_escaped_too() -> None:
    assert "\x1b" not in plain("%d \x1b", "\x1b")


@pytest.mark.parametrize(
    ("level", "code"),
    [(logging.DEBUG, 4), (logging.INFO, 2), (logging.WARNING, 3), (logging.CRITICAL, 5)],
)
def test_colour_on_a_terminal(monkeypatch: pytest.MonkeyPatch, level: int, code: int) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    formatter = LogFormatter("%(color)s<%(end_color)s%(message)s")
    assert formatter.format(record("\x1b[0m", level=level)) == f"\x1b[3{code}m<\x1b[0m\\x1b[0m"
    assert formatter.format(record("x", level=17)) == "<x"
    other = LogFormatter("%(color)s%(message)s", colors={level: 208})
    assert other.format(record("x", level=level)) == "\x1b[38;5;208mx"


@pytest.mark.parametrize(
    ("stream", "term", "no_color", "wanted"),
    [
        (io.StringIO(), "xterm", "", True),
        (None, "xterm", "", True),
        (Terminal(), "dumb", "", True),
        (Terminal(), "xterm", "1", True),
        (Terminal(), "xterm", "", False),
    ],
)
def test_no_colour(
    monkeypatch: pytest.MonkeyPatch, stream: Any, term: str, no_color: str, wanted: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", no_color)
    formatter = LogFormatter("%(color)s%(message)s%(end_color)s", color=wanted)
    assert formatter.format(record("x")) == "x"


def test_other_styles() -> None:
    assert LogFormatter("{message:>3}", style="{", color=False).format(record("x")) == "  x"
    assert LogFormatter("<$message>", style="$", color=False).format(record("x")) == "<x>"


def test_pretty_logging_defaults(logger: logging.Logger) -> None:
    enable_pretty_logging(logger=logger)
    [handler] = logger.handlers
    assert type(handler) is logging.StreamHandler
    assert isinstance(handler.formatter, LogFormatter)
    assert logger.level == logging.INFO
    # a second call finds a handler and adds none
    enable_pretty_logging(logger=logger)
    assert logger.handlers == [handler]


@both
@pytest.mark.parametrize("level", ["none", "None", None])
def test_pretty_logging_none(log: Any, logger: logging.Logger, level: str | None) -> None:
    log.enable_pretty_logging(SimpleNamespace(logging=level, log_file_prefix=None), logger)
    assert (logger.handlers, logger.level) == ([], logging.NOTSET)


@both
@pytest.mark.parametrize(("to_stderr", "handlers"), [(None, 1), (False, 1), (True, 2)])
def test_pretty_logging_to_a_file(
    log: Any, logger: logging.Logger, tmp_path: Path, to_stderr: bool | None, handlers: int
) -> None:
    path = tmp_path / "app.log"
    options = SimpleNamespace(
        logging="warning",
        log_file_prefix=str(path),
        log_to_stderr=to_stderr,
        log_rotate_mode="size",
        log_file_max_size=1000,
        log_file_num_backups=1,
    )
    log.enable_pretty_logging(options, logger)
    assert (len(logger.handlers), logger.level) == (handlers, logging.WARNING)
    logger.handlers[0].handle(record("é\n2"))
    assert path.read_text(encoding="utf-8").endswith("file:7] é\n    2\n")


def test_a_message_that_no_file_can_encode(logger: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    enable_pretty_logging(SimpleNamespace(log_file_prefix=str(path)), logger)
    logger.error("lone \udc80")
    assert path.read_text(encoding="utf-8").endswith("lone \\udc80\n")


def test_pretty_logging_unknown_level(logger: logging.Logger) -> None:
    with pytest.raises(ValueError, match="Unknown level"):
        enable_pretty_logging(SimpleNamespace(logging="loud"), logger)
