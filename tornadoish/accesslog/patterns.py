"""Patterns: log lines as Apache's ``LogFormat`` describes them (mod_log_config).

``compile_pattern`` makes a function of a pattern once; that is called for every line. A directive
means what it does there, as far as there is such a thing here.

The function is made from source text, as dataclasses are: one call for a line instead of one for
each of its fields is a third of the cost. Of the pattern, nothing but literals gets into it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from tornadoish.accesslog.texts import Clock, Escaped, Kept, escaped
from tornadoish.httputil import Ended, Exchange, parse_cookie

_DIRECTIVE = re.compile(r"%(?:\{(?P<name>[^{}]*)\})?[<>]?(?P<letter>\^FB|[A-Za-z%])")
_NOTHING = "-"


class _RequestLine(Kept[Any]):
    """Of a start line; of None, where there is none."""

    def make(self, key: Any) -> str:
        return _NOTHING if key is None else escaped(" ".join(key))


class _OrDash(Escaped):
    """Of a text, or of None."""

    def make(self, key: str | None) -> str:
        return escaped(key) if key else _NOTHING


# -- what is called for the rarer ones


def _of_line(exchange: Exchange, index: int) -> str:
    line = exchange.start_line
    return _NOTHING if line is None else escaped(str(line[index]))


def _path(exchange: Exchange) -> str:
    line = exchange.start_line
    return _NOTHING if line is None else escaped(line.path.partition("?")[0])


def _query(exchange: Exchange) -> str:
    line = exchange.start_line
    if line is None:
        return ""
    _, mark, query = line.path.partition("?")
    return escaped(mark + query)


def _note(exchange: Exchange, name: str) -> str:
    notes = exchange.notes
    value: Any = None if notes is None else notes.get(name)
    return _NOTHING if value is None else escaped(str(value)) or _NOTHING


def _cookie(headers: dict[str, str], name: str) -> str:
    return escaped(parse_cookie(headers.get("cookie", "")).get(name, "")) or _NOTHING


# Directives as expressions. In them ``e`` is the exchange, ``i`` and ``o`` are the fields of the
# request and of the answer, by names in lower case.
_PLAIN = {
    "%": "'%'",
    "a": "e.context.remote_ip or '-'",
    "h": "e.context.remote_ip or '-'",
    "l": "'-'",
    "u": "note(e, 'user')",
    "t": "clock.text if clock.since <= e.begun < clock.until else clock.apache(e.begun)",
    "r": "lines[e.start_line]",
    "m": "of_line(e, 0)",
    "U": "path(e)",
    "q": "query(e)",
    "H": "of_line(e, 2)",
    "R": "texts[e.route]",
    "s": "e.status or '-'",
    "b": "e.bytes_out or '-'",
    "B": "e.bytes_out",
    "I": "e.bytes_in",
    "O": "e.bytes_out",
    "D": "int((e.finished - e.begun) * 1000000)",
    "T": "int(e.finished - e.begun)",
    "^FB": "int((e.first_byte - e.begun) * 1000000) if e.first_byte else '-'",
    "X": "'+' if e.ended is DONE else 'X'",
    "P": "getpid()",
}
_TIMES = {"s": 1, "ms": 1000, "us": 1_000_000}
# The same with a name.
_NAMED: dict[str, Callable[[str], str]] = {
    "i": lambda name: f"texts[i.get({name.lower()!r})]",
    "o": lambda name: f"texts[o.get({name.lower()!r})]",
    "n": lambda name: f"note(e, {name!r})",
    "C": lambda name: f"cookie(i, {name!r})",
    "e": lambda name: repr(escaped(os.environ.get(name, "")) or _NOTHING),
    "t": lambda name: f"clock.custom(e.begun, {name!r})",
}


def compile_pattern(pattern: str) -> Callable[[Exchange], str]:
    r"""A function that makes the line of an exchange, as ``pattern`` says.

    =============  ===============================================================================
    ``%a %h``      the client's address
    ``%l %u``      ``-``; the note ``user``
    ``%t``         when the request came, local time; ``%{...}t``: as of ``time.strftime``
    ``%r``         the request line; its parts: ``%m`` method, ``%U`` path, ``%q`` the query with
                   its ``?``, ``%H`` protocol
    ``%R``         the pattern of the route
    ``%s %>s``     the status
    ``%b %B``      bytes of the answer's body; none is ``-`` or ``0``
    ``%I %O``      bytes of the request's body and of the answer's (not of the heads)
    ``%D``         microseconds from the request's head to the end; ``%{s}T``, ``%{ms}T`` and
                   ``%{us}T`` in whole seconds (as ``%T``), milliseconds, microseconds
    ``%^FB``       microseconds to the head of the answer
    ``%X``         ``X``: ended before its end, ``+``: done
    ``%{ended}x``  how it ended, in a word (:class:`Ended`)
    ``%{...}i``    a field of the request; ``o``: of the answer; ``C``: a cookie; ``n``: a note;
                   ``e``: an environment variable
    ``%P %%``      the process; a percent sign
    =============  ===============================================================================

    :raises ValueError: a directive that is not one of these, or more than one line.
    """
    if not pattern.isprintable():
        raise ValueError("a log pattern is one line, without control characters")
    literal = ""
    values: list[str] = []
    at = 0
    while (start := pattern.find("%", at)) >= 0:
        match = _DIRECTIVE.match(pattern, start)
        value = None if match is None else _expression(match["letter"], match["name"])
        if match is None or value is None:
            shown = pattern[start : start + 12] if match is None else match[0]
            raise ValueError(f"{shown!r} at character {start + 1} of a log pattern means nothing")
        literal += f"{_braces_doubled(pattern[at:start])}{{v{len(values)}}}"
        values.append(value)
        at = match.end()
    literal += _braces_doubled(pattern[at:])
    return _function(values, literal)


def _expression(letter: str, name: str | None) -> str | None:
    """What a directive stands for; None if there is no such thing."""
    if name is None:
        return _PLAIN.get(letter)
    if letter == "T":
        return f"int((e.finished - e.begun) * {_TIMES[name]})" if name in _TIMES else None
    if letter == "x":
        return "e.ended" if name == "ended" else None
    make = _NAMED.get(letter)
    return None if make is None or not name else make(name)


def _braces_doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _function(values: list[str], literal: str) -> Callable[[Exchange], str]:
    """A function that puts ``values`` into a literal in which they are ``{v0}``, ``{v1}``, ..."""
    source = ["def line(e):"]
    if any("i.get" in value or "(i," in value for value in values):
        source.append(" i = {} if e.headers is None else e.headers.index()")
    if any("o.get" in value for value in values):
        source.append(" o = {} if e.response_headers is None else e.response_headers.index()")
    source += [f" v{number} = {value}" for number, value in enumerate(values)]
    source.append(f" return f{literal!r}")
    names: dict[str, Any] = {
        "DONE": Ended.DONE,
        "clock": Clock(),
        "cookie": _cookie,
        "getpid": os.getpid,
        "lines": _RequestLine(),
        "note": _note,
        "of_line": _of_line,
        "path": _path,
        "query": _query,
        "texts": _OrDash(),
    }
    exec(compile("\n".join(source), "<log pattern>", "exec"), names)
    made: Callable[[Exchange], str] = names["line"]
    return made
