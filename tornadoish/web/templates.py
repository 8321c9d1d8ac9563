"""Template engines: what a page needs of one, and the two that come with us.

The engine is a seam: ``Rendering`` asks for ``loader.load(name).generate(**namespace)`` and knows
no more. A loader is the setting ``template_loader``, or made for a directory by the engine that the
setting ``template_engine`` names: "tornado" (Tornado's language, by Tornado itself; the default, so
that an application written for it runs) or "jinja2". Both are extras, and imported when the first
loader is made. There is no template language of our own.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Hashable, Mapping
from types import FrameType
from typing import Any, Protocol

from tornadoish import escape
from tornadoish.template import tornado_template
from tornadoish.util import import_extra

Settings = Mapping[str, Any]


class PageTemplate(Protocol):
    """A template that has been loaded."""

    def generate(self, **namespace: Any) -> bytes:
        """The page, in UTF-8."""
        ...


class TemplateLoader(Protocol):
    """Where templates come from. If it has a method ``reset()``, that is called before templates
    are loaded for another request while ``compiled_template_cache`` is off."""

    def load(self, name: str) -> PageTemplate:
        """The template of this name; loaders keep what they have loaded."""
        ...


class SafeText(str):
    """Text that is HTML already: engines that know ``__html__`` (MarkupSafe) leave it as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def make_loader(path: str, settings: Settings) -> TemplateLoader:
    """The loader for the templates in a directory.

    :param settings: ``template_loader``, a loader that there is already; ``template_engine``, the
        name of an engine or a function like this one; the others are the engines' own: see there.
    :raises ImportError: the engine is not installed; the message names the extra.
    :raises ValueError: there is no such engine.
    """
    loader: TemplateLoader | None = settings.get("template_loader")
    if loader is not None:
        return loader
    engine = settings.get("template_engine")
    if engine is not None:
        return _engine(engine)(path, settings)
    try:
        return tornado_loader(path, settings)
    except ImportError as error:
        raise ImportError(
            f"{error} for templates in Tornado's language; or say template_engine='jinja2' and "
            f"pip install 'tornadoish[jinja2]' for templates in Jinja2's",
            name=error.name,
        ) from None


def _engine(engine: Any) -> Callable[[str, Settings], TemplateLoader]:
    if callable(engine):
        return engine  # type: ignore[no-any-return]
    try:
        return _ENGINES[engine]
    except (KeyError, TypeError):
        names = ", ".join(map(repr, _ENGINES))
        raise ValueError(
            f"template_engine is {engine!r}, not a function or one of {names}"
        ) from None


def check_engine(settings: Settings) -> None:
    """Fail now, not at the first page, if the engine that was asked for by name is not there.

    :raises ImportError: as of :func:`make_loader`.
    :raises ValueError: as of :func:`make_loader`.
    """
    engine = settings.get("template_engine")
    if engine is not None:
        _engine(engine)
        if engine in _IMPORTS:
            _IMPORTS[engine]()


class LoaderCache:
    """The loaders of one application, each made once. May be used by any thread."""

    def __init__(self) -> None:
        self._loaders: dict[Hashable, TemplateLoader] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], TemplateLoader]) -> TemplateLoader:
        """The loader for ``key``, which ``make`` makes if there is none."""
        with self._lock:
            loader = self._loaders.get(key)
            if loader is None:
                loader = self._loaders[key] = make()
            return loader

    def reset(self) -> None:
        """Have all templates loaded anew."""
        with self._lock:
            for loader in self._loaders.values():
                reset = getattr(loader, "reset", None)
                if reset is not None:
                    reset()


def is_template_frame(frame: FrameType) -> bool:
    """Whether this is an engine at work, or a template that it has compiled."""
    names = frame.f_globals
    module: str = names.get("__name__") or ""
    return (
        module in ("tornado.template", "jinja2")
        or module.startswith("jinja2.")
        or "_tt_utf8" in names  # in the code that Tornado makes of a template
        or ("environment" in names and "debug_info" in names)  # in Jinja2's
    )


# -- Tornado


def tornado_loader(path: str, settings: Settings) -> TemplateLoader:
    """A ``tornado.template.Loader``; functions of :mod:`tornadoish.escape` in its namespace.

    :param settings: ``autoescape`` (name of a function, or None for none), ``template_whitespace``
        ("all", "single" or "oneline"), and in ``template_options`` more arguments of the loader.
    """
    options: dict[str, Any] = dict(settings.get("template_options") or {})
    for setting, option in (("autoescape", "autoescape"), ("template_whitespace", "whitespace")):
        if setting in settings:
            options.setdefault(option, settings[setting])
    functions = {
        "escape": escape.xhtml_escape,
        "xhtml_escape": escape.xhtml_escape,
        "url_escape": escape.url_escape,
        "json_encode": escape.json_encode,
        "squeeze": escape.squeeze,
        "linkify": escape.linkify,
    }
    options["namespace"] = functions | (options.get("namespace") or {})
    loader: TemplateLoader = tornado_template().Loader(path, **options)
    return loader


# -- Jinja2


def _jinja2() -> Any:
    return import_extra("jinja2", "jinja2")


def jinja2_loader(path: str, settings: Settings) -> Jinja2Loader:
    """A loader of Jinja2's templates. Whatever they print is escaped, in files of all names.

    Includes, imports and ``extends`` are relative to ``path``, and nothing outside of it is read.

    :param settings: ``autoescape`` (None for none), ``compiled_template_cache`` (false: files that
        have changed are read again), and in ``template_options`` arguments of
        ``jinja2.Environment``, which come before all this. Not ``enable_async``: pages are made at
        once.
    """
    jinja2 = _jinja2()
    options: dict[str, Any] = {
        "loader": jinja2.FileSystemLoader(path),
        "autoescape": settings.get("autoescape", True) is not None,
        "auto_reload": not settings.get("compiled_template_cache", True),
        "extensions": ["jinja2.ext.i18n"],
    }
    options.update(settings.get("template_options") or {})
    return Jinja2Loader(jinja2.Environment(**options))


class Jinja2Loader:
    """Jinja2 behind the interface of loaders; for a setting ``template_loader`` too.

    :param environment: a ``jinja2.Environment``. It is given, as far as it has no such names, the
        functions that Tornado's templates have (``url_escape``, ``json_encode``, ``squeeze``,
        ``linkify``, ``xhtml_escape``) and ``datetime``.
    :raises ValueError: an asynchronous environment.
    """

    def __init__(self, environment: Any) -> None:
        if environment.is_async:
            raise ValueError("Pages are made at once: no environment with enable_async")
        self.environment = environment
        for name, value in _jinja2_globals().items():
            environment.globals.setdefault(name, value)

    def load(self, name: str) -> Jinja2Template:
        """The template called ``name``.

        :raises jinja2.TemplateNotFound: there is none.
        :raises jinja2.TemplateSyntaxError: it is malformed; the error knows file and line.
        """
        return Jinja2Template(self.environment.get_template(name))


class Jinja2Template:
    """One template of Jinja2's."""

    def __init__(self, template: Any) -> None:
        self.template = template

    def generate(self, /, **namespace: Any) -> bytes:
        """The page, in UTF-8. In ``{% trans %}``, messages are translated by the namespace's
        ``locale``."""
        locale = namespace.get("locale")
        if locale is not None:
            translations = {
                "gettext": locale.translate,
                "ngettext": locale.translate,
                "pgettext": locale.pgettext,
                "npgettext": locale.pgettext,
            }
            namespace = translations | namespace
        text: str = self.template.render(namespace)
        return text.encode()


def _jinja2_globals() -> dict[str, Any]:
    def linkify(text: str, *args: Any, **kwargs: Any) -> SafeText:
        return SafeText(escape.linkify(text, *args, **kwargs))

    def xhtml_escape(value: str | bytes) -> SafeText:
        return SafeText(escape.xhtml_escape(value))

    return {
        "datetime": datetime,
        "escape": xhtml_escape,
        "json_encode": escape.json_encode,
        "linkify": linkify,
        "squeeze": escape.squeeze,
        "url_escape": escape.url_escape,
        "xhtml_escape": xhtml_escape,
    }


_ENGINES: dict[str, Callable[[str, Settings], TemplateLoader]] = {
    "tornado": tornado_loader,
    "jinja2": jinja2_loader,
}
_IMPORTS: dict[str, Callable[[], Any]] = {"tornado": tornado_template, "jinja2": _jinja2}
