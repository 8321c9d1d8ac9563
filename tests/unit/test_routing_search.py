"""The search for a route: it finds what trying every rule would, with less work."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routers import A, B, asking, recording, rule

from tornadoish import routing
from tornadoish.httputil import HTTPServerRequest
from tornadoish.routing import AnyMatches, HostMatches, Matcher, PathMatches, Rule, index
from tornadoish.routing.index import RouteIndex
from tornadoish.routing.segments import segments


class Odd(PathMatches):
    """Matches what its pattern does not."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return {} if super().match(request) is None else None


LITERALS = st.sampled_from(
    ["/", "a", "b", "ab", "/a", "/ab", "/a/b", r"\.", r"\$", r"\|", r"\(", r"\\", "\u00e9", "-"]
)
PIECES = st.one_of(
    LITERALS,
    LITERALS,
    st.sampled_from(
        [
            "a?",
            "b*",
            "b+",
            "/{0,2}",
            "a{x}",
            "/?",
            ".",
            ".*",
            r"\w",
            r"\d",
            r"\x61",
            r"\n",
            "}",
            "]",
        ]
    ),
    st.sampled_from(
        [
            "[ab]",
            "[^a]",
            "[^/]",
            "[.-9]",
            "[]a|]",
            "[|]*",
            r"[\]|(]",
            "(?:a|b)",
            "(?:/a)?",
            "(?:a(?:b|/))*",
            "(?#|)",
        ]
    ),
    st.sampled_from(["(a|b)", "(.*)", "(/b)?", "([^/]+)", "(a|)", "|", "|", "$", "^", "(?i:a)"]),
    st.sampled_from(
        ["(?#()", "(?=/)", "(?!/a)", "(?<=a)", "\\A", "\\Z", "\\b", "a??", "b*?", "a++"]
    ),
)
FLAGS = st.sampled_from([0, 0, 0, re.I, re.X, re.M, re.S, re.A, re.I | re.X])


@st.composite
def matchers(draw: st.DrawFn) -> Matcher:
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return AnyMatches()
    if kind == 1:
        return HostMatches(draw(st.sampled_from(["one", "two", ".*"])))
    text = draw(st.sampled_from(["", "", "^"])) + "".join(draw(st.lists(PIECES, max_size=5)))
    try:
        pattern = re.compile(text, draw(FLAGS)) if kind < 6 else text
        return Odd(pattern) if kind == 6 else PathMatches(pattern)
    except (re.error, ValueError):  # ValueError: a placeholder among what is no template
        return PathMatches("".join(draw(st.lists(LITERALS, max_size=4))))


PATH = st.one_of(
    st.text("/ab", max_size=6).map(lambda text: "/" + text),
    st.lists(
        st.sampled_from(
            [
                "/",
                "a",
                "b",
                "/a",
                "/a/b",
                ".",
                "$",
                "|",
                "(",
                "\\",
                "\n",
                "%41",
                "\u00e9",
                "{x}",
                "A",
            ]
        ),
        max_size=6,
    ).map("".join),
)


@pytest.mark.parametrize("few", [0, index.FEW])
@settings(max_examples=150, deadline=None)
@given(
    rules=st.lists(st.tuples(matchers(), st.booleans()), max_size=12),
    paths=st.lists(PATH, min_size=1, max_size=12),
    host=st.sampled_from(["one", "two"]),
)
def test_the_search_finds_what_trying_every_rule_finds(
    few: int, rules: list[tuple[Matcher, bool]], paths: list[str], host: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "FEW", few)  # 0: even the fewest are told apart by their segments
        search_and_try(rules, paths, host)


def search_and_try(rules: list[tuple[Matcher, bool]], paths: list[str], host: str) -> None:
    router = recording(routing)()
    for number, (matcher, passed) in enumerate(rules):
        router.rules.append(Rule(matcher, number))
        if passed and number % 3 == 0:
            router.rules[-1].target = "pass"
    # A pattern's own beginning is the path most likely to match it.
    own = [
        m.regex.pattern.strip("^$").replace("\\", "") for m, _ in rules if type(m) is PathMatches
    ]
    for path in [*paths, *own, *[text + "\n" for text in own], *[text[:-1] for text in own]]:
        request = asking(path, host)
        expected = None
        for each in router.rules:
            params = each.matcher.match(request)
            if params is not None and each.target != "pass":
                expected = (each.target, params)
                break
        assert router.find_handler(request) == expected, path


CHAIN = ["/a/b/c/d/e", "/a/b/c/d", "/a/b/c", "/a/b"]


def tried(paths: list[str], path: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many matchers are asked until the last of ``paths``, in order, is found for ``path``."""
    router = recording(routing)([(text, number) for number, text in enumerate(paths)])
    asked: list[str] = []
    real = PathMatches.match

    def match(self: PathMatches, request: HTTPServerRequest) -> dict[str, Any] | None:
        asked.append(self.regex.pattern)
        return real(self, request)

    with monkeypatch.context() as patch:
        patch.setattr(PathMatches, "match", match)
        found = router.find_handler(asking(path))
    assert found is not None
    assert found[0] == len(paths) - 1
    candidates = RouteIndex(router.rules).candidates(path)
    return max(len(asked), len(candidates))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/api/thing{}", "/api/thing{}"),
        ("^/api/thing{}$", "/api/thing{}"),
        ("/api/thing{}/([0-9]+)", "/api/thing{}/42"),
        ("/([^/]+)/thing{}", "/any/thing{}"),
        (r"/users/(\d+)/thing{}", "/users/7/thing{}"),
        (r"/users/([0-9]+)/thing{}/([a-z0-9_-]*)/?", "/users/7/thing{}/x"),
        (r"/api/(v[12]|beta)/thing{}", "/api/v2/thing{}"),
        ("/users/{{id:int}}/thing{}", "/users/7/thing{}"),
        (r"/thing{}\.html", "/thing{}.html"),
        ("/thing{}/(?P<name>[^/]+)/?", "/thing{}/name"),
        ("/x{}/?", "/x{}"),
    ],
)
def test_five_hundred_routes_are_no_more_work_than_ten(
    pattern: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(count: int) -> int:
        paths = [pattern.format(f"-{number:03}-") for number in range(count)]
        return tried(paths, path.format(f"-{count - 1:03}-"), monkeypatch)

    assert work(500) <= work(10) + 1


def test_the_index_is_made_once_for_many_requests() -> None:
    router = recording(routing)([("/a", A), ("/b", B)])
    made = []
    for path in ("/a", "/b", "/c", "/a"):
        router.find_handler(asking(path))
        made.append(router.rules.route_index)
    assert made[0] is not None
    assert made == [made[0]] * 4
    router.rules.pop()
    router.find_handler(asking("/a"))
    assert router.rules.route_index not in (None, made[0])


def test_only_rules_whose_prefix_the_path_begins_with_are_tried() -> None:
    index = RouteIndex([rule(path, A) for path in ["/b.*", *CHAIN, "/a/(.*)", "/a/b/x", "/"]])

    def patterns(path: str) -> list[str]:
        tried: list[Any] = [matcher for _, _, matcher, _ in index.candidates(path)]
        return [matcher.regex.pattern.rstrip("$") for matcher in tried]

    assert patterns("/a/b/c/d/e") == [*CHAIN, "/a/(.*)", "/"]
    assert patterns("/a/b/c/zzz") == ["/a/b/c", "/a/b", "/a/(.*)", "/"]  # sorts behind /a/b/c/d/e
    assert patterns("/a/b/zzz") == ["/a/b", "/a/(.*)", "/"]
    assert patterns("/a/b/x") == ["/a/b", "/a/(.*)", "/a/b/x", "/"]
    assert patterns("/bbb") == ["/b.*", "/"]
    assert patterns("/zzz") == ["/"]
    assert patterns("") == patterns("!") == []


@pytest.mark.parametrize(
    ("pattern", "known"),
    [
        ("", []),
        ("$", [""]),
        ("/$", ["", ""]),
        ("/a/b$", ["", "a", "b"]),
        ("/a/b", ["", "a"]),
        (r"^/a\.b/(\d+)/c$", ["", "a.b", None, "c"]),
        ("/([^/]+)/x-(?:a|b)/c$", ["", None, None, "c"]),
        ("/(?P<n>[a-z]{1,3})?/c$", ["", None, "c"]),
        ("/a/?b/c$", [""]),
        ("/(.*)/c$", [""]),
        ("/(a/b)/c$", [""]),
        (r"/[\.-9]/c$", [""]),
        ("/[^a]/c$", [""]),
        (r"/\D/c$", [""]),
        ("/(?=a)b/c$", [""]),
        ("/ab?/c$", ["", None, "c"]),
        ("/a(?#/)/c$", [""]),
    ],
)
def test_what_is_known_of_a_pattern(pattern: str, known: list[str | None]) -> None:
    assert segments(pattern) == known
