"""Pages from templates in Tornado's language: what a handler renders, over both frameworks."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from .serving import Framework, Serve, by_hand

pytest.importorskip("tornado.template")


@pytest.fixture(autouse=True)
def _apart(framework: Framework) -> None:
    """Tornado keeps loaders by their path alone, for all applications of the process."""
    if framework.is_tornado:
        framework.web.RequestHandler._template_loaders.clear()


def write(directory: Path, **files: str) -> str:
    """Templates; the name of ``page`` is page.html, of ``a__b`` a/b.html."""
    for name, text in files.items():
        path = directory / (name.replace("__", "/") + ".html")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(directory)


def rendered(
    framework: Framework, directory: Path, text: str, settings: Any = None, **names: Any
) -> str:
    """What a handler makes of a template."""
    path = write(directory, page=text)
    handler = by_hand(framework, template_path=path, **(settings or {}))
    result = handler.render_string("page.html", **names)
    assert type(result) is bytes
    return result.decode()


# ---- The language ------------------------------------------------------------------------------

LANGUAGE = [
    ("{{ x }}", {"x": "<a href='b'>&\"é"}, "&lt;a href=&#x27;b&#x27;&gt;&amp;&quot;é"),
    ("{{ x }}", {"x": b"<b>"}, "&lt;b&gt;"),
    ("{{ x }} {{ y }}", {"x": None, "y": 12}, "None 12"),
    ("{% raw x %}", {"x": "<b>"}, "<b>"),
    ("{% autoescape None %}{{ x }}", {"x": "<b>"}, "<b>"),
    ("{% autoescape f %}{{ x }}", {"x": "<b>", "f": lambda x: b"[" + x + b"]"}, "[<b>]"),
    ("{% if x %}a{% elif y %}b{% else %}c{% end %}", {"x": 0, "y": 1}, "b"),
    ("{% for i in x %}{% if i == 2 %}{% continue %}{% end %}{{ i }},{% end %}",
     {"x": [1, 2, 3]}, "1,3,"),
    ("{% set y = x * 2 %}{{ y }}", {"x": 21}, "42"),
    ("{% while x %}{{ x.pop() }}{% end %}", {"x": [1, 2]}, "21"),
    ("{% try %}{{ x[1] }}{% except IndexError %}none{% end %}", {"x": []}, "none"),
    ("{% apply upper %}a{{ x }}{% end %}", {"x": "b", "upper": lambda s: s.upper()}, "AB"),
    ("{% import math %}{{ math.floor(x) }}", {"x": 1.5}, "1"),
    ("{# gone #}{% comment gone %}{{! x }}", {}, "{{ x }}"),
    ("{{ escape(x) }}", {"x": "&"}, "&amp;amp;"),
    ("{{ url_escape(x) }}", {"x": "a b/"}, "a+b%2F"),
    ("{% raw json_encode(x) %}", {"x": ["</a>"]}, '["<\\/a>"]'),
    ("{{ squeeze(x) }}", {"x": " a \n b "}, "a b"),
    ("{% raw linkify(x) %}", {"x": "http://a.b <"},
     '<a href="http://a.b">http://a.b</a> &lt;'),
    ("{% module linkify(x, extra_params='rel=a') %}", {"x": "http://a.b"},
     '<a href="http://a.b" rel=a>http://a.b</a>'),
    ("{{ datetime.date(2026, 1, 2) }}", {}, "2026-01-02"),
    ("a  {{ x }}\n\n b\t c", {"x": 1}, "a 1\nb c"),
    ("{% whitespace all %}a   b", {}, "a   b"),
    ("{% whitespace oneline %}a \n\n b", {}, "a b"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "names", "expected"), LANGUAGE)
def test_the_language(
    framework: Framework, tmp_path: Path, text: str, names: dict[str, Any], expected: str
) -> None:
    copies = {name: value[:] if type(value) is list else value for name, value in names.items()}
    assert rendered(framework, tmp_path, text, **copies) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "&lt; a b"),
        ({"autoescape": None}, "< a b"),
        ({"autoescape": "url_escape"}, "%3C a b"),
        ({"template_whitespace": "all"}, "&lt; a   b"),
        ({"template_whitespace": "oneline", "autoescape": None}, "< a b"),
    ],
)
def test_settings_of_the_language(
    framework: Framework, tmp_path: Path, settings: Any, expected: str
) -> None:
    assert rendered(framework, tmp_path, "{{ x }} a   b", settings, x="<") == expected


def test_inheritance_and_includes(framework: Framework, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        base="<{% block title %}base{% end %}|{% block body %}{% end %}>",
        admin__page='{% extends "../base.html" %}{% block body %}{% include "row.html" %}{% end %}',
        admin__row="{% for x in items %}{{ x }}{% end %}",
    )
    handler = by_hand(framework, template_path=path)
    assert handler.render_string("admin/page.html", items="ab") == b"<base|ab>"


def test_values_of_the_frameworks_classes(framework: Framework, tmp_path: Path) -> None:
    """What is not a text is what ``str`` makes of it, escaped."""
    path = write(
        tmp_path,
        page="{{ headers }}|{{ request.headers['X'] }}|{{ request.cookies['a'].value }}|"
        "{{ request.cookies['a'].key }}|{{ request.arguments['b'] }}|{{ line }}|{{ error }}|"
        "{{ safe }}|{% raw utf8(safe) %}",
    )
    httputil = framework.httputil
    request = {"X": "<x>", "Cookie": "a=1<"}
    handler = by_hand(framework, uri="/?b=%3C", headers=request, template_path=path)
    escape = import_module(f"{framework.name}.escape")
    page = handler.render_string(
        "page.html",
        headers=httputil.HTTPHeaders({"A": "<b>"}),
        line=httputil.ResponseStartLine("", 200, "<"),
        error=framework.web.HTTPError(400, "<%s>", "m"),
        safe=escape.xhtml_escape("<"),
        utf8=escape.utf8,
    )
    assert page.decode().split("|") == [
        "A: &lt;b&gt;\n", "&lt;x&gt;", "1&lt;", "a", "[b&#x27;&lt;&#x27;]",
        "ResponseStartLine(version=&#x27;&#x27;, code=200, reason=&#x27;&lt;&#x27;)",
        "HTTP 400: Bad Request (&lt;m&gt;)", "&amp;lt;", "&lt;",
    ]  # fmt: skip


def test_errors_name_the_template(framework: Framework, tmp_path: Path) -> None:
    error = import_module(f"{framework.name}.template").ParseError
    with pytest.raises(error, match=r"page\.html:2") as caught:
        rendered(framework, tmp_path, "a\n{% if %}")
    assert caught.value.filename == "page.html"
    with pytest.raises(NameError, match="nothing"):
        rendered(framework, tmp_path / "other", "{{ nothing }}")


# ---- The namespace -------------------------------------------------------------------------------


async def test_the_namespace(web: Any, serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.js").write_text("a")
    path = write(
        tmp_path,
        page="{{ handler.note }}|{{ request.path }}|{{ current_user }}|{{ locale.code }}|"
        "{{ _('hello') }}|{{ pgettext('a', 'hello') }}|{{ reverse_url('other', 1) }}|"
        "{{ static_url('a.js', include_version=False) }}|{{ more }}|{{ mine }}",
        form="{% module xsrf_form_html() %}|{% raw xsrf_form_html() %}|{{ xsrf_form_html() }}",
    )

    class Handler(web.RequestHandler):
        note = "<n>"

        def get_current_user(self) -> str:
            return "me"

        def get_template_namespace(self) -> Any:
            return {**super().get_template_namespace(), "more": "more", "mine": 1}

        def get(self, form: Any = None) -> None:
            self.render("form.html" if form else "page.html", mine=2)

    site = await serve(
        [("/", Handler), web.url("/other/(.*)", Handler, name="other")],
        template_path=path,
        static_path=str(tmp_path / "static"),
    )
    answer = await site.get("/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert answer.text.split("|") == [
        "&lt;n&gt;", "/", "me", "en_US", "hello", "hello", "/other/1", "/static/a.js", "more", "2",
    ]  # fmt: skip
    module, raw, escaped = (await site.get("/other/form")).text.replace("/>|", "/>\n").split("\n")
    assert module == raw
    assert module.startswith('<input type="hidden" name="_xsrf" value="2|')
    assert escaped.startswith("&lt;input type=&quot;hidden&quot; ")


async def test_render_finishes(web: Any, serve: Serve, tmp_path: Path) -> None:
    seen: list[str] = []

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            await self.render("page.html", x="é")
            try:
                self.render("page.html")
            except RuntimeError as error:
                seen.append(str(error))

    site = await serve([("/", Handler)], template_path=write(tmp_path, page="<p>{{ x }}</p>"))
    answer = await site.get("/")
    assert (answer.text, answer.headers["Content-Length"]) == ("<p>é</p>", "9")
    assert seen == ["Cannot render() after finish()"]


async def test_a_template_that_fails_is_a_500(
    web: Any, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.render("page.html")

    site = await serve([("/", Handler)], template_path=write(tmp_path, page="a\n{{ 1 / 0 }}"))
    answer = await site.get("/")
    assert answer.status_code == 500
    assert "page_html.generated.py" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_page_for_errors(web: Any, serve: Serve, tmp_path: Path) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            raise web.HTTPError(404)

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.render("error.html", code=status_code)

    site = await serve([("/", Handler)], template_path=write(tmp_path, error="<i>{{ code }}</i>"))
    answer = await site.get("/")
    assert (answer.status_code, answer.text) == (404, "<i>404</i>")


# ---- Where templates come from -----------------------------------------------------------------


def test_the_path_of_a_handler(framework: Framework, tmp_path: Path) -> None:
    one, two = write(tmp_path / "1", page="one"), write(tmp_path / "2", page="two")

    class Handler(framework.web.RequestHandler):
        def get_template_path(self) -> str:
            return two

    handlers = [by_hand(framework, template_path=one),
                by_hand(framework, template_path=one, handler_class=Handler)]  # fmt: skip
    assert [handler.render_string("page.html") for handler in handlers] == [b"one", b"two"]


def test_without_a_path_templates_are_beside_the_caller(
    framework: Framework, tmp_path: Path
) -> None:
    write(tmp_path, page="here, {% module Part() %}")
    write(tmp_path / "parts", part="and beside the module")
    names: dict[str, Any] = {"web": framework.web}
    for name, code in (
        ("app", "def render(handler): return handler.render_string('page.html')"),
        ("parts/part", "class Part(web.UIModule):\n"
                       "    def render(self): return self.render_string('part.html')"),
    ):  # fmt: skip
        exec(compile(code, str(tmp_path / f"{name}.py"), "exec"), names)
    handler = by_hand(framework, ui_modules={"Part": names["Part"]})
    assert names["render"](handler) == b"here, and beside the module"


def test_a_loader_of_the_applications_own(framework: Framework) -> None:
    class Template:
        def generate(self, **names: Any) -> bytes:
            return f"{names['x']} {names['request'].path}".encode()

    class Loader:
        def load(self, name: str) -> Template:
            assert name == "any"
            return Template()

    handler = by_hand(framework, uri="/p", template_loader=Loader(), template_path="/loader")
    assert handler.render_string("any", x=1) == b"1 /p"


def test_a_loader_of_the_handlers_own(framework: Framework, tmp_path: Path) -> None:
    template = import_module(f"{framework.name}.template")
    made: list[str] = []

    class Handler(framework.web.RequestHandler):
        def create_template_loader(self, template_path: str) -> Any:
            made.append(template_path)
            return template.DictLoader({"a": "{{ x }}"}, autoescape=None)

    path = str(tmp_path)
    handler = by_hand(framework, handler_class=Handler, template_path=path)
    assert handler.render_string("a", x="<") == b"<"
    assert handler.render_string("a", x=">") == b">"
    assert made == [path]


@pytest.mark.parametrize(
    ("settings", "second"),
    [
        ({}, "1"),
        ({"compiled_template_cache": True}, "1"),
        ({"compiled_template_cache": False}, "2"),
        ({"debug": True, "autoreload": False}, "2"),
        ({"debug": True, "autoreload": False, "compiled_template_cache": True}, "1"),
    ],
)
async def test_changed_templates(
    web: Any, serve: Serve, tmp_path: Path, settings: Any, second: str
) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.render("page.html")

    path = write(tmp_path, page='{% include "part.html" %}', part="1")
    site = await serve([("/", Handler)], template_path=path, **settings)
    assert (await site.get("/")).text == "1"
    write(tmp_path, part="2")
    assert (await site.get("/")).text == second


def test_no_file_of_that_name(framework: Framework, tmp_path: Path) -> None:
    handler = by_hand(framework, template_path=str(tmp_path))
    with pytest.raises(FileNotFoundError, match=os.path.join(str(tmp_path), "none.html")):
        handler.render_string("none.html")
