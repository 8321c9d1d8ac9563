"""Negotiation: what a client says that it likes (Accept, Accept-Encoding, Accept-Language).

Asked by whoever has more than one way to answer: output transforms, static files, error documents,
locales. All of it is text from a peer: nothing here raises, and the work is linear in its length.
What cannot be read counts as if it were not liked (RFC 9110, 12.4 and 12.5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from tornadoish.httputil.headers import HTTPHeaders

#: characters of a field that are worth remembering: the same few values come again and again
SHORT_FIELD = 256

# A member of a list, commas in quoted strings (RFC 9110, 5.6.4) not counted as its end. A quote
# that is never closed reaches to the end of the text, so nothing is looked at twice.
_MEMBER = re.compile(r'(?:[^,"]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z))++', re.DOTALL)
_PARAMETER = re.compile(r'(?:[^;"]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z))++', re.DOTALL)
# RFC 9110, 12.4.2, but for more digits than three: programs write what their division gave.
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,20})?|1(?:\.0{0,20})?")
_OWS = " \t"


def quality_list(text: str) -> list[tuple[str, float]]:
    """The members of a list with weights, the most liked first, else in their order.

    :param text: the value of a field such as ``Accept-Language``.
    :returns: each member in lower case and without its parameters, and its weight, 0 to 1. Those
        that the client does not want at all have 0; a weight that is none is 0, too.

    >>> quality_list("de;q=0.8, fr-CH, *;q=0.1, en;q=0")
    [('fr-ch', 1.0), ('de', 0.8), ('*', 0.1), ('en', 0.0)]
    """
    members = text.split(",") if '"' not in text else _MEMBER.findall(text)
    weighed = []
    for member in members:
        name, semicolon, parameters = member.partition(";")
        name = name.strip(_OWS)
        if name:
            weight = _weight(parameters) if semicolon else 1.0
            weighed.append((name.lower(), weight))
    weighed.sort(key=_by_weight)
    return weighed


def _by_weight(member: tuple[str, float]) -> float:
    return -member[1]


def _weight(parameters: str) -> float:
    """The value of ``q`` among parameters; 1 if it is not there."""
    pieces = parameters.split(";") if '"' not in parameters else _PARAMETER.findall(parameters)
    for piece in pieces:
        name, equals, value = piece.partition("=")
        if equals and name.strip(_OWS) in ("q", "Q"):
            value = value.strip(_OWS)
            return float(value) if _WEIGHT.fullmatch(value) is not None else 0.0
    return 1.0


def choose_coding(accept_encoding: str, available: Sequence[str]) -> str | None:
    """The content coding in which to answer (RFC 9110, 12.5.3).

    :param accept_encoding: the value of ``Accept-Encoding``; empty if there is none: such a client
        may understand any coding, but most likely understands none.
    :param available: codings in lower case, the one that the server likes best first. Where the
        client likes two of them equally, the first is chosen.
    :returns: one of ``available``, or None: the body as it is. That is also the answer where the
        client likes nothing that is there: to refuse would help nobody.

    >>> choose_coding("gzip, deflate, br, zstd", ("br", "gzip"))
    'br'
    >>> choose_coding("br;q=0.5, gzip", ("br", "gzip"))
    'gzip'
    >>> choose_coding("identity, br;q=0.5", ("br", "gzip")) is None
    True
    """
    if not accept_encoding:
        return None
    if len(accept_encoding) > SHORT_FIELD:
        return _choose_coding(accept_encoding, tuple(available))
    return _choose_by_short(accept_encoding, tuple(available))


def _choose_coding(accept_encoding: str, available: tuple[str, ...]) -> str | None:
    liked: dict[str, float] = {}
    for name, weight in quality_list(accept_encoding):
        liked.setdefault(name.removeprefix("x-"), weight)  # RFC 9110, 8.4.1: x-gzip is gzip
    others = liked.get("*", 0.0)
    # Without a word of it the body as it is will do, but anything that is liked is better.
    best, most = None, liked.get("identity", 0.0)
    for coding in available:
        weight = liked.get(coding, others)
        if weight > most or (weight == most and weight and best is None):
            best, most = coding, weight
    return best


_choose_by_short = lru_cache(maxsize=256)(_choose_coding)


def media_quality(accept: str, media_type: str) -> tuple[float, int]:
    """How much a client likes a media type (RFC 9110, 12.5.1).

    :param accept: the value of ``Accept``; empty if there is none, which is as ``*/*``.
    :param media_type: in lower case, without parameters. Those of ``accept`` are not looked at.
    :returns: the weight that the most specific range gives it, and how specific that is: 2 for the
        type itself, 1 for ``text/*``, 0 for ``*/*`` or for no range at all.

    >>> media_quality("text/*;q=0.3, text/html;q=0.7", "text/html")
    (0.7, 2)
    """
    if not accept:
        return 1.0, 0
    return _media_quality(quality_list(accept), media_type)


def _media_quality(ranges: list[tuple[str, float]], media_type: str) -> tuple[float, int]:
    wanted = (media_type, media_type.partition("/")[0] + "/*", "*/*")
    found = (0.0, -1)
    for name, weight in ranges:
        if name in wanted:
            specific = 2 - wanted.index(name)
            if specific > found[1]:  # the first of several alike is the one liked most
                found = (weight, specific)
    return found if found[1] >= 0 else (0.0, 0)


def choose_media_type(accept: str, available: Sequence[str]) -> str | None:
    """The media type in which to answer.

    :param accept: as for :func:`media_quality`.
    :param available: media types in lower case, the one that the server likes best first.
    :returns: the one that the client likes best; of two liked equally the one that it names more
        exactly, then the first. None: it likes none of them.

    >>> choose_media_type("application/json, text/plain, */*", ("text/html", "application/json"))
    'application/json'
    >>> choose_media_type("*/*", ("text/html", "application/json"))
    'text/html'
    """
    ranges = quality_list(accept or "*/*")
    best, most = None, (0.0, -1)
    for media_type in available:
        quality = _media_quality(ranges, media_type)
        if quality[0] and quality > most:
            best, most = media_type, quality
    return best


def add_to_vary(headers: HTTPHeaders, name: str) -> None:
    """Say in ``Vary`` that the answer depends on a field of the request (RFC 9110, 12.5.5).

    :param headers: the answer's; what it depends on already stays.
    """
    vary: str = headers.get("Vary", "").strip(_OWS)
    if not vary:
        headers["Vary"] = name
        return
    members = [member.strip(_OWS).lower() for member in vary.split(",")]
    if name.lower() not in members and "*" not in members:
        headers["Vary"] = f"{vary}, {name}"
