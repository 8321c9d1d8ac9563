"""Masking (RFC 6455, 5.3): XOR with four bytes, at C speed with what Python has.

Up to some hundred bytes one XOR of two integers is quickest; beyond that, a translation of every
fourth byte, for integers cost more per byte. Where the package ``websockets`` is installed (the
extra ``websocket``), its function in C is used instead, at a tenth of the time.
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

#: For each byte the table that XORs with it; 64 KiB, made with the first longer message.
_tables: list[bytes] = []


def new_key() -> bytes:
    """Four bytes that nobody can guess (RFC 6455, 10.3)."""
    return secrets.token_bytes(4)


def in_python(data: Bytes, key: Key) -> bytes | bytearray:
    """The quicker one of the two ways that need nothing."""
    return by_integers(data, key) if len(data) <= SHORT else by_translation(data, key)


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


@lru_cache(maxsize=1)
def load_in_c() -> Any:
    """``websockets.speedups.apply_mask``; None where it is not."""
    try:
        return import_object("websockets.speedups.apply_mask")
    except (ImportError, OSError):  # OSError: its library cannot be loaded
        return None


#: ``mask(data, key)``: ``data`` masked, or unmasked, with ``key``, which begins at its first byte
mask: Callable[[Bytes, Key], bytes | bytearray] = load_in_c() or in_python
#: the same for no more than SHORT bytes
mask_short: Callable[[Bytes, Key], bytes] = load_in_c() or by_integers
