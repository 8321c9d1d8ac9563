"""Security: who is asking, and whether a form came from a page of ours (Tornado: web.RequestHandler,
``current_user`` and XSRF)."""

from __future__ import annotations

from tornadoish.web.cookies import Cookies


class Security(Cookies):
    """Cookies, and the current user and XSRF tokens that stand on them."""
