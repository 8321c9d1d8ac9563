"""Request lines and targets that are none."""

from __future__ import annotations

from hostile.case import POST, SMUGGLED, Case, Others, refused

EITHER, EITHER_LAST, REFUSE = Others.EITHER, Others.EITHER_LAST, Others.REFUSE


def _line(id: str, line: bytes, status: int = 400, others: Others = REFUSE) -> Case:
    return refused("request line", id, line + b"\r\nHost: x\r\n\r\n", status, others)


def _target(id: str, line: bytes, others: Others = REFUSE) -> Case:
    return refused("target", id, line + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400, others)


LINES = [
    _line("RFC9112-3-no-target", b"GET"),
    _line("RFC9112-3-no-method", b" / HTTP/1.1"),
    _line("RFC9112-3-nothing-but-spaces", b"  "),
    _line("RFC9112-3-four-words", b"GET / x HTTP/1.1"),
    _line("RFC9112-3-LF-as-separator", b"GET\n/ HTTP/1.1"),
    _line("RFC9112-3-LF-before-version", b"GET /\nHTTP/1.1"),
    # RFC 9112, 3: a server MAY split the line at any white space instead, CR and controls included.
    _line("RFC9112-3-two-spaces", b"GET  / HTTP/1.1", 400, EITHER),
    _line("RFC9112-3-two-spaces-before-version", b"GET /  HTTP/1.1", 400, EITHER),
    _line("RFC9112-3-space-before-method", b" GET / HTTP/1.1", 400, EITHER),
    _line("RFC9112-3-space-behind-version", b"GET / HTTP/1.1 ", 400, EITHER),
    _line("RFC9112-3-tab-as-separator", b"GET\t/ HTTP/1.1", 400, EITHER),
    _line("RFC9112-3-tab-before-version", b"GET /\tHTTP/1.1", 400, EITHER),
    _line("RFC9112-3-VT-as-separator", b"GET\x0b/ HTTP/1.1", 400, EITHER),
    _line("RFC9112-3-FF-as-separator", b"GET /\x0cHTTP/1.1", 400, EITHER),
    _line("RFC9112-3-CR-as-separator", b"GET\r/ HTTP/1.1", 400, EITHER),
    _line("RFC9112-3-NBSP-as-separator", b"GET\xa0/ HTTP/1.1"),
    _line("RFC9112-3-NEL-behind-version", b"GET / HTTP/1.1\x85"),
    _line("RFC9110-9.1-method-that-is-no-token", b'G=":<>(e),[T];?" / HTTP/1.1'),
    _line("RFC9110-9.1-method-with-colon", b"GET: / HTTP/1.1"),
    _line("RFC9110-9.1-method-with-NUL", b"G\x00ET / HTTP/1.1"),
    _line("RFC9110-9.1-method-with-8-bit", b"G\xc9T / HTTP/1.1"),
    _line("RFC9110-9.1-method-in-brackets", b"[GET] / HTTP/1.1"),
    _line("RFC9112-2.3-version-0.9-without-version", b"GET /"),
    _line("RFC9112-2.3-version-0.9", b"GET / HTTP/0.9", 505),
    _line("RFC9112-2.3-version-2.0", b"GET / HTTP/2.0", 505),
    _line("RFC9112-2.3-version-3.0", b"GET / HTTP/3.0", 505),
    _line("RFC9112-2.3-version-1.32", b"GET / HTTP/1.32"),
    _line("RFC9112-2.3-version-01.1", b"GET / HTTP/01.1"),
    _line("RFC9112-2.3-version-1", b"GET / HTTP/1"),
    _line("RFC9112-2.3-version-1.", b"GET / HTTP/1."),
    _line("RFC9112-2.3-version-11", b"GET / HTTP/11"),
    _line("RFC9112-2.3-version-1.1x", b"GET / HTTP/1.1x"),
    _line("RFC9112-2.3-version-+1.1", b"GET / HTTP/+1.1"),
    _line("RFC9112-2.3-version--1.1", b"GET / HTTP/-1.1"),
    _line("RFC9112-2.3-version-1,1", b"GET / HTTP/1,1"),
    _line("RFC9112-2.3-version-in-lower-case", b"GET / http/1.1"),
    _line("RFC9112-2.3-version-with-CRs", b"GET / HTTP/\r\r1.1"),
    _line("RFC9112-2.3-version-with-space", b"GET / HTTP/ 1.1"),
    _line("RFC9112-2.3-another-protocol", b"GET / ICY/1.1"),
    _line("RFC9112-2.3-no-slash", b"GET / HTTP1.1"),
    _line("CVE-2025-69225-version-in-Arabic-digits", "GET / HTTP/1.\u0661".encode()),
    _line("CVE-2025-69225-version-with-superscript", b"GET / HTTP/1.\xb9"),
    # RFC 9112, 2.2: one empty line is to be ignored, and a server may ignore more.
    refused("request line", "RFC9112-2.2-two-empty-lines-before",
            b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, EITHER),
    refused("request line", "RFC9112-2.2-CR-before", b"\rGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            400, EITHER),
    refused("request line", "RFC9112-3-TLS-where-none-is",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) + b"\r\n\r\n"),
    refused("request line", "RFC9112-3-SSH", b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    refused("request line", "RFC9112-3-PROXY-line", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n"
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    refused("request line", "RFC9112-3-response-line", b"HTTP/1.1 200 OK\r\nHost: x\r\n\r\n"),
    refused("request line", "RFC9112-3-zeros", bytes(100) + b"\r\n\r\n"),
    # Some speak HTTP/2 on the same port: not comparable.
    refused("request line", "RFC9113-3.4-preface-of-HTTP-2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, only_ours=True),
]  # fmt: skip

TARGETS = [
    _target("RFC9112-3.2-relative", b"GET foo"),
    _target("RFC9112-3.2-dot", b"GET ."),
    _target("RFC9112-3.2-query-only", b"GET ?a"),
    _target("RFC9112-3.2-backslash", b"GET \\foo"),
    _target("RFC9112-3.2.4-asterisk-and-GET", b"GET *"),
    _target("RFC9112-3.2.4-asterisk-and-POST", b"POST *"),
    _target("RFC9112-3.2.4-asterisk-and-more", b"OPTIONS *a"),
    _target("RFC9112-3.2.3-authority-form-and-GET", b"GET h:1"),
    _target("RFC9112-3.2.3-CONNECT-and-a-path", b"CONNECT /"),
    _target("RFC9112-3.2.3-CONNECT-without-port", b"CONNECT h"),
    _target("RFC9112-3.2.3-CONNECT-with-empty-port", b"CONNECT h:"),
    _target("RFC9112-3.2.3-CONNECT-without-host", b"CONNECT :1"),
    _target("RFC9112-3.2.3-CONNECT-with-a-port-of-letters", b"CONNECT h:x"),
    _target("RFC9112-3.2.3-CONNECT-with-userinfo", b"CONNECT a@h:1"),
    _target("RFC9112-3.2.3-CONNECT-and-a-URL", b"CONNECT http://h:1/"),
    _target("aiohttp-13855-no-authority", b"GET http:/x"),
    _target("aiohttp-13855-empty-authority", b"GET http:///x"),
    _target("aiohttp-13855-no-slashes", b"GET http:x"),
    _target("aiohttp-13855-nothing-but-scheme", b"GET http://"),
    _target("aiohttp-13855-empty-host-with-port", b"GET http://:80/"),
    _target("aiohttp-13855-query-for-host", b"GET http://?a"),
    # RFC 9110, 7.4: whether it serves another scheme is up to a server.
    _target("RFC9110-7.4-another-scheme", b"GET ftp://h/", EITHER),
    # RFC 9110, 4.2.4: SHOULD be treated as an error.
    _target("RFC9110-4.2.4-userinfo", b"GET http://a@b/", EITHER),
    _target("RFC9112-3.2.2-space-in-authority", b"GET http://a b/"),
    _target("RFC9112-3.2.2-bad-port", b"GET http://h:x/"),
    _target("RFC9112-3.2.2-open-bracket", b"GET http://[::1/"),
    _target("RFC9112-3.2.2-backslash-in-authority", b"GET http://a\\b/"),
    _target("RFC9112-3.2-fragment", b"GET /a#b"),
    _target("RFC9112-3.2-space", b"GET /a b"),
    _target("RFC9112-3.2-tab", b"GET /a\tb"),
    _target("RFC9112-3.2-NUL", b"GET /a\x00b"),
    _target("RFC9112-3.2-SOH", b"GET /a\x01b"),
    _target("RFC9112-3.2-VT", b"GET /a\x0bb"),
    _target("RFC9112-3.2-ESC", b"GET /a\x1b[31mb"),
    _target("RFC9112-3.2-DEL", b"GET /a\x7fb"),
    _target("RFC9112-3.2-CR", b"GET /a\rb"),
    _target("RFC9112-3.2-LF", b"GET /a\nb"),
    _target("RFC9112-3.2-0x80", b"GET /\x80"),
    _target("RFC9112-3.2-NBSP", b"GET /\xa0"),
    _target("RFC9112-3.2-0xE9", b"GET /\xe9"),
    _target("RFC9112-3.2-UTF-8", "GET /\u00e9".encode()),
    refused("target", "RFC9112-3.2-line-in-the-target",
            b"GET / HTTP/1.1\r\n\x00 HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED),
    refused("target", "RFC9112-3.2.3-authority-form-and-POST",
            POST.replace(b" / ", b" h:1 ") + b"Content-Length: 0\r\n\r\n"),
]  # fmt: skip
