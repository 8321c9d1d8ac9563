"""The rules a router holds, and the matchers that decide whether a rule is for a request.

Made by applications, asked by a router. A matcher never answers a request and never changes it.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, overload

from tornadoish.escape import url_escape, url_unescape, utf8
from tornadoish.httputil import HTTPServerRequest
from tornadoish.routing.templates import plain_text, template_of
from tornadoish.util import import_object

# ---- Rules -----------------------------------------------------------------------------------


class Rule:
    """A matcher and what is to be done if it matches (Tornado: Rule)."""

    def __init__(
        self,
        matcher: Matcher,
        target: Any,
        target_kwargs: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        """Make a rule.

        ``target``: whatever the router's get_target_delegate() understands; a string is the
        dotted name of such a thing and is imported (ImportError if it is not there).
        ``target_kwargs``: further arguments for the target. ``name``: for reverse_url().
        """
        self.matcher = matcher
        self.target = import_object(target) if isinstance(target, str) else target
        self.target_kwargs: dict[str, Any] = target_kwargs or {}
        self.name = name

    @cached_property
    def path_pattern(self) -> str:
        """The pattern of the paths that it is for, as it was given but for anchors; "" if it does
        not go by the path. Ours alone, not Tornado's."""
        matcher = self.matcher
        if not isinstance(matcher, PathMatches):
            return ""
        return matcher.template or matcher.regex.pattern.removeprefix("^").removesuffix("$")

    def reverse(self, *args: Any, **named: Any) -> str | None:
        """Return the URL that the matcher makes of ``args``, or None if it makes none."""
        return self.matcher.reverse(*args, **named)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.matcher!r}, {self.target}, "
            f"kwargs={self.target_kwargs!r}, name={self.name!r})"
        )


class URLSpec(Rule):
    """A rule for a path pattern and its handler (Tornado: URLSpec, also web.url).

    Attributes: ``regex`` (compiled), ``handler_class``, ``kwargs`` as given, ``name``, and those
    of `Rule`.
    """

    def __init__(
        self,
        pattern: str | re.Pattern[str],
        handler: Any,
        kwargs: dict[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        """``pattern``: see `PathMatches`. ``handler``: a class, or its dotted name."""
        matcher = PathMatches(pattern)
        super().__init__(matcher, handler, kwargs, name)
        self.regex = matcher.regex
        self.handler_class = self.target
        self.kwargs = kwargs

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.regex.pattern!r}, {self.handler_class}, "
            f"kwargs={self.kwargs!r}, name={self.name!r})"
        )


# ---- Matchers --------------------------------------------------------------------------------


class Matcher:
    """Decides whether a rule is for a request (Tornado: Matcher)."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Return None for no match, else the parameters for the target: often an empty dict.

        Raises NotImplementedError unless overridden.
        """
        raise NotImplementedError

    def reverse(self, *args: Any, **named: Any) -> str | None:
        """Return the URL that would match with ``args``, or None if that cannot be told.

        ``named`` (ours alone, not Tornado's): values by the names of placeholders.
        """
        return None


class AnyMatches(Matcher):
    """Matches every request (Tornado: AnyMatches)."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return {}


class HostMatches(Matcher):
    """Matches by the host's name, without the port (Tornado: HostMatches)."""

    def __init__(self, host_pattern: str | re.Pattern[str]) -> None:
        """``host_pattern``: compiled, and used as it is; or a string, made to match to the end."""
        self.host_pattern = _compile_to_end(host_pattern)

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        return None if self.host_pattern.match(request.host_name) is None else {}


class DefaultHostMatches(Matcher):
    """Matches if ``application.default_host`` matches (Tornado: DefaultHostMatches).

    Never behind a proxy that sets X-Real-Ip: the default host is for looking at a server directly.
    """

    def __init__(self, application: Any, host_pattern: re.Pattern[str]) -> None:
        self.application = application
        self.host_pattern = host_pattern

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        if "X-Real-Ip" in request.headers:
            return None
        return None if self.host_pattern.match(self.application.default_host) is None else {}


class PathMatches(Matcher):
    """Matches by the path (still percent-encoded, without the query) (Tornado: PathMatches).

    What the groups of the pattern match goes to the target as bytes, percent-decoded:
    ``path_kwargs`` (by name) if the groups are named, else ``path_args``.

    A pattern may have placeholders instead (ours alone, not Tornado's): ``{name}`` takes text
    without a slash, ``{name:path}`` any text, ``{name:int}``, ``{name:float}`` and ``{name:uuid}``
    what they say, and `register_converter` adds others. They go to ``path_kwargs``, converted; text
    goes as a group's does. Where a placeholder begins, see `templates`: all regular expressions
    keep their meaning, but for one with an unescaped ``{name`` in it, which matches no valid URL.

    Attributes: ``regex`` (compiled), and ``template`` (the pattern as it was given, if it has
    placeholders, else None; ours alone).
    """

    template: str | None = None
    _template = None

    def __init__(self, path_pattern: str | re.Pattern[str]) -> None:
        """``path_pattern``: compiled, and used as it is; or a string, made to match to the end.

        Raises AssertionError if some groups have names and others have none, and ValueError for
        wrong placeholders.
        """
        if isinstance(path_pattern, str):
            self._template = template_of(path_pattern)
        if self._template is not None:
            self.regex = self._template.regex
            self.template = self._template.pattern
        else:
            self.regex = _compile_to_end(path_pattern)
        # AssertionError is Tornado's type for this; raised by hand it also holds under -O.
        if len(self.regex.groupindex) not in (0, self.regex.groups):
            raise AssertionError(
                f"either all or none of the groups may have names: {self.regex.pattern!r}"
            )
        self._path, self._group_count = self._find_groups()

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        regex = self.regex
        match = regex.match(request.path)
        if match is None:
            return None
        if not regex.groups:
            return {}
        if self._template is not None:
            values = self._template.values(match)
            return None if values is None else {"path_args": [], "path_kwargs": values}
        if regex.groupindex:
            named = {name: _unquote_or_none(text) for name, text in match.groupdict().items()}
            return {"path_args": [], "path_kwargs": named}
        return {"path_args": list(map(_unquote_or_none, match.groups())), "path_kwargs": {}}

    def reverse(self, *args: Any, **named: Any) -> str | None:
        """Return the path with ``args`` in place of the groups, percent-encoded as UTF-8.

        Raises ValueError if the pattern is not plain text with groups in it, and AssertionError
        if the number of ``args`` is not that of the groups.

        Placeholders also take their values by name. Raises TypeError then if there are too many or
        too few, and ValueError for a value that the pattern would not match: what is returned
        leads back to this rule with the same values.
        """
        if self._template is not None:
            return self._template.reverse(args, named)
        if named:
            raise TypeError(f"the pattern {self.regex.pattern} has no placeholders for {[*named]}")
        pieces = self._pieces()
        if pieces is None:
            raise ValueError(f"cannot make a URL from the pattern {self.regex.pattern}")
        if len(args) != len(pieces) - 1:
            raise AssertionError(f"{len(pieces) - 1} arguments needed, not {len(args)}")
        url = pieces[0]
        for arg, piece in zip(args, pieces[1:], strict=True):
            text = arg if isinstance(arg, (str, bytes)) else str(arg)
            url += url_escape(utf8(text), plus=False) + piece
        return url

    def _find_groups(self) -> tuple[str | None, int | None]:
        """Return the pattern with %s for each group, and their number; or (None, None)."""
        pieces = self._pieces()
        if pieces is None:
            return None, None
        return "%s".join(pieces), len(pieces) - 1

    def _pieces(self) -> list[str] | None:
        """Return the plain text before, between and after the groups, or None if it is not so.

        This does not parse the pattern: one that has other parentheses than those of its groups,
        or groups within groups, or an escape that stands for no character, is given up.
        """
        if self._template is not None:
            return self._template.pieces
        pattern = self.regex.pattern.removeprefix("^").removesuffix("$")
        head, *groups = pattern.split("(")
        if len(groups) != self.regex.groups:
            return None
        pieces = [head]
        for group in groups:
            _, closed, text = group.partition(")")
            if not closed:
                return None
            pieces.append(text)
        try:
            return [plain_text(piece) for piece in pieces]
        except ValueError:
            return None


def _compile_to_end(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    if isinstance(pattern, str):
        return re.compile(pattern if pattern.endswith("$") else pattern + "$")
    return pattern


@overload
def _unquote_or_none(s: str) -> bytes: ...
@overload
def _unquote_or_none(s: None) -> None: ...
@overload
def _unquote_or_none(s: str | None) -> bytes | None: ...
def _unquote_or_none(s: str | None) -> bytes | None:
    """Return what a group matched, percent-decoded; None for a group that took no part.

    Bytes, because only the handler knows the encoding.
    """
    if s is None:
        return None
    if "%" not in s:
        return s.encode()
    return url_unescape(s, encoding=None, plus=False)
