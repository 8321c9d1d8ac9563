"""The contract checker: what it lets through, and everything that it must not."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.testing import ContractError, check_message_delegate

REQUEST = RequestStartLine("GET", "/", "HTTP/1.1")
H = HTTPHeaders()
TRAILERS = HTTPHeaders({"A": "b"})


class Recording(HTTPMessageDelegate):
    """Writes down what it hears and returns what a test wants."""

    def __init__(self, returns: Any = None) -> None:
        self.heard: list[Any] = []
        self.returns = returns

    def headers_received(self, start_line: Any, headers: Any) -> Awaitable[None] | None:
        self.heard.append((start_line, headers))
        return self.returns() if self.returns else None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self.heard.append(chunk)
        return self.returns() if self.returns else None

    def trailers_received(self, trailers: Any) -> Awaitable[None] | None:
        self.heard.append(trailers)
        return self.returns() if self.returns else None

    def finish(self) -> Awaitable[None] | None:
        self.heard.append("finish")
        return self.returns() if self.returns else None

    def on_connection_close(self) -> None:
        self.heard.append("close")


CALLS: dict[str, Callable[[Any], Any]] = {
    "headers": lambda checked: checked.headers_received(REQUEST, H),
    "data": lambda checked: checked.data_received(b"a"),
    "trailers": lambda checked: checked.trailers_received(TRAILERS),
    "finish": lambda checked: checked.finish(),
    "close": lambda checked: checked.on_connection_close(),
}
# state -> what leads there, and what is legal there
STATES: dict[str, tuple[list[str], set[str]]] = {
    "new": ([], {"headers", "close"}),
    "body": (["headers", "data"], {"data", "trailers", "finish", "close"}),
    "no body": (["headers"], {"data", "trailers", "finish", "close"}),
    "whole": (["headers", "data", "trailers"], {"finish", "close"}),
    "finished": (["headers", "finish"], set()),
    "closed": (["headers", "close"], set()),
    "closed at once": (["close"], set()),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("call", CALLS)
def test_the_table(state: str, call: str) -> None:
    delegate = Recording()
    checked = check_message_delegate(delegate, name="it")
    way, legal = STATES[state]
    for step in way:
        CALLS[step](checked)
    before = len(delegate.heard)
    if call in legal:
        CALLS[call](checked)
        assert len(delegate.heard) == before + 1
        assert checked.violations == []
        return
    with pytest.raises(ContractError, match="it: ") as caught:
        CALLS[call](checked)
    assert checked.violations == [caught.value]
    assert len(delegate.heard) == before, "what is illegal does not reach the delegate"
    assert len(checked.calls) == len(way) + 1


def test_everything_is_passed_on() -> None:
    delegate = Recording(returns=lambda: None)
    checked = check_message_delegate(delegate)
    checked.headers_received(REQUEST, H)
    checked.data_received(b"a")
    checked.data_received(b"b")
    checked.trailers_received(TRAILERS)
    checked.finish()
    assert delegate.heard == [(REQUEST, H), b"a", b"b", TRAILERS, "finish"]
    assert checked.calls == [
        "headers_received", "data_received", "data_received", "trailers_received", "finish",
    ]  # fmt: skip
    assert (checked.name, checked.state) == ("Recording", "ended")


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("headers_received", (("GET", "/", "HTTP/1.1"), H)),
        ("headers_received", (REQUEST, {})),
        ("data_received", (b"",)),
        ("data_received", (bytearray(b"a"),)),
        ("data_received", ("a",)),
        ("data_received", (memoryview(b"a"),)),
        ("trailers_received", (H,)),
        ("trailers_received", ({"A": "b"},)),
        ("trailers_received", (None,)),
    ],
)
def test_arguments(call: str, arguments: Any) -> None:
    checked = check_message_delegate(Recording())
    if call != "headers_received":
        checked.headers_received(REQUEST, H)
    with pytest.raises(ContractError):
        getattr(checked, call)(*arguments)
    assert len(checked.violations) == 1


def test_interim_responses() -> None:
    checked = check_message_delegate(Recording())
    for code in (100, 103, 103, 200):
        checked.headers_received(ResponseStartLine("HTTP/1.1", code, ""), H)
    with pytest.raises(ContractError):
        checked.headers_received(ResponseStartLine("HTTP/1.1", 200, ""), H)


def test_an_interim_response_is_not_the_head() -> None:
    checked = check_message_delegate(Recording())
    checked.headers_received(ResponseStartLine("HTTP/1.1", 100, ""), H)
    with pytest.raises(ContractError):
        checked.data_received(b"a")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", ["future", "coroutine", "awaitable"])
async def test_no_call_while_one_is_waited_for(kind: str, call: str) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def coroutine() -> None:
        await gate

    class Other:
        def __await__(self) -> Any:
            return gate.__await__()

    makes: dict[str, Any] = {"future": lambda: gate, "coroutine": coroutine, "awaitable": Other}
    checked = check_message_delegate(Recording(makes[kind]))
    pending = checked.headers_received(REQUEST, H)
    assert pending is not None
    task = asyncio.ensure_future(pending)
    with pytest.raises(ContractError, match="not done"):
        CALLS[call](checked)
    gate.set_result(None)
    await task
    assert len(checked.violations) == 1
    checked.delegate = Recording()
    checked.data_received(b"a")
    checked.finish()
    assert len(checked.violations) == 1


async def test_an_awaitable_that_nobody_awaits_is_never_done() -> None:
    class Never:
        def __await__(self) -> Any:
            yield

    checked = check_message_delegate(Recording(Never))
    pending: Any = checked.headers_received(REQUEST, H)
    with pytest.raises(ContractError):
        checked.finish()
    pending.close()


async def test_an_awaitable_that_fails_is_done() -> None:
    async def fails() -> None:
        raise ValueError

    checked = check_message_delegate(Recording(fails))
    pending: Any = checked.headers_received(REQUEST, H)
    with pytest.raises(ValueError):
        await pending
    checked.on_connection_close()
    assert checked.violations == []


async def test_trailers_are_waited_for() -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    delegate = Recording()
    checked = check_message_delegate(delegate)
    checked.headers_received(REQUEST, H)
    delegate.returns = lambda: gate
    pending = checked.trailers_received(TRAILERS)
    assert pending is gate
    with pytest.raises(ContractError, match="not done"):
        checked.finish()
    gate.set_result(None)
    checked.finish()
    assert delegate.heard[1:] == [TRAILERS, "finish"]


def test_a_delegate_that_knows_no_trailers() -> None:
    """One of Tornado's interface: it is not told of them, and all else is as ever."""

    class Old(HTTPMessageDelegate):
        trailers_received = None  # type: ignore[assignment]

    checked = check_message_delegate(Old())
    checked.headers_received(REQUEST, H)
    assert checked.trailers_received(TRAILERS) is None
    checked.finish()
    assert checked.violations == []


def test_a_delegate_that_raises_is_not_the_callers_fault() -> None:
    class Raising(Recording):
        def headers_received(self, start_line: Any, headers: Any) -> Awaitable[None] | None:
            raise ValueError

    checked = check_message_delegate(Raising())
    with pytest.raises(ValueError):
        checked.headers_received(REQUEST, H)
    checked.on_connection_close()
    assert checked.violations == []


def test_all_calls_share_a_context() -> None:
    checked = check_message_delegate(Recording())
    context = contextvars.copy_context()
    context.run(checked.headers_received, REQUEST, H)
    context.run(checked.data_received, b"a")
    with pytest.raises(ContractError, match="context"):
        contextvars.Context().run(checked.finish)


# -- server connections


class Application(HTTPServerConnectionDelegate):
    def __init__(self) -> None:
        self.closed: list[object] = []
        self.drained = 0

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> Recording:
        return Recording()

    def on_close(self, server_conn: object) -> None:
        self.closed.append(server_conn)

    def on_drain(self) -> None:
        self.drained += 1


def test_the_end_of_a_server_is_passed_on() -> None:
    application = Application()
    checked = check_message_delegate(application)
    checked.on_drain()
    assert application.drained == 1
    assert (checked.calls, checked.violations) == (["on_drain"], [])


def test_a_server_delegate_is_checked_with_all_that_it_returns() -> None:
    application = Application()
    checked = check_message_delegate(application)
    first, second = object(), object()
    for connection in (first, second, first):
        message = checked.start_request(connection, HTTPConnection())
        contextvars.copy_context().run(message.headers_received, REQUEST, H)
        with pytest.raises(ContractError):
            contextvars.copy_context().run(message.on_connection_close)
    assert len(checked.violations) == 3, "of another context, each"
    assert len(checked.delegates) == 3
    with pytest.raises(ContractError):
        checked.delegates[0].finish()
    assert len(checked.violations) == 4


def test_every_message_has_ended_when_the_connection_is_closed() -> None:
    application = Application()
    checked = check_message_delegate(application)
    first, second = object(), object()
    checked.start_request(first, HTTPConnection())
    message = checked.start_request(second, HTTPConnection())
    message.on_connection_close()
    checked.on_close(second)
    with pytest.raises(ContractError, match="before the end"):
        checked.on_close(first)
    assert application.closed == [second]
    assert checked.calls == ["start_request", "start_request", "on_close", "on_close"]


def test_a_connection_is_closed_once_and_for_good() -> None:
    checked = check_message_delegate(Application())
    connection = object()
    checked.on_close(connection)
    with pytest.raises(ContractError, match="twice"):
        checked.on_close(connection)
    with pytest.raises(ContractError, match="after on_close"):
        checked.start_request(connection, HTTPConnection())
    with pytest.raises(ContractError, match="connection None"):
        checked.start_request(object(), None)  # type: ignore[arg-type]


def test_only_delegates_are_checked() -> None:
    not_a_delegate: Any = print
    with pytest.raises(TypeError):
        check_message_delegate(not_a_delegate)
