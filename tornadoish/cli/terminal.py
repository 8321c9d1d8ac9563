"""What a terminal shows: words in colour where it knows colours and its user wants them, in lines
as long as it is wide.

Who writes to a file or a pipe gets plain text. https://no-color.org and FORCE_COLOR are heard.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

from tornadoish.log import is_terminal, knows_colours

_WIDEST = 100  # columns; longer lines are hard to read
_CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2"}


def has_colours(stream: TextIO | None) -> bool:
    """Whether what is written to ``stream`` may be coloured."""
    if os.environ.get("FORCE_COLOR") and not os.environ.get("NO_COLOR"):
        return True
    return knows_colours(stream)


class Window:
    """Where this process was started, if that was on a terminal; made as it begins."""

    def __init__(self) -> None:
        #: somebody looks at what we say
        self.was_open = is_terminal(sys.stderr)

    def was_closed(self) -> bool:
        """Since then; the system says so by a SIGHUP."""
        return self.was_open and not is_terminal(sys.stderr)


class Paint:
    """Colours words, or leaves them as they are."""

    def __init__(self, stream: TextIO | None) -> None:
        self._coloured = has_colours(stream)

    def __call__(self, style: str, text: str) -> str:
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self._coloured else text


def columns() -> int:
    """How wide lines should be."""
    return max(60, min(shutil.get_terminal_size((80, 24)).columns - 1, _WIDEST))


def complain(message: str) -> None:
    """Say on standard error why the command cannot go on."""
    if sys.stderr is None:  # pythonw
        return
    paint = Paint(sys.stderr)
    visible = "".join(char if char.isprintable() else repr(char)[1:-1] for char in message)
    print(f"{paint('bold', 'tornadoish')}: {paint('red', 'error')}: {visible}", file=sys.stderr)


def let_go() -> None:
    """At the end: what a closed terminal did not take any more is dropped. Python would try it once
    more, and end with a status of its own (120)."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # pythonw
            continue
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        except ValueError:  # closed
            pass
