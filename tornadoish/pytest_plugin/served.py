"""What the fixtures do: serve an application, and see what a test leaves behind.

Imported by fixtures when they are used, never before.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from tornadoish.httpserver import HTTPServer
from tornadoish.testing import MemoryTransport, bind_unused_port
from tornadoish.testing.serving import end_server
from tornadoish.util import import_extra

if TYPE_CHECKING:
    import httpx

#: seconds in which what is about to end must have ended; waited for only if something is left
_PATIENCE = 1.0


class Served:
    """An application that is being served.

    ``app`` is what is served, ``server`` its :class:`HTTPServer`, ``port`` the port on 127.0.0.1
    and ``base_url`` the URL without a path.
    """

    def __init__(self, app: Any, server: HTTPServer, port: int) -> None:
        self.app = app
        self.server = server
        self.port = port
        scheme = "http" if server.ssl_options is None else "https"
        self.base_url = f"{scheme}://127.0.0.1:{port}"

    def url(self, path: str) -> str:
        """The absolute URL of ``path``."""
        return self.base_url + path

    def __repr__(self) -> str:
        return f"<Served {self.base_url}>"


class LeftBehind(AssertionError):
    """A test has left something behind."""


@contextlib.asynccontextmanager
async def serving(app: Any, options: dict[str, Any], strict: bool) -> AsyncGenerator[Served, None]:
    """Serve ``app`` on a free port.

    :raises LeftBehind: (at the end, if ``strict``) clients are still connected, or see below.
    """
    leftovers = Leftovers() if strict else None
    server = HTTPServer(app, **options)
    await server.start_application()
    try:
        sock, port = bind_unused_port()
        server.add_sockets([sock])
        yield Served(app, server, port)
        if leftovers is not None:
            await leftovers.look_at_connections(server)
    finally:
        await end_server(server)
        if leftovers is not None:
            await leftovers.end()


@contextlib.asynccontextmanager
async def in_memory(
    app: Any, options: dict[str, Any], strict: bool
) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of ``app`` without a socket.

    :raises LeftBehind: (at the end, if ``strict``) tasks are still running that were not there at
        the beginning, or the loop was told of errors that nobody had caught.
    """
    clients = import_extra("httpx", "test-client")
    leftovers = Leftovers() if strict else None
    scheme = "http" if options.get("ssl_options") is None else "https"
    transport = MemoryTransport(app, **options)
    try:
        async with clients.AsyncClient(
            transport=transport, base_url=f"{scheme}://localhost"
        ) as client:
            yield client
    finally:
        if leftovers is not None:
            await leftovers.end()


def new_client(base_url: str) -> httpx.AsyncClient:
    """A client that takes any certificate, and heeds no settings of the environment."""
    clients = import_extra("httpx", "test-client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loads no authorities, which takes time
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client: httpx.AsyncClient = clients.AsyncClient(
        base_url=base_url, verify=context, trust_env=False
    )
    return client


class Leftovers:
    """What is there behind a test and was not before; and errors that only the loop has heard of.

    Made before anything is served.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks_before = asyncio.all_tasks(self._loop)
        self._handler_before = self._loop.get_exception_handler()
        self._loop.set_exception_handler(self._heard)
        self._found: list[str] = []

    def _heard(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._found.append(f"error: {context['message']}" + (f": {error!r}" if error else ""))
        if self._handler_before is None:
            loop.default_exception_handler(context)
        else:
            self._handler_before(loop, context)

    async def look_at_connections(self, server: HTTPServer) -> None:
        """Those that nobody has closed, when clients have had the time to."""
        await server._wait_until_empty(_PATIENCE)
        for connection in list(server._connections):
            self._found.append(f"connection: {connection.stream!r} of {connection.context}")

    async def end(self) -> None:
        """Look at the rest, and give the loop its handler back.

        :raises LeftBehind: there is anything.
        """
        await self._look_at_tasks()
        self._loop.set_exception_handler(self._handler_before)
        if self._found:
            raise LeftBehind("left behind by the test:\n  " + "\n  ".join(self._found))

    async def _look_at_tasks(self) -> None:
        """Those that do not end with the server; they are cancelled."""
        left = asyncio.all_tasks() - self._tasks_before
        current = asyncio.current_task()
        if current is not None:
            left.discard(current)
        if not left:
            return
        _, left = await asyncio.wait(left, timeout=_PATIENCE)
        for task in left:
            self._found.append(f"task: {task!r}")
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_PATIENCE)
