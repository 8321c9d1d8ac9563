"""Placeholders in path patterns: they are the expressions that one would write by hand."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measuring import growth
from routers import A, B, C, T, asking, recording

from tornadoish import routing
from tornadoish.routing import (
    Converter,
    PathMatches,
    ReversibleRuleRouter,
    URLSpec,
    converters,
    register_converter,
)
from tornadoish.routing.index import RouteIndex

ID = "6f1e0b3a-0000-4000-8000-00000000002A"


def taken(pattern: Any, path: str) -> Any:
    """What a pattern's placeholders take of a path, or None."""
    found = PathMatches(pattern).match(asking(path))
    if found:
        assert found["path_args"] == []
    return found and found["path_kwargs"]


@pytest.fixture
def registry() -> Iterator[None]:
    before = dict(converters._converters)
    yield
    converters._converters.clear()
    converters._converters.update(before)


# ---- What they take --------------------------------------------------------------------------

TAKEN = [
    ("/{a}", "/x", {"a": b"x"}),
    ("/{a}", "/", None),
    ("/{a}", "/x/y", None),
    ("/{a}", "/x%2Fy%20%C3%A9", {"a": b"x/y \xc3\xa9"}),
    ("/{a:str}", "/x", {"a": b"x"}),
    ("/{a}/b/{c}", "/1/b/2", {"a": b"1", "c": b"2"}),
    ("/{a}.html", "/x.html.html", {"a": b"x.html"}),
    ("/{a}.html", "/xxhtml", None),
    ("^/{a}$", "/x", {"a": b"x"}),
    ("{a:path}", "/x/", {"a": b"/x/"}),
    ("/f/{a:path}", "/f/", {"a": b""}),
    ("/f/{a:path}", "/f/x/..%2F/y", {"a": b"x/..//y"}),
    ("/f/{a:path}/edit", "/f/x/edit/edit", {"a": b"x/edit"}),
    ("/{a:path}/{b}", "/x/y/z", {"a": b"x/y", "b": b"z"}),
    ("/{a:int}", "/0", {"a": 0}),
    ("/{a:int}", "/007", {"a": 7}),
    ("/{a:int}", f"/{2**63 - 1}", {"a": 2**63 - 1}),
    ("/{a:int}", f"/{2**63}", None),
    ("/{a:int}", "/00000000000000000001", None),
    ("/{a:int}", "/" + "9" * 1_000_000, None),
    ("/{a:int}", "/-1", None),
    ("/{a:int}", "/+1", None),
    ("/{a:int}", "/1_0", None),
    ("/{a:int}", "/%31", None),
    ("/{a:int}", "/\u0663", None),
    ("/{a:int}", "/%D9%A3", None),
    ("/{a:int}", "/", None),
    ("/{y:int}-{m:int}", "/2026-11", {"y": 2026, "m": 11}),
    ("/v{a:int}.{b:int}", "/v1.2", {"a": 1, "b": 2}),
    ("/{name}-{id:int}", "/a-b-3", {"name": b"a-b", "id": 3}),
    ("/{a:float}", "/1", {"a": 1.0}),
    ("/{a:float}", "/-12.5", {"a": -12.5}),
    ("/{a:float}", "/1e9", None),
    ("/{a:float}", "/nan", None),
    ("/{a:float}", "/.5", None),
    ("/{a:float}", "/5.", None),
    ("/{a:float}", "/" + "9" * 400, None),
    ("/{a:uuid}", f"/{ID}", {"a": uuid.UUID(ID)}),
    ("/{a:uuid}", f"/{ID.lower()}", {"a": uuid.UUID(ID)}),
    ("/{a:uuid}", "/" + ID.replace("-", ""), None),
    ("/{a:uuid}", f"/{ID}0", None),
    (r"/Products\({id:int}\)/\$value", "/Products(3)/$value", {"id": 3}),
    (r"/\{x\}/{a}", "/{x}/1", {"a": b"1"}),
    ("/caf\u00e9-x/{a}", "/caf\u00e9-x/1", {"a": b"1"}),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), TAKEN)
def test_placeholders(pattern: str, path: str, expected: Any) -> None:
    found = taken(pattern, path)
    assert found == expected
    if expected:
        assert [type(value) for value in found.values()] == [type(v) for v in expected.values()]


#: each converter, and how one would write it and read it by hand
BY_HAND = [
    ("{x}", "([^/]+)", unquote_to_bytes),
    ("{x:path}", "(.*)", unquote_to_bytes),
    ("{x:int}", "([0-9]{1,19})", lambda text: int(text) if int(text) < 2**63 else None),
    ("{x:float}", r"(-?[0-9]{1,40}(?:\.[0-9]{1,40})?)", float),
    ("{x:uuid}", "([0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})", uuid.UUID),
]
VALUES = st.one_of(
    st.integers(0, 2**70).map(str),
    st.floats().map(str),
    st.uuids().map(str),
    st.text(st.sampled_from("/.-%0123456789aF\u0663\u00e9e+_{}"), max_size=45),
)


@pytest.mark.parametrize(("placeholder", "group", "read"), BY_HAND)
@pytest.mark.parametrize("frame", ["/{}", "/a/{}", "/a/{}/b", "/a-{}.x"])
@given(value=VALUES)
def test_they_agree_with_expressions_by_hand(
    placeholder: str, group: str, read: Any, frame: str, value: str
) -> None:
    path = frame.replace("{}", value)
    match = re.match(re.escape(frame).replace(r"\{\}", group) + "$", path)
    expected = None if match is None else read(match[1])
    found = taken(frame.replace("{}", placeholder), path)
    assert found == (None if expected is None else {"x": expected})


@pytest.mark.parametrize(
    ("pattern", "path", "args"),
    [
        (r"/(\d{3})", "/123", [b"123"]),
        ("/([0-9]{1,2})", "/12", [b"12"]),
        ("/(a{,2})", "/aa", [b"aa"]),
        ("/(a{2,})", "/aaa", [b"aaa"]),
        ("/([{a}]+)", "/{a}", [b"{a}"]),
        (r"/(\{a\})", "/{a}", [b"{a}"]),
        (r"/(\{a})", "/{a}", [b"{a}"]),
        (r"/(x)[\]{a}]", "/x{", [b"x"]),
        (r"/(\N{DIGIT ONE})", "/1", [b"1"]),
        ("/(?#{a})(x)", "/x", [b"x"]),
        ("/{}(x)", "/{}x", [b"x"]),
        ("/({ a })", "/{ a }", [b"{ a }"]),
        (re.compile("/{a}/(x)"), "/{a}/x", [b"x"]),
    ],
)
def test_expressions_keep_their_meaning(pattern: Any, path: str, args: list[bytes]) -> None:
    matcher = PathMatches(pattern)
    assert matcher.template is None
    assert matcher.match(asking(path)) == {"path_args": args, "path_kwargs": {}}


# ---- What is refused when it is registered -----------------------------------------------------

WRONG = [
    ("/{a:itn}", "no converter 'itn', only float, int, path, str, uuid"),
    ("/{a:}", "neither {name} nor {name:converter}"),
    ("/{a", "neither"),
    ("/{a:int", "neither"),
    ("/{a b}", "neither"),
    ("/{a:[0-9]+}", "no converter"),
    ("/{\u00e9}", "neither"),
    ("/{a}/{a}", "two placeholders 'a'"),
    ("/{class}", "'class' in .* cannot be a parameter"),
    ("/{self}", "'self' in .* cannot be a parameter"),
    ("/{a}/(.*)", r"no regular expression: \( stands for itself only behind a backslash"),
    ("/{a}/?", "no regular expression"),
    (r"/{a}/\d", "no regular expression"),
    ("/{a}|/b", "no regular expression"),
    ("/[ab]/{a}", "no regular expression"),
    ("/{a}{{b}}", "no regular expression"),
    ("/x{2}/{a}", "no regular expression"),
    (r"/\N{DIGIT ONE}/{a}", "no regular expression"),
    ("/{a:int}{b:int}", "nothing .* says where 'b' begins"),
    ("/{a}-{b}", "'a' and 'b' .* can share"),
    ("/{a:path}/{b:path}", "'a' and 'b' .* can share"),
    ("/{a:path}-{b}", "can share"),
    ("/{a}-{c:int}-{b}", "can share"),
]


@pytest.mark.parametrize(("pattern", "message"), WRONG)
def test_what_is_wrong_is_refused(pattern: str, message: str) -> None:
    for register in (PathMatches, lambda text: URLSpec(text, A)):
        with pytest.raises(ValueError, match=message):
            register(pattern)


@pytest.mark.parametrize(
    ("pattern", "bait"),
    [
        ("/{a}.x/{b}.x/{c}.x", "/" + "a.x" * 2000),
        ("/{a:path}/{b}/c", "/a" * 3000),
        ("/{a:path}.x/{b:int}-{c}/y", "/a.x/1-" * 900),
        ("/{a}-{n:int}/{b:float}", "/" + "1-" * 3000),
        ("/{a:path}/{n:float}-{m:float}/{b}!", "/1.1-1.1" * 700),
    ],
)
def test_matching_is_linear(pattern: str, bait: str) -> None:
    matcher = PathMatches(pattern)
    for end in ("", "/", "/?"):
        assert matcher.match(asking(bait + end)) is None
        assert growth(lambda size, end=end: matcher.match(asking(bait * size + end)), 8) < 24


# ---- Own converters ----------------------------------------------------------------------------


class Year(Converter):
    regex = "[12][0-9]{3}"

    def convert(self, text: str) -> int:
        if text == "1999":
            raise ValueError("not that one")
        return int(text)


class Word(Converter):
    regex = "(?:[a-z]|%[0-9A-F]{2})+"

    def convert(self, text: str) -> str:
        return text.upper()

    def to_text(self, value: Any) -> str:
        return str(value).lower()


@pytest.mark.usefixtures("registry")
def test_own_converters() -> None:
    register_converter("year", Year())
    register_converter("word", Word())
    pattern = "/{y:year}/{w:word}-{v:word}"
    assert taken(pattern, "/2026/a-b%C3%A9") == {"y": 2026, "w": "A", "v": "B\u00c9"}
    assert taken(pattern, "/3026/a-b") is None
    assert taken(pattern, "/1999/a-b") is None  # the next rule's turn
    assert taken(pattern, "/2026/a-%FF") is None  # no text in it
    assert PathMatches(pattern).reverse(2026, "A", "B") == "/2026/a-b"
    with pytest.raises(ValueError, match="1999 cannot be 'y'"):
        PathMatches(pattern).reverse(1999, "A", "B")
    register_converter("year", converters._converters["year"])  # twice the same does no harm


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("int", {}, "a converter 'int' already"),
        ("a-b", {}, "'a-b' cannot be the name"),
        ("x", {"regex": "(a)"}, "has groups that capture"),
        ("x", {"regex": "(?P<a>a)"}, "has groups that capture"),
        ("x", {"regex": "a)"}, "unbalanced parenthesis"),
        ("x", {"regex": "(?i)a"}, "global flags"),
        ("x", {"regex": b"a"}, "converter 'x': b'a'"),
    ],
)
def test_wrong_converters_are_refused(name: str, attributes: Any, message: str) -> None:
    if "regex" in attributes and isinstance(attributes["regex"], bytes):
        attributes = {"regex": re.compile(attributes["regex"])}
        message = "converter 'x'"
    with pytest.raises(ValueError, match=message):
        register_converter(name, type("Own", (Converter,), attributes)())


def test_a_converter_is_an_instance() -> None:
    with pytest.raises(TypeError, match="no instance of Converter"):
        register_converter("x", Year)  # type: ignore[arg-type]


def test_what_else_a_converter_raises_is_seen(registry: None) -> None:
    class Broken(Converter):
        def convert(self, text: str) -> None:
            raise KeyError(text)

    register_converter("broken", Broken())
    with pytest.raises(KeyError):
        taken("/{a:broken}", "/x")


# ---- Reversing -----------------------------------------------------------------------------

REVERSED = [
    ("/{a}", ("x",), {}, "/x"),
    ("/{a}", (), {"a": "x"}, "/x"),
    ("/{a}/{b:int}", ("x",), {"b": 3}, "/x/3"),
    ("/{name}", (), {"name": "x"}, "/x"),
    ("/{a}", ("x/y z\u00e9+?#%",), {}, "/x%2Fy%20z%C3%A9%2B%3F%23%25"),
    ("/{a}", (b"\xff/",), {}, "/%FF%2F"),
    ("/{a}", (7,), {}, "/7"),
    ("/f/{a:path}", ("x/y z",), {}, "/f/x/y%20z"),
    ("/f/{a:path}", ("",), {}, "/f/"),
    ("/{a:int}", ("7",), {}, "/7"),
    ("/{a:float}", (1e-07,), {}, "/0.0000001"),
    ("/{a:float}", (-12.5,), {}, "/-12.5"),
    ("/{a:float}", (3,), {}, "/3"),
    ("/{a:uuid}", (uuid.UUID(ID),), {}, "/" + ID.lower()),
    ("^/{a}.html$", ("x",), {}, "/x.html"),
    (r"/P\({a:int}\)", (1,), {}, "/P(1)"),
    ("/{a}", (), {}, TypeError),
    ("/{a}", ("x", "y"), {}, TypeError),
    ("/{a}", ("x",), {"a": "y"}, TypeError),
    ("/{a}", ("x",), {"b": "y"}, TypeError),
    ("/{a}", ("",), {}, ValueError),
    ("/{a}", ("..",), {}, ValueError),
    ("/{a}", (".",), {}, ValueError),
    ("/{a}", ("\ud800",), {}, ValueError),
    ("/f/{a:path}", ("x/../../y",), {}, ValueError),
    ("/{a:path}", ("/example.com",), {}, ValueError),
    ("/{a:int}", (-1,), {}, ValueError),
    ("/{a:int}", (2**63,), {}, ValueError),
    ("/{a:int}", (True,), {}, ValueError),
    ("/{a:int}", (1.0,), {}, ValueError),
    ("/{a:int}", ("1/2",), {}, ValueError),
    ("/{a:int}", ("\u0663",), {}, ValueError),
    ("/{a:float}", (float("nan"),), {}, ValueError),
    ("/{a:float}", (float("inf"),), {}, ValueError),
    ("/{a:float}", (1e300,), {}, ValueError),
    ("/{a:uuid}", ("x",), {}, ValueError),
    ("/{a:float}.{b:float}", (1, 2.5), {}, ValueError),  # comes back as 1.2 and 5
    ("/(.)", (), {"a": "x"}, TypeError),
]


@pytest.mark.parametrize(("pattern", "args", "named", "expected"), REVERSED)
def test_reverse(pattern: str, args: Any, named: Any, expected: Any) -> None:
    matcher = PathMatches(pattern)
    if isinstance(expected, str):
        assert matcher.reverse(*args, **named) == expected
        assert matcher.match(asking(expected)) is not None
    else:
        with pytest.raises(expected, match=r"a|x"):
            matcher.reverse(*args, **named)


@given(name=st.text(min_size=1), number=st.integers(0, 2**63 - 1), part=st.floats(), rest=st.text())
def test_what_is_reversed_comes_back(name: str, number: int, part: float, rest: str) -> None:
    matcher = PathMatches("/u/{name}.x/{number:int}/{part:float}/{rest:path}")
    try:
        url = matcher.reverse(name, number, part, rest)
    except ValueError:
        return
    found = matcher.match(asking(str(url)))
    assert found is not None
    assert found["path_kwargs"] == {
        "name": name.encode(), "number": number, "part": part, "rest": rest.encode()
    }  # fmt: skip


def test_reverse_url() -> None:
    inner = ReversibleRuleRouter([("/in/{name}", A, {}, "inner")])
    router = ReversibleRuleRouter([("/out/{name}", B, {}, "outer"), ("/.*", inner)])
    assert router.reverse_url("outer", "x") == "/out/x"
    assert router.reverse_url("outer", name="x") == "/out/x"
    assert router.reverse_url("inner", name="x") == "/in/x"
    assert router.reverse_url("missing", name="x") is None


def test_what_integrations_read() -> None:
    spec = URLSpec("/user/{id:int}.json", A)
    assert spec.matcher.template == "/user/{id:int}.json"
    assert spec.matcher._find_groups() == ("/user/%s.json", 1)
    assert spec.regex.pattern == r"/user/(?P<id>[0-9]{1,19})\.json$"
    assert PathMatches("/a").template is None


# ---- The search ----------------------------------------------------------------------------


def test_the_first_that_matches_wins() -> None:
    router = recording(routing)(
        [("/u/me", A), ("/u/{id:int}", B), ("/u/(.*)", C), ("/u/{name}", A)]
    )
    assert [router.find_handler(asking(f"/u/{rest}"))[0] for rest in ("me", "7", "x", "7a")] == [
        A, B, C, C
    ]  # fmt: skip


def test_look_up_is_flat() -> None:
    index = RouteIndex(
        [
            routing.Rule(PathMatches(f"/t{number:03}/{{id:int}}/x.y"), T(str(number)))
            for number in range(500)
        ]
    )
    assert len(index.candidates("/t499/7/x.y")) == 1


def test_braces_and_all_that(registry: None) -> None:
    """Text around a placeholder is text, whatever it looks like to the index."""
    for text in ("a.b", "a-b", "~", "a#b", "a b", r"\|", r"\(", r"\\", r"\$", r"\{2\}"):
        plain = text.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\")
        router = recording(routing)([(f"/{text}/{{x:int}}/{text}", A), ("/zz", B)])
        found = router.find_handler(asking(f"/{plain}/1/{plain}"))
        assert found == (A, {"path_args": [], "path_kwargs": {"x": 1}})
        assert router.find_handler(asking(f"/{plain}/1/")) is None
