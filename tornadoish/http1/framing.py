"""The ONE place that decides how long a body is and whether a connection lives on.

RFC 9112, 6 and 9.3. Strict on requests, where two readings of one message are an attack; as
tolerant of responses as the RFC allows. Everything here takes the index of the header fields
(lower-case name to joined value) and the pairs that it was built from.
"""

from __future__ import annotations

from tornadoish.httputil.abnf import DIGITS, is_host
from tornadoish.httputil.errors import HTTPInputError

Pairs = list[tuple[str, str]]
Index = dict[str, str]

CHUNKED = -1  # the length of a body that comes in chunks (RFC 9112, 7.1)
UNTIL_CLOSE = -2  # the length of a response body that the end of the connection ends (6.3, 8)

# Fields of which a second one could be read differently by someone else (RFC 9112, 3.2; 6.3).
_SINGLE_IN_REQUESTS = frozenset(("host", "content-length", "transfer-encoding", "content-type"))


def check_fields(version: str, pairs: Pairs, index: Index) -> None:
    """Refuse a request whose fields are ambiguous or address nobody.

    :raises HTTPInputError: repeated, missing or invalid Host (RFC 9112, 3.2); a field repeated
        that must not be.
    """
    if len(index) != len(pairs):
        names = [name.lower() for name, _ in pairs]
        for name in _SINGLE_IN_REQUESTS:
            if names.count(name) > 1:
                raise HTTPInputError(f"Repeated {name} header")
    host = index.get("host")
    if host is None:
        if version != "HTTP/1.0":
            raise HTTPInputError("Missing Host header")
    elif not is_host(host):
        raise HTTPInputError("Invalid Host header")


def check_target_form(method: str, target: str) -> None:
    """Refuse a target that does not begin with a slash, unless its form fits its method.

    :raises HTTPInputError: neither absolute-form, authority-form for CONNECT nor ``*`` for OPTIONS
        (RFC 9112, 3.2.1 to 3.2.4).
    """
    if method == "CONNECT":
        host, colon, port = target.rpartition(":")
        if not (host and colon and port.isdecimal() and is_host(target)):
            raise HTTPInputError("CONNECT needs host:port")
    elif target == "*":
        if method != "OPTIONS":
            raise HTTPInputError("The target * is for OPTIONS only")
    else:
        scheme, mark, rest = target.partition("://")
        authority = rest.partition("/")[0].partition("?")[0]
        if not mark or scheme.lower() not in ("http", "https"):
            raise HTTPInputError("Invalid request target")
        # RFC 9110, 4.2.1: an http URI with an empty host is invalid, whatever its port.
        if not authority or authority[0] == ":" or not is_host(authority):
            raise HTTPInputError("Invalid authority in request target")


def request_length(version: str, index: Index) -> int:
    """The length of a request's body in bytes, or CHUNKED (RFC 9112, 6.3).

    :raises HTTPInputError: Content-Length or Transfer-Encoding are malformed, both there, or
        not of this version (400); a transfer coding that is not chunked (501).
    """
    coding = index.get("transfer-encoding")
    length = index.get("content-length")
    if coding is None:
        return 0 if length is None else _content_length(length)
    if length is not None:
        raise HTTPInputError("Both Transfer-Encoding and Content-Length")  # 6.1: smuggling
    if version == "HTTP/1.0":
        raise HTTPInputError("Transfer-Encoding in HTTP/1.0")  # 6.1: faulty framing
    return _chunked(coding)


def response_length(request_method: str, code: int, index: Index) -> int:
    """The length of a response's body in bytes, CHUNKED or UNTIL_CLOSE (RFC 9112, 6.3).

    :raises HTTPInputError: framing fields that leave the length in doubt.
    """
    if request_method == "HEAD" or code in (204, 304) or 100 <= code < 200:
        return 0
    if request_method == "CONNECT" and 200 <= code < 300:
        return 0
    coding = index.get("transfer-encoding")
    if coding is not None:
        if "content-length" in index:
            raise HTTPInputError("Both Transfer-Encoding and Content-Length")
        return _chunked(coding)
    length = index.get("content-length")
    if length is None:
        return UNTIL_CLOSE
    values = {value.strip(" \t") for value in length.split(",")}
    if len(values) != 1:  # 6.3: identical repetitions may be taken as one
        raise HTTPInputError("Contradicting Content-Length")
    return _content_length(values.pop())


def _content_length(text: str) -> int:
    # int() alone would take "+5", "1_0", " 5" and the digits of every script.
    if DIGITS.fullmatch(text) is None:
        raise HTTPInputError("Invalid Content-Length")
    return int(text)


def _chunked(coding: str) -> int:
    if coding.lower() == "chunked":
        return CHUNKED
    # 6.1: a coding that we do not implement is a 501, but one that hides chunked is an attack.
    if "chunked" in coding.lower() or not coding.isascii() or not coding.strip(", \t"):
        raise HTTPInputError("Invalid Transfer-Encoding")
    raise HTTPInputError("Unsupported Transfer-Encoding", 501)


def persists(version: str, index: Index) -> bool:
    """Whether this message lets the connection live on (RFC 9112, 9.3)."""
    options = index.get("connection")
    if options is None:
        return version != "HTTP/1.0"
    if options == "keep-alive":  # what browsers and load generators say
        return True
    tokens = list_members(options)
    if "close" in tokens:
        return False
    return version != "HTTP/1.0" or "keep-alive" in tokens


def expects_continue(version: str, index: Index) -> bool:
    """Whether the client waits for a 100 before it sends the body (RFC 9110, 10.1.1).

    :raises HTTPInputError: an expectation that is not 100-continue (417).
    """
    expectation = index.get("expect")
    if expectation is None or version == "HTTP/1.0":
        return False
    # A list (10.1.1): repeated it says no more, and an empty member says nothing (5.6.1).
    members = [member for member in list_members(expectation) if member]
    if any(member != "100-continue" for member in members):
        raise HTTPInputError("Unsupported expectation", 417)
    return members != []


def list_members(value: str) -> list[str]:
    """The members of a comma-separated list of tokens, in lower case (RFC 9110, 5.6.1)."""
    return [member.strip(" \t").lower() for member in value.split(",")]
