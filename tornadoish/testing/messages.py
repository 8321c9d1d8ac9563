"""What a test asks for, what it gets, and what it gets instead: HTTPRequest, HTTPResponse, errors.

Made by ``HTTPTestClient`` and by tests. (Interface: Tornado, tornado.httpclient.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from ssl import SSLContext
from typing import Any

from tornadoish.httputil import HTTPHeaders, responses


@dataclass
class HTTPRequest:
    """A request that a test makes; all but ``url`` may also be given to ``fetch``."""

    url: str
    method: str = "GET"
    #: a mapping, or pairs
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None
    #: text is sent as UTF-8. POST, PUT and PATCH need one, the others must have none
    body: bytes | str | None = None
    #: with ``auth_password``: HTTP's Basic authentication
    auth_username: str | None = None
    auth_password: str | None = None
    auth_mode: str | None = None
    #: seconds; None or 0: for ever
    connect_timeout: float | None = 20.0
    #: seconds for all of it; None or 0: for ever
    request_timeout: float | None = 20.0
    if_modified_since: datetime | float | None = None
    follow_redirects: bool = True
    max_redirects: int = 5
    user_agent: str | None = None
    #: ask for gzip, and decompress what comes
    decompress_response: bool = True
    #: called with each piece of the body, which the response then has not
    streaming_callback: Callable[[bytes], Awaitable[None] | None] | None = None
    #: called with the status line, each field and the empty line behind them, as texts
    header_callback: Callable[[str], object] | None = None
    #: any method, and a body with any of them, or none
    allow_nonstandard_methods: bool = False
    #: whether the server's certificate must be valid, by ``ca_certs`` (a file) if that is given
    validate_cert: bool | None = None
    ca_certs: str | None = None
    client_key: str | None = None
    client_cert: str | None = None
    #: all of TLS at once, instead of the four above
    ssl_options: dict[str, Any] | SSLContext | None = None


@dataclass(repr=False)
class HTTPResponse:
    """An answer.

    ``code`` and ``reason`` are the status, ``headers`` the :class:`HTTPHeaders`, ``buffer`` and
    ``body`` the body, as a file and as bytes, ``effective_url`` where it came from when redirects
    were followed. ``request`` is what was asked for first, ``request_time`` the seconds from there
    to the last byte (of the final request), ``start_time`` when that was, as of ``time.time``.
    ``error`` is a :class:`HTTPClientError` if the code is not one of 200 to 299.
    """

    request: HTTPRequest
    code: int
    headers: HTTPHeaders = field(default_factory=HTTPHeaders)
    buffer: BytesIO | None = None
    effective_url: str = ""
    error: BaseException | None = None
    request_time: float | None = None
    time_info: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    start_time: float | None = None

    def __post_init__(self) -> None:
        self.reason = self.reason or responses.get(self.code, "Unknown")
        self.effective_url = self.effective_url or self.request.url
        if self.error is None and not 200 <= self.code < 300:
            self.error = HTTPClientError(self.code, self.reason, self)

    @property
    def body(self) -> bytes:
        """All of it; empty if it went to a ``streaming_callback``."""
        return b"" if self.buffer is None else self.buffer.getvalue()

    def rethrow(self) -> None:
        """Raise ``error``, if there is one."""
        if self.error is not None:
            raise self.error

    def __repr__(self) -> str:
        return f"<HTTPResponse {self.code} {self.reason} of {self.effective_url}>"


class HTTPClientError(Exception):
    """An answer that is none of success, or none at all (599).

    :param code: the status, ``code``.
    :param message: by default the code's usual reason.
    :param response: the :class:`HTTPResponse`, if there is one.
    """

    def __init__(
        self, code: int, message: str | None = None, response: HTTPResponse | None = None
    ) -> None:
        super().__init__(code, message, response)
        self.code = code
        self.message = message or responses.get(code, "Unknown")
        self.response = response

    def __str__(self) -> str:
        return f"HTTP {self.code}: {self.message}"

    def __repr__(self) -> str:  # not with all of the response, as the arguments would be
        return f"{type(self).__name__}({self})"


class HTTPTimeoutError(HTTPClientError):
    """Nothing, or not all of an answer, came in time (599)."""

    def __init__(self, message: str) -> None:
        super().__init__(599, message)


class HTTPStreamClosedError(HTTPClientError):
    """The connection ended before the answer did (599)."""

    def __init__(self, message: str) -> None:
        super().__init__(599, message)
