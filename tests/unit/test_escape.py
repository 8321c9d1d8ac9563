"""tornadoish.escape, next to Tornado's own: the same body runs over both."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measuring import growth, peak_memory

import tornadoish.escape

pytest.importorskip("tornado")
import tornado.escape

both = pytest.mark.parametrize(
    "escape", [tornadoish.escape, tornado.escape], ids=["ours", "tornado"]
)


@both
@pytest.mark.parametrize(
    ("value", "encoded", "decoded"),
    [("é", b"\xc3\xa9", "é"), (b"\xc3\xa9", b"\xc3\xa9", "é"), (None, None, None)],
)
def test_str_and_bytes(escape: Any, value: Any, encoded: Any, decoded: Any) -> None:
    assert escape.utf8(value) == encoded
    assert escape.to_unicode(value) == decoded
    for alias in (escape._unicode, escape.native_str, escape.to_basestring):
        assert alias is escape.to_unicode


@both
@pytest.mark.parametrize("value", [1, bytearray(b"a"), ["a"]])
def test_other_types_are_refused(escape: Any, value: Any) -> None:
    with pytest.raises(TypeError):
        escape.utf8(value)
    with pytest.raises(TypeError):
        escape.to_unicode(value)


@both
def test_to_unicode_refuses_what_is_not_utf8(escape: Any) -> None:
    with pytest.raises(UnicodeDecodeError):
        escape.to_unicode(b"\xe9")


@both
def test_recursive_unicode(escape: Any) -> None:
    nested = {b"k": [b"a", ("b", b"c"), 1], "x": {"y": b"z"}, b"n": None}
    decoded = {"k": ["a", ("b", "c"), 1], "x": {"y": "z"}, "n": None}
    assert escape.recursive_unicode(nested) == decoded


@both
def test_squeeze(escape: Any) -> None:
    assert escape.squeeze(" a \x00\t\r\n b\x1f c\xa0") == "a b c"


@both
@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        ("<foo>", "&lt;foo&gt;"),
        ("<>&\"'", "&lt;&gt;&amp;&quot;&#x27;"),
        ("&amp;", "&amp;amp;"),
        (b"<\xc3\xa9>", "&lt;é&gt;"),
    ],
)
def test_xhtml(escape: Any, plain: Any, escaped: str) -> None:
    assert escape.xhtml_escape(plain) == escaped
    assert escape.xhtml_unescape(escaped) == escape.to_unicode(plain)
    assert escape.xhtml_unescape(escaped.encode()) == escape.to_unicode(plain)


@both
@pytest.mark.parametrize(
    ("escaped", "plain"),
    [("a&#32;b", "a b"), ("&#X20;", " "), ("&#xyz;", "&#xyz;"), ("&#;", "&#;")],
)
def test_xhtml_unescape_numeric(escape: Any, escaped: str, plain: str) -> None:
    assert escape.xhtml_unescape(escaped) == plain


@both
def test_json(escape: Any) -> None:
    assert escape.json_encode({"a": "</script>é"}) == '{"a": "<\\/script>\\u00e9"}'
    assert escape.json_decode(b'{"a": "<\\/script>\xc3\xa9"}') == {"a": "</script>é"}
    with pytest.raises(TypeError):
        escape.json_encode(b"a")
    with pytest.raises(ValueError, match="Expecting"):
        escape.json_decode("{")


@both
def test_url_escape(escape: Any) -> None:
    assert escape.url_escape("é /+") == "%C3%A9+%2F%2B"
    assert escape.url_escape("é /+", plus=False) == "%C3%A9%20/%2B"
    assert escape.url_escape(b"\xe9") == "%E9"


@both
@pytest.mark.parametrize("kind", [str, str.encode])
def test_url_unescape(escape: Any, kind: Callable[[str], str | bytes]) -> None:
    escaped = kind("a+b%2B%C3%A9%zz")
    assert escape.url_unescape(escaped) == "a b+é%zz"
    assert escape.url_unescape(escaped, plus=False) == "a+b+é%zz"
    assert escape.url_unescape(escaped, encoding="latin-1") == "a b+Ã©%zz"
    assert escape.url_unescape(escaped, encoding=None) == b"a b+\xc3\xa9%zz"
    assert escape.url_unescape(escaped, encoding=None, plus=False) == b"a+b+\xc3\xa9%zz"
    assert escape.url_unescape(kind("%E9")) == "\ufffd"


def test_url_unescape_to_bytes_takes_any_bytes() -> None:
    assert tornadoish.escape.url_unescape(b"\xe9+%41", encoding=None) == b"\xe9 A"


ESCAPED = [bytes([octet]) for octet in b"%4fG\\x\n\r\xe9= \t\0_."]
ESCAPED += [b"%%", b"%25", b"%3D", b"%3d", b"%0a", b"%=", b"=3D", b"=\n"]


@given(st.lists(st.sampled_from(ESCAPED)).map(b"".join))
def test_unquote_is_percent_decoding(data: bytes) -> None:
    assert tornadoish.escape._unquote_to_bytes(data) == urllib.parse.unquote_to_bytes(data)


@pytest.mark.parametrize("unit", [b"%41", b"%", b"%4", b"%zz", b"%25", b"%3d", b"=%", b"%\n"])
def test_unquote_memory_tornado_6_6_1(unit: bytes) -> None:
    data = unit * (300_000 // len(unit))
    tornadoish.escape._unquote_to_bytes(data)
    peak = peak_memory(lambda: tornadoish.escape._unquote_to_bytes(data))
    assert peak < 12 * len(data)  # urllib on Python 3.11: 60 and more


@both
@pytest.mark.parametrize(
    ("qs", "blank", "expected"),
    [
        (
            b"a=1&b=%41+%2B&a=2&&c&d=",
            True,
            {"a": [b"1", b"2"], "b": [b"A +"], "c": [b""], "d": [b""]},
        ),
        (b"a=1&b=%41+%2B&a=2&&c&d=", False, {"a": [b"1", b"2"], "b": [b"A +"]}),
        ("%E9=%E9", False, {"\xe9": [b"\xe9"]}),
        ("é=é", False, {"\xe9": [b"\xe9"]}),
        (b"=", True, {"": [b""]}),
        (b"=x", False, {"": [b"x"]}),
        (b"a=b=c;d", False, {"a": [b"b=c;d"]}),
        (b"", True, {}),
        ("", False, {}),
        (b"&", True, {}),
    ],
)
def test_parse_qs_bytes(escape: Any, qs: Any, blank: bool, expected: Any) -> None:
    assert escape.parse_qs_bytes(qs, keep_blank_values=blank) == expected


@both
@pytest.mark.parametrize(
    ("qs", "options"),
    [
        (b"a=1&b", {"strict_parsing": True}),
        (b"a=1&&b=2", {"strict_parsing": True}),
        (b"a=1&b=2", {"max_num_fields": 1}),
        (b"a=1", {"max_num_fields": 0}),
        (b"&", {"max_num_fields": 1}),
        ("€=1", {}),
    ],
)
def test_parse_qs_bytes_errors(escape: Any, qs: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        escape.parse_qs_bytes(qs, **options)


@given(
    st.lists(st.sampled_from([b"a", b"=", b"&", b"%", b"41", b"+", b"\xe9"])).map(b"".join),
    st.booleans(),
    st.integers(0, 5) | st.none(),
)
def test_parse_qs_bytes_as_tornado(qs: bytes, blank: bool, limit: int | None) -> None:
    def outcome(escape: Any) -> Any:
        try:
            return escape.parse_qs_bytes(qs, blank, max_num_fields=limit)
        except ValueError:
            return "error"

    assert outcome(tornadoish.escape) == outcome(tornado.escape)


def test_too_many_fields_are_not_split_CVE_2026_54283() -> None:
    qs = b"&" * 1_000_000

    def work() -> None:
        with pytest.raises(ValueError, match="Max number of fields exceeded"):
            tornadoish.escape.parse_qs_bytes(qs, max_num_fields=1000)

    assert peak_memory(work) < 100_000


LONG_PATH = "http://reallylong.com/link/that/exceeds/the/limit.html"
LONG_HOST = "http://reallylongdomainnamethatwillbetoolong.com/hi"
LONG_QUERY = "http://reallylongdomain.com?&amp;bbbbbbbbbbbbbbbbbbbbbbb"
LINKS: list[tuple[str | bytes, dict[str, Any], str]] = [
    ("a http://b.com/!", {}, 'a <a href="http://b.com/">http://b.com/</a>!'),
    (b"http://b.com?a&b", {}, '<a href="http://b.com?a&amp;b">http://b.com?a&amp;b</a>'),
    ("http://b/w(aaa", {}, '<a href="http://b/w">http://b/w</a>(aaa'),
    ("(see http://b/a_(c))", {}, '(see <a href="http://b/a_(c)">http://b/a_(c)</a>)'),
    ("http://b/w.....", {}, '<a href="http://b/w">http://b/w</a>.....'),
    ("<http://b/c>", {}, '&lt;<a href="http://b/c">http://b/c</a>&gt;'),
    ("http://u:p@b:80", {}, '<a href="http://u:p@b:80">http://u:p@b:80</a>'),
    ("--http://b/", {}, '--<a href="http://b/">http://b/</a>'),
    ("a-http://b/", {}, "a-http://b/"),
    ("www.b.com.", {}, '<a href="http://www.b.com">www.b.com</a>.'),
    ("www.b.com", {"require_protocol": True}, "www.b.com"),
    ("javascript://b.com", {}, "javascript://b.com"),
    (
        "rdar:/1 http://b",
        {"permitted_protocols": ["rdar"]},
        '<a href="rdar:/1">rdar:/1</a> http://b',
    ),
    ("www.b", {"extra_params": " rel='x' "}, "<a href=\"http://www.b\" rel='x'>www.b</a>"),
    ("www.b", {"extra_params": lambda href: href[7:]}, '<a href="http://www.b" www.b>www.b</a>'),
    (
        LONG_PATH,
        {"shorten": True},
        f'<a href="{LONG_PATH}" title="{LONG_PATH}">http://reallylong.com/link...</a>',
    ),
    (  # not cut through an entity
        "http://reallylongdomain.com?&bbbbbbbbbbbbbbbbbbbbbbb",
        {"shorten": True},
        f'<a href="{LONG_QUERY}" title="{LONG_QUERY}">http://reallylongdomain.com?...</a>',
    ),
    (
        LONG_HOST + "!",
        {"shorten": True},
        f'<a href="{LONG_HOST}" title="{LONG_HOST}">http://reallylongdomainnametha...</a>!',
    ),
]


@both
@pytest.mark.parametrize(("text", "options", "expected"), LINKS)
def test_linkify(escape: Any, text: Any, options: dict[str, Any], expected: str) -> None:
    assert escape.linkify(text, **options) == expected


LINK_PIECES = [
    *("http://", "www.", "a", "-", "b.c", "/", "(", ")", "&", '"', "'", ".", "!", " ", "_", "é"),
    *("file:///", "x?y=", "://", ":", "<", ">", "#", "\n", "longwordlongword"),
]


@given(st.lists(st.sampled_from(LINK_PIECES)).map("".join), st.booleans(), st.booleans())
def test_linkify_as_tornado(text: str, shorten: bool, require: bool) -> None:
    ours = tornadoish.escape.linkify(text, shorten, "x", require)
    assert ours == tornado.escape.linkify(text, shorten, "x", require)


# The first one is quadratic if a protocol may start at each word boundary, as in Tornado.
@pytest.mark.parametrize(
    "unit", ["a-", "www.!", "www.(", "-", "http://(", "http://a(", "http://!("]
)
def test_linkify_is_linear(unit: str) -> None:
    assert growth(lambda n: tornadoish.escape.linkify(unit * n), 2_000) < 24
