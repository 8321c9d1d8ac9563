"""Cookies: read from the request and set on the answer, signed ones too (Tornado:
web.RequestHandler, cookies).

What is set waits in ``_new_cookie`` until the head is sent, so that a cookie can be set again
before; ``clear`` (and so an error page) leaves it alone. Whatever could end an attribute, a cookie
or a line is refused where it is set, and looked for again where it is sent.
"""

from __future__ import annotations

import datetime
import re
import time
import warnings
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import Any, overload

from tornadoish.escape import native_str
from tornadoish.httputil import HTTPServerRequest, format_timestamp
from tornadoish.httputil.abnf import is_token
from tornadoish.web.lookups import Lookups
from tornadoish.web.signing import (
    Secret,
    create_signed_value,
    decode_signed_value,
    get_signature_key_version,
)

# RFC 6265, 4.1.1: a cookie's attribute is any character but controls and ";". Spaces too are
# refused, as in Tornado: none of these attributes has any (a date has, and is made here).
_UNSAFE = re.compile(r"[\x00-\x20;\x7f]|[^\x00-\xff]")
# Of a value that is set: quoting would hide the others (as \073), but not from all who read it.
_UNSAFE_VALUE = re.compile(r"[\x00-\x20]|[^\x00-\xff]")
_UNSAFE_OUTPUT = re.compile(r"[\x00-\x1f;\x7f]")
_MORSEL: Morsel[str] = Morsel()  # knows which names are reserved
_EXPIRED = 365 * 86400  # seconds ago


class _Morsel(Morsel[str]):
    """A cookie to be sent that can be ``Partitioned`` (CHIPS) before Python 3.14 too."""

    partitioned = False

    def OutputString(self, attrs: Any = None) -> str:
        text = super().OutputString(attrs)
        return f"{text}; Partitioned" if self.partitioned else text


class Cookies(Lookups):
    """Arguments, and cookies both ways."""

    @property
    def cookies(self) -> SimpleCookie:
        """The request's cookies, as :class:`http.cookies.Morsel` by name."""
        return self.request.cookies

    @overload
    def get_cookie(self, name: str, default: str) -> str: ...
    @overload
    def get_cookie(self, name: str, default: None = None) -> str | None: ...
    def get_cookie(self, name: str, default: str | None = None) -> str | None:
        """The value of a cookie of the request, or ``default``; not one that was just set."""
        request = self.request
        # The Morsels of all cookies cost ten times the parsing; mostly nobody asks for them.
        if type(request) is HTTPServerRequest and "_cookies" not in request.__dict__:
            value = request.cookie_values.get(name)
            if value is None:
                return default
            if value.isprintable() and is_token(name) and not _MORSEL.isReservedKey(name):
                return value
        cookies = request.cookies
        return cookies[name].value if name in cookies else default

    # -- set

    def set_cookie(
        self,
        name: str,
        value: str | bytes,
        domain: str | None = None,
        expires: float | tuple[int, ...] | time.struct_time | datetime.datetime | None = None,
        path: str = "/",
        expires_days: float | None = None,
        *,
        max_age: int | None = None,
        httponly: bool = False,
        secure: bool = False,
        samesite: str | None = None,
        partitioned: bool = False,
        **kwargs: Any,
    ) -> None:
        """Set a cookie with the answer; the client sends it with its next request.

        :param value: Latin-1 without spaces and control characters; quoted if need be.
        :param domain: the client's own host by default, and no other.
        :param expires: a timestamp in seconds, a UTC time tuple, or a datetime (a naive one is
            UTC); without it, ``expires_days`` and ``max_age``, when the browser is closed.
        :param expires_days: days from now; ``expires`` goes first.
        :param max_age: seconds, of which browsers think more than of ``expires``; 0: at once.
        :param samesite: "Strict", "Lax" or "None" (which needs ``secure``).
        :param partitioned: keep it apart for each top-level site (CHIPS; needs ``secure``). Ours
            alone, as a parameter.
        :param kwargs: the same in other cases, as ``HttpOnly`` (deprecated), and Comment, Version.
        :raises ValueError: a ``value`` with anything else in it.
        :raises http.cookies.CookieError: a name that is none, an attribute that there is not, or
            one with control characters, spaces or ``;``.

        Source: Tornado: RequestHandler.set_cookie; RFC 6265 section 4.1.
        """
        name, value = native_str(name), native_str(value)
        if _UNSAFE_VALUE.search(value):
            raise ValueError(f"Unsafe value of cookie {name!r}: it may need url_escape()")
        morsel = _Morsel()
        # The name is checked here. Secrets stay out of the errors: no value is in them.
        morsel.set(name, *SimpleCookie().value_encode(value))
        for attribute, text in (("domain", domain), ("path", path), ("samesite", samesite)):
            if text:
                _check_attribute(name, attribute, text, _UNSAFE)
                morsel[attribute] = text
        if expires is None and expires_days is not None:
            expires = time.time() + expires_days * 86400
        if expires is not None:
            morsel["expires"] = format_timestamp(expires)
        if max_age is not None:
            morsel["max-age"] = str(int(max_age))
        if httponly:
            morsel["httponly"] = True
        if secure:
            morsel["secure"] = True
        morsel.partitioned = partitioned
        if kwargs:
            _set_legacy(morsel, kwargs)
        if self._new_cookie is None:
            self._new_cookie = SimpleCookie()
        # One that is set again goes to the end.
        self._new_cookie.pop(name, None)
        self._new_cookie[name] = morsel

    def clear_cookie(self, name: str, **kwargs: Any) -> None:
        """Have the client forget a cookie.

        :param kwargs: as of :meth:`set_cookie`, without ``expires`` and ``max_age``. ``domain`` and
            ``path`` must be those with which it was set, and so must ``secure``, ``samesite`` and
            ``partitioned`` for some browsers.
        """
        for refused in ("expires", "max_age"):
            if refused in kwargs:
                raise TypeError(f"clear_cookie() got an unexpected keyword argument {refused!r}")
        self.set_cookie(name, "", expires=time.time() - _EXPIRED, **kwargs)

    def clear_all_cookies(self, **kwargs: Any) -> None:
        """Clear every cookie of the request, each with the same ``kwargs``.

        Those that were set with other attributes stay: the request does not say how they were set.
        """
        for name in self.request.cookies:
            self.clear_cookie(name, **kwargs)

    def _add_cookies(self) -> None:
        """The head is about to be sent: put the cookies into it (called by ``Exchange.flush``)."""
        cookies, self._new_cookie = self._new_cookie, None
        # None of them if one is bad: then an error page follows, and that one must go out.
        for name, morsel in (cookies or {}).items():
            for attribute, value in morsel.items():
                _check_attribute(name, attribute, value, _UNSAFE_OUTPUT)
            self.add_header("Set-Cookie", morsel.OutputString())
        self._new_cookie = cookies

    # -- signed

    def set_signed_cookie(
        self,
        name: str,
        value: str | bytes,
        expires_days: float | None = 30,
        version: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Set a cookie that the client can read but not change (Tornado's formats).

        Needs the setting ``cookie_secret``: one key, or a dict of keys by version, of which the
        setting ``key_version`` says which one signs. To be read with :meth:`get_signed_cookie`,
        whose ``max_age_days`` is a matter of its own.

        :param value: text, or any bytes.
        :param expires_days: as of :meth:`set_cookie`; None: until the browser is closed.
        :param version: of the format, see :func:`create_signed_value`.
        :param kwargs: as of :meth:`set_cookie`.
        """
        signed = self.create_signed_value(name, value, version=version)
        self.set_cookie(name, signed, expires_days=expires_days, **kwargs)

    def create_signed_value(
        self, name: str, value: str | bytes, version: int | None = None
    ) -> bytes:
        """Sign ``value`` with the key of the application, as :meth:`set_signed_cookie` does.

        :raises RuntimeError: without the setting ``cookie_secret``, or with several keys and
            without the setting ``key_version``.
        """
        secret = self._cookie_secret()
        key_version: int | None = None
        if isinstance(secret, dict):
            key_version = self.settings.get("key_version")
            if key_version is None:
                raise RuntimeError("cookie_secret has several keys, and there is no key_version")
        return create_signed_value(secret, name, value, version=version, key_version=key_version)

    def get_signed_cookie(
        self,
        name: str,
        value: str | None = None,
        max_age_days: float = 31,
        min_version: int | None = None,
    ) -> bytes | None:
        """What was signed into a cookie of the request; None if there is none or it is not valid.

        :param value: to be verified instead of the cookie called ``name``.
        :param max_age_days: how long ago it may have been signed.
        :param min_version: of the format, see :func:`decode_signed_value`.
        :raises RuntimeError: without the setting ``cookie_secret``.
        """
        secret = self._cookie_secret()
        if value is None:
            value = self.get_cookie(name)
        return decode_signed_value(
            secret, name, value, max_age_days=max_age_days, min_version=min_version
        )

    def get_signed_cookie_key_version(self, name: str, value: str | None = None) -> int | None:
        """The version of the key that a signed cookie says it was signed with; not verified."""
        self._cookie_secret()
        if value is None:
            value = self.get_cookie(name)
        return None if value is None else get_signature_key_version(value)

    def _cookie_secret(self) -> Secret:
        self.require_setting("cookie_secret", "signed cookies")
        secret: Secret = self.settings["cookie_secret"]
        return secret

    # The names that these had when they were new.
    set_secure_cookie = set_signed_cookie
    get_secure_cookie = get_signed_cookie
    get_secure_cookie_key_version = get_signed_cookie_key_version


def _check_attribute(name: str, attribute: str, value: object, unsafe: re.Pattern[str]) -> None:
    if unsafe.search(str(value)):
        raise CookieError(f"Unsafe attribute {attribute}={value!r} of cookie {name!r}")


def _set_legacy(morsel: _Morsel, attributes: dict[str, Any]) -> None:
    """Attributes under other names than the parameters': an interface that Tornado is leaving."""
    warnings.warn(
        f"Deprecated arguments of set_cookie, for which there are others: {sorted(attributes)}",
        DeprecationWarning,
        stacklevel=3,
    )
    for attribute, value in attributes.items():
        if value is None:
            continue
        if attribute.lower() == "partitioned":
            morsel.partitioned = bool(value)
            continue
        _check_attribute(morsel.key, attribute, value, _UNSAFE)
        morsel[attribute] = value
