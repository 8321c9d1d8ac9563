"""The seam between pages and template engines: which one, Jinja2's templates, what is missing."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import gc
import importlib
import re
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tornadoish import web
from tornadoish.locale import CSVLocale
from tornadoish.util import import_extra
from tornadoish.web.templates import LoaderCache, SafeText

from .serving import Framework, Serve, by_hand
from .test_templates import write

jinja2 = pytest.importorskip("jinja2")


@pytest.fixture
def framework() -> Framework:
    """Ours alone: Tornado has one engine."""
    return Framework("tornadoish")


def rendered(
    framework: Framework, directory: Path, text: str, names: Any = None, **settings: Any
) -> str:
    """What a handler makes of a template in Jinja2's language."""
    path = write(directory, page=text)
    settings = {"template_engine": "jinja2", "template_path": path, **settings}
    html: bytes = by_hand(framework, **settings).render_string("page.html", **(names or {}))
    return html.decode()


class Safe(web.UIModule):
    def render(self, text: str) -> str:
        return f"<b>{text}</b>"

    def html_body(self) -> str:
        return "<hr>"


# ---- Jinja2 --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ x }}", "&lt;é&gt;"),
        ("{{ x|safe }}", "<é>"),
        ("{% set y = x %}{{ y ~ '&' }}", "&lt;é&gt;&amp;"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
        ("{{ nothing }}", ""),
        ("{{ url_escape('a b') }} {{ squeeze(' a  b') }}", "a+b a b"),
        ("{{ json_encode(['<']) }} {{ ['<']|tojson }}", '[&#34;&lt;&#34;] ["\\u003c"]'),
        ("{{ linkify('http://a.b <') }}", '<a href="http://a.b">http://a.b</a> &lt;'),
        ("{{ escape('<') }}{{ xhtml_escape('<') }}", "&lt;&lt;"),
        ("{{ datetime.date(2026, 1, 2) }}", "2026-01-02"),
        ("{{ modules.Safe('t') }}{{ modules.linkify('www.a.b') }}",
         '<b>t</b><a href="http://www.a.b">www.a.b</a>'),
        ("{{ method('<') }}", "method &lt;"),
        ("{{ handler.x }} {{ request.path }} {{ current_user }} {{ locale.code }}",
         "&lt;é&gt; / None en_US"),
        ("{{ _('hello') }} {{ pgettext('a', 'hello') }}", "hello hello"),
    ],
)  # fmt: skip
def test_jinja2(framework: Framework, tmp_path: Path, text: str, expected: str) -> None:
    class Handler(framework.web.RequestHandler):
        x = "<é>"

    handler = by_hand(
        framework,
        handler_class=Handler,
        template_engine="jinja2",
        template_path=write(tmp_path, page=text),
        ui_modules={"Safe": Safe},
        ui_methods={"method": lambda handler, text: f"method {text}"},
    )
    assert handler.render_string("page.html", x="<é>").decode() == expected


def test_html_of_the_framework_is_not_escaped(framework: Framework, tmp_path: Path) -> None:
    text = "{{ xsrf_form_html() }}|{{ modules.xsrf_form_html() }}|{{ handler.xsrf_form_html() }}"
    form, module, escaped = rendered(framework, tmp_path, text).replace("/>|", "/>\n").split("\n")
    assert form == module
    assert form.startswith('<input type="hidden" name="_xsrf" value="')
    assert escaped.startswith("&lt;input ")


@pytest.mark.parametrize("name", ["page.html", "page.txt", "page"])
def test_files_of_all_names_are_escaped(framework: Framework, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{{ x }}")
    handler = by_hand(framework, template_engine="jinja2", template_path=str(tmp_path))
    assert handler.render_string(name, x="<") == b"&lt;"


def test_inheritance_in_jinja2(framework: Framework, tmp_path: Path) -> None:
    write(
        tmp_path,
        base="<{% block a %}base{% endblock %}>",
        sub__part="{{ x }}",
        macros="{% macro m(x) %}{{ x }}{{ url_escape('/') }}{% endmacro %}",
    )
    text = (
        '{% extends "base.html" %}{% from "macros.html" import m %}'
        '{% block a %}{{ super() }}{% include "sub/part.html" %}{{ m("<") }}{% endblock %}'
    )
    assert rendered(framework, tmp_path, text, {"x": "&"}) == "<base&amp;&lt;%2F>"


def test_translations_in_jinja2(framework: Framework, tmp_path: Path) -> None:
    german = CSVLocale(
        "de",
        {
            "unknown": {"Hello <b>": "Hallo <b>", "%(n)s": "%(n)s!"},
            "singular": {"one %(n)s": "ein %(n)s"},
            "plural": {"%(n)s of them": "%(n)s davon"},
        },
    )
    write(
        tmp_path,
        page="{% trans %}Hello <b>{% endtrans %}|{% trans n='<' %}{{ n }}{% endtrans %}|"
        "{% trans n=1 %}one {{ n }}{% pluralize %}{{ n }} of them{% endtrans %}|"
        "{% trans n=2 %}one {{ n }}{% pluralize %}{{ n }} of them{% endtrans %}|"
        "{{ _('Hello <b>') }}",
    )
    handler = by_hand(framework, template_engine="jinja2", template_path=str(tmp_path))
    handler.locale = german
    page = handler.render_string("page.html").decode()
    assert page == "Hallo <b>|&lt;!|ein 1|2 davon|Hallo &lt;b&gt;"


async def test_a_page_of_jinja2(framework: Framework, serve: Serve, tmp_path: Path) -> None:
    class Handler(framework.web.RequestHandler):
        def get(self) -> None:
            self.render("page.html", x="<")

    part = "{{ set_resources(embedded_css='p {}') }}<p>{{ x }}{{ y }}</p>"
    page = (
        "<head></head><body>{{ modules.Safe(x) }}{{ modules.Template('part.html', y='&') }}</body>"
    )
    site = await serve(
        [("/", Handler)],
        template_engine="jinja2",
        template_path=write(tmp_path, page=page, part=part),
        ui_modules={"Safe": Safe},
    )
    assert (await site.get("/")).text == (
        '<head><style type="text/css">\np {}\n</style>\n</head>'
        "<body><b><</b><p>&amp;</p><hr>\n</body>"
    )


def test_settings_for_jinja2(framework: Framework, tmp_path: Path) -> None:
    text = "{{ x }}\n{% if x %}\na{% endif %}[[ x ]]"
    options = {
        "trim_blocks": True,
        "undefined": jinja2.StrictUndefined,
        "variable_start_string": "[[",
        "variable_end_string": "]]",
    }
    settings = {"template_options": options, "autoescape": None}
    assert rendered(framework, tmp_path, text, {"x": "<"}, **settings) == "{{ x }}\na<"
    with pytest.raises(jinja2.UndefinedError, match="nothing"):
        rendered(framework, tmp_path, "[[ nothing ]]", **settings)
    with pytest.raises(ValueError, match="enable_async"):
        rendered(framework, tmp_path, "", template_options={"enable_async": True})


def test_an_environment_of_the_applications_own(framework: Framework) -> None:
    environment = jinja2.Environment(loader=jinja2.DictLoader({"a": "{{ x }} {{ linkify('b') }}"}))
    environment.globals["linkify"] = str.upper
    handler = by_hand(framework, template_loader=web.Jinja2Loader(environment))
    assert handler.render_string("a", x="<") == b"< B"
    assert "url_escape" in environment.globals


@pytest.mark.parametrize(
    ("settings", "second"),
    [({}, "1"), ({"debug": True}, "2"), ({"compiled_template_cache": False}, "2")],
)
async def test_changed_templates_of_jinja2(
    framework: Framework, serve: Serve, tmp_path: Path, settings: Any, second: str
) -> None:
    class Handler(framework.web.RequestHandler):
        def get(self) -> None:
            self.render("page.html")

    path = write(tmp_path, page='{% include "part.html" %}', part="1")
    site = await serve([("/", Handler)], template_engine="jinja2", template_path=path, **settings)
    assert (await site.get("/")).text == "1"
    (tmp_path / "part.html").unlink()
    write(tmp_path, part="2")
    assert (await site.get("/")).text == second


async def test_errors_point_at_the_template(
    framework: Framework, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Handler(framework.web.RequestHandler):
        def get(self, name: str) -> None:
            self.render(name)

    write(tmp_path, fails="a\n{{ 1 / 0 }}", malformed="a\nb\n{% if %}")
    site = await serve(
        [("/(.*)", Handler)],
        template_engine="jinja2",
        template_path=str(tmp_path),
        serve_traceback=True,
    )
    answer = await site.get("/fails.html")
    assert answer.status_code == 500
    assert f'File "{tmp_path / "fails.html"}", line 2' in answer.text
    assert "ZeroDivisionError" in answer.text
    answer = await site.get("/malformed.html")
    assert f'File "{tmp_path / "malformed.html"}", line 3' in answer.text
    answer = await site.get("/../secret.html")
    assert "TemplateNotFound" in answer.text


@pytest.mark.parametrize("name", ["../secret.html", "a/../../secret.html", "/etc/passwd"])
def test_nothing_outside_of_the_path(framework: Framework, tmp_path: Path, name: str) -> None:
    write(tmp_path, secret="secret", in__a="a")
    handler = by_hand(framework, template_engine="jinja2", template_path=str(tmp_path / "in"))
    with pytest.raises(jinja2.TemplateNotFound):
        handler.render_string(name)


def test_without_a_path_jinja2_too_looks_beside_the_caller(
    framework: Framework, tmp_path: Path
) -> None:
    write(tmp_path, page="{{ modules.Template('part.html') }}", part="part")
    names: dict[str, Any] = {}
    code = "def render(handler): return handler.render_string('page.html')"
    exec(compile(code, str(tmp_path / "app.py"), "exec"), names)
    assert names["render"](by_hand(framework, template_engine="jinja2")) == b"part"


async def test_pages_of_jinja2_leave_no_reference_cycles(
    framework: Framework, serve: Serve, tmp_path: Path
) -> None:
    made: list[Any] = []

    class Handler(framework.web.RequestHandler):
        def get(self) -> None:
            made.append(weakref.ref(self))
            self.render("page.html")

    site = await serve(
        [("/", Handler)],
        template_engine="jinja2",
        template_path=write(tmp_path, page="<body>{{ modules.Safe('a') }}</body>"),
        ui_modules={"Safe": Safe},
    )
    await site.get("/")
    gc.collect()
    gc.disable()
    try:
        made.clear()
        for _ in range(3):
            await site.get("/")
        left = [ref() for ref in made[:-1] if ref() is not None]
    finally:
        gc.enable()
    assert left == []


# ---- Which engine --------------------------------------------------------------------------------


def test_an_engine_of_the_applications_own(framework: Framework) -> None:
    class Page:
        def __init__(self, text: str) -> None:
            self.text = text

        def load(self, name: str) -> Page:
            return Page(f"{self.text} {name}")

        def generate(self, **names: Any) -> bytes:
            return f"{self.text} {names['x']}".encode()

    def engine(path: str, settings: Any) -> Page:
        return Page(f"{path} {settings['more']}")

    handler = by_hand(framework, template_engine=engine, template_path="/p", more="more")
    assert handler.render_string("name", x=1) == b"/p more name 1"


def test_an_engine_that_there_is_not(framework: Framework) -> None:
    with pytest.raises(ValueError, match="'mako', not a function or one of 'tornado', 'jinja2'"):
        framework.web.Application(template_engine="mako")


def test_applications_do_not_share_loaders(framework: Framework, tmp_path: Path) -> None:
    """In Tornado the first of them decides for the whole process."""
    path = write(tmp_path, page="{{ x }}{# #}")
    pages = [
        by_hand(framework, template_path=path, **settings).render_string("page.html", x="<")
        for settings in (
            {},
            {"autoescape": None},
            {"template_engine": "jinja2"},
            {"template_options": {"autoescape": "url_escape"}},
        )
    ]
    assert pages == [b"&lt;", b"<", b"&lt;", b"%3C"]


def test_a_loader_is_made_once_by_many_threads() -> None:
    cache = LoaderCache()
    made: list[object] = []
    got: list[object] = []
    start = threading.Barrier(8)

    def make() -> Any:
        one = object()
        made.append(one)
        sum(range(50_000))  # time enough for the others to come in, if they can
        return one

    def ask() -> None:
        start.wait()
        got.append(cache.get("key", make))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(made) == 1
    assert got == made * 8
    cache.reset()  # what cannot be reset stays


def test_html_is_text() -> None:
    safe = SafeText("<b>")
    assert (safe, safe.__html__(), type(safe.__html__())) == ("<b>", "<b>", str)
    markupsafe = importlib.import_module("markupsafe")
    assert markupsafe.escape(safe) == "<b>"


# ---- What is not installed ---------------------------------------------------------------------


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that makes packages as if they were not there."""

    def remove(*packages: str) -> None:
        monkeypatch.setattr("tornadoish.template._loaded", None)
        for package in packages:
            for name in [
                package,
                *(name for name in sys.modules if name.startswith(package + ".")),
            ]:
                monkeypatch.setitem(sys.modules, name, None)

    return remove


@pytest.mark.parametrize(
    ("engine", "package", "extra"),
    [("tornado", "tornado", "tornado-templates"), ("jinja2", "jinja2", "jinja2")],
)
def test_an_engine_that_was_asked_for_is_missed_at_once(
    framework: Framework, without: Any, engine: str, package: str, extra: str
) -> None:
    without(package)
    message = f"{package} is not installed: pip install 'tornadoish[{extra}]'"
    with pytest.raises(ImportError, match="^" + re.escape(message) + "$") as caught:
        framework.web.Application(template_engine=engine)
    assert caught.value.name == package


def test_without_tornado_its_names_are_missed(without: Any) -> None:
    without("tornado")
    with pytest.raises(ImportError, match=r"tornadoish\[tornado-templates\]"):
        from tornadoish.template import Template  # noqa: F401


def test_with_neither_engine_the_error_names_both(
    framework: Framework, without: Any, tmp_path: Path
) -> None:
    without("tornado", "jinja2")
    handler = by_hand(framework, template_path=str(tmp_path))
    with pytest.raises(ImportError, match=r"\[tornado-templates\].*\[jinja2\]"):
        handler.render_string("page.html")


def test_what_an_engine_itself_lacks_is_said_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "jinja2")
    monkeypatch.setitem(sys.modules, "markupsafe", None)
    for name in [name for name in sys.modules if name.startswith("jinja2.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match="markupsafe"):
        import_extra("jinja2", "jinja2")


# ---- tornadoish.template -----------------------------------------------------------------------


def test_tornados_names_are_tornados() -> None:
    theirs = pytest.importorskip("tornado.template")
    ours = importlib.import_module("tornadoish.template")
    for name in ours.__all__:
        assert getattr(ours, name) is getattr(theirs, name)
    with pytest.raises(AttributeError):
        ours.Nothing
    with pytest.raises(AttributeError):
        ours.__wrapped__
    assert ours.Template("{{ x }}").generate(x="<") == b"&lt;"


def test_it_may_stand_for_tornados_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that puts our modules in place of Tornado's."""
    pytest.importorskip("tornado.template")
    ours = importlib.import_module("tornadoish.template")
    monkeypatch.setattr(ours, "_loaded", None)
    monkeypatch.setitem(sys.modules, "tornado.template", ours)
    from tornado.template import DictLoader

    loader = DictLoader({"a": '{% include "b" %}', "b": "{{ x }}"})
    assert loader.load("a").generate(x="<") == b"&lt;"
    assert type(loader.load("a")).__module__ == "tornado.template"
