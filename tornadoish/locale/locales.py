"""Locales: one language, its translations, and how it writes dates, numbers and lists.

Handlers have one per request (``RequestHandler.locale``), templates see it as ``locale`` and its
``translate`` as ``_``. A locale is made once for a code and is not changed; who holds one while
translations are loaded anew keeps the old ones until the request is over.
(Interface and texts: Tornado, tornado.locale.)
"""

from __future__ import annotations

import datetime
import gettext
from collections.abc import Sequence
from typing import Any, Final, cast

from tornadoish.locale.catalogues import Catalogues, CSVTranslations, catalogues
from tornadoish.locale.cldr import Cldr, babel_locale
from tornadoish.locale.names import LOCALE_NAMES
from tornadoish.log import gen_log

#: What stands between context and message in a gettext catalogue.
CONTEXT_SEPARATOR = "\x04"

# Written right to left (ISO 639 codes; Tornado knows the first three).
_RIGHT_TO_LEFT = frozenset(["ar", "fa", "he", "ckb", "dv", "ps", "sd", "ug", "ur", "yi"])
_TWELVE_HOURS = ("en", "en_US", "zh_CN")
_COMMAS_IN_NUMBERS = ("en", "en_US")

# Messages, as catalogues have them.
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: shape of a moment -> message with the time, message of the shorter form
_MOMENTS = {
    "time": ("%(time)s", "%(time)s"),
    "yesterday": ("yesterday at %(time)s", "yesterday"),
    "weekday": ("%(weekday)s at %(time)s", "%(weekday)s"),
    "day": ("%(month_name)s %(day)s at %(time)s", "%(month_name)s %(day)s"),
    "full": ("%(month_name)s %(day)s, %(year)s at %(time)s", "%(month_name)s %(day)s, %(year)s"),
}

_MINUTE = 60
_HOUR = 60 * _MINUTE
#: Days after which a date is given with its year: eleven months, for the same month of another
#: year would be taken for this one's.
_DAYS_WITHOUT_YEAR = 334


class Locale:
    """One language. Get one by :func:`tornadoish.locale.get`; the classes below say where its
    translations are from.

    :param code: ``language`` or ``language_TERRITORY``.
    """

    code: str
    """As it was loaded."""
    name: str
    """What it is called by those who speak it; "Unknown" for a code without a name."""
    rtl: bool
    """Whether it is written from right to left."""

    @classmethod
    def get_closest(cls, *locale_codes: str) -> Locale:
        """The locale of the first of ``locale_codes`` for which there is one: with its script or
        territory if that is loaded, of its language alone otherwise; else the default.

        Codes may come from clients: odd and endless ones match nothing.
        """
        loaded = catalogues()
        for code in locale_codes:
            found = loaded.closest(code) if code else None
            if found is not None:
                return _made(loaded, found)
        return _made(loaded, loaded.default)

    @classmethod
    def get(cls, code: str) -> Locale:
        """The locale of exactly this code.

        :raises ValueError: it is not supported.
        """
        loaded = catalogues()
        if code not in loaded.supported:
            raise ValueError(f"Locale {code!r} is not supported")
        return _made(loaded, code)

    def __init__(self, code: str) -> None:
        self.code = code
        language = code.replace("-", "_").partition("_")[0]
        self.rtl = language in _RIGHT_TO_LEFT
        self._cldr: Cldr | None = None
        if catalogues().babel:
            babel = babel_locale(code)
            self._cldr = None if babel is None else Cldr(babel)
        name = LOCALE_NAMES.get(code, {}).get("name")
        if name is None and self._cldr is not None:
            name = self._cldr.name
        self.name = name or "Unknown"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r})"

    @property
    def babel(self) -> Any:
        """The ``babel.Locale`` for what is not here, such as currencies (ours alone, not
        Tornado's); None if Babel does not know the language.

        :raises ImportError: Babel (the extra ``locale``) is not installed.
        """
        return self._cldr.locale if self._cldr else babel_locale(self.code)

    # -- translations

    def translate(
        self, message: str, plural_message: str | None = None, count: int | None = None
    ) -> str:
        """The translation of ``message``, or itself if there is none.

        :param plural_message: for another ``count`` than one; which forms there are is the
            language's matter.
        :raises ValueError: a plural without its ``count``.
        """
        raise NotImplementedError

    def pgettext(
        self,
        context: str,
        message: str,
        plural_message: str | None = None,
        count: int | None = None,
    ) -> str:
        """As :meth:`translate`, of a message that means different things in different contexts."""
        raise NotImplementedError

    # -- dates, numbers, lists

    def format_date(
        self,
        date: float | datetime.datetime,
        gmt_offset: int = 0,
        relative: bool = True,
        shorter: bool = False,
        full_format: bool = False,
    ) -> str:
        """A moment of the past in words: "2 minutes ago", "Monday at 3:10 pm", "July 10, 1980 at
        6:00 am". One in the future is written in full, unless it is less than a minute away: clocks
        differ.

        :param date: seconds of the epoch, or a datetime (UTC if it is naive).
        :param gmt_offset: minutes that the reader's clock is behind UTC.
        :param relative: whether it may be told from now: "yesterday".
        :param shorter: without the time of day where there is a day.
        :param full_format: with the year in any case.
        """
        utc = datetime.UTC
        if not isinstance(date, datetime.datetime):
            date = datetime.datetime.fromtimestamp(date, utc)
        if date.tzinfo is None:
            date = date.replace(tzinfo=utc)
        now = datetime.datetime.now(utc)
        if date > now:
            if relative and (date - now).total_seconds() < _MINUTE:
                date = now
            else:
                full_format = True
        age = now - date
        if relative and not full_format and age.days == 0:
            return self._format_age(age.seconds)
        offset = datetime.timedelta(minutes=gmt_offset)
        shape = "full"
        if not full_format:
            yesterday = now - offset - datetime.timedelta(days=1)
            on_that_day = (date - offset).day == yesterday.day
            shape = _shape(age.days, relative and on_that_day)
        return self._format_moment(shape, date - offset, shorter)

    def _format_age(self, seconds: int) -> str:
        if self._cldr is not None:
            return self._cldr.ago(seconds)
        if seconds < 50:
            return self._count("1 second ago", "%(seconds)d seconds ago", seconds=seconds)
        if seconds < 50 * _MINUTE:
            minutes = round(seconds / _MINUTE)
            return self._count("1 minute ago", "%(minutes)d minutes ago", minutes=minutes)
        hours = round(seconds / _HOUR)
        return self._count("1 hour ago", "%(hours)d hours ago", hours=hours)

    def _count(self, message: str, plural_message: str, **number: int) -> str:
        (count,) = number.values()
        return self.translate(message, plural_message, count) % number

    def _format_moment(self, shape: str, local: datetime.datetime, shorter: bool) -> str:
        if self._cldr is not None:
            shape = "weekday" if shape == "yesterday" else shape  # CLDR's word is not in Babel
            return self._cldr.moment(shape, local.replace(tzinfo=None), shorter=shorter)
        message = _MOMENTS[shape][shorter]
        return self.translate(message) % {**self._words(local), "time": self._clock(local)}

    def _words(self, local: datetime.datetime) -> dict[str, str]:
        return {
            "month_name": self.translate(_MONTHS[local.month - 1]),
            "weekday": self.translate(_WEEKDAYS[local.weekday()]),
            "day": str(local.day),
            "year": str(local.year),
        }

    def _clock(self, local: datetime.datetime) -> str:
        if self.code not in _TWELVE_HOURS:
            return f"{local.hour}:{local.minute:02}"
        time = f"{local.hour % 12 or 12}:{local.minute:02}"
        afternoon = local.hour >= 12
        if self.code == "zh_CN":
            return ("下午" if afternoon else "上午") + time
        return f"{time} {'pm' if afternoon else 'am'}"

    def format_day(self, date: datetime.datetime, gmt_offset: int = 0, dow: bool = True) -> str:
        """A day without its year: "Monday, January 22", or "January 22".

        :param gmt_offset: minutes that the reader's clock is behind that of ``date``.
        :param dow: whether the day of the week is given.
        """
        local = date - datetime.timedelta(minutes=gmt_offset)
        if self._cldr is not None:
            return self._cldr.day(local, weekday=dow)
        message = "%(weekday)s, %(month_name)s %(day)s" if dow else _MOMENTS["day"][True]
        return self.translate(message) % self._words(local)

    def list(self, parts: Sequence[str]) -> str:
        """Several things in one phrase: "A, B and C"; "" for none."""
        if len(parts) < 2:
            return parts[0] if parts else ""
        if self._cldr is not None:
            return self._cldr.list(parts)
        comma = " \u0648 " if self.code.startswith("fa") else ", "
        return self.translate("%(commas)s and %(last)s") % {
            "commas": comma.join(parts[:-1]),
            "last": parts[-1],
        }

    def friendly_number(self, value: int) -> str:
        """A number as people write it: "1,234,567". (Without Babel in English only.)"""
        if self._cldr is not None:
            return self._cldr.number(value)
        return f"{value:,}" if self.code in _COMMAS_IN_NUMBERS else str(value)


def _made(loaded: Catalogues, code: str) -> Locale:
    """The locale of a supported code, made when it is first asked for."""
    locale: Locale | None = loaded.made.get(code)
    if locale is not None:
        return locale
    translations = loaded.translations.get(code, {})
    if isinstance(translations, gettext.NullTranslations):
        locale = GettextLocale(code, translations)
    else:
        locale = CSVLocale(code, translations)
    # Two threads may both have made one: the first stays.
    return cast(Locale, loaded.made.setdefault(code, locale))


def _shape(days: int, yesterday: bool) -> str:
    """How a moment so many days ago is told: one of ``_MOMENTS``."""
    if days == 0:
        return "time"
    if days == 1 and yesterday:
        return "yesterday"
    if days < 5:
        return "weekday"
    return "day" if days < _DAYS_WITHOUT_YEAR else "full"


def _counted(count: int | None) -> int:
    if count is None:
        raise ValueError("A plural message needs a count")
    return count


class CSVLocale(Locale):
    """A locale whose translations are from a CSV file, or that has none."""

    def __init__(self, code: str, translations: CSVTranslations) -> None:
        self.translations: Final = translations
        self._warned = False
        super().__init__(code)

    def translate(
        self, message: str, plural_message: str | None = None, count: int | None = None
    ) -> str:
        if plural_message is None:
            form = "unknown"
        elif _counted(count) == 1:
            form = "singular"
        else:
            form, message = "plural", plural_message
        return self.translations.get(form, {}).get(message, message)

    def pgettext(
        self,
        context: str,
        message: str,
        plural_message: str | None = None,
        count: int | None = None,
    ) -> str:
        """As :meth:`translate`: CSV files know no contexts. A warning of ``tornado.general``, once,
        says so."""
        if self.translations and not self._warned:
            self._warned = True
            gen_log.warning("pgettext is not supported by CSVLocale")
        return self.translate(message, plural_message, count)


class GettextLocale(Locale):
    """A locale whose translations are from a gettext catalogue, plural forms and contexts too."""

    def __init__(self, code: str, translations: gettext.NullTranslations) -> None:
        self.gettext: Final = translations.gettext
        self.ngettext: Final = translations.ngettext
        super().__init__(code)

    def translate(
        self, message: str, plural_message: str | None = None, count: int | None = None
    ) -> str:
        if plural_message is None:
            return self.gettext(message)
        return self.ngettext(message, plural_message, _counted(count))

    def pgettext(
        self,
        context: str,
        message: str,
        plural_message: str | None = None,
        count: int | None = None,
    ) -> str:
        """As :meth:`translate`. A plural that the catalogue lacks in this context is looked up
        without it (as in Tornado), a single message is not."""
        prefix = context + CONTEXT_SEPARATOR
        if plural_message is None:
            found = self.gettext(prefix + message)
            return message if CONTEXT_SEPARATOR in found else found
        count = _counted(count)
        found = self.ngettext(prefix + message, prefix + plural_message, count)
        if CONTEXT_SEPARATOR in found:
            return self.ngettext(message, plural_message, count)
        return found
