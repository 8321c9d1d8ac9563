"""What must be served, what ends a connection, and what stands behind a good request."""

from __future__ import annotations

from hostile.case import (
    CHUNKED,
    FIRST,
    GET,
    POST,
    SMUGGLED,
    Case,
    Others,
    Served,
    accepted,
    refused,
)

EITHER, EITHER_LAST = Others.EITHER, Others.EITHER_LAST
CL = b"Content-Length: %d\r\n" % len(SMUGGLED)
ROOT = Served("GET", "/")
HELLO = Served("POST", "/", b"hello")
A_REQUEST = Served("POST", "/", SMUGGLED)
THE_FIRST = Served("GET", "/first")

# ------------------------------------------------------- bodies that somebody may not see


def _with_body(id: str, method: str, *lines: bytes, target: str = "/") -> Case:
    """The body looks like a request: of any method, it is a body."""
    head = b"%b %b HTTP/1.1\r\nHost: x\r\n" % (method.encode(), target.encode())
    data = head + b"".join([line + b"\r\n" for line in lines]) + CL + b"\r\n" + SMUGGLED
    return accepted("connection", id, data, Served(method, target, SMUGGLED))


CONNECTION = [
    _with_body("gunicorn-26-body-on-HEAD", "HEAD"),
    _with_body("gunicorn-26-body-on-GET", "GET"),
    _with_body("gunicorn-26-body-on-DELETE", "DELETE"),
    _with_body("gunicorn-26-body-on-OPTIONS", "OPTIONS"),
    _with_body("gunicorn-26-body-on-an-upgrade", "POST", b"Connection: Upgrade", b"Upgrade: x"),
    _with_body("gunicorn-26-body-on-an-upgrade-by-GET", "GET", b"Connection: Upgrade",
               b"Upgrade: x"),
    _with_body("gunicorn-26-body-on-an-upgrade-without-Connection", "POST", b"Upgrade: x"),
    accepted("connection", "gunicorn-26-chunked-body-on-HEAD",
             CHUNKED.replace(b"POST", b"HEAD") + b"%x\r\n" % len(SMUGGLED) + SMUGGLED
             + b"\r\n0\r\n\r\n", Served("HEAD", "/", SMUGGLED)),
    accepted("connection", "gunicorn-26-chunked-body-on-an-upgrade",
             CHUNKED[:-2] + b"Connection: Upgrade\r\nUpgrade: x\r\n\r\n%x\r\n" % len(SMUGGLED)
             + SMUGGLED + b"\r\n0\r\n\r\n", A_REQUEST),
    # RFC 9110, 9.3.6: a tunnel begins behind CONNECT, or nothing.
    accepted("connection", "gunicorn-27-request-behind-CONNECT",
             b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n" + SMUGGLED, Served("CONNECT", "h:1"),
             others=EITHER_LAST, lives=False),
    accepted("connection", "gunicorn-27-garbage-behind-CONNECT",
             b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n\x16\x03\x01", Served("CONNECT", "h:1"),
             others=EITHER_LAST, lives=False),
    accepted("connection", "RFC9112-9.6-request-behind-the-last",
             GET + b"Connection: close\r\n\r\n" + SMUGGLED, ROOT, lives=False),
    accepted("connection", "RFC9112-9.6-garbage-behind-the-last",
             GET + b"Connection: close\r\n\r\n\x16\x03\x01garbage", ROOT, lives=False),
    accepted("connection", "RFC9112-9.6-request-behind-the-last-with-a-body",
             POST + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello" + SMUGGLED, HELLO,
             lives=False),
    accepted("connection", "RFC9112-9.6-close-in-a-list",
             GET + b"Connection: x, CLOSE\r\n\r\n" + SMUGGLED, ROOT, lives=False),
    accepted("connection", "RFC9112-9.6-close-in-a-second-field",
             GET + b"Connection: x\r\nConnection: close\r\n\r\n" + SMUGGLED, ROOT, lives=False),
    accepted("connection", "RFC9112-9.3-request-behind-1.0",
             b"GET / HTTP/1.0\r\nHost: x\r\n\r\n" + SMUGGLED, ROOT, lives=False),
    # RFC 9110, 10.1.1: an expectation that is not known may be answered with a 417.
    refused("connection", "RFC9110-10.1.1-unknown-expectation",
            POST + b"Expect: tea\r\nContent-Length: 5\r\n\r\nhello", 417, EITHER),
    accepted("connection", "CVE-2026-42544-subprotocol-that-is-no-text",
             GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: \x80\xff"
             b"\r\n\r\n", ROOT, others=EITHER),
]  # fmt: skip

# ------------------------------------------------------- errors behind good requests


def _behind(id: str, data: bytes, status: int = 400) -> Case:
    return refused("pipelining", id, FIRST + data, status, Others.REFUSE, THE_FIRST)


PIPELINING = [
    _behind("RFC9112-9.3.2-garbage", b"\x16\x03\x01garbage\r\n\r\n"),
    _behind("RFC9112-9.3.2-text", b"garbage\r\n\r\n"),
    _behind("RFC9112-9.3.2-malformed-request-line", b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n"),
    _behind("RFC9112-9.3.2-malformed-field", GET + b"A : b\r\n\r\n"),
    _behind("RFC9112-9.3.2-no-Host", b"GET / HTTP/1.1\r\n\r\n"),
    _behind("RFC9112-9.3.2-bad-Content-Length", POST + b"Content-Length: +5\r\n\r\nhello"),
    _behind("RFC9112-9.3.2-bad-chunk", CHUNKED + b"zz\r\n"),
    _behind("RFC9112-9.3.2-unknown-coding", POST + b"Transfer-Encoding: x\r\n\r\n", 501),
    _behind("RFC9112-9.3.2-version-2.0", b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    refused("pipelining", "RFC9112-9.3.2-garbage-behind-a-body",
            POST + b"Content-Length: 5\r\n\r\nhello\x00\r\n\r\n", 400, Others.REFUSE, HELLO),
    refused("pipelining", "RFC9112-9.3.2-garbage-behind-chunks",
            CHUNKED + b"5\r\nhello\r\n0\r\n\r\n\x00\r\n\r\n", 400, Others.REFUSE, HELLO),
    refused("pipelining", "RFC9112-9.3.2-garbage-behind-ten",
            FIRST * 10 + b"\x00\r\n\r\n", 400, Others.REFUSE, *[THE_FIRST] * 10),
    refused("pipelining", "RFC9112-6.3-body-longer-than-its-length",
            POST + b"Content-Length: 5\r\n\r\nhello world\r\n\r\n", 400, Others.REFUSE, HELLO),
    accepted("pipelining", "CVE-2026-54273-200-requests",
             b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(200)),
             *[Served("GET", f"/{n}") for n in range(200)]),
]  # fmt: skip

# ------------------------------------------------------- what must be taken


def _get(id: str, *lines: bytes, served: Served = ROOT, lives: bool = True,
         others: Others = Others.SERVE) -> Case:  # fmt: skip
    data = b"\r\n".join([*lines, b"", b""])
    return accepted("to be served", id, data, served, lives=lives, others=others)


def _posted(id: str, data: bytes, others: Others = Others.SERVE) -> Case:
    return accepted("to be served", id, data, HELLO, others=others)


LINE = b"GET / HTTP/1.1"
HOST = b"Host: x"
METHODS = ["PATCH", "PUT", "DELETE", "OPTIONS"]

GOOD = [
    _get("RFC9112-3-plain", LINE, HOST),
    _get("RFC9112-2.2-empty-line-before", b"", LINE, HOST),
    _get("RFC9112-3.2.2-absolute-form", b"GET http://h:80/a?b HTTP/1.1", HOST,
         served=Served("GET", "http://h:80/a?b")),
    _get("aiohttp-13821-absolute-form-of-another-scheme", b"GET https://h/a HTTP/1.1", HOST,
         served=Served("GET", "https://h/a")),
    _get("RFC9112-3.2.2-absolute-form-without-a-path", b"GET http://h HTTP/1.1", HOST,
         served=Served("GET", "http://h")),
    _get("RFC9112-3.2.4-asterisk-form", b"OPTIONS * HTTP/1.1", HOST,
         served=Served("OPTIONS", "*")),
    _get("RFC9112-3.2.1-long-target", b"GET /" + b"a" * 7000 + b" HTTP/1.1", HOST,
         served=Served("GET", "/" + "a" * 7000)),
    _get("RFC9112-3.2.1-percent", b"GET /%2e%2e/%00?a=%zz HTTP/1.1", HOST,
         served=Served("GET", "/%2e%2e/%00?a=%zz"), others=EITHER),
    # Not in the grammar of RFC 3986, and sent by clients all the same.
    _get("RFC3986-2-odd-characters", b'GET /"<>\\^`{|} HTTP/1.1', HOST,
         served=Served("GET", '/"<>\\^`{|}'), others=EITHER),
    _get("RFC9110-9.1-any-method", b"!#$%&'*+-.^_`|~09aZ / HTTP/1.1", HOST,
         served=Served("!#$%&'*+-.^_`|~09aZ", "/"), others=EITHER),
    _get("RFC9112-2.3-unknown-minor-version", b"GET / HTTP/1.9", HOST, others=EITHER),
    _get("RFC9112-9.3-1.0", b"GET / HTTP/1.0", HOST, lives=False),
    _get("RFC9112-3.2-1.0-without-Host", b"GET / HTTP/1.0", lives=False),
    _get("RFC9112-9.3-1.0-keep-alive", b"GET / HTTP/1.0", HOST, b"Connection: keep-alive"),
    _get("RFC9112-9.3-1.0-Keep-Alive-in-a-list", b"GET / HTTP/1.0", HOST,
         b"Connection: x, Keep-Alive"),
    _get("RFC9112-9.3-1.1-keep-alive", LINE, HOST, b"Connection: keep-alive"),
    _get("RFC9112-5.1-no-white-space", LINE, b"Host:x", b"A:b"),
    _get("RFC9110-5.6.3-white-space-around-values", LINE, b"Host: \t x \t ", b"A:\tb\t"),
    _get("RFC9110-5.6.3-much-white-space", LINE, HOST, b"A:" + b" " * 2000 + b"b" + b" " * 2000),
    _get("RFC9110-5.5-empty-value", LINE, HOST, b"A:", b"B: "),
    _get("RFC9110-5.5-obs-text", LINE, HOST, b"A: \x80\x85\xa0\xe9\xff"),
    _get("RFC9112-2.2-NEL-is-no-line-end", LINE, HOST, b"A: b\x85Content-Length: 5"),
    _get("RFC9110-5.5-tab-within", LINE, HOST, b"A: b\tc"),
    _get("RFC9110-5.1-any-token", LINE, HOST, b"!#$%&'*+-.^_`|~09aZ: b"),
    _get("RFC9110-5.1-names-in-any-case", LINE, b"hOsT: x", b"accept: a"),
    _get("RFC9110-5.3-lists-in-several-fields", LINE, HOST, b"Accept: a", b"Accept: b",
         b"Cookie: a=b", b"Cookie: c=d"),
    _get("RFC9110-5.4-60-fields", LINE, HOST, *[b"A%d: b" % n for n in range(60)]),
    _get("RFC9110-7.2-IPv6-host", LINE, b"Host: [::1]:80"),
    _get("RFC9110-7.2-host-with-port", LINE, b"Host: a.example:8080"),
    _get("RFC9110-7.2-empty-host", LINE, b"Host:"),
    _posted("RFC9110-8.6-length", POST + b"Content-Length: 5\r\n\r\nhello"),
    _posted("RFC9110-8.6-leading-zeros", POST + b"Content-Length: 0005\r\n\r\nhello"),
    _posted("RFC9110-8.6-white-space", POST + b"Content-Length: \t5 \r\n\r\nhello"),
    # Another name, whatever CGI makes of it. (gunicorn refuses underscores or drops them.)
    _posted("gunicorn-26.2-underscore-for-a-dash",
            POST + b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", EITHER),
    accepted("to be served", "RFC9110-8.6-zero", POST + b"Content-Length: 0\r\n\r\n",
             Served("POST", "/")),
    accepted("to be served", "RFC9112-6.3-no-length", POST + b"\r\n", Served("POST", "/")),
    *[
        accepted("to be served", f"RFC9110-9.3-{method}",
                 POST.replace(b"POST", method.encode()) + b"Content-Length: 5\r\n\r\nhello",
                 Served(method, "/", b"hello"))
        for method in METHODS
    ],
    accepted("to be served", "RFC9112-6.2-body-that-looks-like-a-request",
             POST + CL + b"\r\n" + SMUGGLED, A_REQUEST),
    accepted("to be served", "RFC9112-7.1-chunk-that-looks-like-a-request",
             CHUNKED + b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n", A_REQUEST),
    accepted("to be served", "RFC9112-7.1-chunk-that-looks-like-chunks",
             CHUNKED + b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", Served("POST", "/", b"\r\n0\r\n\r\n")),
    accepted("to be served", "RFC9112-7.1-no-chunks", CHUNKED + b"0\r\n\r\n", Served("POST", "/")),
    _posted("RFC9112-7.1-chunks", CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
    _posted("RFC9112-7.1-leading-zeros", CHUNKED + b"0005\r\nhello\r\n000\r\n\r\n"),
    accepted("to be served", "RFC9112-7.1-hexadecimal-in-both-cases",
             CHUNKED + b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
             Served("POST", "/", b"01234567890123456789")),
    _posted("RFC9112-7-coding-in-any-case",
            POST + b"TRANSFER-ENCODING: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    _posted("RFC9112-7-coding-with-white-space",
            POST + b"Transfer-Encoding:\t chunked \t\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    _posted("RFC9112-7.1.1-extension", CHUNKED + b"5;a\r\nhello\r\n0;b\r\n\r\n"),
    _posted("RFC9112-7.1.1-extension-with-value", CHUNKED + b"5;a=b;c\r\nhello\r\n0\r\n\r\n"),
    _posted("RFC9112-7.1.1-quoted-extension",
            CHUNKED + b'5;a="b;c\\" d"\r\nhello\r\n0\r\n\r\n'),
    _posted("RFC9112-7.1.1-extension-with-white-space",
            CHUNKED + b"5 ; a = b\r\nhello\r\n0 ;c\r\n\r\n", EITHER),
    _posted("RFC9112-7.1.2-trailers", CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\nC:d \r\n\r\n"),
    # RFC 9110, 6.5.1: not merged; whether they are refused is up to a server (gunicorn does).
    _posted("CVE-2025-53643-trailers-that-must-not-be",
            CHUNKED + b"5\r\nhello\r\n0\r\nHost: y\r\nContent-Length: 9\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n", EITHER),
    _posted("RFC9110-10.1.1-expectation",
            POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
    _posted("RFC9110-10.1.1-expectation-in-any-case",
            POST + b"Expect: 100-Continue\r\nContent-Length: 5\r\n\r\nhello"),
    accepted("to be served", "RFC9110-10.1.1-expectation-without-a-body",
             GET + b"Expect: 100-continue\r\n\r\n", ROOT),
    accepted("to be served", "RFC9112-2.2-empty-line-behind-a-body",
             POST + b"Content-Length: 5\r\n\r\nhello\r\n" + FIRST, HELLO, THE_FIRST),
    accepted("to be served", "RFC9112-9.3.2-pipelined",
             FIRST + POST + b"Content-Length: 5\r\n\r\nhello" + CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"
             + FIRST, THE_FIRST, HELLO, HELLO, THE_FIRST),
    accepted("to be served", "RFC9112-9.3.2-the-last-of-three",
             FIRST * 2 + GET + b"Connection: close\r\n\r\n", THE_FIRST, THE_FIRST, ROOT,
             lives=False),
]  # fmt: skip
