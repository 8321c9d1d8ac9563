"""JSON lines: an object for each exchange, for machines.

The names of its members are fixed and come first; what anybody has noted of the request comes
behind them.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import Any

from tornadoish.accesslog.texts import Clock, Escaped, Kept
from tornadoish.httputil import Exchange

#: what a note cannot be called: it is called ``note.NAME`` then
FIXED = frozenset(
    ("time", "remote_ip", "method", "target", "version", "status", "bytes_in", "bytes_out",
     "duration", "first_byte", "ended", "route", "host", "referer", "user_agent")
)  # fmt: skip


class _Quoted(Escaped):
    """A text as JSON; null if there is none."""

    def make(self, key: str | None) -> str:
        return encode_basestring_ascii(key) if key else "null"


class _Asked(Kept[Any]):
    """The members of a start line."""

    def make(self, key: Any) -> str:
        if key is None:
            return '"method":null,"target":null,"version":null'
        method, target, version = map(encode_basestring_ascii, key)
        return f'"method":{method},"target":{target},"version":{version}'


class JSONLine:
    """Makes the line of an exchange.

    ``time`` is when the request came, ``duration`` and ``first_byte`` are seconds from there to
    the end and to the head of the answer, ``bytes_in`` and ``bytes_out`` those of the two bodies,
    ``ended`` as of :class:`Ended`; what there was not is null.
    """

    def __init__(self) -> None:
        self._clock = Clock()
        self._quoted = _Quoted()
        self._asked = _Asked()

    def __call__(self, exchange: Exchange) -> str:
        headers = exchange.headers
        fields = {} if headers is None else headers.index()
        quoted, clock, begun = self._quoted, self._clock, exchange.begun
        text = clock.text if clock.since <= begun < clock.until else clock.iso(begun)
        milliseconds = int((begun - clock.since) * 1000)
        first_byte = exchange.first_byte
        line = (
            f'{{"time":"{text}.{milliseconds:03d}Z",'
            f'"remote_ip":{quoted[exchange.context.remote_ip]},{self._asked[exchange.start_line]},'
            f'"status":{exchange.status or "null"},"bytes_in":{exchange.bytes_in},'
            f'"bytes_out":{exchange.bytes_out},"duration":{exchange.finished - begun:.6f},'
            f'"first_byte":{f"{first_byte - begun:.6f}" if first_byte else "null"},'
            f'"ended":"{exchange.ended}","route":{quoted[exchange.route]},'
            f'"host":{quoted[fields.get("host")]},"referer":{quoted[fields.get("referer")]},'
            f'"user_agent":{quoted[fields.get("user-agent")]}'
        )
        if exchange.notes:
            named = {
                f"note.{name}" if name in FIXED else name: value
                for name, value in exchange.notes.items()
            }
            return line + "," + json.dumps(named, default=str, separators=(",", ":"))[1:]
        return line + "}"
