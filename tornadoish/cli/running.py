"""Carrying a command out: in this process, by workers, under a reloader, or only looking at it.

The processes of a command, each a fresh interpreter that runs this again:

    tornadoish APP               serves
    tornadoish APP --workers=2   supervisor  --link-->     two workers, which serve
    tornadoish APP --reload      reloader    --sockets-->  a child, which serves

A worker knows by its link what it is, a child by its sockets; what they are to serve, and how, they
read anew from the command line, the environment and the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tornadoish
from tornadoish.cli.certificates import load_certificates
from tornadoish.cli.checking import check
from tornadoish.cli.errors import CommandError
from tornadoish.cli.listening import closed_at_last, opened, urls_of
from tornadoish.cli.loading import AppError
from tornadoish.cli.logs import set_up_logs, what_runs
from tornadoish.cli.measuring import make_worker_metrics, metrics_opened, metrics_served
from tornadoish.cli.reloading import GRACE, Inheritance, Reloader, inherited
from tornadoish.cli.serving import Service, Task, limits_of, loop_of
from tornadoish.cli.settings import Settings
from tornadoish.cli.terminal import Window
from tornadoish.log import gen_log
from tornadoish.metrics import WorkerMetrics
from tornadoish.supervisor import Notifier, Policy, Supervisor, WorkerLink


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command that is understood.

    :param name: what is served, for people.
    :param load: finds the object to serve.
    :param again: the words that start this program once more.
    """

    name: str
    settings: Settings
    load: Callable[[], object]
    again: Callable[[], list[str]]


def carry_out(job: Job) -> int:
    """Do it; returns when it is done, with the exit status.

    :raises CommandError: it cannot be done.
    """
    link = WorkerLink.from_environment()
    set_up_logs(job.settings, None if link is None else link.slot)
    if link is not None:
        with closed_at_last(link.sockets):
            return _work(job, link)
    if job.settings.check:
        return check(job.name, job.load, job.settings)
    inheritance = inherited()
    if inheritance is not None:
        with closed_at_last(inheritance.sockets):
            return _serve_reloaded(job, inheritance)
    # Mistakes show here, before anything is begun.
    loop_of(job.settings)
    limits_of(job.settings)
    certificates = load_certificates(job.settings)
    if os.name != "posix" and (job.settings.reload or job.settings.workers):
        raise CommandError("--workers and --reload need a system where processes inherit sockets")
    if job.settings.reload:
        return _reload(job)
    if job.settings.workers:
        return _supervise(job)
    with opened(job.settings) as sockets, metrics_opened(job.settings) as metrics_sockets:
        task = Task(
            found=job.load(),
            name=job.name,
            settings=job.settings,
            sockets=sockets,
            metrics_sockets=metrics_sockets,
            certificates=certificates,
            notifier=Notifier.from_environment(),
        )
        _introduce(job.settings)
        return _run(task)


def _introduce(settings: Settings) -> None:
    """Say what this is, when nothing simple can go wrong any more."""
    version, (loop, _) = tornadoish.__version__, loop_of(settings)
    gen_log.info("tornadoish %s, %s, %s, pid %d", version, what_runs(), loop, os.getpid())


def _run(task: Task) -> int:
    _, make_loop = loop_of(task.settings)

    async def serve() -> int:
        return await Service(task).run()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(serve())


# -- workers


def _supervise(job: Job) -> int:
    settings = job.settings
    policy = Policy(
        grace_seconds=settings.grace,
        max_requests=settings.max_requests or None,
        max_resident_bytes=settings.max_memory or None,
    )
    again = job.again()
    with contextlib.ExitStack() as stack:
        sockets = stack.enter_context(opened(settings))
        metrics_sockets = stack.enter_context(metrics_opened(settings))
        metrics = None
        if metrics_sockets:
            metrics = make_worker_metrics()
            stack.callback(metrics.close)
        _introduce(settings)
        gen_log.info("%s at %s", job.name, urls_of(sockets, settings.tls_cert is not None))
        supervisor = _WatchedSupervisor(
            again,
            sockets,
            workers=settings.workers,
            policy=policy,
            notifier=Notifier.from_environment(),
            on_gone=None if metrics is None else metrics.worker_gone,
        )
        # Not uvloop: that has SIGCHLD to itself, and is more than a process needs that only waits.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            return runner.run(_watch_over(supervisor, metrics, metrics_sockets))


class _WatchedSupervisor(Supervisor):
    """One that is started on a terminal, perhaps: when that is closed, which is a SIGHUP, too, it
    is over, and not time for new workers."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._window = Window()

    def roll(self) -> None:
        if self._window.was_closed():
            self.stop()
        else:
            super().roll()


async def _watch_over(
    supervisor: Supervisor, metrics: WorkerMetrics | None, sockets: list[socket.socket]
) -> int:
    async with contextlib.AsyncExitStack() as stack:
        if metrics is not None:
            await stack.enter_async_context(metrics_served(metrics, sockets))
        return await supervisor.run()


def _work(job: Job, link: WorkerLink) -> int:
    """What cannot be done the supervisor says, once for all workers."""
    try:
        task = Task(
            found=job.load(),
            name=job.name,
            settings=job.settings,
            sockets=link.sockets,
            certificates=load_certificates(job.settings),
            link=link,
        )
    except CommandError as error:
        link.failed(error.told(), error.status)
        return error.status
    try:
        return _run(task)
    except CommandError as error:  # the service has told it
        return error.status


# -- reloading


def _reload(job: Job) -> int:
    settings = job.settings
    again = job.again()
    with opened(settings) as sockets:
        _introduce(settings)
        where = urls_of(sockets, settings.tls_cert is not None)
        gen_log.info("%s at %s; Ctrl-C ends it", job.name, where)
        files = [settings.config] if settings.config else []
        return Reloader(again, sockets, settings.reload_dir or (".",), files).run()


def _serve_reloaded(job: Job, inheritance: Inheritance) -> int:
    settings = replace(job.settings, grace=min(job.settings.grace, GRACE))
    try:
        with metrics_opened(settings) as metrics_sockets:
            task = Task(
                found=job.load(),
                name=job.name,
                settings=settings,
                sockets=inheritance.sockets,
                metrics_sockets=metrics_sockets,
                certificates=load_certificates(settings),
                leash=inheritance.leash,
            )
            return _run(task)
    except AppError as error:
        if error.raised is not None:
            _show(error.raised)
            error.more = ""
        raise


def _show(error: BaseException) -> None:
    """The traceback, as far as it is about the application: neither our frames nor Python's own
    imports are where the mistake is."""
    told = traceback.TracebackException.from_exception(error)
    ours = str(Path(tornadoish.__file__).parent)
    each: traceback.TracebackException | None = told
    while each is not None:
        frames = [
            frame
            for frame in each.stack
            if not frame.filename.startswith(("<frozen", ours))
            and not frame.filename.endswith("importlib/__init__.py")
        ]
        each.stack[:] = frames
        each = each.__cause__ or each.__context__
    print("".join(told.format()), file=sys.stderr, end="")
