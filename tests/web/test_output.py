"""What a handler sends: status, header fields, body, redirects."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import asyncio
import datetime
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from .serving import Framework, Serve, by_hand, getting, plain_or_coroutine, until

GET = ("GET / HTTP/1.1", "Host: a")


# ---- Status ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ((201,), 201, "Created"),
        ((299,), 299, "Unknown"),
        ((200, "Fine"), 200, "Fine"),
        ((404, "Gone Fishing"), 404, "Gone Fishing"),
    ],
)
async def test_set_status(
    web: Any, serve: Serve, arguments: tuple[Any, ...], status: int, reason: str
) -> None:
    seen: list[int] = []

    def get(self: Any) -> None:
        self.set_status(*arguments)
        seen.append(self.get_status())

    site = await serve([("/", getting(web, get))])
    answer = await (await site.connect()).ask(*GET)
    assert (answer.status, answer.reason) == (status, reason)
    assert seen == [status]


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param("a\r\nX: y", id="CVE-2026-34519-CRLF"),
        pytest.param("<b>", id="CVE-2025-67724-HTML"),
        "a\nb",
        "a\rb",
        "\x00",
        "\x7f",
        "€",
    ],
)
def test_an_unsafe_reason_is_refused(framework: Framework, reason: str) -> None:
    handler = by_hand(framework)
    if framework.is_tornado:  # it looks at it later, where the mistake is hard to find
        handler.set_status(200, reason)
        return
    with pytest.raises(ValueError, match="reason"):
        handler.set_status(200, reason)
    assert handler.get_status() == 200


async def test_a_reason_beyond_ascii(framework: Framework, serve: Serve) -> None:
    site = await serve([("/", getting(framework.web, lambda self: self.set_status(299, "Maß")))])
    answer = await (await site.connect()).ask(*GET)
    # Header fields and reasons are Latin-1 to us; Tornado sends this one as UTF-8.
    assert answer.reason == ("Ma\xc3\x9f" if framework.is_tornado else "Maß")


# ---- Header fields ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (b"bytes", "bytes"),
        (b"\xc3\xa9", "\xc3\xa9"),
        ("\xe9", "\xe9"),
        (12, "12"),
        (True, "1"),
        (datetime.datetime(2026, 11, 20, 1, 2, 3, tzinfo=datetime.UTC),
         "Fri, 20 Nov 2026 01:02:03 GMT"),
        ("", ""),
        ("a\tb", "a\tb"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["set_header", "add_header"])
async def test_values_of_header_fields(
    framework: Framework, serve: Serve, method: str, value: Any, expected: str
) -> None:
    if value is True and framework.is_tornado:
        expected = "True"  # str() of it; to us it is a number

    def get(self: Any) -> None:
        getattr(self, method)("X-Value", value)

    site = await serve([("/", getting(framework.web, get))])
    answer = await (await site.connect()).ask(*GET)
    assert answer.get("X-Value") == expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("a\r\nX-Evil: 1", id="CVE-2020-7695-CVE-2018-1000164-CRLF"),
        pytest.param("a\nb", id="CVE-2012-2374-LF"),
        "a\rb",
        "a\x00",
        b"a\nb",
        "\x7f",
        "€",
    ],
)
@pytest.mark.parametrize("method", ["set_header", "add_header"])
def test_an_unsafe_value_is_refused(framework: Framework, method: str, value: Any) -> None:
    handler = by_hand(framework)
    refused: Any = ValueError
    if framework.is_tornado:  # some of them it only refuses as the head is written, some here
        refused = (ValueError, framework.httputil.HTTPInputError)
    if framework.is_tornado and isinstance(value, str) and value == "€":
        return  # that one only then
    with pytest.raises(refused):
        getattr(handler, method)("X-Value", value)
    assert "X-Value" not in handler._headers


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\n", "é", "a\n"])
@pytest.mark.parametrize("method", ["set_header", "add_header"])
def test_an_unsafe_name_is_refused(framework: Framework, method: str, name: str) -> None:
    handler = by_hand(framework)
    if framework.is_tornado and method == "set_header":  # it lets them through to the head
        handler.set_header(name, "value")
        return
    # Ours is a ValueError, as for values; Tornado's that of its headers.
    refused = framework.httputil.HTTPInputError if framework.is_tornado else ValueError
    before = dict(handler._headers)
    with pytest.raises(refused):
        getattr(handler, method)(name, "value")
    assert dict(handler._headers) == before


@pytest.mark.parametrize("value", [None, 1.5, ["a"], {"a": 1}])
def test_a_value_of_another_type_is_refused(framework: Framework, value: Any) -> None:
    handler = by_hand(framework)
    with pytest.raises(TypeError):
        handler.set_header("X-Value", value)


async def test_set_add_and_clear_header(web: Any, serve: Serve) -> None:
    def get(self: Any) -> None:
        self.set_header("x-once", "dropped")
        self.set_header("X-Once", "kept")
        self.add_header("X-Many", "1")
        self.add_header("X-Many", "2")
        self.set_header("X-Cleared", "x")
        self.clear_header("x-cleared")
        self.clear_header("X-Never-There")
        self.clear_header("Server")

    site = await serve([("/", getting(web, get))])
    answer = await (await site.connect()).ask(*GET)
    fields = [(name.lower(), value) for name, value in answer.fields]
    assert [value for name, value in fields if name == "x-once"] == ["kept"]
    assert [value for name, value in fields if name == "x-many"] == ["1", "2"]
    assert {"x-cleared", "server"}.isdisjoint(dict(fields))


async def test_default_fields(framework: Framework, serve: Serve) -> None:
    site = await serve([("/", getting(framework.web, lambda self: self.write("x")))])
    before = int(time.time())
    answer = await (await site.connect()).ask(*GET)
    date = parsedate_to_datetime(answer.get("Date") or "").timestamp()
    assert before <= date <= time.time()
    assert answer.get("Content-Type") == "text/html; charset=UTF-8"
    assert answer.get("Content-Length") == "1"
    assert (answer.get("Server") or "").lower().startswith(framework.name)


async def test_default_fields_of_one_answer_are_not_those_of_the_next(
    web: Any, serve: Serve
) -> None:
    """They are shared until somebody changes them."""

    def get(self: Any) -> None:
        if self.request.arguments:
            self.set_header("Server", "changed")
            self.clear_header("Date")
            self.add_header("X-New", "1")
            self._headers["Content-Type"] = "x/y"

    site = await serve([("/", getting(web, get))])
    before = await site.get("/")
    changed = await site.get("/?a=b")
    after = await site.get("/")
    assert changed.headers["Server"] == "changed"
    assert "Date" not in changed.headers
    assert after.headers["Server"] == before.headers["Server"]
    assert after.headers["Content-Type"] == before.headers["Content-Type"]
    assert "Date" in after.headers
    assert "X-New" not in after.headers


async def test_clear_begins_anew(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def set_default_headers(self) -> None:
            self.set_header("X-Default", "yes")
            self.clear_header("Server")

        def get(self) -> None:
            self.set_status(404, "Nope")
            self.set_header("X-Own", "1")
            self.set_header("X-Default", "changed")
            self.write("dropped")
            self.clear()
            self.write("kept")

    site = await serve([("/", Handler)])
    response = await site.get("/")
    assert (response.status_code, response.reason_phrase, response.text) == (200, "OK", "kept")
    assert response.headers["X-Default"] == "yes"
    assert {"X-Own", "Server"}.isdisjoint(response.headers)


async def test_headers_may_be_replaced(framework: Framework, serve: Serve) -> None:
    """jupyter_server_proxy does it."""

    def get(self: Any) -> None:
        self._headers = framework.httputil.HTTPHeaders()
        self._headers["X-Own"] = "1"
        self._headers.add("Set-Cookie", "a=b")
        self._headers.add("Set-Cookie", "c=d")
        self.write("x")

    site = await serve([("/", getting(framework.web, get))])
    response = await site.get("/")
    assert response.headers.get_list("Set-Cookie") == ["a=b", "c=d"]
    assert response.headers["Content-Length"] == "1"
    assert "Content-Type" not in response.headers


@pytest.mark.parametrize("given", [3, 100])
async def test_a_wrong_content_length_never_looks_like_a_whole_answer(
    web: Any, serve: Serve, given: int
) -> None:
    def get(self: Any) -> None:
        self.set_header("Content-Length", given)
        self.write("12345")

    site = await serve([("/", getting(web, get))])
    peer = await site.connect()
    try:
        answer = await peer.ask(*GET)
    except asyncio.IncompleteReadError:
        return  # closed at once is as clear an answer
    assert answer.status == 500 or not answer.complete


# ---- Body ------------------------------------------------------------------------------------


async def test_what_can_be_written(web: Any, serve: Serve) -> None:
    def get(self: Any) -> None:
        self.write(b"bytes,")
        self.write("té€xt,")
        self.write("")
        self.write(type("Text", (str,), {})("subclass,"))
        self.finish(b"end")

    site = await serve([("/", getting(web, get))])
    response = await site.get("/")
    assert response.content == "bytes,té€xt,subclass,end".encode()
    assert response.headers["Content-Length"] == str(len(response.content))


@pytest.mark.parametrize("last", [False, True])
async def test_a_dict_is_json(web: Any, serve: Serve, last: bool) -> None:
    def get(self: Any) -> None:
        (self.finish if last else self.write)({"a": [1, None, "</é"]})

    site = await serve([("/", getting(web, get))])
    response = await site.get("/")
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert response.json() == {"a": [1, None, "</é"]}
    assert "</" not in response.text


async def test_the_content_type_may_be_set_after_a_dict(web: Any, serve: Serve) -> None:
    def get(self: Any) -> None:
        self.set_header("Content-Type", "lost/lost")
        self.write({})
        self.set_header("Content-Type", "application/problem+json")

    site = await serve([("/", getting(web, get))])
    assert (await site.get("/")).headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("chunk", [None, 1, ["a"], ("a",), bytearray(b"a"), memoryview(b"a"), {1}])
def test_what_cannot_be_written(framework: Framework, chunk: Any) -> None:
    handler = by_hand(framework)
    with pytest.raises(TypeError, match="Lists not accepted" if isinstance(chunk, list) else None):
        handler.write(chunk)
    assert handler._write_buffer == []


def test_nothing_can_be_written_after_finish(framework: Framework) -> None:
    handler = by_hand(framework)
    handler._transforms = []  # Tornado wants to be told; what nobody sets is empty in ours
    handler.finish("x")
    with pytest.raises(RuntimeError):
        handler.write("y")
    with pytest.raises(RuntimeError):
        handler.finish()


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_body(web: Any, serve: Serve, status: int) -> None:
    def get(self: Any) -> None:
        self.set_header("Content-Language", "de")
        self.set_header("X-Kept", "1")
        self.set_status(status)

    site = await serve([("/", getting(web, get))])
    peer = await site.connect()
    for _ in range(2):
        answer = await peer.ask(*GET)
        assert answer.status == status
        assert answer.get("X-Kept") == "1"
        for name in ("Content-Type", "Content-Language", "Content-Length", "Transfer-Encoding"):
            assert answer.get(name) is None, name


async def test_a_body_that_cannot_be_is_an_error(web: Any, serve: Serve) -> None:
    def get(self: Any) -> None:
        self.set_status(204)
        self.write("x")

    site = await serve([("/", getting(web, get))])
    assert (await site.get("/")).status_code == 500


# ---- flush -----------------------------------------------------------------------------------


@plain_or_coroutine
async def test_flush_sends_what_is_there(web: Any, serve: Serve, coroutine: bool) -> None:
    go_on = asyncio.Event()

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            self.set_header("X-First", "1")
            self.write("one")
            if coroutine:
                await self.flush()
            else:
                self.flush()
            await go_on.wait()
            self.write("two")
            self.flush()
            self.finish("three")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send(*GET)
    seen = await asyncio.wait_for(peer.reader.readuntil(b"one\r\n"), 10)
    assert b"\r\nTransfer-Encoding: chunked\r\n" in seen
    assert b"Content-Length" not in seen
    assert b"X-First: 1" in seen
    go_on.set()
    rest = await asyncio.wait_for(peer.reader.readuntil(b"0\r\n\r\n"), 10)
    assert rest == b"3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n"
    assert (await peer.ask("HEAD / HTTP/1.1", "Host: a")).status == 405


async def test_flush_within_a_known_length(web: Any, serve: Serve) -> None:
    async def get(self: Any) -> None:
        self.set_header("Content-Length", 6)
        self.write("one")
        await self.flush()
        self.write("two")

    site = await serve([("/", getting(web, get))])
    peer = await site.connect()
    for _ in range(2):
        answer = await peer.ask(*GET)
        assert answer.get("Transfer-Encoding") is None
        assert answer.body == b"onetwo"


async def test_flush_of_the_head_alone(web: Any, serve: Serve) -> None:
    async def get(self: Any) -> None:
        await self.flush()
        self.write("x")

    site = await serve([("/", getting(web, get))])
    assert (await site.get("/")).text == "x"


async def test_header_fields_set_after_flush_are_not_sent(web: Any, serve: Serve) -> None:
    async def get(self: Any) -> None:
        await self.flush()
        self.set_header("X-Late", "1")

    site = await serve([("/", getting(web, get))])
    assert "X-Late" not in (await site.get("/")).headers


async def test_flush_to_an_old_client_ends_with_the_connection(
    framework: Framework, serve: Serve
) -> None:
    async def get(self: Any) -> None:
        self.write("one")
        await self.flush()
        self.write("two")

    site = await serve([("/", getting(framework.web, get))])
    peer = await site.connect()
    asking = ["GET / HTTP/1.0", "Connection: keep-alive"]
    if framework.is_tornado:  # with keep-alive it never says where this answer ends
        asking.pop()
    answer = await peer.ask(*asking)
    assert answer.get("Transfer-Encoding") is None
    assert answer.body == b"onetwo"
    assert await peer.ended()


async def test_flush_waits_for_a_slow_client(web: Any, serve: Serve) -> None:
    flushed: list[int] = []
    done = asyncio.Event()
    count, chunk = 200, b"x" * 65536

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            for number in range(count):
                self.write(chunk)
                await self.flush()
                flushed.append(number)
            done.set()

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: flushed)
    # Nobody reads: what the kernel and the buffers hold is all that goes; then it stands still.
    seen = -1
    while seen != len(flushed):
        seen = len(flushed)
        for _ in range(50):
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)
    assert len(flushed) < count
    assert not done.is_set()
    answer = await peer.answer()
    assert len(answer.body) == count * len(chunk)
    assert done.is_set()


# ---- Redirects -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "status"),
    [({}, 302), ({"permanent": True}, 301), ({"status": 307}, 307), ({"status": 303}, 303)],
)
@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/other", "/other"),
        ("other?x=1", "other?x=1"),
        ("http://example.com/é", "http://example.com/é"),
        ("?again", "?again"),
    ],
)
async def test_redirect(
    web: Any, serve: Serve, options: Any, status: int, url: str, location: str
) -> None:
    after: list[bool] = []

    def get(self: Any) -> None:
        self.write("dropped?")
        self._write_buffer.clear()
        self.redirect(url, **options)
        after.append(self._finished)

    site = await serve([("/", getting(web, get))])
    answer = await (await site.connect()).ask(*GET)
    assert answer.status == status
    assert (answer.get("Location") or "").encode("latin-1").decode() == location
    assert after == [True]


@pytest.mark.parametrize("status", [200, 299, 400])
async def test_redirect_with_another_status(framework: Framework, status: int) -> None:
    refused = AssertionError if framework.is_tornado else ValueError  # ours also under -O
    with pytest.raises(refused):
        by_hand(framework).redirect("/", status=status)


def test_redirect_to_something_unsafe(framework: Framework) -> None:
    handler = by_hand(framework)
    with pytest.raises(ValueError, match="Unsafe"):
        handler.redirect("/a\r\nX-Evil: 1")
    assert "Location" not in handler._headers
    assert not handler._finished


async def test_redirect_after_flush(web: Any, serve: Serve) -> None:
    errors: list[Exception] = []

    async def get(self: Any) -> None:
        await self.flush()
        try:
            self.redirect("/")
        except Exception as error:  # the very type that Tornado raises
            errors.append(error)

    site = await serve([("/", getting(web, get))])
    assert (await site.get("/")).status_code == 200
    assert "Cannot redirect after headers have been written" in str(errors[0])
