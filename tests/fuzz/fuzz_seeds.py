"""Where the fuzzers begin: the tables of the tests, and a few lines for what has no table.

``corpus/NAME.txt`` has what fuzzing has found worth keeping: an input a line, as Python writes
bytes.
"""

from __future__ import annotations

import ast
from pathlib import Path

from multipart_cases import CASES as MULTIPART_CASES
from reader_cases import CASES
from sources import Seeded
from ws_cases import CASES as WEBSOCKET_CASES
from ws_reading import Case as WebSocketCase

CORPUS = Path(__file__).parent / "corpus"


def _requests() -> list[bytes]:
    return [case.data for case in CASES if not case.client and len(case.data) < 1000]


def _responses() -> list[bytes]:
    methods = {"GET": 0, "HEAD": 1, "CONNECT": 2}
    return [
        bytes([case.eof << 1 | methods[case.method] << 2]) + case.data
        for case in CASES
        if case.client
    ]


def _chunked() -> list[bytes]:
    bodies = [data.partition(b"\r\n\r\n")[2] for data in _requests() if b"hunked\r\n\r\n" in data]
    return [limits + body for body in bodies if body for limits in (b"\0", b"\1")]


def _choices(count: int) -> list[bytes]:
    """For what takes its choices from bytes."""
    return [b"", *(Seeded(seed).octets(200) for seed in range(count))]


_MULTIPART = (
    b"multipart/form-data; boundary=b\n"
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.y"\r\n'
    b"Content-Type: a/b\r\n\r\n2\r\n--b--\r\n"
)


def _websocket(case: WebSocketCase) -> bytes:
    compressed = case.deflate is not None
    alone = case.deflate is not None and not case.deflate.receive_takeover
    return bytes([case.client | (4 if alone else 2 if compressed else 0)]) + case.data


_UPGRADE = [
    "websocket\nUpgrade\ndGhlIHNhbXBsZSBub25jZQ==\na, b\npermessage-deflate",
    'h2c, WebSocket\nclose ,upgrade\ndGhlIHNhbXBsZSBub25jZQ==\n\nx;y="z", permessage-deflate'
    "; server_max_window_bits=9; client_no_context_takeover",
    "websocket\nupgrade\ndGhlIHNhbXBsZSBub25jZQ==\nchat\npermessage-deflate"
    "; client_max_window_bits; server_no_context_takeover",
]
_FIELDS = [data.partition(b"\r\n")[2] for data in _requests()]

SEEDS: dict[str, list[bytes]] = {
    "request": [limits + data for data in _requests() for limits in (b"\0", b"\1")],
    "response": _responses(),
    "chunked": _chunked(),
    "differential": _requests(),
    "generated": _choices(60),
    "headers": [*_FIELDS, b"A: b\n c\nA:d\r\n", b"A:\n b\nA:c", b": a", b" a", b"A b: c"],
    "cookies": [
        b"a=b; c=d", b'a="b\\073\\"c"; d', b"=x;;y=", b" a b = c d ;e", b'a="\\377\\400\\', b"",
        b'n="' + b"\\" * 50 + b'"',
    ],
    "forms": [
        b"application/x-www-form-urlencoded\na=1&b=%zz&a&=&%00",
        b"application/x-www-form-urlencoded; charset=x\n" + b"&" * 1001,
        _MULTIPART,
        _MULTIPART.replace(b'"f"', b"f; name*0*=utf-8''%e2; name*1*=%82%ac"),
        _MULTIPART.replace(b"=b\n", b'="b"\n'),
        _MULTIPART.replace(b"\r\n1\r\n", b""),
        _MULTIPART.replace(b'"x.y"', b'"C:\\x\\"y"'),
        b"multipart/form-data; boundary=b\n--b--",
        b"multipart/form-data; boundary=b; boundary=c\n--b--",
        b"multipart/form-data\n--b--",
        b"text/plain\nx",
    ],
    "multipart": [
        limits + case.data for case in MULTIPART_CASES for limits in (b"\0", b"\1")
    ],
    "writer": _choices(120),
    "websocket": [_websocket(case) for case in WEBSOCKET_CASES if len(case.data) < 1100],
    "upgrade": [text.encode() for text in _UPGRADE],
}  # fmt: skip


def kept(name: str) -> list[bytes]:
    """What is in the corpus of a target."""
    path = CORPUS / f"{name}.txt"
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return [ast.literal_eval(line) for line in lines]


def inputs(name: str) -> list[bytes]:
    """All that a target begins with."""
    return SEEDS[name] + kept(name)
