"""The table of requests: what is asked, and what has to become of it.

``expected`` is what ours must tell, at least; and Tornado's own client over its own modules must
come to the very same, unless ``tornado`` says what it comes to instead, and ``why`` ours differs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from client.fetching import Site
from client.pages import digest, pattern

#: who serves: ours, Tornado's, and somebody else's
SERVERS = ("tornadoish", "tornado", "h11")
#: for what is about the client more than the server
TWO_SERVERS = ("tornadoish", "h11")
#: for what does not depend on the server, because it sends given bytes
ONE_SERVER = ("h11",)
#: the cases without a server
ALONE = "alone"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One scenario: a request for ``path``, or whatever ``act`` does."""

    name: str
    expected: Any
    #: what Tornado's modules make of it, if that differs; and why ours differs
    tornado: Any = None
    why: str = ""
    servers: tuple[str, ...] = SERVERS
    #: how many things are logged as warnings or errors
    logged: int = 0
    #: whether Tornado's modules are asked at all
    compared: bool = True
    path: str = ""
    over: str = "http"
    options: dict[str, Any] = field(default_factory=dict)
    client: dict[str, Any] = field(default_factory=dict)
    act: Callable[[Site], Awaitable[Any]] | None = None

    async def run(self, site: Site) -> Any:
        if self.act is not None:
            return await self.act(site)
        return await site.fetch(self.path, over=self.over, client=self.client, **self.options)


HI = {"code": 200, "body": "hi"}
GONE = {"raised": "HTTPStreamClosedError"}
BYTES_100_000 = {"code": 200, "body": digest(pattern(100_000))}


def case(
    name: str,
    path: str,
    expected: Any,
    *,
    over: str = "http",
    client: dict[str, Any] | None = None,
    **options: Any,
) -> Case:
    """A request with options of Tornado's ``HTTPRequest``."""
    return Case(
        name=name, path=path, expected=expected, over=over, client=client or {}, options=options
    )


def post(name: str, body: bytes | str, path: str = "/echo", **options: Any) -> Case:
    """A POST whose body arrives."""
    data = body.encode() if isinstance(body, str) else body
    seen = {"method": "POST", "body": digest(data), "fields": [["Content-Length", str(len(data))]]}
    return case(name, path, {"code": 200, "seen": seen}, method="POST", body=body, **options)


def raw(name: str, expected: Any, tornado: Any = None, why: str = "") -> Case:
    """An answer given byte by byte."""
    return Case(
        name=f"raw {name}",
        path=f"/raw?name={name}",
        expected=expected,
        tornado=tornado,
        why=why,
        servers=ONE_SERVER,
    )


def seen(method: str, body: str = "", **more: Any) -> dict[str, Any]:
    return {"code": 200, "seen": {"method": method, "body": body, **more}}


REQUESTS = [
    case("plain", "/plain", {
        "code": 200, "body": "hello",
        "fields": [["X-One", "1"], ["X-Two", "2"], ["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]],
    }),
    case("echo", "/echo?a=1&b=%20", seen("GET", target="/echo?a=1&b=%20", fields=[
        ["Host", "127.0.0.1:PORT"], ["Connection", "close"], ["X-Mine", "yes"], ["Accept", "*/*"],
        ["Accept-Encoding", "gzip"],
    ]), headers={"X-Mine": "yes", "accept": "*/*"}),
    case("credentials", "/echo", seen("GET", fields=[["Authorization", "Basic bWU6cMOk"]]),
         auth_username="me", auth_password="pa\u0308"),
    case("user agent", "/echo", seen("GET", fields=[["User-Agent", "x/1"]]), user_agent="x/1"),
    case("not found", "/nowhere", {"code": 404, "body": "no such page"}),
    case("error", "/status?code=500", {"code": 500, "body": "of status"}),
    case("large", "/bytes?n=1000000", {"code": 200, "body": digest(pattern(1_000_000))}),
    case("no content", "/status?code=204", {"code": 204, "body": ""}),
    case("not modified", "/status?code=304", {"code": 304, "fields": [["X-Status", "304"]]}),
    case("chunks", "/chunks?size=3&count=3", {"code": 200, "body": digest(pattern(3) * 3)}),
    case("many chunks", "/chunks?size=5000&count=100",
         {"code": 200, "body": digest(pattern(5000) * 100)}),
    case("head", "/plain", {"code": 200, "body": "", "fields": [["Content-Length", "5"]]},
         method="HEAD"),
    case("head of chunks", "/chunks?size=3&count=2", {"code": 200, "body": ""}, method="HEAD"),
    case("head of gzip", "/gzip?how=whole", {"code": 200, "body": ""}, method="HEAD"),
    post("post", b"hello"),
    post("post nothing", b""),
    post("post text", "h\xe9llo"),
    post("post much", bytes(1_000_000)),
    case("put", "/echo", seen("PUT", "x"), method="PUT", body=b"x"),
    case("patch", "/echo", seen("PATCH", "x"), method="PATCH", body=b"x"),
    case("delete", "/echo", seen("DELETE"), method="DELETE"),
    case("options", "/echo", seen("OPTIONS"), method="OPTIONS"),
    case("other method", "/echo", seen("PURGE"), method="PURGE", allow_nonstandard_methods=True),
    case("get with body", "/echo", seen("GET", "x"), body=b"x", allow_nonstandard_methods=True),
    case("post without body", "/echo", {"raised": "ValueError"}, method="POST"),
    case("unknown method", "/echo", {"raised": "KeyError"}, method="PURGE"),
    case("interface", "/plain", {"code": 200}, network_interface="127.0.0.1"),
    case("no interface", "/plain", {"raised": "ValueError"}, network_interface="eth0"),
    case("mapped host", "/echo", seen("GET"), over="localhost",
         client={"hostname_mapping": {"localhost": "127.0.0.1"}}),
    case("ipv6", "/echo", seen("GET", fields=[["Host", "[::1]:PORT"]]), over="http6"),
    case("no ipv6", "/echo", seen("GET"), over="localhost", allow_ipv6=False),
    case("either ip", "/echo", seen("GET"), over="localhost"),
]  # fmt: skip

CONTINUE: dict[str, Any] = {"method": "POST", "expect_100_continue": True}
CONTINUES = [
    post("continue", b"hello", "/guarded", expect_100_continue=True),
    post("continue with much", bytes(1_000_000), "/guarded", expect_100_continue=True),
    case("continue refused", "/guarded", {"code": 403, "body": "keep it"},
         body=b"hello", headers={"X-Refuse": "403"}, **CONTINUE),
    case("expectation failed", "/guarded", {"code": 417, "body": "keep it"},
         body=b"hello", headers={"X-Refuse": "417"}, **CONTINUE),
]  # fmt: skip

UNPACKED = {**BYTES_100_000, "fields": [["X-Consumed-Content-Encoding", "gzip"]]}
GZIP = [
    case("gzip", "/gzip?how=whole", UNPACKED),
    case("gzip in chunks", "/gzip?how=chunks", UNPACKED),
    case("gzip in members", "/gzip?how=members", {"code": 200, "body": "one two"}),
    case("gzip of nothing", "/gzip?how=nothing", {"code": 200, "body": ""}),
    case("gzip cut", "/gzip?how=cut", GONE),
    case("gzip that is none", "/gzip?how=garbage", GONE),
    case("gzip of too much", "/gzip?how=whole", GONE, client={"max_body_size": 99_999}),
    case("other coding", "/gzip?how=deflate",
         {"code": 200, "fields": [["Content-Encoding", "deflate"]]}),
    case("gzip kept", "/gzip?how=whole", {"code": 200, "fields": [["Content-Encoding", "gzip"]]},
         decompress_response=False),
    Case(name="x-gzip", path="/gzip?how=x-gzip", expected=BYTES_100_000, tornado={"code": 200},
         why="x-gzip is gzip (RFC 9110, 8.4.1.3)"),
]  # fmt: skip

THREE_AWAY = "/redirect?code=302&to=%3Fcode=302%26to=%253Fcode=302%2526to=/echo"
REDIRECTS = [
    case(f"{code} {method}", f"/redirect?code={code}&to=/echo",
         # A HEAD stays one; a POST becomes a GET, but for 307 and 308 (RFC 9110, 15.4).
         {"code": 200, "url": "http://127.0.0.1:PORT/echo", "body": ""} if method == "HEAD"
         else seen("POST", "x") if method == "POST" and code > 303
         else seen("GET"),
         method=method, body=b"x" if method == "POST" else None)
    for code in (301, 302, 303, 307, 308)
    for method in ("GET", "POST", "HEAD")
] + [
    case("relative", "/redirect?code=302&to=echo%3Fa=1", seen("GET", target="/echo?a=1")),
    case("three redirects", THREE_AWAY, seen("GET"), max_redirects=3),
    case("too many redirects", THREE_AWAY, {"code": 302}, max_redirects=2),
    case("no redirects", "/redirect?code=302&to=/echo",
         {"code": 302, "body": "elsewhere", "fields": [["Location", "/echo"]]},
         follow_redirects=False),
    case("max_redirects=0", "/redirect?code=302&to=/echo", {"code": 302}, max_redirects=0),
    case("redirect to nowhere", "/redirect?code=302", {"code": 302, "body": "elsewhere"}),
    case("redirect to ftp", "/redirect?code=302&to=ftp://127.0.0.1/", {"raised": "ValueError"}),
    case("redirect over tls", "/redirect?code=302&to=/echo", seen("GET"), over="https"),
]  # fmt: skip

LIMITS = [
    case("max_body_size", "/bytes?n=100", {"code": 200}, client={"max_body_size": 100}),
    case("beyond max_body_size", "/bytes?n=101", GONE, client={"max_body_size": 100}),
    case("max_body_size in chunks", "/chunks?size=50&count=2", {"code": 200},
         client={"max_body_size": 100}),
    case("beyond max_body_size in chunks", "/chunks?size=50&count=3", GONE,
         client={"max_body_size": 100}),
    case("max_body_size until close", "/raw?name=until-close", BYTES_100_000,
         client={"max_body_size": 100_000}),
    case("beyond max_body_size until close", "/raw?name=until-close", GONE,
         client={"max_body_size": 99_999}),
    case("beyond max_buffer_size", "/bytes?n=100001", GONE, client={"max_buffer_size": 100_000}),
    case("max_header_size", "/raw?name=large-head", HI, client={"max_header_size": 70_000}),
    Case(name="beyond max_header_size", path="/raw?name=large-head", expected=GONE,
         client={"max_header_size": 60_000}, tornado={"raised": "UnsatisfiableReadError"},
         why="what the peer does wrong is an HTTPClientError, like every other limit"),
]  # fmt: skip

TOLERANT = "a response as tolerant as the RFC allows"
RAW_GOOD = [
    raw("http10", {"code": 200, "body": "until the end"}),
    raw("http10-length", HI),
    raw("until-close", BYTES_100_000),
    raw("until-close-empty", {"code": 200, "body": ""}),
    raw("no-reason", HI),
    raw("no-reason-no-space", HI, GONE, "a space that is often forgotten (RFC 9112, 4)"),
    raw("other-reason", {"code": 299, "reason": "Quite so, n\xe9e", "body": "hi"}),
    raw("latin-1", {**HI, "fields": [["X-Name", "\xe9\xff"]]}),
    raw("no-space", {**HI, "fields": [["X-Name", "tight"], ["X-Empty", ""]]}),
    raw("extensions", {"code": 200, "body": "hi ho"}, GONE, "RFC 9112, 7.1.1"),
    raw("trailers", HI, GONE, "RFC 9112, 7.1.2"),
    raw("upper-case-chunks", {"code": 200, "body": "0123456789"}),
    raw("same-length-twice", HI, HI, "the fields are shown as they came"),
    raw("empty-line-first", HI),
    raw("folded", {**HI, "fields": [["X-Fold", "one two"]]}, GONE, "RFC 9112, 5.2"),
    raw("space-before-colon", HI, GONE, TOLERANT),
    raw("many-fields", HI),
    raw("more-behind", HI),
    raw("early", HI),
    raw("early-for-ever", GONE),
    raw("204", {"code": 204, "body": ""}),
    raw("204-length", {"code": 204, "body": ""}, GONE, "has no body whatever it says (9112, 6.3)"),
    raw("304-length", {"code": 304, "body": "", "fields": [["Content-Length", "2"]]}),
    raw("switching", {"code": 101, "body": ""}, GONE, "no HTTP follows (RFC 9110, 15.2.2)"),
]
RAW_CUT = [
    raw(name, GONE)
    for name in (
        "nothing", "cut-line", "cut-head", "cut-body", "cut-size", "cut-chunk", "cut-chunks",
        "cut-end", "cut-early",
    )
]  # fmt: skip
RAW_BAD = [
    raw(name, GONE)
    for name in (
        "garbage", "tls-alert", "http2", "no-code", "no-colon", "nul", "two-lengths", "no-length",
        "plus-length", "length-and-chunked", "other-coding", "no-size", "minus-size",
        "longer-chunk", "chunks-without-cr",
    )
] + [
    raw("lines-without-cr", GONE, HI, "a bare LF is never taken"),
]  # fmt: skip

VERIFY_FAILED = {"raised": "SSLCertVerificationError"}
TLS = [
    case("tls", "/plain", {"code": 200, "body": "hello"}, over="https"),
    post("tls post", bytes(1_000_000), over="https"),
    case("tls large", "/bytes?n=1000000", {"code": 200, "body": digest(pattern(1_000_000))},
         over="https"),
    case("tls chunks", "/chunks?size=5000&count=100",
         {"code": 200, "body": digest(pattern(5000) * 100)}, over="https"),
    case("tls head", "/plain", {"code": 200, "body": ""}, over="https", method="HEAD"),
    case("tls continue", "/guarded", seen("POST", "hello"), over="https", body=b"hello",
         **CONTINUE),
    case("tls cut", "/raw?name=cut-body", GONE, over="https"),
    Case(name="tls unknown authority", path="/plain", over="https", options={"ca_certs": None},
         expected=VERIFY_FAILED, servers=ONE_SERVER),
    Case(name="tls unverified", path="/plain", over="https", expected={"code": 200},
         options={"ca_certs": None, "validate_cert": False}, servers=ONE_SERVER),
]  # fmt: skip

# Not Tornado's server, which ends connections without TLS's closure alert: that such a response is
# incomplete (RFC 9112, 8) uvloop knows and asyncio does not.
TLS_UNTIL_CLOSE = Case(name="tls until close", path="/raw?name=until-close", over="https",
                       expected=BYTES_100_000, servers=TWO_SERVERS)  # fmt: skip

UNWRITABLE = [
    Case(name="space in the path", path="/ec ho", expected={"raised": "HTTPOutputError"},
         servers=ONE_SERVER, tornado=GONE, why="no request line (RFC 9112, 3): it stays unwritten"),
    Case(name="text in the path", path="/\xe9", expected={"raised": "HTTPOutputError"},
         servers=ONE_SERVER, tornado=GONE, why="no request target (RFC 9112, 3.2)"),
    Case(name="line end in a field", path="/echo", options={"headers": {"X": "a\r\nb"}},
         expected={"raised": "HTTPInputError"}, servers=ONE_SERVER,
         tornado={"raised": "ValueError"}, why="HTTPHeaders does not take it"),
]  # fmt: skip

REQUEST_CASES = [
    *(REQUESTS + CONTINUES + TLS),
    *(replace(case, servers=TWO_SERVERS) for case in GZIP + REDIRECTS + LIMITS),
    *(RAW_GOOD + RAW_CUT + RAW_BAD + UNWRITABLE),
    TLS_UNTIL_CLOSE,
]
