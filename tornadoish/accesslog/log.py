"""AccessLog: the observer that writes a line for each exchange.

A line is made when its exchange has ended, and written with others a twentieth of a second later at
the latest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from tornadoish.accesslog.json_lines import JSONLine
from tornadoish.accesslog.lines import LineHandler
from tornadoish.accesslog.patterns import compile_pattern
from tornadoish.httpserver.batching import BatchObserver
from tornadoish.httputil import Exchange

#: Apache's formats of these names
COMMON = '%h %l %u %t "%r" %s %b'
COMBINED = '%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"'
#: and ours: bytes in, microseconds to the end and to the first byte, and how it ended
TEXT = COMBINED + " in=%I time=%D first=%^FB %{ended}x"

LOGGER = "tornadoish.access"
#: lines that are written together at the most, and how long one waits for others
_MOST = 256
_SECONDS = 0.05

#: makes the line of an exchange
Format = Callable[[Exchange], str]
_NAMED = {"common": COMMON, "combined": COMBINED, "text": TEXT}


def formatter(format: str) -> Format:
    """What makes a line.

    :param format: "common", "combined", "text", "json", or a pattern (:func:`compile_pattern`).
    :raises ValueError: a pattern with directives that there are not, or without any.
    """
    if format == "json":
        return JSONLine()
    pattern = _NAMED.get(format, format)
    if "%" not in pattern:
        names = ", ".join([*_NAMED, "json"])
        raise ValueError(f"{format!r} is no log format: {names}, or a pattern with % in it")
    return compile_pattern(pattern)


class AccessLog(BatchObserver):
    """Writes a line for each exchange, whoever answers it, and if nobody has: the client was gone,
    a limit was reached, what it sent was no HTTP.

    :param format: see :func:`formatter`; or a function that makes the line of an exchange.
    :param logger: where the lines go, at level INFO (default: "tornadoish.access"). Its handlers
        may be any; with none but :class:`LineHandler` a line costs a third.
    :param skip: called with each exchange; True: no line.
    :raises ValueError: see :func:`formatter`.
    """

    def __init__(
        self,
        format: str | Format = "text",
        *,
        logger: logging.Logger | None = None,
        skip: Callable[[Exchange], bool] | None = None,
    ) -> None:
        super().__init__(_SECONDS)
        self._lines: list[str] = []
        self.logger = logging.getLogger(LOGGER) if logger is None else logger
        self._format = formatter(format) if isinstance(format, str) else format
        self._skip = skip
        # Is it known what a function looks at?
        self.wants_request = (
            skip is not None or not isinstance(format, str) or (format == "json" or "%R" in format)
        )

    def ended(self, exchange: Exchange) -> None:
        if self._skip is not None and self._skip(exchange):
            return
        lines = self._lines
        lines.append(self._format(exchange))
        if len(lines) == 1:
            self._flush_later()
        elif len(lines) >= _MOST:
            self.flush()

    def take(self) -> None:
        lines, self._lines = self._lines, []
        if not lines or not self.logger.isEnabledFor(logging.INFO):
            return
        handlers = self._line_handlers()
        if handlers is not None:
            for handler in handlers:
                handler.write_lines(lines)
            return
        logger = self.logger
        for line in lines:
            logger.handle(
                logger.makeRecord(logger.name, logging.INFO, __file__, 0, line, (), None, "access")
            )

    def _line_handlers(self) -> list[LineHandler] | None:
        """The handlers that our lines come to, if all of them take lines as they are."""
        found: list[LineHandler] = []
        logger: logging.Logger | None = self.logger
        if self.logger.filters or self.logger.disabled:
            return None
        while logger is not None:
            for handler in logger.handlers:
                if type(handler) is not LineHandler or handler.filters or handler.formatter:
                    return None
                if handler.level <= logging.INFO:
                    found.append(handler)
            logger = logger.parent if logger.propagate else None
        return found or None
