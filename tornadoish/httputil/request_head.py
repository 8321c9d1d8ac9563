"""RequestHead: what every request has from its birth, and what is put down in it as it lives.

The lower part of ``HTTPServerRequest``, which adds whatever is computed from this when it is first
asked for. (Interface: Tornado, httputil.HTTPServerRequest.)
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from tornadoish.compiling import COMPILING, Text, mypyc_attr
from tornadoish.escape import parse_qs_bytes
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.headers import HTTPHeaders

if TYPE_CHECKING:
    from tornadoish.httputil.delegates import HTTPConnection, PulledBody
    from tornadoish.httputil.startline import RequestStartLine

MAX_QUERY_ARGUMENTS: Final = 1000

# Tests make requests of what they have; nothing is checked because it is compiled.
if TYPE_CHECKING and not COMPILING:  # noqa: SIM108 - types are not chosen so
    Fields = HTTPHeaders
else:
    Fields = Any


@mypyc_attr(allow_interpreted_subclasses=True)
class RequestHead:
    """A request as far as its start line, its fields and its connection tell."""

    #: None only in a request that was made by hand without one
    method: Text
    uri: Text | None
    version: Text
    headers: Fields
    connection: Any = None
    server_connection: object = None
    path: Text = ""
    query: Text = ""
    #: what of ``path`` leads to the application that answers, if it is mounted (``routing.Mount``)
    #: somewhere in another: "/blog", say; else "" (ours alone, not Tornado's)
    root_path: Text = ""
    #: the rule by which a router has found who answers, if one has (ours alone, not Tornado's)
    route: Any = None
    #: fields that came behind a chunked body, if any (ours alone, not Tornado's)
    trailers: HTTPHeaders | None = None
    _start_time: float
    _finish_time: float | None = None
    _query_arguments: Any = None
    # A streamed body's end, for whoever waits for it (set by the handler's delegate).
    _body_future: Any = None
    # The body, if the handler reads it itself (set by the handler's delegate).
    _pulled: PulledBody | None = None

    def _take_target_apart(self, uri: str) -> None:
        """Path and query of a target that is not in origin-form (RFC 9112, 3.2.2 to 3.2.4)."""
        raise NotImplementedError


def take_head(
    request: RequestHead,
    connection: HTTPConnection,
    server_connection: object,
    start_line: RequestStartLine,
    headers: HTTPHeaders,
) -> None:
    """What the constructor does with these four, without asking for the others: for requests
    that are made by ``new_request`` when a message delegate is told of a head."""
    request.method, uri, request.version = start_line
    request.uri = uri
    request.headers = headers
    request.connection = connection
    request.server_connection = server_connection
    request._start_time = time.time()
    if uri[0] != "/":
        request._take_target_apart(uri)
    elif "?" in uri:
        request.path, _, request.query = uri.partition("?")
    else:
        request.path = uri


def query_arguments_of(request: RequestHead) -> dict[str, list[bytes]]:
    """What ``HTTPServerRequest.query_arguments`` is."""
    arguments: dict[str, list[bytes]] | None = request._query_arguments
    if arguments is None:
        if request.query.count("&") >= MAX_QUERY_ARGUMENTS:
            raise HTTPInputError("Too many query arguments", survives=True)
        arguments = parse_qs_bytes(request.query, keep_blank_values=True)
        request._query_arguments = arguments
    return arguments


#: makes a request of the class that it is given, without its constructor
new_request: Final[Any] = RequestHead.__new__
