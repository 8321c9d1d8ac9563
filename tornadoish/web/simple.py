"""Handlers ready for use as targets of routes (Tornado: tornado.web)."""

from __future__ import annotations

import re
from collections.abc import Callable
from string import Formatter
from typing import Any
from urllib.parse import urlsplit

from tornadoish.httputil import HTTPServerRequest, qs_to_qsl, url_concat
from tornadoish.routing import URLSpec
from tornadoish.web.errors import HTTPError
from tornadoish.web.handler import RequestHandler

# What cannot stand in a URL, and what browsers take out of one: a tab between two slashes, say.
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f]")
_SLASHES = re.compile(r"[/\\]{2,}")


class ErrorHandler(RequestHandler):
    """Answers every request with one error status."""

    def initialize(self, status_code: int) -> None:
        self.set_status(status_code)

    def prepare(self) -> None:
        raise HTTPError(self._status_code)

    # Nothing is done here, so whoever asks is told the status, not that they must not ask.

    def check_xsrf_cookie(self) -> None:
        pass

    def check_trusted_origin(self, origin: str) -> bool:
        return True


class TooEarlyHandler(ErrorHandler):
    """Answers 503 for an application that has hooks and has not been started, or has ended."""

    def initialize(self, status_code: int = 503) -> None:
        super().initialize(status_code)

    def set_default_headers(self) -> None:
        self.set_header("Retry-After", "1")


class RedirectHandler(RequestHandler):
    """Redirects every GET (and HEAD) to ``url``.

    ``url`` may hold ``str.format`` fields, filled with the groups of the route's pattern. The
    query is passed on. ``permanent`` (the default) is a 301, else a 302.

    What groups bring leads to no other scheme or host than those of ``url`` before its first field:
    slashes at the beginning become one, everything else is refused (400), as in Tornado 6.6.
    """

    def initialize(self, url: str, permanent: bool = True) -> None:
        self._url = url
        self._permanent = permanent

    def get(self, *args: Any, **kwargs: Any) -> None:
        to_url = self._url.format(*args, **kwargs)
        to_url = _NOT_IN_URLS.sub(lambda found: f"%{ord(found[0]):02X}", to_url)
        if not self._url.startswith("//"):
            slashes = _SLASHES.match(to_url)
            if slashes is not None:  # RFC 3986, 4.2: to a browser, another host would follow
                to_url = "/" + to_url[slashes.end() :]
        literal = next(iter(Formatter().parse(self._url)), ("",))[0] or ""
        if urlsplit(to_url)[:2] != urlsplit(literal)[:2]:
            raise HTTPError(400, "A redirect to another host")
        if self.request.query_arguments:
            to_url = url_concat(to_url, list(qs_to_qsl(self.request.query_arguments)))
        self.redirect(to_url, permanent=self._permanent)

    head = get


def redirect(
    pattern: str | re.Pattern[str], url: str, permanent: bool = True, name: str | None = None
) -> URLSpec:
    """A route that redirects (ours alone, not Tornado's): ``redirect("/old/{id:int}",
    "/new/{id}")``. The parameters are those of :class:`URLSpec` and :class:`RedirectHandler`."""
    return URLSpec(pattern, RedirectHandler, {"url": url, "permanent": permanent}, name)


class FallbackHandler(RequestHandler):
    """Hands a request as a whole to another HTTP callable, such as a WSGI container."""

    def initialize(self, fallback: Callable[[HTTPServerRequest], None]) -> None:
        self.fallback = fallback

    def prepare(self) -> None:
        self.fallback(self.request)
        self._finished = True
        self.on_finish()
