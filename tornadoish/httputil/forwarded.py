"""The Forwarded field of RFC 7239: what proxies say of whom they act for.

Read by ``httpserver`` from the last element to the first: the last is the one that the nearest
proxy has written, and what stands in front of it may be a client's invention. It never decides
whom to believe, and looks at nothing in front of the element that it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tornadoish.httputil.abnf import TCHAR
from tornadoish.httputil.headers import OWS

# RFC 9110, 5.6.4: quoted-string, with what a quoted-pair may quote
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
# RFC 7239, 4: forwarded-pair = token "=" value, where value = token / quoted-string
_PAIR = re.compile(rf"([{TCHAR}]++)=([{TCHAR}]++|{_QUOTED})")
# RFC 7239, 4: forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] ); no white space
# (No groups: within possessive repeats re fails on some of them, with a SystemError.)
_ANY_PAIR = rf"[{TCHAR}]++=(?:[{TCHAR}]++|{_QUOTED})"
_ELEMENT = re.compile(rf"(?:{_ANY_PAIR})?+(?:;(?:{_ANY_PAIR})?+)*+")
_QUOTED_PAIR = re.compile(r"\\(.)")

# RFC 7239, 6: node = nodename [ ":" node-port ], where nodename is an address; an IPv6 address is
# in brackets. Only the form: "999.1.1.1" is not found out here.
_PORT = r"[0-9]{1,5}+|_[0-9A-Za-z._\-]++"
_NODE = re.compile(rf"(?:([0-9.]++)|\[([0-9A-Fa-f.]*+:[0-9A-Fa-f:.]*+)\])(?::(?:{_PORT}))?+")


def forwarded_from_last(value: str) -> Iterator[dict[str, str] | None]:
    """The elements of a Forwarded field (RFC 7239, 4), the last one first.

    :param value: the field's value; of several field lines, their values in order with commas
        between (RFC 9110, 5.3).
    :return: for each element its parameters, names in lower case and values without quotes; an
        empty one counts not (RFC 9110, 5.6.1). Behind None, which stands for what is no element
        (white space around ``;``, say, or a parameter twice), nothing more comes.

    Since it is read from its end, a quote that a client leaves open cannot swallow what a proxy has
    appended. Takes time and memory in proportion to what has been asked for.
    """
    for text in _split_from_last(value):
        text = text.strip(OWS)
        if text:
            parameters = _parameters(text)
            yield parameters
            if parameters is None:
                return


def _split_from_last(value: str) -> Iterator[str]:
    """What is between commas outside of quoted strings, from the last to the first."""
    end = len(value)
    comma, quote = value.rfind(","), value.rfind('"')
    while True:
        if quote > comma:
            # It ends a quoted string, and no quote within one stands behind "=" but that at its
            # beginning, for the others are escaped.
            begin = value.rfind('="', 0, quote)
            if begin < 0:
                yield value[:end]
                return
            if comma > begin:
                comma = value.rfind(",", 0, begin)
            quote = value.rfind('"', 0, begin)
        else:
            yield value[comma + 1 : end]
            if comma < 0:
                return
            end = comma
            comma = value.rfind(",", 0, comma)


def _parameters(text: str) -> dict[str, str] | None:
    if _ELEMENT.fullmatch(text) is None:
        return None
    parameters: dict[str, str] = {}
    for name, value in _PAIR.findall(text):
        name = name.lower()
        if name in parameters:  # RFC 7239, 4: not more than once
            return None
        if value[0] == '"':
            value = _QUOTED_PAIR.sub(r"\1", value[1:-1])
        parameters[name] = value
    return parameters


def address_of_node(node: str) -> str | None:
    """What looks like an IP address in ``node`` (RFC 7239, 6), without brackets and port.

    None for ``unknown``, for an obfuscated identifier (``_hidden``), and for what is no node. That
    it is one (``256.1.1.1`` is not) has still to be checked.
    """
    found = _NODE.fullmatch(node)
    if found is None:
        return None
    return found[1] or found[2]
