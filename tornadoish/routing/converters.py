"""Converters: the kinds of placeholders that a path pattern may have, as in ``/user/{id:int}``.

A converter says what text a placeholder takes (a regular expression) and turns that text into a
value and back. ``templates`` puts them into patterns; applications register their own. They know no
request, and a request can make none of them raise, hold or do more than its path is long.
"""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
#: the largest integer that databases and other languages hold in 64 bits
_MAX_INT = 2**63 - 1


class Converter:
    """One kind of placeholder; ours alone, Tornado has regular expressions only.

    A subclass sets :attr:`regex` and overrides the two methods as needed::

        class Year(Converter):
            regex = "[12][0-9]{3}"

            def convert(self, text):
                return int(text)

        register_converter("year", Year())
    """

    #: What the placeholder takes of the path, which is still percent-encoded there. It has no
    #: capturing groups. Keep it to a bounded length or to characters of which there is one way to
    #: take them: it is tried on whatever clients send.
    regex: str = "[^/]+"
    #: Characters that :meth:`PathMatches.reverse` leaves unencoded in the text of a value, beside
    #: letters, digits and ``_.-~``.
    safe: str = ""

    def convert(self, text: str) -> Any:
        """Return the value for ``text``, which :attr:`regex` has matched, percent-decoded since.

        Raises ValueError if it has none: then the rule does not match. (Text that is not UTF-8
        never comes here; it matches no rule either.)
        """
        return text

    def to_text(self, value: Any) -> str:
        """Return the text for ``value``, not percent-encoded.

        Raises ValueError or TypeError if it has none. What :attr:`regex` does not match, or
        :meth:`convert` does not take back, is refused by the caller.
        """
        return str(value)


class Text(Converter):
    """``{name}``: some text without a slash; handed on as a group is, for the handler to decode."""

    def to_text(self, value: Any) -> str:
        # Bytes stand for themselves, as where a group is reversed; quoted they come out the same.
        return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


class Path(Text):
    """``{name:path}``: any text, slashes and none at all included."""

    regex = ".*"
    safe = "/"


class _Int(Converter):
    """``{name:int}``: 0 to 2**63 - 1, in at most 19 ASCII digits."""

    regex = "[0-9]{1,19}"

    def convert(self, text: str) -> int:
        value = int(text)
        if value > _MAX_INT:
            raise ValueError(f"{text} is more than 64 bits hold")
        return value


class _Float(Converter):
    """``{name:float}``: a decimal number, with a sign and a fraction or without."""

    regex = r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?"

    def convert(self, text: str) -> float:
        return float(text)

    def to_text(self, value: Any) -> str:
        # Never 1e-07, which the expression does not take.
        if isinstance(value, float):
            return format(Decimal(repr(float(value))), "f")
        return str(value)


class _UUID(Converter):
    """``{name:uuid}``: 32 hexadecimal digits, with their hyphens (RFC 9562)."""

    regex = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"

    def convert(self, text: str) -> uuid.UUID:
        return uuid.UUID(text)


_converters: dict[str, Converter] = {
    "str": Text(),
    "path": Path(),
    "int": _Int(),
    "float": _Float(),
    "uuid": _UUID(),
}


def register_converter(name: str, converter: Converter) -> None:
    """Let patterns say ``{...:name}`` from now on, in every application of this process.

    Raises ValueError for a name that is none or is taken by another converter, and for an
    expression that cannot stand in a pattern; TypeError for what is no `Converter`.
    """
    if not isinstance(converter, Converter):
        raise TypeError(f"{converter!r} is no instance of Converter")
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} cannot be the name of a converter")
    if _converters.get(name, converter) is not converter:
        raise ValueError(f"there is a converter {name!r} already")
    try:
        compiled = re.compile(f"(?:{converter.regex})")
    except (re.error, TypeError) as error:
        raise ValueError(f"converter {name!r}: {converter.regex!r}: {error}") from error
    if compiled.groups:
        raise ValueError(
            f"converter {name!r}: {converter.regex!r} has groups that capture; write (?:...)"
        )
    _converters[name] = converter


def converter_for(placeholder: str, pattern: str) -> tuple[str, Converter]:
    """Return the name and the converter of a ``placeholder`` of ``pattern``, braces included.

    Raises ValueError if it is not well-formed or there is no such converter.
    """
    name, colon, kind = placeholder[1:-1].partition(":")
    if not placeholder.endswith("}") or _NAME.fullmatch(name) is None or (colon and not kind):
        raise ValueError(
            f"{placeholder!r} in the pattern {pattern!r} is neither {{name}} nor {{name:converter}}"
            " (a brace that stands for itself is written \\{)"
        )
    converter = _converters.get(kind or "str")
    if converter is None:
        raise ValueError(
            f"{placeholder!r} in the pattern {pattern!r}: there is no converter {kind!r}, only "
            + ", ".join(sorted(_converters))
        )
    return name, converter
