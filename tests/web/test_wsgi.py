"""WSGI applications in a container, as in Tornado's."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .serving import Framework, Serve, until
from .wsgi_apps import GET, container_of, seeing, simple, told

# ---- What it is told -------------------------------------------------------------------------


async def test_environ(framework: Framework, serve: Serve) -> None:
    environ = await told(
        serve,
        framework,
        "POST /a%20b/%C3%A9%2F?x=1&y=%20 HTTP/1.1",
        "Host: example.com:8080",
        "Content-Type: text/x",
        "Content-Length: 4",
        "X-Some-Thing: a, b",
        body=b"body",
    )
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/\xc3\xa9/",  # a character for each byte
        "QUERY_STRING": "x=1&y=%20",
        "SERVER_NAME": "example.com",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "4",
        "HTTP_HOST": "example.com:8080",
        "HTTP_X_SOME_THING": "a, b",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.run_once": False,
        "test.body": b"body",
    }
    assert {name: environ[name] for name in expected} == expected
    assert "HTTP_CONTENT_TYPE" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ


async def test_environ_by_hand(framework: Framework) -> None:
    request = framework.httputil.HTTPServerRequest(
        start_line=framework.httputil.RequestStartLine("GET", "/x", "HTTP/1.1"),
        headers=framework.httputil.HTTPHeaders({"Host": "a"}),
        body=b"abc",
    )
    container = container_of(framework, simple())
    environ = container.environ(request)
    assert (environ["PATH_INFO"], environ["wsgi.input"].read()) == ("/x", b"abc")


# ---- What it says ----------------------------------------------------------------------------


async def test_an_answer(framework: Framework, serve: Serve) -> None:
    fields = [("Content-Type", "text/plain"), ("X-A", "1"), ("Set-Cookie", "a=1"),
              ("Set-Cookie", "b=2")]  # fmt: skip
    site = await serve(container_of(framework, simple([b"he", b"llo"], "201 Made", fields)))
    answer = await (await site.connect()).ask(*GET)
    assert (answer.status, answer.reason, answer.body) == (201, "Made", b"hello")
    assert answer.get("Content-Length") == "5"
    assert answer.get("X-A") == "1"
    assert [v for n, v in answer.fields if n == "Set-Cookie"] == ["a=1", "b=2"]
    assert answer.get("Server")


async def test_start_response_as_late_as_may_be(framework: Framework, serve: Serve) -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        yield b""
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b""
        yield b"a"
        yield b"b"

    site = await serve(container_of(framework, application))
    answer = await site.get("/")
    assert (answer.status_code, answer.content) == (200, b"ab")


async def test_close_is_called(framework: Framework, serve: Serve) -> None:
    closed: list[str] = []

    class Body:
        def __init__(self, name: str) -> None:
            self.name = name

        def __iter__(self) -> Any:
            if self.name == "/bad":
                raise ValueError
            return iter([b"x"])

        def close(self) -> None:
            closed.append(self.name)

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "1")])
        return Body(environ["PATH_INFO"])

    site = await serve(container_of(framework, application))
    assert (await site.get("/good")).content == b"x"
    if not framework.is_tornado:  # it lets the client wait
        assert (await site.get("/bad")).status_code == 500
        await until(lambda: closed == ["/good", "/bad"])
    await until(lambda: closed[:1] == ["/good"])


async def test_in_a_fallback_handler(framework: Framework, serve: Serve) -> None:
    seen: list[dict[str, Any]] = []
    container = container_of(framework, seeing(seen))
    rule = (r"/app/.*", framework.web.FallbackHandler, {"fallback": container})
    site = await serve([rule])
    assert (await site.post("/app/x", content=b"body")).status_code == 204
    assert (seen[0]["PATH_INFO"], seen[0]["test.body"]) == ("/app/x", b"body")


async def test_on_an_executor(framework: Framework, serve: Serve) -> None:
    names: list[str] = []

    def application(environ: Any, start_response: Any) -> Any:
        names.append(threading.current_thread().name)
        return simple()(environ, start_response)

    with ThreadPoolExecutor(1, "mine") as executor:
        site = await serve(container_of(framework, application, executor))
        assert (await site.get("/")).content == b"hello"
    assert names[0].startswith("mine")


async def test_in_the_thread_of_the_loop(framework: Framework, serve: Serve) -> None:
    """Tornado's default, for applications that cannot stand threads."""
    pytest.importorskip("tornado")
    from tornado.concurrent import dummy_executor

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (environ["wsgi.input"].read() for _ in range(3))

    container = container_of(framework, application, dummy_executor)
    rule = (r".*", framework.web.FallbackHandler, {"fallback": container})
    site = await serve([rule])
    answer = await site.post("/", content=b"x" * 200_000)
    assert answer.content == b"x" * 200_000


async def test_a_subclass_that_answers_by_itself(framework: Framework, serve: Serve) -> None:
    """As livereload's does, which takes the environment and the log from it."""
    wsgi = importlib.import_module(f"{framework.name}.wsgi")
    logged: list[int] = []

    class Container(wsgi.WSGIContainer):  # type: ignore[name-defined, misc]
        def _log(self, status_code: int, request: Any) -> None:
            logged.append(status_code)

        def __call__(self, request: Any) -> None:
            body = self.environ(request)["PATH_INFO"].encode()
            headers = framework.httputil.HTTPHeaders({"Content-Length": str(len(body))})
            line = framework.httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
            request.connection.write_headers(line, headers, chunk=body)
            request.connection.finish()
            self._log(200, request)

    site = await serve(Container(simple()))
    assert (await site.get("/abc")).content == b"/abc"
    assert logged == [200]


async def test_the_log(
    framework: Framework, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tornado.access")
    site = await serve(container_of(framework, simple(status="404 No")))
    await site.get("/x?y")
    (record,) = [record for record in caplog.records if record.name == "tornado.access"]
    assert record.levelname == "WARNING"
    assert record.message.startswith("404 GET /x?y (127.0.0.1) ")


# ---- Answers without a body ------------------------------------------------------------------


async def test_an_empty_body(framework: Framework, serve: Serve) -> None:
    site = await serve(container_of(framework, simple([])))
    answer = await (await site.connect()).ask(*GET)
    assert (answer.get("Content-Length"), answer.body) == ("0", b"")


async def test_another_answer_because_of_an_error(framework: Framework, serve: Serve) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X-A", "1")])
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", [("X-B", "2")], sys.exc_info())
        return [b"sorry"]

    site = await serve(container_of(framework, application))
    answer = await (await site.connect()).ask(*GET)
    assert (answer.reason, answer.get("X-A"), answer.get("X-B")) == ("Oops", None, "2")
