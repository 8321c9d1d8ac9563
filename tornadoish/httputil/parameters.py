"""Parameters of a header value, such as ``form-data; name="a"; filename*=UTF-8''b``.

Called for the Content-Type of a body and for the header fields of its parts. Pure functions, linear
in their input whatever it is, and they never fail: what is no parameter is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

# Everything up to a semicolon outside quotes; an open quote holds the rest. One way to read any
# text, possessive: linear (CVE-2025-67726, CVE-2026-28356).
_PIECE = re.compile(r'((?:[^;"]++|"(?:[^"\\]++|\\.?)*+(?:"|\Z))*+)(?:;|\Z)', re.DOTALL)
_ESCAPED = re.compile(r'\\([\\"])')
# RFC 2231: "name*", "name*0", "name*0*". Two digits: int() sees no more than that.
_EXTENDED = re.compile(r"([^*]+)\*(?:([0-9]{1,2})(\*)?)?")
_CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "": "ascii"}


def _parse_header(line: str) -> tuple[str, dict[str, str]]:
    r"""Split a header value such as ``form-data; name="a\"b"; filename*=UTF-8''%C3%A1``.

    Returns the value before the first semicolon, and the parameters by lower-case name. Extended
    ones (RFC 8187; in sections, RFC 2231) are decoded and win over plain ones of the same name;
    otherwise the last one counts. A piece without ``=`` is dropped. Never fails.

    Source: Tornado: tornado.httputil._parse_header.
    """
    pairs = _split_parameters(line)
    value, _ = next(pairs)
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, text in pairs:
        extended = _EXTENDED.fullmatch(name)
        if extended is None:
            plain[name] = _unquote(text)
            continue
        base, number, star = extended.groups()
        encoded = number is None or star is not None
        sections.setdefault(base.rstrip(" \t"), {})[int(number or 0)] = (_unquote(text), encoded)
    for name, numbered in sections.items():
        plain[name] = _join_sections([numbered[number] for number in sorted(numbered)])
    return value, plain


def _split_parameters(line: str) -> Iterator[tuple[str, str]]:
    """First the leading value (with an empty second half), then each parameter's name and value.

    Names are lower-case, values as they stand, with their quotes.
    """
    pieces: Iterator[re.Match[str]] = _PIECE.finditer(line)
    yield next(pieces)[1].strip(" \t"), ""
    for piece in pieces:
        name, equals, value = piece[1].partition("=")
        if equals:
            yield name.strip(" \t").lower(), value.strip(" \t")


def _unquote(value: str) -> str:
    """Undo a quoted-string (RFC 9110 section 5.6.4), if it is one.

    Only a quote and a backslash are taken as escaped: browsers leave the backslashes of a file name
    alone (``C:\\name``).
    """
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return _ESCAPED.sub(r"\1", value[1:-1])
    return value


def _join_sections(sections: list[tuple[str, bool]]) -> str:
    """The value of an extended parameter: ``charset'language'percent-encoded`` (RFC 8187, 3.2).

    The charset is the peer's choice, and some of Python's codecs are slow or do odd things: only
    the two that RFC 8187 and RFC 5987 name are used. Everything else is read as Latin-1.
    """
    if not any(encoded for _, encoded in sections):
        return "".join([text for text, _ in sections])
    charset = ""
    first, encoded = sections[0]
    if encoded and first.count("'") >= 2:
        charset, _, first = first.split("'", 2)
    parts = [(first, encoded), *sections[1:]]
    codec = _CHARSETS.get(charset.lower(), "latin-1")
    data = b"".join(
        unquote_to_bytes(text) if encoded else text.encode(codec, "replace")
        for text, encoded in parts
    )
    return data.decode(codec, "replace")


def _encode_header(key: str, pdict: Mapping[str, str | None]) -> str:
    """Join a value and its parameters, sorted; None makes a parameter without value.

    Nothing is quoted: the caller knows its values to be tokens.
    Source: Tornado: tornado.httputil._encode_header.
    """
    parameters = [
        name if value is None else f"{name}={value}" for name, value in sorted(pdict.items())
    ]
    return "; ".join([key, *parameters])
