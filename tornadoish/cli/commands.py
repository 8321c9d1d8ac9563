"""``main``, what a shell calls, and ``run``, what a program calls: the same thing twice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack, cast

import tornadoish
from tornadoish.cli import again
from tornadoish.cli.arguments import read_words
from tornadoish.cli.errors import CommandError
from tornadoish.cli.helping import help_text
from tornadoish.cli.loading import load
from tornadoish.cli.logs import what_runs
from tornadoish.cli.new import new
from tornadoish.cli.running import Job, carry_out
from tornadoish.cli.serving import loop_of
from tornadoish.cli.settings import Options, Settings
from tornadoish.cli.sources import Command, from_keywords, from_words, put_together
from tornadoish.cli.terminal import complain, let_go
from tornadoish.compiling import is_compiled

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(words: Sequence[str] | None = None) -> int:
    """``tornadoish WORD ...``

    :param words: default: those of this process's command line.
    :returns: the exit status; what cannot be done has been said on standard error.
    """
    words = list(sys.argv[1:] if words is None else words)
    try:
        return _main(words)
    except CommandError as error:
        complain(error.told())
        return error.status
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        let_go()


def _main(words: list[str]) -> int:
    if words[:1] == ["new"]:
        return new(words[1:])
    app, options, wants_help, wants_version = read_words(words)
    if wants_help:
        print(help_text(), end="")
        return 0
    if wants_version:
        loop, _ = loop_of(Settings())
        kind = "compiled" if is_compiled() else "pure Python"
        print(f"tornadoish {tornadoish.__version__} ({kind}), {what_runs()}, {loop}")
        return 0
    command = put_together(app, from_words(options))
    return _carry_out(command, app)


def _carry_out(command: Command, typed_app: str | None) -> int:
    name = command.app
    if name is None:
        raise CommandError(
            "say what to serve: tornadoish module:name (tornadoish new NAME begins a project, "
            "tornadoish --help shows all)"
        )
    job = Job(
        name=name,
        settings=command.settings,
        load=partial(load, name),
        again=partial(again.of_command, typed_app, command.typed),
    )
    return carry_out(job)


def run(app: object, **options: Unpack[Options]) -> None:
    """Serve ``app`` until a signal ends it: ``tornadoish APP`` as a function. ::

        if __name__ == "__main__":
            tornadoish.run(make_app, port=8000)

    The environment (``TORNADOISH_PORT`` and so on) fills in what is not given here, as for the
    command. With ``workers`` or ``reload`` other processes run this program again, up to here, if
    ``app`` is an object; so it must stand under ``if __name__ == "__main__"`` or at the end.

    :param app: an ``Application`` or another :class:`HTTPServerConnectionDelegate`, an ASGI
        application, a function that makes one of them (plain or a coroutine), or the name of one:
        ``"module:name"``.
    :param options: those of the command line, as ``tornadoish --help`` has them, with underscores.
    :raises SystemExit: it cannot be done; what is wrong has been said on standard error.
    :raises RuntimeError: an event loop runs here: serve by ``async with HTTPServer(app)`` there.
    :raises TypeError: there is no such option.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError(
            "run() makes an event loop, and one runs here: use `async with HTTPServer(app)`"
        )
    try:
        status = _run(app, from_keywords(cast("dict[str, Any]", options)))
    except CommandError as error:
        complain(error.told())
        status = error.status
    if status:
        raise SystemExit(status)


def _run(app: object, typed: dict[str, Any]) -> int:
    if isinstance(app, str):
        return _carry_out(put_together(app, typed), app)
    command = put_together("", typed)
    name = getattr(app, "__qualname__", None) or type(app).__qualname__
    job = Job(name=name, settings=command.settings, load=lambda: app, again=again.of_program)
    return carry_out(job)
