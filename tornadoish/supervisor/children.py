"""Child processes that nobody waits for: process 1 is given those of all others that have ended.

Used by the supervisor. Nothing here waits for a process that somebody else looks after.
"""

from __future__ import annotations

import os
from collections.abc import Container


def reap_orphans(ours: Container[int]) -> list[int]:
    """Let the children that have ended be forgotten, apart from ``ours``; return their ids.

    Does nothing unless this process is the first of its (container's) system: else children belong
    to whoever has started them.
    """
    reaped: list[int] = []
    if os.getpid() != 1:
        return reaped
    while True:
        try:
            # Looked at only: whose child it is decides who takes its status.
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid in ours:
                return reaped
            os.waitpid(ended.si_pid, os.WNOHANG)
        except ChildProcessError:  # there are none
            return reaped
        reaped.append(ended.si_pid)
