"""Signed values: text that a client keeps for us and cannot change, in Tornado's two formats.

Called by ``Cookies`` and by applications (Tornado: web.create_signed_value and its neighbours).
Values are signed, not encrypted: whoever holds one can read it. Nothing here knows a request; what
cannot be verified is None, never an error and never a log line, for peers can send any number.

The formats, all of it ASCII (numbers have no leading zeros):

1. ``value|time|signature``, an HMAC-SHA1 of the name, ``value`` and ``time`` with nothing between
   them;
2. ``2|n:key version|n:time|n:name|n:value|signature``, where each ``n`` is the length of its field
   in bytes, and the signature an HMAC-SHA256 of all that stands before it.

``value`` is in base64, ``time`` in seconds since 1970, the signature in hexadecimal digits.
"""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable
from typing import NamedTuple

from tornadoish.escape import utf8

#: The format that :func:`create_signed_value` writes unless told otherwise.
DEFAULT_SIGNED_VALUE_VERSION = 2
#: The oldest format that :func:`decode_signed_value` reads unless told otherwise.
DEFAULT_SIGNED_VALUE_MIN_VERSION = 1

#: One key, or several by their versions (to replace a key without losing what it has signed).
Secret = str | bytes | dict[int, str] | dict[int, bytes] | dict[int, str | bytes]

DAY = 86400
MAX_DIGITS = 18  # of a number in a value: more seconds than there are


def create_signed_value(
    secret: Secret,
    name: str,
    value: str | bytes,
    version: int | None = None,
    clock: Callable[[], float] | None = None,
    key_version: int | None = None,
) -> bytes:
    """Sign ``value`` under ``name``, with the time at which that is done.

    :param secret: the key; for format 2 also a dict of keys, of which ``key_version`` names one.
    :param name: signed too, so that a value under one name is none under another.
    :param version: of the format, 1 or 2 (the default).
    :param clock: the time in seconds since 1970, :func:`time.time` by default.
    :raises ValueError: another version, an empty key, several keys in format 1, several without a
        ``key_version``, or a negative one.
    :raises KeyError: no key has that ``key_version``.

    Source: Tornado: tornado.web.create_signed_value.
    """
    if version is None:
        version = DEFAULT_SIGNED_VALUE_VERSION
    seconds = str(int((clock or time.time)())).encode()
    encoded = base64.b64encode(utf8(value))
    if version == 1:
        if isinstance(secret, dict):
            raise ValueError("Format 1 of signed values has no key versions")
        return b"|".join([encoded, seconds, _sign(secret, "sha1", utf8(name) + encoded + seconds)])
    if version != 2:
        raise ValueError(f"Unsupported version {version} of signed values")
    if key_version is not None and not 0 <= key_version < 10**MAX_DIGITS:
        raise ValueError(f"Unsupported key_version {key_version}")
    if isinstance(secret, dict):
        if key_version is None:
            raise ValueError("Several keys, and no key_version")
        secret = secret[key_version]
    fields = (str(key_version or 0).encode(), seconds, utf8(name), encoded)
    signed = b"2|" + b"".join([b"%d:%b|" % (len(field), field) for field in fields])
    return signed + _sign(secret, "sha256", signed)


def decode_signed_value(
    secret: Secret,
    name: str,
    value: str | bytes | None,
    max_age_days: float = 31,
    clock: Callable[[], float] | None = None,
    min_version: int | None = None,
) -> bytes | None:
    """What was signed, or None if ``value`` is none of ours, too old, or not there.

    :param secret: the key, or all keys that are still good, by their versions.
    :param name: under which it was signed.
    :param max_age_days: how long ago that may have been.
    :param clock: as of :func:`create_signed_value`.
    :param min_version: of the format: 1 (the default) or 2.
    :raises ValueError: another ``min_version``, or an empty key.

    Source: Tornado: tornado.web.decode_signed_value.
    """
    if min_version is None:
        min_version = DEFAULT_SIGNED_VALUE_MIN_VERSION
    if min_version > 2:
        raise ValueError(f"Unsupported min_version {min_version} of signed values")
    if not value:
        return None
    wire = _to_bytes(value)
    version = _version_of(wire)
    if version < min_version:
        return None
    now = (clock or time.time)()
    if version == 1:
        return _decode_1(secret, name, wire, now, max_age_days)
    if version == 2:
        return _decode_2(secret, name, wire, now, max_age_days)
    return None


def get_signature_key_version(value: str | bytes) -> int | None:
    """The version of the key that ``value`` says it was signed with; nothing is verified.

    None if it is not of format 2. Source: Tornado: tornado.web.get_signature_key_version.
    """
    wire = _to_bytes(value)
    fields = _split_2(wire) if _version_of(wire) == 2 else None
    return None if fields is None else fields.key_version


def _decode_1(
    secret: Secret, name: str, wire: bytes, now: float, max_age_days: float
) -> bytes | None:
    parts = wire.split(b"|", 3)
    if len(parts) != 3 or isinstance(secret, dict):
        return None
    encoded, time_field, signature = parts
    expected = _sign(secret, "sha1", utf8(name) + encoded + time_field)
    if not hmac.compare_digest(signature, expected):
        return None
    # Nothing in the signature says where the value ends: digits could have been moved from it to
    # the time (which is then in the future) or from the time to it (no base64 any more, or too
    # old). Zeros in front are what could be moved unseen.
    seconds = parse_number(time_field)
    if seconds is None or not now - max_age_days * DAY <= seconds <= now + 31 * DAY:
        return None
    return _value(encoded)


def _decode_2(
    secret: Secret, name: str, wire: bytes, now: float, max_age_days: float
) -> bytes | None:
    fields = _split_2(wire)
    if fields is None:
        return None
    key: str | bytes | None
    if isinstance(secret, dict):
        key = secret.get(fields.key_version)
        if key is None:
            return None
    else:
        key = secret
    expected = _sign(key, "sha256", fields.signed)
    if not hmac.compare_digest(fields.signature, expected) or fields.name != utf8(name):
        return None
    seconds = parse_number(fields.time)
    if seconds is None or seconds < now - max_age_days * DAY:
        return None
    return _value(fields.value)


class _Fields(NamedTuple):
    """What a value of format 2 says; ``signed`` is all before the signature."""

    key_version: int
    time: bytes
    name: bytes
    value: bytes
    signed: bytes
    signature: bytes


def _split_2(wire: bytes) -> _Fields | None:
    """Take a value of format 2 apart; None if it is malformed."""
    fields: list[bytes] = []
    start = 2  # behind "2|"
    for _ in range(4):
        colon = wire.find(b":", start)
        length = parse_number(wire[start:colon]) if colon > 0 else None
        if length is None:
            return None
        end = colon + 1 + length
        if wire[end : end + 1] != b"|":
            return None
        fields.append(wire[colon + 1 : end])
        start = end + 1
    version, time_field, name, value = fields
    key_version = parse_number(version)
    if key_version is None:
        return None
    return _Fields(key_version, time_field, name, value, wire[:start], wire[start:])


def _version_of(wire: bytes) -> int:
    """The format's version: a number of up to three digits and a ``|``, or else it is 1, which
    begins with base64 (a number of four digits and more could be such)."""
    head, bar, _ = wire[:4].partition(b"|")
    version = parse_number(head) if bar else None
    return version or 1


def parse_number(digits: bytes) -> int | None:
    """A number without zeros before it, or None (of ``bytes``, isdigit knows ASCII alone)."""
    if not digits.isdigit() or len(digits) > MAX_DIGITS or (digits[:1] == b"0" and digits != b"0"):
        return None
    return int(digits)


def _value(encoded: bytes) -> bytes | None:
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        return None


def _to_bytes(value: str | bytes) -> bytes:
    # What UTF-8 cannot say (half a surrogate pair, out of JSON say) was not signed.
    return value.encode("utf-8", "replace") if isinstance(value, str) else value


def _sign(key: str | bytes, algorithm: str, text: bytes) -> bytes:
    if not key:
        raise ValueError("An empty key signs nothing")
    return hmac.digest(utf8(key), text, algorithm).hex().encode()
