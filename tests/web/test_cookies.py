"""Cookies that a handler reads and sets."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import Any
from unittest.mock import MagicMock

import pytest

from .serving import Answer, Framework, Serve, Site, as_method, by_hand, getting, plain_or_coroutine

pytestmark = pytest.mark.in_memory

ours_alone = pytest.mark.parametrize("framework", ["tornadoish"], indirect=True)
GET = ("GET / HTTP/1.1", "Host: a")


def set_cookies(answer: Answer) -> list[str]:
    """The values of its Set-Cookie fields, in order."""
    return [value for name, value in answer.fields if name == "Set-Cookie"]


async def ask(site: Site, *fields: str) -> Answer:
    return await (await site.connect()).ask(*GET, *fields)


def line(handler: Any) -> str:
    """What the one cookie that was set will be sent as."""
    (morsel,) = handler._new_cookie.values()
    text: str = morsel.OutputString()
    return text


# ---- Reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ("a=1; b=2", "b", "2"),
        ("a=1; a=2", "a", "2"),
        ('a="x\\073y\\"z"', "a", 'x;y"z'),
        ("a=", "a", ""),
        ("a", "a", None),
        ("a", "", None),  # that is where it is, but a name must be something
        ("b c=1; a=2", "a", "2"),
        ("b c=1; a=2", "b c", None),
        ("a,b=1", "a,b", None),
        ("é=1; a=2", "a", "2"),
        ("path=1; a=2", "path", None),  # reserved, as the names of attributes are
        ("Secure=1; a=2", "Secure", None),
        ("a=é", "a", "é".encode().decode("latin-1")),
        ("a:b=1", "a:b", "1"),
        ("__Host-a=1", "__Host-a", "1"),
        ("", "a", None),
    ],
)
@pytest.mark.parametrize("looked_at", [False, True], ids=["", "after-all"])
def test_get_cookie(
    framework: Framework, header: str, name: str, value: str | None, looked_at: bool
) -> None:
    header = header.encode().decode("latin-1")
    handler = by_hand(framework, headers={"Cookie": header})
    if looked_at:  # all of them have been parsed before
        assert isinstance(handler.cookies, SimpleCookie)
    assert handler.get_cookie(name) == value
    assert handler.get_cookie(name, "default") == ("default" if value is None else value)
    assert (name in handler.cookies) is (value is not None)


def test_cookies_are_those_of_the_request(framework: Framework) -> None:
    handler = by_hand(framework, headers={"Cookie": "a=1"})
    assert handler.get_cookie("a") == "1"
    assert handler.cookies is handler.request.cookies
    assert isinstance(handler.cookies["a"], Morsel)
    handler.request.cookies["b"] = "2"  # tests of applications do so
    assert handler.get_cookie("b") == "2"
    del handler.request.cookies["a"]
    assert handler.get_cookie("a") is None


def test_cookies_of_another_origin(framework: Framework) -> None:
    """Assigned by a bridge to another framework, or of a request that is a mock."""
    handler = by_hand(framework, headers={"Cookie": "a=1"})
    assert handler.get_cookie("a") == "1"
    handler.request._cookies = SimpleCookie({"a": "2", "c": "3"})
    assert [handler.get_cookie(name) for name in "abc"] == ["2", None, "3"]
    handler.request = MagicMock(cookies=SimpleCookie({"a": "4"}))
    assert [handler.get_cookie(name) for name in "ab"] == ["4", None]


def test_a_cookie_that_was_set_is_not_read(framework: Framework) -> None:
    handler = by_hand(framework)
    handler.set_cookie("a", "1")
    assert handler.get_cookie("a") is None


# ---- Setting: attributes ---------------------------------------------------------------------

WHEN = "Fri, 15 Jan 2027 08:00:00 GMT"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "a=b; Path=/"),
        ({"value": b"b"}, "a=b; Path=/"),
        ({"name": b"a"}, "a=b; Path=/"),
        ({"value": ""}, 'a=""; Path=/'),
        ({"value": 'x;y,"z\\'}, 'a="x\\073y\\054\\"z\\\\"; Path=/'),
        ({"value": "é"}, 'a="\\351"; Path=/'),
        ({"value": "a\x7f"}, 'a="a\\177"; Path=/'),
        ({"domain": "example.com"}, "a=b; Domain=example.com; Path=/"),
        ({"domain": ""}, "a=b; Path=/"),
        ({"path": "/x"}, "a=b; Path=/x"),
        ({"path": "/é"}, "a=b; Path=/é"),
        ({"path": ""}, "a=b"),
        ({"path": None}, "a=b"),
        ({"expires": 1_800_000_000}, f"a=b; expires={WHEN}; Path=/"),
        ({"expires": 1_800_000_000.9}, f"a=b; expires={WHEN}; Path=/"),
        ({"expires": time.gmtime(1_800_000_000)}, f"a=b; expires={WHEN}; Path=/"),
        ({"expires": (2027, 1, 15, 8, 0, 0)}, f"a=b; expires={WHEN}; Path=/"),
        ({"expires": datetime.datetime(2027, 1, 15, 8)}, f"a=b; expires={WHEN}; Path=/"),
        ({"expires": datetime.datetime.fromisoformat("2027-01-15T09:00+01:00")},
         f"a=b; expires={WHEN}; Path=/"),
        ({"expires": 1_800_000_000, "expires_days": 3}, f"a=b; expires={WHEN}; Path=/"),
        ({"max_age": 60}, "a=b; Max-Age=60; Path=/"),
        ({"max_age": "60"}, "a=b; Max-Age=60; Path=/"),
        ({"max_age": 60.5}, "a=b; Max-Age=60; Path=/"),
        ({"max_age": -1}, "a=b; Max-Age=-1; Path=/"),
        ({"httponly": True}, "a=b; HttpOnly; Path=/"),
        ({"secure": True}, "a=b; Path=/; Secure"),
        ({"secure": 1, "httponly": 0}, "a=b; Path=/; Secure"),
        ({"samesite": "Lax"}, "a=b; Path=/; SameSite=Lax"),
        ({"samesite": ""}, "a=b; Path=/"),
        ({"name": "__Host-a", "secure": True}, "__Host-a=b; Path=/; Secure"),
        ({"domain": "x.org", "expires": 1_800_000_000, "path": "/p", "max_age": 5, "httponly": True,
          "secure": True, "samesite": "None"},
         f"a=b; Domain=x.org; expires={WHEN}; HttpOnly; Max-Age=5; Path=/p; Secure; SameSite=None"),
    ],
)  # fmt: skip
def test_set_cookie(framework: Framework, arguments: dict[str, Any], expected: str) -> None:
    handler = by_hand(framework)
    handler.set_cookie(**{"name": "a", "value": "b", **arguments})
    # The standard library sorts the attributes by their lower-case names.
    assert sorted(line(handler).split("; ")) == sorted(expected.split("; "))
    assert line(handler).split("; ")[0] == expected.split("; ")[0]


def test_the_order_of_parameters(framework: Framework) -> None:
    handler = by_hand(framework)
    handler.set_cookie("a", "b", "x.org", 1_800_000_000, "/p", None)
    assert line(handler) == f"a=b; Domain=x.org; expires={WHEN}; Path=/p"


@pytest.mark.parametrize("days", [30, 0.5, 0, -1])
def test_expires_days(framework: Framework, days: float) -> None:
    handler = by_hand(framework)
    before = int(time.time())
    handler.set_cookie("a", "b", expires_days=days)
    date = parsedate_to_datetime(line(handler).split("; ")[1].removeprefix("expires="))
    assert before <= date.timestamp() - days * 86400 <= time.time()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"max_age": 0}, "a=b; Max-Age=0; Path=/"),
        ({"expires": 0}, "a=b; expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"),
    ],
)
def test_zero_means_what_it_says(
    framework: Framework, arguments: dict[str, Any], expected: str
) -> None:
    handler = by_hand(framework)
    handler.set_cookie("a", "b", **arguments)
    # To theirs it is nothing, and the cookie lives as long as the browser.
    assert line(handler) == ("a=b; Path=/" if framework.is_tornado else expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"partitioned": True, "secure": True}, "a=b; Path=/; Secure; Partitioned"),
        ({"partitioned": False}, "a=b; Path=/"),
    ],
)
@ours_alone
async def test_partitioned(
    web: Any, serve: Serve, arguments: dict[str, Any], expected: str
) -> None:
    """Theirs leaves it to the standard library, which knows it from Python 3.14 on."""
    handler = getting(web, lambda self: self.set_cookie("a", "b", **arguments))
    site = await serve([("/", handler)])
    assert set_cookies(await ask(site)) == [expected]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"Path": "/x"}, "a=b; Path=/x"),
        ({"HttpOnly": True}, "a=b; HttpOnly; Path=/"),
        ({"HTTPONLY": False}, "a=b; Path=/"),
        ({"Secure": True, "Domain": "x.org"}, "a=b; Domain=x.org; Path=/; Secure"),
        ({"Max-Age": 5}, "a=b; Max-Age=5; Path=/"),
        ({"SameSite": "Lax"}, "a=b; Path=/; SameSite=Lax"),
        ({"Comment": "x"}, "a=b; Comment=x; Path=/"),
        ({"version": 1}, "a=b; Path=/; Version=1"),
    ],
)
def test_names_in_other_cases(
    framework: Framework, attributes: dict[str, Any], expected: str
) -> None:
    handler = by_hand(framework)
    with pytest.warns(DeprecationWarning, match="Deprecated arguments") as warned:
        handler.set_cookie("a", "b", **attributes)
    if not framework.is_tornado:
        assert warned[0].filename == __file__  # it is about the line that calls
    assert line(handler) == expected


def test_other_cases_of_ours_alone() -> None:
    handler = by_hand(Framework("tornadoish"))
    with pytest.warns(DeprecationWarning):
        handler.set_cookie("a", "b", Partitioned=True, Domain=None)
    assert line(handler) == "a=b; Path=/; Partitioned"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("attribute", ["foo", "Max_Age", "expire"])
def test_attributes_that_there_are_not(framework: Framework, attribute: str) -> None:
    handler = by_hand(framework)
    with pytest.raises(CookieError):
        handler.set_cookie("a", "b", **{attribute: 1})


# ---- Setting: what must not get out ----------------------------------------------------------

UNSAFE = [
    "a;b",
    "a; HttpOnly",
    "a\r\nX: y",
    "a\nb",
    "a\rb",
    "a\x00",
    "a b",
    "\ta",
    "a\x7f",
    "a\x1f",
]
ADVISORY = "GHSA-78cv-mqj4-43f7"


@pytest.mark.parametrize("attribute", ["domain", "path", "samesite"])
@pytest.mark.parametrize("value", UNSAFE, ids=lambda value: f"{ADVISORY}-{value!r}")
def test_unsafe_attributes(framework: Framework, attribute: str, value: str) -> None:
    handler = by_hand(framework)
    with pytest.raises(CookieError):
        handler.set_cookie("a", "b", **{attribute: value})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "attribute", ["Domain", "Path", "SameSite", "Expires", "Version", "Comment"]
)
@pytest.mark.parametrize("value", UNSAFE, ids=lambda value: f"{ADVISORY}-{value!r}")
def test_unsafe_attributes_in_other_cases(framework: Framework, attribute: str, value: str) -> None:
    handler = by_hand(framework)
    with pytest.raises(CookieError):
        handler.set_cookie("a", "b", **{attribute: value})


@pytest.mark.parametrize("value", ["5; Domain=x", "5\r\n", "x", "5;"])
def test_unsafe_max_age(framework: Framework, value: Any) -> None:
    handler = by_hand(framework)
    if value == "5\r\n":  # int() strips it: what gets out is a number
        handler.set_cookie("a", "b", max_age=value)
        assert line(handler) == "a=b; Max-Age=5; Path=/"
        return
    with pytest.raises(ValueError):
        handler.set_cookie("a", "b", max_age=value)


@pytest.mark.parametrize("value", ["5; Domain=x", b"x", [1]])
def test_unsafe_expires(framework: Framework, value: Any) -> None:
    with pytest.raises(TypeError):
        by_hand(framework).set_cookie("a", "b", expires=value)


@pytest.mark.parametrize(
    "name",
    ["", "a b", "a;b", "a=b", "a,b", "a\n", "a\r\nX: y", "é", "a\x00", "path", "Secure", '"a"'],
)
def test_unsafe_names(framework: Framework, name: str) -> None:
    handler = by_hand(framework)
    with pytest.raises(CookieError):
        handler.set_cookie(name, "b")
    assert not getattr(handler, "_new_cookie", None)


@pytest.mark.parametrize("value", ["a b", "a\r\nX: y", "a\nb", "a\x00", "\t", " ", b"a\nb"])
def test_unsafe_values(framework: Framework, value: str | bytes) -> None:
    with pytest.raises(ValueError):
        by_hand(framework).set_cookie("a", value)


@pytest.mark.parametrize("value", [None, 5, ["a"]])
def test_values_of_other_types(framework: Framework, value: Any) -> None:
    with pytest.raises(TypeError):
        by_hand(framework).set_cookie("a", value)


@pytest.mark.parametrize("arguments", [{"value": "日本"}, {"path": "/日本"}, {"domain": "日本.jp"}])
def test_beyond_latin_1(framework: Framework, arguments: dict[str, str]) -> None:
    """It could not come back as it went; theirs sends it in UTF-8."""
    handler = by_hand(framework)
    if framework.is_tornado:
        handler.set_cookie(**{"name": "a", "value": "b", **arguments})
        return
    with pytest.raises((ValueError, CookieError)):
        handler.set_cookie(**{"name": "a", "value": "b", **arguments})


def test_errors_do_not_tell_values() -> None:
    """They end in logs."""
    with pytest.raises(ValueError) as refused:
        by_hand(Framework("tornadoish")).set_cookie("a", "secret word")
    assert "secret" not in str(refused.value)


@ours_alone
@plain_or_coroutine
@pytest.mark.parametrize(
    "spoil",
    [
        lambda morsel: morsel.__setitem__("path", "/; Domain=evil"),
        lambda morsel: morsel.__setitem__("samesite", "x\r\nX-Evil: 1"),
        lambda morsel: morsel.set("a", "b", "b\r\nX-Evil: 1"),
    ],
    ids=["semicolon", "CRLF", "value"],
)
async def test_what_is_put_past_set_cookie(
    web: Any, serve: Serve, coroutine: bool, spoil: Callable[[Any], None]
) -> None:
    """``_new_cookie`` is in reach: it is looked at again, and the error page gets out."""

    def get(self: Any) -> None:
        self.set_cookie("first", "1")
        self.set_cookie("a", "b")
        spoil(self._new_cookie["a"])

    handler = type("Handler", (web.RequestHandler,), {"get": as_method(get, coroutine)})
    answer = await ask(await serve([("/", handler)]))
    assert answer.status == 500
    assert set_cookies(answer) == []
    assert "X-Evil" not in dict(answer.fields)


# ---- Setting: when it goes out ---------------------------------------------------------------


async def test_cookies_of_an_answer(web: Any, serve: Serve) -> None:
    def get(self: Any) -> None:
        self.set_cookie("a", "1")
        self.set_cookie("b", "2", httponly=True)
        self.set_cookie("a", "3", path="/a")  # replaces the first, and goes last

    answer = await ask(await serve([("/", getting(web, get))]))
    assert set_cookies(answer) == ["b=2; HttpOnly; Path=/", "a=3; Path=/a"]


async def test_cookies_of_an_error_page(web: Any, serve: Serve) -> None:
    """They outlive ``clear``: whoever is logged out stays so."""

    def get(self: Any) -> None:
        self.set_cookie("a", "1")
        self.set_header("X-Gone", "1")
        raise web.HTTPError(418)

    answer = await ask(await serve([("/", getting(web, get))]))
    assert (answer.status, set_cookies(answer)) == (418, ["a=1; Path=/"])
    assert answer.get("X-Gone") is None


async def test_cookies_of_a_redirect(web: Any, serve: Serve) -> None:
    def get(self: Any) -> None:
        self.set_cookie("a", "1")
        self.redirect("/x")

    answer = await ask(await serve([("/", getting(web, get))]))
    assert (answer.status, set_cookies(answer)) == (302, ["a=1; Path=/"])


async def test_cookies_of_a_304(web: Any, serve: Serve) -> None:
    def get(self: Any) -> None:
        self.set_cookie("a", "1")
        self.write("x")

    site = await serve([("/", getting(web, get))])
    etag = (await ask(site)).get("Etag")
    answer = await ask(site, f"If-None-Match: {etag}")
    assert (answer.status, set_cookies(answer)) == (304, ["a=1; Path=/"])


async def test_cookies_go_with_the_head(web: Any, serve: Serve) -> None:
    async def get(self: Any) -> None:
        self.set_cookie("a", "1")
        await self.flush()
        self.set_cookie("b", "2")  # too late
        self.write("x")
        await self.flush()

    answer = await ask(await serve([("/", getting(web, get))]))
    assert (set_cookies(answer), answer.body) == (["a=1; Path=/"], b"x")


async def test_a_transform_sees_the_head_without_them(web: Any, serve: Serve) -> None:
    """And may replace the fields: the cookies come later."""

    class Transform(web.OutputTransform):
        def transform_first_chunk(
            self, status: int, headers: Any, chunk: bytes, finishing: bool
        ) -> Any:
            return status, type(headers)({"X-Seen": str("Set-Cookie" in headers)}), chunk

        def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
            return chunk

    handler = getting(web, lambda self: self.set_cookie("a", "1"))
    answer = await ask(await serve([("/", handler)], transforms=[Transform]))
    assert answer.get("X-Seen") == "False"
    assert set_cookies(answer) == ["a=1; Path=/"]


def test_nothing_is_kept_without_cookies() -> None:
    handler = by_hand(Framework("tornadoish"))
    assert "_new_cookie" not in handler.__dict__
    assert handler._new_cookie is None
    handler.set_cookie("a", "1")
    assert isinstance(handler._new_cookie, SimpleCookie)


# ---- Clearing --------------------------------------------------------------------------------


def expired(text: str) -> bool:
    date = text.split("expires=")[1].split(";")[0]
    return parsedate_to_datetime(date).timestamp() < time.time() - 300 * 86400


def test_clear_cookie(framework: Framework) -> None:
    handler = by_hand(framework)
    handler.set_cookie("a", "1")
    handler.clear_cookie("a", path="/p", domain="x.org", samesite="None", secure=True)
    text = line(handler)
    assert text.startswith('a=""; Domain=x.org; expires=')
    assert text.endswith("; Path=/p; SameSite=None; Secure")
    assert expired(text)


@pytest.mark.parametrize("refused", ["expires", "max_age"])
def test_clear_cookie_knows_when(framework: Framework, refused: str) -> None:
    with pytest.raises(TypeError, match=refused):
        by_hand(framework).clear_cookie("a", **{refused: 5})
    with pytest.raises(TypeError, match=refused):
        by_hand(framework, headers={"Cookie": "a=1"}).clear_all_cookies(**{refused: 5})


async def test_clear_all_cookies(web: Any, serve: Serve) -> None:
    handler = getting(web, lambda self: self.clear_all_cookies(path="/p"))
    site = await serve([("/", handler)])
    fields = set_cookies(await ask(site, "Cookie: a=1; b c=2; d=3; a=4"))
    assert [field.partition("=")[0] for field in fields] == ["a", "d"]
    assert all(expired(field) and field.endswith("; Path=/p") for field in fields)
    assert set_cookies(await ask(site)) == []


async def test_a_jar_of_a_client(web: Any, serve: Serve) -> None:
    """There and back, and gone, as a real client does it."""

    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.write(repr(self.get_cookie("a")))

        def post(self) -> None:
            self.set_cookie("a", 'é;,"\\=', expires_days=1)

        def delete(self) -> None:
            self.clear_cookie("a")

    site = await serve([("/", Handler)])
    texts = []
    for method in ("GET", "POST", "GET", "DELETE", "GET"):
        texts.append((await site.request(method, "/")).text)
    assert texts == ["None", "", repr('é;,"\\='), "", "None"]
