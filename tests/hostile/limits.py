"""More than anybody needs: bodies, and what is sent beside them."""

from __future__ import annotations

import gzip

from hostile.case import (
    CHUNKED,
    FAR_TOO_MANY,
    POST,
    SMUGGLED,
    Case,
    Others,
    Served,
    accepted,
    refused,
)

SMALL_CHUNKS = 2000
FIELD = b"--B\r\nContent-Disposition: form-data; name=a\r\n\r\n"
HALF = FAR_TOO_MANY // 2


def _form(id: str, body: bytes) -> Case:
    """A form that is larger than the body that the tests' servers allow, a MiB."""
    chunks = [body[start : start + 4096] for start in range(0, len(body), 4096)]
    data = b"".join([b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks])
    head = CHUNKED[:-2] + b"Content-Type: multipart/form-data; boundary=B\r\n\r\n"
    return refused("limits", id, head + data + b"0\r\n\r\n", 413, only_ours=True)


LONG_BODIES = [
    refused("limits", "gunicorn-26.2.1-chunk-size-line-without-end",
            CHUNKED + b"0" * FAR_TOO_MANY),
    refused("limits", "gunicorn-26.2.1-chunk-extension-without-end",
            CHUNKED + b"5;" + b"a" * FAR_TOO_MANY),
    refused("limits", "CVE-2024-22019-one-huge-chunk-extension",
            CHUNKED + b"5;" + b"a" * FAR_TOO_MANY + b"\r\nhello\r\n0\r\n\r\n"),
    refused("limits", "CVE-2023-39326-chunks-with-large-extensions",
            CHUNKED + (b"1;" + b"a" * 3000 + b"\r\nx\r\n") * 500 + b"0\r\n\r\n"),
    refused("limits", "CVE-2023-39326-many-parameters",
            CHUNKED + (b"1" + b";a=b" * 800 + b"\r\nx\r\n") * 500 + b"0\r\n\r\n"),
    refused("limits", "CVE-2026-22815-many-trailers",
            CHUNKED + b"0\r\n" + b"A: b\r\n" * (FAR_TOO_MANY // 6) + b"\r\n", 431),
    refused("limits", "CVE-2026-22815-trailers-without-end",
            CHUNKED + b"0\r\n" + b"A: b\r\n" * (FAR_TOO_MANY // 6), 431),
    refused("limits", "CVE-2026-22815-one-huge-trailer",
            CHUNKED + b"0\r\nA: " + b"b" * FAR_TOO_MANY + b"\r\n\r\n", 431),
    refused("limits", "CVE-2026-22815-33-trailers",
            CHUNKED + b"0\r\n" + b"A: b\r\n" * 33 + b"\r\n", 431, only_ours=True),
    _form("GHSA-q34m-jh98-gwm2-one-field-in-many-chunks", FIELD + b"x" * FAR_TOO_MANY),
    _form("CVE-2024-47874-many-fields", (FIELD + b"x\r\n") * (FAR_TOO_MANY // 40)),
    _form("CVE-2026-34517-fields-of-half-the-limit", (FIELD + b"x" * HALF + b"\r\n") * 2),
    _form("CVE-2025-69228-no-field-at-all", b"x" * (FAR_TOO_MANY + 1)),
    refused("limits", "RFC9112-7.1-sizes-that-add-up-to-too-much",
            CHUNKED + (b"10\r\n" + b"x" * 16 + b"\r\n") * 4 + b"fffffff\r\n", 413,
            only_ours=True),
    accepted("to be served", "CVE-2025-69229-chunks-of-one-byte",
             CHUNKED + b"1\r\nx\r\n" * SMALL_CHUNKS + b"0\r\n\r\n",
             Served("POST", "/", b"x" * SMALL_CHUNKS)),
]  # fmt: skip


def _gzipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def _post(body: bytes) -> bytes:
    head = POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


def _gzip(id: str, body: bytes, status: int = 400) -> Case:
    return refused("gzip", id, _post(body) + SMUGGLED, status, Others.REFUSE, only_ours=True,
                   decompress=True)  # fmt: skip


HELLO = _gzipped(b"hello")
GZIP = [
    # 2 KiB that become 2 MiB: once the limit of the tests' servers, and once more.
    _gzip("CVE-2025-69223-bomb", _gzipped(bytes(2 << 20)), 413),
    _gzip("CVE-2025-69223-bomb-of-members", _gzipped(bytes(1 << 18)) * 5, 413),
    refused("gzip", "CVE-2025-69223-bomb-in-small-chunks",
            CHUNKED[:-2] + b"Content-Encoding: gzip\r\n\r\n"
            + b"".join(b"1\r\n%c\r\n" % byte for byte in _gzipped(bytes(2 << 20)))
            + b"0\r\n\r\n" + SMUGGLED, 413, only_ours=True, decompress=True),
    _gzip("CVE-2026-49855-17-members", _gzipped(b"x") * 17),
    _gzip("CVE-2026-49855-many-empty-members", _gzipped(b"") * 500),
    _gzip("CVE-2026-49855-truncated-data", HELLO[:-10]),
    _gzip("CVE-2026-49855-truncated-check", HELLO[:-1]),
    _gzip("CVE-2026-49855-truncated-header", HELLO[:5]),
    _gzip("CVE-2026-49855-truncated-second-member", HELLO + HELLO[:-1]),
    _gzip("CVE-2026-49855-garbage-behind", HELLO + b"garbage"),
    _gzip("CVE-2026-49855-garbage-between-members", HELLO + b"garbage" + HELLO),
    _gzip("CVE-2026-49855-wrong-check", HELLO[:-8] + bytes(8)),
    _gzip("CVE-2026-49855-no-gzip", b"hello"),
    accepted("to be served", "RFC9110-8.4.1.3-two-members", _post(HELLO + HELLO),
             Served("POST", "/", b"hellohello"), decompress=True, only_ours=True),
]  # fmt: skip
