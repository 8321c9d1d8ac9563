"""Translations and the languages that pages are written in (Tornado: tornado.locale).

Load translations once at the start, from CSV files or from gettext catalogues, and get the locale
that is nearest to what a reader wants. Called by ``web`` for each request that asks for its locale;
knows no request itself. All of it may be called from any thread at any time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from tornadoish.locale.catalogues import (
    catalogues,
    change,
    read_csv_files,
    read_gettext_files,
)
from tornadoish.locale.cldr import babel_module
from tornadoish.locale.locales import CONTEXT_SEPARATOR, CSVLocale, GettextLocale, Locale
from tornadoish.locale.names import LOCALE_NAMES

__all__ = [
    "CONTEXT_SEPARATOR",
    "LOCALE_NAMES",
    "CSVLocale",
    "GettextLocale",
    "Locale",
    "get",
    "get_supported_locales",
    "load_gettext_translations",
    "load_translations",
    "set_default_locale",
    "use_babel",
]


def get(*locale_codes: str) -> Locale:
    """The locale nearest to the first of ``locale_codes`` that has one, else the default locale;
    see :meth:`Locale.get_closest`."""
    return Locale.get_closest(*locale_codes)


def set_default_locale(code: str) -> None:
    """Say in which language the application itself is written: it needs no translations, and is
    what who wants another gets. "en_US" if nothing is said."""
    change(default=code)


def load_translations(directory: str | os.PathLike[str], encoding: str | None = None) -> None:
    """Load CSV files, in place of whatever was loaded before.

    A file is named after its locale (``pt_BR.csv``); a row is message, translation and, optionally,
    "singular" or "plural" (a message that has both has two rows). Names of files and rows that are
    not understood are errors of ``tornado.general``, and left out.

    :param encoding: default: UTF-8, or UTF-16 if the file begins with its byte order mark.
    :raises OSError: the directory or a file cannot be read.
    :raises ValueError: a file is not in its encoding.
    :raises csv.Error: a file is not CSV. In all cases nothing has changed.
    """
    change(translations=read_csv_files(directory, encoding))


def load_gettext_translations(directory: str | os.PathLike[str], domain: str) -> None:
    """Load gettext catalogues, ``<directory>/<locale>/LC_MESSAGES/<domain>.mo``, in place of
    whatever was loaded before.

    One that cannot be read is an error of ``tornado.general``, and left out. Make them with
    xgettext (keywords ``_:1,2``, ``pgettext:1c,2`` and ``pgettext:1c,2,3``) and msgfmt, or with
    Babel's ``pybabel``.
    """
    change(translations=read_gettext_files(directory, domain))


def get_supported_locales() -> Iterable[str]:
    """The codes of all locales: those with translations, and the default."""
    return catalogues().supported


def use_babel(enabled: bool = True) -> None:
    """Let Babel format dates, numbers and lists, in each language as it writes them (ours alone,
    not Tornado's); a locale that Babel does not know, and all others otherwise, format as Tornado
    does: in English, as far as its catalogue does not say otherwise.

    Locales that have been handed out before are not changed.

    :raises ImportError: Babel (the extra ``locale``) is not installed.
    """
    if enabled:
        babel_module()
    change(babel=enabled)
