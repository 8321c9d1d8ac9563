r"""Segments: what the parts of a pattern between its slashes say, and rules filed by one of them.

Many rules of an application begin alike and differ further on: ``/users/(\d+)/posts``,
``/users/(\d+)/likes``. Where a pattern's segments can be told apart without doubt, a path whose
segment is another text than the pattern's cannot match. As everywhere in the search, nothing here
decides that a rule matches; what this gets wrong would hide a route, so it errs on the side of
knowing less.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Generic, TypeVar

from tornadoish.routing.templates import plain_text

T = TypeVar("T")

# The parts of a pattern: an escape, a class, a group's opening, a quantifier, or one character.
_PART = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?:P<\w+>|:)|(?:[*+?]|\{[0-9]*,?[0-9]*\})[?+]?|.",
    re.DOTALL,
)
_QUANTIFIER = re.compile(r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\}|\{,[0-9]+\})[?+]?")
# Escapes for characters that are no slash, whichever they are.
_SLASHLESS_ESCAPES = frozenset(["\\" + char for char in "dws.-_~+*?()[]{}\\:@,"])
_RANGE = re.compile(r"(\\?.)-(\\?.)", re.DOTALL)


def segments(pattern: str) -> list[str | None]:
    """The segments at the start of a pattern, as far as it is known where they end: a text that
    stands for itself, or None for one that may be this or that, but holds no slash.

    The text before the first slash is the first of them. The pattern must have no `|` that is in no
    group.
    """
    parts: list[str] = _PART.findall(pattern.removeprefix("^"))
    if not parts:
        return []
    known: list[str | None] = []
    text: list[str] | None = []  # of the segment that is being read; None: not only text
    depth = 0
    for part, after in zip(parts, [*parts[1:], ""], strict=True):
        if part == "$" and not after and not depth:
            known.append(None if text is None else plain_text("".join(text)))
        elif part == "/" and not depth and not _QUANTIFIER.fullmatch(after):
            known.append(None if text is None else plain_text("".join(text)))
            text = []
            continue
        elif part == "(" and _is_quantified(after):
            return known  # not a group but what looks around, or a flag, or a comment
        elif part[0] == "(":
            depth += 1
        elif part == ")":
            depth -= 1
        elif not _is_slashless(part):
            return known
        if depth or part == ")" or text is None or not _is_plain(part) or _is_quantified(after):
            text = None
        else:
            text.append(part)
    return known


def _is_quantified(after: str) -> bool:
    return _QUANTIFIER.fullmatch(after) is not None


def _is_plain(part: str) -> bool:
    """Whether a part of a pattern is a character that stands for itself."""
    return (len(part) == 1 and part not in ".^$*+?{[|()\\") or re.fullmatch(
        r"\\\W", part
    ) is not None


def _is_slashless(part: str) -> bool:
    """Whether what a part matches has no slash in it."""
    if part[0] == "[":
        return _is_slashless_class(part)
    if part[0] == "\\":
        return part in _SLASHLESS_ESCAPES
    return part == "|" or _is_quantified(part) or (_is_plain(part) and part != "/")


def _is_slashless_class(part: str) -> bool:
    inside = part[1:-1]
    if inside.startswith("^"):
        # Without ranges and escapes it is simple: the slash is among what is left out, or not.
        return "/" in inside and "\\" not in inside.replace("\\-", "").replace("\\.", "")
    if "/" in inside or re.search(r"\\[^dws.\-_]", inside):
        return False
    return not any(low[-1] <= "/" <= high[-1] for low, high in _RANGE.findall(inside))


class Segments(Generic[T]):
    """Entries filed by the segment of their patterns that tells most of them apart."""

    __slots__ = ("_any", "_at", "_by_text", "_whole")

    def __init__(self, entries: Sequence[tuple[str | None, T]]) -> None:
        """``entries``: in their order, each with its pattern, or None where that says nothing."""
        known = [[] if pattern is None else segments(pattern) for pattern, _ in entries]
        longest = max(map(len, known), default=0)
        counts = [len({row[at] for row in known if at < len(row)}) for at in range(longest)]
        self._at = max(range(longest), key=counts.__getitem__) if counts else 0
        texts = {row[self._at] for row in known if self._at < len(row)} - {None}
        values = [value for _, value in entries]
        keys = [row[self._at] if self._at < len(row) else None for row in known]
        pairs = list(zip(keys, values, strict=True))
        self._whole = tuple(values)
        self._any = tuple([value for key, value in pairs if key is None])
        self._by_text = {
            text: tuple([value for key, value in pairs if key is None or key == text])
            for text in texts
        }

    def candidates(self, path: str) -> tuple[T, ...]:
        """The entries whose patterns may match ``path``, in their order."""
        parts = path.split("/", self._at + 1)
        if len(parts) <= self._at:
            return self._any
        if path.endswith("\n"):  # which "$" lets through
            return self._whole
        return self._by_text.get(parts[self._at], self._any)
