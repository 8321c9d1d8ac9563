"""Who answers a request: routers, the rules they hold, and the matchers that decide.

A server calls ``Router.start_request`` once a message; the delegate it gets back builds the request
from the head, asks ``find_handler`` for the real delegate and hands every further event to it.
`RuleRouter` is the router that an Application is made of: an ordered list of rules, of which the
first that matches and has a delegate to give wins.

Nothing in here knows a server, a protocol or a RequestHandler; targets of other kinds are taught
by overriding `RuleRouter.get_target_delegate`.

The interface is Tornado's (Tornado: tornado.routing). The search is not: see `index`.
"""

from tornadoish.routing.converters import Converter, register_converter
from tornadoish.routing.delegates import (
    _CallableAdapter,
    _DefaultMessageDelegate,
    _RoutingDelegate,
)
from tornadoish.routing.mount import Mount
from tornadoish.routing.routers import (
    ReversibleRouter,
    ReversibleRuleRouter,
    Router,
    RuleRouter,
    _RuleList,
)
from tornadoish.routing.rules import (
    AnyMatches,
    DefaultHostMatches,
    HostMatches,
    Matcher,
    PathMatches,
    Rule,
    URLSpec,
    _unquote_or_none,
)

__all__ = [
    "AnyMatches",
    "Converter",
    "DefaultHostMatches",
    "HostMatches",
    "Matcher",
    "Mount",
    "PathMatches",
    "ReversibleRouter",
    "ReversibleRuleRouter",
    "Router",
    "Rule",
    "RuleRouter",
    "URLSpec",
    "_CallableAdapter",
    "_DefaultMessageDelegate",
    "_RoutingDelegate",
    "_RuleList",
    "_unquote_or_none",
    "register_converter",
]
