"""The language of an answer: the browser's, the user's, and what templates see of it."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tornadoish.locale.catalogues import change
from tornadoish.web.localization import MAX_LANGUAGES

from .serving import Framework, Serve, by_hand

ours_alone = pytest.mark.parametrize("framework", ["tornadoish"], indirect=True)


@pytest.fixture(autouse=True)
def locale(framework: Framework, tmp_path: Path) -> Iterator[Any]:
    """The framework's module ``locale``, with translations for some languages."""
    module = framework.locale
    directory = tmp_path / "csv"
    directory.mkdir()
    for code in ("de", "de_CH", "fr_FR", "pt_BR", "zh_CN"):
        (directory / f"{code}.csv").write_text(f"hello,hello {code} <\n")
    module.load_translations(str(directory))
    yield module
    if framework.is_tornado:
        module._translations = {}
        module.Locale._cache.clear()
    else:
        change(translations={})
    module.set_default_locale("en_US")


def asked(framework: Framework, accept: str | None, **more: Any) -> Any:
    """A handler whose client has sent this ``Accept-Language``."""
    headers = {} if accept is None else {"Accept-Language": accept}
    return by_hand(framework, headers=headers, **more)


@pytest.mark.parametrize(
    ("accept", "code"),
    [
        (None, "en_US"),
        ("", "en_US"),
        ("de", "de"),
        ("de-CH", "de_CH"),
        ("DE-ch", "de_CH"),
        ("de-AT", "de"),
        ("de, fr-FR", "de"),
        ("fr-FR;q=0.5, de;q=0.8", "de"),
        ("fr-FR;q=0.8,de;q=0.8", "fr_FR"),
        ("de;q=0.8, fr-FR", "fr_FR"),
        ("de;q=0, fr-FR;q=0.001", "fr_FR"),
        ("it, es;q=0.9, pt-br;q=0.1", "pt_BR"),
        ("it", "en_US"),
        ("*", "en_US"),
        ("*, de;q=0.5", "de"),
        ("de;q=0", "en_US"),
        (" de;q=0.5 , ,", "de"),
        ("de;q=x", "en_US"),
        ("de;q=", "en_US"),
        ("de;q=-1", "en_US"),
        ("de;q=nan, fr-FR;q=0.1", "fr_FR"),
        (";q=1,,;;,", "en_US"),
        ("-", "en_US"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh_CN"),
    ],
)
def test_the_browsers_locale(framework: Framework, accept: str | None, code: str) -> None:
    handler = asked(framework, accept)
    assert handler.get_browser_locale().code == code
    assert handler.locale.code == code


def test_the_default_is_for_clients_that_do_not_say(framework: Framework) -> None:
    assert asked(framework, None).get_browser_locale("de").code == "de"
    assert asked(framework, "it").get_browser_locale("de").code == "en_US"


@ours_alone
@pytest.mark.parametrize(
    ("accept", "code"),
    [
        ("de; q=0.1, fr-FR; Q=0.2", "fr_FR"),
        (" de ;q=0.5 , ,", "de"),
        ("zh-Hans-CN, de;q=0.5", "zh_CN"),
        ("de;q=1e400, fr-FR;q=0.1", "fr_FR"),
        ("de;q=inf", "en_US"),
        ("de;q=5, fr-FR;q=0.1", "fr_FR"),
        ("de;q=٠.٥, fr-FR;q=0.1", "fr_FR"),
        ("de;q=1_0, fr-FR;q=0.1", "fr_FR"),
    ],
)
def test_weights(framework: Framework, accept: str, code: str) -> None:
    assert asked(framework, accept.encode().decode("latin-1")).locale.code == code


@ours_alone
@pytest.mark.parametrize(
    "accept",
    [
        "," * 60_000,
        ";" * 60_000,
        "-" * 60_000,
        "_-" * 30_000,
        "a-" * 30_000,
        "a," * 30_000,
        '"' * 60_000,
        "de;q=0." + "0" * 60_000,
        "de;" + "x=y;" * 15_000,
        "".join(f"{number}," for number in range(12_000)),
        "\x80\xff, \xa0de\x85;q=1",
        "../../etc/passwd, %s%n, {0}, \\",
    ],
)
def test_hostile_values(framework: Framework, accept: str) -> None:
    """None raises, none is anything; that the work is linear is seen to where it is done."""
    assert asked(framework, accept).locale.code == ("de" if accept.startswith("de;x") else "en_US")


@ours_alone
def test_only_so_many_languages_are_looked_for(framework: Framework) -> None:
    others = ",".join(f"x{number}" for number in range(MAX_LANGUAGES - 1))
    assert asked(framework, f"{others},de").locale.code == "de"
    assert asked(framework, f"{others},it,de").locale.code == "en_US"


def test_the_locale_is_asked_for_once_and_may_be_set(framework: Framework, locale: Any) -> None:
    calls: list[str] = []

    class Handler(framework.web.RequestHandler):
        def get_user_locale(self) -> Any:
            calls.append("user")

        def get_browser_locale(self, default: str = "en_US") -> Any:
            calls.append("browser")
            return super().get_browser_locale("fr_FR")

    handler = by_hand(framework, handler_class=Handler)
    assert calls == []
    assert handler.locale is handler.locale
    assert handler.locale.code == "fr_FR"
    assert calls == ["user", "browser"]
    handler.locale = locale.get("de")
    assert handler.locale.code == "de"


def test_the_users_locale_comes_first(framework: Framework, locale: Any) -> None:
    class Handler(framework.web.RequestHandler):
        def get_user_locale(self) -> Any:
            return locale.get(self.get_cookie("lang"))

    headers = {"Cookie": "lang=pt-BR", "Accept-Language": "de"}
    assert by_hand(framework, handler_class=Handler, headers=headers).locale.code == "pt_BR"


async def test_templates_see_it(framework: Framework, serve: Serve, tmp_path: Path) -> None:
    pytest.importorskip("tornado.template")

    class Handler(framework.web.RequestHandler):
        async def prepare(self) -> None:
            wanted = self.get_argument("lang", None)
            if wanted:
                self.locale = framework.locale.get(wanted)

        def get(self) -> None:
            self.render("page.html")

    (tmp_path / "page.html").write_text(
        "{{ _('hello') }} {{ _('cat', 'cats', 2) }} {{ locale.code }} {{ locale.list(['a', 'b']) }}"
        "{{ pgettext('context', 'other') }}"
    )
    site = await serve([("/", Handler)], template_path=str(tmp_path))
    answer = await site.get("/", headers={"Accept-Language": "de"})
    assert answer.text == "hello de &lt; cats de a and bother"
    answer = await site.get("/?lang=pt_BR", headers={"Accept-Language": "de"})
    assert answer.text.startswith("hello pt_BR &lt;")
