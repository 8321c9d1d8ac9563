"""Field lines that are none, line ends that are none, and hosts that nobody can be."""

from __future__ import annotations

from hostile.case import FAR_TOO_MANY, GET, POST, SMUGGLED, Case, Others, refused, with_trap

EITHER, REFUSE = Others.EITHER, Others.REFUSE
CL5 = b"Content-Length: 5\r\n"


def _field(id: str, line: bytes, others: Others = REFUSE) -> Case:
    return refused("fields", id, GET + line + b"\r\n\r\n", 400, others)


def _posted(group: str, id: str, lines: bytes, others: Others = REFUSE) -> Case:
    """Five bytes of a body, and behind them what is no request for who sees them as that."""
    data = POST + lines + b"\r\n\r\nhello"
    return refused(group, id, with_trap(data, others), 400, others)


FIELDS = [
    _field("CVE-2021-22959-space-before-the-colon", b"Name : x"),
    _field("CVE-2021-22959-tab-before-the-colon", b"Name\t: x"),
    _posted("fields", "CVE-2021-22959-space-behind-Content-Length", b"Content-Length : 5"),
    _posted("fields", "CVE-2021-22959-tab-behind-Content-Length", b"Content-Length\t: 5"),
    refused("fields", "CVE-2021-22959-space-behind-Transfer-Encoding",
            POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED),
    refused("fields", "CVE-2021-22959-space-behind-Host",
            b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
    _field("RFC9112-5-no-colon", b"no colon"),
    _field("RFC9112-5-no-colon-no-space", b"nocolon"),
    _field("RFC9110-5.1-empty-name", b": x"),
    _field("RFC9110-5.1-nothing-but-a-colon", b":"),
    _field("RFC9110-5.1-name-with-space", b"na me: x"),
    _field("RFC9110-5.1-name-with-NUL", b"na\x00me: x"),
    _field("RFC9110-5.1-name-with-VT", b"name\x0b: x"),
    _field("RFC9110-5.1-name-with-0xE9", b"nam\xe9: x"),
    _field("RFC9110-5.1-name-with-NBSP", b"name\xa0: x"),
    _field("RFC9110-5.1-name-with-NEL", b"name\x85: x"),
    _field("RFC9110-5.1-name-in-UTF-8", "nam\u00e9: x".encode()),
    *[
        _field(f"RFC9110-5.1-name-with-{char.hex()}", b"X" + char + b"y" + char + b": x")
        for char in (b'"', b"(", b")", b",", b"/", b";", b"<", b"=", b"@", b"[", b"\\", b"{")
    ],
    _field("RFC9110-5.5-NUL", b"A: b\x00c"),
    # RFC 9110, 5.5: controls other than CR, LF and NUL may be retained where that is safe.
    _field("RFC9110-5.5-SOH", b"A: b\x01c", EITHER),
    _field("RFC9110-5.5-BS", b"A: b\x08c", EITHER),
    _field("RFC9110-5.5-VT", b"A: b\x0bc", EITHER),
    _field("RFC9110-5.5-ESC", b"A: b\x1b[31mc", EITHER),
    _field("RFC9110-5.5-US", b"A: b\x1fc", EITHER),
    _field("RFC9110-5.5-DEL", b"A: b\x7fc", EITHER),
    _field("RFC9110-5.5-NUL-at-the-end", b"A: b\x00"),
    _field("RFC9110-5.5-nothing-but-NUL", b"A: \x00"),
    _field("CVE-2020-5236-control-behind-many-x", b"Bad-header: " + b"x" * 7000 + b"\x10", EITHER),
    _field("CVE-2020-5236-NUL-behind-many-spaces", b"A: " + b" \t" * 3000 + b"\x00"),
    # RFC 9112, 5.2: refused, or each fold replaced by spaces.
    _field("RFC9112-5.2-obs-fold", b"A: b\r\n c", EITHER),
    _field("RFC9112-5.2-obs-fold-with-tab", b"A: b\r\n\tc", EITHER),
    _field("RFC9112-5.2-obs-fold-of-nothing", b"A: b\r\n ", EITHER),
    _field("RFC9112-5.2-obs-fold-before-the-value", b"A:\r\n b", EITHER),
    _field("RFC9112-5.2-folded-field-line", b"A: b\r\n Content-Length: 5", EITHER),
    _posted("fields", "RFC9112-5.2-obs-fold-in-Content-Length", b"Content-Length:\r\n 5", EITHER),
    refused("fields", "CVE-2022-32215-obs-fold-in-Transfer-Encoding",
            POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, EITHER),
    refused("fields", "CVE-2022-32215-obs-fold-behind-Transfer-Encoding",
            POST + b"Transfer-Encoding: chunked\r\n , identity\r\n\r\n0\r\n\r\n" + SMUGGLED),
    # RFC 9112, 2.2: such lines are refused or dropped, never taken; without it there is no host.
    refused("fields", "RFC9112-2.2-space-before-the-first-field",
            b"GET / HTTP/1.1\r\n Host: x\r\n\r\n"),
    refused("fields", "RFC9112-2.2-tab-before-the-first-field",
            b"GET / HTTP/1.1\r\n\tHost: x\r\n\r\n"),
    # What Unicode calls white space is not OWS: not to be stripped.
    *[
        _posted("fields", f"GHSA-753j-mpmx-qq6g-{name}-{place}-Content-Length",
                b"Content-Length: " + value)
        for name, char in (("NEL", b"\x85"), ("NBSP", b"\xa0"), ("VT", b"\x0b"), ("FF", b"\x0c"),
                           ("FS", b"\x1c"))
        for place, value in (("before", char + b"5"), ("behind", b"5" + char),
                             ("and-a-space-behind", b"5" + char + b" "))
    ],
    _posted("fields", "CVE-2019-16789-VT-before-the-name", b"\x0bContent-Length: 5"),
    _posted("fields", "CVE-2019-16789-NBSP-before-the-name", b"\xa0Content-Length: 5"),
    # RFC 9110, 8.3: sent twice by mistake so often that some take one of them.
    _field("CVE-2026-34525-two-Content-Types", b"Content-Type: a/b\r\nContent-Type: c/d", EITHER),
]  # fmt: skip

LINE_ENDS = [
    # RFC 9112, 2.2: a recipient MAY take a single LF for a line end.
    refused("line ends", "RFC9112-2.2-LF-behind-everything",
            b"GET / HTTP/1.1\nHost: x\n\n", 400, EITHER),
    refused("line ends", "RFC9112-2.2-LF-behind-the-request-line",
            b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400, EITHER),
    refused("line ends", "RFC9112-2.2-LF-behind-a-field",
            b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400, EITHER),
    refused("line ends", "RFC9112-2.2-LF-for-the-empty-line",
            b"GET / HTTP/1.1\r\nHost: x\r\n\n", 400, EITHER),
    refused("line ends", "RFC9112-2.2-LF-and-LF-at-the-end",
            b"GET / HTTP/1.1\r\nHost: x\n\n", 400, EITHER),
    refused("line ends", "RFC9112-2.2-LF-before-the-request",
            b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, EITHER),
    refused("line ends", "CVE-2022-32214-LF-before-Content-Length",
            POST + b"A: b\nContent-Length: 5\r\n\r\nhello", 400, EITHER),
    # A CR that is not before an LF never ends anything; at best it is a space.
    _posted("line ends", "CVE-2023-30589-CR-before-Content-Length", b"A: b\rContent-Length: 5"),
    refused("line ends", "CVE-2023-30589-CR-before-Transfer-Encoding",
            POST + b"A: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED),
    refused("line ends", "CVE-2023-30589-CR-and-no-colon", GET + b"A\rB: c\r\n\r\n"),
    refused("line ends", "CVE-2023-37276-CR-in-a-value", GET + b"A: b\rc\r\n\r\n"),
    refused("line ends", "CVE-2023-37276-CR-at-the-end-of-a-value", GET + b"A: b\r\r\n\r\n"),
    refused("line ends", "CVE-2023-37276-nothing-but-a-CR", GET + b"A: \r\r\n\r\n"),
    refused("line ends", "CVE-2025-23167-CR-and-another-for-the-empty-line",
            GET[:-2] + b"\r\n\rX\r\n\r\n"),
    refused("line ends", "CVE-2025-23167-request-behind-CR-CR",
            POST + b"Content-Length: 0\r\n\r" + SMUGGLED),
    refused("line ends", "CVE-2022-35256-CR-for-the-empty-line", GET + b"\r\r\n" + SMUGGLED),
    refused("line ends", "CVE-2022-35256-CRs-behind-everything",
            b"GET / HTTP/1.1\rHost: x\r\r" + SMUGGLED),
    refused("line ends", "RFC9112-2.2-CR-CR-LF-behind-the-request-line",
            b"GET / HTTP/1.1\r\r\nHost: x\r\n\r\n", 400, EITHER),
    refused("line ends", "RFC9112-2.2-LF-CR", b"GET / HTTP/1.1\n\rHost: x\n\r\n\r" + SMUGGLED),
]  # fmt: skip


def _host(id: str, value: bytes) -> Case:
    return refused("Host", id, b"GET / HTTP/1.1\r\nHost: " + value + b"\r\n\r\n")


HOSTS = [
    refused("Host", "RFC9112-3.2-no-Host", b"GET / HTTP/1.1\r\n\r\n"),
    refused("Host", "RFC9112-3.2-no-Host-but-fields", b"GET / HTTP/1.1\r\nA: b\r\n\r\n"),
    refused("Host", "RFC9112-3.2-no-Host-in-absolute-form", b"GET http://h/ HTTP/1.1\r\n\r\n"),
    refused("Host", "CVE-2026-34525-two-Hosts", GET + b"Host: y\r\n\r\n"),
    refused("Host", "CVE-2026-34525-the-same-Host-twice", GET + b"Host: x\r\n\r\n"),
    refused("Host", "CVE-2026-34525-two-Hosts-in-other-case", GET + b"hOST: y\r\n\r\n"),
    refused("Host", "CVE-2026-34525-two-Hosts-far-apart",
            GET + b"A: b\r\n" * 20 + b"Host: y\r\n\r\n"),
    refused("Host", "CVE-2026-34525-a-Host-and-an-empty-one", GET + b"Host:\r\n\r\n"),
    refused("Host", "CVE-2026-34525-two-Hosts-in-1.0",
            b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n"),
    refused("Host", "CVE-2026-34525-two-Hosts-in-absolute-form",
            b"GET http://x/ HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
    _host("CVE-2026-48710-path-and-query", b"a/../b?c"),
    _host("CVE-2026-48710-path-query-and-at", b"a/../b?c@d"),
    _host("CVE-2026-48710-path", b"a/b"),
    _host("CVE-2026-48710-query", b"a?b"),
    _host("CVE-2026-48710-fragment", b"a#b"),
    _host("CVE-2026-48710-backslash", b"a\\b"),
    _host("CVE-2026-48710-userinfo", b"a@b"),
    _host("CVE-2026-48710-URL", b"http://a/"),
    _host("RFC9110-7.2-space", b"a b"),
    _host("RFC9110-7.2-tab", b"a\tb"),
    _host("RFC9110-7.2-two-in-one", b"a, b"),
    _host("RFC9110-7.2-port-of-letters", b"a:b"),
    _host("RFC9110-7.2-two-ports", b"a:1:2"),
    _host("RFC9110-7.2-port-with-sign", b"a:+1"),
    _host("RFC9110-7.2-Arabic-port", "a:\u0661".encode()),
    _host("RFC9110-7.2-IPv6-without-brackets", b"::1"),
    _host("RFC9110-7.2-open-bracket", b"[::1"),
    _host("RFC9110-7.2-text-behind-bracket", b"[::1]a"),
    _host("RFC9110-7.2-quote", b'"'),
    _host("RFC9110-7.2-angle-brackets", b"<x>"),
    _host("RFC9110-7.2-bad-percent", b"%zz"),
    _host("RFC9110-7.2-8-bit", b"\xe9"),
    _host("RFC9110-7.2-UTF-8", "\u00e9".encode()),
    _host("RFC9110-7.2-NBSP-behind", b"a\xa0"),
    _host("RFC9110-7.2-NUL", b"a\x00b"),
    # A policy: the longest name in the DNS has 253 characters.
    refused("Host", "RFC9110-7.2-long", b"GET / HTTP/1.1\r\nHost: " + b"x" * 600 + b"\r\n\r\n",
            only_ours=True),
]  # fmt: skip

LONG_HEADS = [
    refused("limits", "CVE-2026-54277-request-line-without-end",
            b"GET /" + b"a" * FAR_TOO_MANY, 414),
    refused("limits", "gunicorn-27-long-request-line",
            b"GET /" + b"a" * FAR_TOO_MANY + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    refused("limits", "RFC9112-3-long-method", b"G" * FAR_TOO_MANY + b" / HTTP/1.1\r\n", 414),
    refused("limits", "CVE-2026-54277-field-without-end", GET + b"A: " + b"b" * FAR_TOO_MANY, 431),
    refused("limits", "RFC6585-5-long-value",
            GET + b"A: " + b"b" * FAR_TOO_MANY + b"\r\n\r\n", 431),
    refused("limits", "RFC6585-5-long-name", GET + b"A" * FAR_TOO_MANY + b": b\r\n\r\n", 431),
    refused("limits", "RFC6585-5-nothing-but-spaces",
            GET + b"A:" + b" " * FAR_TOO_MANY + b"\r\n\r\n", 431),
    refused("limits", "RFC6585-5-obs-folds-without-end",
            GET + b"A: b\r\n" + b" c\r\n" * (FAR_TOO_MANY // 4), 431),
    refused("limits", "CVE-2025-67725-one-field-repeated",
            GET + b"A: b\r\n" * (FAR_TOO_MANY // 6) + b"\r\n", 431),
    refused("limits", "RFC6585-5-many-fields",
            GET + b"".join(b"A%d: b\r\n" % n for n in range(100_000)) + b"\r\n", 431),
    refused("limits", "RFC6585-5-many-cookies",
            GET + b"Cookie: a=b\r\n" * (FAR_TOO_MANY // 13) + b"\r\n", 431),
    refused("limits", "RFC6585-5-fields-without-end", GET + b"A: b\r\n" * (FAR_TOO_MANY // 6), 431),
    refused("limits", "RFC6585-5-129-fields", GET + b"A: b\r\n" * 128 + b"\r\n", 431,
            only_ours=True),
]  # fmt: skip
