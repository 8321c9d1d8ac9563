"""Service: one process that serves, from the start of its application to the end of its drain.

Made by ``running``, in a process of its own or in a worker. It hears signals, the supervisor and
the service manager, and never decides what is served or where: that it is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tornadoish.cli.access import access_observers
from tornadoish.cli.applications import as_delegate, what_it_is
from tornadoish.cli.certificates import why_not
from tornadoish.cli.errors import CommandError
from tornadoish.cli.listening import urls_of
from tornadoish.cli.measuring import metrics_of, metrics_served
from tornadoish.cli.settings import Settings
from tornadoish.cli.terminal import Window
from tornadoish.garbage import fitted_collector
from tornadoish.http1.limits import Limits
from tornadoish.http1connection.keeper import ConnectionState
from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import HTTPServerConnectionDelegate
from tornadoish.log import app_log, gen_log
from tornadoish.metrics import Metrics
from tornadoish.netutil import CertificateStore
from tornadoish.supervisor import Figures, Notifier, WorkerLink
from tornadoish.util import import_extra

# systemd and others tell all processes of a service to end: a signal so soon after our supervisor's
# word is the same order once more, and not that of somebody who cannot wait.
_SAME_ORDER_SECONDS = 0.25


class StartError(CommandError):
    """The application's start-up has failed, and that has been logged."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a process is to serve.

    :param found: the object that was found under ``name``: see ``applications``.
    :param metrics_sockets: where its metrics are served, if that is here.
    :param link: the way to the supervisor, if there is one.
    :param leash: a descriptor that comes to its end when whoever has started us is gone: then it is
        over for us, too.
    """

    found: object
    name: str
    settings: Settings
    sockets: list[socket.socket]
    metrics_sockets: list[socket.socket] = field(default_factory=list[socket.socket])
    certificates: CertificateStore | None = None
    link: WorkerLink | None = None
    leash: int | None = None
    notifier: Notifier | None = None

    @property
    def is_child(self) -> bool:
        """Whether one of ours has started us, and says where we listen, and that we stop."""
        return self.link is not None or self.leash is not None


class Service:
    """Serves until told to stop. One for each process; made in its event loop."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._settings = task.settings
        self._link = task.link
        self._notifier = task.notifier or Notifier()
        self._stop = asyncio.Event()
        self._grace = task.settings.grace
        self._draining: asyncio.Future[int] | None = None  # a second signal cuts it
        self._server: HTTPServer | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._requests = 0
        self._metrics: Metrics | None = None
        self._window = Window()
        self._loop = asyncio.get_running_loop()
        self._collector = contextlib.ExitStack()  # fitted, once the application is there
        self._excused_until = 0.0  # a signal by then is the supervisor's order once more

    async def run(self) -> int:
        """Start, serve, and drain when told to.

        :returns: the exit status: 1 if somebody could not wait for what was being answered.
        :raises CommandError: it cannot start.
        """
        task, loop = self._task, self._loop
        heard = self._listen_to_signals()
        try:
            if self._link is not None:
                self._link.start(self._drain_as_told, self._figures)
            if task.leash is not None:
                loop.add_reader(task.leash, self._on_parent_gone)
            server = await self._start_unless_stopped()
            if server is None:
                return 0
            self._watch()
            async with contextlib.AsyncExitStack() as stack:
                if self._metrics is not None and task.metrics_sockets:
                    served = metrics_served(self._metrics, task.metrics_sockets)
                    await stack.enter_async_context(served)
                await self._stop.wait()
                return await self._drain(server)
        except CommandError as error:
            if self._link is not None:
                self._link.failed(error.told(), error.status)
            raise
        finally:
            self._collector.close()
            if self._watchdog is not None:
                self._watchdog.cancel()
            for number in heard:
                loop.remove_signal_handler(number)
            if task.leash is not None:
                loop.remove_reader(task.leash)
            if self._link is not None:
                self._link.close()

    # -- the beginning

    async def _start_unless_stopped(self) -> HTTPServer | None:
        """What serves now; None: it was told to stop meanwhile, and all is undone."""
        start = asyncio.ensure_future(self._start())
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait([start, stop], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not start.done():
                gen_log.info("Stopped before it had started")
                start.cancel()
        try:
            return await start
        except asyncio.CancelledError:
            if self._stop.is_set():
                return None
            raise

    async def _start(self) -> HTTPServer:
        task, settings = self._task, self._settings
        delegate = await as_delegate(task.found, task.name)
        observers = access_observers(settings)
        if settings.metrics:
            self._metrics, made = metrics_of(delegate)
            observers += made
        server = HTTPServer(
            delegate,
            ssl_options=task.certificates,
            trusted_proxies=settings.proxy_trust or None,
            proxy_protocol=settings.proxy_protocol or None,
            limits=limits_of(settings),
            connection_hook=self._count if settings.max_requests else None,
            observers=observers,
        )
        try:
            await server.start_application()
        except Exception as error:
            app_log.error("The application could not start", exc_info=True)
            raise StartError(f"the application could not start: {error!r}", 1) from None
        self._collector.enter_context(
            fitted_collector(freeze=settings.gc_freeze, threshold=settings.gc_threshold)
        )
        self._server = server
        server.add_sockets(task.sockets)
        if self._link is not None:
            self._link.ready()
        urls = urls_of(task.sockets, task.certificates is not None)
        self._notifier.ready(f"serving {task.name} at {urls}")
        if not task.is_child:
            end = "; Ctrl-C ends it" if self._window.was_open else ""
            gen_log.info("%s (%s) at %s%s", task.name, what_it_is(delegate), urls, end)
        elif self._link is None:
            gen_log.info("Ready")
        return server

    # -- what is told about it

    def _count(self, connection: object, state: ConnectionState) -> None:
        if state is ConnectionState.ACTIVE:
            self._requests += 1

    def _figures(self) -> Figures:
        server = self._server
        if server is None:
            return Figures()
        return Figures(requests=self._requests, connections=server.connections)

    def _watch(self) -> None:
        """Tell the service manager, again and again, that this loop runs."""
        seconds = self._notifier.watchdog_seconds
        if seconds is not None:
            self._notifier.watchdog()
            self._watchdog = self._loop.call_later(seconds / 3, self._watch)

    # -- signals

    def _listen_to_signals(self) -> list[signal.Signals]:
        loop = self._loop
        if threading.current_thread() is not threading.main_thread():
            return []  # whoever runs us in another thread keeps the signals
        handlers: dict[str, Callable[[], object]] = {
            "SIGTERM": self._on_stop,
            "SIGINT": self._on_stop,
            "SIGHUP": self._on_hangup,
        }
        heard: list[signal.Signals] = []
        for name, handler in handlers.items():
            number = getattr(signal, name, None)
            # Ignored before, ignored now: nohup, or a shell's background job.
            if number is None or signal.getsignal(number) == signal.SIG_IGN:
                continue
            try:
                loop.add_signal_handler(number, handler)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._on_stop))
            else:
                heard.append(number)
        return heard

    def _on_stop(self) -> None:
        excused, self._excused_until = self._loop.time() < self._excused_until, 0.0
        if not self._stop.is_set():
            if self._link is not None:
                self._link.draining()
            self._stop.set()
        elif self._draining is not None and not excused:
            gen_log.warning("Stopping at once: what is not answered yet is cut")
            self._draining.cancel()

    def _on_hangup(self) -> None:
        if self._link is not None:
            return  # the supervisor replaces us, if it likes
        if self._window.was_closed():
            self._on_stop()
            return
        certificates = self._task.certificates
        if certificates is None:
            gen_log.info("SIGHUP: there are no certificates to read again; code is loaded again "
                         "where there are --workers")  # fmt: skip
            return
        self._notifier.reloading()
        try:
            certificates.reload()
        except (OSError, ValueError) as error:
            gen_log.error("The certificates stay as they were: %s", why_not(error, self._settings))
        else:
            gen_log.info("The certificates have been read again")
        self._notifier.ready()

    def _on_parent_gone(self) -> None:
        if self._task.leash is not None:
            self._loop.remove_reader(self._task.leash)
        self._stop.set()

    def _drain_as_told(self, grace: float) -> None:
        self._grace = grace
        self._excused_until = self._loop.time() + _SAME_ORDER_SECONDS
        self._stop.set()

    # -- the end

    async def _drain(self, server: HTTPServer) -> int:
        self._notifier.stopping()
        if not self._task.is_child:
            gen_log.info("Stopping: requests have %g seconds to end", self._grace)
        replaced = self._link is not None and self._link.replaced
        drain = asyncio.ensure_future(server.drain(self._grace, replaced=replaced))
        self._draining = drain
        try:
            await drain
        except asyncio.CancelledError:
            if not drain.cancelled():
                raise
            return 1
        except Exception:
            app_log.error("The application could not clean up", exc_info=True)
            raise StartError("the application could not clean up", 1) from None
        return 0


def limits_of(settings: Settings) -> Limits:
    """The bounds, where ``--limit`` says nothing those that hold by default.

    :raises CommandError: a bound is none that can be used.
    """
    bounds: dict[str, Any] = dict(settings.limit)
    limits = replace(Limits(), **bounds)
    try:
        HTTPServer(HTTPServerConnectionDelegate(), limits=limits)
    except ValueError as error:
        raise CommandError(f"--limit: {error}") from None
    return limits


def loop_of(settings: Settings) -> tuple[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop, by its name and version, and what makes one.

    :raises CommandError: uvloop was asked for, and is not here.
    """
    if settings.loop != "asyncio":
        try:
            uvloop = import_extra("uvloop", "speed")
        except ImportError as error:
            if settings.loop == "uvloop":
                raise CommandError(f"--loop uvloop: {error}") from None
        else:
            return f"uvloop {uvloop.__version__}", uvloop.new_event_loop
    return "asyncio", asyncio.new_event_loop
