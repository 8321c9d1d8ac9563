"""How a test that is a plain function runs what waits: ``gen_test`` and ``LoopAdapter``.

Used by ``AsyncTestCase``. A test is a coroutine, or a generator as in the days before coroutines.
(Interface: Tornado, tornado.testing and, as far as tests call it, tornado.ioloop.)
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime
import functools
import inspect
import os
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, overload

from tornadoish.log import app_log

_DEFAULT_TIMEOUT = 5.0  # seconds


def get_async_test_timeout() -> float:
    """Seconds that a test may take: the environment variable ASYNC_TEST_TIMEOUT, or 5."""
    try:
        return float(os.environ["ASYNC_TEST_TIMEOUT"])
    except (KeyError, ValueError):
        return _DEFAULT_TIMEOUT


class LoopAdapter:
    """An asyncio loop under the method names of Tornado's IOLoop, as far as tests call them.

    It is ``io_loop`` of :class:`AsyncTestCase`. Nothing but tests needs it: all else is asyncio's.

    :param asyncio_loop: the loop; it must not be running already when ``run_sync`` is called.
    """

    def __init__(self, asyncio_loop: asyncio.AbstractEventLoop) -> None:
        self.asyncio_loop = asyncio_loop
        self._background: set[asyncio.Future[Any]] = set()

    def run_sync(self, func: Callable[[], Any], timeout: float | None = None) -> Any:
        """Run the loop until what ``func`` returns is done (if it is to be waited for), and return
        its result.

        :param timeout: seconds; None: for ever.
        :raises TimeoutError: it was not done by then, and was cancelled.
        """

        async def run() -> Any:
            limit = asyncio.timeout(timeout)
            try:
                async with limit:
                    return await result_of(func())
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise TimeoutError(f"Operation timed out after {timeout} seconds") from error

        return self.asyncio_loop.run_until_complete(run())

    def start(self) -> None:
        """Run the loop until :meth:`stop`."""
        self.asyncio_loop.run_forever()

    def stop(self) -> None:
        """Stop the loop after what it is doing, or when it is started next."""
        self.asyncio_loop.stop()

    def close(self, all_fds: bool = False) -> None:
        """Close the loop. ``all_fds`` has no effect: whoever opened something closes it."""
        self.asyncio_loop.close()

    def time(self) -> float:
        """Seconds since the epoch, from which :meth:`add_timeout` counts."""
        return time.time()

    def add_callback(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call it in the loop's next round, from any thread; what it returns is waited for."""
        self.asyncio_loop.call_soon_threadsafe(
            self._run_callback, functools.partial(callback, *args, **kwargs)
        )

    spawn_callback = add_callback

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> asyncio.TimerHandle:
        """Call it in ``delay`` seconds."""
        return self.asyncio_loop.call_later(
            max(0, delay), self._run_callback, functools.partial(callback, *args, **kwargs)
        )

    def add_timeout(
        self,
        deadline: float | datetime.timedelta,
        callback: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> asyncio.TimerHandle:
        """Call it at a time as of :meth:`time`, or in so much time."""
        if isinstance(deadline, datetime.timedelta):
            delay = deadline.total_seconds()
        else:
            delay = deadline - self.time()
        return self.call_later(delay, callback, *args, **kwargs)

    call_at = add_timeout

    def remove_timeout(self, timeout: asyncio.TimerHandle) -> None:
        """Do not call what one of the three above was to call."""
        timeout.cancel()

    def add_future(self, future: Any, callback: Callable[[Any], Any]) -> None:
        """Call ``callback`` with ``future`` when that is done."""
        future.add_done_callback(lambda done: self.add_callback(callback, done))

    def run_in_executor(
        self, executor: concurrent.futures.Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run it in a thread."""
        return self.asyncio_loop.run_in_executor(executor, func, *args)

    def _run_callback(self, callback: Callable[[], Any]) -> None:
        try:
            result = callback()
        except Exception:
            app_log.error("Exception in callback %r", callback, exc_info=True)
            return
        if inspect.isawaitable(result):
            future = asyncio.ensure_future(result)
            self._background.add(future)  # the loop itself would hold it only weakly
            future.add_done_callback(self._callback_done)

    def _callback_done(self, future: asyncio.Future[Any]) -> None:
        self._background.discard(future)
        if not future.cancelled() and future.exception() is not None:
            app_log.error("Exception in callback %r", future, exc_info=future.exception())

    def __repr__(self) -> str:
        return f"<LoopAdapter of {self.asyncio_loop!r}>"


async def result_of(yielded: Any) -> Any:
    """The result of what a test yields or returns.

    :raises TypeError: it is nothing that can be waited for, though a test cannot mean anything
        else by yielding it.
    """
    if isinstance(yielded, Generator):
        return await drive(yielded)
    if inspect.isawaitable(yielded):
        return await yielded
    if isinstance(yielded, concurrent.futures.Future):
        return await asyncio.wrap_future(yielded)
    if yielded is None:
        return None
    raise TypeError(f"nothing to wait for: {yielded!r}")


async def drive(generator: Generator[Any, Any, Any]) -> Any:
    """Run a generator that yields what it wants to wait for; several in a list or dict at once."""
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            yielded = generator.send(value) if error is None else generator.throw(error)
        except StopIteration as stop:
            return stop.value
        value = error = None
        try:
            if isinstance(yielded, (list, tuple)):
                value = list(await asyncio.gather(*map(result_of, yielded)))
            elif isinstance(yielded, Mapping):
                results = await asyncio.gather(*map(result_of, yielded.values()))
                value = dict(zip(yielded, results, strict=True))
            elif yielded is None:
                await asyncio.sleep(0)
            else:
                value = await result_of(yielded)
        except (Exception, asyncio.CancelledError) as failure:
            error = failure


@overload
def gen_test(func: Callable[..., Any]) -> Callable[..., None]: ...
@overload
def gen_test(
    *, timeout: float | None = None
) -> Callable[[Callable[..., Any]], Callable[..., None]]: ...
def gen_test(
    func: Callable[..., Any] | None = None, timeout: float | None = None
) -> Callable[..., Any]:
    """Make a test that a test runner can call out of a coroutine or a generator.

    For methods of an :class:`AsyncTestCase`; with ``@gen_test`` or ``@gen_test(timeout=10)``. The
    test then must not call ``wait`` or ``fetch``, which run the loop themselves; but
    ``await self.http_client.fetch(self.get_url("/"))``.

    :param timeout: seconds that the test may take; by default, those of
        :func:`get_async_test_timeout`.
    :raises TimeoutError: (the test) it took longer, and was cancelled where it was waiting.

    Source: Tornado: tornado.testing.gen_test.
    """

    def decorate(test: Callable[..., Any]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(self: Any, *args: Any, **kwargs: Any) -> Any:
            limit = get_async_test_timeout() if timeout is None else timeout
            return self.io_loop.run_sync(lambda: test(self, *args, **kwargs), timeout=limit)

        return run

    return decorate if func is None else decorate(func)


gen_test.__test__ = False  # type: ignore[attr-defined]  # it is no test itself
