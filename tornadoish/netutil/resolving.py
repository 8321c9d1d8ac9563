"""Resolvers: host names to socket addresses (Tornado: tornado.netutil)."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Awaitable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, ClassVar, Self

from tornadoish.netutil.listening import resolution_error
from tornadoish.util import import_object


class Resolver:
    """Turns host names into socket addresses; ``Resolver()`` makes a `DefaultLoopResolver`.

    A subclass overrides `resolve`, and `initialize` (not ``__init__``) for its own arguments.

    Source: Tornado: tornado.netutil.Resolver.
    """

    _configured: ClassVar[tuple[type[Resolver] | None, dict[str, Any]]] = (None, {})

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        implementation: type[Any] = cls
        if cls is Resolver:
            implementation = Resolver.configured_class()
            kwargs = Resolver._configured[1] | kwargs
        self: Self = object.__new__(implementation)
        self.initialize(*args, **kwargs)
        return self

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Take the constructor's arguments. The base class does nothing with them."""

    @classmethod
    def configure(cls, impl: str | type[Resolver] | None, **kwargs: Any) -> None:
        """Choose what ``Resolver()`` makes: a subclass, its dotted name, or None for the default.

        :param kwargs: arguments that its `initialize` then gets.
        :raises ImportError: there is nothing of this name.
        :raises ValueError: it is no subclass of Resolver.
        """
        if isinstance(impl, str):
            impl = import_object(impl)
        if impl is not None and not (isinstance(impl, type) and issubclass(impl, Resolver)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"{impl!r} is not a subclass of Resolver")
        Resolver._configured = (impl, kwargs)

    @classmethod
    def configured_class(cls) -> type[Resolver]:
        """The class that ``Resolver()`` makes an instance of."""
        return Resolver._configured[0] or DefaultLoopResolver

    def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Awaitable[list[tuple[int, Any]]]:
        """Look a host up.

        :param host: a host name or an IP address.
        :param port: goes into the addresses.
        :param family: only addresses of this family; ``AF_UNSPEC`` for all.
        :returns: (family, address for `socket.socket.connect`) pairs, in the order to try them in.
        :raises OSError: the host cannot be resolved.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Free what the resolver holds. It cannot be used afterwards."""


class DefaultLoopResolver(Resolver):
    """Asks the event loop, which asks `socket.getaddrinfo` in a thread.

    Source: Tornado: tornado.netutil.DefaultLoopResolver.
    """

    def initialize(self) -> None:
        """Takes no arguments."""

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        """As `Resolver.resolve`."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        except (socket.gaierror, ValueError) as error:
            raise resolution_error(host, error) from None
        return [(found_family, address) for found_family, _, _, _, address in found]


# Deprecated names of Tornado's; here nothing blocks the loop.
DefaultExecutorResolver = DefaultLoopResolver
BlockingResolver = DefaultLoopResolver


class ExecutorResolver(Resolver):
    """Asks `socket.getaddrinfo` in an executor: the given one, or the event loop's own.

    Source: Tornado: tornado.netutil.ExecutorResolver, which deprecates it.
    """

    def initialize(self, executor: Executor | None = None, close_executor: bool = True) -> None:
        """Take the executor, and whether `close` shuts it down."""
        self.executor = executor
        self.close_executor = close_executor

    def close(self) -> None:
        """Shut the executor down, if it is ours; lookups that run are not waited for."""
        if self.executor is not None and self.close_executor:
            self.executor.shutdown(wait=False)

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        """As `Resolver.resolve`."""
        ask = functools.partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self.executor, ask)
        except (socket.gaierror, ValueError) as error:
            raise resolution_error(host, error) from None
        return [(found_family, address) for found_family, _, _, _, address in found]


class ThreadedResolver(ExecutorResolver):
    """An `ExecutorResolver` with threads of its own.

    Source: Tornado: tornado.netutil.ThreadedResolver, which deprecates it.
    """

    def initialize(self, num_threads: int = 10) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take the greatest number of threads."""
        super().initialize(ThreadPoolExecutor(num_threads), close_executor=True)


class OverrideResolver(Resolver):
    """Answers some lookups from a mapping and leaves the rest to another resolver.

    A key of the mapping is a host, ``(host, port)`` or ``(host, port, family)``, the longest match
    wins. The value is what to look up instead: a host for a host, else ``(host, port)``.

    Source: Tornado: tornado.netutil.OverrideResolver.
    """

    def initialize(self, resolver: Resolver, mapping: Mapping[Any, Any]) -> None:
        """Take the other resolver and the mapping, which may still change later."""
        self.resolver = resolver
        self.mapping = mapping

    def close(self) -> None:
        """Close the other resolver."""
        self.resolver.close()

    def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Awaitable[list[tuple[int, Any]]]:
        """As `Resolver.resolve`."""
        if (host, port, family) in self.mapping:
            host, port = self.mapping[host, port, family]
        elif (host, port) in self.mapping:
            host, port = self.mapping[host, port]
        elif host in self.mapping:
            host = self.mapping[host]
        return self.resolver.resolve(host, port, family)
