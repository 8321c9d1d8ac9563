"""Cookie headers, next to Tornado's parser."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measuring import growth

from tornadoish.httputil import cookies

pytest.importorskip("tornado")
from tornado import httputil as tornado_httputil

both = pytest.mark.parametrize("httputil", [cookies, tornado_httputil], ids=["ours", "tornado"])


@both
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("chips=ahoy; vienna=finger", {"chips": "ahoy", "vienna": "finger"}),
        ('keebler="E=mc2; L=\\"Loves\\"; fudge=\\012;"', None),
        ('a="b\\012c\\"d\\\\e\\400"', {"a": 'b\nc"d\\e400'}),
        ("keebler=E=mc2", {"keebler": "E=mc2"}),
        ("key:term=value:term", {"key:term": "value:term"}),
        ("a=b; c=[; d=r; f=h", {"a": "b", "c": "[", "d": "r", "f": "h"}),
        ("a=b; Domain=foo.com", {"a": "b", "Domain": "foo.com"}),
        ("a=b; h=i; a=c", {"a": "c", "h": "i"}),
        ("abc=def; unnamed; hello", {"abc": "def", "": "hello"}),
        ("a=b; ; = ; c=", {"a": "b", "c": ""}),
        ("=x", {"": "x"}),
        (' a b = c d ; e="', {"a b": "c d", "e": '"'}),
        ('a=""; b="x', {"a": "", "b": '"x'}),
        ("a,b=1:2; {}=()", {"a,b": "1:2", "{}": "()"}),
        ("", {}),
        (";;", {}),
    ],
)
def test_parse_cookie(httputil: Any, header: str, expected: dict[str, str] | None) -> None:
    if expected is None:  # a quoted semicolon ends the cookie all the same, as in browsers
        expected = {"keebler": '"E=mc2', "L": '\\"Loves\\"', "fudge": "\\012", "": '"'}
    assert httputil.parse_cookie(header) == expected


@given(st.lists(st.sampled_from(['"', "\\", "0", "3", "7", "8", "=", ";", " ", "\t", "a"])))
def test_parse_cookie_as_tornado(pieces: list[str]) -> None:
    header = "".join(pieces)
    assert cookies.parse_cookie(header) == tornado_httputil.parse_cookie(header)


@given(st.text(st.characters(max_codepoint=255)))
def test_what_http_cookies_quotes_comes_back(value: str) -> None:
    jar = SimpleCookie()
    jar["name"] = value
    assert cookies._unquote_cookie(jar["name"].coded_value) == value


def test_only_spaces_and_tabs_are_stripped() -> None:
    # "à" in UTF-8, read as Latin-1 as headers are: Tornado strips its second half.
    header = "a=" + "à".encode().decode("latin-1")
    assert cookies.parse_cookie(header)["a"].encode("latin-1").decode() == "à"
    assert tornado_httputil.parse_cookie(header)["a"] == "Ã"


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param("\\", id="CVE-2024-7592-backslashes"),
        pytest.param('\\"', id="CVE-2024-52804-quotes"),
        pytest.param("\\012", id="CVE-2024-52804-octal"),
        '"',
        "=;",
    ],
)
def test_parse_cookie_is_linear(unit: str) -> None:
    headers = {size: f'a="{unit * size}"' for size in (30_000, 240_000)}
    # Large, for copying the rest at each match shows only then.
    assert growth(lambda size: cookies.parse_cookie(headers[size]), 30_000) < 24
