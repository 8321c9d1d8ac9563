"""``tornadoish --help``: made from the table of options, to be read from the top."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby

from tornadoish.cli.options import OPTIONS, Option
from tornadoish.cli.terminal import Paint, columns

_LEFT = 26  # columns for an option and its value

_ABOUT = """\
APP is what to serve: module:name, or path/to/file.py, or path/to/file.py:name. It is an
Application or another HTTPServerConnectionDelegate, an ASGI application, or a function that makes
one of these, plain or a coroutine. Without a name: app, application, make_app or create_app.
Without APP: what pyproject.toml says here, in [tool.tornadoish]."""

_EXAMPLES = (
    ("tornadoish new demo", "begin: a small project that runs, with a test"),
    ("tornadoish demo.app:make_app --reload", "work on it"),
    ("tornadoish demo.app:make_app --workers auto --host '*'", "serve it"),
    ("tornadoish demo.app:make_app --config demo.toml --check", "would it run?"),
)

_SOURCES = """\
Each option may also stand in the environment (--log-level is TORNADOISH_LOG_LEVEL; what may be
repeated stands between commas) and in the file of --config (log-level = "debug", host = ["::1"],
[limit] and under it body_bytes = "1G"; app = "module:name"). What is typed goes first, then the
environment, then the file."""

_SIGNALS = """\
Ctrl-C and SIGTERM let requests end (--grace), a second one does not. SIGHUP reads the certificates
again; with --workers it replaces every worker by a new one, code and all, and loses no request."""

_STATUSES = """\
Exit status: 0 all went well, 1 the application failed, 2 what was asked for cannot be done, 78 what
is configured cannot be used."""


def help_text() -> str:
    """All of it, as wide as the terminal."""
    paint = Paint(sys.stdout)
    width = columns()
    lines = [
        f"{paint('bold', 'tornadoish')} serves Tornado-style and ASGI applications.",
        "",
        f"{paint('bold', 'Usage:')} tornadoish APP [OPTION ...]",
        "       tornadoish new NAME",
        "",
        *_wrapped(_ABOUT, width),
        "",
        paint("bold", "Examples"),
    ]
    for command, what in _EXAMPLES:
        lines += [f"  {paint('dim', '#')} {paint('dim', what)}", f"  {command}"]
    for group, options in groupby(OPTIONS, key=lambda option: option.group):
        lines += ["", paint("bold", group)]
        for option in options:
            lines += _lines_of(option, width, paint)
    lines += _entry("-V, --version", "what runs here", width, paint)
    lines += _entry("-h, --help", "this", width, paint)
    for text in (_SOURCES, _SIGNALS, _STATUSES):
        lines += ["", *_wrapped(text, width)]
    return "\n".join(lines) + "\n"


def _lines_of(option: Option, width: int, paint: Paint) -> Iterator[str]:
    text = option.help
    if option.default:
        text += f" [{option.default}]"
    return _entry(option.usage, text, width, paint)


def _entry(usage: str, text: str, width: int, paint: Paint) -> Iterator[str]:
    wrapped = textwrap.wrap(text, width - _LEFT - 4, break_on_hyphens=False)
    flag, space, value = usage.partition(" ")
    left = paint("green", flag) + space + paint("cyan", value)
    if usage.startswith("-") and value.startswith("--"):
        left = paint("green", usage)
    if len(usage) <= _LEFT:
        yield f"  {left}{' ' * (_LEFT - len(usage))}  {wrapped.pop(0)}"
    else:
        yield f"  {left}"
    for line in wrapped:
        yield f"{' ' * (_LEFT + 4)}{line}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)
