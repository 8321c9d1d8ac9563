"""HTTPTestClient: what ``fetch`` of a test case asks with, in the manner of Tornado's client.

It says the same over the wire as that one, as far as an application can tell, and tells the same of
what comes back; the work is done by httpx, which has to be installed (the extra ``test-client``).
It is for tests: each request has a connection of its own, and bodies are held whole.
(Interface: Tornado, tornado.httpclient.)
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import time
from collections.abc import Callable
from copy import copy
from dataclasses import fields
from io import BytesIO
from ssl import CERT_NONE, PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import tornadoish
from tornadoish.escape import utf8
from tornadoish.httputil import HTTPHeaders, encode_username_password, format_timestamp
from tornadoish.netutil import ssl_options_to_context
from tornadoish.testing.messages import (
    HTTPRequest,
    HTTPResponse,
    HTTPStreamClosedError,
    HTTPTimeoutError,
)
from tornadoish.util import import_extra

_NAMES = frozenset(field.name for field in fields(HTTPRequest))
#: what Tornado's requests may have beside these, each with the value that asks for nothing
_NOT_HERE = {
    "body_producer": None,
    "expect_100_continue": False,
    "network_interface": None,
    "prepare_curl_callback": None,
    "proxy_host": None,
    "proxy_port": None,
    "proxy_username": None,
    "proxy_password": None,
    "proxy_auth_mode": None,
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_OF_A_BODY = ("Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class HTTPTestClient:
    """Fetches from HTTP servers.

    :param defaults: attributes of :class:`HTTPRequest` for requests that do not say otherwise.
    :raises ImportError: httpx is not installed.
    :raises TypeError: an attribute is none.
    """

    def __init__(self, defaults: dict[str, Any] | None = None) -> None:
        self._httpx = import_extra("httpx", "test-client")
        self._defaults = _checked(defaults or {})
        self._transports: dict[Any, Any] = {}  # by options of TLS; each is an httpx transport

    def fetch(
        self, request: str | HTTPRequest | Any, raise_error: bool = True, **kwargs: Any
    ) -> asyncio.Task[HTTPResponse]:
        """Begin to fetch; the result of the task is a :class:`HTTPResponse`. Where a loop runs.

        :param request: a URL, or a :class:`HTTPRequest` (Tornado's own will do, too).
        :param raise_error: whether an answer that is not one of success is raised.
        :param kwargs: attributes of :class:`HTTPRequest`, for a URL.
        :raises TypeError: an attribute is none; or there are any, beside a request.
        :raises ValueError: (the task) a body where none belongs, or none where one does.
        :raises KeyError: (the task) the method is none of HTTP's usual ones.
        :raises HTTPClientError: (the task) see ``raise_error``. No answer at all is raised anyway:
            as :class:`HTTPTimeoutError`, :class:`HTTPStreamClosedError` or :class:`OSError`.
        """
        if isinstance(request, str):
            made = HTTPRequest(request, **{**self._defaults, **_checked(kwargs)})
        elif kwargs:
            raise TypeError("kwargs can't be used if request is an HTTPRequest object")
        else:
            made = self._adopt(request)
        return asyncio.get_running_loop().create_task(self._fetch(made, raise_error))

    def close(self) -> None:
        """Nothing is open between requests; so this is for the interface's sake."""
        self._transports.clear()

    def _adopt(self, request: Any) -> HTTPRequest:
        """A copy of a request, ours or Tornado's, in which None stands for the default."""
        given = {name: getattr(request, name, None) for name in (*_NAMES, *_NOT_HERE)}
        attributes = {name: value for name, value in given.items() if value is not None}
        return HTTPRequest(**{**self._defaults, **_checked(attributes)})

    async def _fetch(self, request: HTTPRequest, raise_error: bool) -> HTTPResponse:
        _check_method(request)
        step = copy(request)
        step.headers = _fields(request)
        left = request.max_redirects if request.follow_redirects else 0
        while True:
            response = await self._ask(step, request, left)
            location = response.headers.get("Location")
            if not left or location is None or response.code not in _REDIRECTS:
                break
            left -= 1
            step = _redirected(step, response.code, location)
        if raise_error:
            response.rethrow()
        return response

    async def _ask(self, step: HTTPRequest, original: HTTPRequest, left: int) -> HTTPResponse:
        """One request and its answer."""
        httpx = self._httpx
        limit = asyncio.timeout(step.request_timeout or None)
        try:
            async with limit:
                return await self._exchange(step, original, left)
        except TimeoutError as error:
            if limit.expired():
                raise HTTPTimeoutError("Timeout during request") from error
            raise
        except httpx.ConnectTimeout as error:
            raise HTTPTimeoutError("Timeout while connecting") from error
        except httpx.ConnectError as error:
            raise _os_error(error) or HTTPStreamClosedError(str(error)) from error
        except (httpx.LocalProtocolError, httpx.InvalidURL) as error:
            raise ValueError(f"cannot be sent: {error}") from error
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.DecodingError) as error:
            raise HTTPStreamClosedError(str(error) or "Connection closed") from error

    async def _exchange(self, step: HTTPRequest, original: HTTPRequest, left: int) -> HTTPResponse:
        start_time, start = time.time(), time.perf_counter()
        url = urlsplit(step.url)
        answer = await self._transport(step).handle_async_request(self._to_httpx(step, url))
        try:
            headers = HTTPHeaders()
            for name, value in answer.headers.multi_items():
                headers.add(name, value)
            followed = left and answer.status_code in _REDIRECTS and "Location" in headers
            reason = answer.extensions.get("reason_phrase", b"").decode("latin-1")
            if step.header_callback is not None and not followed:
                version = answer.extensions.get("http_version", b"").decode()
                _tell_head(
                    step.header_callback, f"{version} {answer.status_code} {reason}", headers
                )
            buffer = BytesIO()
            callback = step.streaming_callback if not followed else None
            decompress = step.decompress_response and headers.get("Content-Encoding") == "gzip"
            async for piece in answer.aiter_bytes() if decompress else answer.aiter_raw():
                if callback is None:
                    buffer.write(piece)
                elif inspect.isawaitable(waited_for := callback(piece)):
                    await waited_for
        finally:
            await answer.aclose()
        buffer.seek(0)
        if decompress:
            del headers["Content-Encoding"]
            headers["X-Consumed-Content-Encoding"] = "gzip"
        return HTTPResponse(
            original,
            answer.status_code,
            headers,
            buffer,
            effective_url=step.url,
            request_time=time.perf_counter() - start,
            reason=reason,
            start_time=start_time,
        )

    def _to_httpx(self, step: HTTPRequest, url: SplitResult) -> Any:
        target = utf8((url.path or "/") + (f"?{url.query}" if url.query else ""))
        wait = step.connect_timeout or None
        sent = self._httpx.Request(
            step.method,
            f"{url.scheme}://{url.netloc.rpartition('@')[2]}/",
            headers=list(HTTPHeaders(step.headers or {}).get_all()),
            content=None if step.body is None else utf8(step.body),
            # The path as it was written: httpx would make /b of /a/../b.
            extensions={"target": target, "timeout": {"connect": wait}},
        )
        if step.body is None and step.method in _WITH_BODY and step.allow_nonstandard_methods:
            sent.headers.pop("Content-Length", None)
        return sent

    def _transport(self, step: HTTPRequest) -> Any:
        """What speaks to a server, with the request's options of TLS."""
        if not step.url.lower().startswith("https:"):
            key: Any = None
        elif isinstance(step.ssl_options, dict):
            key = tuple(sorted(step.ssl_options.items()))
        else:
            key = (step.ssl_options, step.validate_cert, step.ca_certs, step.client_cert,
                   step.client_key)  # fmt: skip
        transport = self._transports.get(key)
        if transport is None:
            # A context without authorities costs little, and plain HTTP looks at none.
            context = SSLContext(PROTOCOL_TLS_CLIENT) if key is None else _tls(step)
            transport = self._httpx.AsyncHTTPTransport(
                verify=context,
                trust_env=False,
                limits=self._httpx.Limits(max_keepalive_connections=0),
            )
            self._transports[key] = transport
        return transport


def _checked(attributes: dict[str, Any]) -> dict[str, Any]:
    """``attributes`` without those that ask for nothing.

    :raises TypeError: there are others than those of :class:`HTTPRequest`.
    """
    checked = {}
    for name, value in attributes.items():
        if name in _NAMES:
            checked[name] = value
        elif name not in _NOT_HERE or value not in (None, _NOT_HERE[name]):
            raise TypeError(
                f"fetch() has no {name!r}; httpx has it perhaps: httpx.AsyncClient() and get_url()"
            )
    return checked


def _check_method(request: HTTPRequest) -> None:
    if request.allow_nonstandard_methods:
        return
    if request.method not in _METHODS:
        raise KeyError(f"unknown method {request.method}")
    if (request.body is not None) != (request.method in _WITH_BODY):
        maybe_not = "not " if request.body is None else ""
        raise ValueError(
            f"Body must {maybe_not}be None for method {request.method} (unless "
            "allow_nonstandard_methods is true)"
        )


def _fields(request: HTTPRequest) -> HTTPHeaders:
    """The fields that Tornado's client would send, but for Host and the length."""
    headers = HTTPHeaders()
    given: Any = request.headers or {}
    if isinstance(given, HTTPHeaders):
        pairs = list(given.get_all())
    else:
        pairs = list(given.items()) if hasattr(given, "items") else list(given)
    for name, value in pairs:
        headers.add(name, value)
    headers.setdefault("Connection", "close")
    url, username, password = urlsplit(request.url), request.auth_username, request.auth_password
    if url.username is not None:
        username, password = url.username, url.password
    if username is not None:
        if request.auth_mode not in (None, "basic"):
            raise ValueError(f"unsupported auth_mode {request.auth_mode}")
        token = base64.b64encode(encode_username_password(username, password or ""))
        headers["Authorization"] = f"Basic {token.decode()}"
    if request.user_agent:
        headers["User-Agent"] = request.user_agent
    headers.setdefault("User-Agent", f"tornadoish.testing/{tornadoish.__version__}")
    if request.method == "POST":
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    if request.decompress_response:
        headers["Accept-Encoding"] = "gzip"
    if request.if_modified_since is not None:
        headers["If-Modified-Since"] = format_timestamp(request.if_modified_since)
    return headers


def _redirected(step: HTTPRequest, code: int, location: str) -> HTTPRequest:
    """What to ask for next (RFC 9110, 15.4: as browsers do, and Tornado's client)."""
    following = copy(step)
    following.url = urljoin(step.url, location)
    headers = following.headers = HTTPHeaders(step.headers or {})
    headers.pop("Host", None)
    if urlsplit(step.url)[:2] != urlsplit(following.url)[:2]:  # the secrets are not for others
        headers.pop("Authorization", None)
        headers.pop("Cookie", None)
    if (code == 303 and step.method != "HEAD") or (code in (301, 302) and step.method == "POST"):
        following.method, following.body = "GET", None
        for name in _OF_A_BODY:
            headers.pop(name, None)
    return following


def _tell_head(callback: Callable[[str], object], first: str, headers: HTTPHeaders) -> None:
    callback(f"{first}\r\n")
    for name, value in headers.get_all():
        callback(f"{name}: {value}\r\n")
    callback("\r\n")


def _tls(step: HTTPRequest) -> SSLContext:
    if step.ssl_options is not None:
        return ssl_options_to_context(step.ssl_options, server_side=False)
    options: dict[str, Any] = {}
    if step.validate_cert is False:
        options["cert_reqs"] = CERT_NONE
    if step.ca_certs is not None:
        options["ca_certs"] = step.ca_certs
    if step.client_cert is not None:
        options["certfile"] = step.client_cert
    if step.client_key is not None:
        options["keyfile"] = step.client_key
    return ssl_options_to_context(options, server_side=False)


def _os_error(error: BaseException) -> OSError | None:
    """The system's own error behind one of httpx's."""
    found: OSError | None = None
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, BaseExceptionGroup):  # of each address that was tried
            seen = seen.exceptions[0]
        if isinstance(seen, OSError):
            found = seen
        seen = seen.__cause__ or seen.__context__
    return found
