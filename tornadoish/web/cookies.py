"""Cookies: read from the request and set on the answer, signed ones too (Tornado: web.RequestHandler,
cookies)."""

from __future__ import annotations

from tornadoish.web.arguments import Arguments


class Cookies(Arguments):
    """Arguments, and cookies both ways."""
