"""Failures: how an exception becomes an answer (Tornado: web.RequestHandler, output)."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from http import HTTPStatus
from types import EllipsisType, TracebackType
from typing import Any

from tornadoish.escape import json_encode, xhtml_escape
from tornadoish.httputil import HTTPMessageError
from tornadoish.httputil.negotiation import add_to_vary, choose_media_type, media_quality
from tornadoish.log import app_log, gen_log
from tornadoish.web.errors import Finish, HTTPError
from tornadoish.web.methods import Methods
from tornadoish.web.timer import HandlerTimer

HTML = "text/html"
JSON = "application/json"
PROBLEM = "application/problem+json"  # RFC 9457
_ERROR_TYPES = (HTML, PROBLEM)


class Failures(Methods):
    """The verbs, and what happens when something goes wrong, or takes too long."""

    #: Seconds that a handler of this class may take, from its start to the end of its answer (ours
    #: alone, not Tornado's). ``...``: as the application's setting ``handler_timeout`` says, which
    #: is None by default; None: as long as it likes; may be set on the instance, too. When they are
    #: over, its coroutine is cancelled. If nothing was sent, the client gets an error page, else
    #: the connection is ended, so that the client sees it.
    #:
    #: Not counted is the time in which a body is waited for that the handler streams or reads
    #: itself; counted is that in which a slow client is waited for to take the answer, so long
    #: downloads want None, as WebSockets and streams of events have. A plain method cannot be
    #: interrupted. A coroutine that catches the cancellation and goes on is logged; after another
    #: second its client is answered without it.
    handler_timeout: float | EllipsisType | None = ...
    #: The status of that error page; None: as the setting ``handler_timeout_status`` says, 503 by
    #: default. A 504 is for who waits for others.
    handler_timeout_status: int | None = None

    _timer: HandlerTimer | None = None
    # The time that was over, if it was.
    _overdue: float | None = None

    #: the media types of error documents, the one that is liked best first: ``text/html`` and
    #: ``application/problem+json``, or one of them (ours alone, not Tornado's); None: what the
    #: application's setting ``error_types`` says, and if there is none, these two
    error_types: Sequence[str] | None = None

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with an error page from :meth:`write_error`.

        If the head has been sent already, that cannot be: the connection is closed, so that the
        client does not take half an answer for a whole one.

        :param kwargs: passed to :meth:`write_error`; ``exc_info`` for an exception that led here,
            ``reason`` for another reason phrase.
        """
        if self._headers_written:
            gen_log.error("Cannot send error response after headers written")
            if not self._finished:
                self._abandon()
            return
        if not (type(status_code) is int or isinstance(status_code, HTTPStatus)) or not (
            200 <= status_code <= 999
        ):
            gen_log.error("No answer has the status %r", status_code)
            status_code = 500
        self.clear()
        if self._page is not None:
            self._page.modules.clear()  # they belong to the page that has failed
        reason = kwargs.get("reason")
        if "exc_info" in kwargs:
            exception = kwargs["exc_info"][1]
            if isinstance(exception, HTTPError) and exception.reason:
                reason = exception.reason
        try:
            self.set_status(status_code, reason=reason)
        except ValueError:
            gen_log.warning("Unsafe reason phrase %r", reason)
            self.set_status(status_code)
        if status_code == 405:
            self._set_allow()
        try:
            self.write_error(status_code, **kwargs)
        except Exception:
            app_log.error("Uncaught exception in write_error", exc_info=True)
        if not self._finished:
            self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write an error page; override for one's own. Status and reason are set already.

        This one writes a short page (:meth:`write_error_page`), or the :meth:`problem_document` to
        a client that likes JSON better; see ``error_types``.

        :param kwargs: ``exc_info`` if an exception led here. It may not be the one that is being
            handled: do not rely on ``sys.exc_info()``.
        """
        if status_code in (204, 304):
            self.finish()  # an answer that has no body
            return
        media_type = self._choose_error_type()
        if media_type != HTML:
            document = self.problem_document(status_code, **kwargs)
            self.set_header("Content-Type", media_type)
            self.finish(json_encode(document))
            return
        self.write_error_page(status_code, **kwargs)

    def write_error_page(self, status_code: int, **kwargs: Any) -> None:
        """Write an error page for who likes pages best; override for one of one's own, where the
        others shall have their problem documents all the same (ours alone, not Tornado's).

        :param kwargs: as of :meth:`write_error`.
        """
        if self.settings.get("serve_traceback") and "exc_info" in kwargs:
            self.set_header("Content-Type", "text/plain; charset=UTF-8")
            self.finish("".join(traceback.format_exception(*kwargs["exc_info"])))
            return
        title = f"{status_code}: {xhtml_escape(self._reason)}"
        self.finish(f"<html><title>{title}</title><body>{title}</body></html>")

    def problem_document(self, status_code: int, **kwargs: Any) -> dict[str, Any]:
        """The members of a problem document (RFC 9457); override to add some (ours alone, not
        Tornado's). Status and reason are set already.

        What is written for the log is not for the client: there is a ``detail`` only where
        ``HTTPError(..., problem={...})`` or ``send_error(..., problem={...})`` gives one.

        :param kwargs: as of :meth:`write_error`.
        """
        exc_info = kwargs.get("exc_info")
        error = None if exc_info is None else exc_info[1]
        given = kwargs.get("problem")
        if given is None and isinstance(error, HTTPError):
            given = error.problem
        document = {"title": self._reason, **(given or {}), "status": status_code}
        if exc_info is not None and self.settings.get("serve_traceback"):
            document["traceback"] = "".join(traceback.format_exception(*exc_info)).splitlines()
        return document

    def _choose_error_type(self) -> str:
        types: Sequence[str] = self.error_types or self.settings.get("error_types") or _ERROR_TYPES
        if len(types) == 1:
            return types[0]
        add_to_vary(self._headers, "Accept")
        accept: str = self.request.headers.get("Accept", "")
        chosen = choose_media_type(accept, [*types, JSON] if PROBLEM in types else types)
        if chosen == JSON and media_quality(accept, PROBLEM)[0]:
            return PROBLEM  # who takes both is told what it is
        return chosen or types[0]

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log an exception that a method of the handler raised; override for one's own.

        An :class:`HTTPError` with a message is a warning of ``tornado.general``, anything else an
        error of ``tornado.application`` with its traceback.
        """
        if isinstance(value, HTTPError):
            message = value.get_message()
            if message:
                gen_log.warning("%d %s: %s", value.status_code, self._request_summary(), message)
            return
        if isinstance(value, HTTPMessageError) and value.fault == "peer":
            gen_log.warning("%d %s: %s", value.status, self._request_summary(), value.message)
            return
        app_log.error(
            "Uncaught exception %s\n%r", self._request_summary(), self.request,
            exc_info=(typ, value, tb) if typ and value else None,
        )  # fmt: skip

    def _request_summary(self) -> str:
        request = self.request
        return f"{request.method} {request.uri} ({request.remote_ip})"

    def _handle_request_exception(self, error: BaseException) -> None:
        """``error`` left a method of the handler: log it and answer. Never raises itself."""
        try:
            if isinstance(error, Finish):
                if self._finished:
                    return
                try:
                    self.finish(*error.args)
                    return
                except Exception as failure:
                    error = failure
            self._answer_exception(error)
        except Exception:
            app_log.error("Uncaught exception as an error was answered", exc_info=True)
            if not self._finished:
                # There is no way to an answer any more; nobody must wait for one.
                self.request.connection.abort()
                self._finished = True

    def _answer_overdue(self) -> None:
        """The handler has taken too long."""
        if not self._finished:
            status = self.handler_timeout_status
            if status is None:
                status = self.settings.get("handler_timeout_status", 503)
            message = "no answer within the handler_timeout of %g seconds"
            self._handle_request_exception(HTTPError(status, message, self._overdue))

    def _answer_exception(self, error: BaseException) -> None:
        exc_info = (type(error), error, error.__traceback__)
        if self._overdue is not None:
            self._overdue = None  # whatever it is, it is the answer
        try:
            self.log_exception(*exc_info)
        except Exception:
            app_log.error("Error in exception logger", exc_info=True)
        if self._finished:
            return  # too late for an answer, and the log has been written
        if isinstance(error, HTTPError):
            status = error.status_code
        else:
            status = error.status if isinstance(error, HTTPMessageError) else 500
        self.send_error(status, exc_info=exc_info)
