"""UI modules and methods, and what modules put into the head and the body of a page."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import gc
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .serving import Framework, Serve, by_hand

pytest.importorskip("tornado.template")

PAGE = "<html><head><title>t</title></head><body>%s</body></html>"


@pytest.fixture(autouse=True)
def _apart(framework: Framework) -> None:
    """Tornado keeps loaders by their path alone, for all applications of the process."""
    if framework.is_tornado:
        framework.web.RequestHandler._template_loaders.clear()


def loader(framework: Framework, **templates: str) -> Any:
    template = pytest.importorskip("tornado.template")
    return template.DictLoader({f"{name}.html": text for name, text in templates.items()})


def string(framework: Framework, text: str, names: Any = None, **settings: Any) -> str:
    """What a handler makes of a template."""
    handler = by_hand(framework, template_loader=loader(framework, page=text), **settings)
    return handler.render_string("page.html", **(names or {})).decode()


async def page(framework: Framework, serve: Serve, text: str, **settings: Any) -> str:
    """The page that a handler answers with, of the modules that ``settings`` name."""

    class Handler(framework.web.RequestHandler):
        def get(self) -> None:
            self.render("page.html")

    templates = settings.pop("templates", {})
    settings["template_loader"] = loader(framework, page=text, **templates)
    site = await serve([("/", Handler)], **settings)
    answer = await site.get("/")
    assert answer.status_code == 200
    return answer.text


def module_of(web: Any, **methods: Any) -> Any:
    """A ui module whose methods return what is said; ``render`` <i/> if nothing is."""
    values = {"render": "<i/>", **methods}
    namespace = {
        name: value if callable(value) else lambda self, *args, value=value: value
        for name, value in values.items()
    }
    return type("Module", (web.UIModule,), namespace)


# ---- Modules and methods -------------------------------------------------------------------------


def test_a_module_renders(framework: Framework) -> None:
    web = framework.web

    class Entry(web.UIModule):
        count = 0

        def render(self, text: str, *, tag: str = "p") -> str:
            self.count += 1
            assert self.handler.request is self.request
            assert self.current_user is None
            return f"<{tag}>{text} {self.count} {self.locale.code}</{tag}>"

    text = "{% module Entry('a') %}{% module Entry('b', tag='q') %}{% raw modules.Entry('c') %}"
    result = string(framework, text, ui_modules={"Entry": Entry})
    assert result == "<p>a 1 en_US</p><q>b 2 en_US</q><p>c 3 en_US</p>"


@pytest.mark.parametrize("value", ["<é>", "<é>".encode()])
def test_what_a_module_renders_is_not_escaped(framework: Framework, value: str | bytes) -> None:
    modules = {"M": module_of(framework.web, render=value)}
    text = "{% autoescape xhtml_escape %}{% module M() %} {{ modules.M() }}"
    assert string(framework, text, ui_modules=modules) == "<é> &lt;é&gt;"


def test_a_module_may_render_templates(framework: Framework) -> None:
    class Inner(framework.web.UIModule):
        def render(self, x: object) -> Any:
            return self.render_string("part.html", x=x)

    templates = loader(framework, page="{% module Inner('<') %}", part="[{{ x }}{{ more }}]")

    class Handler(framework.web.RequestHandler):
        def get_template_namespace(self) -> Any:
            return {**super().get_template_namespace(), "more": "!"}

    handler = by_hand(
        framework, handler_class=Handler, template_loader=templates, ui_modules={"Inner": Inner}
    )
    assert handler.render_string("page.html") == b"[&lt;!]"


def test_where_modules_and_methods_come_from(framework: Framework) -> None:
    web = framework.web
    one = ModuleType("one")
    one.__dict__.update(
        A=module_of(web, render="A"), _B=module_of(web, render="B"), Other=dict, number=1
    )
    one.__dict__.update(lower=lambda handler, x: x.lower(), _hidden=len, Upper=len)
    settings = {
        "ui_modules": [one, {"C": module_of(web, render="C")}, [{"A": module_of(web, render="a")}]],
        "ui_methods": [one, {"path": lambda handler: handler.request.path}],
    }
    text = "{% module A() %}{% module _B() %}{% module C() %}{{ lower('X') }}{{ path() }}"
    assert string(framework, text, **settings) == "aBCx/"
    application = by_hand(framework, **settings).application
    assert set(application.ui_methods) == {"lower", "path"}
    assert set(application.ui_modules) == {
        "A", "_B", "C", "Template", "linkify", "xsrf_form_html",
    }  # fmt: skip


def test_methods_are_called_with_the_handler(framework: Framework) -> None:
    handler = by_hand(framework, uri="/p", ui_methods={"at": lambda h, x, y=0: (h, x, y)})
    assert handler.ui.at(1, y=2) == (handler, 1, 2)
    assert handler.ui["at"](1) == (handler, 1, 0)
    handler.ui["more"] = 3
    assert handler.get_template_namespace()["more"] == 3


def test_a_module_that_is_not_there(framework: Framework) -> None:
    with pytest.raises(AttributeError, match="Nothing"):
        string(framework, "{% module Nothing() %}")


def test_names_of_a_template_do_not_hide_its_modules(framework: Framework) -> None:
    modules = {"M": module_of(framework.web)}
    text = "{% module M() %}{{ modules }}"
    assert string(framework, text, {"modules": "x"}, ui_modules=modules) == "<i/>x"


# ---- What modules bring --------------------------------------------------------------------------


async def test_everything_in_its_place(framework: Framework, serve: Serve, tmp_path: Path) -> None:
    one = module_of(
        framework.web,
        embedded_javascript="one()",
        javascript_files=["a.js", "/b.js", "https://c/c.js?a=1&b='\"<>"],
        embedded_css="p {}",
        css_files="a.css",
        html_head="<meta one>",
        html_body="<div one>",
    )
    two = module_of(
        framework.web,
        embedded_javascript=b"two()",
        javascript_files=("/b.js", "d.js", "a.js"),
        embedded_css=b"q {}",
        css_files=["http://x/x.css", "/b.css"],
        html_head=b"<meta two>",
        html_body=b"<div two>",
    )
    plain = module_of(framework.web)
    text = PAGE % "{% module Two() %}{% module One() %}{% module Two() %}{% module Plain() %}"
    settings = {"ui_modules": {"One": one, "Two": two, "Plain": plain}}
    for name in ("a.js", "d.js", "a.css"):
        (tmp_path / name).write_text(name)
    result = await page(framework, serve, text, static_path=str(tmp_path), **settings)
    versions = {"a.js": "?v=", "d.js": "?v=", "a.css": "?v="}
    for name in versions:  # the version is the hash of a file: another's business
        start = result.index(f"/static/{name}?v=")
        end = result.index('"', start)
        result = result[:start] + f"/static/{name}" + result[end:]
    assert result == (
        "<html><head><title>t</title>"
        '<link href="http://x/x.css" type="text/css" rel="stylesheet"/>'
        '<link href="/b.css" type="text/css" rel="stylesheet"/>'
        '<link href="/static/a.css" type="text/css" rel="stylesheet"/>\n'
        '<style type="text/css">\nq {}\np {}\n</style>\n'
        "<meta two><meta one>\n"
        "</head><body><i/><i/><i/><i/>"
        '<script src="/b.js" type="text/javascript"></script>'
        '<script src="/static/d.js" type="text/javascript"></script>'
        '<script src="/static/a.js" type="text/javascript"></script>'
        '<script src="https://c/c.js?a=1&amp;b=&#x27;&quot;&lt;&gt;" type="text/javascript">'
        "</script>\n"
        '<script type="text/javascript">\n//<![CDATA[\ntwo()\none()\n//]]>\n</script>\n'
        "<div two><div one>\n"
        "</body></html>"
    )


@pytest.mark.parametrize(
    ("methods", "after_title", "after_body"),
    [
        ({"embedded_css": "p {}"}, '<style type="text/css">\np {}\n</style>\n', ""),
        ({"html_head": "<meta>"}, "<meta>\n", ""),
        ({"html_body": "<hr>"}, "", "<hr>\n"),
        ({"javascript_files": "/a.js"}, "",
         '<script src="/a.js" type="text/javascript"></script>\n'),
        ({"javascript_files": b"/a.js"}, "",
         '<script src="/a.js" type="text/javascript"></script>\n'),
        ({"javascript_files": [], "css_files": "", "html_head": ""}, "", ""),
    ],
)  # fmt: skip
async def test_one_thing_alone(
    framework: Framework, serve: Serve, methods: Any, after_title: str, after_body: str
) -> None:
    modules = {"M": module_of(framework.web, render="m", **methods)}
    result = await page(framework, serve, PAGE % "{% module M() %}", ui_modules=modules)
    assert result == (
        f"<html><head><title>t</title>{after_title}</head><body>m{after_body}</body></html>"
    )


async def test_parts_rendered_before_the_page_count(framework: Framework, serve: Serve) -> None:
    class Handler(framework.web.RequestHandler):
        def get(self) -> None:
            self.render("page.html", part=self.render_string("part.html"))

    modules = {"M": module_of(framework.web, html_body="<hr>")}
    templates = loader(framework, page=PAGE % "{% raw part %}", part="{% module M() %}")
    site = await serve([("/", Handler)], template_loader=templates, ui_modules=modules)
    assert (await site.get("/")).text == PAGE % "<i/><hr>\n"


async def test_the_hooks_for_elements(framework: Framework, serve: Serve) -> None:
    class Handler(framework.web.RequestHandler):
        def get(self) -> None:
            self.render("page.html")

        def render_linked_js(self, js_files: Any) -> str:
            return f"js {list(js_files)}"

        def render_embed_js(self, js_embed: Any) -> bytes:
            return b"embed " + b";".join(js_embed)

        def render_linked_css(self, css_files: Any) -> str:
            return f"css {list(css_files)}"

        def render_embed_css(self, css_embed: Any) -> bytes:
            return b"style " + b";".join(css_embed)

    files = {"javascript_files": ["a", "a"], "css_files": ["b"]}
    module = module_of(framework.web, embedded_javascript="x", embedded_css="y", **files)
    templates = loader(framework, page=PAGE % "{% module M() %}")
    site = await serve([("/", Handler)], template_loader=templates, ui_modules={"M": module})
    assert (await site.get("/")).text == (
        "<html><head><title>t</title>css ['b']\nstyle y\n</head>"
        "<body><i/>js ['a', 'a']\nembed x\n</body></html>"
    )


# ---- The module Template -----------------------------------------------------------------------


async def test_templates_as_modules(framework: Framework, serve: Serve) -> None:
    part = (
        "{{ set_resources(embedded_css='p {}', html_head='<meta>', javascript_files='/a.js') }}"
        "<p>{{ x }}{{ globals().get('hidden', 'none') }}</p>"
    )
    other = "{{ set_resources(embedded_css='q {}', javascript_files=['/b.js'], html_body='<hr>') }}"
    text = PAGE % (
        "{% set hidden = 1 %}{% module Template('part.html', x='<') %}"
        "{% module Template('other.html') %}{% module Template('part.html', x=2) %}"
    )
    result = await page(framework, serve, text, templates={"part": part, "other": other})
    assert result == (
        "<html><head><title>t</title>"
        '<style type="text/css">\np {}\nq {}\n</style>\n<meta>\n</head><body>'
        "<p>&lt;none</p><p>2none</p>"
        '<script src="/a.js" type="text/javascript"></script>'
        '<script src="/b.js" type="text/javascript"></script>\n<hr>\n</body></html>'
    )


def test_a_template_has_one_set_of_resources(framework: Framework) -> None:
    templates = loader(
        framework,
        page="{% module Template('part.html', x=1) %}{% module Template('part.html', x=2) %}",
        part="{{ set_resources(html_head=x) }}",
    )
    handler = by_hand(framework, template_loader=templates)
    with pytest.raises(ValueError, match="different"):
        handler.render_string("page.html")


# ---- Where ours differs ------------------------------------------------------------------------


ours_alone = pytest.mark.parametrize("framework", ["tornadoish"], indirect=True)


@ours_alone
async def test_nothing_embedded_ends_its_element(framework: Framework, serve: Serve) -> None:
    script = "f('</script><script>alert(1)</SCRIPT >', /<\\/script>/)"
    module = module_of(framework.web, embedded_javascript=script, embedded_css="a::after "
                       "{ content: '</style>' }")  # fmt: skip
    result = await page(framework, serve, PAGE % "{% module M() %}", ui_modules={"M": module})
    assert r"f('<\/script><script>alert(1)<\/SCRIPT >', /<\/script>/)" in result
    assert r"{ content: '<\/style>' }" in result
    assert result.count("</script") == result.count("</style") == 1


@ours_alone
async def test_texts_that_look_like_ends_of_the_page(framework: Framework, serve: Serve) -> None:
    modules = {
        "A": module_of(framework.web, embedded_javascript="a('</body>')", html_head="</body>"),
        "B": module_of(framework.web, html_body="<hr>"),
    }
    text = PAGE % "<!-- </body> -->{% module A() %}{% module B() %}"
    result = await page(framework, serve, text, ui_modules=modules)
    assert result.endswith("a('</body>')\n//]]>\n</script>\n<hr>\n</body></html>")
    assert result.startswith("<html><head><title>t</title></body>\n</head>")


@ours_alone
@pytest.mark.parametrize(("kind", "tag"), [("html_head", "</head>"), ("html_body", "</body>")])
def test_a_page_without_a_place(framework: Framework, kind: str, tag: str) -> None:
    module = module_of(framework.web, **{kind: "<hr>"})
    templates = loader(framework, page="{% module M() %}")
    handler = by_hand(framework, template_loader=templates, ui_modules={"M": module})
    with pytest.raises(ValueError, match=tag):
        handler.render("page.html")


@ours_alone
async def test_an_error_page_has_nothing_of_the_page_that_failed(
    framework: Framework, serve: Serve
) -> None:
    class Handler(framework.web.RequestHandler):
        def get(self) -> None:
            self.render("page.html")

        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.render("error.html")

    modules = {"M": module_of(framework.web, html_body="<hr>")}
    templates = loader(framework, page="{% module M() %}{{ 1 / 0 }}", error="no place for anything")
    site = await serve([("/", Handler)], template_loader=templates, ui_modules=modules)
    answer = await site.get("/")
    assert (answer.status_code, answer.text) == (500, "no place for anything")


class FakeLoader:
    """Tornado's own templates are cycles: their functions refer to the names that they see."""

    def load(self, name: str) -> FakeLoader:
        return self

    def generate(self, **names: Any) -> bytes:
        return (PAGE % (names["modules"].M() + names["f"]())).encode()


@ours_alone
@pytest.mark.parametrize("path", ["/render", "/string", "/error"])
async def test_pages_leave_no_reference_cycles(
    framework: Framework, serve: Serve, path: str
) -> None:
    made: list[Any] = []

    class Handler(framework.web.RequestHandler):
        def get(self, what: str) -> None:
            made.append(weakref.ref(self))
            if what == "render":
                self.render("page.html")
                return
            self.write(self.render_string("page.html"))
            if what == "error":
                self.send_error(404)

    site = await serve(
        [("/(.*)", Handler)],
        template_loader=FakeLoader(),
        ui_modules={"M": module_of(framework.web, html_body="<hr>")},
        ui_methods={"f": lambda handler: "f"},
    )
    await site.get(path)
    gc.collect()
    gc.disable()
    try:
        made.clear()
        for _ in range(3):
            await site.get(path)
        left = [ref() for ref in made[:-1] if ref() is not None]
    finally:
        gc.enable()
    assert left == []
