"""Rendering: pages from templates (Tornado: web.RequestHandler, ``render``).

Which engine reads the templates is no matter here: see ``web.templates``. Parts of a page that
bring their own scripts and styles are ui modules: see ``web.modules``; those that a page has used
are kept with the handler until its answer is finished.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from tornadoish.escape import to_unicode, utf8, xhtml_escape
from tornadoish.util import ObjectDict
from tornadoish.web.static.urls import StaticURLs
from tornadoish.web.templates import SafeText, TemplateLoader, is_template_frame, make_loader

Text = str | bytes
_HERE = os.path.dirname(__file__) + os.sep

# What would end an element in which scripts or styles are written (WHATWG HTML, 13.2.5.4 and
# 13.2.5.5). With a backslash it does not, and means the same in the strings of both languages.
_END_OF_SCRIPT = re.compile(rb"</(script)", re.IGNORECASE)
_END_OF_STYLE = re.compile(rb"</(style)", re.IGNORECASE)


class PageModule(Protocol):
    """What a page asks of a ui module (``web.modules.UIModule`` is one)."""

    def render(self, *args: Any, **kwargs: Any) -> Text: ...
    def embedded_javascript(self) -> Text | None: ...
    def javascript_files(self) -> Text | Iterable[Text] | None: ...
    def embedded_css(self) -> Text | None: ...
    def css_files(self) -> Text | Iterable[Text] | None: ...
    def html_head(self) -> Text | None: ...
    def html_body(self) -> Text | None: ...


class PageState:
    """What a handler keeps from its first template to the end of its answer."""

    __slots__ = ("modules", "ui")

    def __init__(self) -> None:
        self.modules: dict[str, PageModule] = {}
        """Name -> the ui module that has been used under it."""
        self.ui = ObjectDict()


class Rendering(StaticURLs):
    """Localization, URLs of static files, and answers made from templates."""

    # -- pages

    def render(self, template_name: str, **kwargs: Any) -> asyncio.Future[None]:
        """Answer with a page made from a template, and finish.

        What the page's ui modules need is put into it: styles and ``html_head`` before ``</head>``,
        scripts and ``html_body`` before the last ``</body>``.

        :param kwargs: more names for the template.
        :returns: the future of :meth:`finish`.
        :raises RuntimeError: after ``finish``.
        :raises ValueError: the page has no place for what its modules need.

        Source: Tornado: RequestHandler.render.
        """
        if self._finished:
            raise RuntimeError("Cannot render() after finish()")
        html = self.render_string(template_name, **kwargs)
        page: PageState | None = self._page
        if page is not None and page.modules:
            html = self._with_resources(html, list(page.modules.values()))
        return self.finish(html)

    def render_string(self, template_name: str, **kwargs: Any) -> bytes:
        """What a template makes of :meth:`get_template_namespace` and ``kwargs``, in UTF-8.

        :raises ImportError: the template engine is not installed; the message names the extra.

        Source: Tornado: RequestHandler.render_string.
        """
        if self._page is None:
            self._begin_page()
        path = self.get_template_path() or _directory_of_caller()
        loader = self.application.template_loaders.get(
            # Classes of one application may make loaders in ways of their own.
            (type(self).create_template_loader, path),
            partial(self.create_template_loader, path),
        )
        namespace = self.get_template_namespace()
        namespace.update(kwargs)
        html: bytes = loader.load(template_name).generate(**namespace)
        return html

    def get_template_path(self) -> str | None:
        """The directory of the templates: the setting ``template_path``. Override for another one
        per handler; None: that of the file that calls :meth:`render`."""
        path: str | None = self.settings.get("template_path")
        return path

    def create_template_loader(self, template_path: str) -> TemplateLoader:
        """A loader for a directory: as the settings say, ``template_loader`` and
        ``template_engine`` first of all (``tornadoish.web.templates``). Called once for each
        directory; override for one of one's own.

        Source: Tornado: RequestHandler.create_template_loader.
        """
        return make_loader(template_path, self.settings)

    def get_template_namespace(self) -> dict[str, Any]:
        """The names that every template sees: handler, request, current_user, locale, ``_`` and
        pgettext, static_url, xsrf_form_html, reverse_url, modules and the ui methods. Override to
        add others."""
        locale = self.locale
        namespace: dict[str, Any] = {
            "handler": self,
            "request": self.request,
            "current_user": self.current_user,
            "locale": locale,
            "_": locale.translate,
            "pgettext": locale.pgettext,
            "static_url": self.static_url,
            "xsrf_form_html": lambda: SafeText(self.xsrf_form_html()),
            "reverse_url": self.reverse_url,
        }
        namespace.update(self.ui)
        return namespace

    # -- ui modules and methods

    @property
    def ui(self) -> ObjectDict:
        """The application's ui methods, ready to be called, and ``modules``; part of the namespace
        of templates."""
        page = self._page or self._begin_page()
        ui: ObjectDict = page.ui
        return ui

    def _begin_page(self) -> PageState:
        """The first template of this request: make what templates share."""
        application = self.application
        page = self._page = PageState()
        for name, method in application.ui_methods.items():
            page.ui[name] = partial(method, self)
        # {% module %} looks under the second name, which no argument of a template will hide.
        modules = _UIModuleNamespace(self, application.ui_modules)
        page.ui["modules"] = page.ui["_tt_modules"] = modules
        if not self.settings.get("compiled_template_cache", True):
            application.template_loaders.reset()
        return page

    def _ui_module(self, name: str, module: Callable[[Any], PageModule]) -> Callable[..., SafeText]:
        """A function that renders a ui module; the module is made once for a page."""

        def render(*args: Any, **kwargs: Any) -> SafeText:
            modules = (self._page or self._begin_page()).modules
            if name not in modules:
                modules[name] = module(self)
            return SafeText(to_unicode(modules[name].render(*args, **kwargs)))

        return render

    # -- what ui modules need

    def _with_resources(self, html: bytes, modules: list[PageModule]) -> bytes:
        """A page, and in it what its modules need. Files come before what is embedded, which may
        rely on them."""
        head, body = [], []
        if files := _files(module.css_files() for module in modules):
            head.append(utf8(self.render_linked_css(files)))
        if texts := _texts(module.embedded_css() for module in modules):
            head.append(utf8(self.render_embed_css(texts)))
        if texts := _texts(module.html_head() for module in modules):
            head.append(b"".join(texts))
        if files := _files(module.javascript_files() for module in modules):
            body.append(utf8(self.render_linked_js(files)))
        if texts := _texts(module.embedded_javascript() for module in modules):
            body.append(utf8(self.render_embed_js(texts)))
        if texts := _texts(module.html_body() for module in modules):
            body.append(b"".join(texts))
        html = utf8(html)  # of a render_string() that has been overridden
        if body:  # first: what goes into the head may name the end of the body
            html = _put_before(b"</body>", html.rfind(b"</body>"), html, body)
        if head:
            html = _put_before(b"</head>", html.find(b"</head>"), html, head)
        return html

    def render_linked_js(self, js_files: Iterable[str]) -> str:
        """The elements for script files: paths as of :meth:`static_url` unless they are absolute
        (``/...``, ``http:...``, ``https:...``), each once, in their order. Override freely."""
        return "".join(
            f'<script src="{xhtml_escape(path)}" type="text/javascript"></script>'
            for path in self._asset_paths(js_files)
        )

    def render_embed_js(self, js_embed: Iterable[bytes]) -> bytes:
        """The element for scripts in the page, in which none of them can end it. Override
        freely."""
        script = _END_OF_SCRIPT.sub(rb"<\\/\1", b"\n".join(js_embed))
        return b'<script type="text/javascript">\n//<![CDATA[\n' + script + b"\n//]]>\n</script>"

    def render_linked_css(self, css_files: Iterable[str]) -> str:
        """The elements for style sheets; paths as of :meth:`render_linked_js`. Override freely."""
        return "".join(
            f'<link href="{xhtml_escape(path)}" type="text/css" rel="stylesheet"/>'
            for path in self._asset_paths(css_files)
        )

    def render_embed_css(self, css_embed: Iterable[bytes]) -> bytes:
        """The element for styles in the page, in which none of them can end it. Override freely."""
        style = _END_OF_STYLE.sub(rb"<\\/\1", b"\n".join(css_embed))
        return b'<style type="text/css">\n' + style + b"\n</style>"

    def _asset_paths(self, files: Iterable[str]) -> Iterable[str]:
        paths: dict[str, None] = {}
        for path in files:
            absolute = path.startswith(("/", "http:", "https:"))
            paths[path if absolute else self.static_url(path)] = None
        return paths


class _UIModuleNamespace:
    """The ui modules of an application as attributes: calling one renders it."""

    def __init__(self, handler: Rendering, ui_modules: Mapping[str, Any]) -> None:
        self.handler = handler
        self.ui_modules = ui_modules

    def __getitem__(self, key: str) -> Callable[..., SafeText]:
        return self.handler._ui_module(key, self.ui_modules[key])

    def __getattr__(self, key: str) -> Callable[..., SafeText]:
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"There is no ui module {key!r}") from None


def _texts(texts: Iterable[Text | None]) -> list[bytes]:
    return [utf8(text) for text in texts if text]


def _files(groups: Iterable[Text | Iterable[Text] | None]) -> list[str]:
    files: list[str] = []
    for group in groups:
        if isinstance(group, (str, bytes)):
            group = [group] if group else []
        files.extend(to_unicode(file) for file in group or ())
    return files


def _put_before(tag: bytes, place: int, html: bytes, parts: list[bytes]) -> bytes:
    if place < 0:
        what = "scripts" if tag == b"</body>" else "styles"
        raise ValueError(f"The page has no {tag.decode()}, before which its modules' {what} go")
    return b"".join([html[:place], *(part + b"\n" for part in parts), html[place:]])


def _directory_of_caller() -> str:
    """The directory of the file from which :meth:`Rendering.render_string` was called, whatever of
    ours, and whichever templates, lie between."""
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith(_HERE) or is_template_frame(frame)
    ):
        frame = frame.f_back
    return os.path.dirname(frame.f_code.co_filename)
