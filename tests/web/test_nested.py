"""Routers, applications and other delegates as targets of rules; applications within applications.

What Tornado's documentation of ``tornado.routing`` shows runs over both frameworks.
"""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

from typing import Any

import pytest

from tornadoish import routing, web
from tornadoish.httputil import HTTPServerRequest
from tornadoish.web import Application

from .serving import Framework, Serve


def saying(web: Any) -> Any:
    """A handler that tells where it is: its word, its arguments, and what its request says."""

    class Say(web.RequestHandler):
        def initialize(self, word: str = "") -> None:
            self.word = word

        def get(self, *args: Any, **kwargs: Any) -> None:
            self.write(f"{self.word} {args} {kwargs} {self.request.path}")

    return Say


def answering(framework: Framework, word: bytes) -> Any:
    """A delegate for connections that is no router, as in the documentation."""
    httputil = framework.httputil

    class Answer(httputil.HTTPMessageDelegate):
        def __init__(self, connection: Any) -> None:
            self.connection = connection

        def headers_received(self, start_line: Any, headers: Any) -> None:
            self.path = start_line.path

        def finish(self) -> None:
            body = word + b" " + self.path.encode()
            line = httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
            headers = httputil.HTTPHeaders({"Content-Length": str(len(body))})
            self.connection.write_headers(line, headers, body)
            self.connection.finish()

        def on_connection_close(self) -> None:
            self.connection = None

    class Delegate(httputil.HTTPServerConnectionDelegate):
        def start_request(self, server_conn: object, request_conn: Any) -> Any:
            return Answer(request_conn)

    return Delegate, Answer


# ---- As Tornado documents it -----------------------------------------------------------------


async def test_a_router_of_applications(framework: Framework, serve: Serve) -> None:
    routing, say = framework.routing, saying(framework.web)
    app1 = framework.web.Application([("/app1/handler", say, {"word": "one"})])
    app2 = framework.web.Application([("/app2/(.*)", say, {"word": "two"})])
    router = routing.RuleRouter(
        [
            routing.Rule(
                routing.HostMatches("example.com"),
                routing.RuleRouter([routing.Rule(routing.PathMatches("/app1/.*"), app1)]),
            ),
            routing.Rule(routing.PathMatches("/app2.*"), app2),
        ]
    )
    site = await serve(router)
    here = {"Host": "example.com"}
    assert (await site.get("/app1/handler", headers=here)).text == "one () {} /app1/handler"
    assert (await site.get("/app1/handler")).status_code == 404
    assert (await site.get("/app1/else", headers=here)).status_code == 404
    assert (await site.get("/app2/x")).text == "two ('x',) {} /app2/x"
    assert (await site.get("/app2/x", headers=here)).text == "two ('x',) {} /app2/x"


async def test_all_kinds_of_targets(framework: Framework, serve: Serve) -> None:
    delegate, _ = answering(framework, b"delegate")
    web, routing = framework.web, framework.routing

    class Custom(routing.Router):
        def find_handler(self, request: Any, **kwargs: Any) -> Any:
            if request.path == "/custom/none":
                return None
            return answering(framework, b"custom")[1](request.connection)

    def function(request: Any, **params: Any) -> None:
        body = f"function {request.path} {params}".encode()
        line = framework.httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
        headers = framework.httputil.HTTPHeaders({"Content-Length": str(len(body))})
        request.connection.write_headers(line, headers, body)
        request.connection.finish()

    rules = [
        ("/delegate", delegate()),
        ("/custom.*", Custom()),
        ("/function/(.)", function, {"more": 1}),
        ("/.*", saying(web), {"word": "rest"}),
    ]
    application = web.Application(rules)
    for target in (application, routing.RuleRouter([(routing.AnyMatches(), application)])):
        site = await serve(target)
        assert (await site.get("/delegate")).text == "delegate /delegate"
        assert (await site.get("/custom")).text == "custom /custom"
        assert (await site.get("/custom/none")).text == "rest () {} /custom/none"
        expected = "function /function/x {'path_args': [b'x'], 'path_kwargs': {}"
        assert (await site.get("/function/x")).text == expected + ", 'target_kwargs': {'more': 1}}"


async def test_a_router_by_methods(framework: Framework, serve: Serve) -> None:
    """The documentation's: a router that asks an application for its delegates."""
    web, resources = framework.web, {}

    class Get(web.RequestHandler):
        def get(self, path: str) -> None:
            if path not in resources:
                raise web.HTTPError(404)
            self.finish(resources[path])

    class Post(web.RequestHandler):
        def post(self, path: str) -> None:
            resources[path] = self.request.body

    class ByMethod(framework.routing.Router):
        def __init__(self, app: Any) -> None:
            self.app = app

        def find_handler(self, request: Any, **kwargs: Any) -> Any:
            handler = Get if request.method == "GET" else Post
            return self.app.get_handler_delegate(request, handler, path_args=[request.path])

    site = await serve(ByMethod(web.Application()))
    assert (await site.get("/x")).status_code == 404
    assert (await site.post("/x", content=b"hello")).status_code == 200
    assert (await site.get("/x")).text == "hello"


async def test_applications_have_their_own_settings(framework: Framework, serve: Serve) -> None:
    web, logged = framework.web, []

    class Tell(web.RequestHandler):
        def get(self) -> None:
            self.write(str(self.settings["name"]))

    class Missing(web.RequestHandler):
        def prepare(self) -> None:
            self.set_status(404)
            self.finish("missing in " + self.settings["name"])

    def log(handler: Any) -> None:
        logged.append((handler.settings["name"], handler.get_status()))

    inner = web.Application(
        [("/in/", Tell)], name="inner", default_handler_class=Missing, log_function=log
    )
    host = web.Application([(".*", Tell)], name="host")
    site = await serve(
        [("/in/.*", inner), (framework.routing.HostMatches("host"), host), ("/", Tell)],
        name="outer",
        log_function=log,
    )
    assert (await site.get("/")).text == "outer"
    assert (await site.get("/in/")).text == "inner"
    assert (await site.get("/in/x")).text == "missing in inner"
    assert (await site.get("/", headers={"Host": "host"})).text == "host"
    assert (await site.get("/x")).status_code == 404
    assert logged == [("outer", 200), ("inner", 200), ("inner", 404), ("outer", 404)]


# ---- Mount: ours alone -------------------------------------------------------------------------


@pytest.fixture
def ours(framework: Framework) -> Framework:
    if framework.is_tornado:
        pytest.skip("ours alone")
    return framework


class Where(web.RequestHandler):
    """Tells of its place."""

    def get(self, **kwargs: Any) -> None:
        request = self.request
        self.write({
            "path": request.path, "uri": request.uri, "root": request.root_path, **kwargs,
            "link": self.reverse_url("where", 7),
        })  # fmt: skip


def blog(**settings: Any) -> Application:
    return Application([web.url("/{id:int}", Where, name="where"), ("/plain", Where)], **settings)


@pytest.fixture
async def mounts(ours: Framework, serve: Serve) -> Any:
    inner = blog()
    middle = Application([routing.Mount("/deep/er", inner), *inner.wildcard_router.rules])
    return await serve(
        [
            routing.Mount("/blog", middle),
            web.url("/{id:int}", Where, name="where"),
            routing.Mount("/blog/plain", blog()),
            ("/blog/(?P<rest>.*)", Where),
        ]
    )


@pytest.mark.parametrize(
    ("path", "root", "link"),
    [
        ("/1", "", "/7"),
        ("/blog/1", "/blog", "/blog/7"),
        ("/blog/1?q=2", "/blog", "/blog/7"),
        ("/blog/deep/er/1", "/blog/deep/er", "/blog/deep/er/7"),
    ],
)
async def test_mounted(mounts: Any, path: str, root: str, link: str) -> None:
    answer = (await mounts.get(path)).json()
    assert answer == {
        "path": path.partition("?")[0], "uri": path, "root": root, "id": 1, "link": link
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/blog", "/blogs/1", "/blog/deep/er", "/Blog/1", "/%62log/1"])
async def test_not_below_it(mounts: Any, path: str) -> None:
    assert (await mounts.get(path)).status_code == 404


def test_reverse_url_of_what_is_mounted() -> None:
    outer = Application([
        routing.Mount("/a", routing.RuleRouter()),
        routing.Mount("/b", Application([web.url("/x", Where, name="x")])),
        routing.Mount("/c", blog()),
    ])  # fmt: skip
    assert outer.reverse_url("where", id=3) == "/c/3"  # of the one that knows it
    assert outer.reverse_url("x") == "/b/x"
    with pytest.raises(KeyError, match="nowhere"):
        outer.reverse_url("nowhere")
    with pytest.raises(ValueError, match="cannot be 'id'"):
        outer.reverse_url("where", "x")


async def test_the_next_rule_finds_the_request_as_it_was(ours: Framework, serve: Serve) -> None:
    seen: list[tuple[str, str]] = []

    class Passing(routing.Router):
        def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> None:
            seen.append((request.path, request.root_path))
            if request.path == "/raises":
                raise KeyError

    site = await serve(
        [
            routing.Mount("/blog", Passing()),
            web.url("/blog/x", Where),
            ("/{id}", Where, {}, "where"),
        ]
    )
    answer = (await site.get("/blog/x")).json()
    assert (answer["path"], answer["root"], answer["link"]) == ("/blog/x", "", "/7")
    assert (await site.get("/blog/raises")).status_code == 500
    assert seen == [("/x", "/blog"), ("/raises", "/blog")]


async def test_a_function_is_told_where_it_is(ours: Framework, serve: Serve) -> None:

    def function(request: Any) -> None:
        body = f"{request.root_path} {request.path}".encode()
        headers = ours.httputil.HTTPHeaders({"Content-Length": str(len(body))})
        line = ours.httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
        request.connection.write_headers(line, headers, body)
        request.connection.finish()

    site = await serve([routing.Mount("/blog", routing.RuleRouter([("/x", function)]))])
    assert (await site.get("/blog/x")).text == "/blog /blog/x"


@pytest.mark.parametrize("prefix", ["", "/", "/a/", "a", "/a//b", "/a?b", "/{a}", "/é", "/a b"])
def test_prefixes_that_are_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="is not a path such as"):
        routing.Mount(prefix, blog())


def test_only_routers_are_mounted() -> None:
    with pytest.raises(TypeError, match="only routers"):
        routing.Mount("/a", Where)  # type: ignore[arg-type]


async def test_being_told_of_the_end(ours: Framework, serve: Serve) -> None:
    inner, other = blog(), blog()
    site = await serve([routing.Mount("/a", inner), (routing.HostMatches("b"), [("/.*", other)])])
    await site.server.drain(1)
    assert inner.draining.is_set()
    assert other.draining.is_set()
