"""A certificate for tests of TLS, made when it is asked for.

Self-signed, for ``localhost``, 127.0.0.1 and ::1, with a key on P-256 that never was anywhere else:
so no private key is shipped that somebody might put to use, nothing runs out, and no command and no
package is needed. Good for tests alone: it is plain arithmetic, which tells of the key by the time
it takes. Used by ``AsyncHTTPSTestCase``.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import os
import secrets
import shutil
import tempfile
from functools import cache
from pathlib import Path

# P-256 (FIPS 186-4, D.1.2.3): y^2 = x^3 - 3x + b over the integers modulo _P, of order _N.
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

_Point = tuple[int, int] | None  # None: the point at infinity


def _add(a: _Point, b: _Point) -> _Point:
    """SEC 1, 2.2.1."""
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % _P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, _P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, _P)
    x = (slope * slope - a[0] - b[0]) % _P
    return x, (slope * (a[0] - x) - a[1]) % _P


def _multiply(factor: int) -> tuple[int, int]:
    """The generator, ``factor`` times."""
    result: _Point = None
    power: _Point = _G
    while factor:
        if factor & 1:
            result = _add(result, power)
        power = _add(power, power)
        factor >>= 1
    if result is None:
        raise ValueError("a multiple of the order")
    return result


def _sign(key: int, message: bytes) -> tuple[int, int]:
    """ECDSA with SHA-256 (FIPS 186-4, 6.4)."""
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    while True:
        nonce = secrets.randbelow(_N - 1) + 1
        r = _multiply(nonce)[0] % _N
        s = (digest + r * key) * pow(nonce, -1, _N) % _N
        if r and s:
            return r, s


# -- DER (X.690): what certificates and keys are written in


def _der(tag: int, *contents: bytes) -> bytes:
    data = b"".join(contents)
    if len(data) < 0x80:
        return bytes([tag, len(data)]) + data
    length = len(data).to_bytes((len(data).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + data


def _sequence(*contents: bytes) -> bytes:
    return _der(0x30, *contents)


def _integer(number: int) -> bytes:
    return _der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _bits(data: bytes) -> bytes:
    return _der(0x03, b"\0", data)


def _identifier(*arcs: int) -> bytes:
    encoded = bytearray([40 * arcs[0] + arcs[1]])
    for arc in arcs[2:]:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        encoded.extend(reversed(groups))
    return _der(0x06, bytes(encoded))


_EC_KEY = _sequence(_identifier(1, 2, 840, 10045, 2, 1), _identifier(1, 2, 840, 10045, 3, 1, 7))
_ECDSA_SHA256 = _sequence(_identifier(1, 2, 840, 10045, 4, 3, 2))


def _extension(arc: int, value: bytes, critical: bool = False) -> bytes:
    flag = _der(0x01, b"\xff") if critical else b""
    return _sequence(_identifier(2, 5, 29, arc), flag, _der(0x04, value))


def _certificate(key: int, public: bytes) -> bytes:
    """RFC 5280, 4.1, in DER."""
    name = _sequence(
        _der(0x31, _sequence(_identifier(2, 5, 4, 3), _der(0x0C, b"tornadoish.testing")))
    )
    names = _sequence(
        _der(0x82, b"localhost"),
        _der(0x87, bytes([127, 0, 0, 1])),
        _der(0x87, bytes(15) + b"\x01"),
    )
    identifier = hashlib.sha1(public, usedforsecurity=False).digest()
    usage = _der(0x03, b"\x02\x84")  # digitalSignature, keyCertSign
    extensions = _sequence(
        _extension(17, names),  # subjectAltName
        _extension(19, _sequence(_der(0x01, b"\xff")), critical=True),  # basicConstraints: a CA
        _extension(15, usage, critical=True),
        _extension(14, _der(0x04, identifier)),  # subjectKeyIdentifier
    )
    to_be_signed = _sequence(
        _der(0xA0, _integer(2)),  # version 3
        _integer(secrets.randbits(128) | 1 << 127),
        _ECDSA_SHA256,
        name,
        _sequence(_der(0x17, b"200101000000Z"), _der(0x18, b"21200101000000Z")),
        name,
        _sequence(_EC_KEY, _bits(public)),
        _der(0xA3, extensions),
    )
    r, s = _sign(key, to_be_signed)
    return _sequence(to_be_signed, _ECDSA_SHA256, _bits(_sequence(_integer(r), _integer(s))))


def _pem(label: str, der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def make_certificate() -> tuple[str, str]:
    """A new certificate and its private key, both as PEM text. Takes some ten milliseconds."""
    key = secrets.randbelow(_N - 1) + 1
    x, y = _multiply(key)
    public = b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")  # SEC 1, 2.3.3
    private = _sequence(  # RFC 5915
        _integer(1),
        _der(0x04, key.to_bytes(32, "big")),
        _der(0xA1, _bits(public)),
    )
    wrapped = _sequence(_integer(0), _EC_KEY, _der(0x04, private))  # PKCS #8, RFC 5958
    return _pem("CERTIFICATE", _certificate(key, public)), _pem("PRIVATE KEY", wrapped)


@cache
def certificate_files() -> tuple[str, str]:
    """The files of one certificate and its key, which are made once in a process and removed when
    it ends."""
    directory = Path(tempfile.mkdtemp(prefix="tornadoish-testing-"))
    atexit.register(_remove, directory, os.getpid())
    paths = directory / "localhost.pem", directory / "localhost.key"
    for path, text in zip(paths, make_certificate(), strict=True):
        path.write_text(text)  # nobody else may look into the directory
    return str(paths[0]), str(paths[1])


def _remove(directory: Path, process: int) -> None:
    if os.getpid() == process:  # not a child that was forked
        shutil.rmtree(directory, ignore_errors=True)
