"""The grammar that every version of HTTP shares (RFC 9110), as compiled patterns.

Used by the header container and the start lines here, and by ``http1.grammar``, which adds what
only HTTP/1 has. Every pattern is ASCII-explicit (never ``\\d`` or ``\\w``, which match other
scripts) and cannot backtrack: possessive quantifiers, one way to match.
"""

from __future__ import annotations

import re
from functools import lru_cache

# RFC 9110, 5.6.2: token = 1*tchar
TCHAR = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
TOKEN = re.compile(rf"[{TCHAR}]++")

# RFC 9110, 5.5: field-value, where obs-text is %x80-FF and the controls but HTAB are excluded.
FIELD_CHAR = r"\t\x20-\x7e\x80-\xff"
FIELD_VALUE = re.compile(rf"[{FIELD_CHAR}]*+")
# What may never stand in anything that is written: the above, but for text beyond Latin-1 too.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# RFC 9110, 7.2 and RFC 3986, 3.2.2: Host = uri-host [ ":" port ]. A reg-name without
# percent-encoding tricks beyond the grammar; an IP-literal in brackets.
_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]++\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+)(?::[0-9]{0,5}+)?+"
)
MAX_HOST = 512  # characters; DNS allows 253, ports and brackets come on top

# RFC 9110, 8.6: Content-Length = 1*DIGIT; 18 digits are more bytes than there are.
DIGITS = re.compile(r"[0-9]{1,18}+")


@lru_cache(maxsize=512)
def is_token(text: str) -> bool:
    """Whether ``text`` is one RFC 9110 token (a field name, a method)."""
    return TOKEN.fullmatch(text) is not None


@lru_cache(maxsize=512)
def is_host(text: str) -> bool:
    """Whether ``text`` is a valid Host value; the empty one is (RFC 9112, 3.2)."""
    return len(text) <= MAX_HOST and _HOST.fullmatch(text) is not None
