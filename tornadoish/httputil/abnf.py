"""The grammar that every version of HTTP shares (RFC 9110), as compiled patterns.

Used by the header container and the start lines here, and by ``http1.grammar``, which adds what
only HTTP/1 has. Every pattern is ASCII-explicit (never ``\\d`` or ``\\w``, which match other
scripts) and cannot backtrack: possessive quantifiers, one way to match.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

# RFC 9110, 5.6.2: token = 1*tchar
TCHAR = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
TOKEN = re.compile(rf"[{TCHAR}]++")
SHORT_TOKEN = 128  # characters that are worth remembering

# RFC 9110, 5.5: field-value, where obs-text is %x80-FF and the controls but HTAB are excluded.
FIELD_CHAR = r"\t\x20-\x7e\x80-\xff"
FIELD_VALUE = re.compile(rf"[{FIELD_CHAR}]*+")
# What may never stand in anything that is written: the above, but for text beyond Latin-1 too.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# RFC 9110, 7.2 and RFC 3986, 3.2.2: Host = uri-host [ ":" port ]. A reg-name without
# percent-encoding tricks beyond the grammar; an IP-literal in brackets, of version 6 or to come.
_HOST = re.compile(
    r"(?:\[(?:([0-9A-Fa-f:.]++)|[vV][0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'()*+,;=:]++)\]"
    r"|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+)(?::[0-9]{0,5}+)?+"
)
MAX_HOST = 512  # characters; DNS allows 253, ports and brackets come on top

# RFC 9110, 8.6: Content-Length = 1*DIGIT; 18 digits are more bytes than there are.
DIGITS = re.compile(r"[0-9]{1,18}+")


# What peers send is remembered only where it is short: a memory has room for so many texts, and
# how long they are is for them to choose.


def is_token(text: str) -> bool:
    """Whether ``text`` is one RFC 9110 token (a field name, a method)."""
    if len(text) > SHORT_TOKEN:
        return TOKEN.fullmatch(text) is not None
    return _is_short_token(text)


@lru_cache(maxsize=512)
def _is_short_token(text: str) -> bool:
    return TOKEN.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Whether ``text`` is a valid Host value; the empty one is (RFC 9112, 3.2)."""
    return len(text) <= MAX_HOST and _is_short_host(text)


@lru_cache(maxsize=512)
def _is_short_host(text: str) -> bool:
    match = _HOST.fullmatch(text)
    if match is None or match[1] is None:
        return match is not None
    try:
        ipaddress.IPv6Address(match[1])
    except ValueError:
        return False
    return True
