"""Routing: what matches, what a rule is, and what is reversed.

Tests that take ``tornado_or_ours`` run over the real Tornado too: what they say is the interface.
"""

from __future__ import annotations

import inspect
import re
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from routers import A, B, C, D, E, asking, recording

from tornadoish import routing
from tornadoish.compiling import is_compiled
from tornadoish.httputil import HTTPServerRequest
from tornadoish.routing import Matcher, PathMatches, ReversibleRuleRouter, RuleRouter, URLSpec

# ---- Matching ------------------------------------------------------------------------------

PATHS = [
    ("/a", "/a", {}),
    ("/a", "/a/", None),
    ("/a", "/b", None),
    ("/a", "/", None),
    ("/a", "", None),
    ("/a", "/A", None),
    ("/a", "/a\n", {}),
    ("/a", "/a\n\n", None),
    ("/a$", "/a", {}),
    ("^/a$", "/a", {}),
    (r"/a\.b", "/a.b", {}),
    (r"/a\.b", "/axb", None),
    (r"/a\$", "/a$rest", {}),
    (r"/a\$", "/a", None),
    (r"/a\\b", "/a\\b", {}),
    ("/a/?", "/a", {}),
    ("/a/?", "/a/", {}),
    ("/ab*", "/a", {}),
    ("/ab+", "/abb", {}),
    ("/ab{0,2}", "/a", {}),
    (r"/ab\{x\}", "/ab{x}", {}),
    ("/a|/b", "/a/anything", {}),
    ("/a|/b", "/b", {}),
    ("/(?:a|b)/c", "/b/c", {}),
    ("/[|(]/c", "/|/c", {}),
    ("/[]|]/c", "/|/c", {}),
    (r"/a\|b", "/a|b", {}),
    (r"/x(?#(|)a|/b", "/b", {}),
    # Alternatives that hide, from who counts parentheses badly:
    (r"/x[(]a|/b[)]", "/b)", {}),
    (r"/x[](]a|/b[])]", "/b)", {}),
    (r"/x[^](]a|/b[^](]", "/b)", {}),
    (r"/x[^](]a|/b[])]", "/b)", {}),
    (r"/x[\](]a|/b[\])]", "/b)", {}),
    (r"/x\(a|/b\)", "/b)", {}),
    (r"/x\[a|/b]", "/b]", {}),
    (r"/x(?#[)a|/b[])]", "/b)", {}),
    ("(?i)/a", "/A", {}),
    ("(?x)/a # comment", "/a", {}),
    ("(?m)/a", "/a\nmore", {}),
    ("", "", {}),
    ("", "/", None),
    (".*", "/anything", {}),
    ("/caf\u00e9", "/caf\u00e9", {}),
    ("/([0-9]+)", "/42", {"path_args": [b"42"], "path_kwargs": {}}),
    ("/(.*)/(.*)", "/a/b", {"path_args": [b"a", b"b"], "path_kwargs": {}}),
    ("/(.*)", "/", {"path_args": [b""], "path_kwargs": {}}),
    ("/a(/b)?", "/a", {"path_args": [None], "path_kwargs": {}}),
    ("/a(/b)?", "/a/b", {"path_args": [b"/b"], "path_kwargs": {}}),
    ("/(.*)", "/%41+%2f%C3%A9%", {"path_args": [b"A+/\xc3\xa9%"], "path_kwargs": {}}),
    ("/(.*)", "/\u00e9", {"path_args": ["\u00e9".encode()], "path_kwargs": {}}),
    ("/(?P<x>.)/(?P<y>.)", "/1/2", {"path_args": [], "path_kwargs": {"x": b"1", "y": b"2"}}),
    ("/a(?P<x>/b)?", "/a", {"path_args": [], "path_kwargs": {"x": None}}),
    (re.compile("/a"), "/a/and/more", {}),
    (re.compile("/a", re.IGNORECASE), "/A", {}),
    (re.compile("/a b", re.VERBOSE), "/ab", {}),
    (re.compile(r"/\w", re.ASCII), "/\u00e9", None),
    (re.compile("/a.b", re.DOTALL), "/a\nb", {}),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), PATHS)
def test_path(tornado_or_ours: ModuleType, pattern: Any, path: str, expected: Any) -> None:
    rule = tornado_or_ours.Rule(tornado_or_ours.PathMatches(pattern), A)
    assert rule.matcher.match(asking(path)) == expected
    others = [
        tornado_or_ours.Rule(tornado_or_ours.PathMatches(text), B)
        for text in ("/zzz", "/another", "/zzz/(.*)")
    ]
    found = recording(tornado_or_ours)([*others, rule]).find_handler(asking(path))
    assert found == (None if expected is None else (A, expected))


def test_parameters_belong_to_one_request(tornado_or_ours: ModuleType) -> None:
    router = recording(tornado_or_ours)([("/a", A), ("/b", B), (tornado_or_ours.AnyMatches(), C)])
    for path in ("/a", "/c"):
        router.find_handler(asking(path))[1]["dirt"] = 1
        assert router.find_handler(asking(path))[1] == {}


def test_a_matcher_keeps_the_dict_it_returned() -> None:
    class Constant(Matcher):
        params: dict[str, Any] = {"x": 1}

        def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
            return self.params

    router = recording(routing)([(Constant(), A, {"k": 1})])
    assert router.find_handler(asking("/")) == (A, {"x": 1, "target_kwargs": {"k": 1}})
    assert Constant.params == {"x": 1}


def test_target_kwargs(tornado_or_ours: ModuleType) -> None:
    router = recording(tornado_or_ours)([("/a", A, {"k": 1}), ("/(b)", B, {"k": 2}), ("/c", C, {})])
    assert router.find_handler(asking("/a")) == (A, {"target_kwargs": {"k": 1}})
    assert router.find_handler(asking("/b")) == (
        B,
        {"path_args": [b"b"], "path_kwargs": {}, "target_kwargs": {"k": 2}},
    )
    assert router.find_handler(asking("/c")) == (C, {})


def test_the_first_rule_that_has_a_delegate_wins(tornado_or_ours: ModuleType) -> None:
    rules = [
        ("/a/(x)", A),
        ("/a/b/c", B),
        ("/a/.*", C),
        ("/a/b/d", D),
        (tornado_or_ours.AnyMatches(), E),
    ]
    router = recording(tornado_or_ours)(rules)
    paths = ["/a/x", "/a/b/c", "/a/b/d", "/a/b/c/", "/a", "/b"]
    found = [router.find_handler(asking(path))[0] for path in paths]
    assert found == [A, B, C, C, E, E]


def test_a_target_without_a_delegate_is_passed_over(tornado_or_ours: ModuleType) -> None:
    rule = tornado_or_ours.Rule(tornado_or_ours.PathMatches("/a"), A)
    rule.target = "pass"
    router = recording(tornado_or_ours)([rule, ("/a", [("/b", B)]), ("/a", C)])
    assert router.find_handler(asking("/a")) == (C, {})
    assert router.find_handler(asking("/b")) is None


HOSTS = [
    (r"example\.com", "example.com", True),
    (r"example\.com", "example.com.evil", False),
    (r"example\.com$", "example.com", True),
    (r".*\.example\.com", "www.example.com", True),
    (r".*\.example\.com", "example.com", False),
    (re.compile("example"), "example.com", True),
]


@pytest.mark.parametrize(("pattern", "host", "matches"), HOSTS)
def test_hosts(tornado_or_ours: ModuleType, pattern: Any, host: str, matches: bool) -> None:
    rules = [(tornado_or_ours.HostMatches(pattern), A), ("/a", B)]
    router = recording(tornado_or_ours)(rules)
    assert router.find_handler(asking("/a", host)) == ((A, {}) if matches else (B, {}))


def test_default_host(tornado_or_ours: ModuleType) -> None:
    application = SimpleNamespace(default_host="www.example.com")
    pattern = re.compile(r"www\.example\.com$")
    matcher = tornado_or_ours.DefaultHostMatches(application, pattern)
    assert matcher.match(asking("/", "127.0.0.1")) == {}
    assert matcher.match(asking("/", "127.0.0.1", X_Real_Ip="10.0.0.1")) is None
    application.default_host = "example.com"
    assert matcher.match(asking("/", "127.0.0.1")) is None


def test_nested_routers_see_the_whole_path(tornado_or_ours: ModuleType) -> None:
    class_ = recording(tornado_or_ours)
    inner = class_([("/api/users", A), ("/api/.*", [("/api/users/(.*)", B)])])
    router = class_([(tornado_or_ours.HostMatches("api"), [("/x", C)]), ("/api/.*", inner)])
    assert router.find_handler(asking("/api/users")) == (A, {})
    assert router.find_handler(asking("/api/users/7"))[0] is B
    assert router.find_handler(asking("/api/else")) is None
    assert router.find_handler(asking("/x", "api")) == (C, {})
    assert router.find_handler(asking("/api/users", "api")) == (A, {})


def test_abstract_methods(tornado_or_ours: ModuleType) -> None:
    with pytest.raises(NotImplementedError):
        tornado_or_ours.Router().find_handler(asking("/"))
    with pytest.raises(NotImplementedError):
        tornado_or_ours.ReversibleRouter().reverse_url("x")
    with pytest.raises(NotImplementedError):
        tornado_or_ours.Matcher().match(asking("/"))
    assert tornado_or_ours.Matcher().reverse() is None


# ---- Rules ---------------------------------------------------------------------------------


def test_rule(tornado_or_ours: ModuleType) -> None:
    matcher = tornado_or_ours.PathMatches("/(.)/b")
    rule = tornado_or_ours.Rule(matcher, A, {"k": 1}, "name")
    assert (rule.matcher, rule.target, rule.target_kwargs, rule.name) == (
        matcher,
        A,
        {"k": 1},
        "name",
    )
    assert rule.reverse("a") == "/a/b"
    assert tornado_or_ours.Rule(matcher, A).target_kwargs == {}
    assert tornado_or_ours.Rule(tornado_or_ours.AnyMatches(), A).reverse() is None
    any_rule = tornado_or_ours.Rule(tornado_or_ours.Matcher(), A, {"k": 1}, "name")
    assert repr(any_rule).startswith("Rule(<")
    assert repr(any_rule).endswith(">, A, kwargs={'k': 1}, name='name')")


def test_urlspec(tornado_or_ours: ModuleType) -> None:
    spec = tornado_or_ours.URLSpec("/a(.*)", A, {"k": 1}, name="name")
    assert spec.regex is spec.matcher.regex
    assert spec.regex.pattern == "/a(.*)$"
    assert (spec.handler_class, spec.target, spec.kwargs, spec.name) == (A, A, {"k": 1}, "name")
    assert repr(spec) == "URLSpec('/a(.*)$', A, kwargs={'k': 1}, name='name')"
    assert tornado_or_ours.URLSpec("/a", A).kwargs is None
    assert isinstance(spec, tornado_or_ours.Rule)


def test_a_string_is_imported(tornado_or_ours: ModuleType) -> None:
    assert tornado_or_ours.URLSpec("/", "collections.OrderedDict").handler_class.__name__ == (
        "OrderedDict"
    )
    with pytest.raises(ImportError):
        tornado_or_ours.Rule(tornado_or_ours.AnyMatches(), "collections.Missing")
    with pytest.raises(ImportError):
        tornado_or_ours.Rule(tornado_or_ours.AnyMatches(), "no_such_module_here.Name")


def test_add_rules_takes_rules_and_arguments(tornado_or_ours: ModuleType) -> None:
    spec = tornado_or_ours.URLSpec("/a", A)
    matcher = tornado_or_ours.AnyMatches()
    router = tornado_or_ours.RuleRouter([spec, ("/b", B)])
    router.add_rules([["/c", C, {"k": 1}], (matcher, D, {}, "name")])
    assert router.rules[0] is spec
    assert [rule.target for rule in router.rules] == [A, B, C, D]
    assert router.rules[1].matcher.regex.pattern == "/b$"
    assert router.rules[2].target_kwargs == {"k": 1}
    assert (router.rules[3].matcher, router.rules[3].name) == (matcher, "name")
    wrong: Any
    for wrong in [("/a",), ("/a", A, {}, "name", 5)]:
        with pytest.raises(AssertionError):
            router.add_rules([wrong])


def test_named_and_nameless_groups_do_not_mix(tornado_or_ours: ModuleType) -> None:
    with pytest.raises(AssertionError):
        tornado_or_ours.PathMatches("/(?P<x>.)/(.)")


# ---- Reversing -----------------------------------------------------------------------------

REVERSES = [
    ("/a", (), "/a"),
    ("^/a$", (), "/a"),
    (r"/a\.b", (), "/a.b"),
    ("/a/?", (), "/a/?"),
    ("/(.*)/b/(.*)", ("1", "2"), "/1/b/2"),
    ("/(?P<x>.*)/b", ("1",), "/1/b"),
    ("/(.)", (7,), "/7"),
    ("/(.)", (None,), "/None"),
    ("/(.)", ("a b/c+d",), "/a%20b/c%2Bd"),
    ("/(.)", ("\u00e9",), "/%C3%A9"),
    ("/(.)", (b"\xff",), "/%FF"),
    ("/(.)", ("%s",), "/%25s"),
    ("/100%", (), "/100%"),
    ("/a", ("1",), AssertionError),
    ("/(.)", (), AssertionError),
    ("/(.)", ("1", "2"), AssertionError),
    (r"/\d", (), ValueError),
    (r"/(.)/\d", ("1",), ValueError),
    (r"/(\d)", ("1",), "/1"),
    ("/(?:a|b)", (), ValueError),
    (r"/\(a\)", (), ValueError),
    ("/(?:(.))", ("1",), ValueError),
]


@pytest.mark.parametrize(("pattern", "args", "expected"), REVERSES)
def test_reverse(tornado_or_ours: ModuleType, pattern: str, args: Any, expected: Any) -> None:
    matcher = tornado_or_ours.PathMatches(pattern)
    if isinstance(expected, str):
        assert matcher.reverse(*args) == expected
    else:
        with pytest.raises(expected):
            matcher.reverse(*args)


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        ("/([0-9]{4})/([a-z-]+)/", ("/%s/%s/", 2)),
        ("/a", ("/a", 0)),
        ("/(?P<x>.)", ("/%s", 1)),
        (r"/a\.(.)", ("/a.%s", 1)),
        (r"/\d(.)", (None, None)),
        ("/(?:.)", (None, None)),
        (re.compile("/(.)"), ("/%s", 1)),
    ],
)
def test_find_groups(tornado_or_ours: ModuleType, pattern: Any, groups: Any) -> None:
    assert tornado_or_ours.PathMatches(pattern)._find_groups() == groups


@pytest.mark.parametrize(
    ("pattern", "args", "expected"),
    [
        ("/caf%C3%A9/(.)", ("1",), "/caf%C3%A9/1"),  # Tornado: ValueError from % formatting
        ("/%d/(.)", ("1",), "/%d/1"),  # Tornado: TypeError
        (r"/a\)b", (), "/a)b"),  # Tornado: "%sb"
    ],
)
def test_reverse_what_tornado_cannot(pattern: str, args: Any, expected: str) -> None:
    assert PathMatches(pattern).reverse(*args) == expected


def test_groups_in_groups_are_not_reversed() -> None:  # Tornado: TypeError from % formatting
    matcher = PathMatches("/((a)b)")
    assert matcher._find_groups() == (None, None)
    with pytest.raises(ValueError, match="cannot make a URL"):
        matcher.reverse("ab", "a")


def test_reverse_url(tornado_or_ours: ModuleType) -> None:
    inner = tornado_or_ours.ReversibleRuleRouter([("/in/(.)", A, {}, "inner")])
    middle = tornado_or_ours.ReversibleRuleRouter([("/.*", inner)])
    router = tornado_or_ours.ReversibleRuleRouter(
        [("/out", B, {}, "outer"), tornado_or_ours.Rule(tornado_or_ours.AnyMatches(), middle)]
    )
    assert router.reverse_url("outer") == "/out"
    assert router.reverse_url("inner", "x") == "/in/x"
    assert router.reverse_url("missing") is None
    assert list(router.named_rules) == ["outer"]
    assert router.named_rules["outer"] is router.rules[0]


def test_a_name_given_twice(tornado_or_ours: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    router = tornado_or_ours.ReversibleRuleRouter([("/1", A, {}, "n"), ("/2", B, {}, "n")])
    assert router.reverse_url("n") == "/2"
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# ---- The interface -------------------------------------------------------------------------


#: what is not Tornado's
OURS = {"Converter", "Mount", "register_converter"}


# What ``_RoutingDelegate`` inherits; of the compiled one Python knows no names of parameters.
COMPILED = [("_RoutingDelegate", "__init__")] if is_compiled() else []


def test_names_and_signatures_are_tornados() -> None:
    theirs = pytest.importorskip("tornado.routing")
    for name in set(routing.__all__) - OURS:
        if name in ("_RuleList", "_CallableAdapter"):
            continue
        real, ours = getattr(theirs, name), getattr(routing, name)
        assert parameters(ours) == parameters(real), name
        for method, function in vars(real).items():
            if inspect.isfunction(function) and (name, method) not in COMPILED:
                own = getattr(ours, method)
                # Values of placeholders have names, and groups have none.
                found = [each for each in parameters(own) if each != "named"]
                assert found == parameters(function), f"{name}.{method}"


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_reversible_router_is_a_rule_router() -> None:
    router = ReversibleRuleRouter([URLSpec("/a", A, name="a")])
    assert isinstance(router, RuleRouter)
    assert isinstance(router, routing.ReversibleRouter)
