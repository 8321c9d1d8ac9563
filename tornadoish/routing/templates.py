"""Path templates: patterns such as ``/user/{id:int}``, which stand for regular expressions.

`PathMatches` asks `template_of` whether a pattern is one, and then matches by its expression as by
any other, so that the index and the order of rules know no difference.

How the two are told apart: a `{` that a letter or `_` follows begins a placeholder. In a regular
expression such a brace has no meaning (a quantifier, ``{3}`` or ``{1,2}``, begins with a digit or a
comma), and in a path it cannot stand (RFC 3986, 2). Escaped, or within brackets, it is a brace. In
a template all other text stands for itself, the dot too, and what would mean something else in an
expression must be escaped as it would there: so a template is never taken for an expression or
half of each.

Matching a template takes time linear in the path: see `_check_ambiguity`.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from tornadoish.routing.converters import Converter, Path, Text, converter_for

# The parts of a pattern: a character by its name, an escape, a class, a comment, a placeholder or
# the beginning of one, or one character.
_PARTS = re.compile(
    r"\\N\{[^}]*+\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*+\]|\(\?#[^)]*+\)|\{(?=[^\W\d])[^{}]*+\}?|.",
    re.DOTALL,
)
_MEANS_SOMETHING = frozenset("^$*+?()[]{}|\\")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def plain_text(pattern: str) -> str:
    """Return ``pattern`` without the backslashes that only take a character's meaning away.

    Raises ValueError for one that gives a meaning, as in ``\\d``.
    """

    def character(escape: re.Match[str]) -> str:
        char = escape[1]
        if char.isascii() and char.isalnum():
            raise ValueError(f"{escape[0]} stands for no single character")
        return char

    return _ESCAPE.sub(character, pattern)


def template_of(pattern: str) -> PathTemplate | None:
    """Return the template that ``pattern`` is, or None if it is a regular expression.

    Raises ValueError for one that is neither.
    """
    if "{" not in pattern:
        return None
    parts: list[str] = _PARTS.findall(pattern)
    if not any(_is_placeholder(part) for part in parts):
        return None
    return PathTemplate(pattern, parts)


class PathTemplate:
    """A pattern with placeholders, taken apart."""

    __slots__ = ("converters", "pattern", "pieces", "regex")

    def __init__(self, pattern: str, parts: Sequence[str]) -> None:
        """``parts``: of the ``pattern``, placeholders whole.

        Raises ValueError for a placeholder that is wrong, for text that would mean something else
        in a regular expression, and for placeholders of which it is not clear where one ends.
        """
        self.pattern = pattern
        self.pieces = [""]
        self.converters: dict[str, Converter] = {}
        for place, part in enumerate(parts):
            if _is_placeholder(part):
                self._add(*converter_for(part, pattern))
            elif not ((part == "^" and place == 0) or (part == "$" and place == len(parts) - 1)):
                self.pieces[-1] += self._literal(part)
        self._check_ambiguity()
        source = re.escape(self.pieces[0])
        for (name, converter), piece in zip(self.converters.items(), self.pieces[1:], strict=True):
            source += f"(?P<{name}>{converter.regex}){re.escape(piece)}"
        self.regex = re.compile(source + "$")

    def _add(self, name: str, converter: Converter) -> None:
        if name in self.converters:
            raise ValueError(f"the pattern {self.pattern!r} has two placeholders {name!r}")
        if keyword.iskeyword(name) or name == "self":
            raise ValueError(f"{name!r} in the pattern {self.pattern!r} cannot be a parameter")
        self.converters[name] = converter
        self.pieces.append("")

    def _literal(self, part: str) -> str:
        try:
            if (len(part) == 1 and part not in _MEANS_SOMETHING) or part[0] == "\\":
                return plain_text(part)
        except ValueError:
            pass
        raise ValueError(
            f"the pattern {self.pattern!r} has placeholders, so it is no regular expression: {part}"
            " stands for itself only behind a backslash"
        )

    def _check_ambiguity(self) -> None:
        """Refuse what could be matched in more than a few ways, by which a path of n characters
        could cost n * n steps: between two slashes there is one placeholder of no certain length,
        and in the whole pattern one that takes slashes."""
        open_one = ""  # of no certain length, since the last slash
        path = ""
        for (name, converter), before in zip(
            self.converters.items(), self.pieces[:-1], strict=True
        ):
            if not before and name != next(iter(self.converters)):
                raise ValueError(f"nothing in {self.pattern!r} says where {name!r} begins")
            if "/" in before:
                open_one = ""
            if isinstance(converter, Text):
                other = open_one or (path if isinstance(converter, Path) else "")
                if other:
                    raise ValueError(
                        f"{other!r} and {name!r} in the pattern {self.pattern!r} can share their "
                        "text in many ways: write a regular expression, or register converters"
                    )
                open_one = name
                if isinstance(converter, Path):
                    path = name

    def values(self, match: re.Match[str]) -> dict[str, Any] | None:
        """Return what the placeholders took, by name, or None if a converter will not have it.

        Text stays bytes, percent-decoded, as a group's does: the handler decodes it.
        """
        values: dict[str, Any] = {}
        for (name, converter), text in zip(self.converters.items(), match.groups(), strict=True):
            raw = unquote_to_bytes(text)
            if isinstance(converter, Text):
                values[name] = raw
                continue
            try:
                values[name] = converter.convert(raw.decode())
            except ValueError:
                return None
        return values

    def reverse(self, args: Sequence[Any], named: Mapping[str, Any]) -> str:
        """Return the path with these values, ``args`` in the order of the placeholders.

        Raises TypeError if there are too many, too few or others than the placeholders, and
        ValueError for one that this pattern would not match or not give back, and for a path that
        clients do not send as it is: one that names another host or goes up.
        """
        names = list(self.converters)
        values = dict(zip(names, args, strict=False))
        if len(args) > len(names) or values.keys() & named.keys():
            raise TypeError(f"too many values for {self.pattern!r}")
        values.update(named)
        if values.keys() != self.converters.keys():
            raise TypeError(f"{self.pattern!r} takes {names}, not {list(values)}")
        texts = [self._encode(name, values[name]) for name in names]
        url = self.pieces[0] + "".join(
            [text + piece for text, piece in zip(texts, self.pieces[1:], strict=True)]
        )
        match = self.regex.fullmatch(url)
        if match is None or list(match.groups()) != texts:
            raise ValueError(f"{url!r} would not come back from {self.pattern!r} as these values")
        # RFC 3986, 4.2 and 5.2.4; a browser takes %2E for a dot here.
        if url.startswith("//") or {".", ".."} & set(url.split("/")):
            raise ValueError(f"{url!r} is not the path that a client would ask for")
        return url

    def _encode(self, name: str, value: Any) -> str:
        converter = self.converters[name]
        try:
            text = converter.to_text(value)
            encoded = quote(text, converter.safe, errors="surrogateescape")
            if re.fullmatch(converter.regex, encoded) is None:
                raise ValueError(f"not {converter.regex}")
            if not isinstance(converter, Text):
                converter.convert(text)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{value!r} cannot be {name!r} in {self.pattern!r}: {error}"
            ) from error
        return encoded


def _is_placeholder(part: str) -> bool:
    return part[0] == "{" and len(part) > 1
