"""Two ideas of where a body ends: lengths, transfer codings, and both at once."""

from __future__ import annotations

from hostile.case import CHUNKED, GET, POST, SMUGGLED, Case, Others, refused, with_trap

EITHER, EITHER_LAST, REFUSE = Others.EITHER, Others.EITHER_LAST, Others.REFUSE
WAIT = Others.WAIT
CHUNK = b"5\r\nhello\r\n0\r\n\r\n"
NO_CHUNKS = b"0\r\n\r\n"


def _length(id: str, value: bytes, body: bytes, others: Others = REFUSE) -> Case:
    """``body`` is what a lenient reader takes the body to be."""
    head = POST + b"Content-Length:" + value + b"\r\n\r\n"
    return refused("Content-Length", id, with_trap(head + body, others), 400, others)


def _two_lengths(id: str, one: bytes, two: bytes, others: Others = REFUSE) -> Case:
    head = POST + b"Content-Length: %b\r\nContent-Length: %b\r\n\r\n" % (one, two)
    return refused("Content-Length", id, with_trap(head + b"hello", others), 400, others)


HELLO = b"hello"
TEN = b"0123456789"

LENGTHS = [
    _length("CVE-2023-47627-plus-sign", b" +5", HELLO),
    _length("CVE-2023-47627-minus-zero", b" -0", b""),
    _length("CVE-2023-47627-minus-five", b" -5", b""),
    _length("CVE-2023-47627-underscore", b" 1_0", TEN),
    _length("CVE-2024-23829-hexadecimal", b" 0x5", HELLO),
    _length("CVE-2024-23829-octal", b" 0o5", HELLO),
    _length("CVE-2024-23829-hexadecimal-digit", b" a", TEN),
    _length("gunicorn-3047-two-words", b" 5 5", HELLO),
    _length("gunicorn-3047-fraction", b" 5.0", HELLO),
    _length("gunicorn-3047-exponent", b" 1e1", TEN),
    _length("gunicorn-3047-quoted", b' "5"', HELLO),
    _length("GHSA-qppv-j76h-2rpx-plus-and-zeros", b" +005", HELLO),
    _length("GHSA-qppv-j76h-2rpx-many-underscores", b" 0_0_5", HELLO),
    _length("CVE-2022-24761-plus-and-minus", b" +-5", b""),
    _length("CVE-2022-24761-empty", b"", b""),
    _length("CVE-2022-24761-nothing-but-spaces", b"  ", b""),
    _length("CVE-2022-24761-letters", b" five", HELLO),
    _length("CVE-2022-24761-semicolon", b" 5;a", HELLO),
    _length("CVE-2025-69224-Arabic-digit", " \u0665".encode(), HELLO),
    _length("CVE-2025-69224-fullwidth-digit", " \uff15".encode(), HELLO),
    _length("CVE-2025-69224-superscript", b" \xb2", b"hi"),
    _length("CVE-2025-69224-NBSP-within", b" 5\xa0", HELLO),
    _length("CVE-2025-69224-vertical-tab", b" \x0b5", HELLO),
    _length("RFC9110-8.6-NUL", b" 5\x00", HELLO),
    _length("RFC9110-8.6-two-lengths-in-one", b" 5, 6", HELLO),
    _length("RFC9110-8.6-empty-member", b" 5,", HELLO),
    _length("RFC9110-8.6-empty-member-first", b" ,5", HELLO),
    # RFC 9110, 8.6: the same number again may be taken as one.
    _length("RFC9110-8.6-the-same-in-a-list", b" 5, 5", HELLO, EITHER),
    _two_lengths("CVE-2019-16792-the-same-length-twice", b"5", b"5", EITHER),
    _two_lengths("CVE-2019-16792-two-lengths", b"5", b"6"),
    _two_lengths("CVE-2019-16792-zero-and-five", b"0", b"5"),
    _two_lengths("CVE-2019-16792-five-and-zero", b"5", b"0"),
    _two_lengths("CVE-2019-16792-other-digits", b"5", b"05", EITHER),
    _two_lengths("CVE-2019-16792-length-and-empty", b"5", b""),
    _two_lengths("CVE-2019-16792-length-and-text", b"5", b"x"),
    refused("Content-Length", "CVE-2019-16792-two-lengths-in-other-case",
            POST + b"Content-Length: 0\r\ncontent-length: 5\r\n\r\n" + SMUGGLED),
    refused("Content-Length", "CVE-2019-16792-two-lengths-on-GET",
            GET + b"Content-Length: 0\r\nContent-Length: 35\r\n\r\n" + SMUGGLED),
    refused("Content-Length", "RFC9110-8.6-23-digits",
            POST + b"Content-Length: 99999999999999999999999\r\n\r\nhello", 400, WAIT),
    refused("Content-Length", "RFC9110-8.6-5000-digits",
            POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nhello"),
    refused("Content-Length", "RFC9110-15.5.14-body-larger-than-allowed",
            POST + b"Content-Length: 999999999999999\r\n\r\nhello", 413, only_ours=True),
]  # fmt: skip


def _coding(id: str, value: bytes, status: int = 400, others: Others = REFUSE) -> Case:
    """Nothing but this field says where the body ends."""
    head = POST + b"Transfer-Encoding: " + value + b"\r\n\r\n"
    return refused("Transfer-Encoding", id, with_trap(head + NO_CHUNKS, others), status, others)


def _both(id: str, lines: bytes, others: Others = REFUSE) -> list[Case]:
    """``lines`` hide a transfer coding, and Content-Length contradicts it.

    Once so that whoever believes the coding finds a request behind the body, and once so that
    whoever believes the length does.
    """
    believed = NO_CHUNKS + SMUGGLED
    size_line = b"%x\r\n" % len(SMUGGLED)
    disbelieved = size_line + SMUGGLED + b"\r\n" + NO_CHUNKS
    return [
        refused(
            "Transfer-Encoding", f"{id}-{name}",
            POST + b"Content-Length: %d\r\n" % length + lines + b"\r\n\r\n" + body, 400, others,
        )
        for name, length, body in (
            ("CL-covers-all", len(believed), believed),
            ("CL-covers-a-line", len(size_line), disbelieved),
        )
    ]  # fmt: skip


TE = b"Transfer-Encoding: "
CODINGS = [
    # RFC 9112, 6.1: a server may process the chunks if it closes the connection behind them.
    *_both("CVE-2023-47641-CL-and-TE", TE + b"chunked", EITHER_LAST),
    *_both("nginx-2021-CL-and-TE-in-lower-case", b"transfer-encoding: chunked", EITHER_LAST),
    *_both("hyper-8f93123-CL-and-TE-in-capitals", b"TRANSFER-ENCODING: CHUNKED", EITHER_LAST),
    *_both("gunicorn-empty-member-first", TE + b",chunked", EITHER_LAST),
    *_both("Pound-empty-members", TE + b", ,chunked,", EITHER_LAST),
    *_both("CVE-2024-6827-xchunked", TE + b"xchunked"),
    *_both("CVE-2024-6827-chunkedx", TE + b"chunkedx"),
    *_both("CVE-2024-6827-identity", TE + b"identity"),
    *_both("CVE-2022-32213-chunkedchunked", TE + b"chunkedchunked"),
    *_both("CVE-2024-1135-chunked-not-last", TE + b"chunked, identity"),
    *_both("CVE-2024-1135-two-fields", TE + b"chunked\r\n" + TE + b"identity"),
    *_both("CVE-2024-1135-two-fields-chunked-last", TE + b"identity\r\n" + TE + b"chunked"),
    *_both("GHSA-753j-mpmx-qq6g-NBSP", TE + b"\xa0chunked"),
    *_both("GHSA-753j-mpmx-qq6g-NEL", TE + b"chunked\x85"),
    *_both("CVE-2019-16789-VT", TE + b"\x0bchunked"),
    *_both("CVE-2019-16789-FF", TE + b"chunked\x0c"),
    *_both("CVE-2019-16789-VT-before-the-name", b"\x0b" + TE + b"chunked"),
    *_both("CVE-2019-16786-gzip-and-chunked", TE + b"gzip, chunked"),
    *_both("CVE-2021-22959-space-before-the-colon", b"Transfer-Encoding : chunked"),
    *_both("CVE-2022-32214-LF-before", b"A: b\n" + TE + b"chunked", EITHER_LAST),
    *_both("CVE-2022-32215-obs-fold", TE.rstrip() + b"\r\n chunked", EITHER_LAST),
    *_both("CVE-2023-30589-CR-before", b"A: b\r" + TE + b"chunked"),
    *_both("RFC9110-5.1-NUL-behind-the-name", b"Transfer-Encoding\x00: chunked"),
    *_both("RFC9112-6.1-parameter", TE + b"chunked;q=1"),
    *_both("RFC9112-6.1-quoted", TE + b'"chunked"'),
    *_both("RFC9112-6.1-empty", TE.rstrip()),
    _coding("CVE-2024-1135-chunked-not-last", b"chunked, identity"),
    _coding("CVE-2024-1135-chunked-before-gzip", b"chunked, gzip"),
    _coding("CVE-2024-1135-chunked-twice", b"chunked, chunked"),
    _coding("GHSA-753j-mpmx-qq6g-two-fields", b"chunked\r\nTransfer-Encoding: chunked"),
    _coding("GHSA-753j-mpmx-qq6g-two-fields-one-of-them-empty", b"chunked\r\nTransfer-Encoding:"),
    _coding("GHSA-753j-mpmx-qq6g-NBSP", b"\xa0chunked"),
    _coding("GHSA-753j-mpmx-qq6g-NEL", b"chunked\x85"),
    _coding("GHSA-753j-mpmx-qq6g-NEL-and-a-space", b"chunked\x85 "),
    _coding("CVE-2019-16789-VT", b"\x0bchunked"),
    _coding("CVE-2019-16786-gzip-and-chunked", b"gzip, chunked"),
    _coding("CVE-2024-6827-xchunked", b"xchunked"),
    _coding("CVE-2022-32213-chunkedchunked", b"chunkedchunked"),
    _coding("RFC9112-6.1-8-bit-within", b"chun\xe9ked"),
    _coding("RFC9112-6.1-Kelvin", "chun\u212aed".encode()),
    _coding("RFC9112-6.1-parameter", b"chunked;q=1"),
    _coding("RFC9112-6.1-quoted", b'"chunked"'),
    _coding("RFC9112-6.1-empty", b""),
    _coding("RFC9112-6.1-gzip", b"gzip", 501),
    _coding("RFC9112-6.1-identity", b"identity", 501),
    _coding("RFC9112-6.1-unknown", b"x", 501),
    # RFC 9110, 5.6.1.2: empty members of a list are to be ignored; here somebody may not know.
    _coding("gunicorn-empty-member-first", b",chunked", 400, EITHER),
    _coding("gunicorn-empty-member-last", b"chunked,", 400, EITHER),
    _coding("gunicorn-nothing-but-a-comma", b","),
    # RFC 9112, 6.1: framing that is faulty; served or not, the connection ends behind it.
    refused("Transfer-Encoding", "RFC9112-6.1-chunked-in-1.0",
            b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            + NO_CHUNKS + SMUGGLED, 400, EITHER_LAST),
    refused("Transfer-Encoding", "RFC9112-6.1-chunked-in-1.0-keep-alive",
            b"POST / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked"
            b"\r\n\r\n" + NO_CHUNKS + SMUGGLED, 400, EITHER_LAST),
]  # fmt: skip


def _chunks(id: str, body: bytes, status: int = 400, others: Others = REFUSE) -> Case:
    return refused("chunks", id, with_trap(CHUNKED + body, others), status, others)


def _size(id: str, line: bytes, data: bytes = b"hello", others: Others = REFUSE) -> Case:
    """A size line that is none; ``data`` is as much as a lenient reader takes it for."""
    return _chunks(id, line + b"\r\n" + data + b"\r\n" + NO_CHUNKS, 400, others)


LINE = b"GET /smuggled HTTP/1.1\r\n"
CHUNKS = [
    _chunks("CVE-2025-43859-chunk-data-not-followed-by-CRLF", b"5\r\nhelloXX" + NO_CHUNKS),
    _chunks("CVE-2025-43859-chunk-data-longer-than-its-size", b"5\r\nhello w\r\n" + NO_CHUNKS),
    _chunks("CVE-2025-43859-chunk-data-shorter-than-its-size", b"5\r\nhel\r\n" + NO_CHUNKS),
    _chunks("CVE-2025-43859-LF-behind-the-data", b"5\r\nhello\n" + NO_CHUNKS),
    _chunks("CVE-2025-43859-CR-and-another-behind-the-data", b"5\r\nhello\rX" + NO_CHUNKS),
    _chunks("CVE-2025-43859-nothing-behind-the-data", b"5\r\nhello" + NO_CHUNKS),
    _chunks("CVE-2025-43859-CR-CR-behind-the-data", b"5\r\nhello\r\r" + NO_CHUNKS),
    _chunks("CVE-2025-43859-two-line-ends-behind-the-data", b"5\r\nhello\r\n\r\n" + NO_CHUNKS),
    _chunks("CVE-2025-43859-two-bytes-and-a-hidden-size",
            b"5\r\nhelloXX2\r\n%x\r\n" % (len(SMUGGLED) + 5) + NO_CHUNKS),
    _size("CVE-2023-47627-chunk-size-plus-sign", b"+5"),
    _size("CVE-2023-47627-chunk-size-minus-sign", b"-5"),
    _size("CVE-2023-47627-chunk-size-underscore", b"0_2e", b"x" * 46),
    _size("CVE-2024-23829-chunk-size-0x", b"0x5"),
    _size("CVE-2024-23829-chunk-size-0X-in-capitals", b"0X5"),
    _size("gunicorn-3047-chunk-size-space-before", b" 5"),
    _size("gunicorn-3047-chunk-size-tab-before", b"\t5"),
    _size("gunicorn-3047-chunk-size-space-within", b"1 0", b"x" * 16),
    # Not in the grammar, but once sent by many; nobody takes it for another size.
    _size("RFC9112-7.1-chunk-size-space-behind", b"5 ", others=EITHER),
    _size("RFC9112-7.1-chunk-size-tab-behind", b"5\t", others=EITHER),
    _size("RFC9112-7.1-chunk-size-no-size", b"", b""),
    _size("RFC9112-7.1-chunk-size-no-size-but-an-extension", b";a", b""),
    _size("RFC9112-7.1-chunk-size-no-hexadecimal", b"g"),
    _size("RFC9112-7.1-chunk-size-h-behind", b"5h"),
    _size("RFC9112-7.1-chunk-size-comma-behind", b"5,a"),
    _size("RFC9112-7.1-chunk-size-word-behind", b"5 a"),
    _size("RFC9112-7.1-chunk-size-quote", b'"5"'),
    _size("RFC9112-7.1-chunk-size-NUL-behind", b"5\x00"),
    _size("RFC9112-7.1-chunk-size-VT-before", b"\x0b5"),
    _size("RFC9112-7.1-chunk-size-NBSP-behind", b"5\xa0"),
    _size("CVE-2025-69224-chunk-size-Arabic-digit", "\u0665".encode()),
    _size("CVE-2025-69224-chunk-size-fullwidth-digit", "\uff15".encode()),
    _size("CVE-2025-69224-chunk-size-superscript", b"\xb2", b"hi"),
    _size("CVE-2024-52304-chunk-size-LF-in-an-extension", b"5;a\nb"),
    _chunks("CVE-2024-52304-LF-ends-the-last-chunk-s-extension", b"0;a\n\r\n"),
    _chunks("CVE-2024-52304-LF-in-the-last-chunk-s-extension",
            b"0;a\n" + LINE + b"Host: x\r\n\r\n"),
    _size("gunicorn-3556-chunk-size-CR-in-an-extension", b"5;a\rb"),
    _size("gunicorn-3556-chunk-size-CR-at-the-end-of-an-extension", b"5;a\r"),
    _size("CVE-2025-58056-chunk-size-NUL-in-an-extension", b"5;a\x00b"),
    _size("CVE-2025-58056-chunk-size-DEL-in-an-extension", b"5;a\x7fb", others=EITHER),
    _chunks("CVE-2025-58056-LF-ends-the-size-line", b"5;\nhello\r\n" + NO_CHUNKS),
    _chunks("CVE-2025-58056-request-behind-LF",
            b"2;\nxx\r\n%x\r\n0\r\n\r\n" % len(SMUGGLED) + SMUGGLED),
    _chunks("CVE-2025-22871-LF-behind-the-size", b"5\nhello\r\n" + NO_CHUNKS),
    _chunks("CVE-2025-22871-LF-behind-the-last-size", b"0\n\r\n"),
    _chunks("CVE-2025-22871-LF-everywhere", b"5\nhello\n0\n\n"),
    _chunks("CVE-2025-22871-CR-behind-the-size", b"5\rhello\r\n" + NO_CHUNKS),
    _chunks("llhttp-CR-CR-behind-the-size", b"5\r\r;\r\nhello\r\n" + NO_CHUNKS),
    _chunks("llhttp-CR-CR-LF-behind-the-size", b"5\r\r\nhello\r\n" + NO_CHUNKS),
    _chunks("RFC9112-7.1-17-digits", b"fffffffffffffffff\r\nhello\r\n" + NO_CHUNKS, 400, WAIT),
    _chunks("RFC9112-7.1-17-digits-that-wrap-to-5",
            b"10000000000000005\r\nhello\r\n" + NO_CHUNKS, 400, WAIT),
    _chunks("RFC9112-7.1-33-digits-that-wrap-to-5",
            b"100000000000000000000000000000005\r\nhello\r\n" + NO_CHUNKS, 400, WAIT),
    _chunks("RFC9112-7.1-request-where-a-size-is-due", b""),
    _chunks("RFC9112-7.1-request-behind-a-chunk", b"5\r\nhello\r\n"),
    _chunks("RFC9112-7.1-line-end-where-a-size-is-due", b"\r\n" + CHUNK),
    refused("chunks", "RFC9110-15.5.14-chunk-larger-than-allowed",
            CHUNKED + b"fffffffffffffff\r\nhello", 413, only_ours=True),
    # Nobody has to answer before the line ends; we do not wait for what cannot become a size.
    *[
        refused("chunks", f"RFC9112-7.1-no-size-line-however-it-ends-{name}", CHUNKED + line,
                only_ours=True)
        for name, line in (("letters", b"zz"), ("sign", b"-"), ("17-digits", b"f" * 17),
                           ("word", b"5 a"), ("control", b"5;a\x00"), ("CR", b"5\r5"))
    ],
]  # fmt: skip


def _trailers(id: str, section: bytes, others: Others = REFUSE) -> Case:
    data = CHUNKED + b"5\r\nhello\r\n0\r\n" + section
    return refused("trailers", id, with_trap(data, others), 400, others)


TRAILERS = [
    # No field line has no colon; who drops the lines unseen is not deceived, but no request it is.
    _trailers("CVE-2025-53643-request-for-trailers", LINE + b"Host: x\r\n\r\n", EITHER),
    _trailers("CVE-2025-53643-request-and-fields", b"A: b\r\n" + LINE + b"\r\n", EITHER),
    _trailers("CVE-2025-53643-LF-before-a-request", b"A: b\n\n"),
    _trailers("CVE-2025-53643-CR-before-a-request", b"A: b\r\r\n\r\n"),
    _trailers("Puma-text-for-trailers", b"XX\r\n\r\n", EITHER),
    _trailers("Puma-text-before-the-empty-line", b"XX" + SMUGGLED, EITHER),
    _trailers("sanic-LF-for-the-empty-line", b"\n"),
    _trailers("sanic-CR-for-the-empty-line", b"\rX\r\n\r\n"),
    _trailers("RFC9112-7.1.2-LF-behind-a-trailer", b"A: b\nB: c\r\n\r\n", EITHER),
    _trailers("RFC9112-7.1.2-space-before-the-colon", b"A : b\r\n\r\n", EITHER),
    _trailers("RFC9112-7.1.2-no-colon", b"A\r\n\r\n", EITHER),
    _trailers("RFC9112-7.1.2-empty-name", b": b\r\n\r\n", EITHER),
    _trailers("RFC9112-7.1.2-8-bit-name", b"\xe9: b\r\n\r\n", EITHER),
    _trailers("RFC9112-7.1.2-obs-fold", b"A: b\r\n c\r\n\r\n", EITHER),
    _trailers("RFC9112-7.1.2-space-before-the-first-trailer", b" A: b\r\n\r\n", EITHER),
    _trailers("RFC9112-7.1.2-NUL", b"A: b\x00c\r\n\r\n", EITHER),
    _trailers("RFC9112-7.1.2-CR", b"A: b\rc\r\n\r\n", EITHER),
    _trailers("RFC9112-7.1.2-DEL", b"A: b\x7fc\r\n\r\n", EITHER),
]
