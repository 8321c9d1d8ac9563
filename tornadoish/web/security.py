"""Security: who is asking, and whether a request came from a page of ours (Tornado:
web.RequestHandler, ``current_user``, XSRF and cross-origin protection).

Two defences against requests that another site makes a browser send, each with a setting of its
own and both checked by ``RequestHandler._begin`` before ``prepare``, for all methods but GET, HEAD
and OPTIONS:

- ``xsrf_cookies``: a form must repeat the secret of the cookie ``_xsrf``, which only our own pages
  can read. In pages it is masked anew every time, so that compressing a page does not give it away
  (BREACH).
- ``cross_origin_protection``: the browser's own word on where the request came from (the fields
  Sec-Fetch-Site and Origin) must say that it was us.
"""

from __future__ import annotations

import asyncio
import binascii
import hmac
import inspect
import secrets
import time
from collections.abc import Callable
from typing import Any

from tornadoish.escape import utf8, xhtml_escape
from tornadoish.web.cookies import Cookies
from tornadoish.web.errors import HTTPError
from tornadoish.web.signing import parse_number

#: Methods that change nothing (RFC 9110, 9.2.1), so that nobody need ask where they come from.
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
MAX_XSRF_TOKEN = 1024  # characters; ours have 55
_MASK = 4  # bytes


class Security(Cookies):
    """Cookies, and the current user and XSRF tokens that stand on them."""

    # Each is there only once it has been asked for or set; applications look for them.
    _current_user: Any
    _xsrf_token: bytes
    _raw_xsrf_token: tuple[int | None, bytes, float]

    # -- the current user

    @property
    def current_user(self) -> Any:
        """Who is asking: what :meth:`get_current_user` says, which is asked once; or what has been
        assigned, usually in :meth:`prepare`.

        :raises TypeError: ``get_current_user`` is a coroutine, which would pass for a user.
        """
        if not hasattr(self, "_current_user"):
            user = self.get_current_user()
            if inspect.iscoroutine(user) or asyncio.isfuture(user):
                if inspect.iscoroutine(user):
                    user.close()
                raise TypeError("get_current_user() is a coroutine: set current_user in prepare()")
            self._current_user = user
        return self._current_user

    @current_user.setter
    def current_user(self, value: Any) -> None:
        self._current_user = value

    def get_current_user(self) -> Any:
        """Override to say who is asking, of a cookie for example; anything false is nobody.

        Not a coroutine: if one is needed, assign :attr:`current_user` in ``prepare``.
        """
        return None

    def get_login_url(self) -> str:
        """Where :func:`authenticated` sends whoever must log in: the setting ``login_url``."""
        self.require_setting("login_url", "@tornadoish.web.authenticated")
        url: str = self.settings["login_url"]
        return url

    # -- XSRF tokens

    @property
    def xsrf_token(self) -> bytes:
        """The token that forms of this page must send back, in ASCII; sets the cookie that it
        belongs to, if the client has none.

        Settings: ``xsrf_cookie_name`` ("_xsrf" by default), ``xsrf_cookie_kwargs`` (as of
        :meth:`set_cookie`) and ``xsrf_cookie_version`` (2; 1 is not masked).

        :raises ValueError: another ``xsrf_cookie_version``.

        Source: Tornado: RequestHandler.xsrf_token.
        """
        if not hasattr(self, "_xsrf_token"):
            settings = self.settings
            known_version, token, timestamp = self._get_raw_xsrf_token()
            version = settings.get("xsrf_cookie_version", 2)
            if version == 1:
                self._xsrf_token = binascii.b2a_hex(token)
            elif version == 2:
                mask = secrets.token_bytes(_MASK)
                masked = _masked(mask, token)
                self._xsrf_token = f"2|{mask.hex()}|{masked.hex()}|{int(timestamp)}".encode()
            else:
                raise ValueError(f"Unsupported xsrf_cookie_version {version}")
            if known_version is None:
                kwargs = dict(settings.get("xsrf_cookie_kwargs", ()))
                if "expires_days" not in kwargs and self.current_user:
                    kwargs["expires_days"] = 30
                self.set_cookie(self._xsrf_cookie_name(), self._xsrf_token, **kwargs)
        return self._xsrf_token

    def xsrf_form_html(self) -> str:
        """A hidden field with the :attr:`xsrf_token`: put it into every form."""
        return f'<input type="hidden" name="_xsrf" value="{xhtml_escape(self.xsrf_token)}"/>'

    def check_xsrf_cookie(self) -> None:
        """Refuse the request unless it has the token of its cookie: in the argument ``_xsrf``, or
        in a field ``X-XSRFToken`` or ``X-CSRFToken``. Override for other ways to tell.

        In a handler that takes its body as it arrives, the argument must be in the URL, where logs
        have it; or override this to do nothing, and call :meth:`check_xsrf_token` as soon as the
        token has come, which is the first part of a form that begins with
        :meth:`xsrf_form_html`.

        :raises HTTPError: 403.

        Source: Tornado: RequestHandler.check_xsrf_cookie.
        """
        headers = self.request.headers
        told = self.get_argument("_xsrf", None)
        self.check_xsrf_token(told or headers.get("X-Xsrftoken") or headers.get("X-Csrftoken"))

    def check_xsrf_token(self, told: str | None) -> None:
        """Refuse the request unless ``told`` is the token of its cookie (ours alone, not
        Tornado's).

        :raises HTTPError: 403.
        """
        if not told:
            raise HTTPError(403, "'_xsrf' argument missing from POST")
        token = self._decode_xsrf_token(told)[1]
        if not token:
            raise HTTPError(403, "'_xsrf' argument has invalid format")
        # Without a cookie it is compared with a new one: nobody can know that.
        if not hmac.compare_digest(token, self._get_raw_xsrf_token()[1]):
            raise HTTPError(403, "XSRF cookie does not match POST argument")

    def _get_raw_xsrf_token(self) -> tuple[int | None, bytes, float]:
        """The cookie's version, its token without a mask and when that was made; if there is no
        valid cookie, a new token, and None for the version."""
        if not hasattr(self, "_raw_xsrf_token"):
            version, token, timestamp = None, None, None
            cookie = self.get_cookie(self._xsrf_cookie_name())
            if cookie:
                version, token, timestamp = self._decode_xsrf_token(cookie)
            if not token or timestamp is None:
                version, token, timestamp = None, secrets.token_bytes(16), time.time()
            self._raw_xsrf_token = (version, token, timestamp)
        return self._raw_xsrf_token

    def _decode_xsrf_token(self, cookie: str) -> tuple[int | None, bytes | None, float | None]:
        """Version, token and time of what a client has sent; three times None if it is invalid.

        Version 2 is ``2|mask|token|time``, the first two in hexadecimal digits; anything that does
        not begin with a number and ``|`` is of version 1, in such digits or as it stands.
        """
        if len(cookie) > MAX_XSRF_TOKEN:
            return None, None, None
        head, bar, _ = cookie.partition("|")
        try:
            if not (bar and head.isascii() and head.isdigit() and head[0] != "0"):
                return 1, _from_hex(cookie), int(time.time())
            version, mask, masked, made = cookie.split("|")
            timestamp = parse_number(made.encode())
            if version != "2" or timestamp is None or len(mask) != 2 * _MASK:
                return None, None, None
            return 2, _masked(binascii.a2b_hex(mask), binascii.a2b_hex(masked)), timestamp
        except ValueError:  # not four parts, not hexadecimal, half a surrogate pair
            return None, None, None

    def _xsrf_cookie_name(self) -> str:
        name: str = self.settings.get("xsrf_cookie_name", "_xsrf")
        return name

    # -- where the request came from

    def _cross_origin_protection(self) -> None:
        """Both checks, as far as the settings and the method ask for them (Tornado's name)."""
        if self.request.method in _SAFE_METHODS:
            return
        settings = self.settings
        if settings.get("xsrf_cookies"):
            self.check_xsrf_cookie()
        if settings.get("cross_origin_protection"):
            refusal = self._check_cross_origin(self.check_trusted_origin)
            if refusal is not None:
                raise HTTPError(403, refusal)

    def _check_cross_origin(self, check: Callable[[str], bool]) -> str | None:
        """Why this request must be refused, or None. ``check`` says whether to trust an origin
        that is not ours.

        Browsers send Sec-Fetch-Site over https (Fetch Metadata, 2.3). A request with neither that
        nor an Origin is no browser's, so nobody was made to send it.
        """
        headers = self.request.headers
        site: str | None = headers.get("Sec-Fetch-Site")
        if site in ("same-origin", "none"):  # "none": typed by the user, say
            return None
        origin: str | None = headers.get("Origin")
        if site is None and (origin is None or self._origin_matches_host(origin)):
            return None
        if origin and check(origin):
            return None
        return f"Sec-Fetch-Site {site!r:.40} and Origin {origin!r:.200} are not allowed"

    def _origin_matches_host(self, origin: str) -> bool:
        """Whether an Origin is the host that was asked. The scheme is not compared: behind a proxy
        that does not tell, ours is not the client's."""
        _, mark, host = origin.partition("://")
        return bool(mark) and host.lower() == self.request.host.lower()

    def check_trusted_origin(self, origin: str) -> bool:
        """Whether a request may come from another ``origin`` ("https://example.com"): one of the
        setting ``trusted_origins``. Override for other ways to tell.

        Called only with ``cross_origin_protection``, before ``prepare``, and for WebSockets.
        To return True is to take requests of any page that the user looks at: such a handler must
        not rely on cookies.

        Source: Tornado 6.6: RequestHandler.check_trusted_origin.
        """
        trusted = self.settings.get("trusted_origins", ())
        # One origin alone is a text: parts of it are not meant.
        return origin == trusted if isinstance(trusted, str) else origin in trusted


def _masked(mask: bytes, data: bytes) -> bytes:
    """``data`` with the bytes of ``mask`` laid over it, again and again; done twice, it is gone."""
    size = len(data)
    cover = (mask * (size // _MASK + 1))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(cover)).to_bytes(size)


def _from_hex(text: str) -> bytes:
    try:
        return binascii.a2b_hex(text)
    except ValueError:
        return utf8(text)
