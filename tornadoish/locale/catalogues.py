"""The translations of the process: read from files, and kept as one state that is never changed.

A load builds a new state and puts it in place of the old one when all of it is there: threads see
one or the other as a whole, a load that fails changes nothing, and of the old one nothing is kept.
``locales`` looks translations up here; nothing here knows how they are used.
"""

from __future__ import annotations

import codecs
import csv
import gettext
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tornadoish.log import gen_log

#: plural indicator -> message -> translation
CSVTranslations = dict[str, dict[str, str]]
Translations = Mapping[str, "CSVTranslations | gettext.NullTranslations"]

#: Characters of the longest code that is looked at: five times what any registered tag needs
#: (RFC 5646, 4.4.1). Codes come from clients.
LONGEST_CODE = 64

# language, script, territory or numeric region: "de", "pt_BR", "zh_Hant", "es_419"
_CSV_NAME = re.compile(r"[a-z]+(_[A-Z][a-z]{3})?(_([A-Z]+|[0-9]{3}))?")
_PLURAL_INDICATORS = ("plural", "singular", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogues:
    """What is loaded."""

    default: str = "en_US"
    """Code of the language in which the application itself is written."""
    translations: Translations = field(default_factory=dict)
    """Code -> translations."""
    babel: bool = False
    """Whether Babel formats dates, numbers and lists."""
    supported: frozenset[str] = field(init=False)
    """The codes there are: the translations' and the default."""
    made: dict[str, Any] = field(init=False, default_factory=dict)
    """Code -> the ``Locale`` made for it. At most one for each supported code."""
    _by_key: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        supported = frozenset([*self.translations, self.default])
        object.__setattr__(self, "supported", supported)
        object.__setattr__(self, "_by_key", {_key(code): code for code in supported})

    def closest(self, code: str) -> str | None:
        """The supported code that is nearest to ``code``; None if there is none.

        :param code: a code (``pt_BR``) or a language tag (``pt-br``), from whomever.
        """
        if len(code) > LONGEST_CODE:
            return None
        for key in _wider(_key(code)):
            if key in self._by_key:
                return self._by_key[key]
        return None


def _key(code: str) -> str:
    """What two spellings of one code have in common (RFC 5646, 2.1.1: case does not count)."""
    return code.replace("-", "_").lower()


def _wider(key: str) -> Iterator[str]:
    """A key, and then what it is a kind of (RFC 4647, 3.4: lookup), nearest first."""
    yield key
    parts = key.split("_")
    if len(parts) > 2 and len(parts[1]) == 4:
        yield f"{parts[0]}_{parts[2]}"  # most catalogues of a territory do not name its script
    while len(parts) > 1:
        parts.pop()
        yield "_".join(parts)


_catalogues = Catalogues()
_lock = threading.Lock()


def catalogues() -> Catalogues:
    """What is loaded now. Whoever looks twice keeps the first answer."""
    return _catalogues


def change(**changes: Any) -> None:
    """Put a state with ``changes`` (fields of :class:`Catalogues`) in place of the one there is."""
    global _catalogues
    with _lock:
        _catalogues = replace(_catalogues, **changes)
    gen_log.debug("Supported locales: %s", sorted(_catalogues.supported))


# -- CSV


def read_csv_files(directory: str | os.PathLike[str], encoding: str | None) -> Translations:
    """The files ``<code>.csv`` of a directory. What is wrong within one is logged and left out.

    :raises OSError: the directory or a file cannot be read.
    :raises ValueError: a file is not in its encoding (``UnicodeError``).
    :raises csv.Error: a file is not CSV.
    """
    translations: dict[str, CSVTranslations] = {}
    for path in sorted(Path(directory).iterdir()):
        if path.suffix != ".csv":
            continue
        if _CSV_NAME.fullmatch(path.stem) is None:
            gen_log.error("Unrecognized locale %r (path: %s)", path.stem, path)
            continue
        translations[path.stem] = _read_csv(path, encoding or _encoding_of(path))
    return translations


def _encoding_of(path: Path) -> str:
    """UTF-16 if the file begins with its mark, else UTF-8, with a mark or without."""
    with path.open("rb") as file:
        start = file.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _read_csv(path: Path, encoding: str) -> CSVTranslations:
    translations: CSVTranslations = {}
    with path.open(encoding=encoding) as file:  # line ends within a cell become "\n", as in code
        for number, row in enumerate(csv.reader(file), 1):
            if len(row) < 2:
                continue
            message, translation, *rest = (cell.strip() for cell in row)
            plural = rest[0] if rest and rest[0] else "unknown"
            if plural not in _PLURAL_INDICATORS:
                gen_log.error(
                    "Unrecognized plural indicator %r in %s line %d", plural, path.name, number
                )
                continue
            translations.setdefault(plural, {})[message] = translation
    return translations


# -- gettext


def read_gettext_files(directory: str | os.PathLike[str], domain: str) -> Translations:
    """The files ``<code>/LC_MESSAGES/<domain>.mo`` of a directory. One that cannot be read is
    logged and left out. What a territory's catalogue lacks is looked up in its language's.

    The files are read anew at each call: ``gettext.translation`` would remember for ever what it
    has read, and never see that a file has changed.
    """
    loaded: dict[str, gettext.NullTranslations] = {}
    for path in sorted(Path(directory).glob(f"*/LC_MESSAGES/{_literally(domain)}.mo")):
        code = path.parent.parent.name
        try:
            with path.open("rb") as file:
                loaded[code] = gettext.GNUTranslations(file)
        except Exception as error:  # whatever a damaged file leads to in its parser
            gen_log.error("Cannot load translation for '%s': %s", code, error)
    for code, translations in loaded.items():
        fallback = next((loaded[wider] for wider in _wider_names(code) if wider in loaded), None)
        if fallback is not None:
            translations.add_fallback(fallback)
    return loaded


def _literally(text: str) -> str:
    """``text`` as a pattern of glob that matches it alone."""
    return re.sub(r"([*?[])", r"[\1]", text)


def _wider_names(code: str) -> Iterator[str]:
    """The directories behind ``language_TERRITORY.charset@modifier``, nearest first."""
    name, at, modifier = code.partition("@")
    charset_free = name.partition(".")[0]
    language = charset_free.partition("_")[0]
    for wider in (charset_free + at + modifier, language + at + modifier, charset_free, language):
        if len(wider) < len(code):
            yield wider
