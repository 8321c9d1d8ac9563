"""Health: ``/livez`` and ``/readyz``, for whoever watches a server or sends requests there (ours
alone, not Tornado's)::

    health = HealthHandlers({"database": pool.ping})
    application = Application([*health, ...])
    application.on_shutdown.append(health.announce(seconds=5))

``/livez`` says that the event loop still turns: who gets no answer may restart the process. Nothing
that others could break is asked there. ``/readyz`` says whether requests should be sent here: not
when a drain has begun, nor when a check fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from tornadoish.log import app_log
from tornadoish.routing import URLSpec
from tornadoish.web import Application, RequestHandler

#: plain or a coroutine function; what it raises, or False, means that it has failed
Check = Callable[[], Awaitable[object] | object]


class HealthHandlers:
    """The routes of both, to be put into an application's list.

    :param checks: what must hold for requests to be answered, by name. All are asked at once, and
        never twice at the same time, however many ask. The names are told to whoever asks; why one
        has failed is logged, when it begins to.
    :param timeout: seconds that each of them has.
    :param livez: the path of the one.
    :param readyz: that of the other.
    """

    def __init__(
        self,
        checks: Mapping[str, Check] | None = None,
        *,
        timeout: float = 2.0,
        livez: str = "/livez",
        readyz: str = "/readyz",
    ) -> None:
        self.checks: dict[str, Check] = dict(checks or {})
        self.timeout = timeout
        #: why no requests should be sent here, if somebody has set it: "warming up", say
        self.not_ready: str | None = None
        self._paths = (livez, readyz)
        self._asking: asyncio.Task[dict[str, str]] | None = None
        self._failing: set[str] = set()

    def __iter__(self) -> Iterator[URLSpec]:
        livez, readyz = self._paths
        yield URLSpec(livez, LivezHandler)
        yield URLSpec(readyz, ReadyzHandler, {"health": self})

    def announce(self, seconds: float) -> Callable[[Application], Awaitable[None]]:
        """A hook for ``on_shutdown``: a server that stops goes on for ``seconds``, not ready, so
        that whoever sends requests here hears of it before nothing is accepted any more. Give it
        a little more than it takes between two of their looks."""

        async def wait(application: Application) -> None:
            await asyncio.sleep(seconds)

        return wait

    async def ask(self) -> dict[str, str]:
        """What has failed: name -> "failed" or "timed out"; empty if all is well."""
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())
        # Who goes away does not end it for the others.
        return await asyncio.shield(self._asking)

    async def _ask_all(self) -> dict[str, str]:
        try:
            names = list(self.checks)
            results = await asyncio.gather(*[self._ask_one(name) for name in names])
        finally:
            self._asking = None
        return {name: result for name, result in zip(names, results, strict=True) if result}

    async def _ask_one(self, name: str) -> str | None:
        result: str | None = None
        error: Exception | None = None
        try:
            async with asyncio.timeout(self.timeout):
                found = self.checks[name]()
                if isinstance(found, Awaitable):
                    found = await found
            if found is False:
                result = "failed"
        except TimeoutError as timed_out:
            result, error = "timed out", timed_out
        except Exception as failure:
            result, error = "failed", failure
        if result is None:
            self._failing.discard(name)
        elif name not in self._failing:
            self._failing.add(name)  # not once more for each who asks
            app_log.error("The health check %s has %s", name, result, exc_info=error)
        return result


class LivezHandler(RequestHandler):
    """Answers."""

    def get(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.write({"status": "ok"})

    head = get


class ReadyzHandler(RequestHandler):
    """Answers 200, or 503 and why.

    :param health: whose.
    """

    def initialize(self, health: HealthHandlers) -> None:
        self._health = health

    async def get(self) -> None:
        health, status = self._health, "ok"
        body: dict[str, Any] = {}
        if self.application.draining.is_set():
            status = "draining"
        elif health.not_ready is not None:
            status = health.not_ready
        elif health.checks:
            failed = await health.ask()
            body["checks"] = {name: failed.get(name, "ok") for name in health.checks}
            if failed:
                status = "unavailable"
        if status != "ok":
            self.set_status(503)
        self.set_header("Cache-Control", "no-store")
        self.write({"status": status, **body})

    head = get
