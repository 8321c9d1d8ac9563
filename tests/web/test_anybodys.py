"""Handlers, applications and delegates that return, give and keep what our types do not say.

Nothing of it matters where the package is interpreted. A compiled one looks at types, or trusts
them: what applications do all the same has to be taken by both.
"""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

from collections import UserDict
from typing import Any
from unittest.mock import Mock

import pytest
from libraries import installed

from tornadoish import web
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    ResponseStartLine,
)

from .serving import Framework, Serve

GET = ("GET /?a=1 HTTP/1.1", "Host: a")


@pytest.fixture
def framework() -> Framework:
    return Framework(installed("tornadoish"))


class Talkative(web.RequestHandler):
    """Each of its hooks returns something."""

    def clear(self) -> Any:
        super().clear()
        return self

    def set_default_headers(self) -> Any:
        return self.set_header("X-Default", "1")

    def set_header(self, name: str, value: Any) -> Any:
        super().set_header(name, value)
        return self

    def write(self, chunk: Any) -> Any:
        super().write(chunk)
        return len(chunk)

    def set_etag_header(self) -> Any:
        return True

    def check_etag_header(self) -> Any:
        return None

    def on_finish(self) -> Any:
        return "done"

    def get(self) -> Any:
        self.finish({"a": 1})


class Application(web.Application):
    def log_request(self, handler: Any) -> Any:
        super().log_request(handler)
        return "logged"


async def test_hooks_that_return_something(serve: Serve) -> None:
    site = await serve(Application([("/", Talkative)]))
    answer = await (await site.connect()).ask(*GET)
    assert (answer.status, answer.body) == (200, b'{"a": 1}')


class Decoding(web.RequestHandler):
    def decode_argument(self, value: bytes, name: str | None = None) -> Any:
        return int(value)

    def get(self) -> None:
        self.write({"a": [self.get_argument("a", strip=False), self.get_arguments("a", False)]})


async def test_arguments_that_are_no_text(serve: Serve) -> None:
    site = await serve([("/", Decoding)])
    assert (await (await site.connect()).ask(*GET)).body == b'{"a": [1, [1]]}'


async def test_a_number_is_no_buffer(serve: Serve) -> None:
    """``bytes(4)`` would be four zero bytes."""
    told: list[type[BaseException]] = []

    class Delegate(HTTPMessageDelegate):
        def __init__(self, request: HTTPServerRequest) -> None:
            self.connection = request.connection

        def finish(self) -> None:
            line = ResponseStartLine("", 200, "OK")
            headers = HTTPHeaders({"Content-Length": "4"})
            four: Any = 4
            for write in (
                lambda: self.connection.write_headers(line, headers, four),
                lambda: self.connection.stream.write(four),
            ):
                try:
                    write()
                except TypeError as error:
                    told.append(type(error))
            self.connection.write_headers(line, headers, b"abcd")
            self.connection.finish()

    class Finding(web.Application):
        def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
            return Delegate(request)

    site = await serve(Finding())
    assert (await (await site.connect()).ask(*GET)).body == b"abcd"
    assert told == [TypeError, TypeError]


@pytest.mark.parametrize("buffer", [bytearray, memoryview])
async def test_a_delegate_writes_any_buffer(serve: Serve, buffer: Any) -> None:
    class Delegate(HTTPMessageDelegate):
        def __init__(self, request: HTTPServerRequest) -> None:
            self.connection = request.connection

        def finish(self) -> None:
            line = ResponseStartLine("", 200, "OK")
            headers = HTTPHeaders({"Content-Length": "4"})
            self.connection.write_headers(line, headers, buffer(b"ab"))
            self.connection.write(buffer(b"cd"))
            self.connection.finish()

    class Finding(web.Application):
        def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
            return Delegate(request)

    site = await serve(Finding())
    assert (await (await site.connect()).ask(*GET)).body == b"abcd"


def made(application: Any = None, uri: str = "/?a=1") -> web.RequestHandler:
    request = HTTPServerRequest("GET", uri, connection=Mock())
    return web.RequestHandler(application or web.Application(), request)


def test_what_is_true_is_true() -> None:
    handler: Any = made(uri="/?a=%20b")
    assert handler.get_argument("a", None, 0) == " b"
    handler.redirect(b"/there", 1)
    assert (handler.get_status(), handler._headers["Location"]) == (301, "/there")


def test_groups_of_a_route_that_are_set_to_anything() -> None:
    handler: Any = made()
    assert (handler.path_args, handler.path_kwargs) == ([], {})
    handler.path_args = (1, 2)
    handler.path_kwargs = UserDict(a=1)
    assert (handler.path_args, dict(handler.path_kwargs)) == ((1, 2), {"a": 1})
    with pytest.raises(AttributeError):
        del handler.path_args
    with pytest.raises(AttributeError):
        del handler.path_kwargs
    assert handler.path_args == (1, 2)


def test_an_application_that_is_made_of_anything() -> None:
    application: Any = Mock()
    handler = made(application)
    handler.finish("a")
    application.log_request.assert_called_once_with(handler)
    application.settings = UserDict(a=1)
    assert handler.settings["a"] == 1
