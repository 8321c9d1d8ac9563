"""Dates, numbers and lists as the Unicode CLDR writes them, by Babel (an extra, ``locale``).

Used by ``Locale`` once :func:`tornadoish.locale.use_babel` has been called, never otherwise: what
a page says does not depend on what happens to be installed. Babel is imported when it is used.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any

from tornadoish.util import import_extra

#: CLDR skeletons (UTS 35, part 4) of the days that are not written out as a whole
_DAY = "MMMMd"
_WEEKDAY_AND_DAY = "MMMMEEEEd"


def babel_module(name: str = "core") -> Any:
    """``babel.<name>``.

    :raises ImportError: Babel is not there; says which extra brings it.
    """
    return import_extra(f"babel.{name}", "locale")


def babel_locale(code: str) -> Any:
    """Babel's locale for ``code``, or for its language alone; None where it knows neither."""
    core = babel_module()
    for name in (code, code.partition("_")[0]):
        try:
            return core.Locale.parse(name)
        except (ValueError, core.UnknownLocaleError):
            pass  # not a locale's name by its form, or one without data ("es_LA")
    return None


class Cldr:
    """How one locale writes things. Instances are not changed and may be shared by threads.

    :param locale: a ``babel.Locale``.
    """

    def __init__(self, locale: Any) -> None:
        self.locale = locale
        self._dates = babel_module("dates")

    @property
    def name(self) -> str | None:
        """What the language is called by those who speak it, if that is known."""
        name: str | None = self.locale.get_display_name()
        return name and name[0].upper() + name[1:]

    def number(self, value: float) -> str:
        """A number with its groups of digits."""
        text: str = babel_module("numbers").format_decimal(value, locale=self.locale)
        return text

    def list(self, parts: Sequence[str]) -> str:
        """``A, B and C``."""
        text: str = babel_module("lists").format_list(list(parts), locale=self.locale)
        return text

    def ago(self, seconds: float) -> str:
        """``2 minutes ago``."""
        delta = datetime.timedelta(seconds=-seconds)
        text: str = self._dates.format_timedelta(delta, add_direction=True, locale=self.locale)
        return text

    def day(self, day: datetime.datetime, *, weekday: bool) -> str:
        """A day without its year, with the name of the weekday or without."""
        skeletons = self.locale.datetime_skeletons
        found = self._dates.match_skeleton(_WEEKDAY_AND_DAY if weekday else _DAY, skeletons)
        # The nearest that there is may have the weekday's name in short.
        pattern = re.sub("E+", "EEEE", skeletons[found].pattern)
        text: str = self._dates.format_datetime(day, pattern, locale=self.locale)
        return text

    def moment(self, shape: str, moment: datetime.datetime, *, shorter: bool) -> str:
        """A time of day, or a day and, unless ``shorter``, a time.

        :param shape: "time", "weekday", "day", or "full" (with the year).
        :param moment: in the time zone in which it is to be shown, without ``tzinfo``.
        """
        time: str = self._dates.format_time(moment, "short", locale=self.locale)
        if shape == "time":
            return time
        if shape == "weekday":
            date: str = self._dates.format_datetime(moment, "EEEE", locale=self.locale)
        elif shape == "day":
            date = self.day(moment, weekday=False)
        else:
            date = self._dates.format_date(moment, "long", locale=self.locale)
        if shorter:
            return date
        # How a date and a time are put together: "{1}, {0}" (UTS 35, 2.6.2.2; quotes as in it).
        pattern = str(self._dates.get_datetime_format("medium", locale=self.locale))
        return pattern.replace("'", "").replace("{0}", time).replace("{1}", date)
