"""ASGIConnection: the way back for one request that came over ASGI.

What an application writes becomes events, in a queue. ``ServedRequest``, which has made it, sends
them one by one; a future of ``write`` is done when the host has taken its event, which is all of
back-pressure there is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from enum import Enum
from typing import Any, NoReturn

from tornadoish.asgi.types import Event, Scope
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPOutputError,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.httputil.abnf import DIGITS
from tornadoish.httputil.delegates import HTTPConnection
from tornadoish.httputil.message import Message
from tornadoish.httputil.trailers import NOT_IN_TRAILERS
from tornadoish.iostream import StreamClosedError
from tornadoish.web.foreign import BODYLESS, HOP_BY_HOP


class Out(Enum):
    """How far the answer has come."""

    HEAD = "nothing is written"
    BODY = "the head is written"
    FINISHED = "all of it is written"
    ABORTED = "given up: it must not look whole"
    GONE = "nobody is there any more"


#: schemes of WebSockets, and what a request over them counts as
_PLAIN = {"ws": "http", "wss": "https"}


class ASGIRequestContext:
    """Who is asking, as the host says: ``remote_ip``, ``protocol`` ("http" or "https"),
    ``address``; otherwise as :class:`HTTPRequestContext`, and a host that knows proxies says it in
    the same words."""

    ssl_object: Any = None  # the host has it
    forwarded_host: str | None = None
    trusted_downstream: frozenset[str] = frozenset()

    def __init__(self, scope: Scope) -> None:
        client = scope.get("client")
        self.address: Any = tuple(client) if client else ""
        self.remote_ip: str = client[0] if client and client[0] else "0.0.0.0"
        scheme: str = scope.get("scheme") or "http"
        self.protocol: str = _PLAIN.get(scheme, scheme)
        self._orig_remote_ip = self.remote_ip
        self._orig_protocol = self.protocol

    def __str__(self) -> str:
        return self.remote_ip


class ASGIConnection(Message, HTTPConnection):
    """See the module; it is made in the context of the request.

    ``stream`` is always None. ``no_keep_alive`` may be set as on other connections, and means
    nothing: how connections live is the host's business.
    """

    stream = None
    is_client = False
    no_keep_alive = False
    context: ASGIRequestContext

    def __init__(self, scope: Scope, max_body_size: int) -> None:
        self.variables = copy_context()
        self.context = ASGIRequestContext(scope)
        self.max_body_size = max_body_size
        #: in the loop's time; None: the body may take as long as it likes
        self.body_deadline: float | None = None
        self.out = Out.HEAD
        #: the events to be sent, and who waits for that
        self.events: deque[tuple[Event, asyncio.Future[None]]] = deque()
        self._is_head = scope["method"] == "HEAD"
        self._extensions: Any = scope.get("extensions") or {}
        self._left: int | None = None  # bytes of the body that may follow, if that is known
        self._waiter: asyncio.Future[None] | None = None  # who sends waits for something to do
        self._body_follows = True
        # Whoever wrote through this is told that nobody is there, whatever is still being sent.
        self._is_closed = False

    # -- HTTPConnection

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        """See :meth:`HTTPConnection.write_headers`. Over ASGI there are no reasons but the usual,
        and of interim heads early hints alone, if the host knows them; others are dropped."""
        if not isinstance(start_line, ResponseStartLine):
            raise TypeError(f"This connection writes responses, not {start_line!r}")
        if self._is_closed:
            return _closed()
        if self.out is not Out.HEAD:
            raise HTTPOutputError("A response has been written already")
        code = start_line.code
        if code < 200:
            return self._write_interim(code, headers, chunk)
        length = self._length_of(code, headers)
        if chunk and length is not None and len(chunk) > length:
            raise HTTPOutputError(f"{len(chunk)} bytes of body where {length} were announced")
        self._left = length
        self.out = Out.BODY
        fields = encoded(headers, is_not_the_hosts)
        self._put({"type": "http.response.start", "status": code, "headers": fields})
        # Only when there is some body, if an empty one, does a host send the head.
        return self._write(chunk or b"")

    def _length_of(self, code: int, headers: HTTPHeaders) -> int | None:
        """How many bytes of body must follow; 0 where none must."""
        if code > 999:
            raise HTTPOutputError(f"Invalid status {code}")
        length = headers.index().get("content-length")
        if length is not None and DIGITS.fullmatch(length) is None:
            raise HTTPOutputError(f"Invalid Content-Length {length!r}")
        if self._is_head:
            return None
        return 0 if code in BODYLESS else None if length is None else int(length)

    def _write_interim(
        self, code: int, headers: HTTPHeaders, chunk: bytes | None
    ) -> asyncio.Future[None]:
        if code == 101:
            raise HTTPOutputError("Over ASGI there is no other protocol to switch to")
        if code < 100 or chunk:
            raise HTTPOutputError(f"A {code} response has no body, if it is one")
        if code == 103 and "http.response.early_hint" in self._extensions:
            links = [link.encode("latin-1") for link in headers.get_list("Link")]
            return self._put({"type": "http.response.early_hint", "links": links})
        return _done()

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """See :meth:`HTTPConnection.write`."""
        if self._is_closed:
            return _closed()
        if self.out is not Out.BODY:
            raise HTTPOutputError("Body data outside of a message")
        return self._write(chunk)

    def _write(self, chunk: bytes) -> asyncio.Future[None]:
        left = self._left
        if left is not None:
            if len(chunk) > left:
                raise HTTPOutputError(f"{len(chunk)} bytes of body where {left} were announced")
            self._left = left - len(chunk)
        body = b"" if self._is_head else chunk
        return self._put({"type": "http.response.body", "body": body, "more_body": True})

    def finish(self, trailers: HTTPHeaders | None = None) -> None:
        """See :meth:`HTTPConnection.finish`. Trailers are sent if the host knows of them and the
        head has not been sent yet, for there they have to be announced."""
        if self._is_closed:
            return
        if self.out is not Out.BODY:
            raise HTTPOutputError("The end of a message that has not begun")
        if self._left:
            self.abort()
            raise HTTPOutputError(f"{self._left} bytes of body missing of what was announced")
        for name, _ in trailers.wire_pairs() if trailers else ():
            if name.lower() in NOT_IN_TRAILERS:
                self.abort()
                raise HTTPOutputError(f"{name} must not be a trailer")
        self._close_callback = self.task = None
        self.out = Out.FINISHED
        last = self.events[-1][0] if self.events else None
        if last is None or last["type"] != "http.response.body":
            last = {"type": "http.response.body", "body": b""}
            self._put(last)
        last["more_body"] = False
        first = self.events[0][0]
        if trailers and first["type"] == "http.response.start" and self._takes_trailers:
            first["trailers"] = True
            fields = encoded(trailers, lambda name, value: True)
            self._put({"type": "http.response.trailers", "headers": fields})

    @property
    def _takes_trailers(self) -> bool:
        return "http.response.trailers" in self._extensions

    def abort(self) -> None:
        """See :meth:`HTTPConnection.abort`: what has been written is sent, then the request ends
        without the end of its answer, which hosts take for a reason to close the connection."""
        if self.out in (Out.HEAD, Out.BODY):
            self.out = Out.ABORTED
            self._is_closed = True
            self._close_callback = self.task = None
            self.wake()

    close = abort

    def detach(self) -> NoReturn:
        """There is no stream that could be taken away.

        :raises RuntimeError: always.
        """
        raise RuntimeError("Over ASGI there is no stream to detach: the connection is the host's")

    @property
    def body_follows(self) -> bool:
        """See :meth:`HTTPConnection.body_follows`."""
        return self._body_follows

    def set_body_follows(self, follows: bool) -> None:
        """Say whether there is more of the body."""
        self._body_follows = follows

    def set_max_body_size(self, max_body_size: int) -> None:
        """See :meth:`HTTPConnection.set_max_body_size`."""
        self.max_body_size = max_body_size

    def set_body_timeout(self, timeout: float) -> None:
        """See :meth:`HTTPConnection.set_body_timeout`."""
        self.body_deadline = asyncio.get_running_loop().time() + timeout

    # -- for who sends

    def _put(self, event: Event) -> asyncio.Future[None]:
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.events.append((event, sent))
        self.wake()
        return sent

    def wake(self) -> None:
        """There is something to do for who sends."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Wait for something to do."""
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def refuse_writers(self) -> None:
        """Whoever writes from now on is told that nobody is there."""
        self._is_closed = True

    def gone(self) -> None:
        """Nobody is there any more: whoever waits is told."""
        self._is_closed = True
        if self.out is not Out.FINISHED or self.events:
            self.out = Out.GONE
        for _, sent in self.events:
            if not sent.done():
                _fail(sent)
        self.events.clear()
        self.let_body_go()
        if self.delegate is None:
            self.run_close_callback()
        self.wake()


def encoded(headers: HTTPHeaders, wanted: Callable[[str, str], bool]) -> list[tuple[bytes, bytes]]:
    """Fields as ASGI has them, those that are ``wanted``."""
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.wire_pairs()
        if wanted(name.lower(), value)
    ]


def is_not_the_hosts(name: str, value: str) -> bool:
    """Hosts say when the answer was made, and most of them who they are, whatever we say."""
    if name == "server":
        return not value.startswith("tornadoish/")
    return name != "date" and name not in HOP_BY_HOP


def _done() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def _closed() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    _fail(future)
    return future


def _fail(future: asyncio.Future[None]) -> None:
    future.set_exception(StreamClosedError())
    future.exception()  # nobody has to look at it
