"""Arguments: what a request asks with, as text (Tornado: web.RequestHandler, input)."""

from __future__ import annotations

import re
from typing import Any, TypeVar, overload

from tornadoish.compiling import Data, Flag, Text, mypyc_attr
from tornadoish.escape import _unicode
from tornadoish.httputil import HTTPServerRequest, ParseMultipartConfig
from tornadoish.httputil.request_head import query_arguments_of
from tornadoish.web.bodies import MultipartStream
from tornadoish.web.errors import HTTPError, MissingArgumentError
from tornadoish.web.exchange import Exchange

T = TypeVar("T")


class _Required:
    """The default of an argument that must be there."""


_REQUIRED = _Required()
# Control characters have no business in an argument; tab and line ends do.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")


@mypyc_attr(allow_interpreted_subclasses=True)
class Arguments(Exchange):
    """An exchange whose request's arguments can be asked for.

    Each of the three families (all arguments, those of the body, those of the URL's query) has
    one method for a single value, the last if there are several, and one for all of them. Values
    are decoded by :meth:`decode_argument` and stripped of white space unless ``strip`` is False.
    A missing argument without a default is a :class:`MissingArgumentError` (400).
    """

    # What RequestHandler's two properties are, where there is anything.
    _path_args: Any = None
    _path_kwargs: Any = None

    @overload
    def get_argument(self, name: str, *, strip: Flag = True) -> str: ...
    @overload
    def get_argument(self, name: str, default: T, strip: Flag = True) -> str | T: ...
    def get_argument(self, name: str, default: Any = _REQUIRED, strip: Flag = True) -> Any:
        """One argument, of the query or the body."""
        return self._get_argument(name, default, self.request.arguments, strip)

    def get_arguments(self, name: str, strip: Flag = True) -> list[str]:
        """All values of an argument, of the query and then the body; [] if there is none."""
        return self._get_arguments(name, self.request.arguments, strip)

    @overload
    def get_body_argument(self, name: str, *, strip: Flag = True) -> str: ...
    @overload
    def get_body_argument(self, name: str, default: T, strip: Flag = True) -> str | T: ...
    def get_body_argument(self, name: str, default: Any = _REQUIRED, strip: Flag = True) -> Any:
        """One argument of a form in the body."""
        return self._get_argument(name, default, self.request.body_arguments, strip)

    def get_body_arguments(self, name: str, strip: Flag = True) -> list[str]:
        """All values of an argument of the body."""
        return self._get_arguments(name, self.request.body_arguments, strip)

    @overload
    def get_query_argument(self, name: str, *, strip: Flag = True) -> str: ...
    @overload
    def get_query_argument(self, name: str, default: T, strip: Flag = True) -> str | T: ...
    def get_query_argument(self, name: str, default: Any = _REQUIRED, strip: Flag = True) -> Any:
        """One argument of the URL's query."""
        return self._get_argument(name, default, _query_of(self.request), strip)

    def get_query_arguments(self, name: str, strip: Flag = True) -> list[str]:
        """All values of an argument of the query."""
        return self._get_arguments(name, _query_of(self.request), strip)

    def multipart(self, config: ParseMultipartConfig | None = None) -> MultipartStream:
        """The parts of a multipart/form-data body, to be iterated over (ours alone, not Tornado's):
        as they arrive in handlers of :func:`pull_request_body`, to others all are there already.

        :param config: the limits; default those of :func:`httputil.set_parse_body_config`.
        :raises HTTPInputError: (415, 400) the body is of another kind; more while iterating.
        """
        return MultipartStream(self.request, config)

    def _get_argument(
        self, name: str, default: Any, source: dict[str, list[bytes]], strip: Flag
    ) -> Any:
        values = self._get_arguments(name, source, strip)
        if values:
            return values[-1]
        if default is _REQUIRED:
            raise MissingArgumentError(name)
        return default

    def _get_arguments(self, name: str, source: dict[str, list[bytes]], strip: Flag) -> list[Text]:
        values: list[Text] = []  # decode_argument() may be anybody's
        for raw in source.get(name, ()):
            value = self.decode_argument(raw, name=name)
            if isinstance(value, str) and not value.isprintable():
                value = _CONTROL.sub(" ", value)
            values.append(value.strip() if strip else value)
        return values

    def decode_argument(self, value: Data, name: Text | None = None) -> Text:
        """Text from the bytes of an argument, percent-decoded already: UTF-8, unless overridden.

        :param name: of the argument, None for a group of the path.
        :raises HTTPError: 400, it is not UTF-8.
        """
        try:
            return _unicode(value)
        except UnicodeDecodeError:
            raise HTTPError(400, "Invalid unicode in %s: %r", name or "url", value[:40]) from None


def _query_of(request: HTTPServerRequest) -> dict[str, list[bytes]]:
    """Without a look-up where it is a request of ours, and nobody's subclass."""
    if type(request) is HTTPServerRequest:
        return query_arguments_of(request)
    return request.query_arguments
