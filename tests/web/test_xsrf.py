"""Requests that another site makes a browser send: XSRF tokens, and when they are asked for."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import re
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libraries import LIBRARIES, installed

from .serving import Framework, Serve, by_hand

pytestmark = pytest.mark.in_memory

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
#: one secret in both versions
SECRET = bytes(range(16))
OLD = SECRET.hex()
NEW = "2|01020304|" + bytes(b ^ (i % 4 + 1) for i, b in enumerate(SECRET)).hex() + "|1800000000"

versions = pytest.mark.parametrize("version", [1, 2])
others = pytest.mark.parametrize("other", LIBRARIES)


def form_handler(web: Any) -> Any:
    """A page with a form, and what takes it."""

    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.write(self.xsrf_token)

        head = get

        def options(self) -> None:
            self.write("options")

        def post(self) -> None:
            self.write("posted")

        put = delete = patch = post

    return Handler


def made(framework: Framework, **options: Any) -> tuple[str, str]:
    """A token, and the Cookie field of the client that gets it."""
    handler = by_hand(framework, **options)
    token = handler.xsrf_token
    assert type(token) is bytes
    (morsel,) = handler._new_cookie.values()
    return token.decode(), f"{morsel.key}={morsel.coded_value}"


def refused(framework: Framework, handler: Any) -> str | None:
    """What the check of a handler says, None for nothing."""
    try:
        handler.check_xsrf_cookie()
    except framework.web.HTTPError as error:
        assert error.status_code == 403
        message: str = error.log_message
        return message
    return None


# ---- Over the wire ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_form_of_ours_and_another(web: Any, serve: Serve, method: str) -> None:
    site = await serve([("/", form_handler(web))], xsrf_cookies=True)
    assert (await site.request(method, "/")).status_code == 403  # never been here
    token = (await site.get("/")).text  # and its cookie is in the client's jar
    assert (await site.request(method, "/")).status_code == 403
    for field in ("X-XSRFToken", "X-CSRFToken"):
        answer = await site.request(method, "/", headers={field: token})
        assert (answer.status_code, answer.text) == (200, "posted")
        answer = await site.request(method, "/", headers={field: "0" * 32})
        assert answer.status_code == 403
    answer = await site.request(method, "/", content=f"_xsrf={token}", headers=FORM)
    assert answer.text == "posted"
    answer = await site.request(method, f"/?_xsrf={token}")
    assert answer.text == "posted"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_what_changes_nothing_is_not_checked(web: Any, serve: Serve, method: str) -> None:
    site = await serve([("/", form_handler(web))], xsrf_cookies=True, cross_origin_protection=True)
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}
    assert (await site.request(method, "/", headers=headers)).status_code == 200


async def test_without_the_setting(web: Any, serve: Serve) -> None:
    site = await serve([("/", form_handler(web))])
    assert (await site.post("/")).text == "posted"


async def test_the_check_comes_before_prepare(web: Any, serve: Serve) -> None:
    called: list[str] = []

    class Handler(web.RequestHandler):
        def prepare(self) -> None:
            called.append("prepare")

        def check_xsrf_cookie(self) -> None:
            called.append(f"check {self.path_args}")

        def post(self, name: str) -> None:
            called.append("post")

    site = await serve([("/(.*)", Handler)], xsrf_cookies=True)
    await site.post("/a")
    assert called == ["check ['a']", "prepare", "post"]


async def test_the_check_is_overridden(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def check_xsrf_cookie(self) -> None:
            """Asked by machines."""

        def post(self) -> None:
            self.write("posted")

    site = await serve([("/", Handler)], xsrf_cookies=True)
    assert (await site.post("/")).text == "posted"


async def test_the_wrong_place_is_a_404(web: Any, serve: Serve) -> None:
    """Not a 403: nothing is done there, so there is nothing to protect."""
    site = await serve(
        [("/", form_handler(web)), ("/gone", web.ErrorHandler, {"status_code": 410})],
        xsrf_cookies=True,
        cross_origin_protection=True,
    )
    headers = {"Origin": "http://evil.example"}
    assert (await site.post("/nothing", headers=headers)).status_code == 404
    assert (await site.post("/gone", headers=headers)).status_code == 410
    assert (await site.post("/", headers=headers)).status_code == 403


async def test_a_handler_that_takes_its_body_as_it_comes(web: Any, serve: Serve) -> None:
    """It is checked by its head alone; a form in the body is not looked for."""

    @web.stream_request_body
    class Handler(form_handler(web)):
        def data_received(self, chunk: bytes) -> None:
            pass

    site = await serve([("/", Handler)], xsrf_cookies=True)
    token = (await site.get("/")).text
    assert (await site.post("/", content=b"x", headers={"X-XSRFToken": token})).text == "posted"
    assert (await site.post(f"/?_xsrf={token}", content=b"x")).text == "posted"
    answer = await site.post("/", content=f"_xsrf={token}", headers=FORM)
    assert answer.status_code == 403


@pytest.mark.parametrize("framework", ["tornadoish"], indirect=True)
async def test_a_handler_that_reads_its_body_itself(web: Any, serve: Serve) -> None:
    """The same; and it has not been read by the check, nor taken for one without arguments."""

    @web.pull_request_body
    class Handler(form_handler(web)):
        async def post(self) -> None:
            await self.request.read_body()
            self.write(self.get_argument("a"))

    site = await serve([("/", Handler)], xsrf_cookies=True)
    token = (await site.get("/")).text
    headers = {**FORM, "X-XSRFToken": token}
    assert (await site.post("/", content="a=b", headers=headers)).text == "b"
    assert (await site.post(f"/?_xsrf={token}", content="a=b", headers=FORM)).text == "b"
    answer = await site.post("/", content=f"a=b&_xsrf={token}", headers=FORM)
    assert answer.status_code == 403


async def test_a_multipart_form(web: Any, serve: Serve) -> None:
    site = await serve([("/", form_handler(web))], xsrf_cookies=True)
    token = (await site.get("/")).text
    files = {"file": ("name", b"content")}
    assert (await site.post("/", data={"_xsrf": token}, files=files)).text == "posted"
    assert (await site.post("/", data={"_xsrf": "0"}, files=files)).status_code == 403


# ---- Tokens ----------------------------------------------------------------------------------


@others
@versions
def test_tokens_of_one_are_taken_by_the_other(
    framework: Framework, other: str, version: int
) -> None:
    token, cookie = made(framework, xsrf_cookie_version=version)
    reader = Framework(installed(other))
    checked = by_hand(reader, "POST", headers={"Cookie": cookie, "X-Xsrftoken": token})
    assert refused(reader, checked) is None
    # A page of the other has another token for the same cookie, and sets no new one.
    page = by_hand(reader, headers={"Cookie": cookie})
    second = page.xsrf_token.decode()
    assert not getattr(page, "_new_cookie", None)
    back = by_hand(framework, "POST", headers={"Cookie": cookie, "X-Xsrftoken": second})
    assert refused(framework, back) is None


@pytest.mark.parametrize("cookie", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize("token", [OLD, NEW], ids=["old", "new"])
def test_versions_go_together(framework: Framework, cookie: str, token: str) -> None:
    headers = {"Cookie": f"_xsrf={cookie}", "X-Xsrftoken": token}
    assert refused(framework, by_hand(framework, "POST", headers=headers)) is None


def test_the_form_of_a_token(framework: Framework) -> None:
    token, cookie = made(framework)
    assert re.fullmatch("2[|][0-9a-f]{8}[|][0-9a-f]{32}[|][1-9][0-9]{9}", token)
    assert SimpleCookie(cookie)["_xsrf"].value == token
    token, _ = made(framework, xsrf_cookie_version=1)
    assert re.fullmatch("[0-9a-f]{32}", token)


def test_tokens_are_masked_anew(framework: Framework) -> None:
    """One secret, never the same text twice: compressing a page must not give it away (BREACH)."""
    tokens = set()
    for _ in range(20):
        handler = by_hand(framework, headers={"Cookie": f"_xsrf={NEW}"})
        tokens.add(handler.xsrf_token)
        assert handler.xsrf_token == handler.xsrf_token  # but the same in one page
        assert handler._decode_xsrf_token(handler.xsrf_token.decode())[:2] == (2, SECRET)
    assert len(tokens) == 20


def test_secrets_differ(framework: Framework) -> None:
    assert len({by_hand(framework)._get_raw_xsrf_token()[1] for _ in range(20)}) == 20


@pytest.mark.parametrize("version", [0, 3, "2"])
def test_versions_that_there_are_not(framework: Framework, version: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        _ = by_hand(framework, xsrf_cookie_version=version).xsrf_token


CASES = [
    (NEW, (2, SECRET, 1_800_000_000)),
    (OLD, (1, SECRET, None)),
    (OLD.upper(), (1, SECRET, None)),
    ("any text", (1, b"any text", None)),
    ("é", (1, "é".encode(), None)),
    ("abc", (1, b"abc", None)),  # an odd number of digits
    ("0|a", (1, b"0|a", None)),
    ("02|a", (1, b"02|a", None)),
    ("|", (1, b"|", None)),
    ("x|y|z", (1, b"x|y|z", None)),
    ("2|", None),
    ("2|01020304", None),
    ("2|01020304|00|1|2", None),
    ("2|0102030|00|1", None),
    ("2|xxxxxxxx|00|1", None),
    ("2|01020304|0|1", None),
    ("2||0506|1", None),
    ("2|0102|0506|1", None),
    ("2|010203040506|0506|1", None),
    ("2|01020304|xx|1", None),
    ("2|01020304|00|", None),
    ("2|01020304|00|x", None),
    ("2|éé|00|1", None),
    ("1|" + OLD, None),
    ("3|01020304|00|1", None),
    ("22|01020304|00|1", None),
    ("9" * 1000 + "|", None),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[f"{text:.20}" for text, _ in CASES])
def test_decode(framework: Framework, text: str, expected: tuple[Any, ...] | None) -> None:
    version, token, timestamp = by_hand(framework)._decode_xsrf_token(text)
    if expected is None:
        assert (version, token, timestamp) == (None, None, None)
        return
    assert (version, token) == expected[:2]
    if version == 2:
        assert timestamp == expected[2]
    else:
        assert isinstance(timestamp, int)


@given(
    st.lists(st.sampled_from(["2", "1", "|", "0a", "01020304", "f", "é", "180", "x", "-"])),
    st.sampled_from(["", "2|", "2|01020304|"]),
)
def test_both_decode_alike(pieces: list[str], start: str) -> None:
    text = start + "".join(pieces)
    ours, theirs = (
        by_hand(Framework(installed(name)))._decode_xsrf_token(text)
        for name in ("tornadoish", "tornado")
    )
    if theirs[0] == 2 and ours[0] is None:  # numbers that are not as they are written
        assert re.search(r"\|(0[0-9]+|-[0-9]+)$|^2\|(?!.{8}\|)", text)
        return
    assert ours[:2] == theirs[:2]


@pytest.mark.parametrize("stamp", ["+1", " 1", "01", "1_0", "-1", "٣", "1" * 19])
def test_times_that_are_not_as_they_are_written(stamp: str) -> None:
    handler = by_hand(Framework("tornadoish"))
    assert handler._decode_xsrf_token(f"2|01020304|0505|{stamp}") == (None, None, None)


@pytest.mark.parametrize("text", ["\ud800", "2|\ud800|00|1", "x" * 2000, "0" * 2000])
def test_what_is_no_token_of_anybodys(text: str) -> None:
    """Half a surrogate pair (from JSON, say), and more than anybody has to send."""
    handler = by_hand(Framework("tornadoish"))
    assert handler._decode_xsrf_token(text) == (None, None, None)


# ---- The check -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cookie", "token", "message"),
    [
        (NEW, None, "missing"),
        (NEW, "", "missing"),
        (None, NEW, "does not match"),  # without a cookie, no token is right
        ("", NEW, "does not match"),
        (NEW, OLD[:-1] + "0", "does not match"),
        (NEW, NEW.replace("01020304", "01020305"), "does not match"),
        (NEW, OLD + "00", "does not match"),
        (NEW, OLD[:-2], "does not match"),
        (NEW, "3|x", "invalid format"),
        (NEW, "2|01020304||1800000000", "invalid format"),  # valid, but empty
        ("2|01020304||1800000000", "2|01020304||1800000000", "invalid format"),
        ("3|x", "3|x", "invalid format"),
        ("3|x", NEW, "does not match"),
        ("é", "é", None),  # text of no version is as good as any: both must be the same
    ],
)
def test_check(
    framework: Framework, cookie: str | None, token: str | None, message: str | None
) -> None:
    headers = {}
    if cookie is not None:
        headers["Cookie"] = f"_xsrf={cookie}"
    if token is not None:
        headers["X-Xsrftoken"] = token
    said = refused(framework, by_hand(framework, "POST", headers=headers))
    assert said is None if message is None else message in str(said)


def test_the_argument_goes_first(framework: Framework) -> None:
    """As soon as there is one, the fields are not looked at."""
    headers = {"Cookie": f"_xsrf={NEW}", "X-Xsrftoken": OLD}
    assert refused(framework, by_hand(framework, "POST", headers=headers)) is None
    wrong = by_hand(framework, "POST", "/?_xsrf=00", headers=headers)
    assert "does not match" in str(refused(framework, wrong))
    headers = {"Cookie": f"_xsrf={NEW}", "X-Xsrftoken": "", "X-Csrftoken": OLD}
    assert refused(framework, by_hand(framework, "POST", headers=headers)) is None


def test_an_empty_token_is_no_cookie() -> None:
    """Its page gets a new one (theirs keeps the empty one, and no form is ever taken)."""
    empty = "_xsrf=2|01020304||1800000000"
    token, cookie = made(Framework("tornadoish"), headers={"Cookie": empty})
    assert len(token) > 50
    assert cookie.startswith("_xsrf=")


# ---- Settings --------------------------------------------------------------------------------


def test_the_name_of_the_cookie(framework: Framework) -> None:
    settings: dict[str, Any] = {
        "xsrf_cookie_name": "__Host-csrf",
        "xsrf_cookie_kwargs": {"secure": True, "httponly": True, "samesite": "Lax"},
    }
    handler = by_hand(framework, **settings)
    token = handler.xsrf_token.decode()
    (morsel,) = handler._new_cookie.values()
    assert morsel.OutputString().endswith("; HttpOnly; Path=/; SameSite=Lax; Secure") or (
        morsel.OutputString().endswith("; HttpOnly; Path=/; Secure; SameSite=Lax")
    )
    for name, message in (("__Host-csrf", None), ("_xsrf", "does not match")):
        headers = {"Cookie": f"{name}={morsel.coded_value}", "X-Xsrftoken": token}
        said = refused(framework, by_hand(framework, "POST", headers=headers, **settings))
        assert said is None if message is None else message in str(said)


@pytest.mark.parametrize(
    ("user", "kwargs", "lasts"),
    [(None, {}, False), ("u", {}, True), ("u", {"expires_days": None}, False)],
)
def test_how_long_the_cookie_lasts(
    framework: Framework, user: Any, kwargs: dict[str, Any], lasts: bool
) -> None:
    """Thirty days for who is logged in: as long as a signed cookie."""
    cls = type("Handler", (framework.web.RequestHandler,), {"get_current_user": lambda _: user})
    settings: dict[str, Any] = {"xsrf_cookie_kwargs": dict(kwargs)}
    handler = by_hand(framework, handler_class=cls, **settings)
    _ = handler.xsrf_token
    (morsel,) = handler._new_cookie.values()
    assert ("expires" in morsel.OutputString()) is lasts
    if not framework.is_tornado:  # theirs writes it into the settings, for all users to come
        assert settings["xsrf_cookie_kwargs"] == kwargs


def test_private_names(framework: Framework) -> None:
    """Applications set them: a token of their own, on the handler or its class."""
    handler = by_hand(framework)
    assert not hasattr(handler, "_xsrf_token")
    assert not hasattr(handler, "_raw_xsrf_token")
    handler._xsrf_token = b"mine"
    assert handler.xsrf_token == b"mine"
    assert not getattr(handler, "_new_cookie", None)
    cls: Any = type("Handler", (framework.web.RequestHandler,), {"_xsrf_token_id": b"id"})
    handler = by_hand(framework, handler_class=cls)
    handler._raw_xsrf_token = (1, SECRET, 0)
    assert handler.xsrf_token.startswith(b"2|")
    assert handler._decode_xsrf_token(handler.xsrf_token.decode())[1] == SECRET
    cls.xsrf_token = property(lambda self: self._xsrf_token_id)
    assert "value=&quot;id" not in handler.xsrf_form_html()
    assert 'value="id"' in handler.xsrf_form_html()


class Inputs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "input"
        self.found.append(dict(attrs))


def test_xsrf_form_html(framework: Framework) -> None:
    handler = by_hand(framework)
    parser = Inputs()
    parser.feed(handler.xsrf_form_html())
    assert parser.found == [
        {"type": "hidden", "name": "_xsrf", "value": handler.xsrf_token.decode()}
    ]
    handler._xsrf_token = b'"><script>'
    parser = Inputs()
    parser.feed(handler.xsrf_form_html())
    assert parser.found[0]["value"] == '"><script>'
