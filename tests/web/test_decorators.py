"""The decorators of methods: authenticated, removeslash, addslash."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc,untyped-decorator"
from __future__ import annotations

import inspect
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornadoish.httputil.urls import is_protocol_relative

from .serving import Answer, Framework, Serve, Site, plain_or_coroutine

BASE = "http://a.example"


def pages(web: Any, decorator: str, *, coroutine: bool = False) -> list[Any]:
    """Every path leads to a handler whose methods have the decorator of that name."""
    decorate = getattr(web, decorator)

    class Plain(web.RequestHandler):
        def get_current_user(self) -> Any:
            return self.get_cookie("user")

        @decorate
        def get(self, *groups: str) -> None:
            self.write(f"{self.request.method} {groups}")

        head = post = put = get

    class Coroutine(Plain):
        @decorate
        async def get(self, *groups: str) -> None:
            self.write(f"{self.request.method} {groups}")

        head = post = put = get

    return [("(.*)", Coroutine if coroutine else Plain)]


async def ask(site: Site, target: str, *fields: str, method: str = "GET") -> Answer:
    peer = await site.connect()
    head = (f"{method} {target} HTTP/1.1", "Host: a.example", "Content-Length: 0", *fields)
    return await peer.ask(*head)


# ---- authenticated ---------------------------------------------------------------------------


@plain_or_coroutine
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
async def test_who_is_logged_in(web: Any, serve: Serve, coroutine: bool, method: str) -> None:
    site = await serve(pages(web, "authenticated", coroutine=coroutine), login_url="/login")
    answer = await ask(site, "/x", "Cookie: user=u", method=method)
    assert answer.status == 200
    assert answer.body == (b"" if method == "HEAD" else f"{method} ('/x',)".encode())


@plain_or_coroutine
@pytest.mark.parametrize(
    ("method", "status"), [("GET", 302), ("HEAD", 302), ("POST", 403), ("PUT", 403)]
)
async def test_who_is_not(
    web: Any, serve: Serve, coroutine: bool, method: str, status: int
) -> None:
    site = await serve(pages(web, "authenticated", coroutine=coroutine), login_url="/login")
    answer = await ask(site, "/x", method=method)
    assert answer.status == status
    assert answer.get("Location") == ("/login?next=%2Fx" if status == 302 else None)
    assert b"GET" not in answer.body


@pytest.mark.parametrize(
    ("login_url", "target", "location"),
    [
        ("/login", "/", "/login?next=%2F"),
        ("/login", "/a/b?c=d&e", "/login?next=%2Fa%2Fb%3Fc%3Dd%26e"),
        ("/login", "/%C3%A9%20?a=%26", "/login?next=%2F%25C3%25A9%2520%3Fa%3D%2526"),
        ("/login?x=y", "/a", "/login?x=y"),
        ("login", "/a", "login?next=%2Fa"),
        ("https://sso.example/in", "/a?b", "https://sso.example/in?next=http%3A%2F%2Fa.example%2Fa%3Fb"),
        ("https://sso.example/?x", "/a", "https://sso.example/?x"),
    ],
)  # fmt: skip
async def test_the_way_back(
    web: Any, serve: Serve, login_url: str, target: str, location: str
) -> None:
    site = await serve(pages(web, "authenticated"), login_url=login_url)
    assert (await ask(site, target)).get("Location") == location


@pytest.mark.parametrize("target", ["//evil.example/", "/\\evil.example/", "/\\/evil.example"])
async def test_the_way_back_is_to_us(framework: Framework, serve: Serve, target: str) -> None:
    """A login page will redirect to it as it stands."""
    site = await serve(pages(framework.web, "authenticated"), login_url="/login")
    answer = await ask(site, target)
    (back,) = parse_qs(urlsplit(answer.get("Location") or "").query)["next"]
    assert back == (target if framework.is_tornado else BASE + target)


async def test_without_a_login_url(web: Any, serve: Serve) -> None:
    site = await serve(pages(web, "authenticated"))
    assert (await ask(site, "/")).status == 500


async def test_the_login_url_of_a_handler(web: Any, serve: Serve) -> None:
    ((pattern, handler),) = pages(web, "authenticated")
    handler.get_login_url = lambda self: f"/login{self.request.path}"
    site = await serve([(pattern, handler)])
    assert (await ask(site, "/a")).get("Location") == "/login/a?next=%2Fa"


@pytest.mark.parametrize("decorator", ["authenticated", "removeslash", "addslash"])
def test_what_integrations_know_a_wrapper_by(web: Any, decorator: str) -> None:
    def get(self: Any, *, name: str) -> None:
        """What it does."""

    wrapped = getattr(web, decorator)(get)
    assert wrapped.__wrapped__ is get
    assert (wrapped.__name__, wrapped.__doc__) == ("get", "What it does.")
    assert wrapped.__code__.co_qualname.startswith(decorator)
    assert str(inspect.signature(wrapped)) == str(inspect.signature(get))


# ---- Slashes ---------------------------------------------------------------------------------


@plain_or_coroutine
@pytest.mark.parametrize(
    ("decorator", "target", "location"),
    [
        ("removeslash", "/a", None),
        ("removeslash", "/a/", "/a"),
        ("removeslash", "/a///", "/a"),
        ("removeslash", "/a/b/?c=d/&e=%2F", "/a/b?c=d/&e=%2F"),
        ("removeslash", "/a%2F", None),
        ("removeslash", "/a?b=/", None),
        ("removeslash", "/", None),
        ("removeslash", "//", None),
        ("removeslash", "/?a", None),
        ("addslash", "/a/", None),
        ("addslash", "/a", "/a/"),
        ("addslash", "/a/b?c=d/&e=%2F", "/a/b/?c=d/&e=%2F"),
        ("addslash", "/a?/", "/a/?/"),
        ("addslash", "/a%2F", "/a%2F/"),
        ("addslash", "/", None),
        ("addslash", "//evil.example/", None),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_slashes(
    web: Any,
    serve: Serve,
    coroutine: bool,
    decorator: str,
    target: str,
    location: str | None,
    method: str,
) -> None:
    site = await serve(pages(web, decorator, coroutine=coroutine))
    answer = await ask(site, target, method=method)
    if method == "POST":
        # Theirs and ours: to remove the slash of "/" is to find no page, but for a GET.
        root = decorator == "removeslash" and target.partition("?")[0].strip("/") == ""
        assert answer.status == (200 if location is None and not root else 404)
        return
    assert (answer.status, answer.get("Location")) == (301 if location else 200, location)


HOSTILE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "/\\/evil.example",
    "//evil.example/..",
    "/\\",
]


@pytest.mark.parametrize("decorator", ["removeslash", "addslash"])
@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: f"CVE-2023-28370-{path}")
async def test_no_slashes_to_another_host(
    web: Any, serve: Serve, decorator: str, path: str
) -> None:
    site = await serve(pages(web, decorator))
    if decorator == "removeslash":
        path += "/"
    answer = await ask(site, path)
    assert (answer.status, answer.get("Location")) == (403, None)


@pytest.mark.parametrize("framework", ["tornadoish"], indirect=True)
async def test_an_absolute_target(web: Any, serve: Serve) -> None:
    """Its path counts alone (to theirs, the whole of it is the path)."""
    site = await serve(pages(web, "addslash"))
    answer = await ask(site, "http://b.example/x?y")
    assert (answer.status, answer.get("Location")) == (301, "/x/?y")
    answer = await ask(site, "http://b.example//evil.example")
    assert (answer.status, answer.get("Location")) == (403, None)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/a", False),
        ("/", False),
        ("", False),
        ("a//b", False),
        ("/a//b", False),
        ("http://a", False),
        ("//a", True),
        ("/\\a", True),
        ("\\/a", True),
        ("\\\\a", True),
        ("/\t/a", True),
        ("/\r\n\\a", True),
        (" \x00//a", True),
        ("\t /\n/a", True),
        ("/ /a", False),
    ],
)
def test_is_protocol_relative(url: str, expected: bool) -> None:
    assert is_protocol_relative(url) is expected


@given(st.text(st.sampled_from("/\\ \t\na.?#:@")))
def test_what_is_not_protocol_relative_stays_here(text: str) -> None:
    """Next to urllib, which knows no backslashes: they are made slashes for it."""
    url = text.replace("\\", "/").lstrip(" \t\n\r").replace("\t", "").replace("\n", "")
    if not is_protocol_relative(text):
        assert urlsplit(url).netloc == "" or "://" in url
        if not urlsplit(url).scheme:
            assert urlsplit(urljoin(BASE, url)).netloc == "a.example"
