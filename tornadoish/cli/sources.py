"""Where settings come from: what was typed goes before the environment, that before the file, and
that before the defaults. Bounds (``limit``) are put together name by name, all else is replaced.

Each value that cannot be used is told with the place where it stands.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tornadoish.cli import kinds
from tornadoish.cli.errors import CONFIGURATION, USAGE, CommandError, did_you_mean
from tornadoish.cli.options import BY_NAME, OPTIONS, Option, Shape
from tornadoish.cli.settings import Settings

_APP = "TORNADOISH_APP"
_PROJECT = "pyproject.toml"


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a command was told.

    :param app: what to serve, or None.
    :param settings: all that holds.
    :param typed: what of it was typed: names of fields and values, for another process to be told.
    """

    app: str | None
    settings: Settings
    typed: dict[str, Any] = field(default_factory=dict[str, Any])


def put_together(
    app: str | None,
    typed: dict[str, Any],
    environment: Mapping[str, str] | None = None,
) -> Command:
    """What holds, of all sources.

    :param app: what was typed as what to serve.
    :param typed: names of fields and values, as `from_words` or `from_keywords` made them.
    :param environment: default: this process's.
    :raises CommandError: a value cannot be used, or some do not go together.
    """
    environment = os.environ if environment is None else environment
    of_environment = from_environment(environment)
    config = typed.get("config") or of_environment.get("config")
    if config is None and app is None and _APP not in environment:
        config = _project()
    app_of_file, of_file = from_file(config) if config else (None, {})
    values = {**of_file, **of_environment, **typed, "config": config}
    bounds = [source.get("limit", {}) for source in (of_file, of_environment, typed)]
    values["limit"] = {name: bound for source in bounds for name, bound in source.items()}
    settings = Settings(**values)
    _check(settings)
    app = app or environment.get(_APP) or app_of_file
    return Command(app=app, settings=settings, typed=typed)


def from_words(words: Mapping[str, Any]) -> dict[str, Any]:
    """Values of what stood on the command line: a text, a list of them or a bool by each name."""
    values: dict[str, Any] = {}
    for name, word in words.items():
        option = BY_NAME[name]
        if option.shape is Shape.FLAG:
            values[name] = word
        else:
            many = word if isinstance(word, list) else [word]
            values[name] = _collected(option, many, f"{option.flag} {{}}", USAGE)
    return values


def from_keywords(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Values of arguments of ``tornadoish.run``; None is what is not given.

    :raises CommandError: a value cannot be used.
    :raises TypeError: there is no such argument.
    """
    for name in keywords:
        if name not in BY_NAME or BY_NAME[name].only_typed:
            raise TypeError(f"run() has no argument {name!r}{did_you_mean(name, BY_NAME)}")
    return {
        name: _typed(BY_NAME[name], value, f"run({name}={{}})", USAGE)
        for name, value in keywords.items()
        if value is not None
    }


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Values of the variables that are set; what may be repeated stands between commas. An empty
    variable counts as none."""
    values: dict[str, Any] = {}
    for option in OPTIONS:
        value = environment.get(option.variable)
        if not value or option.only_typed:
            continue
        where = f"{option.variable}={{}} in the environment"
        if option.shape is Shape.FLAG:
            values[option.name] = _parsed(option, value, where, CONFIGURATION)
        else:
            many = value.split(",") if option.shape in (Shape.MANY, Shape.PAIRS) else [value]
            many = [one.strip() for one in many]
            values[option.name] = _collected(option, many, where, CONFIGURATION)
    return values


def from_file(path: str) -> tuple[str | None, dict[str, Any]]:
    """What to serve, and the values, of a TOML file; paths in it start from its directory.

    :raises CommandError: it cannot be read, or says what nobody understands.
    """
    table = _read(path)
    app = table.pop("app", None)
    if not (app is None or isinstance(app, str)):
        raise CommandError(f'{path}: app = {app!r}: expected "module:name"', CONFIGURATION)
    keys = {option.key: option for option in OPTIONS if option.in_file}
    values: dict[str, Any] = {}
    for key, value in table.items():
        option = keys.get(key.replace("_", "-"))
        if option is None:
            hint = did_you_mean(key, [*keys, "app"])
            raise CommandError(f"{path}: there is no option {key!r}{hint}", CONFIGURATION)
        found = _typed(option, value, f"{path}: {key} = {{}}", CONFIGURATION)
        values[option.name] = _from_directory(option, found, Path(path).parent)
    return app, values


def _project() -> str | None:
    """Where nothing at all is said of what to serve, the project says it that we are in."""
    try:
        table = tomllib.loads(Path(_PROJECT).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return _PROJECT if "tornadoish" in table.get("tool", {}) else None


def _read(path: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", CONFIGURATION) from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise CommandError(f"{path} is no valid TOML: {error}", CONFIGURATION) from None
    if Path(path).name != _PROJECT:
        return table
    try:
        return dict(table["tool"]["tornadoish"])
    except (KeyError, TypeError):
        raise CommandError(f"{path} has no table [tool.tornadoish]", CONFIGURATION) from None


def _from_directory(option: Option, value: Any, directory: Path) -> Any:
    if option.parse is not kinds.path:
        return value
    if isinstance(value, tuple):
        return tuple(str(directory / one) for one in value)
    # An abstract Unix socket is no file.
    return value if value.startswith("@") else str(directory / value)


# -- values


def _typed(option: Option, value: Any, where: str, status: int) -> Any:
    """A value of Python's or TOML's types."""
    if option.shape is Shape.FLAG:
        if not isinstance(value, bool):
            raise _wrong(where, value, "expected true or false", status)
        return value
    if option.shape is Shape.PAIRS:
        if not isinstance(value, Mapping):
            raise _wrong(where, value, "expected names and values", status)
        many: Iterable[Any] = [f"{name}={_as_bound(bound)}" for name, bound in value.items()]
        return _collected(option, many, where, status)
    several = option.shape is Shape.MANY and isinstance(value, (list, tuple))
    many = value if several else [value]
    values: list[Any] = []
    for one in many:
        if isinstance(one, bool) or not isinstance(one, (str, int, float, os.PathLike)):
            raise _wrong(where, one, "expected a text or a number", status)
        one = os.fspath(one) if isinstance(one, os.PathLike) else one
        text = one if isinstance(one, str) else option.as_text(one)
        values.append(_parsed(option, text, where, status, one))
    return tuple(values) if option.shape is Shape.MANY else values[-1]


def _as_bound(bound: Any) -> str:
    return "none" if bound is None else str(bound)


def _collected(option: Option, texts: Iterable[str], where: str, status: int) -> Any:
    values = [_parsed(option, text, where, status) for text in texts]
    if option.shape is Shape.PAIRS:
        return dict(values)
    return tuple(values) if option.shape is Shape.MANY else values[-1]


def _parsed(option: Option, text: str, where: str, status: int, given: Any = None) -> Any:
    try:
        return option.parse(text)
    except ValueError as error:
        raise _wrong(where, text if given is None else given, str(error), status) from None


def _wrong(where: str, value: Any, expected: str, status: int) -> CommandError:
    shown = value if isinstance(value, str) and value.isprintable() and value else repr(value)
    return CommandError(f"{where.format(shown)}: {expected}", status)


# -- what goes together


def _check(settings: Settings) -> None:
    if not settings.tls_cert:
        for name in ("tls_key", "tls_password_file", "tls_client_ca"):
            if getattr(settings, name):
                raise CommandError(f"{BY_NAME[name].flag} needs --tls-cert, the certificate")
    if not (settings.workers or settings.reload):
        for name in ("max_requests", "max_memory"):
            if getattr(settings, name):
                raise CommandError(
                    f"{BY_NAME[name].flag} replaces workers, and there are none: add --workers=1"
                )
    if settings.reload_dir and not settings.reload:
        raise CommandError("--reload-dir says what is watched: add --reload")
