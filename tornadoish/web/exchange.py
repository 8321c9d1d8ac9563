"""Exchange: the answer of one handler, from its status to its last byte.

The lowest part of ``RequestHandler`` (see ``web.handler`` for how it is put together): status,
header fields, the output buffer, flushing and finishing, entity tags, redirects. What differs from
its class is set on the instance when it differs, so a plain answer touches little.
"""

from __future__ import annotations

import asyncio
import datetime
import numbers
from collections.abc import Callable, Coroutine, Iterable, Mapping
from http.cookies import SimpleCookie
from time import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from tornadoish import __version__
from tornadoish.compiling import COMPILING, Flag, Nothing, Text, mypyc_attr
from tornadoish.escape import json_encode, utf8
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPServerRequest,
    ResponseStartLine,
    format_timestamp,
    responses,
)
from tornadoish.httputil.abnf import FIELD_VALUE
from tornadoish.httputil.trailers import NOT_IN_TRAILERS
from tornadoish.web.conditional import (
    SHORT_BODY,
    etag_of,
    matches_weakly,
    precondition_failed,
    short_etag,
    unmodified_since,
)
from tornadoish.web.errors import HTTPError
from tornadoish.web.rest import Rest
from tornadoish.web.tasks import current_context
from tornadoish.web.templates import LoaderCache
from tornadoish.web.transforms import OutputTransform

_new_tuple: Final = tuple.__new__  # what a NamedTuple's own constructor calls, without its frame
if TYPE_CHECKING and not COMPILING:
    HeaderTypes = bytes | str | int | numbers.Integral | datetime.datetime
    Chunk = str | bytes | dict[Any, Any]
    Settings = dict[str, Any]
else:  # what is wrong is told by ourselves
    HeaderTypes = Any
    Chunk = Any
    Settings = Any
#: What describes a body that is not there (RFC 9110, 15.4.5): dropped from 204 and 304.
_REPRESENTATION_HEADERS = ("Content-Encoding", "Content-Language", "Content-Type")


class Drained(Protocol):
    """What would go on for ever, and ends when its server stops."""

    def on_drain(self) -> None: ...


class HandlerApplication(Protocol):
    """What a handler asks of its application."""

    settings: Settings
    draining: asyncio.Event
    event_streams: set[Drained]
    automatic_etag: Flag
    transforms: list[type[OutputTransform]]

    @property
    def template_loaders(self) -> LoaderCache: ...
    @property
    def ui_methods(self) -> Mapping[str, Callable[..., Any]]: ...
    @property
    def ui_modules(self) -> Mapping[str, type[Any]]: ...
    def log_request(self, handler: Any) -> Nothing: ...
    def reverse_url(self, name: str, /, *args: Any, **named: Any) -> str: ...
    def hold(self, task: asyncio.Task[None]) -> Nothing: ...


class _DefaultFields:
    """The fields that every answer begins with; the Date in them is made once a second."""

    second = -1
    pairs: list[tuple[str, str]]
    index: dict[str, str]

    def renew(self, second: int) -> None:
        self.second = second
        self.pairs = [
            ("Server", f"tornadoish/{__version__}"),
            ("Content-Type", "text/html; charset=UTF-8"),
            ("Date", format_timestamp(second)),
        ]
        self.index = {name.lower(): value for name, value in self.pairs}


_default_fields: Final = _DefaultFields()


@mypyc_attr(allow_interpreted_subclasses=True)
class Exchange:
    """The answer to ``request``, made for ``application`` (both set by the constructor)."""

    #: whether answers get an entity tag that is made of their body (ours alone, not Tornado's);
    #: None: what the application's setting ``automatic_etag`` says, and if there is none, True
    automatic_etag: ClassVar[Flag | None] = None

    _headers_written = False
    _finished = False
    _abandoned = False  # finished, but not by an answer
    _auto_finish = True
    _status_code = 200
    _reason = "OK"
    _transforms: list[OutputTransform] = []  # noqa: RUF012 - never changed, only replaced
    _trailers: HTTPHeaders | None = None
    #: the cookies to be set; a SimpleCookie from the first on
    _new_cookie: SimpleCookie | None = None
    # What templates share, once there was one; refers back to the handler.
    _page: Any = None
    _headers: HTTPHeaders
    _write_buffer: list[bytes]

    application: HandlerApplication
    request: HTTPServerRequest

    @property
    def settings(self) -> Settings:
        """The application's settings."""
        return self.application.settings

    # -- hooks

    def set_default_headers(self) -> Nothing:
        """Override to set header fields of every answer, errors included."""

    def on_finish(self) -> Nothing:
        """Override for work to be done once the answer has been sent."""

    def _add_cookies(self) -> Nothing:
        """Put the cookies that were set into the head, which is about to be sent."""

    # -- head

    def clear(self) -> Nothing:
        """Forget status, header fields and body: the answer is as new."""
        second = int(time())
        if second != _default_fields.second:
            _default_fields.renew(second)
        self._headers = HTTPHeaders.from_pairs(
            _default_fields.pairs.copy(), _default_fields.index.copy()
        )
        self._write_buffer = []
        if self._status_code != 200:
            self._status_code = 200
            self._reason = "OK"
        if self._trailers is not None:
            self._trailers = None
        self.set_default_headers()

    def set_status(self, status_code: int, reason: str | None = None) -> Nothing:
        """Set the status code and, optionally, a reason phrase other than the usual.

        :raises ValueError: a reason that must not stand in a status line.
        """
        if reason is None:
            reason = responses.get(status_code, "Unknown")
        elif FIELD_VALUE.fullmatch(reason) is None or "<" in reason:
            raise ValueError(f"Unsafe reason {reason!r}")
        self._status_code = status_code
        self._reason = reason

    def get_status(self) -> int:
        """The status code as it stands."""
        return self._status_code

    def set_header(self, name: str, value: HeaderTypes) -> Nothing:
        """Set a header field to one value, whatever it was.

        :param value: text, an integer, or a datetime (made an HTTP date).
        :raises ValueError: a control character or more than Latin-1 in ``value``.
        :raises TypeError: a value of another type.
        """
        if type(value) is not str:
            value = self._convert_header_value(value)
        try:
            self._headers[name] = value
        except HTTPInputError:
            raise ValueError(f"Unsafe header {name!r}: {value!r}") from None

    def add_header(self, name: str, value: HeaderTypes) -> Nothing:
        """Add one more value for a header field; otherwise as :meth:`set_header`."""
        try:
            self._headers.add(name, self._convert_header_value(value))
        except HTTPInputError:
            raise ValueError(f"Unsafe header {name!r}: {value!r}") from None

    def clear_header(self, name: str) -> Nothing:
        """Remove a header field, if it is there; not one that was added by ``set_cookie``."""
        if name in self._headers:
            del self._headers[name]

    def set_trailer(self, name: str, value: HeaderTypes) -> Nothing:
        """Send a field behind the body (ours alone, not Tornado's): a checksum, say, that is only
        known then. Otherwise as :meth:`set_header`; before :meth:`finish`.

        The body is sent in chunks for it. A client of HTTP/1.0, and a body whose Content-Length has
        been set, get no trailers (RFC 9110, 6.5).

        :raises ValueError: also for a field that must not stand there (RFC 9110, 6.5.1).
        """
        if name.lower() in NOT_IN_TRAILERS:
            raise ValueError(f"{name!r} must not be a trailer")
        if self._trailers is None:
            self._trailers = HTTPHeaders()
        try:
            self._trailers[name] = self._convert_header_value(value)
        except HTTPInputError:
            raise ValueError(f"Unsafe trailer {name!r}: {value!r}") from None

    def send_early_hints(self, links: str | Iterable[str]) -> asyncio.Future[None]:
        """Tell the client at once what the answer will refer to (103, RFC 8297; ours alone, not
        Tornado's). A client of HTTP/1.0 is told nothing.

        :param links: values of ``Link`` fields (RFC 8288), as ``</style.css>; rel=preload``.
        :returns: a future as of :meth:`flush`.
        :raises RuntimeError: the head of the answer has been sent already.
        :raises ValueError: a value that must not stand in a field.
        """
        if self._headers_written:
            raise RuntimeError("Early hints after the head of the answer")
        headers = HTTPHeaders()
        try:
            for link in [links] if isinstance(links, str) else links:
                headers.add("Link", link)
        except HTTPInputError:
            raise ValueError(f"Unsafe links {links!r}") from None
        line = ResponseStartLine("", 103, responses[103])
        sent: asyncio.Future[None] = self.request.connection.write_headers(line, headers)
        return sent

    def _convert_header_value(self, value: HeaderTypes) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, bytes):
            return value.decode("latin-1")
        if isinstance(value, numbers.Integral):
            return str(int(value))
        if isinstance(value, datetime.datetime):
            return format_timestamp(value)
        raise TypeError(f"Unsupported header value {value!r}")

    # -- body

    def write(self, chunk: Chunk) -> Nothing:
        """Add to the body: bytes, text (as UTF-8), or a dict (as JSON, with its Content-Type).

        :raises RuntimeError: after ``finish``.
        :raises TypeError: anything else; lists too, whose JSON older browsers could leak.
        """
        if self._finished:
            raise RuntimeError("Cannot write() after finish()")
        if isinstance(chunk, str):
            chunk = chunk.encode()
        elif isinstance(chunk, dict):
            chunk = json_encode(chunk).encode()
            self.set_header("Content-Type", "application/json; charset=UTF-8")
        elif not isinstance(chunk, bytes):
            message = "write() only accepts bytes, unicode, and dict objects"
            if isinstance(chunk, list):
                message += ". Lists not accepted for security reasons"
            raise TypeError(message)
        self._write_buffer.append(chunk)

    def flush(self, include_footers: Flag = False) -> asyncio.Future[None]:
        """Send what has been written, the head before it if that is due.

        :returns: a future, done when the client has taken enough for more to follow.
        """
        buffer = self._write_buffer
        chunk = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        self._write_buffer = []
        for transform in self._transforms:
            chunk = self._transform(transform, chunk, include_footers)
        if self._headers_written:
            future: asyncio.Future[None] = self.request.connection.write(chunk)
            return future
        if self._new_cookie is not None:
            self._add_cookies()
        line = _new_tuple(ResponseStartLine, ("", self._status_code, self._reason))
        future = self.request.connection.write_headers(line, self._headers, chunk)
        self._headers_written = True
        return future

    def _transform(self, transform: OutputTransform, chunk: bytes, finishing: bool) -> bytes:
        if self._headers_written:
            return transform.transform_chunk(chunk, finishing)
        self._status_code, self._headers, chunk = transform.transform_first_chunk(
            self._status_code, self._headers, chunk, finishing
        )
        return chunk

    def finish(self, chunk: Chunk | None = None) -> asyncio.Future[None]:
        """Send the rest of the answer, ``chunk`` the last of it.

        :returns: the future of the last :meth:`flush`.
        :raises RuntimeError: when called twice.
        """
        if self._finished:
            raise RuntimeError("finish() called twice")
        if chunk is not None:
            self.write(chunk)
        if not self._headers_written:
            _complete_head(self)
        if self._transforms and self._takes_long_to_transform():
            return self._finish_later()
        return _finish_now(self)

    def _takes_long_to_transform(self) -> bool:
        buffer = self._write_buffer
        chunk = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        self._write_buffer = [chunk]
        code, headers = self._status_code, self._headers
        return any(transform.takes_long(code, headers, chunk) for transform in self._transforms)

    def _finish_later(self) -> asyncio.Future[None]:
        """The same as ``_finish_now``, when the rest has been transformed in a thread. What the
        handler does from now on changes nothing of its answer, as if that had been sent."""
        if self._new_cookie is not None and not self._headers_written:
            self._add_cookies()
        rest = Rest(self._status_code, self._reason, self._headers, self._write_buffer[0],
                    begins=not self._headers_written)  # fmt: skip
        transforms, self._transforms = self._transforms, []
        self._write_buffer = []
        self._headers_written = self._finished = True
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[None] = loop.create_future()
        # There is more to be called of the handler: where it has run until now.
        context = current_context(self.request.connection)
        task = loop.create_task(self._send_rest(rest, transforms, sent), context=context)
        self.application.hold(task)
        return sent

    def _send_rest(
        self, rest: Rest, transforms: list[OutputTransform], sent: asyncio.Future[None]
    ) -> Coroutine[Any, Any, None]:
        """Transform and send it; ``sent`` hears what the future of the last ``flush`` says."""
        raise NotImplementedError

    def _clear_representation_headers(self) -> None:
        for name in _REPRESENTATION_HEADERS:
            self.clear_header(name)

    def redirect(self, url: Text, permanent: Flag = False, status: int | None = None) -> Nothing:
        """Send the client to ``url`` (relative to this one, if it is relative), and finish.

        :param permanent: 301 instead of 302.
        :param status: another code of 300 to 399.
        :raises RuntimeError: when the head has been sent.
        """
        if self._headers_written:
            raise RuntimeError("Cannot redirect after headers have been written")
        if status is None:
            status = 301 if permanent else 302
        elif not 300 <= status <= 399:
            raise ValueError(f"{status} is not a redirect")
        self.set_status(status)
        self.set_header("Location", utf8(url))
        self.finish()

    def _abandon(self) -> Nothing:
        """The answer cannot be completed: end it so that the client can see that."""
        self.request.connection.abort()
        self._finished = self._abandoned = True
        self.request._finish_time = time()
        self.application.log_request(self)
        self.on_finish()
        self._page = None

    # -- entity tags and conditions (RFC 9110, 8.8 and 13)

    def compute_etag(self) -> str | None:
        """The entity tag of the body as it stands in the buffer; None for none. Override freely.

        This one gives none where ``automatic_etag`` says so, and where nobody may keep the answer
        (``Cache-Control: no-store``): there it would be of no use.
        """
        wanted: Flag | None = self.automatic_etag
        if wanted is None:
            wanted = self.application.automatic_etag
        if not wanted:
            return None
        if "cache-control" in self._headers.index() and self._is_never_stored():
            return None
        buffer = self._write_buffer
        body = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        return short_etag(body) if len(body) <= SHORT_BODY else etag_of(body)

    def _is_never_stored(self) -> bool:
        """Whether no client will ever ask with the tag of this answer, and this one does not."""
        control: str = self._headers["Cache-Control"].lower()
        return "no-store" in control and "if-none-match" not in self.request.headers.index()

    def set_etag_header(self) -> Nothing:
        """Set ``Etag`` to what :meth:`compute_etag` says, if anything.

        Called as the answer is finished, unless it has an ``Etag`` already.
        """
        etag = self.compute_etag()
        if etag is not None:
            self._headers["Etag"] = etag

    def check_etag_header(self) -> Flag:
        """Whether the client has this very body already (``If-None-Match``): then a 304 will do.

        Call after the ``Etag`` is set.
        """
        known = self.request.headers.index().get("if-none-match")
        return known is not None and matches_weakly(self._headers.get("Etag", ""), known)

    def _is_known_by_date(self) -> bool:
        """Whether the client has this body by its date (``If-Modified-Since``, 13.1.3)."""
        modified = self._headers.get("Last-Modified")
        since = self.request.headers["If-Modified-Since"]
        return modified is not None and unmodified_since(modified, since) is True

    def check_preconditions(
        self,
        etag: str | None = None,
        last_modified: datetime.datetime | None = None,
        *,
        exists: bool = True,
    ) -> None:
        """Refuse to change what is not as the client believes: call before a PUT, PATCH or DELETE
        does its work (ours alone, not Tornado's).

        Looks at ``If-Match``, ``If-Unmodified-Since`` and ``If-None-Match`` (RFC 9110, 13.2.2).

        :param etag: the strong entity tag of what is there now, quotes included.
        :param last_modified: when that was changed last.
        :param exists: False if there is nothing yet.
        :raises HTTPError: 412, a condition of the client's does not hold.
        """
        if precondition_failed(self.request.headers, etag, last_modified, exists):
            raise HTTPError(412)


# What every answer goes through and nobody overrides: no methods, for those are looked up.


def _finish_now(answer: Exchange) -> asyncio.Future[None]:
    """Send what is in the buffer, and that this is all."""
    future = answer.flush(include_footers=True)
    end_answer(answer)
    return future


def end_answer(answer: Exchange) -> None:
    """All has been written: say so to everybody."""
    request = answer.request
    if answer._trailers is None:
        request.connection.finish()
    else:
        request.connection.finish(answer._trailers)
    answer._finished = True
    request._finish_time = time()
    answer.application.log_request(answer)
    answer.on_finish()
    if answer._page is not None:
        answer._page = None


def _complete_head(answer: Exchange) -> None:
    """The whole body is in the buffer: say how long it is, and whether it is needed at all."""
    status = answer._status_code
    if status == 200 and answer.request.method in ("GET", "HEAD"):
        index = answer._headers.index()
        if "etag" not in index:
            answer.set_etag_header()
        asked = answer.request.headers.index()
        if (
            answer.check_etag_header()
            if "if-none-match" in asked
            else "if-modified-since" in asked and answer._is_known_by_date()
        ):
            answer._write_buffer = []
            answer.set_status(304)
            status = 304
    if status == 204 or status == 304 or status < 200:
        if answer._write_buffer:
            raise RuntimeError(f"Cannot send body with {status}")
        answer._clear_representation_headers()
    elif answer._trailers is None or not answer.request.connection.takes_trailers:
        buffer = answer._write_buffer
        length = len(buffer[0]) if len(buffer) == 1 else sum(map(len, buffer))
        answer._headers.set_missing("Content-Length", "content-length", str(length))
