"""ServedRequest: one request that came over ASGI, told to a delegate as the contract says.

It does what ``http1connection`` does for a connection of our own: the delegate is called in its
legal order, each call when the awaitable of the one before is done, and is told of exactly one end.
Made by ``ASGIApplication``. There are two jobs: to receive, which tells the delegate, and then
listens for the client's going away, is a task of its own; and to send what has been written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from tornadoish.asgi.connection import ASGIConnection, Out
from tornadoish.asgi.types import Receive, Scope, Send
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPServerConnectionDelegate,
    RequestStartLine,
)
from tornadoish.httputil.abnf import DIGITS, is_host, is_token
from tornadoish.iostream import StreamClosedError
from tornadoish.log import app_log, gen_log
from tornadoish.util import as_coroutine
from tornadoish.web.foreign import answer_error
from tornadoish.web.tasks import run_in_task


class ServedRequest:
    """One request; it is also what stands for the connection in ``start_request``."""

    def __init__(
        self,
        delegate: HTTPServerConnectionDelegate,
        scope: Scope,
        target: str,
        receive: Receive,
        send: Send,
        max_body_size: int,
    ) -> None:
        self._target = target
        self._server_delegate = delegate
        self._scope = scope
        self._receive = receive
        self._send = send
        self.connection = ASGIConnection(scope, max_body_size)
        self._size = 0  # bytes of the body that have come
        # What is waited for, if it may be given up: not an awaitable of the delegate's.
        self._listening = False
        self._stopped = False
        self._waited_for: asyncio.Future[Any] | None = None  # that awaitable

    async def run(self) -> None:
        """Receive, and send, until the answer has been sent or nobody is there any more."""
        connection = self.connection
        receiving: asyncio.Task[None] | None = None
        try:
            try:
                line, headers = head_of(self._scope, self._target)
            except HTTPInputError as error:
                self._refuse(error)
            else:
                connection.set_body_follows(_may_have_body(self._scope, headers))
                receiving = run_in_task(self._receive_all(line, headers))
            await self._send_all()
        except BaseException:
            # The host has cancelled us: whoever works on the answer is not to go on.
            connection.gone()
            if self._waited_for is not None:
                self._waited_for.cancel()
            connection.cancel_task()
            raise
        finally:
            await self._stop(receiving)

    async def _stop(self, receiving: asyncio.Task[None] | None) -> None:
        """Let the job of receiving come to its end, and the delegate to its own."""
        connection = self.connection
        self._stopped = True
        connection.let_body_go()
        if receiving is not None:
            if self._listening:
                receiving.cancel()
            if not receiving.done():
                await asyncio.wait([receiving])
            if not receiving.cancelled() and receiving.exception() is not None:
                app_log.error("ASGI: cannot receive", exc_info=receiving.exception())
        self._end_delegate()
        if connection.out is Out.GONE and connection.cancel_on_close:
            connection.cancel_task()

    def _end_delegate(self) -> None:
        connection = self.connection
        if connection.delegate is not None:
            connection.set_close_callback(None)  # one of its two ears is told
            connection.variables.run(connection.end_delegate)

    # -- receiving

    async def _receive_all(self, line: RequestStartLine, headers: HTTPHeaders) -> None:
        """Tell the delegate of the request; then listen, if the answer takes its time."""
        connection = self.connection
        try:
            await self._wait(connection.variables.run(self._begin, line, headers))
            self._check_length(headers)
            more = True
            while more and self._goes_on():
                more = await self._receive_piece()
            if self._goes_on():
                connection.set_body_follows(False)
                delegate, connection.delegate = connection.delegate, None
                if delegate is not None:
                    await self._wait(connection.variables.run(delegate.finish))
        except HTTPInputError as error:
            self._refuse(error)
        except (asyncio.CancelledError, StreamClosedError):
            if self._stopped or connection.out is Out.GONE:
                return  # that is why
            self._delegate_failed()
        except Exception:
            self._delegate_failed()
        if connection.out in (Out.HEAD, Out.BODY):
            await self._listen()

    def _begin(self, line: RequestStartLine, headers: HTTPHeaders) -> Awaitable[None] | None:
        connection = self.connection
        delegate = self._server_delegate.start_request(self, connection)
        connection.delegate = delegate
        return delegate.headers_received(line, headers)

    def _goes_on(self) -> bool:
        """Whether the delegate is still to be told, and there is somebody to be answered."""
        return not self._stopped and self.connection.out in (Out.HEAD, Out.BODY)

    def _check_length(self, headers: HTTPHeaders) -> None:
        """Refuse what is known to be too much before it comes."""
        length = headers.index().get("content-length")
        if length is not None and self._goes_on():
            self._check_size(int(length))

    def _check_size(self, size: int) -> None:
        limit = self.connection.max_body_size
        if limit is not None and size > limit:
            raise HTTPInputError("Request body too large", 413)

    async def _receive_piece(self) -> bool:
        """One event. Returned is whether more of the body is to come."""
        connection = self.connection
        self._listening = True
        try:
            async with asyncio.timeout_at(connection.body_deadline):
                event = await self._receive()
        except TimeoutError:
            raise HTTPInputError("The body took too long", 408) from None
        finally:
            self._listening = False
        if event["type"] != "http.request":
            connection.gone()
            return False
        body = event.get("body", b"")
        if body and self._goes_on() and connection.delegate is not None:
            self._size += len(body)
            self._check_size(self._size)
            receive = connection.delegate.data_received
            await self._wait(connection.variables.run(receive, bytes(body)))
        return bool(event.get("more_body", False))

    async def _wait(self, pending: Awaitable[None] | None) -> None:
        """Wait for what a delegate has returned."""
        if pending is None:
            return
        if asyncio.isfuture(pending):
            future: asyncio.Future[None] = pending
        else:
            coroutine = as_coroutine(pending)
            loop = asyncio.get_running_loop()
            future = loop.create_task(coroutine, context=self.connection.variables)
        self._waited_for = future
        try:
            await future
        finally:
            self._waited_for = None

    async def _listen(self) -> None:
        """All of the request has come: only that its client goes away is still to be heard."""
        self._listening = True
        try:
            while self._goes_on():
                event = await self._receive()
                if event["type"] == "http.disconnect":
                    self.connection.gone()
        finally:
            self._listening = False

    # -- what goes wrong

    def _delegate_failed(self) -> None:
        app_log.error("Uncaught exception in a message delegate", exc_info=True)
        self._refuse(HTTPInputError("Internal Server Error", 500))

    def _refuse(self, error: HTTPInputError) -> None:
        """What has come cannot be taken: say so to the client where that is possible."""
        connection = self.connection
        if error.status != 500:  # else it is our fault, and has been logged
            gen_log.info("Malformed request from %s: %s", connection.context, error.message)
        self._end_delegate()
        if connection.out is Out.HEAD:
            answer_error(connection, error.status)
            connection.refuse_writers()
        else:
            connection.abort()
        if connection.cancel_on_close:
            connection.cancel_task()

    # -- sending

    async def _send_all(self) -> None:
        """Send what is written until there will be no more."""
        connection = self.connection
        events = connection.events
        while True:
            while events:
                event, sent = events.popleft()
                try:
                    await self._send(event)
                except OSError:  # ASGI, 2.4: this says that the client is gone
                    events.appendleft((event, sent))
                    connection.gone()
                    return
                if not sent.done():
                    sent.set_result(None)
            if connection.out not in (Out.HEAD, Out.BODY):
                return
            await connection.wait()


def head_of(scope: Scope, target: str) -> tuple[RequestStartLine, HTTPHeaders]:
    """Start line and fields of a request. Hosts are not equally strict: what our own reader would
    refuse is refused here, too.

    :raises HTTPInputError: not a request.
    """
    headers = HTTPHeaders()
    for name, value in scope["headers"]:
        headers.add(bytes(name).decode("latin-1"), bytes(value).decode("latin-1").strip(" \t"))
    hosts = headers.get_list("Host")
    if len(hosts) > 1 or not all(map(is_host, hosts)):
        raise HTTPInputError("Malformed Host")
    length = headers.index().get("content-length")
    if length is not None and DIGITS.fullmatch(length) is None:
        raise HTTPInputError("Malformed Content-Length")
    method = scope["method"]
    if not is_token(method):
        raise HTTPInputError("Malformed method")
    return RequestStartLine(method, target, f"HTTP/{scope['http_version']}"), headers


def _may_have_body(scope: Scope, headers: HTTPHeaders) -> bool:
    fields = headers.index()
    length = fields.get("content-length")
    if length is not None:
        return int(length) > 0
    # RFC 9112, 6.3: without either field there is none; later versions need none of them.
    return "transfer-encoding" in fields or not scope["http_version"].startswith("1")
