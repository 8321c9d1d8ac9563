"""livez and readyz, alone and while a server is drained."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support import Client, get, settled, soon, until

from tornadoish.health import HealthHandlers
from tornadoish.routing import AnyMatches, Rule, RuleRouter
from tornadoish.web import Application

Serve = Callable[..., Awaitable[Any]]


async def ask(client: Client, path: str) -> tuple[int, Any]:
    await client.send(get(path))
    answer = await client.response()
    assert answer.headers["cache-control"] == "no-store"
    return answer.status, json.loads(answer.body)


async def test_alive_and_ready(serve: Serve) -> None:
    served = await serve(Application([*HealthHandlers()]), check=False)
    async with Client.connect(served.port) as client:
        assert await ask(client, "/livez") == (200, {"status": "ok"})
        assert await ask(client, "/readyz") == (200, {"status": "ok"})
        await client.send(get("/readyz").replace(b"GET", b"HEAD"))
        assert (await client.response("HEAD")).status == 200


async def test_paths_and_a_word_of_ones_own(serve: Serve) -> None:
    health = HealthHandlers(livez="/health/live", readyz="/health/ready")
    served = await serve(Application([*health]), check=False)
    async with Client.connect(served.port) as client:
        health.not_ready = "warming up"
        assert await ask(client, "/health/ready") == (503, {"status": "warming up"})
        assert await ask(client, "/health/live") == (200, {"status": "ok"})
        health.not_ready = None
        assert await ask(client, "/health/ready") == (200, {"status": "ok"})


async def test_checks(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    states: dict[str, Any] = {"database": True, "cache": None}

    async def cache() -> None:
        if states["cache"] is not None:
            raise states["cache"]

    health = HealthHandlers({"database": lambda: states["database"], "cache": cache})
    served = await serve(Application([*health]), check=False)
    async with Client.connect(served.port) as client:
        well = {"status": "ok", "checks": {"database": "ok", "cache": "ok"}}
        assert await ask(client, "/readyz") == (200, well)
        states.update(database=False, cache=ConnectionError("the password is hunter2"))
        for _ in range(3):
            ill = {"status": "unavailable", "checks": {"database": "failed", "cache": "failed"}}
            assert await ask(client, "/readyz") == (503, ill)
        assert await ask(client, "/livez") == (200, {"status": "ok"})
        states.update(database=True, cache=None)
        assert await ask(client, "/readyz") == (200, well)
    told = [r.getMessage() for r in caplog.records if r.name == "tornado.application"]
    assert sorted(told) == [
        "The health check cache has failed", "The health check database has failed",
    ]  # fmt: skip


async def test_a_check_that_hangs(serve: Serve) -> None:
    health = HealthHandlers({"slow": lambda: asyncio.Event().wait()}, timeout=0.01)
    served = await serve(Application([*health]), check=False)
    async with Client.connect(served.port) as client:
        ill = {"status": "unavailable", "checks": {"slow": "timed out"}}
        assert await ask(client, "/readyz") == (503, ill)


async def test_many_who_ask_are_one_who_asks(serve: Serve) -> None:
    """And if one of them goes away, the others get their answer."""
    asked, gate = [0], asyncio.Event()

    async def check() -> None:
        asked[0] += 1
        await gate.wait()

    health = HealthHandlers({"one": check})
    served = await serve(Application([*health]), check=False)
    async with Client.connect(served.port) as one, Client.connect(served.port) as other:
        await one.send(get("/readyz"))
        await until(lambda: asked[0])
        await other.send(get("/readyz"))
        await settled(30)
        one.writer.transport.abort()
        await settled(30)
        gate.set()
        assert (await other.response()).status == 200
        assert asked == [1]
        assert (await ask(other, "/readyz"))[0] == 200
        assert asked == [2]


async def test_who_is_cancelled_ends_it_for_nobody_else() -> None:
    gate = asyncio.Event()
    health = HealthHandlers({"one": gate.wait})
    one, other = (asyncio.create_task(health.ask()) for _ in range(2))
    await settled()
    one.cancel()
    await settled()
    gate.set()
    assert await soon(other) == {}
    assert one.cancelled()


async def test_readiness_goes_down_when_a_drain_begins(serve: Serve) -> None:
    """And new connections hear of it, as long as a hook lets the server go on."""
    health, gate = HealthHandlers({"check": lambda: True}), asyncio.Event()
    app = Application([*health])

    async def wait(application: Application) -> None:
        await gate.wait()

    app.on_shutdown.append(wait)
    served = await serve(app, check=False)
    async with Client.connect(served.port) as old:
        assert (await ask(old, "/readyz"))[0] == 200
        drain = asyncio.ensure_future(served.server.drain())
        await settled()
        assert await ask(old, "/readyz") == (503, {"status": "draining"})
    async with Client.connect(served.port) as new:
        assert await ask(new, "/readyz") == (503, {"status": "draining"})
    async with Client.connect(served.port) as new:
        assert (await ask(new, "/livez"))[0] == 200
    gate.set()
    assert await soon(drain) == 0


@pytest.mark.parametrize("nested", [False, True])
async def test_readiness_stays_where_another_process_goes_on(serve: Serve, nested: bool) -> None:
    """A probe that this one had accepted is answered as its successor would answer it."""
    app = Application([*HealthHandlers()])
    served = await serve(RuleRouter([Rule(AnyMatches(), app)]) if nested else app, check=False)
    async with Client.connect(served.port) as waits, Client.connect(served.port) as asks:
        for client in (waits, asks):
            assert (await ask(client, "/readyz"))[0] == 200
        drain = asyncio.ensure_future(served.server.drain(replaced=True))
        await until(lambda: served.server._stopped)
        assert await ask(asks, "/readyz") == (200, {"status": "ok"})
        asks.writer.close()
        waits.writer.close()
        assert await soon(drain) == 0
    assert app.draining.is_set()


async def test_announcing_takes_its_time(serve: Serve) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    await HealthHandlers().announce(seconds=0.02)(Application())
    assert loop.time() - before >= 0.019
