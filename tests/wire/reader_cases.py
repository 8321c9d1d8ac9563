"""What the reader is given, and what it must make of it: one table per part of a message.

Statuses and rules are those of RFC 9110 and 9112 and of the advisories that servers before us had
to publish; the number of a CVE stands beside its input.
"""

from __future__ import annotations

from typing import Any

from reading import Case, end, error, head, status

from tornadoish.http1.limits import Limits
from tornadoish.http1.states import BODY, CLOSED, HEAD, LAST, SWITCHED

X = ("Host", "x")
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
TE = ("Transfer-Encoding", "chunked")
THE_GET = head("GET", "/", "HTTP/1.1", X)
THE_CHUNKED = head("POST", "/", "HTTP/1.1", X, TE)
SMALL = Limits(
    start_line_bytes=32,
    header_bytes=64,
    header_fields=3,
    body_bytes=10,
    chunk_line_bytes=8,
    trailer_bytes=20,
    trailer_fields=2,
    piece_bytes=4,
)


def request(name: str, line: str, *fields: str, **more: Any) -> Case:
    """A request that is fine and has no body."""
    data = "\r\n".join([line, *fields, "", ""]).encode("latin-1")
    pairs = [tuple(field.split(": ", 1)) for field in fields]
    state = more.pop("state", HEAD)
    return Case(name, data, [("head", tuple(line.split(" ")), pairs)], state, **more)


GOOD_REQUESTS = [
    Case("nothing", b"", [], HEAD),
    Case("an unfinished line", b"GET / HT", [], HEAD),
    Case("an unfinished head", GET, [], HEAD),
    Case("an unfinished head at a CR", GET + b"\r", [], HEAD),
    request("plain", "GET / HTTP/1.1", "Host: x"),
    request("any method token", "!#$%&'*+-.^_`|~09aZ / HTTP/1.1", "Host: x"),
    request("methods have case", "get / HTTP/1.1", "Host: x"),
    request("a long target", "GET /" + "a" * 200 + "?b=%zz HTTP/1.1", "Host: x"),
    request("absolute form", "GET http://h:80/a?b HTTP/1.1", "Host: x"),
    request("absolute form without a path", "GET https://h HTTP/1.1", "Host: x"),
    request("options *", "OPTIONS * HTTP/1.1", "Host: x"),
    request("connect", "CONNECT h:443 HTTP/1.1", "Host: h:443", state=LAST),
    request("1.0", "GET / HTTP/1.0", state=LAST),
    request("1.0 keep-alive", "GET / HTTP/1.0", "Connection: keep-alive"),
    request("1.0 Keep-Alive in a list", "GET / HTTP/1.0", "Connection: x, Keep-Alive"),
    request("1.1 close", "GET / HTTP/1.1", "Host: x", "Connection: close", state=LAST),
    request("1.1 close in a list", "GET / HTTP/1.1", "Host: x", "Connection: TE, Close",
            state=LAST),
    request("close wins", "GET / HTTP/1.0", "Connection: keep-alive, close", state=LAST),
    request("closed in two fields", "GET / HTTP/1.1", "Host: x", "Connection: a",
            "Connection: close",
            state=LAST),
    request("an unknown minor version", "GET / HTTP/1.7", "Host: x"),
    request("empty host", "GET / HTTP/1.1", "Host: "),
    request("an IPv6 host", "GET / HTTP/1.1", "Host: [::1]:80"),
    request("an address of the future", "GET / HTTP/1.1", "Host: [vA.x:y]"),
    request("the same expectation twice", "POST / HTTP/1.1", "Host: x", "Content-Length: 1",
            "Expect: 100-continue,,", "expect: 100-Continue", state=BODY),
    request("order and case of names", "GET / HTTP/1.1", "hOST: x", "b-C: 2", "A: 1", "b-c: 3"),
    request("a value with everything", "GET / HTTP/1.1", "Host: x", "A: !~\t\x80\x85\xa0\xff y"),
    request("an empty value", "GET / HTTP/1.1", "Host: x", "A: "),
    request("no length, no body", "POST / HTTP/1.1", "Host: x"),
    request("length 0", "POST / HTTP/1.1", "Host: x", "Content-Length: 0"),
    Case("white space around values", b"GET / HTTP/1.1\r\nHost:x\r\nA: \t 1 \t\r\nB:\t2\r\n\r\n",
         [head("GET", "/", "HTTP/1.1", X, ("A", "1"), ("B", "2"))], HEAD),
    Case("only white space", GET + b"A: \t \r\n\r\n",
         [head("GET", "/", "HTTP/1.1", X, ("A", ""))], HEAD),
    # RFC 9112, 2.2: at least one empty line before a request should be ignored.
    Case("an empty line before", b"\r\n" + GET + b"\r\n", [THE_GET], HEAD),
    Case("two in a row", (GET + b"\r\n") * 2, [THE_GET, THE_GET], HEAD),
    Case("an empty line between", GET + b"\r\n\r\n" + GET + b"\r\n", [THE_GET, THE_GET], HEAD),
    Case("three, the last one closes", (GET + b"\r\n") * 2 + GET + b"Connection: close\r\n\r\n",
         [THE_GET, THE_GET, head("GET", "/", "HTTP/1.1", X, ("Connection", "close"))], LAST),
    Case("same bytes, other version", GET + b"\r\n" + b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
         [THE_GET, head("GET", "/", "HTTP/1.0", X)], LAST),
    Case("a body of 5", POST + b"Content-Length: 5\r\n\r\nhello",
         [head("POST", "/", "HTTP/1.1", X, ("Content-Length", "5")), ("data", b"hello"), end()],
         HEAD),
    Case("half a body", POST + b"Content-Length: 5\r\n\r\nhel",
         [head("POST", "/", "HTTP/1.1", X, ("Content-Length", "5")), ("data", b"hel")], BODY),
    Case("a body on GET", GET + b"Content-Length: 2\r\n\r\nhi" + GET + b"\r\n",
         [head("GET", "/", "HTTP/1.1", X, ("Content-Length", "2")), ("data", b"hi"), end(),
          THE_GET], HEAD),
    # RFC 9112, 6.3: the framing of a request does not depend on its method (gunicorn 26).
    Case("a body on HEAD", b"HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
         [head("HEAD", "/", "HTTP/1.1", X, ("Content-Length", "2")), ("data", b"hi"), end()],
         HEAD),
    Case("a body on 1.0", b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
         [head("POST", "/", "HTTP/1.0", ("Content-Length", "2")), ("data", b"hi"), end()], LAST),
    Case("a body that looks like a request", POST
         + b"Content-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n",
         [head("POST", "/", "HTTP/1.1", X, ("Content-Length", "18")),
          ("data", b"GET / HTTP/1.1\r\n\r\n"), end()], HEAD),
    # The CR is the body's, and the LF no line end: nobody waits for more of what cannot be a head.
    Case("LF behind a body that ends in CR", POST + b"Content-Length: 1\r\n\r\n\r\nGET / HT",
         [head("POST", "/", "HTTP/1.1", X, ("Content-Length", "1")), ("data", b"\r"), end(),
          error()], CLOSED),
    Case("leading zeros", POST + b"Content-Length: 0002\r\n\r\nhi",
         [head("POST", "/", "HTTP/1.1", X, ("Content-Length", "0002")), ("data", b"hi"), end()],
         HEAD),
    Case("nothing behind CONNECT", b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n" + GET + b"\r\n",
         [head("CONNECT", "h:1", "HTTP/1.1", ("Host", "h:1"))], LAST),
]  # fmt: skip

CHUNKED_REQUESTS = [
    Case("no chunks", CHUNKED + b"0\r\n\r\n", [THE_CHUNKED, end()], HEAD),
    Case("chunks", CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
         [THE_CHUNKED, ("data", b"hello world"), end()], HEAD),
    Case("hexadecimal, both cases, zeros", CHUNKED
         + b"00a\r\n0123456789\r\nB\r\n0123456789a\r\n000\r\n\r\n",
         [THE_CHUNKED, ("data", b"01234567890123456789a"), end()], HEAD),
    Case("data that looks like framing", CHUNKED + b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
         [THE_CHUNKED, ("data", b"\r\n0\r\n\r\n"), end()], HEAD),
    Case("case of the coding", POST + b"transfer-encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n",
         [head("POST", "/", "HTTP/1.1", X, ("transfer-encoding", "CHUNKED")), ("data", b"a"),
          end()], HEAD),
    Case("extensions", CHUNKED + b'1;a\r\na\r\n1 ; b = "c;\xff"\r\nb\r\n0;end\r\n\r\n',
         [THE_CHUNKED, ("data", b"ab"), end()], HEAD),
    Case("trailers", CHUNKED + b"1\r\na\r\n0\r\nA: 1\r\nB:2 \r\n\r\n",
         [THE_CHUNKED, ("data", b"a"), end(("A", "1"), ("B", "2"))], HEAD),
    # RFC 9110, 6.5.1; aiohttp CVE-2025-53643
    Case("trailers that must not be", CHUNKED + b"0\r\nHost: y\r\nA: 1\r\ncontent-length: 5\r\n"
         b"Transfer-Encoding: chunked\r\nAuthorization: z\r\n\r\n",
         [THE_CHUNKED, end(("A", "1"))], HEAD),
    Case("in the size", CHUNKED + b"5", [THE_CHUNKED], BODY),
    Case("in the data", CHUNKED + b"5\r\nhe", [THE_CHUNKED, ("data", b"he")], BODY),
    Case("before the CRLF", CHUNKED + b"2\r\nhe\r", [THE_CHUNKED, ("data", b"he")], BODY),
    Case("before the trailers", CHUNKED + b"0\r\n", [THE_CHUNKED], BODY),
    Case("in the trailers", CHUNKED + b"0\r\nA: 1\r\n", [THE_CHUNKED], BODY),
    Case("the next request", CHUNKED + b"1\r\na\r\n0\r\n\r\n" + GET + b"\r\n",
         [THE_CHUNKED, ("data", b"a"), end(), THE_GET], HEAD),
]  # fmt: skip


def bad(name: str, data: bytes, code: int = 400, **more: Any) -> Case:
    """Refused before anybody hears of it."""
    return Case(name, data, [error(code)], CLOSED, **more)


BAD_LINES = [
    bad(repr(line), line + b"\r\nHost: x\r\n\r\n", code)
    for line, code in [
        (b"GET", 400),
        (b"GET /", 400),  # HTTP/0.9
        (b"GET  / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET /  HTTP/1.1", 400),
        (b"GET\t/ HTTP/1.1", 400),
        (b" GET / HTTP/1.1", 400),
        (b"\tGET / HTTP/1.1", 400),
        (b"GET / x HTTP/1.1", 400),
        (b"GET /\x00 HTTP/1.1", 400),
        (b"GET /\x7f HTTP/1.1", 400),
        (b"GET /\x80 HTTP/1.1", 400),
        (b"GET /\xa0 HTTP/1.1", 400),
        (b"GET /a#b HTTP/1.1", 400),
        (b"GET /\x0b HTTP/1.1", 400),
        (b"GET a HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"GET h:1 HTTP/1.1", 400),
        (b"CONNECT / HTTP/1.1", 400),
        (b"CONNECT h HTTP/1.1", 400),
        (b"CONNECT :1 HTTP/1.1", 400),
        (b"CONNECT h:x HTTP/1.1", 400),
        (b"GET http:/x HTTP/1.1", 400),  # aiohttp #13855
        (b"GET http:///x HTTP/1.1", 400),
        (b"GET http://:80/ HTTP/1.1", 400),  # RFC 9110, 4.2.1
        (b"GET http://h/a\\b@c HTTP/1.1".replace(b"h/", b"h\\"), 400),
        (b"GET http://a@b/ HTTP/1.1", 400),
        (b"GET ftp://h/ HTTP/1.1", 400),
        (b'G=":<>(e),[T];?" / HTTP/1.1', 400),
        (b"G\xc9T / HTTP/1.1", 400),
        (b"GET / HTTP/1.32", 400),
        (b"GET / HTTP/11", 400),
        (b"GET / HTTP/1.\xb2", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/", 400),
        (b"GET / ICE/1.1", 400),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/\r\r1.1", 400),
        (b"HTTP/1.1 200 OK", 400),
    ]
] + [
    bad("LF ends the line", b"GET / HTTP/1.1\nHost: x\r\n\r\n"),
    bad("only LF", b"GET / HTTP/1.1\nHost: x\n\n"),
    bad("LF first", b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    bad("CR first", b"\rGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    bad("two empty lines first", b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    bad("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    bad("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    bad("a version and more", b"GET / HTTP/2.0\r\nBad Field\r\n\r\n", 505),
    bad("behind a good one", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\x00")._replace(
        events=[THE_GET, error()]
    ),
]

BAD_FIELDS = [
    bad(repr(field), GET + field + b"\r\n\r\n")
    for field in [
        b"no colon",
        b": no name",
        b"name : x",  # llhttp CVE-2021-22959
        b"name\t: x",
        b"na me: x",
        b"n\xe9: x",
        b"n\xa0: x",
        b"n\x00: x",
        b'n"m: x',
        b"n(m): x",
        b"A: b\x00c",
        b"A: b\x01c",
        b"A: b\x7fc",
        b"A: b\x0bc",
        b"A: b\rc",  # llhttp CVE-2023-30589
        b"A: b\nc: d",
        b"A: b\r\n folded: c",
        b"A: b\r\n\tfolded: c",
        b"A: b\n folded",
        b"A: b\r\r",
        b"\x0bTransfer-Encoding: chunked",  # waitress CVE-2019-16789
    ]
] + [
    bad("a space first", b"GET / HTTP/1.1\r\n Host: x\r\n\r\n"),
    bad("CR LF CR and another", GET + b"\r" + b"X\r\n\r\n"),
    bad("LF LF at the end", GET[:-2] + b"\n\n"),
    bad("CR CR LF", GET + b"\r\r\n"),
    bad("long and then a control", GET + b"A: " + b"x" * 300 + b"\x10\r\n\r\n"),
    bad("no host", b"GET / HTTP/1.1\r\n\r\n"),
    bad("no host, some fields", b"GET / HTTP/1.1\r\nA: b\r\n\r\n"),
    bad("two hosts", GET + b"Host: x\r\n\r\n"),  # aiohttp CVE-2026-34525
    bad("two hosts, other case", GET + b"hOST: y\r\n\r\n"),
    bad("two hosts, 1.0", b"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n"),
    bad("two types", GET + b"Content-Type: a\r\nContent-Type: b\r\n\r\n"),
    *[
        bad(f"host {host!r}", b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        for host in (b"a/b", b"a/../b?c", b"a b", b"a,b:c", b"a@b", b"a\\b", b"a#", b"[::1", b"a:b",
                     b"[1]", b"[....]", b"[::1::]", b"[:::1]", b"[::1.2.3.400]", b"[::12345]",
                     b"[v.x]", b"%zz", b"\xe9", b'"', b"<x>", b"a:123456", b"x" * 600)
    ],
]  # fmt: skip

BAD_FRAMING = [
    *[
        bad(f"length {length!r}", POST + b"Content-Length: " + length + b"\r\n\r\n" + b"x" * 9)
        for length in (b"", b"+5", b"-0", b"-5", b"1_0", b"0x5", b"5 5", b"5, 5", b"5,", b"5;",
        b"1e1",
                       b"\xb2", b"\xd9\xa5", b"5.0", b"9" * 30, b"five", b"'5'")
    ],
    bad("two lengths", POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    bad("the same length twice", POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    bad("length and chunked", CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n0\r\n\r\n"),
    bad("chunked and length", POST
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello"),
    bad("chunked twice", CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    bad("chunked in 1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    *[
        bad(f"coding {coding!r}", POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n",
            code)
        for coding, code in [
            (b"", 400), (b",", 400), (b",chunked", 400), (b"chunked,", 400), (b"chunked, chunked",
            400),
            (b"xchunked", 400), (b"chunkedx", 400), (b"chunked;q=1", 400), (b"gzip, chunked", 400),
            (b"chunked, gzip", 400), (b"\xa0chunked", 400), (b"chunked\x85", 400), (b'"chunked"',
            400),
            (b"chun\xe9ked", 400), (b"gzip", 501), (b"identity", 501), (b"x", 501),
        ]
    ],
    bad("an expectation", POST + b"Content-Length: 1\r\nExpect: tea\r\n\r\na", 417),
]  # fmt: skip

BAD_CHUNKS = [
    Case(repr(rest), CHUNKED + rest, [THE_CHUNKED, *data, error(code)], CLOSED)
    for rest, data, code in [
        (b"\r\n", [], 400),
        (b"+5\r\nhello\r\n", [], 400),
        (b"-5\r\nhello\r\n", [], 400),
        (b" 5\r\nhello\r\n", [], 400),
        (b"5 \r\nhello\r\n", [], 400),
        (b"0x5\r\nhello\r\n", [], 400),
        (b"0_5\r\nhello\r\n", [], 400),
        (b"\xd9\xa5\r\nhello\r\n", [], 400),
        (b"g\r\n", [], 400),
        (b"5,\r\nhello\r\n", [], 400),
        (b"5\nhello\r\n0\r\n\r\n", [], 400),  # Go CVE-2025-22871
        (b"5\rhello\r\n", [], 400),
        (b"5\r\r;\r\n", [], 400),  # llhttp
        (b"5;a\nb\r\nhello\r\n", [], 400),  # aiohttp CVE-2024-52304
        (b"5;a\rb\r\nhello\r\n", [], 400),
        (b"5;a\x00\r\nhello\r\n", [], 400),
        (b"5\x00\r\nhello\r\n", [], 400),
        (b"ffffffffffffffff\r\n", [], 400),
        (b"fffffffffffffff\r\n", [], 413),
        (b"5\r\nhelloXX0\r\n\r\n", [("data", b"hello")], 400),  # h11 CVE-2025-43859
        (b"5\r\nhello\n0\r\n\r\n", [("data", b"hello")], 400),
        (b"5\r\nhello\rX", [("data", b"hello")], 400),
        (b"5\r\nhello world\r\n0\r\n\r\n", [("data", b"hello")], 400),
        (b"0\r\nXX", [], None),  # Puma: not yet known
        (b"0\r\nXX\r\n\r\n", [], 400),
        (b"0\r\nGET /SMUG HTTP/1.1\r\nHost: y\r\n\r\n", [], 400),
        (b"0\r\nA: b\n\r\n", [], 400),
        (b"0\r\n\n", [], 400),
        (b"0\r\nA : b\r\n\r\n", [], 400),
        (b"0\r\nA: b\r\n c\r\n\r\n", [], 400),
        (b"0\r\nA: \x00\r\n\r\n", [], 400),
    ]
    if code is not None
] + [Case("a trailer begun", CHUNKED + b"0\r\nXX", [THE_CHUNKED], BODY)]

BEYOND_LIMITS = [
    Case("a start line of 32", b"GET /" + b"a" * 18 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
         [head("GET", "/" + "a" * 18, "HTTP/1.1", X)], HEAD, SMALL),
    bad("a start line of 33", b"GET /" + b"a" * 19 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414,
        limits=SMALL),
    bad("a start line without end", b"GET /" + b"a" * 99, 414, limits=SMALL),
    bad("a long line, malformed early", b"GET / \x00" + b"a" * 99, 400, limits=SMALL),
    Case("a head of 64", GET + b"A: " + b"b" * 36 + b"\r\n\r\n",
         [head("GET", "/", "HTTP/1.1", X, ("A", "b" * 36))], HEAD, SMALL),
    bad("a head of 65", GET + b"A: " + b"b" * 37 + b"\r\n\r\n", 431, limits=SMALL),
    bad("a head without end", GET + b"A: " + b"b" * 99, 431, limits=SMALL),
    Case("three fields", GET + b"A: 1\r\nB: 2\r\n\r\n",
         [head("GET", "/", "HTTP/1.1", X, ("A", "1"), ("B", "2"))], HEAD, SMALL),
    bad("four fields", GET + b"A: 1\r\nB: 2\r\nC: 3\r\n\r\n", 431, limits=SMALL),
    Case("a body of 10", POST + b"Content-Length: 10\r\n\r\n0123456789",
         [head("POST", "/", "HTTP/1.1", X, ("Content-Length", "10")), ("data", b"0123456789"),
          end()], HEAD, SMALL),
    Case("a body of 11", POST + b"Content-Length: 11\r\n\r\n0123456789a",
         [head("POST", "/", "HTTP/1.1", X, ("Content-Length", "11")), error(413)], CLOSED, SMALL),
    Case("chunks of 10", CHUNKED + b"3\r\n012\r\n7\r\n3456789\r\n0\r\n\r\n",
         [THE_CHUNKED, ("data", b"0123456789"), end()], HEAD, SMALL),
    Case("chunks of 11", CHUNKED + b"3\r\n012\r\n8\r\n3456789a\r\n0\r\n\r\n",
         [THE_CHUNKED, ("data", b"012"), error(413)], CLOSED, SMALL),
    Case("a chunk line of 8", CHUNKED + b"1;123456\r\na\r\n0\r\n\r\n",
         [THE_CHUNKED, ("data", b"a"), end()], HEAD, SMALL),
    Case("a chunk line of 9", CHUNKED + b"1;1234567\r\na\r\n0\r\n\r\n",
         [THE_CHUNKED, error()], CLOSED, SMALL),
    Case("a chunk line without end", CHUNKED + b"0" * 99, [THE_CHUNKED, error()], CLOSED, SMALL),
    Case("extensions in bounds", CHUNKED + b"1;" + b"x" * 50 + b"\r\na\r\n0\r\n\r\n",
         [THE_CHUNKED, ("data", b"a"), end()], HEAD, Limits(chunk_excess_bytes=34)),
    Case("more extension than data", CHUNKED + b"1;" + b"x" * 51 + b"\r\na\r\n0\r\n\r\n",
         [THE_CHUNKED, error()], CLOSED, Limits(chunk_excess_bytes=34)),
    Case("extensions that add up", CHUNKED + (b"1;" + b"x" * 33 + b"\r\na\r\n") * 3,
         [THE_CHUNKED, ("data", b"aa"), error()], CLOSED, Limits(chunk_excess_bytes=34)),
    Case("trailers of 20", CHUNKED + b"0\r\nA: 1\r\nB: 23456789012\r\n\r\n",
         [THE_CHUNKED, end(("A", "1"), ("B", "23456789012"))], HEAD, SMALL),
    Case("trailers of 21", CHUNKED + b"0\r\nA: 1\r\nB: 234567890123\r\n\r\n",
         [THE_CHUNKED, error(431)], CLOSED, SMALL),
    Case("trailers without end", CHUNKED + b"0\r\nA: " + b"b" * 99,
         [THE_CHUNKED, error(431)], CLOSED, SMALL),
    Case("three trailers", CHUNKED + b"0\r\nA:1\r\nB:2\r\nC:3\r\n\r\n",
         [THE_CHUNKED, error(431)], CLOSED, SMALL),
]  # fmt: skip


def ok(*fields: tuple[str, str]) -> tuple[Any, ...]:
    return status(200, "OK", *fields)


def response(name: str, data: bytes, *events: tuple[Any, ...], **more: Any) -> Case:
    state = more.pop("state", HEAD)
    return Case(name, data, list(events), state, client=True, **more)


OK = b"HTTP/1.1 200 OK\r\n"
L2 = ("Content-Length", "2")
RESPONSES = [
    response("< nothing", b""),
    response("< a body", OK + b"Content-Length: 2\r\n\r\nhi", ok(L2), ("data", b"hi"), end()),
    response("< no body", OK + b"Content-Length: 0\r\n\r\n", ok(("Content-Length", "0"))),
    response("< no reason, no space", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
             status(200, "", ("Content-Length", "0"))),
    response("< no reason", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
             status(200, "", ("Content-Length", "0"))),
    response("< a reason in Latin-1", b"HTTP/1.1 404 Not \xe9 Found\r\nContent-Length: 0\r\n\r\n",
             status(404, "Not \xe9 Found", ("Content-Length", "0"))),
    response("< a status nobody knows", b"HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n",
             status(999, "x", ("Content-Length", "0"))),
    response("< close", OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
             ok(("Connection", "close"), L2), ("data", b"hi"), end(), state=LAST),
    response("< 1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
             ("head", ("HTTP/1.0", 200, "OK"), [L2]), ("data", b"hi"), end(), state=LAST),
    # RFC 9112, 6.1: its framing is taken as faulty, whatever it says of the connection.
    response("< 1.0, chunked", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
             b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             ("head", ("HTTP/1.0", 200, "OK"), [("Connection", "keep-alive"), TE]), end(),
             state=LAST),
    response("< until close", OK + b"\r\nhello", ok(), ("data", b"hello"), end(), state=LAST,
             eof=True),
    response("< until close, empty", OK + b"\r\n", ok(), end(), state=LAST, eof=True),
    response("< until close, not yet", OK + b"\r\nhello", ok(), ("data", b"hello"), state=BODY),
    response("< until close though it would live",
             b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nx",
             ("head", ("HTTP/1.0", 200, "OK"), [("Connection", "keep-alive")]), ("data", b"x"),
             end(), state=LAST, eof=True),
    response("< chunked", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: 1\r\n\r\n",
             ok(TE), ("data", b"hi"), end(("A", "1"))),
    response("< HEAD", OK + b"Content-Length: 2\r\n\r\n", ok(L2), method="HEAD"),
    response("< HEAD, chunked", OK + b"Transfer-Encoding: chunked\r\n\r\n", ok(TE), method="HEAD"),
    response("< 204", b"HTTP/1.1 204 No\r\n\r\n", status(204, "No")),
    response("< 304 with the length it would have", b"HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\n",
             status(304, "No", L2)),
    response("< CONNECT", b"HTTP/1.1 200 OK\r\n\r\n", ok(), method="CONNECT"),
    response("< CONNECT refused", b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", status(403,
             "No", L2),
             ("data", b"no"), end(), method="CONNECT"),
    response("< interim", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n"
             + OK + b"Content-Length: 2\r\n\r\nhi", status(100, "Continue"),
             status(103, "Hints", ("Link", "a")), ok(L2), ("data", b"hi"), end()),
    response("< switched", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
             status(101, "Switching", ("Upgrade", "x")), state=SWITCHED),
    response("< the same length twice", OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
             ok(L2, L2), ("data", b"hi"), end()),
    response("< the same length in a list", OK + b"Content-Length: 2, 2\r\n\r\nhi",
             ok(("Content-Length", "2, 2")), ("data", b"hi"), end()),
    # RFC 9112, 5.1: a proxy or client drops it. 5.2: obs-fold becomes a space.
    response("< space before the colon", OK + b"Content-Length : 2\r\n\r\nhi", ok(L2), ("data",
             b"hi"),
             end()),
    response("< folded", OK + b"A: b\r\n\t c\r\nContent-Length: 2\r\n\r\nhi", ok(("A", "b c"), L2),
             ("data", b"hi"), end()),
    # ... and every fault closes:
    response("< different lengths", OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n", error(),
             state=CLOSED),
    response("< a negative length", OK + b"Content-Length: -1\r\n\r\n", error(), state=CLOSED),
    response("< length and chunked", OK
             + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
             error(), state=CLOSED),
    response("< HTTP/2", b"HTTP/2.0 200 OK\r\n\r\n", error(505), state=CLOSED),
    response("< HTTP/2 and worse", b"HTTP/2.0 200 OK\r\nA: \x00\r\n\r\n", error(505),
             state=CLOSED),
    response("< no HTTP", b"ICY 200 OK\r\n\r\n", error(), state=CLOSED),
    response("< a request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", error(), state=CLOSED),
    response("< two digits", b"HTTP/1.1 20 OK\r\n\r\n", error(), state=CLOSED),
    response("< four digits", b"HTTP/1.1 2000 OK\r\n\r\n", error(), state=CLOSED),
    response("< status 099", b"HTTP/1.1 099 OK\r\n\r\n", error(), state=CLOSED),
    response("< other digits", b"HTTP/1.1 20\xb2 OK\r\n\r\n", error(), state=CLOSED),
    response("< NUL in the reason", b"HTTP/1.1 200 O\x00K\r\n\r\n", error(), state=CLOSED),
    response("< only LF", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", error(), state=CLOSED),
    response("< cut in the head", OK + b"Content-Le", error(), state=CLOSED, eof=True),
    response("< cut in the body", OK + b"Content-Length: 2\r\n\r\nh", ok(L2), ("data", b"h"),
             error(),
             state=CLOSED, eof=True),
    response("< cut in a chunk", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nh", ok(TE), ("data",
             b"h"),
             error(), state=CLOSED, eof=True),
    response("< cut before the last chunk", OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n",
             ok(TE),
             ("data", b"h"), error(), state=CLOSED, eof=True),
    response("< nothing came", b"", state=CLOSED, eof=True),
    response("< too much until close", b"HTTP/1.1 200 OK\r\n\r\n0123456789a", ok(),
             ("data", b"0123456789"), error(413), state=CLOSED, limits=SMALL),
]  # fmt: skip

CASES = [
    *GOOD_REQUESTS,
    *CHUNKED_REQUESTS,
    *BAD_LINES,
    *BAD_FIELDS,
    *BAD_FRAMING,
    *BAD_CHUNKS,
    *BEYOND_LIMITS,
    *RESPONSES,
]
