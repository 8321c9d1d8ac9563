"""UI modules and methods: parts of pages, which bring their scripts and styles (Tornado:
web.UIModule).

Templates use a module as ``{% module Name(...) %}`` in Tornado's language and as
``{{ modules.Name(...) }}`` in Jinja2's, a method as ``{{ name(...) }}``. An application gets both
from its settings, ``ui_modules`` and ``ui_methods``; ``Rendering`` calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from tornadoish.escape import linkify, to_unicode
from tornadoish.web.handler import RequestHandler


class UIModule:
    """A part of pages. One is made for each page that uses it, and rendered as often as it is used.

    :param handler: the handler whose page it is; ``request``, ``ui``, ``locale`` and
        ``current_user`` are the handler's.

    Source: Tornado: tornado.web.UIModule.
    """

    def __init__(self, handler: RequestHandler) -> None:
        self.handler = handler
        self.request = handler.request
        self.ui = handler.ui
        self.locale = handler.locale

    @property
    def current_user(self) -> Any:
        """The handler's."""
        return self.handler.current_user

    def render(self, *args: Any, **kwargs: Any) -> str | bytes:
        """Override: the HTML of this part, not escaped any more, for what the template has said in
        the parentheses."""
        raise NotImplementedError

    def render_string(self, path: str, **kwargs: Any) -> bytes:
        """The handler's: HTML from a template."""
        return self.handler.render_string(path, **kwargs)

    # What the page needs once, however often the module is used. Texts are inserted as they are.

    def embedded_javascript(self) -> str | bytes | None:
        """Override: a script, put into the page."""
        return None

    def javascript_files(self) -> str | bytes | Iterable[str | bytes] | None:
        """Override: script files. Relative paths are those of
        :meth:`RequestHandler.static_url`."""
        return None

    def embedded_css(self) -> str | bytes | None:
        """Override: styles, put into the page."""
        return None

    def css_files(self) -> str | bytes | Iterable[str | bytes] | None:
        """Override: style sheets; paths as of :meth:`javascript_files`."""
        return None

    def html_head(self) -> str | bytes | None:
        """Override: HTML for the end of the ``head`` element."""
        return None

    def html_body(self) -> str | bytes | None:
        """Override: HTML for the end of the ``body`` element."""
        return None


class TemplateModule(UIModule):
    """The module ``Template``: another template, with a namespace of its own.

    Within it ``set_resources(javascript_files=..., embedded_css=..., ...)`` says what methods of a
    module would return. It counts once for a template, so it must not depend on arguments.

    Source: Tornado: tornado.web.TemplateModule.
    """

    def __init__(self, handler: RequestHandler) -> None:
        super().__init__(handler)
        self._resources: dict[str, dict[str, Any]] = {}  # of each template

    def render(self, path: str, **kwargs: Any) -> bytes:
        """The template ``path`` with ``kwargs``.

        :raises ValueError: it has asked for other resources than the last time.
        """

        def set_resources(**resources: Any) -> str:
            if self._resources.setdefault(path, resources) != resources:
                raise ValueError(f"set_resources called with different resources by {path!r}")
            return ""

        return self.render_string(path, set_resources=set_resources, **kwargs)

    def _each(self, kind: str) -> list[Any]:
        return [said[kind] for said in self._resources.values() if kind in said]

    def _files(self, kind: str) -> list[str | bytes]:
        files: list[str | bytes] = []
        for said in self._each(kind):
            files.extend([said] if isinstance(said, (str, bytes)) else said)
        return files

    def _joined(self, kind: str, separator: str) -> str:
        return separator.join(map(to_unicode, self._each(kind)))

    def embedded_javascript(self) -> str:
        return self._joined("embedded_javascript", "\n")

    def javascript_files(self) -> list[str | bytes]:
        return self._files("javascript_files")

    def embedded_css(self) -> str:
        return self._joined("embedded_css", "\n")

    def css_files(self) -> list[str | bytes]:
        return self._files("css_files")

    def html_head(self) -> str:
        return self._joined("html_head", "")

    def html_body(self) -> str:
        return self._joined("html_body", "")


class _linkify(UIModule):
    def render(self, text: str | bytes, **kwargs: Any) -> str:
        return linkify(text, **kwargs)


class _xsrf_form_html(UIModule):
    def render(self) -> str:
        return self.handler.xsrf_form_html()


#: The modules that every application has.
BUILT_IN_MODULES: dict[str, type[UIModule]] = {
    "Template": TemplateModule,
    "linkify": _linkify,
    "xsrf_form_html": _xsrf_form_html,
}


def _named(things: Any) -> Iterable[tuple[str, Any]]:
    """Names and things of a Python module or a mapping, or of a list of these."""
    if isinstance(things, ModuleType):
        for name in dir(things):
            yield name, getattr(things, name)
    elif isinstance(things, (list, tuple)):
        for some in things:
            yield from _named(some)
    else:
        yield from things.items()


def collect_ui_modules(modules: Any) -> dict[str, type[UIModule]]:
    """The ui modules of a setting ``ui_modules``, and the built-in ones.

    :param modules: a Python module, a mapping, or a list of these; what is no class derived from
        :class:`UIModule` is left out.
    """
    found = BUILT_IN_MODULES.copy()
    for name, cls in _named(modules):
        if isinstance(cls, type) and issubclass(cls, UIModule):
            found[name] = cls
    return found


def collect_ui_methods(methods: Any) -> dict[str, Callable[..., Any]]:
    """The ui methods of a setting ``ui_methods``: functions that are called with the handler.

    :param methods: as of :func:`collect_ui_modules`; names that begin with an underscore or a
        capital, and what cannot be called, are left out.
    """
    return {
        name: method
        for name, method in _named(methods)
        if callable(method) and name[:1] != "_" and name[:1].lower() == name[:1]
    }
