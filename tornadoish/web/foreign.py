"""Foreign applications: what the containers of WSGI and ASGI applications have in common.

Such an application gives a head of its own, from which what is the server's business is taken out;
and where it gives no answer, somebody has to. Called by ``tornadoish.wsgi`` and
``tornadoish.asgi``; nothing here knows either of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from time import time

from tornadoish import __version__
from tornadoish.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPServerRequest,
    ResponseStartLine,
    format_timestamp,
    responses,
)
from tornadoish.log import access_log

#: What is said between two ends of one connection (RFC 9110, 7.6.1): only those who speak its
#: protocol can know it, so an application must not say it (PEP 3333, "Other HTTP Features"; ASGI).
HOP_BY_HOP = frozenset(
    ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"]
)
#: statuses of answers that have no body
BODYLESS = frozenset([204, 304])


class _Now:
    """The Date, made once a second."""

    second = -1
    text = ""


def fields_of_answer(pairs: Iterable[tuple[str, str]]) -> HTTPHeaders:
    """The header fields that an application wants to send, as they are sent: without those of the
    connection, and with ``Date`` and ``Server`` where it says nothing of them.

    :raises HTTPInputError: a name or value that must not stand in a field.
    """
    headers = HTTPHeaders()
    for name, value in pairs:
        if name.lower() not in HOP_BY_HOP:
            headers.add(name, value)
    second = int(time())
    if second != _Now.second:
        _Now.second, _Now.text = second, format_timestamp(second)
    headers.set_missing("Date", "date", _Now.text)
    headers.set_missing("Server", "server", f"tornadoish/{__version__}")
    return headers


def answer_error(connection: HTTPConnection, status: int, **fields: str) -> None:
    """Answer with an error that an application has not answered itself.

    :param fields: more header fields, with ``_`` for ``-``.
    """
    reason = responses.get(status, "Error")
    body = f"{status}: {reason}\n".encode()
    headers = fields_of_answer([(name.replace("_", "-"), fields[name]) for name in fields])
    headers["Content-Type"] = "text/plain; charset=UTF-8"
    headers["Content-Length"] = str(len(body))
    headers["X-Content-Type-Options"] = "nosniff"
    connection.write_headers(ResponseStartLine("", status, reason), headers, body)
    connection.finish()


def log_request(status: int, request: HTTPServerRequest) -> None:
    """One line of ``tornado.access`` for a finished request, as ``Application`` writes it."""
    level = logging.INFO
    if status >= 400:
        level = logging.WARNING if status < 500 else logging.ERROR
    if access_log.isEnabledFor(level):
        milliseconds = 1000.0 * request.request_time()
        summary = f"{request.method} {request.uri} ({request.remote_ip})"
        access_log.log(level, "%d %s %.2fms", status, summary, milliseconds)
