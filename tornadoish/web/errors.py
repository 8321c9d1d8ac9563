"""The exceptions that end a handler's work on a request (Tornado: tornado.web)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tornadoish.httputil import responses


class HTTPError(Exception):
    """Answer the request with an error status.

    :param status_code: the status, need not be a registered one.
    :param log_message: for the log, and shown to the client only in debug mode; may hold
        %-placeholders for ``args``.
    :param reason: (keyword) the reason phrase of a status that has none, or another one.
    :param problem: (keyword; ours alone, not Tornado's) a dict of what the client may be told, the
        members of a problem document (RFC 9457): ``type``, ``title``, ``detail`` and any other.
    """

    problem: Mapping[str, Any] | None = None

    def __init__(
        self, status_code: int = 500, log_message: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(status_code, log_message)
        self.status_code = status_code
        self._log_message = log_message
        self.args = args
        self.reason: str | None = kwargs.get("reason")
        if "problem" in kwargs:
            self.problem = kwargs["problem"]

    @property
    def log_message(self) -> str | None:
        """The message with its percent signs ready for formatting with ``args``."""
        if self._log_message and not self.args:
            return self._log_message.replace("%", "%%")
        return self._log_message

    @log_message.setter
    def log_message(self, value: str | None) -> None:
        self._log_message = value

    def get_message(self) -> str | None:
        """The message with ``args`` put in, as it goes to the log."""
        if self._log_message and self.args:
            return self._log_message % self.args
        return self._log_message

    def __str__(self) -> str:
        reason = self.reason or responses.get(self.status_code, "Unknown")
        text = f"HTTP {self.status_code}: {reason}"
        message = self.get_message()
        return f"{text} ({message})" if message else text


class Finish(Exception):
    """End the request here, with what was written so far, without an error.

    An argument is passed to :meth:`RequestHandler.finish`. Headers and status are kept, so an error
    page of one's own can be written before.
    """


class MissingArgumentError(HTTPError):
    """A 400 for an argument that must be there; ``arg_name`` is its name."""

    def __init__(self, arg_name: str) -> None:
        super().__init__(400, "Missing argument %s", arg_name)
        self.arg_name = arg_name
