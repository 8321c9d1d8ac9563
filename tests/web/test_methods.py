"""Which method of a handler runs, when, and with what."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import logging
from typing import Any

import pytest

from .serving import Framework, Serve, as_method, plain_or_coroutine

pytestmark = pytest.mark.in_memory

METHODS = ["GET", "POST", "DELETE", "PATCH", "PUT", "OPTIONS"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "coroutine"])
async def test_each_method_has_its_function(
    web: Any, serve: Serve, method: str, plain: bool
) -> None:
    def answer(self: Any) -> None:
        self.write(f"{self.request.method} here")

    async def answer_later(self: Any) -> None:
        answer(self)

    handler = type("Handler", (web.RequestHandler,), {
        method.lower(): answer if plain else answer_later
    })  # fmt: skip
    site = await serve([("/", handler)])
    response = await site.request(method, "/")
    assert (response.status_code, response.text) == (200, f"{method} here")
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"


async def test_head_answers_like_get_without_the_body(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.write("0123456789")

        head = get

    site = await serve([("/", Handler)])
    peer = await site.connect()
    head = await peer.ask("HEAD / HTTP/1.1", "Host: a")
    assert (head.status, head.get("Content-Length"), head.body) == (200, "10", b"")
    get = await peer.ask("GET / HTTP/1.1", "Host: a")
    assert get.body == b"0123456789"
    assert head.get("Etag") == get.get("Etag") is not None


@pytest.mark.parametrize("method", ["GET", "HEAD", *METHODS[1:]])
async def test_what_a_handler_does_not_have_is_405(web: Any, serve: Serve, method: str) -> None:
    site = await serve([("/", type("Handler", (web.RequestHandler,), {}))])
    response = await site.request(method, "/")
    assert response.status_code == 405
    assert response.reason_phrase == "Method Not Allowed"


@pytest.mark.parametrize("method", ["PROPFIND", "get", "__class__", "WRITE", "TRACE"])
async def test_a_method_that_is_not_supported_is_405(web: Any, serve: Serve, method: str) -> None:
    reached: list[str] = []

    class Handler(web.RequestHandler):
        def prepare(self) -> None:
            reached.append("prepare")

        def get(self) -> None:
            reached.append("get")

        propfind = trace = get

    site = await serve([("/", Handler)])
    peer = await site.connect()
    answer = await peer.ask(f"{method} / HTTP/1.1", "Host: a", "Content-Length: 0")
    assert answer.status == 405
    assert reached == []
    assert (await peer.ask("GET / HTTP/1.1", "Host: a")).status == 200
    assert reached == ["prepare", "get"]


async def test_supported_methods_can_be_extended(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        SUPPORTED_METHODS = (*web.RequestHandler.SUPPORTED_METHODS, "PROPFIND", "REPORT")

        def propfind(self, name: str) -> None:
            self.set_status(207)
            self.write(f"found {name}")

        async def report(self, name: str) -> None:
            self.write(f"reported {name}")

    site = await serve([("/(.*)", Handler)])
    response = await site.request("PROPFIND", "/x")
    assert (response.status_code, response.text) == (207, "found x")
    assert (await site.request("REPORT", "/x")).text == "reported x"
    assert (await site.get("/x")).status_code == 405


async def test_supported_methods_can_be_cut(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        SUPPORTED_METHODS = ("GET",)

        def get(self) -> None:
            self.write("x")

        post = get

    site = await serve([("/", Handler)])
    assert (await site.get("/")).status_code == 200
    assert (await site.post("/")).status_code == 405


def test_the_default_methods_are_one_function(web: Any) -> None:
    """jupyter_server tells by this which methods a handler has."""
    names = ["head", "get", "post", "delete", "patch", "put", "options"]
    for name in names:
        assert getattr(web.RequestHandler, name) == web.RequestHandler._unimplemented_method
    assert set(web.RequestHandler.SUPPORTED_METHODS) == {name.upper() for name in names}
    assert len(web.RequestHandler.SUPPORTED_METHODS) == len(names)


# ---- The order of things ---------------------------------------------------------------------


@pytest.mark.parametrize("coroutine", ["none", "prepare", "get", "both"])
async def test_the_life_of_a_request(web: Any, serve: Serve, coroutine: str) -> None:
    events: list[Any] = []

    class Plain(web.RequestHandler):
        def initialize(self, word: str) -> None:
            events.append(("initialize", word))

        def set_default_headers(self) -> None:
            events.append("set_default_headers")

        def prepare(self) -> Any:
            events.append("prepare")

        def get(self, group: str) -> Any:
            events.append(("get", group, self.path_args))
            self.write("x")

        def on_finish(self) -> None:
            events.append(("on_finish", self._finished, self.get_status()))

    class Handler(Plain):
        if coroutine in ("prepare", "both"):

            async def prepare(self) -> None:
                Plain.prepare(self)

        if coroutine in ("get", "both"):

            async def get(self, group: str) -> None:
                Plain.get(self, group)

    site = await serve([("/(.*)", Handler, {"word": "w"})])
    assert (await site.get("/g")).text == "x"
    assert events == [
        "set_default_headers",
        ("initialize", "w"),
        "prepare",
        ("get", "g", ["g"]),
        ("on_finish", True, 200),
    ]


def _finish(self: Any) -> None:
    self.finish("from prepare")


def _redirect(self: Any) -> None:
    self.redirect("/elsewhere")


def _error(self: Any) -> None:
    self.send_error(409)


def _raise(self: Any) -> None:
    raise self.framework.web.HTTPError(403)


@plain_or_coroutine
@pytest.mark.parametrize(
    ("end", "status"), [(_finish, 200), (_redirect, 302), (_error, 409), (_raise, 403)]
)
async def test_prepare_can_keep_the_method_from_running(
    framework: Framework, serve: Serve, coroutine: bool, end: Any, status: int
) -> None:
    web = framework.web
    events: list[str] = []
    given = framework

    class Handler(web.RequestHandler):
        framework = given
        prepare = as_method(end, coroutine)

        def get(self) -> None:
            events.append("get")

        def on_finish(self) -> None:
            events.append("on_finish")

    site = await serve([("/", Handler)])
    response = await site.get("/", follow_redirects=False)
    assert response.status_code == status
    assert events == ["on_finish"]
    if end is _finish:
        assert response.text == "from prepare"


@plain_or_coroutine
async def test_prepare_has_the_arguments_of_the_path(
    web: Any, serve: Serve, coroutine: bool
) -> None:
    seen: list[Any] = []

    class Handler(web.RequestHandler):
        def prepare(self) -> Any:
            seen.append((self.path_args, self.path_kwargs))

        get = as_method(lambda self, **kwargs: self.write(kwargs), coroutine)

    site = await serve([("/(?P<a>[^/]*)/(?P<b>.*)", Handler)])
    assert (await site.get("/one/two")).json() == {"a": "one", "b": "two"}
    assert seen == [([], {"a": "one", "b": "two"})]


async def test_a_method_may_finish_by_itself(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.write("a")
            self.finish("b")

    site = await serve([("/", Handler)])
    assert (await site.get("/")).text == "ab"


async def test_finish_gives_a_future(web: Any, serve: Serve) -> None:
    waited: list[Any] = []

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            waited.append(await self.finish("x"))

    site = await serve([("/", Handler)])
    assert (await site.get("/")).text == "x"
    assert waited == [None]


@plain_or_coroutine
async def test_finish_raised_ends_the_request(web: Any, serve: Serve, coroutine: bool) -> None:
    events: list[str] = []

    def end(self: Any, how: str) -> None:
        self.set_header("X-Kept", "yes")
        if how == "argument":
            raise web.Finish("given")
        if how == "dict":
            raise web.Finish({"k": 1})
        if how == "status":
            self.set_status(401)
            self.write("who?")
        if how == "finished":
            self.finish("before")
        raise web.Finish

    class Handler(web.RequestHandler):
        get = as_method(end, coroutine)

        def on_finish(self) -> None:
            events.append("on_finish")

        def log_exception(self, *exc_info: Any) -> None:
            events.append("log_exception")

    site = await serve([("/(.*)", Handler)])
    for how, status, text in [
        ("none", 200, ""),
        ("argument", 200, "given"),
        ("dict", 200, '{"k": 1}'),
        ("status", 401, "who?"),
        ("finished", 200, "before"),
    ]:
        response = await site.get(f"/{how}")
        assert (response.status_code, response.text) == (status, text), how
        assert response.headers["X-Kept"] == "yes"
    assert events == ["on_finish"] * 5


async def test_finish_raised_in_prepare(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def prepare(self) -> None:
            raise web.Finish("prepared")

        def get(self) -> None:
            self.write("not reached")

    site = await serve([("/", Handler)])
    assert (await site.get("/")).text == "prepared"


@pytest.mark.parametrize("result", ["x", 7, ["x"]])
async def test_a_method_that_returns_nonsense_is_a_500(
    web: Any, serve: Serve, result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> Any:
            return result

    site = await serve([("/", Handler)])
    assert (await site.get("/")).status_code == 500
    assert [r.name for r in caplog.records if r.levelno == logging.ERROR] == [
        "tornado.application",
        "tornado.access",
    ]


# ---- The groups of the path ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "args", "kwargs"),
    [
        ("/(.*)", "/a%20b+c", ["a b+c"], {}),
        ("/(.*)", "/%C3%A9%2Fx", ["é/x"], {}),
        ("/([^/]*)/(.*)", "/a/b", ["a", "b"], {}),
        ("/(a)?(b)?", "/b", [None, "b"], {}),
        ("/(a)?", "/", [None], {}),
        ("/(a*)", "/", [""], {}),
        ("/(?P<x>a)?(?P<y>b)?", "/a", [], {"x": "a", "y": None}),
        ("/(?P<x>.*)", "/%E2%82%AC", [], {"x": "€"}),
        ("/plain", "/plain", [], {}),
    ],
)
@plain_or_coroutine
async def test_groups_reach_the_method_decoded(
    web: Any, serve: Serve, pattern: str, path: str, args: Any, kwargs: Any, coroutine: bool
) -> None:
    class Handler(web.RequestHandler):
        get = as_method(lambda self, *a, **kw: self.write({"args": a, "kwargs": kw}), coroutine)

        def on_finish(self) -> None:
            assert (list(self.path_args), self.path_kwargs) == (args, kwargs)

    site = await serve([(pattern, Handler)])
    response = await site.get(path)
    assert response.json() == {"args": args, "kwargs": kwargs}


async def test_a_group_that_is_not_utf8_is_a_400(web: Any, serve: Serve) -> None:
    reached: list[str] = []

    class Handler(web.RequestHandler):
        def prepare(self) -> None:
            reached.append("prepare")

        def get(self, group: str) -> None:
            reached.append("get")

    site = await serve([("/(.*)", Handler)])
    peer = await site.connect()
    assert (await peer.ask("GET /%ff HTTP/1.1", "Host: a")).status == 400
    assert reached == []
    assert (await peer.ask("GET /ok HTTP/1.1", "Host: a")).status == 200


async def test_decode_argument_may_leave_groups_as_bytes(web: Any, serve: Serve) -> None:
    calls: list[Any] = []

    class Handler(web.RequestHandler):
        def decode_argument(self, value: bytes, name: str | None = None) -> Any:
            calls.append((value, name))
            return value

        def get(self, *args: bytes, **kwargs: bytes) -> None:
            self.write(repr((args, kwargs)))

    site = await serve([("/n/(?P<x>.*)", Handler), ("/(.*)", Handler)])
    assert (await site.get("/%ff")).text == "((b'\\xff',), {})"
    assert (await site.get("/n/%fe")).text == "((), {'x': b'\\xfe'})"
    assert calls == [(b"\xff", None), (b"\xfe", "x")]


async def test_wrong_number_of_groups_is_a_500(
    web: Any, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.write("x")

    site = await serve([("/(.*)", Handler)])
    assert (await site.get("/a")).status_code == 500
    assert "TypeError" in caplog.text


@pytest.mark.parametrize("target", ["/", "/x"])
async def test_settings_and_application_are_at_hand(web: Any, serve: Serve, target: str) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            assert self.settings is self.application.settings
            self.write(self.settings["own"] + self.request.path)

    site = await serve([(".*", Handler)], own="mine")
    assert (await site.get(target)).text == "mine" + target


async def test_require_setting(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.require_setting("there")
            try:
                self.require_setting("missing", "this page")
            except Exception as error:  # the very type that Tornado raises
                self.write(str(error))

    site = await serve([("/", Handler)], there="x")
    text = (await site.get("/")).text
    assert "missing" in text
    assert "this page" in text
