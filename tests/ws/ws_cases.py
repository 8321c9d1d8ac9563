"""What arrives, and what must come of it: one table per part of RFC 6455 and RFC 7692.

Unless a case says otherwise it is a server's, without compression and with 1 000 bytes a message.
"""

from __future__ import annotations

import zlib

from ws_reading import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    TEXT,
    Case,
    closing,
    raw,
    said,
    xor,
)

from tornadoish.ws import CLOSED, Close, Deflate, Message, Ping, Pong

HELLO = Message("Hello")
UNICODE = "Hello-µ@ßöäüàá-UTF-8!! €😀"
A_CLOSE = raw(CLOSE, closing(1000))
THE_END = {"state": CLOSED, "said": said(CLOSE, closing(1000))}


def refused(name: str, data: bytes, code: int = 1002, **more: object) -> Case:
    return Case(name, data, error=code, **more)  # type: ignore[arg-type]


MESSAGES = [
    Case("nothing", b""),
    # RFC 6455, 5.7
    Case("the RFC's masked text", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", [HELLO]),
    Case("the RFC's text to a client", b"\x81\x05Hello", [HELLO], client=True),
    Case("the RFC's fragments", b"\x01\x03Hel\x80\x02lo", [HELLO], client=True),
    Case("the RFC's Ping", b"\x89\x05Hello", [Ping(b"Hello")], said=b"", client=True),
    Case("empty text", raw(TEXT), [Message("")]),
    Case("empty binary", raw(BINARY), [Message(b"")]),
    Case("binary", raw(BINARY, b"\x00\xff"), [Message(b"\x00\xff")]),
    Case("text", raw(TEXT, UNICODE.encode()), [Message(UNICODE)]),
    Case("125", raw(BINARY, b"x" * 125), [Message(b"x" * 125)]),
    Case("126", raw(BINARY, b"x" * 126), [Message(b"x" * 126)]),
    Case("256", raw(BINARY, b"x" * 256), [Message(b"x" * 256)]),
    Case("257", raw(BINARY, b"x" * 257), [Message(b"x" * 257)]),
    Case("1000 to a client", raw(TEXT, b"x" * 1000, key=None), [Message("x" * 1000)], client=True),
    Case("a key of zeros", raw(TEXT, b"abc", key=b"\0\0\0\0"), [Message("abc")]),
    Case("three", raw(TEXT, b"a") + raw(BINARY, b"b") + raw(TEXT, b"c"),
         [Message("a"), Message(b"b"), Message("c")]),
    Case("half a head", raw(TEXT, b"a")[:1]),
    Case("half a length", raw(TEXT, b"a" * 200)[:3]),
    Case("half a key", raw(TEXT, b"a")[:5]),
    Case("half a payload", raw(TEXT, b"Hello")[:-1]),
]  # fmt: skip

FRAGMENTS = [
    Case("two", raw(TEXT, b"Hel", fin=False) + raw(CONTINUATION, b"lo"), [HELLO]),
    Case("three, binary", raw(BINARY, b"a", fin=False) + raw(CONTINUATION, b"b", fin=False)
         + raw(CONTINUATION, b"c"), [Message(b"abc")]),
    Case("empty ones", raw(TEXT, fin=False) + raw(CONTINUATION, fin=False)
         + raw(CONTINUATION, b"Hello", fin=False) + raw(CONTINUATION), [HELLO]),
    Case("only empty ones", raw(TEXT, fin=False) + raw(CONTINUATION), [Message("")]),
    Case("cut within a character", raw(TEXT, b"\xe2", fin=False)
         + raw(CONTINUATION, b"\x82", fin=False) + raw(CONTINUATION, b"\xac"), [Message("€")]),
    Case("a Ping between", raw(TEXT, b"Hel", fin=False) + raw(PING, b"p")
         + raw(CONTINUATION, b"lo"), [Ping(b"p"), HELLO], said=said(PONG, b"p")),
    Case("a Pong between", raw(TEXT, b"Hel", fin=False) + raw(PONG, b"p")
         + raw(CONTINUATION, b"lo"), [Pong(b"p"), HELLO]),
    Case("a Close between", raw(TEXT, b"Hel", fin=False) + A_CLOSE + raw(CONTINUATION, b"lo"),
         [Close(1000, "")], **THE_END),  # type: ignore[arg-type]
    Case("no end", raw(TEXT, b"Hel", fin=False)),
    refused("nothing to continue", raw(CONTINUATION, b"lo")),
    refused("nothing to continue, not the last", raw(CONTINUATION, b"lo", fin=False)),
    Case("nothing to continue any more", raw(TEXT, b"Hello") + raw(CONTINUATION), [HELLO], 1002),
    refused("a message within one", raw(TEXT, b"Hel", fin=False) + raw(TEXT, b"lo")),
    refused("a binary one within text", raw(TEXT, fin=False) + raw(BINARY, fin=False)),
    refused("the same, unfinished", raw(TEXT, b"Hel", fin=False) + raw(TEXT, b"lo")[:2]),
]  # fmt: skip

LENGTH = (1 << 16).to_bytes(8, "big")

HEADS = [
    *(refused(f"RSV {rsv}", raw(TEXT, b"a", rsv=rsv)) for rsv in range(1, 8)),
    refused("RSV of a Ping", raw(PING, rsv=4), deflate=Deflate()),
    refused("RSV2 with compression", raw(TEXT, rsv=2), deflate=Deflate()),
    refused("RSV1 of a continuation", raw(TEXT, b"a", fin=False) + raw(CONTINUATION, rsv=4),
            deflate=Deflate()),
    *(refused(f"opcode {opcode}", raw(opcode)) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    refused("no mask", raw(TEXT, b"Hello", key=None)),
    refused("no mask, 126", raw(TEXT, b"x" * 126, key=None)),
    refused("no mask, and what follows looks like a length", raw(TEXT, LENGTH, key=None)
            + bytes(70_000), size=None),
    refused("a mask of a server, and what follows looks like a length",
            raw(TEXT, LENGTH[4:], key=bytes(4)) + bytes(70_000), size=None, client=True),
    refused("no mask on a Ping", raw(PING, key=None)),
    refused("no mask, no more", raw(TEXT, b"Hello", key=None)[:2]),
    refused("a mask of a server", raw(TEXT, b"Hello"), client=True),
    refused("a mask of a server on a Ping", raw(PING), client=True),
    refused("125 in two bytes", raw(TEXT, b"x" * 125, width=2)),
    refused("0 in two bytes", raw(TEXT, width=2)),
    refused("125 in eight bytes", raw(TEXT, b"x" * 125, width=8)),
    refused("65535 in eight bytes", raw(TEXT, b"", length=65535, width=8), size=None),
    refused("2**63", raw(TEXT, b"", length=1 << 63, width=8), size=None),
    refused("2**64 - 1", raw(TEXT, b"", length=(1 << 64) - 1, width=8)),
    Case("2**63 - 1", raw(TEXT, b"", length=(1 << 63) - 1, width=8), size=None),
    Case("65536 in eight bytes", raw(BINARY, b"", length=65536, width=8), size=None),
]  # fmt: skip

CONTROL = [
    Case("a Ping", raw(PING), [Ping(b"")], said=said(PONG)),
    Case("a Ping of 125", raw(PING, b"x" * 125), [Ping(b"x" * 125)], said=said(PONG, b"x" * 125)),
    Case("a Ping that is no text", raw(PING, b"\xff"), [Ping(b"\xff")], said=said(PONG, b"\xff")),
    Case("a Pong that nobody asked for", raw(PONG, b"x"), [Pong(b"x")]),
    Case("two Pings", raw(PING, b"1") + raw(PING, b"2"), [Ping(b"1"), Ping(b"2")],
         said=said(PONG, b"1") + said(PONG, b"2")),
    Case("half a Ping", raw(PING, b"Hello")[:-1]),
    *(refused(f"{name} of 126", raw(opcode, b"x" * 126))
      for name, opcode in (("Ping", PING), ("Pong", PONG), ("Close", CLOSE))),
    refused("Ping of 126, at its second byte", raw(PING, b"x" * 126)[:2]),
    *(refused(f"{name} in fragments", raw(opcode, fin=False))
      for name, opcode in (("Ping", PING), ("Pong", PONG), ("Close", CLOSE))),
]  # fmt: skip

#: RFC 6455, 7.4.2, and IANA's registry
ALLOWED = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
NOT_ALLOWED = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]

CLOSES = [
    Case("no code", raw(CLOSE), [Close(None, "")], state=CLOSED, said=said(CLOSE)),
    *(Case(f"{code}", raw(CLOSE, closing(code)), [Close(code, "")], state=CLOSED,
           said=said(CLOSE, closing(code))) for code in ALLOWED),
    *(refused(f"{code}", raw(CLOSE, closing(code))) for code in NOT_ALLOWED),
    refused("half a code", raw(CLOSE, b"\x03")),
    Case("a reason", raw(CLOSE, closing(1001, "Auf Wiederseh'n, ö")),
         [Close(1001, "Auf Wiederseh'n, ö")], state=CLOSED, said=said(CLOSE, closing(1001))),
    Case("a reason of 123", raw(CLOSE, closing(1000, "x" * 123)), [Close(1000, "x" * 123)],
         **THE_END),  # type: ignore[arg-type]
    refused("a reason that is no text", raw(CLOSE, closing(1000) + b"\xce\xba\xff"), 1007),
    refused("a reason with half a character", raw(CLOSE, closing(1000) + b"\xe2\x82"), 1007),
    Case("frames behind it", A_CLOSE + raw(TEXT, b"x") + b"\xff\xff", [Close(1000, "")],
         **THE_END),  # type: ignore[arg-type]
    Case("a message before it", raw(TEXT, b"Hello") + A_CLOSE, [HELLO, Close(1000, "")],
         **THE_END),  # type: ignore[arg-type]
]  # fmt: skip

#: bytes that no UTF-8 goes on with, behind what it may begin with
BAD = [
    b"\x80", b"\xbf", b"\xc0", b"\xc1", b"\xf5", b"\xfe", b"\xff", b"\xc0\xaf", b"\xe0\x80",
    b"\xe0\x9f", b"\xed\xa0", b"\xed\xbf", b"\xf0\x80", b"\xf0\x8f", b"\xf4\x90", b"\xc2\x41",
    b"\xe2\x41", b"\xe2\x82\x41", b"\xf0\x9f\x98\x41", b"\xf0\x9f\x41",
]  # fmt: skip

TEXTS = [
    *(Case(f"{text!a}", raw(TEXT, text.encode()), [Message(text)])
      for text in ("\0", "\x7f\x80", "\u07ff\u0800", "\ud7ff\ue000", "\uffff\U00010000",
                   "\U0010ffff", "\ufeffa", "κόσμε")),
    *(refused(f"{bad!a}", raw(TEXT, b"ok" + bad + b"more"), 1007) for bad in BAD),
    # What has not come cannot make up for it: the frame has 90 bytes more.
    *(refused(f"{bad!a} fails at once", raw(TEXT, b"ok" + bad + b"x" * 90)[: 8 + len(bad)], 1007)
      for bad in BAD),
    *(refused(f"{bad!a} over two frames", raw(TEXT, b"ok" + bad[:-1], fin=False)
              + raw(CONTINUATION, bad[-1:] + b"x" * 90)[:7], 1007) for bad in BAD),
    refused("an end within a character", raw(TEXT, b"\xe2\x82"), 1007),
    refused("the same in fragments", raw(TEXT, b"\xe2", fin=False) + raw(CONTINUATION, b"\x82"),
            1007),
    refused("the same in an empty last one", raw(TEXT, b"\xe2", fin=False) + raw(CONTINUATION),
            1007),
    Case("characters over frames", raw(TEXT, "κό".encode()[:3], fin=False)
         + raw(CONTINUATION, "κό".encode()[3:]), [Message("κό")]),
    Case("binary is no text", raw(BINARY, b"\xff", fin=False) + raw(CONTINUATION, b"\xfe"),
         [Message(b"\xff\xfe")]),
]  # fmt: skip

SIZES = [
    Case("as many", raw(BINARY, b"x" * 1000), [Message(b"x" * 1000)]),
    refused("one more", raw(BINARY, b"x" * 1001), 1009),
    refused("one more is announced", raw(BINARY, b"x" * 1001)[:4], 1009),
    refused("very many more are announced", raw(BINARY, length=1 << 60, width=8)[:10], 1009),
    Case("as many in fragments", raw(BINARY, b"x" * 999, fin=False) + raw(CONTINUATION, b"x"),
         [Message(b"x" * 1000)]),
    refused("one more in fragments", raw(BINARY, b"x" * 999, fin=False) + raw(CONTINUATION, b"xx"),
            1009),
    refused("announced by a fragment", raw(BINARY, b"x" * 999, fin=False)
            + raw(CONTINUATION, b"x" * 200, fin=False)[:4], 1009),
    Case("bytes count, not characters", raw(TEXT, "€".encode() * 333), [Message("€" * 333)]),
    refused("the same, more", raw(TEXT, "€".encode() * 334), 1009),
    Case("nothing is allowed", raw(TEXT) + raw(PING, b"x"), [Message(""), Ping(b"x")],
         said=said(PONG, b"x"), size=0),
    refused("nothing is allowed, something comes", raw(TEXT, b"x"), 1009, size=0),
    Case("each by itself", raw(BINARY, b"x" * 900) * 2, [Message(b"x" * 900)] * 2),
]  # fmt: skip


# -- permessage-deflate (RFC 7692)

DEFLATE = Deflate()
ALONE = Deflate(receive_takeover=False)
#: 7.2.3.1 to 7.2.3.6
R_HELLO = b"\xf2\x48\xcd\xc9\xc9\x07\x00"
R_AGAIN = b"\xf2\x00\x11\x00\x00"
R_STORED = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"
R_FINAL = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
R_TWO_BLOCKS = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"


def deflated(data: bytes, level: int = 6) -> bytes:
    """A message by itself, compressed."""
    context = zlib.compressobj(level, zlib.DEFLATED, -15)
    return (context.compress(data) + context.flush(zlib.Z_SYNC_FLUSH))[:-4]


def packed(payload: bytes, opcode: int = TEXT) -> bytes:
    """A frame of what has been compressed."""
    return raw(opcode, payload, rsv=4)


#: 1 001 bytes and then no DEFLATE, and the same after less
SPOILT_LATE = bytes.fromhex("aaa81805a360140c7b0020")
SPOILT_EARLY = deflated(b"x" * 900)[:-1] + b"\xff\xff\xff"
BOMB = deflated(b"x" * 1_000_000)
DEFLATED = [
    Case(name, data, events, error, deflate=deflate)
    for name, data, events, error, deflate in [
        ("the RFC's", packed(R_HELLO), [HELLO], None, DEFLATE),
        ("with a reference to it", packed(R_HELLO) + packed(R_AGAIN),
         [HELLO, HELLO], None, DEFLATE),
        ("a reference that is not allowed", packed(R_HELLO) + packed(R_AGAIN),
         [HELLO], 1007, ALONE),
        ("each by itself", packed(R_HELLO) * 2, [HELLO, HELLO], None, ALONE),
        ("the RFC's, in fragments", raw(TEXT, R_HELLO[:3], rsv=4, fin=False)
         + raw(CONTINUATION, R_HELLO[3:]), [HELLO], None, DEFLATE),
        ("the RFC's, stored", packed(R_STORED), [HELLO], None, DEFLATE),
        ("the RFC's, with a final block", packed(R_FINAL), [HELLO], None, DEFLATE),
        ("final blocks in each", packed(R_FINAL) * 3, [HELLO] * 3, None, DEFLATE),
        ("a final block, then others", packed(R_FINAL) + packed(R_HELLO) + packed(R_AGAIN),
         [HELLO] * 3, None, DEFLATE),
        ("the RFC's, in two blocks", packed(R_TWO_BLOCKS), [HELLO], None, DEFLATE),
        ("empty", packed(b"\x00"), [Message("")], None, DEFLATE),
        ("no byte at all", packed(b""), [Message("")], None, DEFLATE),
        ("binary", packed(deflated(b"\xff\x00"), BINARY), [Message(b"\xff\x00")], None, DEFLATE),
        ("not compressed between", packed(R_HELLO) + raw(TEXT, b"x") + packed(R_AGAIN),
         [HELLO, Message("x"), HELLO], None, DEFLATE),
        ("a Ping between fragments", raw(TEXT, R_HELLO[:3], rsv=4, fin=False) + raw(PONG)
         + raw(CONTINUATION, R_HELLO[3:]), [Pong(b""), HELLO], None, DEFLATE),
        ("empty fragments", raw(TEXT, rsv=4, fin=False) + raw(CONTINUATION, R_HELLO, fin=False)
         + raw(CONTINUATION), [HELLO], None, DEFLATE),
        ("no DEFLATE", packed(b"\x07\xff\xff"), [], 1007, DEFLATE),
        ("no DEFLATE behind some", packed(R_HELLO) + packed(b"\x07\xff\xff"),
         [HELLO], 1007, DEFLATE),
        ("bad text", packed(deflated(b"ok\xffmore")), [], 1007, DEFLATE),
        ("half a character", packed(deflated(b"ok\xe2")), [], 1007, DEFLATE),
        ("as many", packed(deflated(b"x" * 1000), BINARY), [Message(b"x" * 1000)], None, DEFLATE),
        ("one more", packed(deflated(b"x" * 1001), BINARY), [], 1009, DEFLATE),
        ("one more, stored", packed(deflated(b"x" * 1001, 0), BINARY), [], 1009, DEFLATE),
        ("a bomb", packed(BOMB, BINARY), [], 1009, DEFLATE),
        ("a bomb before its end", packed(BOMB, BINARY)[:100], [], 1009, DEFLATE),
        ("bad text beyond the limit", packed(deflated(b"x" * 1001 + b"\xff" * 9)),
         [], 1009, DEFLATE),
        ("bad text before the limit", packed(deflated(b"\xff" + b"x" * 2000)), [], 1007, DEFLATE),
        ("half a character at the limit", packed(deflated(b"x" * 999 + b"\xe2\x82")),
         [], 1009, DEFLATE),
        ("bad text at the limit", packed(deflated(b"x" * 1000 + b"\xff")), [], 1007, DEFLATE),
        ("spoilt behind the limit", packed(SPOILT_LATE, BINARY), [], 1009, DEFLATE),
        ("spoilt before the limit", packed(SPOILT_EARLY, BINARY), [], 1007, DEFLATE),
        ("16 final blocks", packed(b"\x03\x00" * 16), [Message("")], None, DEFLATE),
        ("17 final blocks", packed(b"\x03\x00" * 17), [], 1007, DEFLATE),
        ("blocks made of nothing", packed(b"\x00\x00\x00\xff\xff" * 605), [], 1009, DEFLATE),
    ]
]  # fmt: skip

TABLES = {
    "messages": MESSAGES,
    "fragments": FRAGMENTS,
    "heads": HEADS,
    "control": CONTROL,
    "closes": CLOSES,
    "texts": TEXTS,
    "sizes": SIZES,
    "deflated": DEFLATED,
}
CASES = [case for table in TABLES.values() for case in table]

# What the tables are made with is right.
assert xor(b"\x7f\x9f\x4d\x51\x58") == b"Hello" and len(KEY) == 4
