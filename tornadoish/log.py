"""The three loggers of the package, and Tornado's formatter for them.

The loggers carry Tornado's names on purpose: applications configure "tornado.access" and its
siblings by name. Nothing here touches the logging configuration unless `enable_pretty_logging` is
called, and the library never calls it.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import sys
from collections.abc import Mapping
from typing import Literal, TextIO

access_log = logging.getLogger("tornado.access")
"""One line per finished request."""
app_log = logging.getLogger("tornado.application")
"""Errors of the application's own code."""
gen_log = logging.getLogger("tornado.general")
"""Everything else that the library has to say."""

# What a peer sends ends up in log messages, and a terminal obeys control characters (uvicorn
# CVE-2020-7694). C0 without tab and newline, DEL, C1, the Unicode line ends, and lone surrogates,
# which no log file could encode.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_FILE_SIZE = 100_000_000  # bytes in one log file before it is rotated (Tornado's default)
_FILE_COUNT = 10  # rotated log files that are kept (Tornado's default)


def _escape_unprintable(text: str) -> str:
    """Write each unprintable character as its Python escape, such as ``\\x1b``."""
    return _UNPRINTABLE.sub(lambda match: repr(match[0])[1:-1], text)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at what is written to a stream (ours alone, not Tornado's). A terminal
    that was closed is none any more."""
    try:
        return stream is not None and stream.isatty()  # None: pythonw
    except (AttributeError, ValueError):  # a bare substitute, or closed
        return False


def knows_colours(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that knows colours and whose user wants them (ours alone)."""
    # Windows sets no TERM; https://no-color.org lets the user say no.
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return is_terminal(stream)


def message_of(record: logging.LogRecord) -> str:
    """The record's message; never raises for one that does not fit its arguments (ours alone)."""
    try:
        return record.getMessage()
    except Exception as error:  # a broken log call must not end a request
        return f"Bad message ({error!r}): {record.msg!r} % {record.args!r}"


class LogFormatter(logging.Formatter):
    """Coloured prefix on terminals, indented continuation lines, no raw control characters.

    :param fmt: format over the record's attributes, plus ``color`` and ``end_color``.
    :param datefmt: `time.strftime` format for ``asctime``.
    :param style: ``%``, ``{`` or ``$``, as in `logging.Formatter`.
    :param color: whether to use colours when standard error is a terminal.
    :param colors: logging level -> terminal colour number (0 to 255).

    Source: Tornado: tornado.log.LogFormatter.
    """

    DEFAULT_FORMAT = (
        "%(color)s[%(levelname)1.1s %(asctime)s %(module)s:%(lineno)d]%(end_color)s %(message)s"
    )
    DEFAULT_DATE_FORMAT = "%y%m%d %H:%M:%S"
    DEFAULT_COLORS: Mapping[int, int] = {
        logging.DEBUG: 4,  # blue
        logging.INFO: 2,  # green
        logging.WARNING: 3,  # yellow
        logging.ERROR: 1,  # red
        logging.CRITICAL: 5,  # magenta
    }

    def __init__(
        self,
        fmt: str = DEFAULT_FORMAT,
        datefmt: str = DEFAULT_DATE_FORMAT,
        style: Literal["%", "{", "$"] = "%",
        color: bool = True,
        colors: Mapping[int, int] = DEFAULT_COLORS,
    ) -> None:
        super().__init__(fmt, datefmt, style)
        self._colors: dict[int, str] = {}
        if color and knows_colours(sys.stderr):
            for level, number in colors.items():
                # ECMA-48 SGR; 0 to 7 in the short form that every terminal knows.
                code = f"3{number}" if number < 8 else f"38;5;{number}"
                self._colors[level] = f"\x1b[{code}m"

    def format(self, record: logging.LogRecord) -> str:
        """The record as text; never raises for a message that does not fit its arguments."""
        record.message = _escape_unprintable(message_of(record))
        record.asctime = self.formatTime(record, self.datefmt)
        color = self._colors.get(record.levelno, "")
        record.__dict__.update(color=color, end_color="\x1b[0m" if color else "")
        lines = [self.formatMessage(record).rstrip("\n")]
        if record.exc_info and not record.exc_text:
            # Kept unescaped: the record is shared with other handlers' formatters.
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            lines.append(_escape_unprintable(record.exc_text))
        if record.stack_info:
            lines.append(_escape_unprintable(self.formatStack(record.stack_info)))
        # Indented, so that no part of a message can pass for a record of its own.
        return "\n".join(lines).replace("\n", "\n    ")


def enable_pretty_logging(options: object = None, logger: logging.Logger | None = None) -> None:
    """Send log records to a file, to standard error, or both, through `LogFormatter`.

    :param options: any object; of its attributes these are read, and each may be missing:
        ``logging`` (level name, default "info"; "none" or None: do nothing),
        ``log_file_prefix`` (path of a log file, rotated at 100 MB, 10 old files kept),
        ``log_to_stderr`` (default None: only if the logger has no other handler).
    :param logger: the logger to set up; default the root logger.
    :raises ValueError: `options.logging` is no level name.
    :raises OSError: the log file cannot be opened.

    Source: Tornado: tornado.log.enable_pretty_logging.
    """
    level: str | None = getattr(options, "logging", "info")
    path: str | None = getattr(options, "log_file_prefix", None)
    to_stderr: bool | None = getattr(options, "log_to_stderr", None)
    if level is None or level.lower() == "none":
        return
    if logger is None:
        logger = logging.getLogger()
    logger.setLevel(level.upper())
    if path:
        file_handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=_FILE_SIZE, backupCount=_FILE_COUNT, encoding="utf-8"
        )
        file_handler.setFormatter(LogFormatter(color=False))
        logger.addHandler(file_handler)
    if to_stderr or (to_stderr is None and not logger.handlers):
        stderr_handler = logging.StreamHandler()
        stderr_handler.setFormatter(LogFormatter())
        logger.addHandler(stderr_handler)
