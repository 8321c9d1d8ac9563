"""HostedRequest: one request to a foreign application, between the contract and ASGI.

It is the delegate that a connection tells of the request, and the ``receive`` and ``send`` of the
application, which runs in a task of its own. Made by ``ASGIContainer``. Both ways have
back-pressure: nothing more is read from the client than the application has received, and ``send``
returns when the client has taken enough for more to be sent.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from functools import partial
from time import time
from typing import Any, TypeVar
from urllib.parse import unquote

from tornadoish.asgi.types import Event, Scope
from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
    responses,
)
from tornadoish.iostream import StreamClosedError
from tornadoish.log import app_log
from tornadoish.web.bodies import PulledBody
from tornadoish.web.foreign import BODYLESS, answer_error, fields_of_answer, log_request
from tornadoish.web.static.sending import send_file
from tornadoish.web.tasks import run_in_task

_Stage = TypeVar("_Stage", bound=Enum)
_Step = TypeVar("_Step")

#: What an application may send beside the usual events, if it looks for it in its scope.
EXTENSIONS = (
    "http.response.early_hint",
    "http.response.pathsend",
    "http.response.trailers",
    "http.response.zerocopysend",
)


class Stage(Enum):
    """How far the answer has come."""

    NEW = "nothing has been sent"
    STARTED = "the head is held back until there is a body"
    BODY = "the head is out, more is to come"
    TRAILERS = "the body is out, the trailers are to come"
    COMPLETE = "that was all"
    GONE = "nobody is there any more"


class HostedRequest(HTTPMessageDelegate):
    """One request; see the module.

    :param run: runs the application with this request's ``receive`` and ``send``.
    """

    def __init__(
        self, request: HTTPServerRequest, run: Callable[[HostedRequest], Awaitable[None]]
    ) -> None:
        self.request = request
        self._run_application = run
        self._connection: Any = request.connection
        self._body = PulledBody()
        self._begun = False  # the application has been called
        self._read = False  # the application has received all of the body
        self._over = asyncio.Event()  # there is nobody to send to
        self.stage = Stage.NEW
        self._status = 0
        self._headers = HTTPHeaders()
        self._trailers: HTTPHeaders | None = None  # if the application means to send some

    def __repr__(self) -> str:
        return f"<HostedRequest {self._what}: {self.stage.value}>"

    @property
    def _what(self) -> str:
        return f"{self.request.method} {self.request.uri}"

    # -- HTTPMessageDelegate

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        connection = self._connection
        connection.set_close_callback(self._gone)
        if not connection.body_follows:
            return None  # it is not long until the end, and then all is known
        connection.set_body_callback(self._body.let_go)
        self._start()
        return self._body.wanted() if not self._over.is_set() else None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._body.data_received(chunk)

    def finish(self) -> None:
        self._body.finish()
        if not self._begun:
            self._start()

    def on_connection_close(self) -> None:
        self._body.on_connection_close()
        self._gone()

    def _gone(self) -> None:
        if self.stage is not Stage.COMPLETE:
            self.stage = Stage.GONE
        self._over.set()

    # -- the application

    def _start(self) -> None:
        self._begun = True
        task = run_in_task(self._run())
        if not task.done():
            connection = self._connection
            if isinstance(connection, HTTPConnection):
                connection.worked_on_by(task)
            _running.add(task)
            task.add_done_callback(_running.discard)

    async def _run(self) -> None:
        try:
            await self._run_application(self)
        except Exception as error:
            log_failure(self._what, self.stage, error, gone=self.stage is Stage.GONE)
        except BaseException:
            if self.stage is not Stage.COMPLETE:
                self._connection.abort()
            raise
        else:
            if self.stage not in (Stage.COMPLETE, Stage.GONE):
                log_silence(self._what, self.stage)
        finally:
            self._body.let_go()
        self.give_up(500)

    def give_up(self, status: int) -> None:
        """Answer with an error, or end an answer that has begun so that the client sees it; unless
        it has been completed."""
        if self.stage in (Stage.NEW, Stage.STARTED):
            self._status = status
            answer_error(self._connection, status)
            self._completed()
        elif self.stage in (Stage.BODY, Stage.TRAILERS):
            self._connection.abort()
            self._gone()

    async def receive(self) -> Event:
        """ASGI: a piece of the body, its end, or that nobody is there any more (which is said, too,
        when the answer has been completed)."""
        if not self._read and not self._over.is_set():
            try:
                piece = await anext(self._body)
                return {"type": "http.request", "body": piece, "more_body": True}
            except StopAsyncIteration:
                self._read = True
                return {"type": "http.request", "body": b"", "more_body": False}
            except StreamClosedError:
                pass
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: Event) -> None:
        """ASGI: the head of the answer, some of its body, and what extensions allow.

        :raises StreamClosedError: an OSError: the client is gone.
        :raises RuntimeError: this is not the time for that event.
        :raises ValueError: a status or field that must not be sent.
        :raises HTTPOutputError: more, or less, than the Content-Length says.
        """
        if self.stage is Stage.GONE:
            raise StreamClosedError()
        await step_of(_STEPS, event, self.stage)(self, event)

    # -- the steps of an answer

    async def _send_start(self, event: Event) -> None:
        self._status, self._headers = head_of_answer(event)
        if event.get("trailers"):
            self._trailers = HTTPHeaders()
        self.stage = Stage.STARTED

    async def _send_body(self, event: Event) -> None:
        body = event.get("body", b"")
        if type(body) is not bytes:
            body = bytes(body)
        more = event.get("more_body", False)
        if self._status in BODYLESS:
            body = b""
        written: Awaitable[None] | None = None
        if self.stage is Stage.STARTED:
            whole = not more and self._trailers is None
            if whole and (body or self.request.method != "HEAD"):
                self._set_length(len(body))
            written = self._write_head(body)
        elif body:
            written = self._connection.write(body)
        if not more:
            self._body_is_out()
        elif written is not None:
            await written

    def _set_length(self, length: int) -> None:
        if self._status not in BODYLESS:
            self._headers.set_missing("Content-Length", "content-length", str(length))

    def _write_head(self, body: bytes = b"") -> Awaitable[None]:
        line = ResponseStartLine("", self._status, responses.get(self._status, ""))
        written: Awaitable[None]
        written = self._connection.write_headers(line, self._headers, body or None)
        self.stage = Stage.BODY
        return written

    def _body_is_out(self) -> None:
        if self._trailers is None:
            self._connection.finish()
            self._completed()
        else:
            self.stage = Stage.TRAILERS

    def _completed(self) -> None:
        self.stage = Stage.COMPLETE
        self._over.set()
        request = self.request
        request._finish_time = time()
        log_request(self._status, request)

    async def _send_trailers(self, event: Event) -> None:
        trailers = self._trailers
        if trailers is None:
            raise RuntimeError("Trailers that http.response.start did not announce")
        checked(partial(_add_all, trailers), event.get("headers", ()))
        if not event.get("more_trailers", False):
            self._connection.finish(trailers)
            self._completed()

    async def _send_early_hint(self, event: Event) -> None:
        hints = HTTPHeaders()
        checked(partial(_add_all, hints), [(b"Link", link) for link in event["links"]])
        line = ResponseStartLine("", 103, responses[103])
        await self._connection.write_headers(line, hints)

    async def _ignore(self, event: Event) -> None:
        """An early hint that is late."""

    async def _send_path(self, event: Event) -> None:
        with await asyncio.to_thread(open, event["path"], "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if self._trailers is None:
                self._set_length(size)
            await self._send_file(file.fileno(), 0, size)
        self._body_is_out()

    async def _send_part(self, event: Event) -> None:
        fd = event["file"].fileno()
        offset, count = event.get("offset"), event.get("count")
        if offset is None:
            offset = os.lseek(fd, 0, os.SEEK_CUR)
        if count is None:
            count = max(0, os.fstat(fd).st_size - offset)
        await self._send_file(fd, offset, count)
        if not event.get("more_body", False):
            self._body_is_out()

    async def _send_file(self, fd: int, offset: int, count: int) -> None:
        if self.stage is Stage.STARTED:
            await self._write_head()
        if self._status not in BODYLESS and self.request.method != "HEAD":
            await send_file(self._connection, fd, offset, count)


_STEPS: dict[tuple[str, Stage], Callable[[HostedRequest, Event], Awaitable[None]]] = {
    ("http.response.start", Stage.NEW): HostedRequest._send_start,
    ("http.response.body", Stage.STARTED): HostedRequest._send_body,
    ("http.response.body", Stage.BODY): HostedRequest._send_body,
    ("http.response.trailers", Stage.TRAILERS): HostedRequest._send_trailers,
    ("http.response.early_hint", Stage.NEW): HostedRequest._send_early_hint,
    ("http.response.early_hint", Stage.STARTED): HostedRequest._send_early_hint,
    ("http.response.early_hint", Stage.BODY): HostedRequest._ignore,
    ("http.response.pathsend", Stage.STARTED): HostedRequest._send_path,
    ("http.response.zerocopysend", Stage.STARTED): HostedRequest._send_part,
    ("http.response.zerocopysend", Stage.BODY): HostedRequest._send_part,
}

# The loop itself would hold them only weakly.
_running: set[asyncio.Task[None]] = set()


def step_of(steps: Mapping[tuple[str, _Stage], _Step], event: Event, stage: _Stage) -> _Step:
    """What is to be done about what an application sends at this stage.

    :raises RuntimeError: this is not the time for that event.
    """
    kind = event["type"]
    step = steps.get((kind, stage))
    if step is None:
        raise RuntimeError(f"Unexpected ASGI event {kind!r}: {stage.value}")
    return step


def head_of_answer(event: Event) -> tuple[int, HTTPHeaders]:
    """Status and fields of an answer.

    :raises ValueError: some that must not be sent.
    """
    status = event["status"]
    if not isinstance(status, int) or not 200 <= status <= 999:
        raise ValueError(f"Not the status of an answer: {status!r}")
    return status, checked(fields_of_answer, event.get("headers") or ())


def checked(take: Callable[[list[tuple[str, str]]], Any], pairs: Iterable[Any]) -> Any:
    """What ``take`` makes of fields in bytes.

    :raises ValueError: one that must not be sent.
    """
    try:
        text = [(bytes(n).decode("latin-1"), bytes(v).decode("latin-1")) for n, v in pairs]
        return take(text)
    except HTTPInputError as error:
        raise ValueError(f"Unsafe header fields: {error.message}") from None


def _add_all(headers: HTTPHeaders, pairs: list[tuple[str, str]]) -> None:
    for name, value in pairs:
        headers.add(name, value)


def log_failure(what: str, stage: Enum, error: Exception, *, gone: bool) -> None:
    """An application has raised ``error``. If the client is ``gone``, that is likely to be why."""
    if not (gone and _is_about_the_end(error)):
        app_log.log(
            logging.INFO if gone else logging.ERROR,
            "Uncaught exception in an ASGI application: %s (%s)",
            what, stage.value, exc_info=error,
        )  # fmt: skip


def log_silence(what: str, stage: Enum) -> None:
    """An application has ended, and somebody waits for its answer, or the rest of it."""
    app_log.error("The ASGI application has ended without an answer (%s): %s", stage.value, what)


def _is_about_the_end(error: BaseException | None) -> bool:
    """Whether it says no more than that the client is gone, which is nobody's mistake."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_about_the_end, error.exceptions))
    return error is not None and (
        isinstance(error, StreamClosedError)
        or _is_about_the_end(error.__cause__)
        or _is_about_the_end(error.__context__)
    )


def scope_of(request: HTTPServerRequest, state: dict[str, Any]) -> Scope:
    """What a foreign application is told of ``request`` (ASGI, "HTTP & WebSocket", connection
    scope). ``path`` is the whole one, ``root_path`` what of it leads to the application."""
    connection: Any = request.connection
    context = getattr(connection, "context", None)
    stream = getattr(connection, "stream", None)
    pairs = request.headers.wire_pairs()
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": request.version.removeprefix("HTTP/"),
        "method": request.method,
        "scheme": request.protocol,
        "path": unquote(request.path),
        "raw_path": request.path.encode("latin-1"),
        "query_string": request.query.encode("latin-1"),
        "root_path": unquote(request.root_path),
        "headers": [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in pairs],
        "client": _client(request.remote_ip, getattr(context, "address", None)),
        "server": _server(stream),
        "state": state.copy(),
        "extensions": {name: {} for name in EXTENSIONS},
    }


def _client(ip: Any, address: Any) -> tuple[str, int] | None:
    """Of whom a proxy tells only the address, the port is not known: 0."""
    if ip is None or not address or isinstance(address, (str, bytes)):
        return None
    return ip, address[1] if address[0] == ip else 0


def _server(stream: Any) -> tuple[str, int | None] | None:
    """Where the connection came in: host and port, or the path of a socket."""
    name = None if stream is None else stream.get_extra_info("sockname")
    if isinstance(name, tuple):
        return name[0], name[1]
    return (name, None) if isinstance(name, str) and name else None
