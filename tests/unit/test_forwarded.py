"""The Forwarded field (RFC 7239): what is an element, read from the last, in linear time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import growth

from tornadoish.httputil import HTTPHeaders, address_of_node, forwarded_from_last

#: examples of a property: the whole file is to be quick
FEW = settings(max_examples=50, deadline=None)


def elements(value: str) -> list[dict[str, str] | None]:
    """In the order of the field."""
    return list(forwarded_from_last(value))[::-1]


READ: list[tuple[str, list[dict[str, str] | None]]] = [
    # the RFC's own, 4 and 6 and 7
    ('for="_gazonk"', [{"for": "_gazonk"}]),
    ('For="[2001:db8:cafe::17]:4711"', [{"for": "[2001:db8:cafe::17]:4711"}]),
    (
        "for=192.0.2.60;proto=http;by=203.0.113.43",
        [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}],
    ),
    ("for=192.0.2.43, for=198.51.100.17", [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}]),
    ("for=_hidden, for=_SEVKISEK", [{"for": "_hidden"}, {"for": "_SEVKISEK"}]),
    (
        'for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown',
        [{"for": "192.0.2.43"}, {"for": "[2001:db8:cafe::17]"}, {"for": "unknown"}],
    ),
    # empty elements, and pairs that are not there
    ("", []),
    (" \t ", []),
    (",", []),
    (", ,for=a,, for=b ,", [{"for": "a"}, {"for": "b"}]),
    (";", [{}]),
    (";for=a;;by=b;", [{"for": "a", "by": "b"}]),
    # extensions; names in any case; values keep theirs
    ("secret=abc;FOR=A;hOst=Example.COM", [{"secret": "abc", "for": "A", "host": "Example.COM"}]),
    # quoted: separators, escapes, nothing at all, what no token can be
    ('for="a,b;c=d"', [{"for": "a,b;c=d"}]),
    (r'for="a\"b\\c\d"', [{"for": 'a"b\\cd'}]),
    (r'for="\\"', [{"for": "\\"}]),
    (r'for="\\\"", for="\"\","', [{"for": '\\"'}, {"for": '"",'}]),
    ('for="",by=""', [{"for": ""}, {"by": ""}]),
    ('for="\té "', [{"for": "\té "}]),
    # what is no element, alone and behind good ones
    *[
        (bad, [None])
        for bad in (
            "for", "for=", "=a", "for=a=b", "for =a", "for= a", "for=a; by=b", "for=a ;by=b",
            "for=a b", "for=a for=b", 'for="a', 'for=a"', 'for="a"b', 'for=a"b"', '"for"=a', '"',
            'for="a\\"', 'for="a"b"', "for=1.2.3.4:80", "for=[::1]", "for=::1", "for=a;for=b",
            "for=a;FOR=a", "for=ä", "för=a", "for='a b'", "for=a/b", 'for="\x7f"', 'for="\\\x01"',
            'for="a\x00"', 'for="€"', "for=a\x0b", "\xa0for=a", "1.2.3.4", '";for=a', "for=a;=",
        )
    ],
    ("for=a, evil!, for=b;;", [None, {"for": "b"}]),
    ("for=a, for=b;x, for=c", [None, {"for": "c"}]),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), READ, ids=[repr(value) for value, _ in READ])
def test_elements(value: str, expected: list[Any]) -> None:
    assert elements(value) == expected


def test_nothing_is_told_behind_what_is_no_element() -> None:
    assert list(forwarded_from_last("for=a, evil?, for=c, for=d")) == [
        {"for": "d"},
        {"for": "c"},
        None,
    ]


def test_field_lines_are_one_list() -> None:
    headers = HTTPHeaders()
    for value in ("for=a", 'for="b,c";by=d, for=e', "for=f"):
        headers.add("Forwarded", value)
    names = [element and element["for"] for element in elements(headers["Forwarded"])]
    assert names == ["a", "b,c", "e", "f"]


NODES = [
    ("192.0.2.43", "192.0.2.43"),
    ("192.0.2.43:47011", "192.0.2.43"),
    ("192.0.2.43:_port", "192.0.2.43"),
    ("[2001:db8:cafe::17]", "2001:db8:cafe::17"),
    ("[2001:db8:cafe::17]:47011", "2001:db8:cafe::17"),
    ("[::ffff:192.0.2.43]:_p.-_", "::ffff:192.0.2.43"),
    ("999.1.1.1", "999.1.1.1"),  # its form is that of an address: whether it is one comes later
    *[
        (node, None)
        for node in (
            "", "unknown", "UNKNOWN", "unknown:80", "_hidden", "_hidden:_port", "2001:db8::17",
            "::1", "[192.0.2.43]", "[::1", "::1]", "[::1]]", "[[::1]]", "[]", "[fe80::1%eth0]",
            "[::1]80", "[::1]:", "192.0.2.43:", "192.0.2.43:123456", "192.0.2.43:80:80",
            "192.0.2.43:_", "192.0.2.43 ", " 192.0.2.43", "192.0.2.43\n", "localhost", "a.example",
            "192.0.2.43,192.0.2.44", "１.2.3.4", "192.0.2.43:٨٠", "-1.2.3.4", "x192.0.2.43",
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize(("node", "address"), NODES, ids=[repr(node) for node, _ in NODES])
def test_nodes(node: str, address: str | None) -> None:
    assert address_of_node(node) == address


# ------------------------------------------------------------------------------ what is written

TOKENS = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=8)
QUOTABLE = st.text('\t !"\\,;=[]:09az\x7e\x80\xff', max_size=12)
WHITE = st.text(" \t", max_size=2)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, list[dict[str, str]]]:
    """A field that keeps to the grammar, and what it says."""
    texts, meant = [], []
    for _ in range(draw(st.integers(0, 4))):
        parameters = draw(st.dictionaries(TOKENS.map(str.lower), TOKENS | QUOTABLE, max_size=4))
        pairs = []
        for name, value in parameters.items():
            name = draw(st.sampled_from([name, name.upper()]))
            if value and not set(value) & set('\t "\\,;=[]:\x80\xff') and draw(st.booleans()):
                pairs.append(f"{name}={value}")
            else:
                quoted = "".join(
                    "\\" + char if char in '"\\' or draw(st.booleans()) else char for char in value
                )
                pairs.append(f'{name}="{quoted}"')
            pairs += [""] * draw(st.integers(0, 1))
        text = ";".join(pairs)
        if text:
            meant.append(parameters)
        texts.append(draw(WHITE) + text + draw(WHITE))
    return ",".join(texts), meant


@FEW
@given(written())
def test_what_was_written_is_read(case: tuple[str, list[dict[str, str]]]) -> None:
    value, meant = case
    assert elements(value) == meant


ANYTHING = st.text(st.sampled_from('",\\;=[]:. \tforby19é\x00'), max_size=40)


@FEW
@given(ANYTHING, written())
def test_what_is_in_front_changes_nothing(
    junk: str, case: tuple[str, list[dict[str, str]]]
) -> None:
    """A proxy appends to whatever a client has sent."""
    value, meant = case
    found = list(forwarded_from_last(f"{junk},{value}"))
    assert found[: len(meant)] == meant[::-1]


@FEW
@given(ANYTHING | st.text())
def test_nothing_is_too_strange(text: str) -> None:
    found = list(forwarded_from_last(text))
    assert None not in found[:-1]
    address_of_node(text)
    if None not in found:  # then the same is read from the beginning
        assert elements(text + ",for=x") == [*found[::-1], {"for": "x"}]


HOSTILE = {
    "commas": lambda n: "," * n,
    "elements": lambda n: "a=b," * n,
    "semicolons": lambda n: ";" * n,
    "pairs": lambda n: ";".join(f"a{i}=b" for i in range(n)),
    "quotes": lambda n: '"' * n,
    "strings": lambda n: 'a=""' + ';=""' * n,
    "strings and a comma": lambda n: "," + '=""' * n,
    "commas in a string": lambda n: 'a="' + "," * n + '"',
    "an open string": lambda n: 'a="' + "," * n,
    "backslashes": lambda n: 'a="' + "\\" * n + '"',
    "escaped quotes": lambda n: 'a="' + '\\"' * n + '"',
    "escaped quotes, open": lambda n: '\\"' * n + '"',
    "backslashes and quotes": lambda n: ('\\' * 50 + '"') * (n // 50),
    "a long token": lambda n: "a" * n,
    "white space": lambda n: " \t" * n + "x" + " \t" * n,
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_time_is_linear(kind: str) -> None:
    make = HOSTILE[kind]
    texts = {size: make(size) for size in (800, 6400)}
    assert growth(lambda size: list(forwarded_from_last(texts[size])), 800) < 30


@pytest.mark.parametrize("kind", ["1", ":", "[:", "1:_", "1.1.1.1:_"])
def test_time_for_nodes_is_linear(kind: str) -> None:
    assert growth(lambda size: address_of_node(kind + "1:." * size), 20000) < 30
