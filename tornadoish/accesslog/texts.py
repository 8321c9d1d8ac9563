"""Texts of a log line: what a peer has sent made harmless, and points in time.

Called for every line. A peer must not be able to end a line, to leave the quotes around its field,
or to give orders to the terminal that shows it. The same texts come again and again, so some of
them are kept; how many, and how long ones, is bounded.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: texts that are kept, and their length
_MOST_KEPT = 1024
_LONGEST_KEPT = 512


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


class Kept(dict[K, str]):
    """What :meth:`make` makes of a key, as ``kept[key]``."""

    __slots__ = ()

    def make(self, key: K) -> str:
        raise NotImplementedError

    def __missing__(self, key: K) -> str:
        text = self.make(key)
        if len(text) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[key] = text
        return text


class Escaped(Kept[str | None]):
    """What a peer has sent, escaped."""

    __slots__ = ()

    def make(self, key: str | None) -> str:
        return escaped(key or "")


class Clock:
    """Points in time as a process's ``time.perf_counter`` has them, as text.

    Wall time is asked for once a second, and the text is made once a second: ``text`` is right for
    the moments from ``since`` until ``until``, in which ``offset`` is to be added to them.
    """

    __slots__ = ("_style_texts", "offset", "since", "text", "until")

    def __init__(self) -> None:
        self.offset = self.since = self.until = 0.0
        self.text = ""
        self._style_texts: dict[str, tuple[int, str]] = {}

    def _next_second(self, moment: float) -> int:
        self.offset = time.time() - time.perf_counter()
        second = int(moment + self.offset)
        self.since = second - self.offset
        self.until = self.since + 1
        return second

    def apache(self, moment: float) -> str:
        """As in Apache's logs: "[27/Nov/2026:16:20:01 +0000]", local time."""
        now = time.localtime(self._next_second(moment))
        # Not by strftime(): its names of months are those of the process's locale.
        self.text = (
            f"[{now.tm_mday:02d}/{_MONTHS[now.tm_mon - 1]}/{now.tm_year}:{now.tm_hour:02d}:"
            f"{now.tm_min:02d}:{now.tm_sec:02d} {time.strftime('%z', now)}]"
        )
        return self.text

    def iso(self, moment: float) -> str:
        """As of RFC 3339, to the second and without a zone: "2026-11-27T16:20:01", UTC."""
        now = time.gmtime(self._next_second(moment))
        self.text = time.strftime("%Y-%m-%dT%H:%M:%S", now)
        return self.text

    def custom(self, moment: float, style: str) -> str:
        """As ``time.strftime`` has it, escaped."""
        second = int(moment + time.time() - time.perf_counter())
        known = self._style_texts.get(style)
        if known is None or known[0] != second:
            text = escaped(time.strftime(style, time.localtime(second)))
            known = self._style_texts[style] = (second, text)
        return known[1]
