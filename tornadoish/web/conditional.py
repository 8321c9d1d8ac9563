"""Conditional: entity tags, dates, and what a request makes depend on them (RFC 9110, 8.8 and 13).

Pure functions over the text of fields, for ``web.exchange`` and for static files. What a client
sends is read in linear time and never raises: a condition that cannot be read is not there
(RFC 9110, 13.1.3), but for ``If-Match``, which then does not hold.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256

from tornadoish.httputil import HTTPHeaders

_ETAGS = re.compile(r'\*|(?:W/)?+"[^"]*+"')
#: bytes of a body whose entity tag is worth remembering: short answers repeat
SHORT_BODY = 512
#: characters that a date may have; the longest form (RFC 850) has 33
MAX_DATE = 40


def etag_of(body: bytes) -> str:
    """A strong entity tag: equal bodies have equal ones, others have others.

    128 bits of a SHA-256, which is what processors are made for.
    """
    return f'"{sha256(body).hexdigest()[:32]}"'


#: the same for bodies of up to ``SHORT_BODY`` bytes
short_etag = lru_cache(maxsize=1024)(etag_of)


def matches_weakly(etag: str, condition: str) -> bool:
    """Whether an ``If-None-Match`` names ``etag``, or is ``*`` (13.1.2).

    Compared weakly: a GET that is answered alike is as good as the same bytes.
    """
    tags = _ETAGS.findall(condition)
    if not etag or not tags:
        return False
    return tags[0] == "*" or etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in tags]


def matches_strongly(etag: str, condition: str) -> bool:
    """Whether an ``If-Match`` names ``etag``, or is ``*`` (13.1.1).

    A weak tag never does. But a client's may have a ``W/`` that ours has not: that is what a
    content coding makes of a tag, here or in a proxy; the body that was coded is still the same.
    """
    tags = _ETAGS.findall(condition)
    if not tags:
        return False
    return tags[0] == "*" or etag in [tag.removeprefix("W/") for tag in tags]


def parse_http_date(text: str) -> datetime | None:
    """The time of an HTTP date in any of its three forms (RFC 9110, 5.6.7), in UTC; else None."""
    if len(text) > MAX_DATE:
        return None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)


def unmodified_since(last_modified: str | datetime, condition: str) -> bool | None:
    """Whether ``last_modified`` is not later than the date of an ``If-Modified-Since`` or
    ``If-Unmodified-Since`` (13.1.3, 13.1.4).

    :param last_modified: as in the field, or a time; one without a zone is in UTC.
    :returns: None if one of them is no date.
    """
    if last_modified == condition:  # what clients send is what they were sent
        return True
    if isinstance(last_modified, str):
        modified = parse_http_date(last_modified)
    elif last_modified.tzinfo is None:
        modified = last_modified.replace(tzinfo=UTC)
    else:
        modified = last_modified
    since = parse_http_date(condition)
    if modified is None or since is None:
        return None
    return modified.replace(microsecond=0) <= since  # a field has no fractions of a second


def precondition_failed(
    fields: HTTPHeaders, etag: str | None, last_modified: datetime | None, exists: bool
) -> bool:
    """Whether a request that would change something must not (13.2.2, the steps 1 to 3).

    :param fields: the request's.
    :param etag: the tag of what there is, if it has one; also ``last_modified``.
    :param exists: whether there is anything; if not, it has neither of them.
    """
    index = fields.index()
    condition = index.get("if-match")
    if condition is not None:
        if not exists or not matches_strongly(etag or "*", condition):
            return True
    else:
        condition = index.get("if-unmodified-since")
        # Where there is nothing, or nobody knows since when, the date says nothing (13.1.4).
        if (
            condition is not None
            and last_modified is not None
            and unmodified_since(last_modified, condition) is False
        ):
            return True
    condition = index.get("if-none-match")
    return condition is not None and exists and matches_weakly(etag or "*", condition)
