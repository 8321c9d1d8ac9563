"""The check that a protocol keeps the contract with its delegates.

``check_message_delegate`` stands between whoever speaks a protocol and whoever answers, and looks
at the order of the calls. Tests of this package and of other people's protocols use it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import overload

from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.httputil.delegates import tell_trailers


class ContractError(AssertionError):
    """A caller broke the order of calls that :class:`HTTPMessageDelegate` promises.

    It is the protocol's fault, never the delegate's.
    """


class CheckedMessageDelegate(HTTPMessageDelegate):
    """Passes legal calls on to ``delegate`` and refuses the others; see the function below.

    :param delegate: who hears of the message.
    :param name: what the errors call it; the delegate's class by default.
    :param violations: a list to record broken contracts in; one of its own by default.

    Public attributes: ``delegate``, ``name``, ``state`` ("new", "body", "whole" or "ended", as in
    the docstring of :class:`HTTPMessageDelegate`), ``calls`` (the names of all calls, in order,
    illegal ones included) and ``violations`` (the :class:`ContractError` of each illegal one).
    """

    def __init__(
        self,
        delegate: HTTPMessageDelegate,
        name: str = "",
        violations: list[ContractError] | None = None,
    ) -> None:
        self.delegate = delegate
        self.name = name or type(delegate).__name__
        self.state = "new"
        self.calls: list[str] = []
        self.violations: list[ContractError] = [] if violations is None else violations
        self._pending: asyncio.Future[None] | str | None = None  # or the name of the method
        # Set by the first call and there in all others, for they share a context. A variable of its
        # own is freed with that context: none is used for more than one message.
        self._heard: ContextVar[bool] = ContextVar("tornadoish.testing.heard", default=False)

    # -- HTTPMessageDelegate

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Legal once, first; as a client also for each interim (1xx) head before the final one.

        :raises ContractError: otherwise, or for arguments of another type.
        """
        self._enter("headers_received", "new")
        if not isinstance(start_line, (RequestStartLine, ResponseStartLine)):
            raise self._violation(f"headers_received() with start line {start_line!r}")
        if not isinstance(headers, HTTPHeaders):
            raise self._violation(f"headers_received() with headers {headers!r}")
        # RFC 9110, 15.2: any number of interim responses; a 101 is the last of HTTP.
        code = start_line.code if isinstance(start_line, ResponseStartLine) else 0
        if not 100 <= code < 200 or code == 101:
            self.state = "body"
        return self._watch("headers_received", self.delegate.headers_received(start_line, headers))

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Legal between the head and the end.

        :raises ContractError: otherwise, or for a chunk that is empty or not bytes.
        """
        self._enter("data_received", "body")
        if not isinstance(chunk, bytes):
            raise self._violation(f"data_received() with {type(chunk).__name__}")
        if not chunk:
            raise self._violation("data_received() with an empty chunk")
        return self._watch("data_received", self.delegate.data_received(chunk))

    def trailers_received(self, trailers: HTTPHeaders) -> Awaitable[None] | None:
        """Legal once, behind the body.

        :raises ContractError: otherwise, or for no trailers at all.
        """
        self._enter("trailers_received", "body")
        if not isinstance(trailers, HTTPHeaders) or not trailers:
            raise self._violation(f"trailers_received() with {trailers!r}")
        self.state = "whole"
        return self._watch("trailers_received", tell_trailers(self.delegate, trailers))

    def finish(self) -> Awaitable[None] | None:
        """Legal once, behind the head.

        :raises ContractError: otherwise.
        """
        self._enter("finish", "body", "whole")
        self.state = "ended"
        return self._watch("finish", self.delegate.finish())

    def on_connection_close(self) -> None:
        """Legal once, at any time before ``finish``.

        :raises ContractError: otherwise.
        """
        self._enter("on_connection_close", "new", "body", "whole")
        self.state = "ended"
        self.delegate.on_connection_close()

    # -- what is checked

    def _enter(self, method: str, *legal: str) -> None:
        """Record a call; refuse one in the wrong state, context, or before the last is done."""
        self.calls.append(method)
        pending = self._pending
        if isinstance(pending, str):
            raise self._violation(f"{method}() while {pending}() is not done")
        if pending is not None and not pending.done():
            raise self._violation(f"{method}() while an awaitable is not done")
        if self.state not in legal:
            raise self._violation(f"{method}() in state {self.state!r}")
        if len(self.calls) == 1:
            self._heard.set(True)
        elif not self._heard.get():
            raise self._violation(f"{method}() in another context than {self.calls[0]}()")

    def _watch(self, method: str, result: Awaitable[None] | None) -> Awaitable[None] | None:
        """What the caller gets for ``result``; until it is done, no other call is legal."""
        if result is None:
            self._pending = None
            return None
        if asyncio.isfuture(result):
            self._pending = result
            return result
        self._pending = method
        return self._finish_waiting(result)

    async def _finish_waiting(self, result: Awaitable[None]) -> None:
        try:
            await result
        finally:
            self._pending = None

    def _violation(self, what: str) -> ContractError:
        error = ContractError(f"{self.name}: {what}; calls were {', '.join(self.calls)}")
        self.violations.append(error)
        return error

    def __repr__(self) -> str:
        return f"<CheckedMessageDelegate {self.name} {self.state}>"


class _Served:
    """What is known of one server connection."""

    def __init__(self, server_conn: object) -> None:
        self.server_conn = server_conn  # held: its id must not be given to another one
        self.delegates: list[CheckedMessageDelegate] = []
        self.closed = False


class CheckedServerDelegate(HTTPServerConnectionDelegate):
    """Wraps every delegate that ``delegate`` returns; see the function below.

    :param delegate: who is asked for a delegate per request.
    :param name: what the errors call it; the delegate's class by default.

    Public attributes: ``delegate``, ``name``, ``calls`` (names of the calls of this object),
    ``delegates`` (a :class:`CheckedMessageDelegate` for every request, in order) and
    ``violations`` (every :class:`ContractError`, those of the ``delegates`` too).
    """

    def __init__(self, delegate: HTTPServerConnectionDelegate, name: str = "") -> None:
        self.delegate = delegate
        self.name = name or type(delegate).__name__
        self.calls: list[str] = []
        self.delegates: list[CheckedMessageDelegate] = []
        self.violations: list[ContractError] = []
        self._served: dict[int, _Served] = {}

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """The delegate's own, wrapped.

        :raises ContractError: after ``on_close``, or without a :class:`HTTPConnection`.
        """
        self.calls.append("start_request")
        served = self._served.setdefault(id(server_conn), _Served(server_conn))
        if served.closed:
            raise self._violation("start_request() after on_close()")
        if not isinstance(request_conn, HTTPConnection):
            raise self._violation(f"start_request() with connection {request_conn!r}")
        delegate = self.delegate.start_request(server_conn, request_conn)
        number = len(self.delegates) + 1
        checked = CheckedMessageDelegate(delegate, f"{self.name} #{number}", self.violations)
        self.delegates.append(checked)
        served.delegates.append(checked)
        return checked

    def on_close(self, server_conn: object) -> None:
        """Legal once per connection, when all of its delegates have ended.

        :raises ContractError: otherwise.
        """
        self.calls.append("on_close")
        served = self._served.setdefault(id(server_conn), _Served(server_conn))
        if served.closed:
            raise self._violation("on_close() twice")
        served.closed = True
        open_ones = [checked for checked in served.delegates if checked.state != "ended"]
        if open_ones:
            raise self._violation(f"on_close() before the end of {open_ones}")
        self.delegate.on_close(server_conn)

    def on_drain(self) -> None:
        """Legal at any time: once for each server that has this delegate."""
        self.calls.append("on_drain")
        self.delegate.on_drain()

    async def startup(self) -> None:
        self.calls.append("startup")
        await self.delegate.startup()

    async def shutdown(self) -> None:
        self.calls.append("shutdown")
        await self.delegate.shutdown()

    async def cleanup(self) -> None:
        self.calls.append("cleanup")
        await self.delegate.cleanup()

    def _violation(self, what: str) -> ContractError:
        error = ContractError(f"{self.name}: {what}")
        self.violations.append(error)
        return error

    def __repr__(self) -> str:
        return f"<CheckedServerDelegate {self.name} {len(self.delegates)} requests>"


@overload
def check_message_delegate(
    delegate: HTTPServerConnectionDelegate, *, name: str = ""
) -> CheckedServerDelegate: ...
@overload
def check_message_delegate(
    delegate: HTTPMessageDelegate, *, name: str = ""
) -> CheckedMessageDelegate: ...
def check_message_delegate(
    delegate: HTTPMessageDelegate | HTTPServerConnectionDelegate, *, name: str = ""
) -> CheckedMessageDelegate | CheckedServerDelegate:
    """A delegate that passes calls on to ``delegate``, as long as the caller keeps the contract.

    Put it between a protocol and an application to test the protocol. What is checked is the table
    in the docstring of :class:`HTTPMessageDelegate`: the order of calls, exactly one ending, no
    call before an awaitable of the one before is done, no empty chunk, the types of arguments, and
    that all calls for a message share one context. A broken contract is raised, and kept in
    ``violations`` too, for a protocol may swallow or log what it should not have caused.

    :param delegate: a :class:`HTTPMessageDelegate`; or a :class:`HTTPServerConnectionDelegate`:
        then what its ``start_request`` returns is wrapped too, and each of them must have ended
        when ``on_close`` comes.
    :param name: what to call it in errors; its class by default.
    :raises TypeError: ``delegate`` is neither.

    Ours alone: Tornado has no such check.
    """
    if isinstance(delegate, HTTPServerConnectionDelegate):
        return CheckedServerDelegate(delegate, name)
    if isinstance(delegate, HTTPMessageDelegate):
        return CheckedMessageDelegate(delegate, name)
    raise TypeError(f"neither a message delegate nor one of a server connection: {delegate!r}")
