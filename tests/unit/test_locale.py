"""Translations, the choice among locales, and how they write dates, numbers and lists.

Tests that take ``locale`` run over the real Tornado too: what they say is the interface.
"""

from __future__ import annotations

import datetime
import gc
import importlib
import io
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from libraries import LIBRARIES, installed

from tornadoish import locale as ours

UTC = datetime.UTC


def reset(module: Any) -> None:
    """As after the first import."""
    if module is ours:
        ours.use_babel(False)
        importlib.import_module("tornadoish.locale.catalogues").change(translations={})
    else:
        module._translations = {}
        module._use_gettext = False
        module.Locale._cache.clear()
    module.set_default_locale("en_US")


@pytest.fixture(params=LIBRARIES)
def locale(request: pytest.FixtureRequest) -> Iterator[Any]:
    module = importlib.import_module(f"{installed(request.param)}.locale")
    yield module
    reset(module)


@pytest.fixture
def mine() -> Iterator[Any]:
    yield ours
    reset(ours)


def write_csv(directory: Path, **files: str | bytes) -> str:
    directory.mkdir(exist_ok=True)
    for code, text in files.items():
        data = text if isinstance(text, bytes) else text.encode()
        (directory / f"{code}.csv").write_bytes(data)
    return str(directory)


def write_mo(directory: Path, code: str, text: str, domain: str = "app") -> str:
    """Compile ``text``, in the form of a .po file."""
    pofile = pytest.importorskip("babel.messages.pofile")
    mofile = pytest.importorskip("babel.messages.mofile")
    catalogue = pofile.read_po(io.BytesIO(text.encode()), locale=code)
    path = directory / code / "LC_MESSAGES" / f"{domain}.mo"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        mofile.write_mo(file, catalogue)
    return str(directory)


def po(*entries: tuple[str, str]) -> str:
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n'
    return header + "".join(f'\nmsgid "{msgid}"\nmsgstr "{msgstr}"\n' for msgid, msgstr in entries)


POLISH = r"""
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);\n"

msgid "school"
msgstr "szkoła"

msgctxt "law"
msgid "right"
msgstr "prawo"

msgid "club"
msgid_plural "clubs"
msgstr[0] "klub"
msgstr[1] "kluby"
msgstr[2] "klubów"

msgctxt "stick"
msgid "club"
msgid_plural "clubs"
msgstr[0] "pałka"
msgstr[1] "pałki"
msgstr[2] "pałek"
"""  # noqa: E501 - Plural-Forms is one line

# ---- Which locale ----------------------------------------------------------------------------


def test_without_translations_there_is_the_default(locale: Any) -> None:
    assert set(locale.get_supported_locales()) == {"en_US"}
    found = locale.get("fr_FR", "de")
    assert (found.code, found.name, found.rtl) == ("en_US", "English (US)", False)
    assert found.translate("school") == "school"
    assert locale.get() is found


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (["fr_FR"], "fr_FR"),
        (["fr-fr"], "fr_FR"),
        (["FR-FR"], "fr_FR"),
        (["fr_CA"], "en_US"),  # another territory's language is not taken
        (["de_AT"], "de"),
        (["DE"], "de"),
        (["it", "pt", "de-CH"], "de"),
        (["de", "fr_FR"], "de"),
        (["", "fr_FR"], "fr_FR"),
        (["fr"], "en_US"),
        (["*"], "en_US"),
        (["\ud800", "_", "-", "__", "de_"], "de"),
    ],
)
def test_the_closest(locale: Any, tmp_path: Path, wanted: list[str], code: str) -> None:
    locale.load_translations(write_csv(tmp_path, fr_FR="a,b\n", de="a,c\n"))
    assert set(locale.get_supported_locales()) == {"fr_FR", "de", "en_US"}
    assert locale.get(*wanted).code == code
    assert locale.Locale.get_closest(*wanted) is locale.get(*wanted)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ("zh-Hant", "zh_Hant"),
        ("zh-Hant-TW", "zh_TW"),  # Tornado: no tag of three parts is anything
        ("zh-Hant-HK", "zh_Hant"),
        ("zh-Hans-CN", "zh"),
        ("de-CH-1901", "de"),
        ("es-419", "es_419"),
    ],
)
def test_scripts_and_regions(mine: Any, tmp_path: Path, wanted: str, code: str) -> None:
    files = dict.fromkeys(["zh", "zh_Hant", "zh_TW", "de", "es_419"], "a,b\n")
    mine.load_translations(write_csv(tmp_path, **files))
    assert mine.get(wanted).code == code


def test_endless_codes_are_not_looked_at(mine: Any, tmp_path: Path) -> None:
    mine.load_translations(write_csv(tmp_path, de="a,b\n"))
    assert mine.get("de-" + "x-" * 25).code == "de"
    assert mine.get("de-" + "x-" * 500_000).code == "en_US"


def test_another_default(locale: Any, tmp_path: Path) -> None:
    locale.set_default_locale("pl")
    assert set(locale.get_supported_locales()) == {"pl"}
    assert locale.get("fr").code == "pl"
    locale.load_translations(write_csv(tmp_path, fr="a,b\n"))
    assert set(locale.get_supported_locales()) == {"pl", "fr"}


def test_a_locale_is_made_once(locale: Any) -> None:
    made = locale.Locale.get("en_US")
    assert locale.Locale.get("en_US") is made
    assert isinstance(made, locale.Locale)
    assert isinstance(made, locale.CSVLocale)


def test_one_that_is_not_supported(mine: Any) -> None:
    with pytest.raises(ValueError, match="'xx'"):
        mine.Locale.get("xx")


def test_names() -> None:
    theirs = pytest.importorskip("tornado.locale").LOCALE_NAMES
    assert {code: names["name"] for code, names in ours.LOCALE_NAMES.items()} == {
        code: names["name"] for code, names in theirs.items()
    }


@pytest.mark.parametrize(
    ("code", "name", "rtl"),
    [("he_IL", "עברית", True), ("fa_IR", "فارسی", True), ("ar", "Unknown", True),
     ("de_DE", "Deutsch", False)],
)  # fmt: skip
def test_name_and_direction(locale: Any, code: str, name: str, rtl: bool) -> None:
    locale.set_default_locale(code)
    found = locale.get(code)
    assert (found.name, found.rtl) == (name, rtl)


# ---- CSV ---------------------------------------------------------------------------------------

SPANISH = (
    '"I love you","Te amo"\n'
    '"%(name)s liked this","A %(name)s les gustó esto","plural"\n'
    '"%(name)s liked this","A %(name)s le gustó esto","singular"\n'
    "one row\n"
    "\n"
    "odd, ignored ,sometimes\n"
    " space , espacio ,\n"
    '"two\nlines",dos\n'
)


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv(locale: Any, tmp_path: Path, coding: str, caplog: pytest.LogCaptureFixture) -> None:
    locale.load_translations(write_csv(tmp_path, es_GT=SPANISH.encode(coding)))
    translate = locale.get("es_GT").translate
    assert translate("I love you") == "Te amo"
    assert translate("space") == "espacio"
    assert translate("two\nlines") == "dos"
    assert translate("odd") == "odd"
    like = "%(name)s liked this"
    assert translate(like, like, 1) == "A %(name)s le gustó esto"
    assert translate(like, like, 2) == "A %(name)s les gustó esto"
    assert translate(like) == like
    assert translate("cat", "cats", 1) == "cat"
    assert translate("cat", "cats", 0) == "cats"
    assert [record.name for record in caplog.records] == ["tornado.general"]
    assert "'sometimes' in es_GT.csv line 6" in caplog.text


def test_csv_in_an_encoding_that_is_said(locale: Any, tmp_path: Path) -> None:
    directory = write_csv(tmp_path, es="año,año\nbueno,señor\n".encode("latin-1"))
    locale.load_translations(directory, encoding="latin-1")
    assert locale.get("es").translate("bueno") == "señor"


def test_each_csv_file_has_its_own_encoding(mine: Any, tmp_path: Path) -> None:
    """Tornado reads all of them as it has read the first."""
    files = {"aa": "x,é\n".encode("utf-16"), "bb": "x,é\n".encode()}
    mine.load_translations(write_csv(tmp_path, **files))
    assert [mine.get(code).translate("x") for code in files] == ["é", "é"]


def test_odd_names_of_files(mine: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = write_csv(tmp_path, de="a,b\n", **{"a.b": "a,b\n", "Q": "a,b\n", "de-DE": "a,b\n"})
    (tmp_path / "README").write_text("no csv")
    mine.load_translations(directory)
    assert set(mine.get_supported_locales()) == {"de", "en_US"}
    assert caplog.text.count("Unrecognized locale") == 3


def test_a_plural_needs_a_count(mine: Any) -> None:
    with pytest.raises(ValueError, match="count"):
        mine.get("en_US").translate("cat", "cats")


def test_csv_knows_no_contexts(
    locale: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert locale.get("en").pgettext("law", "right") == "right"
    assert caplog.records == []
    locale.load_translations(write_csv(tmp_path, de="right,rechts\n"))
    assert locale.get("de").pgettext("law", "right") == "rechts"
    assert "pgettext is not supported" in caplog.text


# ---- gettext -----------------------------------------------------------------------------------


def test_gettext(locale: Any, tmp_path: Path) -> None:
    locale.load_gettext_translations(write_mo(tmp_path, "pl", POLISH), "app")
    polish = locale.get("pl_PL")
    assert isinstance(polish, locale.GettextLocale)
    assert polish.translate("school") == "szkoła"
    assert polish.translate("unknown") == "unknown"
    assert [polish.translate("club", "clubs", n) for n in (1, 3, 5)] == ["klub", "kluby", "klubów"]
    assert [polish.translate("cat", "cats", n) for n in (1, 3)] == ["cat", "cats"]
    assert polish.pgettext("law", "right") == "prawo"
    assert polish.pgettext("good", "right") == "right"
    assert polish.pgettext("good", "school") == "school"
    assert [polish.pgettext("stick", "club", "clubs", n) for n in (1, 3, 5)] == [
        "pałka", "pałki", "pałek",
    ]  # fmt: skip
    assert polish.pgettext("golf", "club", "clubs", 5) == "klubów"
    assert polish.pgettext("golf", "cat", "cats", 5) == "cats"


def test_what_a_territory_lacks_its_language_has(locale: Any, tmp_path: Path) -> None:
    write_mo(tmp_path, "de", po(("car", "Auto"), ("potato", "Kartoffel")))
    directory = write_mo(tmp_path, "de_AT", po(("potato", "Erdapfel")))
    locale.load_gettext_translations(directory, "app")
    austrian = locale.get("de_AT")
    assert [austrian.translate(word) for word in ("car", "potato")] == ["Auto", "Erdapfel"]
    assert locale.get("de").translate("potato") == "Kartoffel"


def test_a_language_is_not_one_of_its_territories(mine: Any, tmp_path: Path) -> None:
    """Tornado (and gettext) would look for ``de`` in ``de_DE`` first."""
    write_mo(tmp_path, "de", po(("a", "language")))
    mine.load_gettext_translations(write_mo(tmp_path, "de_DE", po(("a", "territory"))), "app")
    assert mine.get("de").translate("a") == "language"
    assert mine.get("de_DE").translate("a") == "territory"


def test_a_damaged_catalogue_is_left_out(
    locale: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (path := tmp_path / "xx" / "LC_MESSAGES").mkdir(parents=True)
    (path / "app.mo").write_bytes(b"\xde\x12\x04\x95 no catalogue")
    locale.load_gettext_translations(write_mo(tmp_path, "fr", po(("a", "b"))), "app")
    assert set(locale.get_supported_locales()) == {"fr", "en_US"}
    assert "Cannot load translation for 'xx'" in caplog.text


def test_another_domain_is_not_read(locale: Any, tmp_path: Path) -> None:
    locale.load_gettext_translations(write_mo(tmp_path, "fr", po(("a", "b"))), "[ab]pp")
    assert set(locale.get_supported_locales()) == {"en_US"}


# ---- Loading anew --------------------------------------------------------------------------------


def test_loading_anew_replaces_everything(mine: Any, tmp_path: Path) -> None:
    """Tornado keeps the locales that it has made, and takes CSV for gettext from then on."""
    directory = write_mo(tmp_path, "fr", po(("a", "old")))
    mine.load_gettext_translations(directory, "app")
    held = mine.get("fr")
    assert held.translate("a") == "old"

    write_mo(tmp_path, "fr", po(("a", "new")))
    mine.load_gettext_translations(directory, "app")
    assert mine.get("fr").translate("a") == "new"
    assert held.translate("a") == "old"

    mine.load_translations(write_csv(tmp_path / "csv", de="a,aus der Datei\n"))
    assert mine.get("de").translate("a") == "aus der Datei"
    assert set(mine.get_supported_locales()) == {"de", "en_US"}


def test_loading_anew_keeps_nothing_of_the_old(mine: Any, tmp_path: Path) -> None:
    directory = write_mo(tmp_path, "fr", po(("a", "b")))
    mine.load_gettext_translations(directory, "app")
    old = weakref.ref(mine.get("fr"))
    mine.load_gettext_translations(directory, "app")
    gc.collect()
    assert old() is None


@pytest.mark.parametrize("content", [b"a,\xff\n", b'a,"' + b"x" * 200_000 + b'"\n'])
def test_a_load_that_fails_changes_nothing(mine: Any, tmp_path: Path, content: bytes) -> None:
    mine.load_translations(write_csv(tmp_path / "good", fr="a,b\n"))
    bad = write_csv(tmp_path / "bad", de="a,b\n", xx=content)
    with pytest.raises(Exception, match=r"decode|field larger"):
        mine.load_translations(bad)
    with pytest.raises(OSError, match="none"):
        mine.load_translations(str(tmp_path / "none"))
    assert set(mine.get_supported_locales()) == {"fr", "en_US"}
    assert mine.get("fr").translate("a") == "b"


def test_threads_see_one_load_or_the_other(mine: Any, tmp_path: Path) -> None:
    """Readers ask all the time for what only one of two loads has: never an error, never a mix."""
    first = write_csv(tmp_path / "1", fr="a,1\nb,1\n", de="a,1\nb,1\n")
    second = write_csv(tmp_path / "2", fr="a,2\nb,2\n", it="a,2\nb,2\n")
    mine.load_translations(first)
    stop = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        try:
            while not stop.is_set():
                translate = mine.get("it", "de").translate
                pair = translate("a"), translate("b")
                if pair not in (("1", "1"), ("2", "2")):
                    wrong.append(pair)
        except Exception as error:
            wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(60):
        mine.load_translations(second if number % 2 else first)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []


# ---- Dates, numbers, lists ---------------------------------------------------------------------

NOW = datetime.datetime(2026, 3, 11, 14, 5, 9, tzinfo=UTC)  # a Wednesday


class _AnyDatetime(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime.datetime)


class _StoppedClock(datetime.datetime, metaclass=_AnyDatetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return NOW.astimezone(tz)


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Now is NOW for both libraries."""
    clock = SimpleNamespace(datetime=_StoppedClock, timedelta=datetime.timedelta, UTC=UTC)
    for name in ("tornadoish.locale.locales", "tornado.locale"):
        try:
            monkeypatch.setattr(importlib.import_module(name), "datetime", clock)
        except ModuleNotFoundError:
            pass


def ago(**delta: float) -> datetime.datetime:
    return NOW - datetime.timedelta(**delta)


@pytest.mark.parametrize(
    ("date", "options", "text"),
    [
        (ago(seconds=1), {}, "1 second ago"),
        (ago(seconds=2), {}, "2 seconds ago"),
        (ago(seconds=55), {}, "1 minute ago"),
        (ago(minutes=2), {}, "2 minutes ago"),
        (ago(minutes=59), {}, "1 hour ago"),
        (ago(hours=4), {}, "4 hours ago"),
        (ago(hours=4), {"relative": False}, "10:05 am"),
        (ago(hours=4), {"relative": False, "gmt_offset": 60}, "9:05 am"),
        (ago(days=1), {}, "yesterday at 2:05 pm"),
        (ago(days=1), {"shorter": True}, "yesterday"),
        (ago(days=1, hours=23), {}, "Monday at 3:05 pm"),
        (ago(days=2), {}, "Monday at 2:05 pm"),
        (ago(days=2), {"shorter": True}, "Monday"),
        (ago(days=2), {"relative": False}, "Monday at 2:05 pm"),
        (ago(days=30), {}, "February 9 at 2:05 pm"),
        (ago(days=30), {"shorter": True}, "February 9"),
        (ago(days=400), {}, "February 4, 2025 at 2:05 pm"),
        (ago(days=400), {"shorter": True}, "February 4, 2025"),
        (ago(seconds=1), {"full_format": True}, "March 11, 2026 at 2:05 pm"),
        (ago(seconds=-5), {}, "0 seconds ago"),
        (ago(seconds=-61), {}, "March 11, 2026 at 2:06 pm"),
        (ago(seconds=-5), {"relative": False}, "March 11, 2026 at 2:05 pm"),
    ],
)
@pytest.mark.parametrize("form", ["aware", "naive", "seconds"])
def test_format_date(
    locale: Any, stopped: None, date: datetime.datetime, form: str, options: Any, text: str
) -> None:
    given: Any = date
    if form != "aware":
        given = date.replace(tzinfo=None) if form == "naive" else date.timestamp()
    assert locale.get("en_US").format_date(given, **options) == text


def test_dates_as_tornado_writes_them(mine: Any, stopped: None) -> None:
    theirs = pytest.importorskip("tornado.locale")
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    moments = [ago(hours=hours, minutes=7) for hours in (-30, 0, 1, 9, 14, 15, 23, 24, 30, 47, 80)]
    moments += [ago(days=days) for days in (5, 100, 333, 334, 335, 3000)]
    moments += [moment.astimezone(zone) for moment in moments]
    flags = [
        {"relative": relative, "shorter": shorter, "full_format": full, "gmt_offset": offset}
        for relative in (True, False)
        for shorter in (True, False)
        for full in (True, False)
        for offset in (0, 480, -330)
    ]
    try:
        for code in ("en", "en_US", "en_GB", "zh_CN", "de_DE", "fa_IR"):
            mine.set_default_locale(code)
            theirs.set_default_locale(code)
            one, other = mine.get(code), theirs.get(code)
            for moment in moments:
                for flag in flags:
                    expected = other.format_date(moment, **flag)
                    assert one.format_date(moment, **flag) == expected, (code, moment, flag)
                assert one.format_day(moment) == other.format_day(moment)
            for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"], ("a", "b", "c")):
                assert one.list(parts) == other.list(parts)
            for number in (0, 1, 999, 1000, 1234567, 10**30):
                assert one.friendly_number(number) == other.friendly_number(number)
    finally:
        reset(theirs)


def test_format_day(locale: Any) -> None:
    english = locale.get("en_US")
    day = datetime.datetime(2013, 4, 28, 4, 35)
    assert english.format_day(day) == "Sunday, April 28"
    assert english.format_day(day, gmt_offset=300) == "Saturday, April 27"
    assert english.format_day(day, dow=False) == "April 28"


def test_words_of_dates_are_translated(locale: Any, tmp_path: Path, stopped: None) -> None:
    rows = (
        "Monday,lundi\nMarch,mars\n%(month_name)s %(day)s,%(day)s %(month_name)s\n"
        '"%(weekday)s, %(month_name)s %(day)s","%(weekday)s %(day)s %(month_name)s"\n'
        "%(commas)s and %(last)s,%(commas)s et %(last)s\n"
        "1 hour ago,il y a une heure,singular\n%(hours)d hours ago,il y a %(hours)d heures,plural\n"
    )
    locale.load_translations(write_csv(tmp_path, fr=rows))
    french = locale.get("fr")
    assert french.format_date(ago(hours=1)) == "il y a une heure"
    assert french.format_date(ago(hours=3)) == "il y a 3 heures"
    assert french.format_date(ago(days=8), shorter=True) == "3 mars"
    assert french.format_day(ago(days=2)) == "lundi 9 mars"
    assert french.list(["a", "b", "c"]) == "a, b et c"


def test_a_negative_number(mine: Any) -> None:
    assert mine.get("en_US").friendly_number(-123) == "-123"  # Tornado: "-,123"


# ---- Babel ---------------------------------------------------------------------------------------


def test_babel_is_asked_for(mine: Any, stopped: None) -> None:
    pytest.importorskip("babel")
    mine.set_default_locale("de_DE")
    assert mine.get().friendly_number(1234567) == "1234567"
    mine.use_babel()
    german = mine.get()
    assert german.friendly_number(1234567) == "1.234.567"
    assert german.list(["a", "b", "c"]) == "a, b und c"
    assert german.format_date(ago(minutes=2)) == "vor 2 Minuten"
    assert german.format_date(ago(hours=4), relative=False) == "10:05"
    assert german.format_date(ago(days=1)) == "Dienstag, 14:05"
    assert german.format_date(ago(days=30)) == "9. Februar, 14:05"
    assert german.format_date(ago(days=30), shorter=True) == "9. Februar"
    assert german.format_date(ago(days=400), gmt_offset=-60) == "4. Februar 2025, 15:05"
    assert german.format_day(ago(days=2)) == "Montag, 9. März"
    assert german.babel.language == "de"
    mine.use_babel(False)
    assert mine.get().friendly_number(1234567) == "1234567"


def test_locales_that_babel_does_not_know(mine: Any) -> None:
    pytest.importorskip("babel")
    mine.use_babel()
    mine.set_default_locale("es_LA")  # Tornado's name for what CLDR calls es_419
    assert mine.get().friendly_number(12345) == "12.345"
    for code in ("qqq", "not a code", "sr@latin"):
        mine.set_default_locale(code)
        assert mine.get().list(["a", "b"]) in ("a and b", "a и b")
    mine.set_default_locale("br")
    assert mine.get().name == "Brezhoneg"


def test_without_babel_the_error_names_the_extra(
    mine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("tornadoish.util.importlib", SimpleNamespace(import_module=missing))
    with pytest.raises(ImportError, match=r"babel is not installed.*tornadoish\[locale\]"):
        mine.use_babel()
    with pytest.raises(ImportError, match="babel"):
        _ = mine.get().babel
    assert mine.get().friendly_number(1234) == "1,234"
