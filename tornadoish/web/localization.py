"""Localization: the language of the answer (Tornado: web.RequestHandler, ``locale``)."""

from __future__ import annotations

from tornadoish.httputil import quality_list
from tornadoish.locale import Locale
from tornadoish.locale import get as closest_locale
from tornadoish.web.security import Security

#: Languages of a client that are looked for, those that it likes best. Browsers send a few.
MAX_LANGUAGES = 50


class Localization(Security):
    """Security, and the language in which the answer is written."""

    # Set on the instance once it has been asked for or assigned.
    _locale: Locale | None = None

    @property
    def locale(self) -> Locale:
        """The locale of this request: what :meth:`get_user_locale` says, else
        :meth:`get_browser_locale`, asked once; or what has been assigned, in ``prepare`` for
        example, where a coroutine may look for it.

        Source: Tornado: RequestHandler.locale.
        """
        locale = self._locale
        if locale is None:
            locale = self._locale = self.get_user_locale() or self.get_browser_locale()
        return locale

    @locale.setter
    def locale(self, value: Locale) -> None:
        self._locale = value

    def get_user_locale(self) -> Locale | None:
        """Override to say which locale the user has chosen (``tornadoish.locale.get("de")``);
        None for the browser's."""
        return None

    def get_browser_locale(self, default: str = "en_US") -> Locale:
        """The locale nearest to the language that the client likes best and we have
        (``Accept-Language``, RFC 9110, 12.5.4); never fails, whatever is sent.

        :param default: code of the locale for clients that do not say. (Who wants languages that we
            do not have gets the default of :mod:`tornadoish.locale`.)

        Source: Tornado: RequestHandler.get_browser_locale.
        """
        wanted = self.request.headers.get("Accept-Language")
        if wanted:
            liked = [language for language, weight in quality_list(wanted) if weight > 0]
            if liked:
                return closest_locale(*liked[:MAX_LANGUAGES])
        return closest_locale(default)
