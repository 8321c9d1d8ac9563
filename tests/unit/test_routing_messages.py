"""One message through a router: who is handed its events, and who answers if nobody is."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any

import pytest

from tornadoish import routing
from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
    RequestStartLine,
)
from tornadoish.routing import RuleRouter


class Connection(HTTPConnection):
    """Notes what is written."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def write_headers(self, start_line: Any, headers: HTTPHeaders, chunk: Any = None) -> Any:
        self.calls.append((tuple(start_line), list(headers.get_all()), chunk))

    def write(self, chunk: bytes) -> Any:
        self.calls.append(chunk)

    def finish(self) -> None:
        self.calls.append("finish")


class Done:
    """Something to wait for, which nobody has to."""

    def __await__(self) -> Iterator[None]:
        return iter(())


class Target(HTTPMessageDelegate, HTTPServerConnectionDelegate):
    """A delegate that notes its calls and returns something to wait for from each."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.done: Awaitable[None] | None = Done()  # type: ignore[assignment]

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> Target:
        self.calls.append((server_conn, request_conn))
        return self

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> Awaitable[None] | None:
        self.calls.append((start_line, headers))
        return self.done

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self.calls.append(chunk)
        return self.done

    def finish(self) -> Awaitable[None] | None:
        self.calls.append("finish")
        return self.done

    def on_connection_close(self) -> None:
        self.calls.append("close")


def line(path: str) -> RequestStartLine:
    return RequestStartLine("GET", path, "HTTP/1.1")


@pytest.mark.parametrize("done", [Done(), None])
def test_events_and_what_they_return_are_handed_on(done: Any) -> None:
    target, server_conn, connection = Target(), object(), Connection()
    target.done = done
    headers = HTTPHeaders()
    delegate = RuleRouter([("/a", target)]).start_request(server_conn, connection)
    assert target.calls == []
    assert delegate.headers_received(line("/a?q"), headers) is done
    assert delegate.data_received(b"body") is done
    assert delegate.finish() is done
    delegate.on_connection_close()
    assert target.calls == [
        (server_conn, connection),
        (line("/a?q"), headers),
        b"body",
        "finish",
        "close",
    ]
    assert not hasattr(delegate, "__dict__")


def test_a_router_sees_the_request() -> None:
    seen: list[HTTPServerRequest] = []

    class Own(routing.Router):
        def find_handler(
            self, request: HTTPServerRequest, **kwargs: Any
        ) -> HTTPMessageDelegate | None:
            seen.append(request)
            return HTTPMessageDelegate()

    server_conn, connection, headers = object(), Connection(), HTTPHeaders({"Host": "h:1"})
    delegate = Own().start_request(server_conn, connection)
    assert delegate.headers_received(line("/a?q"), headers) is None
    (request,) = seen
    assert (request.path, request.query, request.method) == ("/a", "q", "GET")
    assert request.host_name == "h"
    assert request.headers is headers
    assert request.connection is connection
    assert request.server_connection is server_conn


def test_no_route_is_a_complete_404() -> None:
    connection = Connection()
    delegate = RuleRouter([("/a", Target())]).start_request(None, connection)
    assert delegate.headers_received(line("/b"), HTTPHeaders()) is None
    assert delegate.data_received(b"body") is None
    assert connection.calls == []
    assert delegate.finish() is None
    assert connection.calls == [
        (("HTTP/1.1", 404, "Not Found"), [("Content-Length", "0")], None),
        "finish",
    ]


def test_events_out_of_order() -> None:
    delegate = RuleRouter().start_request(None, Connection())
    with pytest.raises(RuntimeError):
        delegate.data_received(b"body")
    with pytest.raises(RuntimeError):
        delegate.finish()
    with pytest.raises(TypeError):
        delegate.headers_received(("GET", "/", "HTTP/1.1"), HTTPHeaders())  # type: ignore[arg-type]
    delegate.on_connection_close()


def test_a_function_is_called_with_the_whole_request() -> None:
    seen: list[Any] = []

    def target(request: HTTPServerRequest, **params: Any) -> str:
        seen.append((request.path, request.body, request.body_arguments, params))
        return "not to be waited for"

    connection = Connection()
    delegate = RuleRouter([("/(.)", target, {"k": 1})]).start_request(None, connection)
    headers = HTTPHeaders({"Content-Type": "application/x-www-form-urlencoded"})
    delegate.headers_received(line("/a"), headers)
    delegate.data_received(b"x=")
    delegate.data_received(b"1")
    assert seen == []
    assert delegate.finish() is None
    params = {"path_args": [b"a"], "path_kwargs": {}, "target_kwargs": {"k": 1}}
    assert seen == [("/a", b"x=1", {"x": [b"1"]}, params)]


def test_a_function_is_not_called_for_half_a_request() -> None:
    called: list[HTTPServerRequest] = []
    delegate = RuleRouter([("/a", called.append)]).start_request(None, Connection())
    delegate.headers_received(line("/a"), HTTPHeaders())
    delegate.data_received(b"x")
    delegate.on_connection_close()
    assert called == []


def test_what_a_function_returns_is_waited_for() -> None:
    done: Any = Done()
    delegate = RuleRouter([("/a", lambda request: done)]).start_request(None, Connection())
    delegate.headers_received(line("/a"), HTTPHeaders())
    assert delegate.finish() is done


def test_a_request_without_a_connection_has_no_delegate() -> None:
    for target in (Target(), print):
        with pytest.raises(RuntimeError):
            RuleRouter([("/a", target)]).find_handler(HTTPServerRequest("GET", "/a"))
