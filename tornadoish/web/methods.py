"""Methods: which HTTP methods a handler's class implements, and what becomes of the others.

``RequestHandler`` calls a verb's method; where a class has not written one, that is
``_unimplemented_method``, and this is where it answers. (Tornado: web.RequestHandler, entry
points.)
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, cast

from tornadoish.web.errors import HTTPError
from tornadoish.web.rendering import Rendering


class Methods(Rendering):
    """Rendering, and the verbs: ``get``, ``post`` and so on, which subclasses write."""

    #: Whether a HEAD is answered by ``get``, its body left away (RFC 9110, 9.3.2), where the class
    #: has no ``head``. None: as the application's setting ``automatic_head`` says; False by default
    #: (ours alone, not Tornado's). Not for handlers whose ``get`` goes on for ever.
    automatic_head: bool | None = None
    #: Whether an OPTIONS is answered with a 204 that lists the methods in ``Allow`` (RFC 9110,
    #: 9.3.7), where the class has no ``options``. None: as the setting ``automatic_options`` says;
    #: False by default (ours alone, not Tornado's).
    automatic_options: bool | None = None

    # One function for all, under Tornado's private name: applications look for it.
    def _unimplemented_method(self, *args: Any, **kwargs: Any) -> Awaitable[None] | None:
        method = self.request.method
        if method == "HEAD" and self._answers("HEAD"):
            return cast("Awaitable[None] | None", self.get(*args, **kwargs))
        if method == "OPTIONS" and self._answers("OPTIONS"):
            self.set_status(204)
            self.set_header("Allow", ", ".join(self.allowed_methods()))
            return None
        raise HTTPError(405)

    head: Any = _unimplemented_method
    get: Any = _unimplemented_method
    post: Any = _unimplemented_method
    delete: Any = _unimplemented_method
    patch: Any = _unimplemented_method
    put: Any = _unimplemented_method
    options: Any = _unimplemented_method

    def allowed_methods(self) -> list[str]:
        """The methods that this handler answers otherwise than with a 405: those of
        ``SUPPORTED_METHODS`` that its class implements, and the automatic ones. Override for a
        resource that allows fewer (ours alone, not Tornado's)."""
        return [method for method in self.SUPPORTED_METHODS if self._answers(method)]

    def _answers(self, method: str) -> bool:
        if self._implements(method):
            return True
        if method == "HEAD":
            return self._opted("automatic_head", self.automatic_head) and self._implements("GET")
        return method == "OPTIONS" and self._opted("automatic_options", self.automatic_options)

    def _implements(self, method: str) -> bool:
        function = getattr(type(self), method.lower(), None)
        return function is not None and function is not Methods._unimplemented_method

    def _opted(self, setting: str, own: bool | None) -> bool:
        return bool(self.settings.get(setting)) if own is None else own

    def _set_allow(self) -> None:
        """A 405 MUST say what is allowed (RFC 9110, 15.5.6). If the method's own function has
        refused, it is not among that."""
        refused = self.request.method
        allowed = [method for method in self.allowed_methods() if method != refused]
        self.set_header("Allow", ", ".join(allowed))
