"""URLs, dates, credentials and reason phrases: the small text forms around HTTP messages.

Called by requests, handlers and applications. Pure functions; nothing here reads a message.
"""

from __future__ import annotations

import calendar
import email.utils
import re
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import AnyStr
from urllib.parse import parse_qsl, urlencode, urlsplit

from tornadoish.escape import utf8

responses: dict[int, str] = {status.value: status.phrase for status in HTTPStatus}
"""Status code -> reason phrase (Tornado: tornado.httputil.responses; RFC 9110 section 15)."""

# ASCII digits only: \d and int() know those of every script. Five of them hold any port.
_HOST_AND_PORT = re.compile(r"(.+):([0-9]{1,5})")
# What browsers pass over: before a URL controls and spaces, in it tabs and line ends.
_BEFORE_URL = "".join(map(chr, range(0x21)))
_NOT_IN_URL = str.maketrans("", "", "\t\n\r")


def url_concat(
    url: str,
    args: Mapping[str, str | bytes]
    | Sequence[tuple[str, str]]
    | Sequence[tuple[str, bytes]]
    | None,
) -> str:
    """Add query arguments to a URL, whether or not it has some already.

    :param args: a dict, or pairs where a name may repeat; None returns `url` unchanged.
    :raises TypeError: `args` is of another type.
    :raises ValueError: `url` cannot be split.

    Source: Tornado: tornado.httputil.url_concat.
    """
    if args is None:
        return url
    if not isinstance(args, (dict, list, tuple)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"args must be a dict, list or tuple, not {type(args).__name__}")
    parts = urlsplit(url)
    query: list[tuple[str, str | bytes]] = [*parse_qsl(parts.query, keep_blank_values=True)]
    query.extend(args.items() if isinstance(args, dict) else args)
    return parts._replace(query=urlencode(query)).geturl()


def is_protocol_relative(url: str) -> bool:
    """Whether browsers take ``url`` for the address of a host (``//host/``, ``/\\host/``), though
    it has no scheme. Ask before a redirect to what a client has sent.

    Source: WHATWG URL section 4.4 (a backslash is a slash to http and https).
    """
    start = url.translate(_NOT_IN_URL).lstrip(_BEFORE_URL)[:2]
    return start.replace("\\", "/") == "//"


def split_host_and_port(netloc: str) -> tuple[str, int | None]:
    """Split ``host:port``; the port is None where there is none (or more than five digits).

    The host is not checked, and an IPv6 address keeps its brackets.

    Source: Tornado: tornado.httputil.split_host_and_port.
    """
    match = _HOST_AND_PORT.fullmatch(netloc)
    if match is None:
        return netloc, None
    return match[1], int(match[2])


def qs_to_qsl(qs: Mapping[str, list[AnyStr]]) -> Iterator[tuple[str, AnyStr]]:
    """Name-value pairs from what ``parse_qs`` returned, value by value.

    Source: Tornado: tornado.httputil.qs_to_qsl.
    """
    for name, values in qs.items():
        for value in values:
            yield name, value


def encode_username_password(username: str | bytes, password: str | bytes) -> bytes:
    """``username:password`` as Basic authentication encodes it: text as UTF-8 in NFC.

    Source: RFC 7617 section 2.1; Tornado: tornado.httputil.encode_username_password.
    """
    if isinstance(username, str):
        username = unicodedata.normalize("NFC", username)
    if isinstance(password, str):
        password = unicodedata.normalize("NFC", password)
    return utf8(username) + b":" + utf8(password)


def format_timestamp(ts: float | tuple[int, ...] | time.struct_time | datetime) -> str:
    """A point in time as an IMF-fixdate, such as ``Sun, 06 Nov 1994 08:49:37 GMT``.

    :param ts: seconds since the epoch, a UTC time tuple, or a datetime (a naive one is UTC).
    :raises TypeError: any other type.
    :raises ValueError: beyond the years that datetime knows (or OverflowError, OSError).

    Source: RFC 9110 section 5.6.7; Tornado: tornado.httputil.format_timestamp.
    """
    if isinstance(ts, datetime):
        seconds: float = calendar.timegm(ts.utctimetuple())
    elif isinstance(ts, (tuple, time.struct_time)):
        seconds = calendar.timegm(ts)
    elif isinstance(ts, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]
        seconds = ts
    else:
        raise TypeError(f"not a point in time: {type(ts).__name__}")
    return email.utils.formatdate(seconds, usegmt=True)
