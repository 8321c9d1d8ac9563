"""HTTPServerRequest: one request as an application sees it.

Made by routers and adapters once the head of a request is there. What costs something to know
(arguments, cookies, the peer's address, ...) is computed when it is first asked for and kept.
(Interface: Tornado, httputil.HTTPServerRequest.)
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from tornadoish.httputil.abnf import DIGITS
from tornadoish.httputil.cookies import parse_cookie
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.forms import HTTPFile, is_form, parse_body_arguments
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.request_head import RequestHead, query_arguments_of
from tornadoish.httputil.urls import split_host_and_port

if TYPE_CHECKING:
    from tornadoish.httputil.delegates import HTTPConnection
    from tornadoish.httputil.startline import RequestStartLine

T = TypeVar("T")


class lazy(Generic[T]):
    """An attribute computed by the first access; assigning to it replaces it, as to any other."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object, owner: type) -> Self | T:
        if instance is None:
            return self
        value = self._compute(instance)
        setattr(instance, self._name, value)  # not by __dict__: whoever asks for that has to pay
        return value

    # A descriptor that lets itself be hidden by the instance's dict; told to type checkers so:
    if TYPE_CHECKING:

        def __set__(self, instance: object, value: T) -> None: ...


class HTTPServerRequest(RequestHead):
    """One HTTP request.

    ``method``, ``uri`` (the target as sent), ``path`` and ``query`` (the two parts of ``uri``),
    ``version`` ("HTTP/1.1"), ``headers``, ``body`` (bytes) and ``connection`` (the
    :class:`HTTPConnection` that takes the answer) are plain attributes. All others are computed
    on first use: ``host``, ``host_name``, ``remote_ip``, ``protocol`` ("http" or "https"),
    ``query_arguments``, ``body_arguments``, ``arguments`` (name to list of bytes), ``files``
    (name to list of :class:`HTTPFile`), ``cookies``.
    """

    def __init__(
        self,
        method: str | None = None,
        uri: str | None = None,
        version: str = "HTTP/1.0",
        headers: HTTPHeaders | None = None,
        body: bytes | None = None,
        host: str | None = None,
        files: dict[str, list[HTTPFile]] | None = None,
        connection: HTTPConnection | None = None,
        start_line: RequestStartLine | None = None,
        server_connection: object | None = None,
    ) -> None:
        if start_line is not None:
            method, uri, version = start_line
        self.method = method  # type: ignore[assignment]
        self.uri = uri
        self.version = version
        if not isinstance(headers, HTTPHeaders):  # tests give what they have
            headers = HTTPHeaders(headers or {})
        self.headers = headers
        self.connection = connection
        self._start_time = time.time()
        if uri is None:
            uri = self.uri = "/"
        if uri:
            if uri[0] == "/":
                self.path, _, self.query = uri.partition("?")
            else:
                self._take_target_apart(uri)
        if body is not None:
            self.body = body
        if host is not None:
            self.host = host
        if files is not None:
            self.files = files
        if server_connection is not None:
            self.server_connection = server_connection

    def _take_target_apart(self, uri: str) -> None:
        """Path and query of a target that is not in origin-form (RFC 9112, 3.2.2 to 3.2.4)."""
        scheme, mark, rest = uri.partition("://")
        if not mark or "?" in scheme or "/" in scheme:
            self.path, _, self.query = uri.partition("?")
            return
        authority, slash, path = rest.partition("/")
        if "?" in authority:
            authority, _, path = rest.partition("?")
            slash, path = "/", "?" + path
        self.path, _, self.query = (slash + path).partition("?")
        self.path = self.path or "/"
        # RFC 9112, 3.2.2: the target's host counts, not the Host field; but a proxy's word does.
        if self._told_host is None:
            self.host = authority.rpartition("@")[2]

    # -- who asks whom

    @lazy
    def host(self) -> str:
        """The host asked for: what a trusted proxy says (ours alone, not Tornado's), else the
        target's authority, else the Host field, else "127.0.0.1"."""
        host: str | None = self._told_host or self.headers.get("Host")
        return host or "127.0.0.1"

    @lazy
    def host_name(self) -> str:
        """``host`` without its port, in lower case."""
        return split_host_and_port(self.host.lower())[0]

    @lazy
    def remote_ip(self) -> Any:
        """The client's address as text, as far as the connection knows it."""
        return getattr(self._context, "remote_ip", None)

    @lazy
    def protocol(self) -> str:
        """ "http" or "https"."""
        scheme: str = getattr(self._context, "protocol", "http")
        return scheme

    @property
    def _context(self) -> Any:
        return getattr(self.connection, "context", None)

    @property
    def _told_host(self) -> str | None:
        """The Host that a trusted proxy was asked for: valid and not empty."""
        host = getattr(self._context, "forwarded_host", None)
        return host if isinstance(host, str) else None  # contexts may be anybody's

    def full_url(self) -> str:
        """The absolute URL of this request, built from its parts (never from unchecked text)."""
        uri = self.uri or ""
        if uri == "*":
            uri = ""  # RFC 9110, 7.1: the server as a whole
        elif not uri.startswith("/"):
            uri = f"{self.path}?{self.query}" if self.query else self.path
        return f"{self.protocol}://{self.host}{uri}"

    # -- what is asked

    @property
    def query_arguments(self) -> dict[str, list[bytes]]:
        """The arguments in the query part of the URL.

        :raises HTTPInputError: there are too many of them (400).
        """
        return query_arguments_of(self)

    @query_arguments.setter
    def query_arguments(self, arguments: dict[str, list[bytes]]) -> None:
        self._query_arguments = arguments

    @lazy
    def body(self) -> bytes:
        """The whole body.

        :raises RuntimeError: the handler is one of :func:`web.pull_request_body` and has not read
            it by :meth:`read_body`.
        """
        if self._pulled is not None:
            raise RuntimeError("This body has not been read: await request.read_body() before")
        return b""

    @property
    def _has_unread_body(self) -> bool:
        return self._pulled is not None and "body" not in self.__dict__

    def body_chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece, as it arrives: ``async for chunk in request.body_chunks()``
        (ours alone, not Tornado's).

        That is for handlers of :func:`web.pull_request_body`, which are asked for each piece; to
        others the whole of it is there already. What one loop has taken does not come again.

        :raises StreamClosedError: (from the loop) the client went away, or was refused.
        """
        if self._pulled is None or not self._has_unread_body:
            return _pieces_of(self.body)
        return aiter(self._pulled)

    async def read_body(self, limit: int | None = None) -> bytes:
        """The whole body (ours alone, not Tornado's). From then on ``body``, ``arguments``,
        ``body_arguments`` and ``files`` are what they are in every other handler.

        :param limit: bytes that it may have; None: as many as the server allows.
        :raises HTTPInputError: (413) it has more; not read at all if it says so beforehand.
        :raises StreamClosedError: the client went away, or was refused.
        :raises RuntimeError: some of it has been taken by :meth:`body_chunks`.
        """
        if self._pulled is None or not self._has_unread_body:
            _check_size(len(self.body), limit)
            return self.body
        if self._pulled.begun:
            raise RuntimeError("Some of this body has been read already")
        length = self.headers.get("Content-Length", "")
        if DIGITS.fullmatch(length) and "X-Consumed-Content-Encoding" not in self.headers:
            _check_size(int(length), limit)
        size = 0
        pieces: list[bytes] = []
        async for piece in self._pulled:
            size += len(piece)
            _check_size(size, limit)
            pieces.append(piece)
        self.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.__dict__.pop("arguments", None)  # as they were without it
        return self.body

    @lazy
    def body_arguments(self) -> dict[str, list[bytes]]:
        """The arguments in a form body.

        :raises HTTPInputError: the body is not the form that it says it is (400).
        """
        self._parse_body()
        return self.body_arguments

    @lazy
    def files(self) -> dict[str, list[HTTPFile]]:
        """The files in a multipart form body; errors as for ``body_arguments``."""
        self._parse_body()
        return self.files

    @lazy
    def arguments(self) -> dict[str, list[bytes]]:
        """The query arguments and behind them the body arguments; without these as long as the
        handler has not read the body (``read_body``)."""
        both = {name: list(values) for name, values in self.query_arguments.items()}
        if self._has_unread_body:
            return both
        for name, values in self.body_arguments.items():
            both.setdefault(name, []).extend(values)
        return both

    def _parse_body(self) -> None:
        """Set ``body_arguments`` and ``files`` from the body (Tornado's private name for it)."""
        arguments: dict[str, list[bytes]] = {}
        files: dict[str, list[HTTPFile]] = {}
        content_type = ""
        if "body" in self.__dict__ or self._pulled is not None:
            content_type = self.headers.get("Content-Type", "")
        if is_form(content_type) and self.body:
            try:
                parse_body_arguments(content_type, self.body, arguments, files, self.headers)
            except HTTPInputError as error:
                error.survives = True  # the message was framed well; only its content is not
                raise
        attributes = self.__dict__
        attributes.setdefault("body_arguments", arguments)
        attributes.setdefault("files", files)

    @lazy
    def cookie_values(self) -> dict[str, str]:
        """The request's cookies as they were sent, even those whose names no Morsel will carry
        (ours alone, not Tornado's): a tenth of the cost of ``cookies``."""
        return parse_cookie(self.headers.get("Cookie", ""))

    @property
    def cookies(self) -> SimpleCookie:
        """The request's cookies, as :class:`http.cookies.Morsel` by name."""
        cookies: SimpleCookie | None = self.__dict__.get("_cookies")
        if cookies is None:
            cookies = self._cookies = SimpleCookie()
            for name, value in self.cookie_values.items():
                try:
                    cookies[name] = value
                except CookieError:
                    continue  # a name that a Morsel will not carry: no cookie of ours
        return cookies

    @property
    def route_pattern(self) -> str:
        """The pattern of ``route``, behind the prefix it is mounted at; "" if there is none or it
        does not go by the path (ours alone, not Tornado's). For metrics and logs: there are no more
        of them than the application has routes."""
        rule = self.route
        if rule is None:
            return ""
        pattern: str = getattr(rule, "path_pattern", "")  # a router may have rules of its own kind
        return self.root_path + pattern if self.root_path else pattern

    # -- its life

    def request_time(self) -> float:
        """Seconds from the request's head until its answer was finished, or until now."""
        end = time.time() if self._finish_time is None else self._finish_time
        return end - self._start_time

    def get_ssl_certificate(self, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        """The client's certificate, as :meth:`ssl.SSLObject.getpeercert` gives it.

        None without TLS, or when the client sent none; it sends one only if the server's context
        asks for it (``verify_mode``).
        """
        ssl_object = getattr(self._context, "ssl_object", None)
        if ssl_object is None:
            return None
        certificate: dict[str, Any] | bytes | None = ssl_object.getpeercert(binary_form)
        return certificate

    def __repr__(self) -> str:
        names = ("protocol", "host", "method", "uri", "version", "remote_ip")
        shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in names])
        return f"{type(self).__name__}({shown})"


async def _pieces_of(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


def _check_size(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise HTTPInputError("Body too large", 413, survives=True)
