"""Test cases in the manner of Tornado's documentation; test_testing_unittest.py runs them, over
Tornado's classes and over ours: ``python testing_cases.py tornadoish``. What each comes to is
printed as JSON: "" for a success, or the type of what was raised and its message.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import socket
import ssl
import sys
import time
import unittest
import urllib.parse
from typing import Any

NAME = os.environ.get("TESTING_CASES", "tornadoish")
testing: Any = importlib.import_module(f"{NAME}.testing")
web: Any = importlib.import_module(f"{NAME}.web")
httputil: Any = importlib.import_module(f"{NAME}.httputil")
# Where Tornado has what a client of ours has in tornadoish.testing.
httpclient: Any = testing if NAME == "tornadoish" else importlib.import_module("tornado.httpclient")
simple: Any = (
    testing if NAME == "tornadoish" else importlib.import_module("tornado.simple_httpclient")
)
gen_test = testing.gen_test
log = logging.getLogger("tornado.application")


class Echo(web.RequestHandler):
    """Says what it was asked."""

    SUPPORTED_METHODS = (*web.RequestHandler.SUPPORTED_METHODS, "BREW")

    def prepare(self) -> None:
        self.set_header("X-Header", "value")
        self.add_header("X-Twice", "1")
        self.add_header("X-Twice", "2")
        names = ("Accept-Encoding", "Authorization", "Content-Type", "Connection", "Cookie", "Host",
                 "If-Modified-Since", "X-Sent", "Content-Length", "Transfer-Encoding")  # fmt: skip
        request = self.request
        self.finish({
            "method": request.method,
            "uri": request.uri,
            "body": request.body.decode(),
            "args": {k: [v.decode() for v in vs] for k, vs in request.arguments.items()},
            "headers": {n: request.headers[n] for n in names if n in request.headers},
        })  # fmt: skip


class Redirect(web.RequestHandler):
    def prepare(self) -> None:
        self.set_status(int(self.get_query_argument("code")))
        self.set_header("Location", self.get_query_argument("to"))
        self.finish()


class Forever(web.RequestHandler):
    async def get(self) -> None:
        await asyncio.Event().wait()


class HangUp(web.RequestHandler):
    def get(self) -> None:
        self.request.connection.stream.close()


class Pieces(web.RequestHandler):
    async def get(self) -> None:
        for piece in ("a" * 1000, "b" * 1000):
            self.write(piece)
            await self.flush()


class Fails(web.RequestHandler):
    def get(self) -> None:
        raise ValueError("as it must")


def make_app(**settings: Any) -> Any:
    return web.Application(
        [("/echo.*", Echo), ("/redirect", Redirect), ("/forever", Forever), ("/hangup", HangUp),
         ("/pieces", Pieces), ("/fails", Fails)],
        log_function=lambda handler: None,
        **settings,
    )  # fmt: skip


class Loops(testing.AsyncTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.set_up = True

    def test_each_test_has_a_loop(self) -> None:
        self.assertTrue(self.set_up)
        self.assertIsInstance(self.io_loop.asyncio_loop, asyncio.AbstractEventLoop)
        self.assertFalse(self.io_loop.asyncio_loop.is_running())

    @gen_test
    async def test_coroutine(self) -> None:
        self.assertIs(asyncio.get_running_loop(), self.io_loop.asyncio_loop)
        await asyncio.sleep(0)

    @gen_test
    def test_generator(self) -> Any:
        async def answer(number: int) -> int:
            await asyncio.sleep(0)
            return number

        first = yield answer(1)
        self.assertEqual(first, 1)
        self.assertEqual((yield [answer(2), answer(3)]), [2, 3])
        self.assertEqual((yield {"a": answer(4)}), {"a": 4})
        yield None
        with self.assertRaises(ZeroDivisionError):
            yield self.io_loop.run_in_executor(None, lambda: 1 / 0)

    @gen_test
    def test_plain(self) -> None:
        self.assertTrue(self.io_loop.asyncio_loop.is_running())

    @gen_test(timeout=0.02)
    async def test_timeout(self) -> None:
        await asyncio.Event().wait()

    @gen_test(timeout=0.02)
    def test_timeout_of_a_generator(self) -> Any:
        yield asyncio.Event().wait()

    @gen_test
    async def test_error(self) -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    async def test_undecorated(self) -> None:
        raise AssertionError("never run")

    def test_undecorated_generator(self) -> Any:
        self.fail("never run")
        yield None

    def test_with_a_result(self) -> Any:
        self.assertFalse(self.io_loop.asyncio_loop.is_running())
        return 5

    @gen_test
    async def test_what_is_left_is_cancelled(self) -> None:
        self.left = asyncio.get_running_loop().create_task(asyncio.Event().wait())
        self.addCleanup(lambda: self.assertTrue(self.left.cancelled()))
        await asyncio.sleep(0)

    @gen_test
    async def test_what_is_left_and_fails(self) -> None:
        async def fail() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise KeyError("left")

        self.left = asyncio.get_running_loop().create_task(fail())
        await asyncio.sleep(0)

    def test_stop_and_wait(self) -> None:
        self.io_loop.add_callback(self.stop, 7)
        self.assertEqual(self.wait(), 7)
        self.io_loop.call_later(0, self.stop, a=1)
        self.assertEqual(self.wait(timeout=4), {"a": 1})
        self.stop()
        self.assertIsNone(self.wait())

    def test_wait_for_a_condition(self) -> None:
        seen: list[int] = []

        def count() -> None:
            seen.append(1)
            self.io_loop.add_callback(count)
            self.stop(len(seen))

        self.io_loop.add_callback(count)
        self.assertGreaterEqual(self.wait(condition=lambda: len(seen) > 3), 4)

    def test_wait_for_nothing(self) -> None:
        self.wait(timeout=0.02)

    def test_run_sync(self) -> None:
        async def answer() -> int:
            return 3

        self.assertEqual(self.io_loop.run_sync(answer), 3)
        self.assertIsNone(self.io_loop.run_sync(lambda: None))
        with self.assertRaises(TimeoutError):
            self.io_loop.run_sync(asyncio.Event().wait, timeout=0.01)

    def test_what_tests_do_with_loops(self) -> None:
        async def later() -> None:
            order.append("coroutine")

        order: list[str] = []
        loop = self.io_loop
        loop.spawn_callback(later)
        loop.add_timeout(loop.time() + 0.02, lambda: (order.append("timeout"), self.stop()))
        loop.remove_timeout(loop.call_later(0.01, order.append, "removed"))
        loop.call_at(loop.time(), order.append, "at")
        future: asyncio.Future[int] = self.io_loop.asyncio_loop.create_future()
        loop.add_future(future, lambda done: order.append(f"future {done.result()}"))
        future.set_result(1)
        self.wait()
        self.assertEqual(sorted(order), ["at", "coroutine", "future 1", "timeout"])


class Fetching(testing.AsyncHTTPTestCase):
    def get_app(self) -> Any:
        return make_app()

    def ask(self, path: str = "/echo", **kwargs: Any) -> Any:
        response = self.fetch(path, **kwargs)
        self.assertEqual(response.code, 200)
        return json.loads(response.body)

    def test_response(self) -> None:
        begun = time.time()
        response = self.fetch("/echo?a=1&a=%C3%A4")
        self.assertEqual((response.code, response.reason), (200, "OK"))
        self.assertIsInstance(response.headers, httputil.HTTPHeaders)
        self.assertEqual(response.headers["X-Header"], "value")
        self.assertEqual(response.headers.get_list("X-Twice"), ["1", "2"])
        self.assertEqual(response.buffer.read(), response.body)
        self.assertIsInstance(response.body, bytes)
        self.assertEqual(response.effective_url, self.get_url("/echo?a=1&a=%C3%A4"))
        self.assertEqual(response.request.url, response.effective_url)
        self.assertTrue(0 < response.request_time < 5)
        self.assertTrue(begun <= response.start_time <= time.time())
        self.assertIsNone(response.error)
        self.assertIsNone(response.rethrow())
        self.assertIsInstance(response.time_info, dict)
        self.assertEqual(json.loads(response.body)["args"], {"a": ["1", "ä"]})

    def test_names(self) -> None:
        self.assertEqual(self.get_protocol(), "http")
        port = self.get_http_port()
        self.assertEqual(self.get_url("/a"), f"http://127.0.0.1:{port}/a")
        self.assertIs(self._app, self.http_server.request_callback)
        self.assertEqual(self.get_httpserver_options(), {})

    def test_what_is_sent(self) -> None:
        self.assertEqual(self.ask(), {
            "method": "GET", "uri": "/echo", "body": "", "args": {},
            "headers": {"Accept-Encoding": "gzip", "Connection": "close",
                        "Host": f"127.0.0.1:{self.get_http_port()}"},
        })  # fmt: skip

    def test_a_form(self) -> None:
        said = self.ask(method="POST", body=urllib.parse.urlencode({"a": "b c"}))
        self.assertEqual(said["args"], {"a": ["b c"]})
        headers = said["headers"]
        self.assertEqual(headers["Content-Type"], "application/x-www-form-urlencoded")
        self.assertEqual(headers["Content-Length"], "5")

    def test_bodies(self) -> None:
        for method in ("POST", "PUT", "PATCH"):
            self.assertEqual(self.ask(method=method, body="ä")["body"], "ä")
            self.assertEqual(self.ask(method=method, body=b"")["headers"]["Content-Length"], "0")
        headers = self.ask(method="PUT", body="{}")["headers"]
        self.assertNotIn("Content-Type", headers)

    def test_methods(self) -> None:
        for method in ("DELETE", "OPTIONS"):
            self.assertEqual(self.ask(method=method)["method"], method)
        response = self.fetch("/echo", method="HEAD")
        self.assertEqual((response.code, response.body), (200, b""))
        for method, body in (("POST", None), ("GET", b"x"), ("DELETE", "x")):
            with self.assertRaisesRegex(ValueError, "^Body must "):
                self.fetch("/echo", method=method, body=body)
        with self.assertRaises(KeyError):
            self.fetch("/echo", method="BREW")
        said = self.ask(method="BREW", body="x", allow_nonstandard_methods=True)
        self.assertEqual((said["method"], said["body"]), ("BREW", "x"))
        said = self.ask(method="POST", allow_nonstandard_methods=True)
        self.assertEqual((said["method"], said["body"]), ("POST", ""))

    def test_headers(self) -> None:
        for headers in ({"X-Sent": "a", "Cookie": "c=d"},
                        httputil.HTTPHeaders({"X-Sent": "a", "Cookie": "c=d"})):  # fmt: skip
            said = self.ask(headers=headers)["headers"]
            self.assertEqual((said["X-Sent"], said["Cookie"]), ("a", "c=d"))
        self.assertEqual(self.ask(headers={"Host": "b"})["headers"]["Host"], "b")
        given = {"Connection": "keep-alive"}
        self.assertEqual(self.ask(headers=given)["headers"]["Connection"], "keep-alive")
        self.assertEqual(given, {"Connection": "keep-alive"})

    def test_authentication(self) -> None:
        said = self.ask(auth_username="me", auth_password="so:it")
        self.assertEqual(said["headers"]["Authorization"], "Basic bWU6c286aXQ=")
        said = self.ask(auth_username="me", auth_mode="basic")
        self.assertEqual(said["headers"]["Authorization"], "Basic bWU6")

    def test_conditions(self) -> None:
        said = self.ask(if_modified_since=86400)
        self.assertEqual(said["headers"]["If-Modified-Since"], "Fri, 02 Jan 1970 00:00:00 GMT")

    def test_the_path_is_sent_as_it_is(self) -> None:
        for path in ("/echo/../echo", "/echo//a", "/echo/%2e%2F", "/echo?a=%20b", "/echo?"):
            self.assertEqual(self.ask(path)["uri"], path.rstrip("?"))
        # (An empty query is lost, in both.)

    def test_whole_urls(self) -> None:
        self.assertEqual(self.ask(self.get_url("/echo?whole"))["uri"], "/echo?whole")
        self.assertEqual(self.ask(self.get_url("/echo#fragment"))["uri"], "/echo")

    def test_errors_are_answers(self) -> None:
        response = self.fetch("/none")
        self.assertEqual((response.code, response.reason), (404, "Not Found"))
        self.assertIn(b"404", response.body)
        self.assertEqual(response.error.code, 404)
        self.assertIs(response.error.response, response)
        self.assertEqual(str(response.error), "HTTP 404: Not Found")
        with self.assertRaises(httpclient.HTTPClientError):
            response.rethrow()

    def test_errors_are_raised_if_asked_for(self) -> None:
        with self.assertRaises(httpclient.HTTPClientError) as caught:
            self.fetch("/none", raise_error=True)
        self.assertEqual(caught.exception.response.code, 404)

    def test_redirects(self) -> None:
        for code, method, becomes in (
            (301, "GET", "GET"), (302, "GET", "GET"), (301, "POST", "GET"), (302, "POST", "GET"),
            (303, "POST", "GET"), (303, "PUT", "GET"), (303, "DELETE", "GET"),
            (307, "POST", "POST"), (308, "POST", "POST"), (302, "PUT", "PUT"),
        ):  # fmt: skip
            body = "x" if method in ("POST", "PUT") else None
            path = f"/redirect?code={code}&to=/echo"
            response = self.fetch(path, method=method, body=body, headers={"Cookie": "a=b"})
            said = json.loads(response.body)
            self.assertEqual(said["method"], becomes)
            self.assertEqual(said["body"], "" if becomes == "GET" else "x")
            self.assertEqual("Content-Length" in said["headers"], becomes != "GET")
            self.assertEqual("Content-Type" in said["headers"], becomes == "POST")
            self.assertEqual(said["headers"]["Cookie"], "a=b")
            self.assertEqual(response.effective_url, self.get_url("/echo"))
            self.assertEqual(response.request.url, self.get_url(path))

    def test_redirects_not_followed(self) -> None:
        response = self.fetch("/redirect?code=302&to=/echo", follow_redirects=False)
        self.assertEqual((response.code, response.headers["Location"]), (302, "/echo"))
        self.assertEqual(response.error.code, 302)
        again = "/redirect?" + urllib.parse.urlencode(
            {"code": 302, "to": "/redirect?code=302&to=/echo"}
        )
        response = self.fetch(again, max_redirects=1)
        self.assertEqual(response.code, 302)
        response = self.fetch(again, max_redirects=2)
        self.assertEqual(response.code, 200)

    def test_redirects_to_others_carry_no_secrets(self) -> None:
        other = self.get_url("/echo").replace("127.0.0.1", "localhost")
        headers = {"Cookie": "a=b", "X-Sent": "c"}
        path = "/redirect?" + urllib.parse.urlencode({"code": 302, "to": other})
        said = self.ask(path, headers=headers, auth_username="me", auth_password="it")["headers"]
        self.assertNotIn("Cookie", said)
        self.assertNotIn("Authorization", said)
        self.assertEqual(said["X-Sent"], "c")

    def test_callbacks(self) -> None:
        pieces: list[bytes] = []
        lines: list[str] = []
        response = self.fetch(
            "/pieces", streaming_callback=pieces.append, header_callback=lines.append
        )
        self.assertEqual(b"".join(pieces), b"a" * 1000 + b"b" * 1000)
        self.assertEqual(response.body, b"")
        self.assertEqual(lines[0], "HTTP/1.1 200 OK\r\n")
        self.assertEqual(lines[-1], "\r\n")
        self.assertIn("Content-Type: text/html; charset=UTF-8\r\n", lines)

    def test_a_timeout(self) -> None:
        with self.assertRaises(simple.HTTPTimeoutError) as caught:
            self.fetch("/forever", request_timeout=0.05)
        self.assertEqual(caught.exception.code, 599)
        self.assertIn("Timeout during request", str(caught.exception))

    def test_a_server_that_hangs_up(self) -> None:
        with self.assertRaises(simple.HTTPStreamClosedError) as caught:
            self.fetch("/hangup")
        self.assertEqual(caught.exception.code, 599)

    def test_nobody_listens(self) -> None:
        sock, port = testing.bind_unused_port()
        sock.close()
        with self.assertRaises(ConnectionRefusedError):
            self.fetch(f"http://127.0.0.1:{port}/")

    def test_unknown_arguments(self) -> None:
        with self.assertRaises(TypeError):
            self.fetch("/echo", nonsense=1)

    def test_the_log_of_a_failure(self) -> None:
        with testing.ExpectLog(log, "Uncaught exception GET /fails") as expected:
            self.assertEqual(self.fetch("/fails").code, 500)
        self.assertTrue(expected.logged_stack)

    def test_what_is_not_answered_is_cut(self) -> None:
        self.io_loop.add_callback(lambda: self.http_client.fetch(self.get_url("/forever")))
        self.io_loop.call_later(0.02, self.stop)
        self.wait()

    @gen_test
    async def test_client(self) -> None:
        response = await self.http_client.fetch(self.get_url("/echo"))
        self.assertEqual(response.code, 200)
        with self.assertRaises(httpclient.HTTPClientError):
            await self.http_client.fetch(self.get_url("/none"))
        response = await self.http_client.fetch(self.get_url("/none"), raise_error=False)
        self.assertEqual(response.code, 404)
        request = httpclient.HTTPRequest(self.get_url("/echo"), method="POST", body="x")
        response = await self.http_client.fetch(request)
        self.assertEqual(json.loads(response.body)["body"], "x")
        with self.assertRaises((TypeError, ValueError)):
            await self.http_client.fetch(request, method="GET")

    @gen_test
    def test_client_by_yield(self) -> Any:
        responses = yield [self.http_client.fetch(self.get_url(f"/echo?{n}")) for n in range(3)]
        self.assertEqual([json.loads(r.body)["uri"] for r in responses],
                         ["/echo?0", "/echo?1", "/echo?2"])  # fmt: skip


class Compressed(testing.AsyncHTTPTestCase):
    def get_app(self) -> Any:
        return make_app(compress_response=True)

    def test_compressed(self) -> None:
        response = self.fetch("/pieces")
        self.assertEqual(response.body, b"a" * 1000 + b"b" * 1000)
        self.assertEqual(response.headers["X-Consumed-Content-Encoding"], "gzip")
        self.assertNotIn("Content-Encoding", response.headers)

    def test_not_decompressed(self) -> None:
        response = self.fetch("/pieces", decompress_response=False)
        self.assertNotIn("Content-Encoding", response.headers)
        response = self.fetch(
            "/pieces", decompress_response=False, headers={"Accept-Encoding": "gzip"}
        )
        self.assertEqual(response.headers["Content-Encoding"], "gzip")
        self.assertLess(len(response.body), 200)


class Options(testing.AsyncHTTPTestCase):
    def get_app(self) -> Any:
        return make_app()

    def get_httpserver_options(self) -> dict[str, Any]:
        return {"max_body_size": 10}

    def test_options(self) -> None:
        self.assertEqual(self.fetch("/echo", method="POST", body="x" * 10).code, 200)
        code = self.fetch("/echo", method="POST", body="x" * 11).code
        self.assertEqual(code, 413 if NAME == "tornadoish" else 400)


class Secure(testing.AsyncHTTPSTestCase):
    def get_app(self) -> Any:
        return make_app()

    def test_secure(self) -> None:
        self.assertEqual(self.get_protocol(), "https")
        self.assertTrue(self.get_url("/echo").startswith("https://"))
        self.assertEqual(self.fetch("/echo").code, 200)
        self.assertEqual(set(self.get_ssl_options()), {"certfile", "keyfile"})

    def test_a_certificate_that_is_looked_at(self) -> None:
        with self.assertRaises(ssl.SSLError):
            self.fetch("/echo", validate_cert=True)


class NoApp(testing.AsyncHTTPTestCase):
    def test_nothing(self) -> None:
        self.fail("never run: what is to be tested was not said")


class Logs(unittest.TestCase):
    def test_expected(self) -> None:
        with testing.ExpectLog("tornado.application", "some.hing") as expected:
            log.warning("%s", "something else")
            log.error("something", exc_info=ValueError())
        self.assertEqual(expected.matched, 2)
        self.assertTrue(expected.logged_stack)
        self.assertEqual(log.filters, [])

    def test_by_level(self) -> None:
        log.setLevel(logging.ERROR)
        self.addCleanup(log.setLevel, logging.NOTSET)
        with testing.ExpectLog(log, "something", level=logging.INFO):
            log.info("something")
        self.assertEqual(log.level, logging.ERROR)

    def test_another_level(self) -> None:
        with testing.ExpectLog(log, "something", level=logging.INFO):
            log.error("something")

    def test_not_required(self) -> None:
        with testing.ExpectLog(log, "something", required=False):
            pass

    def test_required(self) -> None:
        with testing.ExpectLog(log, "something"):
            log.error("not something")

    def test_an_error_is_not_hidden(self) -> None:
        with testing.ExpectLog(log, "something"):
            raise KeyError("x")


class Others(unittest.TestCase):
    def test_bind_unused_port(self) -> None:
        sock, port = testing.bind_unused_port()
        self.addCleanup(sock.close)
        self.assertEqual(sock.getsockname(), ("127.0.0.1", port))
        self.assertTrue(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        other, _ = testing.bind_unused_port(reuse_port=False, address="127.0.0.2")
        self.addCleanup(other.close)
        self.assertEqual(other.getsockname()[0], "127.0.0.2")

    def test_timeouts(self) -> None:
        self.addCleanup(os.environ.pop, "ASYNC_TEST_TIMEOUT", None)
        for value, seconds in ((None, 5), ("2.5", 2.5), ("nonsense", 5)):
            if value is not None:
                os.environ["ASYNC_TEST_TIMEOUT"] = value
            self.assertEqual(testing.get_async_test_timeout(), seconds)

    def test_setup_with_context_manager(self) -> None:
        class Manager:
            entered = left = 0

            def __enter__(self) -> str:
                self.entered += 1
                return "value"

            def __exit__(self, *args: object) -> None:
                self.left += 1

        manager = Manager()
        case = unittest.FunctionTestCase(lambda: None)
        self.assertEqual(testing.setup_with_context_manager(case, manager), "value")
        self.assertEqual((manager.entered, manager.left), (1, 0))
        case.doCleanups()
        self.assertEqual((manager.entered, manager.left), (1, 1))


class Result(unittest.TestResult):
    """What each test came to, by class and name."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, list[str]] = {}

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.results[test.id().removeprefix("__main__.")] = []

    def note(self, test: unittest.TestCase, error: Any) -> None:
        self.results[test.id().removeprefix("__main__.")].append(f"{error[0].__name__}: {error[1]}")

    addError = addFailure = note


if __name__ == "__main__":
    NULL = logging.NullHandler()
    logging.getLogger().addHandler(NULL)
    result = Result()
    unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]).run(result)
    print(json.dumps(result.results))
