"""Link: one connection to a Redis server, which is made again whenever it is lost.

``Listening`` and ``Publishing`` each have one. It knows how to talk to redis-py, sees that the
server is alive, and waits longer and longer between attempts to reach it. What is said, and what
the answers mean, is the business of its user.

redis-py itself would connect again behind our back and say nothing of what was missed meanwhile: so
only its connections are used, not its clients.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from tornadoish.log import gen_log
from tornadoish.util import import_extra

Command = tuple[str | bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisLimits:
    """Bounds of the connections to a Redis server, in seconds and bytes."""

    #: until a connection is there and has logged in
    connect_timeout: float = 5.0
    #: of silence after which the server is asked whether it is alive; as much again, and it is not
    ping_interval: float = 10.0
    #: between the loss of a connection and the next attempt; doubled with each one that fails
    first_retry: float = 0.05
    #: the most of that (a random part of it, up to half, is left out: all processes come back)
    last_retry: float = 2.0
    #: from publish() on until the server has the message
    publish_timeout: float = 5.0
    #: of messages that the server has not confirmed; more cannot be published meanwhile
    max_unpublished_bytes: int = 16 * 1024 * 1024


class Side(Protocol):
    """Who uses a link."""

    def link_up(self) -> None:
        """There is a connection, a new one."""

    def link_down(self) -> None:
        """There is none any more."""

    def commands(self) -> Sequence[Command]:
        """What is to be sent now, some of it; nothing: wait for :meth:`Link.wake`."""
        ...

    async def answer(self, answer: Any) -> None:
        """What the server sent: an answer, an error (an exception) or a message."""


class Connector:
    """Makes connections to the server of one URL, which it keeps to itself: there may be a password
    in it.

    :raises ImportError: redis-py is not installed.
    :raises ValueError: the URL is none of Redis, or has options that redis-py does not know.
    """

    def __init__(self, url: str, limits: RedisLimits) -> None:
        redis = import_extra("redis.asyncio.connection", "redis")
        exceptions = import_extra("redis.exceptions", "redis")
        #: what redis-py raises for a command that the server refuses
        self.ResponseError: type[Exception] = exceptions.ResponseError
        #: what happens to connections
        self.trouble: tuple[type[Exception], ...] = (OSError, exceptions.RedisError)
        options: dict[str, Any] = redis.parse_url(url)
        options.pop("max_connections", None)  # of a pool
        connection_class = options.pop("connection_class", redis.Connection)
        options |= {
            "protocol": 2,  # every server knows it
            "decode_responses": False,
            "retry": None,
            "retry_on_timeout": False,
            "retry_on_error": [],
            "health_check_interval": 0,
            "socket_connect_timeout": limits.connect_timeout,
            # Whether the server is alive, the reader knows. (With a time-out sending would go by
            # way of wait_for, which may swallow a cancellation on Python 3.11.)
            "socket_timeout": None,
        }
        #: a new connection of redis-py, not connected
        self.make: Callable[[], Any] = partial(connection_class, **options)
        try:
            self.make()
        except TypeError as error:
            raise ValueError(f"An unknown option in the URL of a Redis server: {error}") from None


class Link:
    """See the module. ``up``: whether there is a connection."""

    def __init__(self, name: str, side: Side, connector: Connector, limits: RedisLimits) -> None:
        self._name = name
        self._side = side
        self._connector = connector
        self._limits = limits
        self.up = False
        #: set when the first attempt to connect has come to an end
        self.tried = asyncio.Event()
        self._awake = asyncio.Event()
        self._ping_due = False
        self._trouble_told = False

    def wake(self) -> None:
        """There are commands to send."""
        self._awake.set()

    async def run(self) -> None:
        """Keep it up, until cancelled."""
        loop = asyncio.get_running_loop()
        limits = self._limits
        delay = limits.first_retry
        while True:
            connection = self._connector.make()
            good_since = None
            try:
                async with asyncio.timeout(limits.connect_timeout):
                    await connection.connect()
                good_since = loop.time()
                await self._talk(connection)
            except Exception as error:
                self._tell_trouble(error)
            finally:
                await self._hang_up(connection)
            if good_since is not None and loop.time() - good_since > limits.last_retry:
                delay = limits.first_retry
            await asyncio.sleep(delay * random.uniform(0.5, 1))
            delay = min(2 * delay, limits.last_retry)

    async def _talk(self, connection: Any) -> None:
        self.up = True
        self._ping_due = False
        self._side.link_up()
        self.tried.set()
        if self._trouble_told:
            self._trouble_told = False
            gen_log.info("Redis is back (%s)", self._name)
        # No TaskGroup: up to Python 3.12 one may raise what has failed, and forget that we are
        # cancelled at the same time.
        tasks = [asyncio.create_task(work(connection)) for work in (self._read, self._write)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _write(self, connection: Any) -> None:
        self._awake.set()
        while True:
            await self._awake.wait()
            self._awake.clear()
            while commands := self._commands():
                if not connection.is_connected:
                    return  # to send would connect it again; the reader knows what has happened
                packed = connection.pack_commands(commands)
                await connection.send_packed_command(packed, check_health=False)

    def _commands(self) -> Sequence[Command]:
        if self._ping_due:
            self._ping_due = False
            return [("PING",)]
        return self._side.commands()

    async def _read(self, connection: Any) -> None:
        asked = False
        refusal = self._connector.ResponseError
        while True:
            try:
                answer = await connection.read_response(timeout=self._limits.ping_interval)
            except refusal as error:
                answer = error
            if answer is None:  # nothing has come for so long
                if asked:
                    raise TimeoutError("Redis is silent")
                asked = self._ping_due = True
                self.wake()
                continue
            asked = False
            if not _is_pong(answer):
                await self._side.answer(answer)

    async def _hang_up(self, connection: Any) -> None:
        self.up = False
        self._side.link_down()
        self.tried.set()
        try:
            await connection.disconnect()
        except Exception as error:
            gen_log.debug("A connection to Redis did not close: %s", error)

    def _tell_trouble(self, error: Exception) -> None:
        """Once, not at every attempt."""
        if not self._trouble_told:
            self._trouble_told = True
            what = str(error) or repr(error)
            bug = not isinstance(error, self._connector.trouble)
            gen_log.warning("No connection to Redis (%s): %s", self._name, what, exc_info=bug)


def _is_pong(answer: Any) -> bool:
    """Before the first SUBSCRIBE on a connection it is another one than after that."""
    if isinstance(answer, list):
        return bool(answer[0] == b"pong")
    return isinstance(answer, bytes) and answer == b"PONG"
