"""The access log of a command: what observes the server, by ``--access-log`` and ``--log-format``.

To a terminal, lines for people; elsewhere those of ``accesslog``. They go to standard output, all
other logs to standard error.
"""

from __future__ import annotations

import logging
import sys
import time

from tornadoish.accesslog import LOGGER, AccessLog, Format, LineHandler
from tornadoish.accesslog.texts import escaped
from tornadoish.cli.settings import Settings
from tornadoish.cli.terminal import Paint
from tornadoish.httputil import Ended, Exchange, Observer
from tornadoish.log import access_log, is_terminal

_LONGEST = 120  # characters of a target
_UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))


def access_observers(settings: Settings) -> list[Observer]:
    """None, or an access log that is ready to write."""
    _silence_handlers()
    if not settings.access_log:
        return []
    logger = logging.getLogger(LOGGER)
    if not logger.handlers:  # else the application has said where they go
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(LineHandler())
    format: str | Format = settings.log_format
    if format == "text" and is_terminal(sys.stdout):
        format = TerminalLine()
    return [AccessLog(format)]


def _silence_handlers() -> None:
    """Handlers log their requests, too, as Tornado's do: once is enough. Unless somebody wants it
    so, and has said where or what."""
    if access_log.level == logging.NOTSET and not access_log.handlers:
        access_log.setLevel(logging.CRITICAL + 1)


class TerminalLine:
    """Makes a line for people: when, the status, who asked for what, and how it went."""

    def __init__(self) -> None:
        self._paint = Paint(sys.stdout)

    def __call__(self, exchange: Exchange) -> str:
        now = time.strftime("%H:%M:%S")
        status = exchange.status
        start_line = exchange.start_line
        asked = "no request"
        if start_line is not None:
            target = start_line[1]
            if len(target) > _LONGEST:
                target = f"{target[:_LONGEST]}..."
            asked = f"{escaped(start_line[0])} {escaped(target)}"
        shown = f"{status or '-':<8}"
        if status >= 400 or not status:
            shown = self._paint("red" if status >= 500 or not status else "yellow", shown)
        else:
            shown = self._paint("green", shown)
        took = f"{_size(exchange.bytes_out)} in {_duration(exchange.duration)}"
        line = f"{now} {shown} {exchange.context.remote_ip or '-'} {asked}, {took}"
        if exchange.ended not in (Ended.DONE, Ended.UNREAD):
            line += f" ({exchange.ended.replace('_', ' ')})"
        return line


def _size(count: int) -> str:
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
