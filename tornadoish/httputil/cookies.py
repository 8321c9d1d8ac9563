"""The Cookie request header, read as browsers write it.

Called by `HTTPServerRequest.cookies`. Never fails, never logs: what is odd is read leniently, since
whoever shares a domain can set odd cookies for all of it. Setting cookies is not here.
"""

from __future__ import annotations

import re

# Three octal digits are a character (up to \377), anything else after a backslash is itself.
_ESCAPE = re.compile(r"\\([0-3][0-7][0-7]|.)")


def _unescape(match: re.Match[str]) -> str:
    escaped = match[1]
    return chr(int(escaped, 8)) if len(escaped) == 3 else escaped


def _unquote_cookie(value: str) -> str:
    """Undo the quoting of `http.cookies`; a value that is not quoted is returned as it is.

    One pass whatever the number of backslashes (CVE-2024-7592). Source: RFC 2109 quoting as
    Python's http.cookies writes it.
    """
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _ESCAPE.sub(_unescape, value[1:-1])


def parse_cookie(cookie: str) -> dict[str, str]:
    """Parse a Cookie header's value into name -> value; of a repeated name the last one counts.

    A piece without ``=`` is the value of the nameless cookie ``""``, as in browsers. Only spaces
    and tabs are stripped: other white space may be half of a UTF-8 character read as Latin-1.

    Source: Tornado: tornado.httputil.parse_cookie; RFC 6265 section 5.4.
    """
    cookies: dict[str, str] = {}
    for piece in cookie.split(";"):
        name, equals, value = piece.partition("=")
        if not equals:
            name, value = "", piece
        name, value = name.strip(" \t"), value.strip(" \t")
        if name or value:
            cookies[name] = _unquote_cookie(value)
    return cookies
