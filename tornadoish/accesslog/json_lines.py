"""JSON lines: an object for each exchange, for machines.

The names of its members are fixed and come first; what anybody has noted of the request comes
behind them.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as _quoted

from tornadoish.accesslog.texts import Clock
from tornadoish.httputil import Exchange

#: what a note cannot be called: it is called ``note.NAME`` then
FIXED = frozenset(
    ("time", "remote_ip", "method", "target", "version", "status", "bytes_in", "bytes_out",
     "duration", "first_byte", "ended", "route", "host", "referer", "user_agent")
)  # fmt: skip


class JSONLine:
    """Makes the line of an exchange.

    ``time`` is when the request came, ``duration`` and ``first_byte`` are seconds from there to
    the end and to the head of the answer, ``bytes_in`` and ``bytes_out`` those of the two bodies,
    ``ended`` as of :class:`Ended`; what there was not is null.
    """

    def __init__(self) -> None:
        self._clock = Clock()

    def __call__(self, exchange: Exchange) -> str:
        line = exchange.start_line
        headers = exchange.headers
        fields = {} if headers is None else headers.index()
        if line is None:
            asked = '"method":null,"target":null,"version":null'
        else:
            method, target, version = line
            asked = (
                f'"method":{_quoted(method)},"target":{_quoted(target)},'
                f'"version":{_quoted(version)}'
            )
        begun = exchange.begun
        first_byte = exchange.first_byte
        first = f"{first_byte - begun:.6f}" if first_byte else "null"
        text = (
            f'{{"time":"{self._clock.iso(begun)}","remote_ip":{_or_null(exchange.remote_ip)},'
            f'{asked},"status":{exchange.status or "null"},"bytes_in":{exchange.bytes_in},'
            f'"bytes_out":{exchange.bytes_out},"duration":{exchange.finished - begun:.6f},'
            f'"first_byte":{first},"ended":"{exchange.ended.value}",'
            f'"route":{_or_null(exchange.route)},"host":{_or_null(fields.get("host"))},'
            f'"referer":{_or_null(fields.get("referer"))},'
            f'"user_agent":{_or_null(fields.get("user-agent"))}'
        )
        if exchange.notes:
            named = {
                f"note.{name}" if name in FIXED else name: value
                for name, value in exchange.notes.items()
            }
            return text + "," + json.dumps(named, default=str, separators=(",", ":"))[1:]
        return text + "}"


def _or_null(text: str | None) -> str:
    return _quoted(text) if text else "null"
