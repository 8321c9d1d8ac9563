"""What goes wrong in a handler: which answer, which log, and whether the connection goes on."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from .serving import Framework, Serve, as_method, plain_or_coroutine

pytestmark = pytest.mark.in_memory

GET = ("GET / HTTP/1.1", "Host: a")


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, bool]]:
    """Logger, level and whether there is a traceback, of all but the access log."""
    return [
        (record.name, record.levelname, record.exc_info is not None)
        for record in caplog.records
        if record.name.startswith("tornado") and record.name != "tornado.access"
    ]


UNCAUGHT = ("tornado.application", "ERROR", True)


def handler_that(web: Any, act: Callable[[Any], None], *, coroutine: bool, **more: Any) -> Any:
    """A handler whose GET does ``act``."""
    return type("Handler", (web.RequestHandler,), {"get": as_method(act, coroutine), **more})


# ---- Exceptions that are no HTTPError --------------------------------------------------------


@plain_or_coroutine
async def test_an_exception_is_a_500_and_the_connection_goes_on(
    web: Any, serve: Serve, coroutine: bool, caplog: pytest.LogCaptureFixture
) -> None:
    finished: list[int] = []

    def act(self: Any) -> None:
        self.set_header("X-Gone", "1")
        self.write("gone too")
        raise KeyError("secret")

    handler = handler_that(
        web, act, coroutine=coroutine, on_finish=lambda self: finished.append(self.get_status())
    )
    fine = handler_that(web, lambda _: None, coroutine=False)
    site = await serve([("/", handler), ("/ok", fine)])
    peer = await site.connect()
    answer = await peer.ask(*GET)
    assert (answer.status, answer.reason) == (500, "Internal Server Error")
    assert answer.get("X-Gone") is None
    assert answer.get("Content-Type") == "text/html; charset=UTF-8"
    assert b"500: Internal Server Error" in answer.body
    assert b"secret" not in answer.body
    assert b"gone too" not in answer.body
    assert finished == [500]
    assert (await peer.ask("GET /ok HTTP/1.1", "Host: a")).status == 200
    assert logged(caplog) == [UNCAUGHT]
    record = next(r for r in caplog.records if r.name == "tornado.application")
    assert "GET /" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


@plain_or_coroutine
@pytest.mark.parametrize("debug", [{"debug": True}, {"serve_traceback": True}])
async def test_serve_traceback(
    web: Any, serve: Serve, coroutine: bool, debug: dict[str, bool]
) -> None:
    def act(self: Any) -> None:
        raise KeyError("shown")

    settings = {**debug, "autoreload": False}  # Tornado's debug mode would restart the tests
    site = await serve([("/", handler_that(web, act, coroutine=coroutine))], **settings)
    response = await site.get("/")
    assert response.status_code == 500
    assert response.headers["Content-Type"].lower().startswith("text/plain")
    assert "KeyError: 'shown'" in response.text
    assert "in act" in response.text


async def test_an_exception_in_prepare(
    web: Any, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    reached: list[str] = []

    class Handler(web.RequestHandler):
        async def prepare(self) -> None:
            raise ValueError("early")

        def get(self) -> None:
            reached.append("get")

    site = await serve([("/", Handler)])
    assert (await site.get("/")).status_code == 500
    assert reached == []
    assert logged(caplog) == [UNCAUGHT]


async def test_an_exception_in_initialize(
    framework: Framework, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    class Handler(framework.web.RequestHandler):
        def initialize(self) -> None:
            raise ValueError("no handler")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    if framework.is_tornado:  # it closes without a word; we say whose fault it was
        peer.send(*GET)
    else:
        answer = await peer.ask(*GET)
        assert answer.status == 500
        assert b"no handler" not in answer.body
    assert await peer.ended()
    assert UNCAUGHT in logged(caplog)


async def test_unexpected_route_arguments(
    framework: Framework, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    handler = handler_that(framework.web, lambda _: None, coroutine=False)
    site = await serve([("/", handler, {"nobody": "wants this"})])
    peer = await site.connect()
    peer.send(*GET)
    if not framework.is_tornado:  # as above
        assert (await peer.answer()).status == 500
    assert await peer.ended()
    assert "nobody" in caplog.text


@plain_or_coroutine
async def test_an_exception_after_finish_is_only_logged(
    web: Any, serve: Serve, coroutine: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def act(self: Any) -> None:
        self.finish("whole")
        raise KeyError("late")

    site = await serve([("/", handler_that(web, act, coroutine=coroutine))])
    peer = await site.connect()
    for _ in range(2):
        answer = await peer.ask(*GET)
        assert (answer.status, answer.body) == (200, b"whole")
    assert logged(caplog) == [UNCAUGHT] * 2


@plain_or_coroutine
async def test_an_exception_after_flush_shows_that_the_answer_is_not_whole(
    framework: Framework, serve: Serve, coroutine: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def act(self: Any) -> None:
        self.write("half")
        self.flush()
        raise KeyError("late")

    site = await serve([("/", handler_that(framework.web, act, coroutine=coroutine))])
    peer = await site.connect()
    answer = await peer.ask(*GET)
    assert answer.body == b"half"
    assert logged(caplog) == [UNCAUGHT, ("tornado.general", "ERROR", False)]
    if framework.is_tornado:  # it ends the chunks: half an answer looks like a whole one
        assert answer.complete
    else:
        assert not answer.complete
        assert await peer.ended()


async def test_an_exception_after_flush_within_a_known_length(
    framework: Framework, serve: Serve
) -> None:
    def act(self: Any) -> None:
        self.set_header("Content-Length", 10)
        self.write("half")
        self.flush()
        raise KeyError("late")

    site = await serve([("/", handler_that(framework.web, act, coroutine=False))])
    peer = await site.connect()
    answer = await peer.ask(*GET)
    assert (answer.body, answer.complete) == (b"half", False)
    assert await peer.ended()


@plain_or_coroutine
async def test_an_exception_in_on_finish_is_only_logged(
    web: Any, serve: Serve, coroutine: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def on_finish(self: Any) -> None:
        raise KeyError("after all")

    handler = handler_that(web, lambda self: None, coroutine=coroutine, on_finish=on_finish)
    site = await serve([("/", handler)])
    peer = await site.connect()
    for _ in range(2):
        assert (await peer.ask(*GET)).status == 200
    assert logged(caplog) == [UNCAUGHT] * 2


@plain_or_coroutine
async def test_an_exception_in_on_finish_of_an_error(
    framework: Framework, serve: Serve, coroutine: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def act(self: Any) -> None:
        raise framework.web.HTTPError(404)

    def on_finish(self: Any) -> None:
        raise KeyError("after all")

    handler = handler_that(framework.web, act, coroutine=coroutine, on_finish=on_finish)
    site = await serve([("/", handler)])
    peer = await site.connect()
    for _ in range(2):
        assert (await peer.ask(*GET)).status == 404
    if not framework.is_tornado:  # it leaves this one to the loop's exception handler
        assert logged(caplog) == [UNCAUGHT] * 2


@plain_or_coroutine
async def test_an_exception_in_log_exception(
    web: Any, serve: Serve, coroutine: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def act(self: Any) -> None:
        raise KeyError("first")

    def log_exception(self: Any, *exc_info: Any) -> None:
        raise ValueError("second")

    handler = handler_that(web, act, coroutine=coroutine, log_exception=log_exception)
    site = await serve([("/", handler)])
    peer = await site.connect()
    for _ in range(2):
        assert (await peer.ask(*GET)).status == 500
    assert logged(caplog) == [UNCAUGHT] * 2
    assert "second" in caplog.text


@plain_or_coroutine
async def test_an_exception_in_write_error(
    web: Any, serve: Serve, coroutine: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def act(self: Any) -> None:
        raise web.HTTPError(418)

    def write_error(self: Any, status_code: int, **kwargs: Any) -> None:
        self.write("so far")
        raise ValueError("no page")

    handler = handler_that(web, act, coroutine=coroutine, write_error=write_error)
    site = await serve([("/", handler)])
    peer = await site.connect()
    for _ in range(2):
        answer = await peer.ask(*GET)
        assert (answer.status, answer.body) == (418, b"so far")
    assert logged(caplog) == [UNCAUGHT] * 2


async def test_log_exception_is_told_what_was_raised(web: Any, serve: Serve) -> None:
    told: list[Any] = []
    raised = KeyError("this one")

    def act(self: Any) -> None:
        raise raised

    def log_exception(self: Any, typ: Any, value: Any, tb: Any) -> None:
        told.append((typ, value, tb.tb_frame.f_code.co_name is not None))

    for coroutine in (False, True):
        handler = handler_that(web, act, coroutine=coroutine, log_exception=log_exception)
        site = await serve([("/", handler)])
        assert (await site.get("/")).status_code == 500
    assert told == [(KeyError, raised, True)] * 2


# ---- HTTPError -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason", "status", "phrase", "message"),
    [
        ((404,), None, 404, "Not Found", None),
        ((), None, 500, "Internal Server Error", None),
        ((400, "bad %s of %d", "kind", 7), None, 400, "Bad Request", "bad kind of 7"),
        ((400, "100%"), None, 400, "Bad Request", "100%"),
        ((400, "100%d"), None, 400, "Bad Request", "100%d"),
        ((403, "why"), "Not You", 403, "Not You", "why"),
        ((499,), None, 499, "Unknown", None),
        ((299,), "Odd", 299, "Odd", None),
    ],
)
@plain_or_coroutine
async def test_http_error_is_the_answer(
    web: Any,
    serve: Serve,
    arguments: tuple[Any, ...],
    reason: str | None,
    status: int,
    phrase: str,
    message: str | None,
    coroutine: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def act(self: Any) -> None:
        raise web.HTTPError(*arguments, **({"reason": reason} if reason else {}))

    site = await serve([("/", handler_that(web, act, coroutine=coroutine))])
    response = await site.get("/")
    assert (response.status_code, response.reason_phrase) == (status, phrase)
    assert response.text == (
        f"<html><title>{status}: {phrase}</title><body>{status}: {phrase}</body></html>"
    )
    general = [r for r in caplog.records if r.name == "tornado.general"]
    if message is None:
        assert general == []
    else:
        assert [(r.levelname, r.getMessage()) for r in general] == [
            ("WARNING", f"{status} GET / (127.0.0.1): {message}")
        ]
    assert not [r for r in caplog.records if r.name == "tornado.application"]


@pytest.mark.parametrize("reason", ["a\r\nX-Evil: 1", "a\nb", "<script>", "\x00", "€"])
async def test_an_unsafe_reason_of_an_error_is_not_sent(
    web: Any, serve: Serve, reason: str
) -> None:
    def act(self: Any) -> None:
        raise web.HTTPError(400, reason=reason)

    site = await serve([("/", handler_that(web, act, coroutine=False))])
    peer = await site.connect()
    answer = await peer.ask(*GET)
    assert answer.status == 400
    assert answer.get("X-Evil") is None
    assert answer.reason in ("Bad Request", "Unknown")
    assert b"<script>" not in answer.body
    assert (await peer.ask(*GET)).status == 400


async def test_input_errors_of_a_body_are_the_peers_fault(
    framework: Framework, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    handler = handler_that(framework.web, lambda _: None, coroutine=False)
    handler.post = lambda self: self.write(repr(self.request.body_arguments))
    handler.get = lambda self: self.write("fine")
    site = await serve([("/", handler)])
    peer = await site.connect()
    answer = await peer.ask(
        "POST / HTTP/1.1", "Host: a", "Content-Type: multipart/form-data", "Content-Length: 3",
        body=b"abc",
    )  # fmt: skip
    assert answer.status == 400
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert (await peer.ask(*GET)).body == b"fine"


async def test_a_malformed_body_harms_only_who_looks_at_it(
    framework: Framework, serve: Serve
) -> None:
    handler = handler_that(framework.web, lambda _: None, coroutine=False)
    handler.post = lambda self: self.write("did not look")
    site = await serve([("/", handler)])
    headers = {"Content-Type": "multipart/form-data"}
    response = await site.post("/", content=b"abc", headers=headers)
    # Tornado parses every form before the method is called; we when somebody asks.
    assert response.status_code == (400 if framework.is_tornado else 200)


def _finish_with_a_list(self: Any) -> None:
    raise self.framework.web.Finish(["no", "lists"])


def _finish_with_a_body_that_cannot_be(self: Any) -> None:
    self.set_status(304)
    raise self.framework.web.Finish("a body")


def _fail_with_bad_defaults(self: Any) -> None:
    type(self).broken = True
    raise KeyError("first")


@plain_or_coroutine
@pytest.mark.parametrize(
    ("act", "status"),
    [
        (_finish_with_a_list, 500),
        (_finish_with_a_body_that_cannot_be, 500),
        (_fail_with_bad_defaults, None),
    ],
)
async def test_nobody_waits_for_an_answer_that_failed(
    framework: Framework,
    serve: Serve,
    act: Callable[[Any], None],
    status: int | None,
    coroutine: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def set_default_headers(self: Any) -> None:
        if self.broken:
            raise ValueError("no defaults")

    handler = handler_that(
        framework.web, act, coroutine=coroutine, framework=framework, broken=False,
        set_default_headers=set_default_headers,
    )  # fmt: skip
    site = await serve([("/", handler)])
    peer = await site.connect()
    peer.send(*GET)
    if framework.is_tornado:  # nothing is ever sent
        return
    if status is None:
        assert await peer.ended()
    else:
        assert (await peer.answer()).status == status
        peer.send(*GET)
        assert (await peer.answer()).status == status
    assert UNCAUGHT in logged(caplog)


# ---- send_error and write_error --------------------------------------------------------------


async def test_send_error_begins_the_answer_anew(web: Any, serve: Serve) -> None:
    finished: list[Any] = []

    class Handler(web.RequestHandler):
        def set_default_headers(self) -> None:
            self.set_header("X-Default", "kept")

        def get(self) -> None:
            self.set_status(201)
            self.set_header("X-Own", "dropped")
            self.write("dropped")
            self.send_error(503, reason="Come Back")
            finished.append(self._finished)

    site = await serve([("/", Handler)])
    response = await site.get("/")
    assert (response.status_code, response.reason_phrase) == (503, "Come Back")
    assert response.headers["X-Default"] == "kept"
    assert "X-Own" not in response.headers
    assert "dropped" not in response.text
    assert finished == [True]


async def test_send_error_says_500_by_default(web: Any, serve: Serve) -> None:
    site = await serve([("/", handler_that(web, lambda self: self.send_error(), coroutine=False))])
    assert (await site.get("/")).status_code == 500


async def test_send_error_after_flush(
    framework: Framework, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    finished: list[str] = []

    def act(self: Any) -> None:
        self.write("half")
        self.flush()
        self.send_error(500)

    handler = handler_that(
        framework.web, act, coroutine=False, on_finish=lambda self: finished.append("x")
    )
    site = await serve([("/", handler)])
    peer = await site.connect()
    answer = await peer.ask(*GET)
    assert answer.body == b"half"
    # Tornado ends the answer, as if it were a whole one; we close the connection.
    assert answer.complete is framework.is_tornado
    assert ("tornado.general", "ERROR", False) in logged(caplog)
    assert finished == ["x"]


@plain_or_coroutine
async def test_write_error_makes_the_page(web: Any, serve: Serve, coroutine: bool) -> None:
    seen: list[Any] = []

    def act(self: Any) -> None:
        if self.get_argument("how") == "send":
            self.send_error(409, extra="e", reason="Own")
        if self.get_argument("how") == "http":
            raise web.HTTPError(410, "message", reason="Own")
        if self.get_argument("how") == "other":
            raise KeyError("x")

    def write_error(self: Any, status_code: int, **kwargs: Any) -> None:
        exc_info = kwargs.pop("exc_info", (None,))
        seen.append((status_code, self.get_status(), self._reason, exc_info[0], kwargs))
        self.set_header("Content-Type", "application/json")
        self.finish({"error": status_code})

    handler = handler_that(web, act, coroutine=coroutine, write_error=write_error)
    site = await serve([("/", handler)])
    for how, status in [("send", 409), ("http", 410), ("other", 500)]:
        response = await site.get("/", params={"how": how})
        assert (response.status_code, response.json()) == (status, {"error": status})
    assert seen == [
        (409, 409, "Own", None, {"extra": "e", "reason": "Own"}),
        (410, 410, "Own", web.HTTPError, {}),
        (500, 500, "Internal Server Error", KeyError, {}),
    ]


async def test_write_error_need_not_finish(web: Any, serve: Serve) -> None:
    class Base(web.RequestHandler):
        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.write("only written")

    site = await serve([("/", type("Handler", (Base,), {}))])
    response = await site.get("/")
    assert (response.status_code, response.text) == (405, "only written")


async def test_write_error_may_call_its_parent(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.set_header("X-Own", "yes")
            super().write_error(status_code, **kwargs)

    site = await serve([("/", Handler)])
    response = await site.get("/")
    assert (response.status_code, response.headers["X-Own"]) == (405, "yes")
    assert "405: Method Not Allowed" in response.text


async def test_write_error_may_redirect(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def write_error(self, status_code: int, **kwargs: Any) -> None:
            self.redirect("/sorry")

    site = await serve([("/", Handler)])
    response = await site.get("/", follow_redirects=False)
    assert (response.status_code, response.headers["Location"]) == (302, "/sorry")


async def test_an_error_page_can_answer_head(web: Any, serve: Serve) -> None:
    def act(self: Any) -> None:
        raise web.HTTPError(404)

    handler = handler_that(web, act, coroutine=False, head=act)
    site = await serve([("/", handler)])
    peer = await site.connect()
    head = await peer.ask("HEAD / HTTP/1.1", "Host: a")
    get = await peer.ask(*GET)
    assert head.status == get.status == 404
    assert head.get("Content-Length") == get.get("Content-Length")


async def test_a_status_without_body_as_an_error(web: Any, serve: Serve) -> None:
    """An error page for a status that cannot have one: an answer all the same."""

    def write_error(self: Any, status_code: int, **kwargs: Any) -> None:
        self.finish()

    def act(self: Any) -> None:
        raise web.HTTPError(304)

    handler = handler_that(web, act, coroutine=False, write_error=write_error)
    site = await serve([("/", handler)])
    peer = await site.connect()
    assert (await peer.ask(*GET)).status == 304
    assert (await peer.ask(*GET)).status == 304


@pytest.mark.parametrize("status", [304, 204])
@plain_or_coroutine
async def test_an_error_page_for_a_status_that_has_no_body(
    framework: Framework, serve: Serve, status: int, coroutine: bool
) -> None:
    """jupyter_server raises HTTPError(304): the usual page must not break the connection."""

    def act(self: Any) -> None:
        raise framework.web.HTTPError(status)

    site = await serve([("/", handler_that(framework.web, act, coroutine=coroutine))])
    peer = await site.connect()
    peer.send(*GET)
    if framework.is_tornado:  # write_error fails, then finish(); nothing is ever sent
        return
    assert (await peer.answer()).status == status
    assert (await peer.ask(*GET)).status == status
