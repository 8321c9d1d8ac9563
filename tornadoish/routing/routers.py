"""The routers, and the delegates between a server and what a router found.

A server calls ``start_request``; an Application subclasses `ReversibleRuleRouter`. How a rule
decides is in `rules`, how the rules to try are found in `index`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, cast

from tornadoish.httputil import (
    HTTPConnection,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
)
from tornadoish.log import app_log
from tornadoish.routing.calls import call_all, start_all
from tornadoish.routing.delegates import _CallableAdapter, _RoutingDelegate
from tornadoish.routing.index import IndexedRules
from tornadoish.routing.rules import Matcher, PathMatches, Rule

# ---- Routers: the interface ------------------------------------------------------------------


class Router(HTTPServerConnectionDelegate):
    """Finds the delegate for a request. Subclasses write `find_handler` (Tornado: Router)."""

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        """Return the delegate that will answer ``request``, or None if this router has none.

        ``kwargs`` are whatever an outer router's matcher took from the request.

        Raises NotImplementedError unless overridden.
        """
        raise NotImplementedError

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Return the delegate for one message; it chooses a handler when the head is there."""
        return _RoutingDelegate(self, server_conn, request_conn)

    def on_drain(self) -> None:
        for delegate in self._within():
            delegate.on_drain()

    async def startup(self) -> None:
        """Start the delegates within, in order; see `start_all` for errors."""
        await start_all(self._within())

    async def shutdown(self) -> None:
        """Tell the delegates within of the end, in order; see `call_all` for errors."""
        calls = [delegate.shutdown for delegate in self._within()]
        await call_all(calls, "Errors as applications were shut down", hurry=True)

    async def cleanup(self) -> None:
        """Clean up the delegates within, the last one first; see `call_all` for errors."""
        calls = [delegate.cleanup for delegate in reversed(self._within())]
        await call_all(calls, "Errors as applications were cleaned up")

    def _within(self) -> Sequence[HTTPServerConnectionDelegate]:
        """The delegates that this router may hand requests to, each once; they hear what it hears
        of its server."""
        return ()


class ReversibleRouter(Router):
    """A router that can also make the URL of a named route (Tornado: ReversibleRouter)."""

    def reverse_url(self, name: str, /, *args: Any, **named: Any) -> str | None:
        """Return the URL of the route called ``name`` with ``args`` put in, or None if unknown.

        ``named`` (ours alone, not Tornado's): values by the names of a pattern's placeholders.

        Raises NotImplementedError unless overridden.
        """
        raise NotImplementedError


# ---- Routers: an ordered list of rules -------------------------------------------------------

# What add_rules() takes: rules, or the arguments of Rule() in a sequence.
_RuleList = Sequence[
    Rule
    | list[Any]
    | tuple[str | Matcher, Any]
    | tuple[str | Matcher, Any, dict[str, Any]]
    | tuple[str | Matcher, Any, dict[str, Any], str]
]


class RuleRouter(Router):
    """Tries its rules in order; the first that matches and yields a delegate wins.

    Tornado: RuleRouter.
    """

    def __init__(self, rules: _RuleList | None = None) -> None:
        """``rules``: what `add_rules` takes."""
        self.rules = []
        if rules:
            self.add_rules(rules)

    @property
    def rules(self) -> list[Rule]:
        """The rules in the order in which they are tried: a list to read, change or replace.

        A change of the list counts from the next request on. What is assigned is copied into a
        list of our own: go on with ``router.rules``, not with the list that was assigned. To
        change the matcher of a rule that is already in use, put a new rule in its place.
        """
        return self._rules

    @rules.setter
    def rules(self, rules: Iterable[Rule]) -> None:
        self._rules = rules if isinstance(rules, IndexedRules) else IndexedRules(rules)

    def add_rules(self, rules: _RuleList) -> None:
        """Append ``rules``: `Rule` objects, or tuples or lists of Rule's arguments.

        In a tuple the matcher may be a string, the pattern of a `PathMatches`. Each rule goes
        through `process_rule` first. Raises AssertionError for a tuple that is not 2 to 4 long.
        """
        for item in rules:
            if isinstance(item, Rule):
                rule = item
            elif isinstance(item, (tuple, list)):
                arguments = cast("Sequence[Any]", item)
                if not 2 <= len(arguments) <= 4:
                    raise AssertionError(f"a rule takes 2 to 4 arguments: {arguments!r}")
                matcher = arguments[0]
                if isinstance(matcher, str):
                    matcher = PathMatches(matcher)
                rule = Rule(matcher, *arguments[1:])
            else:  # a stand-in for a Rule; process_rule may know it
                rule = item
            self.rules.append(self.process_rule(rule))

    def process_rule(self, rule: Rule) -> Rule:
        """Return the rule to add for ``rule``; a place for subclasses to change or replace it."""
        return rule

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        """Return the delegate of the first rule that matches ``request`` and has one, or None."""
        index = self._rules.route_index
        if index is None:
            index = self._rules.make_index()
        found: HTTPMessageDelegate | None = index.find(request, self.get_target_delegate)
        return found

    def _within(self) -> Sequence[HTTPServerConnectionDelegate]:
        targets = [rule.target for rule in self.rules]
        found = {
            id(each): each for each in targets if isinstance(each, HTTPServerConnectionDelegate)
        }
        return list(found.values())

    def get_target_delegate(
        self, target: Any, request: HTTPServerRequest, **target_params: Any
    ) -> HTTPMessageDelegate | None:
        """Return the delegate that a rule's ``target`` has for ``request``, or None: go on.

        A target is a Router, any other HTTPServerConnectionDelegate (an Application, say), or a
        function to be called with the request and ``target_params`` once the body is there; its
        result is waited for if it is awaitable. Subclasses add kinds of their own here.
        ``target_params`` are what the matcher took from the request, with the rule's own
        ``target_kwargs``, if it has any, under that name.

        Raises RuntimeError if the request has no connection to answer on.
        """
        if isinstance(target, Router):
            return target.find_handler(request, **target_params)
        if isinstance(target, HTTPServerConnectionDelegate):
            return target.start_request(request.server_connection, _connection_of(request))
        if callable(target):
            adapter = _CallableAdapter(partial(target, **target_params), _connection_of(request))
            adapter.root_path = request.root_path
            return adapter
        return None


class ReversibleRuleRouter(ReversibleRouter, RuleRouter):
    """A RuleRouter whose rules may have names (Tornado: ReversibleRuleRouter).

    ``named_rules``: dict of name -> Rule, filled as rules are added.
    """

    def __init__(self, rules: _RuleList | None = None) -> None:
        self.named_rules: dict[str, Any] = {}
        super().__init__(rules)

    def process_rule(self, rule: Rule) -> Rule:
        """Note the rule under its name; a later rule of the same name replaces an earlier one."""
        rule = super().process_rule(rule)
        if rule.name:
            if rule.name in self.named_rules:
                app_log.warning("two routes are named %s; the later one counts", rule.name)
            self.named_rules[rule.name] = rule
        return rule

    def reverse_url(self, name: str, /, *args: Any, **named: Any) -> str | None:
        """Return the URL of the rule called ``name``, here or in a router that is a target.

        None if there is no such rule. For what it raises see `PathMatches.reverse`.
        """
        if name in self.named_rules:
            return cast("str | None", self.named_rules[name].matcher.reverse(*args, **named))
        for rule in self.rules:
            if isinstance(rule.target, ReversibleRouter):
                url = reverse_in(rule.target, name, args, named)
                if url is not None:
                    return url
        return None


def reverse_in(
    router: ReversibleRouter, name: str, args: tuple[Any, ...], named: dict[str, Any]
) -> str | None:
    """What a nested router makes of ``name``; an Application raises KeyError where it knows none,
    and that is no reason not to ask the next one."""
    try:
        return router.reverse_url(name, *args, **named)
    except KeyError:
        return None


def _connection_of(request: HTTPServerRequest) -> HTTPConnection:
    connection: HTTPConnection | None = request.connection
    if connection is None:
        raise RuntimeError("a request without a connection cannot be answered")
    return connection
