"""CommandError: why a command cannot go on, in one line that names the mend.

Raised anywhere in ``cli``, printed in one place (``main``, or ``run``), never with a traceback.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

#: what was asked for cannot be done: an option, the application, an address
USAGE = 2
#: what is configured cannot be used: a file, the environment, a certificate (EX_CONFIG of
#: sysexits.h; systemd's RestartPreventExitStatus=78 then saves the machine from trying again)
CONFIGURATION = 78


class CommandError(Exception):
    """What is wrong and what mends it.

    :param message: one line; what comes from elsewhere is folded into it.
    :param status: the exit status of the command.
    """

    #: where more is to be seen
    more = ""

    def __init__(self, message: str, status: int = USAGE) -> None:
        super().__init__(" ".join(message.split()))
        self.status = status

    def told(self) -> str:
        """The line for people."""
        return f"{self} ({self.more})" if self.more else str(self)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean X?"`` where one of ``known`` is near, else nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def short_path(path: str) -> str:
    """As people like to read it: from where we are, if it is below; ``.`` is here itself."""
    full = os.path.abspath(path)
    try:
        return str(Path(full).relative_to(os.getcwd()))
    except ValueError:
        return full
