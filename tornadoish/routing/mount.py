"""Mount: a whole router, an Application as a rule, below a prefix of the path.

It is a rule like any other, and the only one behind which the path that is matched is not the whole
one. It never answers a request itself.
"""

from __future__ import annotations

import re
from typing import Any

from tornadoish.httputil import (
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
)
from tornadoish.routing.routers import ReversibleRouter, Router, reverse_in
from tornadoish.routing.rules import PathMatches, Rule

# RFC 3986, 3.3: segments that are not empty.
_PREFIX = re.compile(r"(?:/[\w.~!$&'()*+,;=:@%-]+)+", re.ASCII)


class Mount(Rule):
    """A rule for all paths that begin with ``prefix`` and a slash; ours alone, not Tornado's::

        Application([Mount("/blog", blog), ("/blog", RedirectHandler, {"url": "/blog/"})])

    The routes of ``router`` are matched against the rest of the path, from that slash on: so they
    need not know where they are mounted. Handlers see the request as it came, the whole ``path``
    and ``uri``, and the prefix in ``request.root_path``; ``reverse_url`` puts it in front.

    (Tornado's way is a rule such as ``("/blog/.*", blog)``, where the routes of ``blog`` are
    matched against the whole path. It works here, too.)
    """

    def __init__(self, prefix: str, router: Router) -> None:
        """``prefix``: some path without a slash at its end, percent-encoded if need be.

        Raises ValueError for any other, and TypeError for what is no router: a function, or another
        delegate, has no routes that could be matched.
        """
        if _PREFIX.fullmatch(prefix) is None:
            raise ValueError(f"{prefix!r} is not a path such as /blog, without a slash at its end")
        if not isinstance(router, Router):
            raise TypeError(f"only routers can be mounted, not {router!r}")
        super().__init__(PathMatches(re.escape(prefix) + "/.*"), _Below(prefix, router))


class _Below(ReversibleRouter):
    """Shows a router the path below a prefix."""

    def __init__(self, prefix: str, router: Router) -> None:
        self.prefix = prefix
        self.router = router

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        path, root = request.path, request.root_path
        request.path = path[len(self.prefix) :]
        request.root_path = root + self.prefix
        delegate = None
        try:
            delegate = self.router.find_handler(request, **kwargs)
        finally:
            request.path = path
            if delegate is None:  # another rule's turn
                request.root_path = root
        return delegate

    def on_close(self, server_conn: object) -> None:
        self.router.on_close(server_conn)

    def reverse_url(self, name: str, /, *args: Any, **named: Any) -> str | None:
        if not isinstance(self.router, ReversibleRouter):
            return None
        url = reverse_in(self.router, name, args, named)
        return None if url is None else self.prefix + url

    def _within(self) -> list[HTTPServerConnectionDelegate]:
        return [self.router]
