"""What comes of a route: values of placeholders, redirects, and methods that are not there."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from libraries import installed

from tornadoish import web as ours
from tornadoish.web import redirect

from .serving import Framework, Serve, as_method, plain_or_coroutine, until

ID = "6f1e0b3a-0000-4000-8000-00000000002a"


@pytest.fixture
def framework() -> Framework:
    """Tornado has nothing of the kind; what it has is in test_methods and test_application."""
    return Framework(installed("tornadoish"))


# ---- Placeholders ------------------------------------------------------------------------------


@plain_or_coroutine
async def test_values_arrive_converted(serve: Serve, coroutine: bool) -> None:
    seen: list[Any] = []

    def act(self: Any, **values: Any) -> None:
        seen.append((values, self.path_args, self.path_kwargs))

    handler = type("Handler", (ours.RequestHandler,), {"get": as_method(act, coroutine)})
    site = await serve([("/{name}/{n:int}/{x:float}/{u:uuid}/{rest:path}", handler)])
    response = await site.get(f"/a%20%C3%A9/7/-1.5/{ID}/b/c%2Fd")
    assert response.status_code == 200
    values = {"name": "a \u00e9", "n": 7, "x": -1.5, "u": uuid.UUID(ID), "rest": "b/c/d"}
    assert seen == [(values, [], values)]


async def test_what_does_not_convert_is_the_next_routes(serve: Serve) -> None:
    class Number(ours.RequestHandler):
        def get(self, id: int) -> None:
            self.write(f"number {id + 1}")

    class Name(ours.RequestHandler):
        def get(self, id: str) -> None:
            self.write(f"name {id}")

    site = await serve([("/u/{id:int}", Number), ("/u/{id}", Name)])
    assert (await site.get("/u/7")).text == "number 8"
    assert (await site.get("/u/x")).text == "name x"
    assert (await site.get(f"/u/{2**63}")).text == f"name {2**63}"
    assert (await site.get("/u/" + "1" * 6000)).text == "name " + "1" * 6000
    assert (await site.get("/u/%FF")).status_code == 400  # as where a group takes it
    assert (await site.get("/u/7/")).status_code == 404


async def test_text_is_decoded_by_the_handler(serve: Serve) -> None:
    class Handler(ours.RequestHandler):
        def decode_argument(self, value: bytes, name: str | None = None) -> str:
            return f"{name}={value.decode('latin-1')}"

        def get(self, a: str, b: int) -> None:
            self.write(f"{a} {b}")

    site = await serve([("/{a}/{b:int}", Handler)])
    assert (await site.get("/%E9/1")).text == "a=\u00e9 1"


async def test_reverse_url_in_a_handler(serve: Serve) -> None:
    class Handler(ours.RequestHandler):
        def get(self, name: str) -> None:
            self.write(self.reverse_url("user", name) + " " + self.reverse_url("user", name=name))

    site = await serve([ours.url("/user/{name}", Handler, name="user")])
    assert (await site.get("/user/a%2Fb")).text == "/user/a%2Fb /user/a%2Fb"


# ---- Redirects ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "path", "status", "location"),
    [
        (redirect("/old", "/new"), "/old", 301, "/new"),
        (redirect("/old", "/new", permanent=False), "/old?a=1", 302, "/new?a=1"),
        (redirect("/u/{id:int}/{x}", "/v/{x}?id={id}"), "/u/7/a%20b", 301, "/v/a%20b?id=7"),
        (redirect("/u/([0-9]+)", "https://e.org/{0}"), "/u/7", 301, "https://e.org/7"),
        (redirect("/u", "//e.org/"), "/u", 301, "//e.org/"),
        (redirect("(.*)/", "{0}"), "//e.org/", 301, "/e.org"),
        (redirect("/(.*)/", "/{0}"), "//e.org/", 301, "/e.org"),
        (redirect("/{x:path}/y", "/{x}"), "/%5Ce.org/y", 301, "/e.org"),
        (redirect("/{x:path}/y", "/{x}"), "/%09/e.org/y", 301, "/%09/e.org"),
        (redirect("/{x:path}/y", "{x}"), "/%20//e.org/y", 301, "%20//e.org"),
        (redirect("/{x}", "/n/{x}"), "/%0D%0ASet-Cookie:%20a", 301, "/n/%0D%0ASet-Cookie:%20a"),
        (redirect("/{x}", "/n/{x}"), "/%00%7F", 301, "/n/%00%7F"),
    ],
)
async def test_redirect(serve: Serve, route: Any, path: str, status: int, location: str) -> None:
    site = await serve([route])
    answer = await (await site.connect()).ask(f"GET {path} HTTP/1.1", "Host: a")
    assert (answer.status, answer.get("Location")) == (status, location)


def test_a_redirect_has_a_name() -> None:
    application = ours.Application([redirect("/old/{id:int}", "/new/{id}", name="old")])
    assert application.reverse_url("old", 7) == "/old/7"


# ---- 405 and what is allowed ---------------------------------------------------------------------


class Some(ours.RequestHandler):
    def get(self, *args: str) -> None:
        self.write("body")

    def post(self, *args: str) -> None:
        if self.settings.get("read_only"):
            raise ours.HTTPError(405)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish(f"error {status_code}")


async def test_a_405_says_what_is_allowed(serve: Serve) -> None:
    site = await serve([("/(.*)", Some)])
    for method in ("PUT", "HEAD", "OPTIONS", "BREW"):
        answer = await (await site.connect()).ask(f"{method} / HTTP/1.1", "Host: a")
        assert (answer.status, answer.get("Allow")) == (405, "GET, POST"), method
    assert (await site.get("/")).headers.get("Allow") is None


async def test_a_method_that_refuses_is_not_allowed(serve: Serve) -> None:
    site = await serve([("/", Some)], read_only=True)
    response = await site.post("/")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET")
    assert response.text == "error 405"


async def test_nothing_may_be_allowed(serve: Serve) -> None:
    site = await serve([("/", type("Handler", (ours.RequestHandler,), {}))])
    assert (await site.get("/")).headers["Allow"] == ""


async def test_of_methods_of_its_own(serve: Serve) -> None:
    class Handler(ours.RequestHandler):
        SUPPORTED_METHODS = ("GET", "PROPFIND", "REPORT")

        def propfind(self) -> None: ...

        put = propfind

    site = await serve([("/", Handler)])
    assert (await site.get("/")).headers["Allow"] == "PROPFIND"
    assert (await site.request("PUT", "/")).headers["Allow"] == "PROPFIND"


async def test_what_is_allowed_may_be_overridden(serve: Serve) -> None:
    class Handler(Some):
        def allowed_methods(self) -> list[str]:
            return ["GET", "DELETE"]

    site = await serve([("/", Handler)], automatic_options=True)
    assert (await site.request("PUT", "/")).headers["Allow"] == "GET, DELETE"
    assert (await site.request("OPTIONS", "/")).headers["Allow"] == "GET, DELETE"


# ---- Automatic HEAD and OPTIONS ------------------------------------------------------------------


@pytest.mark.parametrize("setting", [True, False])
@pytest.mark.parametrize("own", [None, True, False])
async def test_the_setting_and_the_class(serve: Serve, setting: bool, own: bool | None) -> None:
    class Handler(Some):
        automatic_head = own
        automatic_options = own

    site = await serve(
        [("/(.*)", Handler)], automatic_head=setting, automatic_options=setting
    )  # fmt: skip
    on = setting if own is None else own
    assert (await site.request("HEAD", "/x")).status_code == (200 if on else 405)
    assert (await site.request("OPTIONS", "/x")).status_code == (204 if on else 405)
    allowed = "GET, HEAD, POST, OPTIONS" if on else "GET, POST"
    assert (await site.request("PUT", "/x")).headers["Allow"] == allowed


@plain_or_coroutine
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_head_is_a_get_without_its_body(
    serve: Serve, coroutine: bool, streamed: bool
) -> None:
    methods: list[str] = []

    def act(self: Any, n: int) -> None:
        methods.append(self.request.method)
        self.set_header("X-Own", str(n))
        self.write("0123456789")
        if streamed:
            self.flush()
            self.write("more")

    handler = type("Handler", (ours.RequestHandler,), {"get": as_method(act, coroutine)})
    site = await serve([("/{n:int}", handler)], automatic_head=True)
    peer = await site.connect()
    head = await peer.ask("HEAD /7 HTTP/1.1", "Host: a")
    get = await peer.ask("GET /7 HTTP/1.1", "Host: a")
    assert get.body == (b"0123456789more" if streamed else b"0123456789")
    assert head.body == b""
    fields = [[f for f in answer.fields if f[0] != "Date"] for answer in (head, get)]
    assert fields[0] == fields[1]
    assert methods == ["HEAD", "GET"]


async def test_a_waiting_get_answers_a_head(serve: Serve) -> None:
    gate = asyncio.Event()
    begun: list[str] = []

    class Handler(ours.RequestHandler):
        automatic_head = True

        async def get(self) -> None:
            begun.append(self.request.method)
            await gate.wait()
            self.write("x")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send("HEAD / HTTP/1.1", "Host: a")
    await until(lambda: begun)
    gate.set()
    assert (await peer.answer(to_head=True)).get("Content-Length") == "1"


async def test_a_head_of_its_own_goes_first(serve: Serve) -> None:
    class Handler(Some):
        automatic_head = automatic_options = True

        def head(self) -> None:
            self.set_header("X-Own", "head")

        def options(self) -> None:
            self.set_header("X-Own", "options")

    site = await serve([("/", Handler)])
    for method in ("HEAD", "OPTIONS"):
        response = await site.request(method, "/")
        assert (response.status_code, response.headers["X-Own"]) == (200, method.lower())


async def test_no_head_without_a_get(serve: Serve) -> None:
    class Handler(ours.RequestHandler):
        automatic_head = automatic_options = True

        def post(self) -> None: ...

    site = await serve([("/", Handler)])
    response = await site.request("HEAD", "/")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST, OPTIONS")


async def test_errors_of_get_are_those_of_head(serve: Serve) -> None:
    class Handler(ours.RequestHandler):
        automatic_head = True

        def get(self) -> None:
            raise ours.HTTPError(410)

    site = await serve([("/", Handler)])
    peer = await site.connect()
    assert (await peer.ask("HEAD / HTTP/1.1", "Host: a")).status == 410
    assert (await peer.ask("GET / HTTP/1.1", "Host: a")).status == 410


async def test_options_comes_behind_prepare(serve: Serve) -> None:
    class Handler(Some):
        automatic_options = True

        def prepare(self) -> None:
            if "X-Key" not in self.request.headers:
                raise ours.HTTPError(401)

    site = await serve([("/", Handler)])
    assert (await site.request("OPTIONS", "/")).status_code == 401
    response = await site.request("OPTIONS", "/", headers={"X-Key": "1"})
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["Allow"] == "GET, POST, OPTIONS"
    assert "Content-Length" not in response.headers
    assert (await site.request("OPTIONS", "/nowhere")).status_code == 404


@pytest.mark.parametrize("name", ["tornadoish", "tornado"])
def test_the_verbs_are_still_one_function(name: str) -> None:
    """jupyter_server compares them, at its start."""
    web = Framework(installed(name)).web
    handler = type("Handler", (web.RequestHandler,), {"get": lambda self: None})
    assert handler.post == web.RequestHandler._unimplemented_method
    assert handler.get != web.RequestHandler._unimplemented_method
