"""Texts of a log line: what a peer has sent made harmless, and points in time.

Called for every line. A peer must not be able to end a line, to leave the quotes around its field,
or to give orders to the terminal that shows it.
"""

from __future__ import annotations

import time
from functools import lru_cache

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def escaped(text: str) -> str:
    r"""``text`` with ``"`` and ``\`` behind a ``\``, and ``\xhh`` (or ``\uhhhh``) for everything
    else that is not to be printed: control characters, line ends of all kinds, lone surrogates."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(map(_escaped_character, text))


def _escaped_character(character: str) -> str:
    if character in ('"', "\\"):
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


class Clock:
    """Points in time as a process's ``time.perf_counter`` has them, as text.

    Wall time is asked for once a second, so the text is made once a second.
    """

    __slots__ = ("_apache", "_apache_second", "_asked", "_iso", "_iso_second", "_offset")

    def __init__(self) -> None:
        self._offset = 0.0
        self._asked = -1
        self._apache_second = self._iso_second = -1
        self._apache = self._iso = ""

    def wall(self, moment: float) -> float:
        """Seconds since the epoch."""
        if (second := int(moment)) != self._asked:
            self._asked = second
            self._offset = time.time() - time.perf_counter()
        return moment + self._offset

    def apache(self, moment: float) -> str:
        """As in Apache's logs: "[27/Nov/2026:16:20:01 +0000]", local time."""
        second = int(self.wall(moment))
        if second != self._apache_second:
            self._apache_second = second
            now = time.localtime(second)
            # Not by strftime(): its names of months are those of the process's locale.
            self._apache = (
                f"[{now.tm_mday:02d}/{_MONTHS[now.tm_mon - 1]}/{now.tm_year}:{now.tm_hour:02d}:"
                f"{now.tm_min:02d}:{now.tm_sec:02d} {time.strftime('%z', now)}]"
            )
        return self._apache

    def iso(self, moment: float) -> str:
        """As of RFC 3339, to the millisecond: "2026-11-27T16:20:01.123Z"."""
        wall = self.wall(moment)
        second = int(wall)
        if second != self._iso_second:
            self._iso_second = second
            self._iso = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._iso}.{int((wall - second) * 1000):03d}Z"

    def custom(self, moment: float, style: str) -> str:
        """As ``time.strftime`` has it."""
        return _custom(int(self.wall(moment)), style)


@lru_cache(maxsize=64)
def _custom(second: int, style: str) -> str:
    return time.strftime(style, time.localtime(second))
