"""What one request must not leave to another, and how a handler may end."""

# Classes here have bases that only the test knows.
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import asyncio
import gzip
import logging
from http import HTTPStatus
from typing import Any
from unittest.mock import MagicMock

import pytest

from .serving import Framework, Serve, as_method, plain_or_coroutine, until

GET = ("GET / HTTP/1.1", "Host: a")


async def test_what_prepare_adds_to_the_path_is_of_this_request_alone(
    web: Any, serve: Serve
) -> None:
    class Adding(web.RequestHandler):
        def prepare(self) -> None:
            self.path_args.append("x")

        def get(self, *args: str) -> None:
            self.write(repr(args))

    class Naming(web.RequestHandler):
        def prepare(self) -> None:
            self.path_kwargs["user"] = "y"

        def get(self, **kwargs: str) -> None:
            self.write(repr(kwargs))

    class Bare(web.RequestHandler):
        def get(self) -> None:
            self.write(f"{self.path_args} {self.path_kwargs}")

    site = await serve([("/adding", Adding), ("/naming", Naming), ("/", Bare)])
    for _ in range(2):
        assert (await site.get("/adding")).text == "('x',)"
        assert (await site.get("/naming")).text == "{'user': 'y'}"
        assert (await site.get("/")).text == "[] {}"


@plain_or_coroutine
async def test_who_waits_for_what_was_cancelled_has_failed(
    web: Any, serve: Serve, framework: Framework, coroutine: bool, caplog: Any
) -> None:
    """It is not the handler that was cancelled: the client is told, and asks on."""
    caplog.set_level(logging.CRITICAL, "tornado")

    def fail(self: Any) -> None:
        raise asyncio.CancelledError

    async def wait(self: Any) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    if framework.is_tornado and not coroutine:
        pytest.skip("there it leaves the handler, and the client waits for ever")
    handler = type("Handler", (web.RequestHandler,), {"get": wait if coroutine else fail})
    site = await serve([("/", handler)])
    peer = await site.connect()
    for _ in range(2):
        assert (await peer.ask(*GET)).status == 500


async def test_a_handler_that_is_cancelled_is_logged_as_such(
    web: Any, serve: Serve, framework: Framework
) -> None:
    if framework.is_tornado:
        pytest.skip("there nobody cancels a handler")
    logged: list[int] = []
    tasks: list[Any] = []

    async def get(self: Any) -> None:
        tasks.append(asyncio.current_task())
        await asyncio.Event().wait()

    handler = type("Handler", (web.RequestHandler,), {"get": get})
    site = await serve(
        [("/", handler)], log_function=lambda handler: logged.append(handler.get_status())
    )
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: tasks)
    tasks[0].cancel()
    assert await peer.ended()
    assert logged == [499]


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 1000, -1, "404", None, 404.0])
async def test_an_error_whose_status_is_none_is_a_500(
    web: Any, serve: Serve, framework: Framework, status: Any, caplog: Any
) -> None:
    if framework.is_tornado:
        pytest.skip("there the client is told nothing, or nonsense")

    def get(self: Any) -> None:
        raise web.HTTPError(status)

    site = await serve([("/", type("Handler", (web.RequestHandler,), {"get": get}))])
    peer = await site.connect()
    for _ in range(2):
        assert (await peer.ask(*GET)).status == 500
    assert repr(status) in caplog.text


async def test_the_standard_librarys_statuses_will_do(web: Any, serve: Serve) -> None:
    def get(self: Any) -> None:
        raise web.HTTPError(HTTPStatus.NOT_FOUND)

    site = await serve([("/", type("Handler", (web.RequestHandler,), {"get": get}))])
    assert (await site.get("/")).status_code == 404


@plain_or_coroutine
async def test_an_error_of_data_received_is_answered(
    web: Any, serve: Serve, framework: Framework, coroutine: bool
) -> None:
    if framework.is_tornado:
        pytest.skip("there the connection is closed without an answer")
    ended: list[str] = []

    def refuse(self: Any, chunk: bytes) -> None:
        raise web.HTTPError(422, "not this: %r", chunk)

    class Handler(web.RequestHandler):
        data_received = as_method(refuse, coroutine)

        def post(self) -> None:
            ended.append("called")

        def on_finish(self) -> None:
            ended.append(f"finished {self.get_status()}")

        def on_connection_close(self) -> None:
            ended.append("closed")

        def log_exception(self, *exc_info: Any) -> None:
            ended.append(exc_info[0].__name__)

    site = await serve([("/", web.stream_request_body(Handler))])
    peer = await site.connect()
    for _ in range(2):  # the rest of a small body is dropped, and the connection lives on
        ended.clear()
        head = ("POST / HTTP/1.1", "Host: a", "Content-Length: 10")
        assert (await peer.ask(*head, body=b"0123456789")).status == 422
        assert ended == ["HTTPError", "finished 422"]


async def test_who_has_answered_does_not_hear_that_the_client_has_gone(
    web: Any, serve: Serve, framework: Framework
) -> None:
    if framework.is_tornado:
        pytest.skip("there it does")
    heard: list[str] = []

    class Handler(web.RequestHandler):
        def prepare(self) -> None:
            self.finish("no")

        def data_received(self, chunk: bytes) -> None:
            heard.append("data")

        def on_finish(self) -> None:
            heard.append("finish")

        def on_connection_close(self) -> None:
            heard.append("close")

    site = await serve([("/", web.stream_request_body(Handler))])
    peer = await site.connect()
    answer = await peer.ask("POST / HTTP/1.1", "Host: a", "Content-Length: 10", body=b"01234")
    assert answer.body == b"no"
    peer.close()
    await until(lambda: "finish" in heard)
    await site.server.close_all_connections()
    assert heard == ["finish"]


async def test_a_redirect_keeps_the_query_to_the_byte(web: Any, serve: Serve) -> None:
    site = await serve([("/", web.RedirectHandler, {"url": "/x"})])
    answer = await (await site.connect()).ask("GET /?q=%ff&r=%C3%A9 HTTP/1.1", "Host: a")
    assert answer.get("Location") == "/x?q=%FF&r=%C3%A9"


LARGE = "ab" * 100_000
GZIP = ("GET / HTTP/1.1", "Host: a", "Accept-Encoding: gzip")


@pytest.mark.parametrize(
    "late",
    [
        lambda handler: handler.send_error(500),
        lambda handler: handler.clear(),
        lambda handler: (handler.set_status(418), handler.set_cookie("late", "x")),
        lambda handler: handler.set_header("X-Late", "x"),
        lambda handler: handler.redirect("/x"),
    ],
)
async def test_what_is_finished_is_final(
    web: Any, serve: Serve, late: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """However large it is, and though it is being compressed in a thread."""

    def get(self: Any) -> None:
        self.write(LARGE)
        self.finish()
        late(self)

    handler = type("Handler", (web.RequestHandler,), {"get": get})
    site = await serve([("/", handler)], compress_response=True)
    answer = await (await site.connect()).ask(*GZIP)
    assert answer.status == 200
    assert gzip.decompress(answer.body).decode() == LARGE
    assert answer.get("Set-Cookie") is answer.get("X-Late") is answer.get("Location") is None


async def test_a_bad_cookie_on_a_large_answer_is_a_500(
    web: Any, serve: Serve, framework: Framework
) -> None:
    if framework.is_tornado:
        pytest.skip("it does not look")

    def get(self: Any) -> None:
        self.set_cookie("a", "b")
        self._new_cookie["a"]["path"] = "x\r\ny"
        self.write(LARGE)

    handler = type("Handler", (web.RequestHandler,), {"get": get})
    site = await serve([("/", handler)], compress_response=True)
    assert (await (await site.connect()).ask(*GZIP)).status == 500


async def test_on_connection_close_of_the_base_class_may_be_replaced(
    web: Any, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[Any] = []
    waiting, end = asyncio.Event(), asyncio.Event()

    def replaced(self: Any) -> None:
        gone.append(self)

    monkeypatch.setattr(web.RequestHandler, "on_connection_close", replaced)

    async def get(self: Any) -> None:
        waiting.set()
        await end.wait()

    handler = type("Handler", (web.RequestHandler,), {"get": get})
    site = await serve([("/", handler)])
    peer = await site.connect()
    peer.send(*GET)
    await waiting.wait()
    peer.close()
    await until(lambda: gone)
    end.set()


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com{0}", "/.evil.com"),
        ("https://example.com{0}", "/@evil.com"),
        ("https://example.com{0}", "/%40evil.com"),
        ("{0}", "/http://evil.com"),
        ("{0}", "/javascript:alert(1)"),
        ("https://{0}/x", "/evil.com"),
    ],
)
async def test_a_redirect_leads_to_no_host_of_the_clients_choice(
    web: Any, serve: Serve, url: str, target: str
) -> None:
    site = await serve([("/(.*)", web.RedirectHandler, {"url": url})])
    answer = await (await site.connect()).ask(f"GET {target} HTTP/1.1", "Host: a")
    assert (answer.status, answer.get("Location")) == (400, None)


async def test_a_head_of_a_stream_of_events_ends(serve: Serve, framework: Framework) -> None:
    if framework.is_tornado:
        pytest.skip("ours alone")

    async def get(self: Any) -> None:
        while True:
            await self.send_event("x")

    web = framework.web
    handler = type("Handler", (web.RequestHandler,), {"get": get, "head": get})
    site = await serve([("/", handler)])
    peer = await site.connect()
    for _ in range(2):  # and the connection lives on
        answer = await peer.ask("HEAD / HTTP/1.1", "Host: a")
        assert (answer.status, answer.get("Content-Type")) == (200, "text/event-stream")


def test_a_request_made_by_hand_may_have_any_mapping_of_headers(framework: Framework) -> None:
    if framework.is_tornado:
        pytest.skip("there it depends on what is asked of them")
    line = framework.httputil.RequestStartLine("GET", "/x", "HTTP/1.1")
    request = framework.httputil.HTTPServerRequest(
        start_line=line, headers={"Accept": "x"}, connection=MagicMock()
    )
    handler = framework.web.RequestHandler(framework.web.Application(), request)
    handler._transforms = []
    handler.write("x")
    handler.finish()
    assert handler.get_status() == 200
