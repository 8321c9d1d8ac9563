"""The search: which rules of a list need be tried for a path.

`RuleRouter` keeps its rules in an `IndexedRules` and asks the index of it at each request. The
index only leaves rules out that cannot match; it never decides that one does.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from operator import itemgetter
from typing import Any, TypeVar, cast

from tornadoish.compiling import mypyc_attr
from tornadoish.httputil import HTTPServerRequest
from tornadoish.routing.rules import Matcher, PathMatches, Rule, _unquote_or_none
from tornadoish.routing.segments import Segments
from tornadoish.routing.templates import plain_text

# A rule, its matcher, and, if the matcher is for one single path, the two spellings of that path
# which `$` lets through: with a line feed behind it and without. Last, if nobody but a pattern
# whose groups have no names decides, that pattern.
Candidate = tuple[Rule, tuple[str, str] | None, Matcher, Any]

#: rules that are tried without a further look at which of them may match
FEW = 6


class RouteIndex:
    """Which rules of a list can match a path at all, in the order of the list.

    Most patterns begin with plain text, and a path that does not begin with the same text cannot
    match. So the rules are filed under that text, their prefix (a rule of which no such thing is
    known is filed under ""), and each prefix lists as candidates, in the order of the rules, its
    own rules and those of every shorter prefix that it begins with. The candidates for a path are
    those of the longest prefix that the path begins with: no rule left out could have matched, so
    the first match is the one that trying every rule in turn would find.

    Finding that prefix: let q be the last prefix in sorted order that is not greater than the
    path, and p any prefix that the path begins with. Then p <= q <= path. Every string that sorts
    between p and a string that begins with p begins with p itself; so q begins with p: p is q or
    one of its ancestors. So q's candidates miss nothing, but may hold rules that cannot match;
    going up from q, the first prefix that the path does begin with is the longest, and its
    candidates are the fewest. "" is always there, so that the search begins somewhere and ends.
    """

    __slots__ = ("_candidates", "_exact", "_parents", "_prefixes", "_segments", "pathless")

    pathless: tuple[Candidate, ...] | None
    """All rules, if none depends on how the path begins; then nobody need look at the path."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        filed: dict[str, list[tuple[int, Candidate]]] = {"": []}
        for order, rule in enumerate(rules):
            prefix, whole = _literal_start(rule.matcher)
            entry = (rule, whole, rule.matcher, _unnamed_pattern(rule.matcher))
            filed.setdefault(prefix, []).append((order, entry))

        self._prefixes = sorted(filed)
        self._parents: list[int] = []
        ordered: list[list[tuple[int, Candidate]]] = []
        ancestors: list[int] = []
        for position, prefix in enumerate(self._prefixes):
            while ancestors and not prefix.startswith(self._prefixes[ancestors[-1]]):
                ancestors.pop()
            own = filed[prefix]
            inherited = ordered[ancestors[-1]] if ancestors else []
            ordered.append(sorted(inherited + own, key=itemgetter(0)))
            self._parents.append(ancestors[-1] if ancestors else position)
            ancestors.append(position)

        self._candidates = [tuple(entry for _, entry in entries) for entries in ordered]
        self._segments = [_by_segment(entries) for entries in self._candidates]
        # Most paths are asked for as a whole, and of few rules it is as quick to try them all.
        self._exact = {
            prefix: entries
            for prefix, entries in zip(self._prefixes, self._candidates, strict=True)
            if len(entries) <= FEW
        }
        self.pathless = self._candidates[0] if len(self._prefixes) == 1 else None

    def candidates(self, path: str) -> tuple[Candidate, ...]:
        """Return the rules to try for ``path``, in order."""
        found = self._exact.get(path)
        if found is not None:
            return found
        prefixes = self._prefixes
        position = bisect_right(prefixes, path) - 1
        while not path.startswith(prefixes[position]):
            position = self._parents[position]
        segments = self._segments[position]
        return self._candidates[position] if segments is None else segments.candidates(path)

    def find(self, request: HTTPServerRequest, delegate_of: Callable[..., Any]) -> Any:
        """The delegate of the first rule that matches ``request`` and has one, or None.

        :param delegate_of: ``RuleRouter.get_target_delegate``.
        """
        if self.pathless is not None:
            path = ""
            candidates = self.pathless
        else:
            path = request.path
            candidates = self.candidates(path)
        for rule, whole, matcher, regex in candidates:
            params: dict[str, Any] | None = None
            if whole is not None:
                if path not in whole:
                    continue
            elif regex is not None:
                match = regex.match(request.path)
                if match is None:
                    continue
                if regex.groups:
                    params = {"path_args": _decoded(match.groups()), "path_kwargs": {}}
            else:
                params = matcher.match(request)
                if params is None:
                    continue
            if rule.target_kwargs:
                params = {**(params or {}), "target_kwargs": rule.target_kwargs}
            if params:
                delegate = delegate_of(rule.target, request, **params)
            else:
                delegate = delegate_of(rule.target, request)
            if delegate is not None:
                try:
                    if request.route is None:  # else a router within has said more
                        request.route = rule
                except AttributeError:  # tests have odd requests
                    pass
                return delegate
        return None


def _decoded(groups: tuple[str | None, ...]) -> list[bytes | None]:
    return [
        text.encode() if text is not None and "%" not in text else _unquote_or_none(text)
        for text in groups
    ]


def _unnamed_pattern(matcher: Matcher) -> Any:
    if type(matcher) is not PathMatches or matcher.template is not None:
        return None  # a subclass may match as it likes
    return None if matcher.regex.groupindex else matcher.regex


def _by_segment(entries: tuple[Candidate, ...]) -> Segments[Candidate] | None:
    """Many candidates are told apart by more than how they begin."""
    if len(entries) <= FEW:
        return None
    patterns = [_plain_pattern(entry[2]) for entry in entries]
    alone = [None if p is None or _has_alternatives(p) else p for p in patterns]
    return Segments(list(zip(alone, entries, strict=True)))


# The text at the start of a pattern that stands for itself; what a quantifier follows does not.
_PLAIN_TEXT = re.compile(r"(?:(?:[^.^$*+?{[|()\\]|\\[\W_])(?![*+?{]))*")

# The parts of a pattern: an escape, a class, or one character.
_PATTERN_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)

# Flags under which the text of a pattern still stands for itself and `$` for the end.
_HARMLESS_FLAGS = int(re.UNICODE | re.ASCII | re.DOTALL)


def _literal_start(matcher: Matcher) -> tuple[str, tuple[str, str] | None]:
    """Return the text that each path ``matcher`` matches begins with, and `Candidate`'s pair."""
    pattern = _plain_pattern(matcher)
    if pattern is None:
        return "", None
    prefix, rest = _split_literal(pattern)
    whole = (prefix, prefix + "\n") if prefix and rest == "$" else None
    return prefix, whole


def _plain_pattern(matcher: Matcher) -> str | None:
    """A matcher's pattern, if its text stands for itself and nobody but it decides."""
    if type(matcher) is not PathMatches:
        return None  # a subclass may match as it likes
    regex: Any = matcher.regex
    if (
        not isinstance(regex, re.Pattern)
        or not isinstance(regex.pattern, str)
        or regex.flags & ~_HARMLESS_FLAGS
    ):
        return None
    return regex.pattern


def _split_literal(pattern: str) -> tuple[str, str]:
    """Split a pattern into the plain text it begins with, unescaped, and the rest.

    Errs on the side of less text: what this gets wrong would hide a route.
    """
    if "|" in pattern and _has_alternatives(pattern):
        return "", pattern
    pattern = pattern.removeprefix("^")
    plain = _PLAIN_TEXT.match(pattern)
    text = plain.group() if plain else ""
    return plain_text(text), pattern[len(text) :]


def _has_alternatives(pattern: str) -> bool:
    """Tell whether a pattern has a `|` that is in no group, or may have one for all we know."""
    depth = 0
    for part in _PATTERN_PART.findall(pattern):
        if part == "(":
            depth += 1
        elif part == ")":
            depth -= 1
        elif part == "|" and depth == 0:
            return True
    return depth != 0 or "(?#" in pattern  # a comment may hold parentheses of its own


_Method = TypeVar("_Method", bound=Callable[..., Any])


def _dropping_index(method: _Method) -> _Method:
    @wraps(method)
    def changed(self: IndexedRules, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        finally:
            self.route_index = None

    return cast(_Method, changed)


@mypyc_attr(native_class=False)
class IndexedRules(list[Rule]):
    """A list of rules with its index, which every change throws away."""

    __slots__ = ("route_index",)

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        super().__init__(rules)
        self.route_index: RouteIndex | None = None

    def make_index(self) -> RouteIndex:
        """Build the index, keep it for the next look-up and return it."""
        index = self.route_index = RouteIndex(self)
        return index

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self),)

    append = _dropping_index(list.append)
    extend = _dropping_index(list.extend)
    insert = _dropping_index(list.insert)
    remove = _dropping_index(list.remove)
    pop = _dropping_index(list.pop)
    clear = _dropping_index(list.clear)
    sort = _dropping_index(list.sort)
    reverse = _dropping_index(list.reverse)
    __setitem__ = _dropping_index(list.__setitem__)
    __delitem__ = _dropping_index(list.__delitem__)
    __iadd__ = _dropping_index(list.__iadd__)
    __imul__ = _dropping_index(list.__imul__)
