"""The command line: argparse over the table of options, and what it says when it is not understood.

Values stay texts here; ``sources`` reads them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from tornadoish.cli.errors import CommandError, did_you_mean
from tornadoish.cli.options import OPTIONS, Shape


class Words(NamedTuple):
    """What stood on a command line."""

    app: str | None
    options: dict[str, Any]
    wants_help: bool
    wants_version: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """argparse would print its usage, and leave."""
        raise CommandError(f"{message.removeprefix('argument ')} (see tornadoish --help)")


def _parser() -> _Parser:
    parser = _Parser(prog="tornadoish", add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true", dest="_help")
    parser.add_argument("-V", "--version", action="store_true", dest="_version")
    parser.add_argument("_app", nargs="?", metavar="APP")
    for option in OPTIONS:
        settings: dict[str, Any] = {"dest": option.name, "default": argparse.SUPPRESS}
        if option.shape is Shape.FLAG:
            for flag, const in zip(option.flags, (True, False), strict=False):
                parser.add_argument(flag, action="store_const", const=const, **settings)
        else:
            action = "store" if option.shape is Shape.ONE else "append"
            parser.add_argument(option.flag, action=action, metavar=option.metavar, **settings)
    return parser


def read_words(words: Sequence[str]) -> Words:
    """What a command line says.

    :raises CommandError: it has what nobody understands.
    """
    parser = _parser()
    found, unknown = parser.parse_known_args(list(words))
    values = vars(found)
    app = values.pop("_app")
    words_read = Words(app, values, values.pop("_help"), values.pop("_version"))
    if unknown and not words_read.wants_help:
        raise CommandError(_not_understood(unknown[0], app))
    return words_read


def _not_understood(word: str, app: str | None) -> str:
    if word.startswith("-"):
        name = word.partition("=")[0]
        known = [flag for option in OPTIONS for flag in option.flags]
        hint = did_you_mean(name, [*known, "--help", "--version"])
        return f"there is no option {name}{hint or ' (see tornadoish --help)'}"
    return f"one application at a time: {app!r} is one, {word!r} is too much"
