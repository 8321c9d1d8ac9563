"""Test cases for unittest: a loop, a server, a client (Tornado: tornado.testing).

They work with any runner of unittest's classes. For pytest's functions there are fixtures instead.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
import unittest
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from tornadoish.httpserver import HTTPServer
from tornadoish.netutil import bind_sockets
from tornadoish.testing.certificate import certificate_files
from tornadoish.testing.client import HTTPTestClient
from tornadoish.testing.messages import HTTPResponse
from tornadoish.testing.running import LoopAdapter, get_async_test_timeout
from tornadoish.testing.serving import end_server

T = TypeVar("T")


def bind_unused_port(
    reuse_port: bool = False, address: str = "127.0.0.1"
) -> tuple[socket.socket, int]:
    """A socket that listens on a port that nobody uses, and the port.

    Source: Tornado: tornado.testing.bind_unused_port.
    """
    sock = bind_sockets(0, address, family=socket.AF_INET, reuse_port=reuse_port)[0]
    return sock, sock.getsockname()[1]


def setup_with_context_manager(testcase: unittest.TestCase, cm: AbstractContextManager[T]) -> T:
    """Enter ``cm`` now and leave it when the test is over; for use in ``setUp``.

    :returns: what entering it gives.

    Source: Tornado: tornado.testing.setup_with_context_manager.
    """
    return testcase.enterContext(cm)


class AsyncTestCase(unittest.TestCase):
    """A test case with a loop of its own for each test: ``io_loop`` and ``asyncio_loop``.

    The loop runs in :func:`gen_test`, in :meth:`wait`, and in ``self.io_loop.run_sync``. What a
    test has left running is cancelled behind it; whatever else than that ends it is raised.
    """

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self.__stopped = False
        self.__result: Any = None

    def setUp(self) -> None:
        super().setUp()
        self.io_loop = self.get_new_ioloop()
        self.asyncio_loop: asyncio.AbstractEventLoop = self.io_loop.asyncio_loop
        asyncio.set_event_loop(self.asyncio_loop)

    def tearDown(self) -> None:
        try:
            self.__end_tasks()
            self.asyncio_loop.run_until_complete(self.asyncio_loop.shutdown_asyncgens())
            self.asyncio_loop.run_until_complete(self.asyncio_loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self.io_loop.close(all_fds=True)
        super().tearDown()

    def __end_tasks(self) -> None:
        tasks = asyncio.all_tasks(self.asyncio_loop)
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        self.asyncio_loop.run_until_complete(asyncio.wait(tasks))
        for task in tasks:
            if not task.cancelled():
                task.result()

    def get_new_ioloop(self) -> Any:
        """The loop of a test, as a :class:`LoopAdapter` or an IOLoop of Tornado's.

        To be overridden for another loop than asyncio's: ``return LoopAdapter(uvloop.new_event_loop
        ())``. It is closed behind the test.
        """
        return LoopAdapter(asyncio.new_event_loop())

    def _callTestMethod(self, method: Callable[[], Any]) -> None:
        # unittest only warns: a test that was never awaited would pass.
        result = method()
        if inspect.isgenerator(result) or inspect.iscoroutine(result):
            result.close()
            raise TypeError(
                "Generator and coroutine test methods should be decorated with "
                "tornadoish.testing.gen_test"
            )
        if result is not None:
            raise ValueError(f"Return value from test method ignored: {result!r}")

    def stop(self, _arg: Any = None, **kwargs: Any) -> None:
        """Let :meth:`wait`, now or when it is called next, return the argument, or the dict of
        keyword arguments. (New tests are better off with :func:`gen_test`.)

        :raises TypeError: there are both.
        """
        if _arg is not None and kwargs:
            raise TypeError("an argument, or keyword arguments, but not both")
        self.__result = kwargs or _arg
        self.__stopped = True
        self.io_loop.stop()

    def wait(
        self, condition: Callable[..., bool] | None = None, timeout: float | None = None
    ) -> Any:
        """Run the loop until :meth:`stop` is called and, if given, ``condition()`` holds.

        :param timeout: seconds, by default those of :func:`get_async_test_timeout`; 0: for ever.
        :returns: what ``stop`` was given.
        :raises AssertionError: (``failureException``) it took longer.
        """
        limit = get_async_test_timeout() if timeout is None else timeout
        expired: list[bool] = []

        def expire() -> None:
            expired.append(True)
            self.asyncio_loop.stop()

        timer = self.asyncio_loop.call_later(limit, expire) if limit else None
        try:
            while not self.__stopped or (condition is not None and not condition()):
                self.__stopped = False
                self.asyncio_loop.run_forever()
                if expired:
                    raise self.failureException(f"Async operation timed out after {limit} seconds")
        finally:
            if timer is not None:
                timer.cancel()
        self.__stopped = False
        result, self.__result = self.__result, None
        return result


class AsyncHTTPTestCase(AsyncTestCase):
    """A test case that serves an application on a free port of 127.0.0.1.

    ::

        class HomeTest(AsyncHTTPTestCase):
            def get_app(self):
                return make_app()

            def test_home(self):
                response = self.fetch("/")
                self.assertEqual(response.code, 200)

    ``http_server`` is the :class:`HTTPServer`, ``http_client`` a :class:`HTTPTestClient`, and
    :func:`gen_test` methods ask by ``await self.http_client.fetch(self.get_url("/"))``.
    """

    def setUp(self) -> None:
        super().setUp()
        sock, self.__port = bind_unused_port()
        try:
            self.http_client = self.get_http_client()
            self._app = self.get_app()
            self.http_server = self.get_http_server()
            self.io_loop.run_sync(self.http_server.start_application, get_async_test_timeout())
        except BaseException:
            sock.close()
            AsyncTestCase.tearDown(self)  # unittest calls none when setUp fails
            raise
        self.http_server.add_sockets([sock])

    def tearDown(self) -> None:
        server = self.http_server
        self.io_loop.run_sync(lambda: end_server(server), timeout=get_async_test_timeout())
        self.http_client.close()
        del self.http_server
        del self._app
        super().tearDown()

    def get_app(self) -> Any:
        """The ``Application`` (or other callback of a :class:`HTTPServer`) to be tested; to be
        overridden."""
        raise NotImplementedError

    def get_http_client(self) -> Any:
        """What :meth:`fetch` asks: anything with ``fetch`` and ``close`` as Tornado's client has
        them, that one too."""
        return HTTPTestClient()

    def get_http_server(self) -> HTTPServer:
        """The server; by default one with :meth:`get_httpserver_options`."""
        return HTTPServer(self._app, **self.get_httpserver_options())

    def get_httpserver_options(self) -> dict[str, Any]:
        """Options of the :class:`HTTPServer`; may be overridden."""
        return {}

    def get_http_port(self) -> int:
        """The server's port: another one for each test."""
        return self.__port

    def get_protocol(self) -> str:
        """The scheme of the server's URLs."""
        return "http"

    def get_url(self, path: str) -> str:
        """The absolute URL of a path on the server."""
        return f"{self.get_protocol()}://127.0.0.1:{self.get_http_port()}{path}"

    def fetch(self, path: str, raise_error: bool = False, **kwargs: Any) -> HTTPResponse:
        """Ask the server for ``path``, run the loop, and return the answer.

        :param path: with its query; or a whole URL, which is asked as it is.
        :param raise_error: whether an answer that is not one of success is raised.
        :param kwargs: attributes of :class:`HTTPRequest`.
        :raises TimeoutError: there was no answer within :func:`get_async_test_timeout`.

        The other errors are those of :meth:`HTTPTestClient.fetch`.
        """
        whole = path.lower().startswith(("http://", "https://"))
        url = path if whole else self.get_url(path)
        response: HTTPResponse = self.io_loop.run_sync(
            lambda: self.http_client.fetch(url, raise_error=raise_error, **kwargs),
            timeout=get_async_test_timeout(),
        )
        return response


class AsyncHTTPSTestCase(AsyncHTTPTestCase):
    """The same over TLS, with a certificate that is made for the occasion.

    ``fetch`` does not look at it, unless asked to: ``validate_cert=True`` with
    ``ca_certs=self.get_ssl_options()["certfile"]``.
    """

    def get_http_client(self) -> Any:
        return HTTPTestClient(defaults={"validate_cert": False})

    def get_httpserver_options(self) -> dict[str, Any]:
        return {"ssl_options": self.get_ssl_options()}

    def get_ssl_options(self) -> dict[str, Any]:
        """Options of TLS; may be overridden."""
        return self.default_ssl_options()

    @staticmethod
    def default_ssl_options() -> dict[str, Any]:
        """A self-signed certificate for ``localhost``, 127.0.0.1 and ::1, another one in each
        process."""
        certificate, key = certificate_files()
        return {"certfile": certificate, "keyfile": key}

    def get_protocol(self) -> str:
        return "https"
