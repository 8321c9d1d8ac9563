"""Masking (RFC 6455, 5.3): XOR with four bytes, at C speed with what Python has.

Up to some hundred bytes one XOR of two integers is quickest; beyond that, a translation of every
fourth byte, for integers cost more per byte (``benchmarks/websocket_core.py --masking`` compares).
Pure functions.
"""

from __future__ import annotations

import secrets

#: bytes up to which integers are quicker
SHORT = 512

#: For each byte the table that XORs with it; 64 KiB, made with the first long message.
_tables: list[bytes] = []


def new_key() -> bytes:
    """Four bytes that nobody can guess (RFC 6455, 10.3)."""
    return secrets.token_bytes(4)


def mask(data: bytes | bytearray | memoryview, key: bytes) -> bytes | bytearray:
    """``data`` masked, or unmasked, with ``key``, which begins at its first byte."""
    size = len(data)
    if size <= SHORT:
        pattern = (key * ((size + 3) >> 2))[:size]
        return (int.from_bytes(data, "little") ^ int.from_bytes(pattern, "little")).to_bytes(
            size, "little"
        )
    tables = _tables or _make_tables()
    out = bytearray(data)
    out[0::4] = out[0::4].translate(tables[key[0]])
    out[1::4] = out[1::4].translate(tables[key[1]])
    out[2::4] = out[2::4].translate(tables[key[2]])
    out[3::4] = out[3::4].translate(tables[key[3]])
    return out


def rotated(key: bytes, count: int) -> bytes:
    """``key`` as it begins ``count`` bytes further on."""
    shift = count & 3
    return key[shift:] + key[:shift] if shift else key


def _make_tables() -> list[bytes]:
    _tables[:] = [bytes([byte ^ other for other in range(256)]) for byte in range(256)]
    return _tables
