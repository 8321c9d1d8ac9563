"""Ports of loopback for servers that are told where to listen before they do."""

from __future__ import annotations

import contextlib
import random
import socket


def free_ports(count: int) -> list[int]:
    """So many ports of loopback that nobody has, and that the system gives to no client: they stay
    free while a server is down, and who tries to connect there never gets himself."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        for port in random.sample(range(20_000, 32_000), 200):
            one = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == count:
                return found
    raise OSError("no free ports")
