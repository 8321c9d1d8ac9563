"""HTTPHeaders: next to Tornado's, and against a model that is only a list of pairs."""

from __future__ import annotations

import copy
import importlib
import pickle
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from measuring import growth

from tornadoish.httputil import HTTPHeaders, HTTPInputError
from tornadoish.httputil.headers import build_index


@pytest.fixture
def headers_class(httputil: Any) -> Any:
    return httputil.HTTPHeaders


# ---- The interface, over both ----------------------------------------------------------------


def test_a_name_in_any_case(headers_class: Any) -> None:
    headers = headers_class()
    headers["content-TYPE"] = "text/html"
    for name in ("Content-Type", "content-type", "CONTENT-TYPE"):
        assert headers[name] == "text/html"
        assert headers.get(name) == "text/html"
        assert name in headers
    assert list(headers) == ["Content-Type"]
    assert headers.get("other") is None
    assert headers.get("other", "x") == "x"
    assert "other" not in headers
    with pytest.raises(KeyError):
        headers["other"]
    with pytest.raises(KeyError):
        del headers["other"]
    assert len(headers) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x", "X"),
        ("WWW-authenticate", "Www-Authenticate"),
        ("x-REAL-ip", "X-Real-Ip"),
        ("etag", "Etag"),
        ("a--b-", "A--B-"),
        ("sec-websocket-KEY1", "Sec-Websocket-Key1"),
        ("x_y", "X_y"),
    ],
)
def test_how_names_are_shown(headers_class: Any, name: str, shown: str) -> None:
    headers = headers_class()
    headers.add(name, "v")
    assert list(headers.keys()) == [shown]
    assert list(headers.get_all()) == [(shown, "v")]


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((), {}, []),
        (({"a": "1", "B": "2"},), {}, [("A", "1"), ("B", "2")]),
        (([("a", "1"), ("b", "2")],), {}, [("A", "1"), ("B", "2")]),
        ((), {"a": "1"}, [("A", "1")]),
        (({"a": "1"},), {"b": "2"}, [("A", "1"), ("B", "2")]),
        (([("a", "1"), ("A", "2")],), {}, [("A", "2")]),
    ],
)
def test_what_headers_are_made_of(
    headers_class: Any, args: Any, kwargs: Any, expected: Any
) -> None:
    assert list(headers_class(*args, **kwargs).get_all()) == expected


def test_a_name_that_repeats(headers_class: Any) -> None:
    headers = headers_class()
    headers.add("Set-Cookie", "A=B")
    headers.add("set-cookie", "C=D, x")
    assert headers["Set-Cookie"] == "A=B,C=D, x"
    assert headers.get_list("SET-cookie") == ["A=B", "C=D, x"]
    assert headers.get_list("other") == []
    assert len(headers) == 1
    headers["Set-Cookie"] = "E"
    assert headers.get_list("Set-Cookie") == ["E"]
    headers.add("Set-Cookie", "F")
    del headers["set-Cookie"]
    assert list(headers.get_all()) == []


def test_joined_after_a_look_up(headers_class: Any) -> None:
    headers = headers_class({"a": "1"})
    assert headers["A"] == "1"
    headers.add("a", "2")
    assert headers["A"] == "1,2"
    headers.add("a", "")
    assert headers["a"] == "1,2,"


def test_it_is_a_mapping(headers_class: Any) -> None:
    headers = headers_class({"a": "1", "b": "2"})
    assert dict(headers) == {"A": "1", "B": "2"}
    assert list(headers.items()) == [("A", "1"), ("B", "2")]
    assert list(headers.values()) == ["1", "2"]
    assert headers.pop("a") == "1"
    assert headers.pop("a", None) is None
    assert headers.setdefault("B", "x") == "2"
    assert headers.setdefault("c", "3") == "3"
    headers.update({"b": "20"}, d="4")
    assert dict(headers) == {"B": "20", "C": "3", "D": "4"}
    assert headers.popitem()[0] in ("B", "D")
    headers.clear()
    assert (len(headers), dict(headers), list(headers.get_all())) == (0, {}, [])
    assert not headers
    headers["a"] = "again"
    assert dict(headers) == {"A": "again"}


def test_equality_is_that_of_mappings(headers_class: Any) -> None:
    one, two = headers_class([("a", "1"), ("b", "2")]), headers_class([("B", "2"), ("A", "1")])
    assert one == two
    assert one == {"A": "1", "B": "2"}
    two.add("a", "3")
    assert one != two
    with pytest.raises(TypeError):
        hash(one)


@pytest.mark.parametrize("name", ["", " ", "a b", "a:", "a\n", "a\r", "\x00", "é", "a/b", "(a)"])
def test_invalid_names(httputil: Any, name: str) -> None:
    headers = httputil.HTTPHeaders({"Kept": "1"})
    with pytest.raises(httputil.HTTPInputError):
        headers.add(name, "v")
    if httputil is not importlib.import_module("tornado.httputil"):  # it lets them be assigned
        with pytest.raises(httputil.HTTPInputError):
            headers[name] = "v"
        assert name not in headers
        assert headers.get(name) is None
        with pytest.raises(KeyError):
            headers[name]
    assert list(headers.get_all()) == [("Kept", "1")]


@pytest.mark.parametrize("value", ["a\n", "\r", "a\r\nb: c", "\x00", "\x7f", "\x1b[m", "a\x0bb"])
def test_invalid_values(httputil: Any, value: str) -> None:
    headers = httputil.HTTPHeaders({"Kept": "1"})
    with pytest.raises(httputil.HTTPInputError):
        headers.add("a", value)
    with pytest.raises(httputil.HTTPInputError):
        headers.add("Kept", value)
    if httputil is not importlib.import_module("tornado.httputil"):  # as above
        with pytest.raises(httputil.HTTPInputError):
            headers["a"] = value
        with pytest.raises(httputil.HTTPInputError):
            headers["Kept"] = value
    assert list(headers.get_all()) == [("Kept", "1")]


@pytest.mark.parametrize("value", ["", "a b", "a\tb", "é", "\xff", ",;\"'<>"])
def test_valid_values(headers_class: Any, value: str) -> None:
    headers = headers_class()
    headers.add("a", value)
    headers["b"] = value
    assert list(headers.get_all()) == [("A", value), ("B", value)]


def test_copies_are_independent(headers_class: Any) -> None:
    original = headers_class({"a": "1"})
    original.add("b", "2")
    original.add("b", "3")
    pairs = list(original.get_all())
    makers: list[Any] = [
        original.copy,
        lambda: copy.copy(original),
        lambda: copy.deepcopy(original),
        lambda: headers_class(original),
        lambda: pickle.loads(pickle.dumps(original)),
    ]
    for make in makers:
        other = make()
        assert type(other) is headers_class
        assert list(other.get_all()) == pairs
        other.add("a", "x")
        other["b"] = "y"
        del other["a"]
        other.clear()
        assert list(original.get_all()) == pairs
        other = make()
        original.add("A", "late")
        assert other["a"] == "1"
        original["a"] = "1"


# ---- Text ------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["A: 1", "b:2", "C:   3  ", ""], [("A", "1"), ("B", "2"), ("C", "3")]),
        (["a: 1", "a: 2"], [("A", "1"), ("A", "2")]),
        (["a:", "b: :c:"], [("A", ""), ("B", ":c:")]),
        (["a: é\xa0"], [("A", "é\xa0")]),
        ([""], []),
    ],
)
def test_parse(headers_class: Any, end: str, lines: list[str], expected: Any) -> None:
    assert list(headers_class.parse(end.join([*lines, ""])).get_all()) == expected


@pytest.mark.parametrize(
    "text",
    [
        " folded: first\r\n",
        "no colon\r\n",
        "a b: c\r\n",
        "a : c\r\n",
        ": nameless\r\n",
        "a: b\rc: d\r\n",
        "a: b\x00\r\n",
        "a: 1\r\n \x00\r\n",
        "é: 1\r\n",
        "a\t: 1\r\n",
    ],
)
def test_parse_refuses(httputil: Any, text: str) -> None:
    with pytest.raises(httputil.HTTPInputError):
        httputil.HTTPHeaders.parse(text)


def test_parse_line(headers_class: Any) -> None:
    headers = headers_class()
    headers.parse_line("Content-Length: 42")
    headers.parse_line("x-a: 1\r\n")
    headers.parse_line("x-A: 3\n")
    assert headers["content-length"] == "42"
    assert headers.get_list("X-A") == ["1", "3"]
    headers.parse_line("")
    assert len(headers) == 2


FOLDED = [
    ("a: 1\r\n  folded\r\n\tagain\r\n", [("A", "1 folded again")]),
    ("a:\r\n folded", [("A", "folded")]),
    ("a: 1\nb: 2\n x\n", [("A", "1"), ("B", "2 x")]),
    ("a: 1\r\n \r\nb: 2\r\n", [("A", "1"), ("B", "2")]),
]


@pytest.mark.parametrize(("text", "expected"), FOLDED)
def test_folded_lines(httputil: Any, text: str, expected: Any) -> None:
    if httputil is importlib.import_module("tornado.httputil"):  # no longer, since 6.6
        with pytest.raises(httputil.HTTPInputError):
            httputil.HTTPHeaders.parse(text)
        return
    assert list(httputil.HTTPHeaders.parse(text).get_all()) == expected


def test_a_folded_line_after_a_look_up() -> None:
    headers = HTTPHeaders.parse("a: 1\r\na: 2\r\n")
    assert headers["a"] == "1,2"
    headers.parse_line(" 3")
    assert headers["a"] == "1,2 3"
    assert headers.get_list("a") == ["1", "2 3"]


def test_str(headers_class: Any) -> None:
    headers = headers_class({"a-b": "1"})
    headers.add("c", "2")
    headers.add("c", "3")
    assert str(headers) == "A-B: 1\nC: 2\nC: 3\n"
    assert str(headers_class()) == ""
    assert headers_class.parse(str(headers)) == headers


def test_subclasses_stay_what_they_are(headers_class: Any) -> None:
    subclass: Any = type("Own", (headers_class,), {})
    assert type(subclass.parse("a: b\r\n")) is subclass
    assert isinstance(subclass({"a": "b"}).copy(), headers_class)


# ---- Ours alone ------------------------------------------------------------------------------


def test_order_is_that_of_the_wire() -> None:
    headers = HTTPHeaders.parse("a: 1\r\nb: 2\r\nA: 3\r\nc: 4\r\n")
    assert list(headers.get_all()) == [("A", "1"), ("B", "2"), ("A", "3"), ("C", "4")]
    headers["a"] = "5"
    assert list(headers.get_all()) == [("A", "5"), ("B", "2"), ("C", "4")]


def test_repr_shows_everything() -> None:
    headers = HTTPHeaders({"a": "1"})
    headers.add("A", "2")
    assert repr(headers) == "HTTPHeaders([('A', '1'), ('A', '2')])"


def test_a_value_of_another_type_changes_nothing() -> None:
    headers = HTTPHeaders({"a": "1"})
    bad: Any
    for bad in (None, 1, b"bytes", b"\n", ["a"]):
        with pytest.raises((TypeError, AttributeError)):
            headers["a"] = bad
        with pytest.raises((TypeError, AttributeError)):
            headers.add("b", bad)
    assert list(headers.get_all()) == [("A", "1")]
    assert 1 not in list[Any](headers)
    assert not headers.__contains__(1)


def test_text_beyond_latin_1_is_refused() -> None:
    with pytest.raises(HTTPInputError):
        HTTPHeaders().add("a", "€")


@pytest.mark.parametrize("looked_up", [False, True])
def test_shared_fields_are_copied_before_they_are_changed(looked_up: bool) -> None:
    pairs = [("a", "1"), ("b", "2"), ("B", "3")]
    index = build_index(pairs)
    before = (pairs.copy(), index.copy())
    changes: list[Any] = [
        lambda headers: headers.add("c", "x"),
        lambda headers: headers.add("a", "x"),
        lambda headers: headers.set_missing("New", "new", "x"),
        lambda headers: headers.__setitem__("a", "x"),
        lambda headers: headers.__setitem__("c", "x"),
        lambda headers: headers.__delitem__("b"),
        lambda headers: headers.pop("a"),
        lambda headers: headers.clear(),
        lambda headers: headers.parse_line(" folded"),
        lambda headers: headers.parse_line("new: line"),
        lambda headers: headers.update(a="x", d="y"),
        lambda headers: headers.popitem(),
        lambda headers: headers.setdefault("d", "x"),
    ]
    for change in changes:
        headers = HTTPHeaders.sharing(pairs, index)
        twin = HTTPHeaders.sharing(pairs, index)
        other = headers.copy()
        if looked_up:
            assert headers["b"] == "2,3"
        change(headers)
        assert (pairs, index) == before
        assert list(twin.get_all()) == list(other.get_all())
        assert dict(twin) == dict(other) == {"A": "1", "B": "2,3"}
        assert headers.index() == build_index(headers.wire_pairs())
        change(other)
        assert (pairs, index) == before
        assert other == headers
        pickled = pickle.loads(pickle.dumps(twin))
        pickled.add("a", "x")
        assert (pairs, index) == before


def test_a_failed_change_of_shared_fields_changes_nothing() -> None:
    pairs = [("a", "1")]
    headers = HTTPHeaders.sharing(pairs, build_index(pairs))
    with pytest.raises(HTTPInputError):
        headers.add("a", "\n")
    with pytest.raises(HTTPInputError):
        headers["b b"] = "x"
    with pytest.raises(KeyError):
        del headers["missing"]
    assert headers.wire_pairs() == pairs == [("a", "1")]


def test_a_bad_fold_leaves_consistent_headers() -> None:
    headers = HTTPHeaders.parse("a: 1\r\nb: 2\r\n")
    assert headers["b"] == "2"
    with pytest.raises(HTTPInputError):
        headers.parse_line(" \x00")
    assert headers.index() == build_index(headers.wire_pairs())


def _repeat(count: int) -> None:
    headers = HTTPHeaders()
    for number in range(count):
        headers.add("a", str(number))
    assert headers["a"].startswith("0,1,2")
    assert len(headers.get_list("A")) == count
    headers.copy().add("a", "x")
    headers["a"] = "one"
    assert headers["a"] == "one"
    block = HTTPHeaders.parse("a: 1\r\n" * count)
    assert len(block["a"]) == 2 * count - 1


def test_a_name_repeated_many_times_is_linear_CVE_2025_67725() -> None:
    assert growth(_repeat, 2000) < 24


# ---- Against a model -------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["new", "a", "A", "b", "B", "x-a", "X-A", "x-A", "set-cookie", "Set-Cookie"]
)
VALUES = st.text(st.sampled_from("ab,é \t"), max_size=4)


class HeadersMachine(RuleBasedStateMachine):
    """HTTPHeaders does what a list of pairs would do."""

    def __init__(self) -> None:
        super().__init__()
        self.headers = HTTPHeaders()
        self.model: list[tuple[str, str]] = []
        self.left: list[tuple[HTTPHeaders, list[tuple[str, str]]]] = []

    def model_values(self, name: str) -> list[str]:
        return [value for key, value in self.model if key.lower() == name.lower()]

    def model_set(self, name: str, value: str) -> None:
        places = [i for i, (key, _) in enumerate(self.model) if key.lower() == name.lower()]
        if not places:
            self.model.append((name, value))
            return
        self.model[places[0]] = (name, value)
        for place in reversed(places[1:]):
            del self.model[place]

    @rule(name=NAMES, value=VALUES)
    def add(self, name: str, value: str) -> None:
        self.headers.add(name, value)
        self.model.append((name, value))

    @rule(name=NAMES, value=VALUES)
    def assign(self, name: str, value: str) -> None:
        self.headers[name] = value
        self.model_set(name, value)

    @rule(value=VALUES)
    def set_a_new_one(self, value: str) -> None:
        if not self.model_values("New"):
            self.headers.set_missing("New", "new", value)
            self.model.append(("New", value))

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if not self.model_values(name):
            with pytest.raises(KeyError):
                del self.headers[name]
            return
        del self.headers[name]
        self.model = [pair for pair in self.model if pair[0].lower() != name.lower()]

    @rule(fields=st.lists(st.tuples(NAMES, VALUES), max_size=3))
    def update(self, fields: list[tuple[str, str]]) -> None:
        self.headers.update(fields)
        for name, value in fields:
            self.model_set(name, value)

    @rule(name=NAMES, value=VALUES)
    def parse_line(self, name: str, value: str) -> None:
        self.headers.parse_line(f"{name}: {value}\r\n")
        self.model.append((name, value.strip(" \t")))

    @rule()
    def clear(self) -> None:
        self.headers.clear()
        self.model = []

    @rule(name=NAMES)
    def look(self, name: str) -> None:
        values = self.model_values(name)
        assert self.headers.get(name) == (",".join(values) if values else None)
        assert self.headers.get_list(name) == values
        assert (name in self.headers) is bool(values)

    @rule(how=st.sampled_from(["copy", "init", "pickle", "sharing"]))
    def go_on_with_a_copy(self, how: str) -> None:
        """The one that is left must stay what it is."""
        old = self.headers
        if how == "sharing":
            old = HTTPHeaders.from_pairs(old.wire_pairs(), old.index())
            self.headers = HTTPHeaders.sharing(old.wire_pairs(), old.index())
        elif how == "copy":
            self.headers = old.copy()
        elif how == "init":
            self.headers = HTTPHeaders(old)
        else:
            self.headers = pickle.loads(pickle.dumps(old))
        self.left.append((old, self.model.copy()))

    @invariant()
    def same_pairs(self) -> None:
        for headers, model in [(self.headers, self.model), *self.left[-3:]]:
            pairs = list(headers.get_all())
            shown = ["-".join(w.capitalize() for w in name.split("-")) for name, _ in model]
            assert pairs == list(zip(shown, [value for _, value in model], strict=True))

    @invariant()
    def index_is_right(self) -> None:
        fresh = build_index(self.headers.wire_pairs())
        if self.headers._index is not None:
            assert self.headers._index == fresh
        assert len(copy.copy(self.headers)) == len(fresh)


TestHeadersMachine = HeadersMachine.TestCase


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_the_same_as_tornado(pairs: list[tuple[str, str]]) -> None:
    theirs = pytest.importorskip("tornado.httputil").HTTPHeaders()
    ours = HTTPHeaders()
    for name, value in pairs:
        ours.add(name, value.strip(" \t"))  # Tornado refuses white space around a value
        theirs.add(name, value.strip(" \t"))
    assert dict(ours) == dict(theirs)
    assert list(ours) == list(theirs)
    assert sorted(ours.get_all()) == sorted(theirs.get_all())
    for name, _ in pairs:
        assert ours.get_list(name) == theirs.get_list(name)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_the_index_of_pairs(pairs: list[tuple[str, str]]) -> None:
    expected: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        expected[key] = f"{expected[key]},{value}" if key in expected else value
    assert build_index(pairs) == expected
    assert list(build_index(pairs)) == list(expected)


def test_it_is_registered_as_a_mapping(headers_class: Any) -> None:
    assert isinstance(headers_class(), Mapping)
    assert isinstance(headers_class(), Iterable)


@pytest.mark.parametrize("value", [5, None, b"x"])
def test_a_value_that_is_no_text(value: Any) -> None:
    with pytest.raises(TypeError, match="A"):
        HTTPHeaders({"A": value})
    headers = HTTPHeaders()
    with pytest.raises(TypeError):
        headers.add("A", value)
    assert "A" not in headers
