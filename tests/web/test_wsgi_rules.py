"""WSGI applications in a container: what Tornado's does not do, or does otherwise."""

from __future__ import annotations

import gzip
import importlib
import sys
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.validate import validator

import pytest

from tornadoish.routing import Mount

from .serving import Framework, Serve, Site
from .wsgi_apps import GET, container_of, seeing, simple, told


@pytest.fixture
def framework() -> Framework:
    return Framework("tornadoish")


# ---- What it is told -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [("example.com", "example.com", "80"), ("[::1]:81", "[::1]", "81"), ("[::1]", "[::1]", "80")],
)
async def test_server_name(
    framework: Framework, serve: Serve, host: str, name: str, port: str
) -> None:
    environ = await told(serve, framework, "GET / HTTP/1.1", f"Host: {host}")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)


async def test_what_a_client_cannot_say(framework: Framework, serve: Serve) -> None:
    """CVE-2016-5385 (httpoxy), and names that would be one variable with others."""
    environ = await told(
        serve,
        framework,
        "GET /x HTTP/1.1",
        "Host: a",
        "Proxy: http://evil",
        "X_Forwarded_For: 10.0.0.1",
        "Script_Name: /evil",
        "Script-Name: /evil",
        "Content_Length: 7",
        "Remote-Addr: 10.0.0.1",
    )
    assert "HTTP_PROXY" not in environ
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/x")
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["HTTP_SCRIPT_NAME"] == "/evil"  # a field like any other
    assert "CONTENT_LENGTH" not in environ


async def test_fields_that_repeat(framework: Framework, serve: Serve) -> None:
    environ = await told(
        serve, framework, *GET, "X-A: 1", "Cookie: a=1", "X-A: 2", "Cookie: b=2, c"
    )
    assert environ["HTTP_X_A"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2, c"


async def test_a_chunked_body_ends(framework: Framework, serve: Serve) -> None:
    environ = await told(
        serve, framework, "POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked",
        body=b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    )  # fmt: skip
    assert environ["test.body"] == b"abcde"
    assert environ["wsgi.input_terminated"] is True
    assert "CONTENT_LENGTH" not in environ


async def test_the_length_of_what_was_decompressed_is_not_known(
    framework: Framework, serve: Serve
) -> None:
    seen: list[dict[str, Any]] = []
    site = await serve(container_of(framework, seeing(seen)), server={"decompress_request": True})
    await site.post("/", content=gzip.compress(b"x" * 1000), headers={"Content-Encoding": "gzip"})
    assert seen[0]["test.body"] == b"x" * 1000
    assert "CONTENT_LENGTH" not in seen[0]


async def test_mounted(framework: Framework, serve: Serve) -> None:
    seen: list[dict[str, Any]] = []
    router = container_of(framework, seeing(seen))
    site = await serve([Mount("/%C3%A9", router)])
    assert (await site.get("/é/sub%20x?q")).status_code == 204
    assert (seen[0]["SCRIPT_NAME"], seen[0]["PATH_INFO"]) == ("/\xc3\xa9", "/sub x")
    assert seen[0]["REQUEST_URI"] == "/%C3%A9/sub%20x?q"


async def test_environ_without_a_container(framework: Framework) -> None:
    request = framework.httputil.HTTPServerRequest("GET", "/x")
    wsgi = importlib.import_module("tornadoish.wsgi")
    assert wsgi.WSGIContainer.environ(request)["PATH_INFO"] == "/x"


# ---- What it says ----------------------------------------------------------------------------


async def test_validated(framework: Framework, serve: Serve) -> None:
    """wsgiref.validate finds nothing to complain of, on both sides."""

    @validator
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        lines = [body.readline(), body.read(3), *body.readlines(4), *iter(body)]
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"|")
        environ["wsgi.errors"].flush()
        return [b"|".join(lines)]

    site = await serve(container_of(framework, application))
    answer = await site.post("/", content=b"one\ntwo\nthree\nfour\nfive")
    assert answer.content == b"|one\n|two|\n|three\n|four\n|five"
    assert (await site.get("/")).status_code == 200


# ---- Answers without a body ------------------------------------------------------------------


async def test_head(framework: Framework, serve: Serve) -> None:
    made: list[str] = []

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("X-A", "1")])
        try:
            yield b"first"
            made.append("more")
            yield b"second"
        finally:
            made.append("closed")

    site = await serve(container_of(framework, application))
    peer = await site.connect()
    answer = await peer.ask("HEAD / HTTP/1.1", "Host: a")
    assert (answer.status, answer.get("X-A")) == (200, "1")
    answer = await peer.ask(*GET)  # on the same connection: nothing was left over
    assert answer.body == b"firstsecond"
    assert made == ["closed", "more", "closed"]


async def test_head_of_what_has_a_length(framework: Framework, serve: Serve) -> None:
    # In Tornado's, it writes more than it said and answers nothing.
    site = await serve(container_of(framework, simple()))
    peer = await site.connect()
    answer = await peer.ask("HEAD / HTTP/1.1", "Host: a")
    assert answer.get("Content-Length") == "5"
    assert (await peer.ask(*GET)).body == b"hello"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("body", [[], [b"x"], iter([b"x", b"y"])])
async def test_no_body(framework: Framework, serve: Serve, status: str, body: Any) -> None:
    site = await serve(container_of(framework, simple(body, status, [("X-A", "1")])))
    peer = await site.connect()
    answer = await peer.ask(*GET)
    assert (answer.status, answer.get("X-A")) == (int(status[:3]), "1")
    assert (await peer.ask(*GET)).status == answer.status


# ---- What goes wrong -------------------------------------------------------------------------


async def failing(
    serve: Serve, framework: Framework, application: Any, word: str, caplog: Any
) -> Site:
    """A site whose application makes a mistake that is answered with a 500, and logged once."""
    site = await serve(container_of(framework, application))
    answer = await (await site.connect()).ask(*GET)
    assert (answer.status, answer.body) == (500, b"500: Internal Server Error\n")
    records = [record for record in caplog.records if record.name == "tornado.application"]
    assert len(records) == 1
    assert word in str(records[0].exc_info[1])
    return site


def raising(error: BaseException) -> Callable[..., Any]:
    def application(environ: Any, start_response: Any) -> Any:
        raise error

    return application


@pytest.mark.parametrize("error", [ValueError("oops"), OSError("oops"), SystemExit("oops")])
async def test_an_exception(
    framework: Framework, serve: Serve, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    await failing(serve, framework, raising(error), "oops", caplog)


@pytest.mark.parametrize(
    ("application", "word"),
    [
        (lambda environ, start_response: [b"x"], "start_response"),
        (lambda environ, start_response: [], "start_response"),
        (simple(["text"]), "bytes"),  # type: ignore[list-item]
        (simple(iter(["text"])), "bytes"),  # type: ignore[arg-type]
        (simple(status="200"), "status"),
        (simple(status="99 X"), "status"),
        (simple(status="101 Switching Protocols"), "status"),
        (simple(status="200 a\r\nX: y"), "status"),
        (simple(headers=[("X", "a\r\nY: z")]), "Unsafe"),
        (simple(headers=[("X Y", "a")]), "name"),
        (simple(headers=[("Content-Length", "5x")]), "length"),
        (simple(headers=[("Content-Length", "5"), ("Content-Length", "6")]), "length"),
        (simple(iter([]), headers=[("Content-Length", "5")]), "5 bytes"),
        (simple([b"hello!"], headers=[("Content-Length", "5")]), "6 bytes"),
    ],
)
async def test_mistakes(
    framework: Framework,
    serve: Serve,
    application: Any,
    word: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await failing(serve, framework, application, word, caplog)


async def test_start_response_twice(
    framework: Framework, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        start_response("201 Made", [])
        return [b"x"]

    await failing(serve, framework, application, "already", caplog)


@pytest.mark.parametrize("length", [None, "9"])
async def test_an_exception_in_the_middle(
    framework: Framework, serve: Serve, length: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is too late for another answer, and this one must not look whole."""

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", length)] if length else [])
        yield b"some"
        try:
            raise ValueError("oops")
        except ValueError:
            start_response("500 Oops", [], sys.exc_info())
            raise RuntimeError from None

    site = await serve(container_of(framework, application))
    peer = await site.connect()
    answer = await peer.ask(*GET)
    assert (answer.status, answer.complete) == (200, False)
    assert await peer.ended()
    (record,) = [record for record in caplog.records if record.name == "tornado.application"]
    assert record.exc_info is not None
    assert repr(record.exc_info[1]) == "ValueError('oops')"


async def test_fields_of_the_connection_are_not_an_applications(
    framework: Framework, serve: Serve
) -> None:
    fields = [("Connection", "upgrade"), ("Transfer-Encoding", "chunked"), ("Keep-Alive", "x"),
              ("Upgrade", "x"), ("Date", "now"), ("Server", "me")]  # fmt: skip
    site = await serve(container_of(framework, simple(headers=fields)))
    answer = await (await site.connect()).ask(*GET)
    names = {name for name, _ in answer.fields}
    assert names == {"Date", "Server", "Content-Length"}
    assert (answer.get("Date"), answer.get("Server")) == ("now", "me")
