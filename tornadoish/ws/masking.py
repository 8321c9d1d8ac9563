"""Masking (RFC 6455, 5.3): XOR with four bytes, at C speed with what Python has.

Up to some hundred bytes one XOR of two integers is quickest; beyond that, a translation of every
fourth byte, for integers cost more per byte. For long messages pycryptodome's ``strxor`` is used
where it is installed (the extra ``websocket``): with 64 KiB it takes a tenth of the time.
``benchmarks/websocket_core.py --masking`` compares. Pure functions.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from tornadoish.util import import_object

Bytes = bytes | bytearray | memoryview
Key = bytes | bytearray

#: bytes up to which integers are quicker than a translation
SHORT: Final = 256
#: bytes from which on ``strxor`` is quicker
LONG: Final = 4096

#: For each byte the table that XORs with it; 64 KiB, made with the first longer message.
_tables: list[bytes] = []


def new_key() -> bytes:
    """Four bytes that nobody can guess (RFC 6455, 10.3)."""
    return secrets.token_bytes(4)


def mask(data: Bytes, key: Key) -> bytes | bytearray:
    """``data`` masked, or unmasked, with ``key``, which begins at its first byte."""
    size = len(data)
    if size <= SHORT:
        return by_integers(data, key)
    if size < LONG or load_strxor() is None:
        return by_translation(data, key)
    return by_strxor(data, key)


def by_integers(data: Bytes, key: Key) -> bytes:
    """One XOR of two integers."""
    size = len(data)
    pattern = int.from_bytes((key * (size + 3 >> 2))[:size])
    return (int.from_bytes(data) ^ pattern).to_bytes(size)


def by_translation(data: Bytes, key: Key) -> bytearray:
    """Four times every fourth byte, each by the table of its byte of the key."""
    tables = _tables or _make_tables()
    out = bytearray(data)
    out[0::4] = out[0::4].translate(tables[key[0]])
    out[1::4] = out[1::4].translate(tables[key[1]])
    out[2::4] = out[2::4].translate(tables[key[2]])
    out[3::4] = out[3::4].translate(tables[key[3]])
    return out


def _make_tables() -> list[bytes]:
    _tables[:] = [bytes([byte ^ other for other in range(256)]) for byte in range(256)]
    return _tables


def rotated(key: bytes, count: int) -> bytes:
    """``key`` as it begins ``count`` bytes further on."""
    shift = count & 3
    return key[shift:] + key[:shift] if shift else key


# -- with pycryptodome


def by_strxor(data: Bytes, key: Key) -> bytes:
    """One call, where ``load_strxor`` has found what it needs."""
    size = len(data)
    strxor: Callable[[Bytes, Bytes], bytes] = load_strxor()
    return strxor(data, (key * (size + 3 >> 2))[:size])


@lru_cache(maxsize=1)
def load_strxor() -> Any:
    """``Crypto.Util.strxor.strxor``; None where it is not."""
    try:
        return import_object("Crypto.Util.strxor.strxor")
    except (ImportError, OSError):  # OSError: its library cannot be loaded
        return None
