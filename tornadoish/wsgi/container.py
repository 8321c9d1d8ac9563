"""WSGIContainer: a WSGI application as a target of routes and as what a server serves.

It stands between two worlds: the event loop, where requests arrive and answers leave, and threads,
in which the application runs. The life of a request:

1. A delegate is told of the request. Its body is fed into an ``IncomingBody``.
2. When the body is there, or as much of it as may be held, a thread is asked for: so a client that
   is slow to send a form keeps none. If too many requests wait for a thread, the answer is a 503.
3. A ``Call`` runs the application there. It reads what is there of the body, and waits for more.
4. Its answer goes into an ``Outgoing``, and from there, by a task in the loop, to the connection.
   A client that takes it slowly makes the thread wait (but not for a file, which is sent without
   one); how slow it may be is for the connection to say.

(Interface: Tornado, wsgi.WSGIContainer.)
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextvars import copy_context
from time import time
from typing import TYPE_CHECKING, Any

from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.iostream import StreamClosedError
from tornadoish.log import app_log
from tornadoish.routing import Router, _CallableAdapter
from tornadoish.web.foreign import answer_error, fields_of_answer, log_request
from tornadoish.web.static.sending import send_file
from tornadoish.web.tasks import run_in_task
from tornadoish.wsgi.call import Call
from tornadoish.wsgi.environ import environ_of
from tornadoish.wsgi.files import FileWrapper
from tornadoish.wsgi.outgoing import AnswerHead

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: threads of a container that has not been given any
THREADS = min(32, (os.cpu_count() or 1) + 4)
#: requests that may wait for a thread
MAX_WAITING = 256
#: seconds after which a client that was turned away may come back
RETRY_SECONDS = 1


class WSGIContainer(Router):
    """Makes a WSGI application answer requests. Use it as the target of a rule, which may be a
    ``Mount``, or as an :class:`HTTPServer`'s ``request_callback``; there bodies of any size pass
    through. In a ``FallbackHandler`` it works too, with bodies that are collected first.

    :param wsgi_application: see PEP 3333. It must be prepared to run in several threads at once.
    :param executor: who runs it; None: ``threads`` threads of its own.
    :param threads: how many, if ``executor`` is None (ours alone, not Tornado's).
    :param max_waiting: requests that may wait for a thread; those that come then are answered with
        a 503 (ours alone, not Tornado's).
    """

    def __init__(
        self,
        wsgi_application: WSGIApplication,
        executor: Executor | None = None,
        *,
        threads: int = THREADS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self.wsgi_application = wsgi_application
        self.threads = threads
        self.max_waiting = max_waiting
        self._executor = executor
        self._own_executor: ThreadPoolExecutor | None = None
        self._waiting = 0  # calls that no thread has taken yet
        self._counting = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def executor(self) -> Executor:
        """Who runs the application."""
        if self._executor is not None:
            return self._executor
        if self._own_executor is None:  # not before it is needed: threads do not survive a fork
            self._own_executor = ThreadPoolExecutor(self.threads, "wsgi")
        return self._own_executor

    async def cleanup(self) -> None:
        """The last request is over: threads of its own end."""
        executor, self._own_executor = self._own_executor, None
        if executor is not None:
            executor.shutdown(wait=False)

    # -- requests

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate:
        """A delegate that answers ``request``, body and all, by the application."""
        cls = type(self)
        if (cls.__call__, cls.handle_request) == _OWN_WAYS:
            return _WSGIDelegate(self, request)
        adapter = _CallableAdapter(self, request.connection)  # overridden: it wants to be called
        adapter.root_path = request.root_path
        return adapter

    def __call__(self, request: HTTPServerRequest) -> None:
        """Answer a request that is there as a whole (Tornado's interface)."""
        self._hold(self.handle_request(request))

    async def handle_request(self, request: HTTPServerRequest) -> None:
        """The same; done when the answer has been finished, or cannot be."""
        call = Call(self.wsgi_application)
        if request.body:
            call.incoming.feed(request.body)
        call.incoming.end()
        if self.is_full:
            self.refuse(request)
        else:
            await self.answer(request, call)

    def start(self, request: HTTPServerRequest, call: Call) -> None:
        """Answer a request by ``call``, to which its body goes."""
        self._hold(self.answer(request, call))

    def _hold(self, coroutine: Any) -> None:
        task = run_in_task(coroutine)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @property
    def is_full(self) -> bool:
        """Whether as many requests wait for a thread as may."""
        return self._waiting >= self.max_waiting

    def refuse(self, request: HTTPServerRequest) -> None:
        """There is no place for this request: 503."""
        answer_error(request.connection, 503, Retry_After=str(RETRY_SECONDS))
        self._finished(503, request)

    async def answer(self, request: HTTPServerRequest, call: Call) -> None:
        """Run the application in a thread and send what it answers."""
        connection = request.connection
        connection.set_close_callback(call.cut)
        task = asyncio.current_task()
        if task is not None and isinstance(connection, HTTPConnection):
            connection.worked_on_by(task)
        try:
            self._begin(request, call)
            status = await _send_answer(call, connection)
        except StreamClosedError:
            return
        except Exception:
            app_log.error("A WSGI answer cannot be sent", exc_info=True)
            connection.abort()
            return
        except BaseException:
            connection.abort()
            raise
        finally:
            call.cut()
            if call.file is not None:
                self._close_in_thread(call)
        self._finished(status, request)

    def _begin(self, request: HTTPServerRequest, call: Call) -> None:
        try:
            self._run_in_thread(call, self._environ(request, call))
        except Exception as error:
            app_log.error("A WSGI application cannot be called", exc_info=True)
            call.outgoing.end(error)

    def _environ(self, request: HTTPServerRequest, call: Call) -> dict[str, Any]:
        environ = self.environ(request)
        environ["wsgi.input"] = call.incoming.open()
        environ["wsgi.file_wrapper"] = FileWrapper
        if self._executor is None:
            environ["wsgi.multithread"] = self.threads > 1
        return environ

    @staticmethod
    def environ(request: HTTPServerRequest) -> dict[str, Any]:
        """The WSGI environment for ``request`` (Tornado: both a static method and a plain one, as
        of its version). Override it to add to it."""
        return environ_of(request)

    def _finished(self, status: int, request: HTTPServerRequest) -> None:
        request._finish_time = time()
        self._log(status, request)

    def _log(self, status_code: int, request: HTTPServerRequest) -> None:
        """Log a finished request; override for one's own way (Tornado's private name for it)."""
        log_request(status_code, request)

    # -- threads

    def _run_in_thread(self, call: Call, environ: dict[str, Any]) -> None:
        waits = True

        def leave_queue() -> None:
            nonlocal waits
            with self._counting:
                if waits:
                    waits = False
                    self._waiting -= 1

        def run() -> None:
            leave_queue()
            call.run(environ)

        def settled(future: Future[None]) -> None:
            leave_queue()
            if future.cancelled():  # the executor has been shut down
                call.outgoing.end(CancelledError())

        with self._counting:
            self._waiting += 1
        try:
            future = self.executor.submit(copy_context().run, run)
        except BaseException:
            leave_queue()
            raise
        future.add_done_callback(settled)

    def _close_in_thread(self, call: Call) -> None:
        try:
            self.executor.submit(call.close)
        except RuntimeError:  # it takes nothing more
            call.close()


_OWN_WAYS = (WSGIContainer.__call__, WSGIContainer.handle_request)


async def _send_answer(call: Call, connection: Any) -> int:
    """Send what comes of ``call``, and return its status.

    :raises StreamClosedError: the client is gone, or was told that the answer is incomplete.
    :raises HTTPOutputError: it cannot be sent.
    """
    outgoing = call.outgoing
    piece, ended = await outgoing.take()
    head = outgoing.head
    if outgoing.is_cut:
        raise StreamClosedError()
    if head is None or (outgoing.failure is not None and not piece):
        outgoing.close()
        answer_error(connection, 500)
        return 500
    written = _write_head(connection, head, piece)
    sent = len(piece)
    # As soon as all is there that was announced, nobody has to wait for the thread to say so.
    while not ended and sent != head.length:
        await written
        piece, ended = await outgoing.take()
        sent += len(piece)
        if piece:
            written = connection.write(piece)
    if outgoing.failure is not None and sent != head.length:
        connection.abort()
        raise StreamClosedError()
    if call.file is not None:
        await send_file(connection, *call.file)
    outgoing.close()
    connection.finish()
    return head.status


def _write_head(connection: Any, head: AnswerHead, piece: bytes) -> Awaitable[None]:
    headers = fields_of_answer(head.fields)
    if head.length is not None:
        headers.set_missing("Content-Length", "content-length", str(head.length))
    line = ResponseStartLine("", head.status, head.reason)
    written: Awaitable[None] = connection.write_headers(line, headers, piece or None)
    return written


class _WSGIDelegate(HTTPMessageDelegate):
    """Feeds the body of a request, and asks for a thread when that is worth it."""

    __slots__ = ("_call", "_container", "_request", "_started")

    def __init__(self, container: WSGIContainer, request: HTTPServerRequest) -> None:
        self._container = container
        self._request = request
        self._call = Call(container.wsgi_application)
        self._started = False

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        if self._container.is_full:
            self._started = True
            self._container.refuse(self._request)
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        body = self._call.incoming
        room = body.feed(chunk)
        if not self._started and body.is_worth_a_thread:
            self._start()
        return room

    def finish(self) -> None:
        self._call.incoming.end()
        if not self._started:
            self._start()

    def _start(self) -> None:
        self._started = True
        self._container.start(self._request, self._call)

    def on_connection_close(self) -> None:
        self._call.cut()
