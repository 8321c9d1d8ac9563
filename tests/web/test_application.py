"""The application: routes, defaults, settings, logs, transforms, ready-made handlers."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import logging
from typing import Any

import pytest

from .serving import Framework, Serve, plain_or_coroutine

GET = ("GET / HTTP/1.1", "Host: a")


@pytest.fixture
def say(web: Any) -> Any:
    """A handler that says the word of its route, and what the path held."""

    class Say(web.RequestHandler):
        def initialize(self, word: str = "hello") -> None:
            self.word = word

        def get(self, *args: str, **kwargs: str) -> None:
            self.write(" ".join([self.word, *args, *kwargs.values()]))

    return Say


# ---- Routes ----------------------------------------------------------------------------------


async def test_forms_of_routes(framework: Framework, serve: Serve, say: Any) -> None:
    web, routing = framework.web, framework.routing
    site = await serve(
        [
            ("/two", say),
            ("/three", say, {"word": "three"}),
            ("/four", say, {"word": "four"}, "name"),
            web.url("/url/(.*)", say, {"word": "url"}, name="url"),
            routing.Rule(routing.PathMatches("/rule"), say, {"word": "rule"}),
            (routing.PathMatches("/matcher"), say),
            ["/list", say],
            ("/nested/.*", [("/nested/(a)", say, {"word": "in"}), ("/nested/b", say)]),
            ("/last$", say),
        ]
    )
    for path, text in [
        ("/two", "hello"),
        ("/three", "three"),
        ("/four", "four"),
        ("/url/x", "url x"),
        ("/rule", "rule"),
        ("/matcher", "hello"),
        ("/list", "hello"),
        ("/nested/a", "in a"),
        ("/nested/b", "hello"),
        ("/last", "hello"),
    ]:
        assert (await site.get(path)).text == text
    for path in ("/two/more", "/tw", "/nested/c", "/"):
        assert (await site.get(path)).status_code == 404


async def test_a_handler_by_its_dotted_name(framework: Framework, serve: Serve) -> None:
    site = await serve([("/", f"{framework.name}.web.RedirectHandler", {"url": "/there"})])
    assert (await site.get("/", follow_redirects=False)).headers["Location"] == "/there"


async def test_the_first_route_that_matches_wins(serve: Serve, say: Any) -> None:
    site = await serve([("/a", say, {"word": "1"}), ("/.*", say, {"word": "2"}), ("/b", say)])
    assert (await site.get("/a")).text == "1"
    assert (await site.get("/b")).text == "2"


def test_url_is_a_spec(framework: Framework, say: Any) -> None:
    web = framework.web
    spec = web.url(r"/x/(\d+)", say, {"word": "w"}, "n")
    assert isinstance(spec, framework.routing.URLSpec)
    assert spec.regex.pattern == r"/x/(\d+)$"
    assert spec.handler_class is spec.target is say
    assert (spec.kwargs, spec.name) == ({"word": "w"}, "n")
    assert spec.reverse(7) == "/x/7"


async def test_reverse_url(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def get(self, *args: str) -> None:
            self.write(self.reverse_url("item", "a b", 7))

    site = await serve([("/", Handler), web.url("/item/([^/]*)/(.*)", Handler, name="item")])
    assert (await site.get("/")).text == "/item/a%20b/7"
    assert site.application.reverse_url("item", "é", "x") == "/item/%C3%A9/x"
    with pytest.raises(KeyError, match="nowhere"):
        site.application.reverse_url("nowhere")


async def test_add_handlers_for_a_host(web: Any, serve: Serve, say: Any) -> None:
    site = await serve([("/", say, {"word": "any"}), ("/any", say)])
    site.application.add_handlers(r"www\.example\.com", [("/", say, {"word": "www"})])
    site.application.add_handlers(r"(.*\.)?example\.com", [("/", say, {"word": "wild"})])
    for host, text in [
        ("www.example.com", "www"),
        ("WWW.Example.COM:8080", "www"),
        ("a.example.com", "wild"),
        ("example.com", "wild"),
        ("example.com.evil", "any"),
        ("127.0.0.1", "any"),
    ]:
        assert (await site.get("/", headers={"Host": host})).text == text, host
    assert (await site.get("/any", headers={"Host": "www.example.com"})).text == "hello"


async def test_default_host(serve: Serve, say: Any) -> None:
    site = await serve([("/", say, {"word": "any"})], default_host="www.example.com")
    site.application.add_handlers(r"www\.example\.com", [("/x", say, {"word": "www"})])
    assert (await site.get("/x")).text == "www"
    assert (await site.get("/")).text == "any"
    # Behind a proxy the real host would have been said.
    assert (await site.get("/x", headers={"X-Real-Ip": "1.2.3.4"})).status_code == 404


async def test_default_handler_class(web: Any, serve: Serve, say: Any) -> None:
    class Missing(web.RequestHandler):
        def initialize(self, word: str = "none") -> None:
            self.word = word

        def prepare(self) -> None:
            self.set_status(404)
            self.finish(f"{self.word}: {self.request.path}")

    for arguments, text in [({}, "none: /x"), ({"default_handler_args": {"word": "w"}}, "w: /x")]:
        site = await serve([("/", say)], default_handler_class=Missing, **arguments)
        response = await site.get("/x")
        assert (response.status_code, response.text) == (404, text)
        assert (await site.post("/x")).status_code == 404


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
async def test_no_route_is_a_404_for_all_methods(serve: Serve, say: Any, method: str) -> None:
    site = await serve([("/", say)])
    response = await site.request(method, "/nowhere")
    assert response.status_code == 404
    assert "404: Not Found" in response.text


async def test_find_handler_may_be_overridden(framework: Framework, serve: Serve, say: Any) -> None:
    """distributed's way; it reads handler_class of what it gets."""
    seen: list[Any] = []

    class Own(framework.web.Application):
        def find_handler(self, request: Any, **kwargs: Any) -> Any:
            if request.path == "/own":
                return self.get_handler_delegate(
                    request, say, {"word": "own"}, path_args=[b"a"], path_kwargs=None
                )
            delegate = super().find_handler(request, **kwargs)
            seen.append(delegate.handler_class)
            return delegate

    site = await serve([("/", say)], application_class=Own)
    assert (await site.get("/own")).text == "own a"
    assert (await site.get("/")).text == "hello"
    assert (await site.get("/nowhere")).status_code == 404
    assert seen == [say, framework.web.ErrorHandler]


async def test_an_application_as_a_target(framework: Framework, serve: Serve, say: Any) -> None:
    web = framework.web
    inner = web.Application([("/in/(.*)", say, {"word": "inner"})])
    site = await serve([("/in/.*", inner), ("/out", say)])
    assert (await site.get("/in/x")).text == "inner x"
    assert (await site.get("/out")).text == "hello"
    router = framework.routing.RuleRouter([framework.routing.Rule(
        framework.routing.PathMatches("/in/.*"), inner
    )])  # fmt: skip
    site = await serve(router)
    assert (await site.get("/in/y")).text == "inner y"
    assert (await site.get("/")).status_code == 404


async def test_routes_can_be_read_and_changed(web: Any, serve: Serve, say: Any) -> None:
    site = await serve([("/a", say), web.url("/b", say, name="b")])
    router = site.application.wildcard_router
    assert [rule.matcher.regex.pattern for rule in router.rules] == ["/a$", "/b$"]
    assert list(router.named_rules) == ["b"]
    router.rules = [rule for rule in router.rules if rule.name]
    assert (await site.get("/a")).status_code == 404
    router.add_rules([("/c", say)])
    assert (await site.get("/c")).text == "hello"


async def test_listen(framework: Framework, say: Any) -> None:
    application = framework.web.Application([("/", say)])
    server = application.listen(0, "127.0.0.1", max_body_size=10, backlog=5)
    try:
        assert isinstance(server, framework.httpserver.HTTPServer)
        assert server.conn_params.max_body_size == 10
    finally:
        server.stop()


# ---- Settings and logs -----------------------------------------------------------------------


async def test_log_function(web: Any, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logged: list[Any] = []

    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.set_status(201)

    def log(handler: Any) -> None:
        request = handler.request
        assert 0 <= request.request_time() < 60
        logged.append((type(handler), handler.get_status(), request.method, request.remote_ip))

    site = await serve([("/", Handler)], log_function=log)
    await site.get("/")
    await site.get("/nowhere")
    assert logged == [
        (Handler, 201, "GET", "127.0.0.1"),
        (web.ErrorHandler, 404, "GET", "127.0.0.1"),
    ]
    assert not [r for r in caplog.records if r.name == "tornado.access"]


@pytest.mark.parametrize(
    ("status", "level"),
    [(200, "INFO"), (302, "INFO"), (399, "INFO"), (400, "WARNING"), (499, "WARNING"),
     (500, "ERROR"), (599, "ERROR")],
)  # fmt: skip
async def test_the_access_log(
    web: Any, serve: Serve, status: int, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tornado.access")

    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.set_status(status)

    site = await serve([("/", Handler)])
    await site.get("/?q=1")
    (record,) = [r for r in caplog.records if r.name == "tornado.access"]
    assert record.levelname == level
    text, _, milliseconds = record.getMessage().rpartition(" ")
    assert text == f"{status} GET /?q=1 (127.0.0.1)"
    assert 0 <= float(milliseconds.removesuffix("ms")) < 60_000


async def test_log_request_may_be_overridden(web: Any, serve: Serve, say: Any) -> None:
    logged: list[Any] = []

    class Own(web.Application):
        def log_request(self, handler: Any) -> None:
            logged.append(handler.get_status())

    site = await serve([("/", say)], application_class=Own)
    await site.get("/")
    assert logged == [200]


async def test_a_log_function_that_fails_harms_no_request(
    web: Any, serve: Serve, say: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def log(handler: Any) -> None:
        raise KeyError("logging")

    site = await serve([("/", say)], log_function=log)
    peer = await site.connect()
    for _ in range(2):
        assert (await peer.ask(*GET)).body == b"hello"
    assert "logging" in caplog.text


def test_settings_are_the_keywords(web: Any) -> None:
    application = web.Application(own=1, other=None)
    assert application.settings["own"] == 1
    assert application.settings["other"] is None
    application.settings["later"] = 2
    assert application.settings["later"] == 2


# ---- Transforms ------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
@plain_or_coroutine
async def test_transforms(web: Any, serve: Serve, streamed: bool, coroutine: bool) -> None:
    calls: list[Any] = []

    class Loud(web.OutputTransform):
        def __init__(self, request: Any) -> None:
            self.path = request.path

        def transform_first_chunk(
            self, status_code: int, headers: Any, chunk: bytes, finishing: bool
        ) -> Any:
            calls.append(("first", self.path, status_code, chunk, finishing))
            headers["X-Loud"] = "yes"
            if finishing:
                headers["Content-Length"] = str(len(chunk) + 1)
            return 201, headers, chunk.upper() + b"!"

        def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
            calls.append(("more", chunk, finishing))
            return chunk.upper() + b"?"

    class Base(web.RequestHandler):
        def get(self) -> Any:
            self.write("one")
            if streamed:
                self.flush()
                self.write("two")

    class Coroutine(Base):
        async def get(self) -> None:
            super().get()

    site = await serve([("/", Coroutine if coroutine else Base)], transforms=[Loud])
    response = await site.get("/")
    assert response.status_code == 201
    assert response.headers["X-Loud"] == "yes"
    if streamed:
        assert response.text == "ONE!TWO?"
        assert calls == [("first", "/", 200, b"one", False), ("more", b"two", True)]
    else:
        assert response.text == "ONE!"
        assert calls == [("first", "/", 200, b"one", True)]


async def test_add_transform(web: Any, serve: Serve, say: Any) -> None:
    class Mark(web.OutputTransform):
        def transform_first_chunk(self, status_code: int, headers: Any, *rest: Any) -> Any:
            headers.add("X-Mark", self.mark)
            return super().transform_first_chunk(status_code, headers, *rest)

    site = await serve([("/", say)], transforms=[type("A", (Mark,), {"mark": "a"})])
    site.application.add_transform(type("B", (Mark,), {"mark": "b"}))
    for path in ("/", "/nowhere"):
        response = await site.get(path)
        assert response.headers.get_list("X-Mark") == ["a", "b"]


def test_a_transform_changes_nothing_by_itself(framework: Framework) -> None:
    transform = framework.web.OutputTransform(None)
    headers = framework.httputil.HTTPHeaders()
    assert transform.transform_first_chunk(200, headers, b"x", True) == (200, headers, b"x")
    assert transform.transform_chunk(b"x", False) == b"x"


# ---- Handlers ready for use ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "path", "status", "location"),
    [
        ({"url": "/to"}, "/from", 301, "/to"),
        ({"url": "/to", "permanent": False}, "/from", 302, "/to"),
        ({"url": "/to"}, "/from?a=1&b=x+y&a=%C3%A9", 301, "/to?a=1&a=%C3%A9&b=x+y"),
        ({"url": "/to?z=0"}, "/from?a=1", 301, "/to?z=0&a=1"),
        ({"url": "https://x.org/{1}/{0}"}, "/g/a/b%20c", 301, "https://x.org/b c/a"),
        ({"url": "/to/{name}"}, "/n/x", 301, "/to/x"),
    ],
)
async def test_redirect_handler(
    framework: Framework, serve: Serve, arguments: Any, path: str, status: int, location: str
) -> None:
    handler = framework.web.RedirectHandler
    if not framework.is_tornado:  # there is no space in a URL
        location = location.replace(" ", "%20")
    site = await serve([
        ("/from", handler, arguments),
        ("/g/(.*)/(.*)", handler, arguments),
        ("/n/(?P<name>.*)", handler, arguments),
    ])  # fmt: skip
    peer = await site.connect()
    answer = await peer.ask(f"GET {path} HTTP/1.1", "Host: a")
    assert (answer.status, answer.get("Location")) == (status, location)
    assert (await peer.ask(f"POST {path} HTTP/1.1", "Host: a", "Content-Length: 0")).status == 405


async def test_redirect_handler_of_head(framework: Framework, serve: Serve) -> None:
    site = await serve([("/", framework.web.RedirectHandler, {"url": "/to"})])
    response = await site.request("HEAD", "/", follow_redirects=False)
    # To us HEAD is answered like GET (RFC 9110, 9.3.2); Tornado's has no such method.
    assert response.status_code == (405 if framework.is_tornado else 301)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_error_handler(web: Any, serve: Serve, method: str) -> None:
    site = await serve([("/", web.ErrorHandler, {"status_code": 410})])
    response = await site.request(method, "/")
    assert (response.status_code, response.reason_phrase) == (410, "Gone")
    if method != "HEAD":
        assert "410: Gone" in response.text


async def test_fallback_handler(framework: Framework, serve: Serve, say: Any) -> None:
    finished: list[bool] = []

    def fallback(request: Any) -> None:
        body = request.method.encode() + b" " + request.body
        headers = framework.httputil.HTTPHeaders({"Content-Length": str(len(body))})
        line = framework.httputil.ResponseStartLine("HTTP/1.1", 202, "Fell Back")
        request.connection.write_headers(line, headers, body)
        request.connection.finish()

    class Handler(framework.web.FallbackHandler):
        def on_finish(self) -> None:
            finished.append(self._finished)

    site = await serve([("/", say), (".*", Handler, {"fallback": fallback})])
    peer = await site.connect()
    for _ in range(2):
        answer = await peer.ask("POST /x HTTP/1.1", "Host: a", "Content-Length: 1", body=b"b")
        assert (answer.status, answer.reason, answer.body) == (202, "Fell Back", b"POST b")
    assert (await peer.ask(*GET)).body == b"hello"
    assert finished == [True, True]


async def test_a_plain_function_as_the_server(framework: Framework, serve: Serve) -> None:
    def answer(request: Any) -> None:
        body = request.arguments["a"][0]
        headers = framework.httputil.HTTPHeaders({"Content-Length": str(len(body))})
        line = framework.httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
        request.connection.write_headers(line, headers, body)
        request.connection.finish()

    site = await serve(answer)
    assert (await site.get("/?a=x")).text == "x"


# ---- The exceptions by themselves ------------------------------------------------------------


def test_http_error_as_a_value(web: Any) -> None:
    error = web.HTTPError(404, "no %s", "thing", reason="Nope")
    assert (error.status_code, error.args, error.reason) == (404, ("thing",), "Nope")
    assert error.log_message == "no %s"
    assert error.get_message() == "no thing"
    assert str(error) == "HTTP 404: Nope (no thing)"
    assert str(web.HTTPError(499)) == "HTTP 499: Unknown"
    assert web.HTTPError().status_code == 500
    assert web.HTTPError(400, "100%").log_message == "100%%"
    assert web.HTTPError(400, "100%").get_message() == "100%"
    assert issubclass(web.MissingArgumentError, web.HTTPError)
    assert not issubclass(web.Finish, web.HTTPError)


def test_http_error_may_be_subclassed(web: Any) -> None:
    class Own(web.HTTPError):
        def __init__(self, extra: str) -> None:
            super().__init__(409, "own %s", extra)
            self.extra = extra

        def __str__(self) -> str:
            return f"{super().__str__()} extra"

    assert str(Own("x")) == "HTTP 409: Conflict (own x) extra"
