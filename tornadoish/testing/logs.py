"""ExpectLog: what is to be logged, and is then kept out of the output.

Used by tests of what goes wrong, so that only what nobody expected is seen. (Interface: Tornado,
tornado.testing.)
"""

from __future__ import annotations

import logging
import re
from types import TracebackType

_REMEMBERED = 20  # other messages that an error may show


class ExpectLog(logging.Filter):
    """A context manager in which a message is expected.

    Messages that match are counted and go no further; all others pass. Not for more than one thread
    at a time. ::

        with ExpectLog("tornado.application", "Uncaught exception"):
            self.fetch("/broken")

    :param logger: the logger to which it is logged, or its name ("" is the root). What is logged to
        a logger below it does not pass through it.
    :param regex: what a message must begin with.
    :param required: whether it is an error if nothing matches.
    :param level: the only level that counts; the logger is set to let it through. None: any level.
    :raises AssertionError: (at the end) nothing has matched.

    ``matched`` is how many did, ``logged_stack`` whether an exception was logged with any message.
    """

    def __init__(
        self,
        logger: logging.Logger | str,
        regex: str,
        required: bool = True,
        level: int | None = None,
    ) -> None:
        super().__init__()
        self.logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        self.regex = re.compile(regex)
        self.required = required
        self.level = level
        self.matched = 0
        self.logged_stack = False
        self._level_before: int | None = None
        self._others: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether others are to see it (called by the logger)."""
        if record.exc_info:
            self.logged_stack = True
        message = record.getMessage()
        if self.regex.match(message) and self.level in (None, record.levelno):
            self.matched += 1
            return False
        if len(self._others) < _REMEMBERED:
            self._others.append(f"{record.levelname} {message}")
        return True

    def __enter__(self) -> ExpectLog:
        if self.level is not None and not self.logger.isEnabledFor(self.level):
            self._level_before = self.logger.level
            self.logger.setLevel(self.level)
        self.logger.addFilter(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.logger.removeFilter(self)
        if self._level_before is not None:
            self.logger.setLevel(self._level_before)
        if error is None and self.required and not self.matched:
            level = "" if self.level is None else f" at level {logging.getLevelName(self.level)}"
            others = "".join(f"\n  {other}" for other in self._others) or " nothing"
            raise AssertionError(
                f"did not get expected log message {self.regex.pattern!r}{level} on "
                f"{self.logger.name!r}; logged there:{others}"
            )
