"""Patterns: log lines as Apache's ``LogFormat`` describes them (mod_log_config).

``compile_pattern`` makes a function of a pattern once; that is called for every line. A directive
means what it does there, as far as there is such a thing here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from tornadoish.accesslog.texts import Clock, escaped
from tornadoish.httputil import Ended, Exchange, parse_cookie
from tornadoish.httputil.headers import HTTPHeaders

#: what makes the text of one directive
Part = Callable[[Exchange], str]

_DIRECTIVE = re.compile(r"%(?:\{(?P<name>[^{}]*)\})?[<>]?(?P<letter>\^FB|[A-Za-z%])")
_NOTHING = "-"


def compile_pattern(pattern: str) -> Callable[[Exchange], str]:
    r"""A function that makes the line of an exchange, as ``pattern`` says.

    ============ =================================================================================
    ``%a %h``    the client's address
    ``%l %u``    ``-``; the note ``user``
    ``%t``       when the request came, local time; ``%{...}t``: as of ``time.strftime``
    ``%r``       the request line; its parts: ``%m`` method, ``%U`` path, ``%q`` the query with
                 its ``?``, ``%H`` protocol
    ``%R``       the pattern of the route
    ``%s %>s``   the status
    ``%b %B``    bytes of the answer's body; none is ``-`` or ``0``
    ``%I %O``    bytes of the request's body and of the answer's (not of the heads)
    ``%D``       microseconds from the request's head to the end; ``%{s}T``, ``%{ms}T``, ``%{us}T``
                 in whole seconds (as ``%T``), milliseconds, microseconds
    ``%^FB``     microseconds to the head of the answer
    ``%X``       ``X``: ended before its end, ``+``: done
    ``%{ended}x``  how it ended, in a word (:class:`Ended`)
    ``%{...}i``  a field of the request; ``o``: of the answer; ``C``: a cookie; ``n``: a note;
                 ``e``: an environment variable
    ``%P %%``    the process; a percent sign
    ============ =================================================================================

    :raises ValueError: a directive that is not one of these.
    """
    template: list[str] = []
    parts: list[Part] = []
    at = 0
    clock = Clock()
    while (start := pattern.find("%", at)) >= 0:
        match = _DIRECTIVE.match(pattern, start)
        part = None if match is None else _part(match["letter"], match["name"], clock)
        if match is None or part is None:
            shown = pattern[start : start + 12] if match is None else match[0]
            raise ValueError(f"{shown!r} at character {start + 1} of a log pattern means nothing")
        template += [pattern[at:start].replace("%", "%%"), "%s"]
        parts.append(part)
        at = match.end()
    template.append(pattern[at:])
    whole = "".join(template)
    if "\n" in whole or "\r" in whole:
        raise ValueError("a log pattern is one line")

    def line(exchange: Exchange) -> str:
        return whole % tuple([part(exchange) for part in parts])

    return line


def _part(letter: str, name: str | None, clock: Clock) -> Part | None:
    """What makes the text of a directive; None if there is no such thing."""
    if name is None:
        if letter == "t":
            return lambda exchange: clock.apache(exchange.begun)
        return _PLAIN.get(letter)
    if letter == "t":
        return lambda exchange: escaped(clock.custom(exchange.begun, name))
    if letter == "T":
        return _TIMES.get(name)
    if letter == "x":
        return _ended if name == "ended" else None
    make = _NAMED.get(letter)
    return None if make is None or not name else make(name)


# -- without a name


def _address(exchange: Exchange) -> str:
    return exchange.remote_ip or _NOTHING


def _request_line(exchange: Exchange) -> str:
    line = exchange.start_line
    return _NOTHING if line is None else escaped(" ".join(line))


def _of_line(index: int) -> Part:
    def part(exchange: Exchange) -> str:
        line = exchange.start_line
        return _NOTHING if line is None else escaped(str(line[index]))

    return part


def _path(exchange: Exchange) -> str:
    line = exchange.start_line
    return _NOTHING if line is None else escaped(line.path.partition("?")[0])


def _query(exchange: Exchange) -> str:
    line = exchange.start_line
    if line is None:
        return ""
    _, mark, query = line.path.partition("?")
    return escaped(mark + query)


def _status(exchange: Exchange) -> str:
    return str(exchange.status) if exchange.status else _NOTHING


def _bytes_or_dash(exchange: Exchange) -> str:
    return str(exchange.bytes_out) if exchange.bytes_out else _NOTHING


def _seconds(per_second: int) -> Part:
    return lambda exchange: str(int((exchange.finished - exchange.begun) * per_second))


def _first_byte(exchange: Exchange) -> str:
    if not exchange.first_byte:
        return _NOTHING
    return str(int((exchange.first_byte - exchange.begun) * 1_000_000))


def _ended(exchange: Exchange) -> str:
    return exchange.ended.value


_PLAIN: dict[str, Part] = {
    "%": lambda exchange: "%",
    "a": _address,
    "h": _address,
    "l": lambda exchange: _NOTHING,
    "r": _request_line,
    "m": _of_line(0),
    "U": _path,
    "q": _query,
    "H": _of_line(2),
    "R": lambda exchange: escaped(exchange.route) or _NOTHING,
    "s": _status,
    "b": _bytes_or_dash,
    "B": lambda exchange: str(exchange.bytes_out),
    "I": lambda exchange: str(exchange.bytes_in),
    "O": lambda exchange: str(exchange.bytes_out),
    "D": _seconds(1_000_000),
    "T": _seconds(1),
    "^FB": _first_byte,
    "X": lambda exchange: "+" if exchange.ended is Ended.DONE else "X",
    "P": lambda exchange: str(os.getpid()),
}
_TIMES = {"s": _seconds(1), "ms": _seconds(1000), "us": _seconds(1_000_000)}


# -- with a name


def _field(headers: HTTPHeaders | None, key: str) -> str:
    value = None if headers is None else headers.index().get(key)
    return escaped(value) if value else _NOTHING


def _request_field(name: str) -> Part:
    key = name.lower()
    return lambda exchange: _field(exchange.headers, key)


def _response_field(name: str) -> Part:
    key = name.lower()
    return lambda exchange: _field(exchange.response_headers, key)


def _note(name: str) -> Part:
    def part(exchange: Exchange) -> str:
        notes = exchange.notes
        value: Any = None if notes is None else notes.get(name)
        return _NOTHING if value is None else escaped(str(value)) or _NOTHING

    return part


def _cookie(name: str) -> Part:
    def part(exchange: Exchange) -> str:
        headers = exchange.headers
        if headers is None:
            return _NOTHING
        return escaped(parse_cookie(headers.get("Cookie", "")).get(name, "")) or _NOTHING

    return part


def _variable(name: str) -> Part:
    value = escaped(os.environ.get(name, "")) or _NOTHING
    return lambda exchange: value


_NAMED: dict[str, Callable[[str], Part]] = {
    "i": _request_field,
    "o": _response_field,
    "n": _note,
    "C": _cookie,
    "e": _variable,
}
_PLAIN["u"] = _note("user")
