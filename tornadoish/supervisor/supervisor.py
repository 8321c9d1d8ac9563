"""Supervisor: keeps a number of worker processes running, and replaces them without a gap."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from tornadoish.supervisor.policy import Policy, WorkerView
from tornadoish.supervisor.systemd import Notifier


class Supervisor:
    """Runs ``workers`` processes of ``command``, each a fresh interpreter.

    :param command: the program and its arguments; the same for every worker. It serves on
        ``WorkerLink.from_environment().sockets``.
    :param sockets: listening sockets, as from ``bind_sockets`` (without ``reuse_port``) or from a
        service manager. The supervisor owns them from now on.
    :param workers: how many processes serve at a time.
    :param policy: bounds and times.
    :param notifier: who hears when all are ready, and so on; default: nobody.
    :param on_gone: called with the process id of each worker that has ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        sockets: Sequence[socket.socket],
        *,
        workers: int,
        policy: Policy | None = None,
        notifier: Notifier | None = None,
        on_gone: Callable[[int], object] | None = None,
    ) -> None:
        raise NotImplementedError

    async def run(self) -> int:
        """Start the workers and look after them, until told to stop. In the main thread.

        SIGTERM and SIGINT: drain and end; a second one: end at once. SIGHUP: replace all workers,
        one by one, by new ones.

        :returns: the exit status: 0 if all ended as they should; what a worker said that could not
            start; else 1.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """As SIGTERM."""
        raise NotImplementedError

    def roll(self) -> None:
        """As SIGHUP."""
        raise NotImplementedError

    def views(self) -> list[WorkerView]:
        """All the workers of this moment, by slot and age."""
        raise NotImplementedError
