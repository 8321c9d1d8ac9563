"""Coroutine handlers: tasks, contexts, cancelling, and those who get in between."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import asyncio
import contextvars
import inspect
from typing import Any
from unittest.mock import MagicMock

import pytest

from .serving import Framework, Serve, as_method, plain_or_coroutine, until

GET = ("GET / HTTP/1.1", "Host: a")
word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="unset")


# ---- Tasks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["prepare", "get"])
async def test_a_coroutine_runs_in_a_task(web: Any, serve: Serve, where: str) -> None:
    tasks: list[Any] = []

    async def step(self: Any) -> None:
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))

    class Handler(web.RequestHandler):
        def get(self) -> Any:
            self.write("x")

    setattr(Handler, where, step)
    site = await serve([("/", Handler)])
    assert (await site.get("/")).status_code == 200
    assert tasks[0] is tasks[1] is not None
    assert tasks[0] is not asyncio.current_task()


async def test_timeout_around_the_whole_work(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def get(self) -> None:
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.Event().wait()
            except TimeoutError:
                raise web.HTTPError(504) from None

    site = await serve([("/", Handler)])
    assert (await site.get("/")).status_code == 504


async def test_requests_of_two_connections_run_side_by_side(web: Any, serve: Serve) -> None:
    together = asyncio.Barrier(2)

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            await together.wait()
            self.write("x")

    site = await serve([("/", Handler)])
    responses = await asyncio.gather(site.get("/"), site.get("/"))
    assert [response.text for response in responses] == ["x", "x"]


@pytest.mark.parametrize("flushed", [False, True])
async def test_a_cancelled_handler_closes_the_connection(
    framework: Framework, serve: Serve, flushed: bool
) -> None:
    tasks: list[asyncio.Task[Any]] = []
    finished: list[bool] = []

    class Handler(framework.web.RequestHandler):
        async def get(self) -> None:
            task = asyncio.current_task()
            assert task is not None
            if flushed:
                self.write("half")
                await self.flush()
            tasks.append(task)
            await asyncio.Event().wait()

        def on_finish(self) -> None:
            finished.append(True)

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: tasks)
    tasks[0].cancel()
    if framework.is_tornado:  # the client waits for ever
        return
    if flushed:
        answer = await peer.answer()
        assert (answer.body, answer.complete) == (b"half", False)
    assert await peer.ended()
    assert finished == [True]
    assert tasks[0].cancelled()


async def test_the_future_of_a_plain_method_is_waited_for(web: Any, serve: Serve) -> None:
    """As of handlers decorated with gen.coroutine."""

    class Handler(web.RequestHandler):
        def prepare(self) -> Any:
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(future.set_result, None)
            return future

        def get(self) -> Any:
            return asyncio.ensure_future(self.later())

        async def later(self) -> None:
            await asyncio.sleep(0)
            self.write("later")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    for _ in range(2):
        assert (await peer.ask(*GET)).body == b"later"


async def test_an_error_in_the_future_of_a_plain_method(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> Any:
            future = asyncio.get_running_loop().create_future()
            future.set_exception(web.HTTPError(409))
            return future

    site = await serve([("/", Handler)])
    assert (await site.get("/")).status_code == 409


async def test_waiting_handlers_are_not_garbage(web: Any, serve: Serve) -> None:
    import gc

    class Handler(web.RequestHandler):
        async def get(self) -> None:
            future = asyncio.get_running_loop().create_future()
            self.application.settings["waiting"].append(future)
            await future

    waiting: list[asyncio.Future[None]] = []
    site = await serve([("/", Handler)], waiting=waiting)
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: waiting)
    gc.collect()
    waiting.pop().set_result(None)
    assert (await peer.answer()).status == 200


# ---- Context variables -----------------------------------------------------------------------


def _put(cls: Any, name: str, function: Any) -> None:
    setattr(cls, name, function)


@pytest.mark.parametrize("kind", ["plain", "coroutine", "coroutine prepare", "future"])
async def test_one_context_for_a_request(framework: Framework, serve: Serve, kind: str) -> None:
    seen: list[str] = []

    class Handler(framework.web.RequestHandler):
        def prepare(self) -> Any:
            seen.append(word.get())
            self.token = word.set("mine")

        def get(self) -> Any:
            seen.append(word.get())

        def on_finish(self) -> None:
            seen.append(word.get())
            word.reset(self.token)
            seen.append(word.get())

    if kind == "coroutine":

        async def get(self: Any) -> None:
            await asyncio.sleep(0)
            seen.append(word.get())

        _put(Handler, "get", get)
    elif kind == "coroutine prepare":

        async def prepare(self: Any) -> None:
            seen.append(word.get())
            self.token = word.set("mine")
            await asyncio.sleep(0)

        _put(Handler, "prepare", prepare)
    elif kind == "future":

        def get_future(self: Any) -> Any:
            seen.append(word.get())
            return asyncio.ensure_future(asyncio.sleep(0))

        _put(Handler, "get", get_future)

    site = await serve([("/", Handler)])
    peer = await site.connect()
    for _ in range(2):
        assert (await peer.ask(*GET)).status == 200
        await until(lambda: len(seen) >= 4)
        assert seen == ["unset", "mine", "mine", "unset"]
        seen.clear()


async def test_an_error_is_logged_in_the_context_of_its_request(
    framework: Framework, serve: Serve
) -> None:
    """opentelemetry ends its span there."""
    seen: list[str] = []

    class Handler(framework.web.RequestHandler):
        def prepare(self) -> None:
            self.token = word.set("mine")

        def log_exception(self, *exc_info: Any) -> None:
            seen.append(word.get())
            word.reset(self.token)

        def get(self) -> None:
            raise KeyError

        async def post(self) -> None:
            await asyncio.sleep(0)
            raise KeyError

    site = await serve([("/", Handler)])
    assert (await site.get("/")).status_code == 500
    assert (await site.post("/")).status_code == 500
    assert seen == ["mine", "mine"]


async def test_what_is_set_does_not_reach_the_next_request(
    framework: Framework, serve: Serve
) -> None:
    class Handler(framework.web.RequestHandler):
        def get(self) -> None:
            self.write(word.get())
            word.set("leaked")

        async def post(self) -> None:
            self.write(word.get())
            word.set("leaked")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    bodies = set()
    for _ in range(2):
        bodies.add((await peer.ask(*GET)).body)
        answer = await peer.ask("POST / HTTP/1.1", "Host: a", "Content-Length: 1", body=b"x")
        bodies.add(answer.body)
    assert bodies == {b"unset"}
    assert word.get() == "unset"


# ---- In between: integrations that patch or override -----------------------------------------


@plain_or_coroutine
async def test_execute_may_be_wrapped(
    web: Any, serve: Serve, coroutine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sentry's way: it checks that it is a coroutine function, and replaces it globally."""
    original = web.RequestHandler._execute
    assert inspect.iscoroutinefunction(original)
    events: list[Any] = []

    async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        events.append(("enter", self.request.method, args[1:], kwargs))
        try:
            return await original(self, *args, **kwargs)
        finally:
            events.append(("leave", self.get_status()))

    monkeypatch.setattr(web.RequestHandler, "_execute", wrapped)

    class Handler(web.RequestHandler):
        get = as_method(lambda self, group: self.write(group), coroutine)

    site = await serve([("/(.*)", Handler)])
    assert (await site.get("/x")).text == "x"
    await until(lambda: len(events) == 2)
    assert events == [("enter", "GET", (b"x",), {}), ("leave", 200)]


async def test_execute_may_be_overridden(web: Any, serve: Serve) -> None:
    """sockjs's way: the method comes back, the answer is finished later."""
    handlers: list[Any] = []

    class Handler(web.RequestHandler):
        async def _execute(self, transforms: Any, *args: Any, **kwargs: Any) -> None:
            self._auto_finish = False
            handlers.append(self)
            await super()._execute(transforms, *args, **kwargs)

        def get(self) -> None:
            self.write("first,")

    site = await serve([("/", Handler)])
    peer = await site.connect()
    for _ in range(2):
        peer.send(*GET)
        await until(lambda: handlers and handlers[0]._write_buffer)
        handler = handlers.pop()
        assert not handler._finished
        handler.finish("later")
        assert (await peer.answer()).body == b"first,later"


async def test_execute_may_give_a_future(web: Any, serve: Serve) -> None:
    """As when it is overridden with gen.coroutine."""

    class Handler(web.RequestHandler):
        def _execute(self, transforms: Any, *args: Any, **kwargs: Any) -> Any:
            return asyncio.ensure_future(super()._execute(transforms, *args, **kwargs))

        def get(self) -> None:
            self.write("x")

    site = await serve([("/", Handler)])
    assert (await site.get("/")).text == "x"


@plain_or_coroutine
async def test_auto_finish_may_be_off(web: Any, serve: Serve, coroutine: bool) -> None:
    handlers: list[Any] = []

    class Handler(web.RequestHandler):
        def prepare(self) -> None:
            self._auto_finish = False

        get = as_method(handlers.append, coroutine)

    site = await serve([("/", Handler)])
    peer = await site.connect()
    peer.send(*GET)
    await until(lambda: handlers)
    await asyncio.sleep(0)
    handlers[0].finish("later")
    assert (await peer.answer()).body == b"later"


async def test_hooks_may_be_replaced_after_the_fact(
    framework: Framework, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """opentelemetry's and elastic's way."""
    web = framework.web
    events: list[Any] = []

    class Handler(web.RequestHandler):
        def get(self) -> None:
            raise KeyError("x")

    site = await serve([("/", Handler)])
    assert (await site.get("/")).status_code == 500
    original_prepare = Handler.prepare
    original_handle = web.RequestHandler._handle_request_exception

    async def prepare(self: Any) -> None:
        events.append("prepare")
        result = original_prepare(self)
        if result is not None:
            await result

    def handle(self: Any, *args: Any) -> None:
        events.append(("handle", type(args[0])))
        original_handle(self, *args)

    monkeypatch.setattr(Handler, "prepare", prepare, raising=False)
    monkeypatch.setattr(Handler, "on_finish", lambda self: events.append("on_finish"))
    monkeypatch.setattr(
        web.RequestHandler, "log_exception", lambda self, *exc: events.append(("log", exc[0]))
    )
    monkeypatch.setattr(web.RequestHandler, "_handle_request_exception", handle)
    assert (await site.get("/")).status_code == 500
    assert events == ["prepare", ("handle", KeyError), ("log", KeyError), "on_finish"]


async def test_init_may_be_wrapped(web: Any, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    original = web.RequestHandler.__init__

    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        made.append((type(self).__name__, len(args), kwargs))
        original(self, *args, **kwargs)

    monkeypatch.setattr(web.RequestHandler, "__init__", wrapped)
    handler = type("Named", (web.RequestHandler,), {"get": lambda self: self.write("x")})
    site = await serve([("/", handler)])
    assert (await site.get("/")).text == "x"
    assert made == [("Named", 2, {})]


# ---- Handlers made by hand -------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*HTTPServerRequest:DeprecationWarning")
def test_a_handler_by_hand(framework: Framework) -> None:
    """As jupyter's tests make them."""
    httputil, web = framework.httputil, framework.web
    request = httputil.HTTPServerRequest(
        "GET", uri="/a?b=c", headers=httputil.HTTPHeaders({"Host": "here"}), connection=MagicMock()
    )
    request.connection = MagicMock()

    class Handler(web.RequestHandler):
        def initialize(self, extra: int) -> None:
            self.extra = extra

        def on_connection_close(self) -> None:
            pass

    application = web.Application([], own=1)
    handler = Handler(application, request, extra=2)
    assert (handler.extra, handler.settings["own"], handler.request) == (2, 1, request)
    assert handler.get_query_argument("b") == "c"
    handler.set_status(404)
    handler.set_header("X-Own", "1")
    handler.write({"a": 1})
    assert handler.get_status() == 404
    assert handler._headers["X-Own"] == "1"
    handler._transforms = []
    handler.finish()
    assert handler._finished
    (line, headers, chunk), _ = request.connection.write_headers.call_args
    assert (line.code, line.reason, chunk) == (404, "Not Found", b'{"a": 1}')
    assert headers["X-Own"] == "1"
    request.connection.finish.assert_called_once_with()


async def test_a_handler_by_hand_runs(framework: Framework) -> None:
    httputil, web = framework.httputil, framework.web
    connection = MagicMock()
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    connection.write_headers.return_value = done
    request = httputil.HTTPServerRequest(
        start_line=httputil.RequestStartLine("GET", "/", "HTTP/1.1"),
        headers=httputil.HTTPHeaders({"Host": "here"}),
        connection=connection,
    )

    class Handler(web.RequestHandler):
        async def get(self, group: str) -> None:
            self.write(group)

    handler = Handler(web.Application(), request)
    await handler._execute([], b"x")
    assert connection.write_headers.call_args.args[2] == b"x"
