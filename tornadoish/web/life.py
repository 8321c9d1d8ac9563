"""The life of an application: hooks that its server calls when it starts and when it stops.

    startup     ``on_startup`` in order, then ``cleanup_ctx`` is entered, in order, then the
                applications within this one are started
    shutdown    ``on_shutdown`` in order, then that of the applications within: a server begins to
                stop, its requests are still being answered
    cleanup     the applications within, then ``on_cleanup`` in order, then ``cleanup_ctx`` is left,
                the last one first: no request is left

(The hooks are aiohttp's, by name and meaning; Tornado has none.) ``Application`` has them; a server
calls them if it is used as ``async with HTTPServer(application) as server``. What handlers share
needs no place of its own: a hook puts it into ``application.settings``.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import Enum
from functools import partial
from inspect import isasyncgen
from typing import Any, Generic, Self, TypeVar, overload

from tornadoish.log import app_log
from tornadoish.routing import ReversibleRouter
from tornadoish.routing.calls import Call, call_all, undo_all

#: called with the application; plain, or a coroutine function
Hook = Callable[[Any], Awaitable[object] | None]
#: called with the application: an async generator function that yields once, or what returns an
#: async context manager
CleanupContext = Callable[[Any], AsyncIterator[Any] | AbstractAsyncContextManager[Any]]

H = TypeVar("H")


class Stage(Enum):
    """How far the life of an application has come."""

    NEW = "not started"
    STARTING = "being started"
    STARTED = "serving"
    STOPPING = "shut down, while the last requests are answered"
    ENDED = "cleaned up"


class Life:
    """The hooks of one application, and how many servers it lives for."""

    def __init__(self, application: LivingApplication) -> None:
        self.application = application
        self.on_startup: list[Hook] = []
        self.on_shutdown: list[Hook] = []
        self.on_cleanup: list[Hook] = []
        self.cleanup_ctx: list[CleanupContext] = []
        self.stage = Stage.NEW
        self._servers = 0
        self._entered: list[AbstractAsyncContextManager[Any]] = []
        self._turn = asyncio.Lock()  # servers may start it at the same time
        self._told = False  # that it serves before it was started

    def __repr__(self) -> str:
        return f"<Life of {self.application!r}: {self.stage.value}, {self._servers} servers>"

    @property
    def serves(self) -> bool:
        """Whether requests may be answered: it has been started, or there is nothing to start."""
        return self.stage in (Stage.STARTED, Stage.STOPPING) or self._is_plain()

    def _is_plain(self) -> bool:
        return self.stage is Stage.NEW and not self.on_startup and not self.cleanup_ctx

    def complain(self) -> None:
        """A request came too early: say so, once, if it was not just in a hurry."""
        if self.stage is Stage.NEW and not self._told:
            self._told = True
            app_log.error(
                "An application with on_startup or cleanup_ctx is asked before it was started: "
                "requests are answered with 503. Serve it by `async with HTTPServer(application)`, "
                "or await application.startup()"
            )

    async def start(self) -> None:
        async with self._turn:
            if self.stage in (Stage.STOPPING, Stage.ENDED):
                raise RuntimeError(f"This application is {self.stage.value}, it cannot start again")
            if self.stage is Stage.STARTED:
                await self.application.start_within()
            else:
                self.stage = Stage.STARTING
                try:
                    await self._begin()
                except (Exception, CancelledError):
                    what = "Errors as an application that could not be started was cleaned up"
                    await undo_all(self._last_calls(), what)
                    self.stage = Stage.NEW
                    raise
                self.stage = Stage.STARTED
            self._servers += 1

    async def _begin(self) -> None:
        application = self.application
        for hook in self.on_startup:
            pending = hook(application)
            if pending is not None:
                await pending
        for make in self.cleanup_ctx:
            context = _as_context(make(application))
            await context.__aenter__()
            self._entered.append(context)
        await application.start_within()

    async def shut_down(self, within: Call) -> None:
        calls: list[Call] = []
        if self.stage is Stage.STARTED or self._is_plain():
            self.stage = Stage.STOPPING
            calls += [partial(hook, self.application) for hook in self.on_shutdown]
        calls.append(within)
        await call_all(calls, "Errors as an application was shut down", hurry=True)

    async def clean_up(self, within: Call) -> None:
        async with self._turn:
            calls = [within]
            self._servers = max(self._servers - 1, 0)
            unused = self.stage is Stage.NEW and not self._is_plain()
            if not (self._servers or unused or self.stage is Stage.ENDED):
                calls += self._last_calls()
                self.stage = Stage.ENDED
            await call_all(calls, "Errors as an application was cleaned up")

    def _last_calls(self) -> list[Call]:
        entered, self._entered = self._entered, []
        return [
            *(partial(hook, self.application) for hook in self.on_cleanup),
            *(partial(context.__aexit__, None, None, None) for context in reversed(entered)),
        ]


class _Hooks(Generic[H]):
    """One of the lists of hooks: it is in the application's life, which begins with the first."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: LivingApplication, owner: type) -> list[H]: ...
    def __get__(self, instance: LivingApplication | None, owner: type) -> Self | list[H]:
        if instance is None:
            return self
        if instance._life is None:
            instance._life = Life(instance)
        hooks: list[H] = getattr(instance._life, self._name)
        return hooks

    def __set__(self, instance: LivingApplication, hooks: Iterable[H]) -> None:
        self.__get__(instance, type(instance))[:] = hooks


class LivingApplication(ReversibleRouter):
    """A router with hooks at the beginning and the end of its life; ``Application`` is one.

    Whoever appends none pays an attribute look-up for them per request.
    """

    _life: Life | None = None

    #: Called, in order, before the first request: ``hook(application)``, plain or a coroutine. If
    #: one raises, the application is not started: ``on_cleanup`` is called, and what was entered of
    #: ``cleanup_ctx`` is left. What must be undone is safer in the latter, for it is left only if
    #: it was entered. (This and the next three are ours alone, not Tornado's.)
    on_startup = _Hooks[Hook]()
    #: What surrounds the application's life: async generator functions, called with the
    #: application, that yield once, or functions that return an async context manager. Entered
    #: behind ``on_startup``, left behind ``on_cleanup``, the last one first.
    cleanup_ctx = _Hooks[CleanupContext]()
    #: Called, in order, when the first of the application's servers begins to stop, before anything
    #: is closed: to tell long-lived clients, or a load balancer, and to wait for it. They share the
    #: time that the server's requests have to end; when it is over, they are cancelled.
    on_shutdown = _Hooks[Hook]()
    #: Called, in order, when the last request of the last server is over. All are called, whatever
    #: becomes of the others.
    on_cleanup = _Hooks[Hook]()

    async def startup(self) -> None:
        """Call what is to be called before the first request (see the module for the order). A
        server does that in :meth:`HTTPServer.start_application`; once for each of several servers.

        Raises what a hook raises, or CancelledError; then all has been undone. RuntimeError if the
        application has been shut down.
        """
        if self._life is None:
            await self.start_within()
        else:
            await self._life.start()

    async def shutdown(self) -> None:
        """Call what is to be called when a server begins to stop; :meth:`HTTPServer.drain` does.

        Raises an ExceptionGroup of what hooks have raised, when all have been called.
        """
        if self._life is None:
            await super().shutdown()
        else:
            await self._life.shut_down(super().shutdown)

    async def cleanup(self) -> None:
        """Call what is to be called behind the last request; :meth:`HTTPServer.drain` does. As
        often as it was started: the last time counts.

        Raises an ExceptionGroup of what hooks have raised, when all have been called.
        """
        if self._life is None:
            await super().cleanup()
        else:
            await self._life.clean_up(super().cleanup)

    async def start_within(self) -> None:
        """Start the applications within this one."""
        await super().startup()


def _as_context(made: object) -> AbstractAsyncContextManager[Any]:
    if isasyncgen(made):
        return asynccontextmanager(lambda: made)()
    if isinstance(made, AbstractAsyncContextManager):
        return made
    raise TypeError(f"cleanup_ctx: {made!r} is no async generator and no async context manager")
