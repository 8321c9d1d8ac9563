"""What a command writes: its log on standard error, as text for people or JSON for machines.

Set up before the application is imported, so that what it says meanwhile is seen. An application
that sets up its own logging afterwards has its way; one that has done so before, too.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from tornadoish.cli.settings import Settings
from tornadoish.cli.terminal import has_colours
from tornadoish.log import LogFormatter, is_terminal, message_of

# Their names are Tornado's, by which applications know them; people need not read them.
_OUR_NAMES = "tornado."
# What a LogRecord has by itself: all else somebody has put there (``extra=``).
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class TextFormatter(LogFormatter):
    """A line for people: when, how grave, who, what. On a terminal without the date.

    :param worker: the number of the worker that this process is, if it is one.
    """

    def __init__(self, worker: int | None = None) -> None:
        format = "%(color)s%(asctime)s %(word)-8s%(end_color)s%(who)s%(message)s"
        super().__init__(format, "%H:%M:%S" if is_terminal(sys.stderr) else "", color=False)
        if has_colours(sys.stderr):
            self._colors = {level: f"\x1b[3{code}m" for level, code in self.DEFAULT_COLORS.items()}
        self._worker = "" if worker is None else f"[{worker}] "

    def formatMessage(self, record: logging.LogRecord) -> str:
        name = "" if record.name.startswith(_OUR_NAMES) else f"{record.name}: "
        record.__dict__.update(word=record.levelname.lower(), who=f"{self._worker}{name}")
        return super().formatMessage(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return super().formatTime(record, datefmt) if datefmt else iso_time(record)


class JSONFormatter(logging.Formatter):
    """An object per line: time, level, logger, message, pid; worker, exception and whatever was
    given as ``extra``, where there is one. All of it is ASCII."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": iso_time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message_of(record),
            "pid": record.process,
        }
        if self._worker is not None:
            fields["worker"] = self._worker
        extra = {
            name: value
            for name, value in vars(record).items()
            if name not in _USUAL and name not in fields
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = record.stack_info
        return json.dumps({**extra, **fields}, default=repr)


def iso_time(record: logging.LogRecord) -> str:
    """RFC 3339, to the millisecond, UTC: ``2026-11-27T16:20:01.042Z``."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03}Z"


def set_up_logs(settings: Settings, worker: int | None = None) -> None:
    """Send what is logged to standard error, as settings say; unless somebody has set up where it
    goes."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler()
    as_json = settings.log_format == "json"
    handler.setFormatter(JSONFormatter(worker) if as_json else TextFormatter(worker))
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())


def what_runs() -> str:
    """Python and its version, for people."""
    implementation = sys.implementation.name.replace("cpython", "CPython")
    return f"{implementation} {'.'.join(map(str, sys.version_info[:3]))}"
