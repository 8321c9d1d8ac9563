"""The sending half of an HTTP/1 connection: messages become bytes. Sans-io, both roles.

What is written always matches the framing that was announced: too much is an error before it goes
out, too little is an error at the end. Nothing that a peer could take for a line end is written
inside a start line or a field.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from tornadoish.http1.framing import check_target_form, list_members
from tornadoish.http1.states import (
    BODY,
    CLOSE,
    END,
    END_LAST,
    HEAD,
    INFORM,
    NEXT,
    OPEN,
    SWITCH,
    State,
)
from tornadoish.httputil.abnf import FIELD_VALUE, is_token
from tornadoish.httputil.errors import HTTPInputError, HTTPOutputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine
from tornadoish.httputil.trailers import NOT_IN_TRAILERS

# What may still be written of the body, besides a number of bytes:
_CHUNKED: Final = -1
_UNTIL_CLOSE: Final = -2
_BODYLESS: Final = frozenset((*range(100, 200), 204, 304))  # RFC 9112, 6.3
NOTHING: Final = -3  # the answer to a HEAD: what is written is counted by nobody and goes nowhere
_ASIDE: Final = -4  # somebody else is sending part of it: nothing, not even its end, may be written

Pairs = list[tuple[str, str]]

_field_line: Final = ": ".join
#: fields that are written one behind the other: fewer objects, more copies
FEW: Final = 16
_status_lines: Final[dict[tuple[int, str], str]] = {}


def _status_line(code: int, reason: str) -> str:
    line = _status_lines.get((code, reason))
    if line is None:
        if not 100 <= code <= 999 or FIELD_VALUE.fullmatch(reason) is None:
            raise HTTPOutputError(f"Invalid status {code} or reason {reason!r}")
        line = f"HTTP/1.1 {code} {reason}"
        if len(_status_lines) < 1024:
            _status_lines[code, reason] = line
    return line


class Writer:
    """Writes one message after the other; every method returns the bytes to send.

    ``persists`` is whether the connection lives on after this message, as far as is known: the
    caller lowers it before the head (the request said close), the head may lower it further.
    """

    __slots__ = ("_method", "_set_aside", "_usual", "_version", "left", "persists", "state")

    def __init__(self) -> None:
        self.state: State = HEAD
        self.persists = True
        self.left = 0  # bytes of the body still to be written, or one of the marks above
        self._set_aside = 0  # what ``left`` is again when somebody else has sent his part
        self._method = ""  # as a server: of the request
        self._version = "HTTP/1.1"  # as a server: of the request
        # As a server: a request that is not a HEAD, of 1.1, on a connection that lives on (so it is
        # no CONNECT either).
        self._usual = False

    def answer(self, method: str, version: str, persists: bool) -> None:
        """What is written next answers a request of ``method`` and ``version``."""
        self._method = method
        self._version = version
        self.persists = persists
        self._usual = persists and method != "HEAD" and version == "HTTP/1.1"

    def close_after(self) -> None:
        """The connection is not to live on after the message that is written next."""
        self.persists = self._usual = False

    # -- heads

    def response(self, line: ResponseStartLine, headers: HTTPHeaders, chunk: bytes | None) -> bytes:
        """The head of a response, with the first piece of its body.

        :raises HTTPOutputError: fields that must not be written or contradict each other; the
            state is as before then, and another response may be written instead.
        """
        _, code, reason = line
        if self.state is not HEAD:
            raise HTTPOutputError("A response has been written already")
        text = _status_lines.get((code, reason)) or _status_line(code, reason)
        pairs, index = headers.pairs_and_index()
        length = index.get("content-length")
        # Nothing is changed before all of it is known to be right.
        if (
            length is not None
            and self._usual
            and code not in _BODYLESS
            and "connection" not in index
            and "transfer-encoding" not in index
        ):
            left, persists, extra = _to_int(length), self.persists, ""
        elif code < 200:
            return self._interim(code, text, index, pairs, chunk)
        else:
            left, extra, pairs = self._framing(code, index, pairs)
            persists, extra, pairs = self._end_of_connection(left, index, extra, pairs)
            if self._method == "HEAD":
                left = NOTHING
        data = f"{_lines(text, pairs)}{extra}\r\n".encode("latin-1")
        if chunk:
            if len(chunk) == left:
                data += chunk
                left = 0
            else:
                data, left = self._with_first(data, left, chunk)
        self.state = HEAD.after[OPEN]
        self.left = left
        self.persists = persists
        return data

    def _with_first(self, head: bytes, left: int, chunk: bytes) -> tuple[bytes, int]:
        """A head and the first piece of its body, and what may still follow."""
        if left >= 0:
            if len(chunk) > left:
                raise HTTPOutputError(f"{len(chunk)} bytes of body where {left} were announced")
            return head + chunk, left - len(chunk)
        if left == _CHUNKED:
            return b"%b%x\r\n%b\r\n" % (head, len(chunk), chunk), left
        return (head if left == NOTHING else head + chunk), left

    def _framing(self, code: int, index: dict[str, str], pairs: Pairs) -> tuple[int, str, Pairs]:
        """How the body is framed (RFC 9112, 6.3): what may be written of it, the field that says so
        if there is none yet, and the fields to write."""
        if code == 204 or code == 304:
            if "transfer-encoding" in index:
                raise HTTPOutputError(f"Transfer-Encoding in a {code} response")
            if code == 204:  # RFC 9110, 8.6
                pairs = _without("content-length", pairs)
            elif "content-length" in index:
                _to_int(index["content-length"])
            return 0, "", pairs
        if self._method == "CONNECT" and 200 <= code < 300:
            # RFC 9110, 9.3.6: neither field, and what is written behind the head is the tunnel's.
            return (
                _UNTIL_CLOSE,
                "",
                _without("transfer-encoding", _without("content-length", pairs)),
            )
        left, extra = _length_or_chunked(index, may_chunk=self._version != "HTTP/1.0")
        return left, extra, pairs

    def _end_of_connection(
        self, left: int, index: dict[str, str], extra: str, pairs: Pairs
    ) -> tuple[bool, str, Pairs]:
        """Whether the connection lives on after all, and how the response says so (9112, 9.3)."""
        options = index.get("connection")
        closes = options is not None and "close" in list_members(options)
        if closes or not self.persists or left == _UNTIL_CLOSE:
            return False, extra + "Connection: close\r\n", _without("connection", pairs)
        if options is None and self._version == "HTTP/1.0":
            extra += "Connection: keep-alive\r\n"
        return True, extra, pairs

    def _interim(
        self, code: int, text: str, index: dict[str, str], pairs: Pairs, chunk: bytes | None
    ) -> bytes:
        """An interim head. Nothing frames a body that it cannot have (RFC 9110, 8.6 and 15.2;
        RFC 9112, 6.1)."""
        if chunk or "content-length" in index or "transfer-encoding" in index:
            raise HTTPOutputError(f"A {code} response has no body")
        if self._version == "HTTP/1.0" and code != 101:
            return b""  # RFC 9110, 15.2: such a client would take it for the answer
        head = f"{_lines(text, pairs)}\r\n".encode("latin-1")
        self.state = self.state.after[SWITCH if code == 101 else INFORM]
        return head

    def request(self, line: RequestStartLine, headers: HTTPHeaders, chunk: bytes | None) -> bytes:
        """The head of a request, with the first piece of its body; errors as for ``response``."""
        method, target, _ = line
        if not is_token(method) or not target or not _is_target(method, target):
            raise HTTPOutputError("Invalid request line")
        index = headers.index()
        left, extra = 0, ""
        framed = "content-length" in index or "transfer-encoding" in index
        if framed or method in ("POST", "PUT", "PATCH"):
            left, extra = _length_or_chunked(index, may_chunk=True)
        options = list_members(index.get("connection", ""))
        persists = self.persists and "close" not in options
        if not persists and "Connection" not in headers:
            extra += "Connection: close\r\n"
        text = _lines(f"{method} {target} HTTP/1.1", headers.wire_pairs())
        data = f"{text}{extra}\r\n".encode("latin-1")
        if chunk:
            data, left = self._with_first(data, left, chunk)
        self.state = self.state.after[OPEN]
        self.left = left
        self.persists = persists
        return data

    # -- bodies

    def data(self, chunk: bytes) -> bytes:
        """A piece of the body, as it goes on the wire.

        :raises HTTPOutputError: more than was announced, or not between head and end.
        """
        if self.state is not BODY:
            raise HTTPOutputError("Body data outside of a message")
        left = self.left
        if left >= 0:
            if len(chunk) > left:
                raise HTTPOutputError(f"{len(chunk)} bytes of body where {left} were announced")
            self.left = left - len(chunk)
        elif left == _ASIDE:
            raise HTTPOutputError("Body data while a file is being sent")
        if left == _CHUNKED and chunk:
            return b"%x\r\n%b\r\n" % (len(chunk), chunk)
        return b"" if left == NOTHING else chunk

    def set_aside(self, count: int) -> bool:
        """Somebody else sends the next ``count`` bytes of the body, not through here; until
        :meth:`take_back` nothing may be written. False: their framing has to be written around
        them (chunks), or they must not be sent (the answer to a HEAD): use :meth:`data`.

        :raises HTTPOutputError: as of :meth:`data`.
        """
        if self.state is not BODY or self.left == _ASIDE:
            raise HTTPOutputError("A file outside of a message, or while another is being sent")
        left = self.left
        if 0 <= left < count:
            raise HTTPOutputError(f"{count} bytes of body where {left} were announced")
        if left < 0 and left != _UNTIL_CLOSE:
            return False
        self._set_aside = left
        self.left = _ASIDE
        return True

    @property
    def sends_nothing(self) -> bool:
        """Whether the body of this message goes nowhere: it answers a HEAD."""
        return self.left == NOTHING

    def take_back(self, sent: int) -> None:
        """So many of the bytes that were set aside have been sent; more may be written."""
        if self.state is BODY and self.left == _ASIDE:
            left = self._set_aside
            self.left = left - sent if left >= 0 else left

    def end(self, trailers: HTTPHeaders | None = None) -> bytes:
        """The end of the body, with the fields that come behind it if it is chunked.

        :raises HTTPOutputError: less was written than announced, or a field that must not stand
            there (RFC 9110, 6.5.1); the state is CLOSED then.
        """
        if self.state is not BODY:
            raise HTTPOutputError("The end of a message that has not begun")
        left = self.left
        if left and (left > 0 or left == _ASIDE):
            self.close()
            if left == _ASIDE:
                raise HTTPOutputError("The end of a message while a file is being sent")
            raise HTTPOutputError(f"{left} bytes of body missing of what was announced")
        last = b"0\r\n\r\n" if left == _CHUNKED else b""
        if trailers and last:
            last = self._last_chunk(trailers.wire_pairs())
        self.state = BODY.after[END if self.persists else END_LAST]
        return last

    def _last_chunk(self, trailers: Pairs) -> bytes:
        for name, _ in trailers:
            if name.lower() in NOT_IN_TRAILERS:
                self.close()
                raise HTTPOutputError(f"{name} must not be a trailer")
        return f"{_lines('0', trailers)}\r\n".encode("latin-1")

    @property
    def takes_trailers(self) -> bool:
        """Whether a response may be chunked: nothing else has trailers (RFC 9110, 6.5)."""
        return self._version != "HTTP/1.0"

    @property
    def ends_by_closing(self) -> bool:
        """Whether a body is on its way whose end nothing but the end of the connection tells."""
        left = self._set_aside if self.left == _ASIDE else self.left
        return self.state is BODY and left == _UNTIL_CLOSE

    # -- what comes after

    def next_message(self) -> None:
        """Both halves are through: what is written next is another message."""
        self.state = self.state.after[NEXT]

    def switch(self) -> None:
        """What is written from here on is not HTTP/1."""
        self.state = self.state.after[SWITCH]

    def close(self) -> None:
        """Nothing more will be written."""
        self.state = self.state.after[CLOSE]

    def __repr__(self) -> str:
        return f"<Writer {self.state}>"


def _lines(start_line: str, pairs: Pairs) -> str:
    """The start line and a line for each of ``pairs``, the fields of some HTTPHeaders: those take
    nothing in that could be taken for a line end."""
    if len(pairs) > FEW:
        return "\r\n".join([start_line, *map(_field_line, pairs), ""])
    text = start_line
    for name, value in pairs:
        text = f"{text}\r\n{name}: {value}"
    return text + "\r\n"


def _without(omitted: str, pairs: Pairs) -> Pairs:
    return [pair for pair in pairs if pair[0].lower() != omitted]


@lru_cache(maxsize=1024)
def _to_int(length: str) -> int:
    # ASCII first: isdigit() alone knows the digits of every script.
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise HTTPOutputError(f"Invalid Content-Length {length!r}")
    return int(length)


def _length_or_chunked(index: dict[str, str], may_chunk: bool) -> tuple[int, str]:
    """RFC 9112, 6: exactly one of two fields frames a body; the second if there is none yet."""
    length = index.get("content-length")
    if "transfer-encoding" in index:
        if length is not None or index["transfer-encoding"].lower() != "chunked" or not may_chunk:
            raise HTTPOutputError("Transfer-Encoding other than chunked alone")
        return _CHUNKED, ""
    if length is not None:
        return _to_int(length), ""
    if may_chunk:
        return _CHUNKED, "Transfer-Encoding: chunked\r\n"
    return _UNTIL_CLOSE, ""


def _is_target(method: str, target: str) -> bool:
    """RFC 9112, 3.2: visible ASCII, no fragment, and of a form that the method has."""
    if not (target.isascii() and target.isprintable()) or " " in target or "#" in target:
        return False
    if target[0] != "/" or method == "CONNECT":
        try:
            check_target_form(method, target)
        except HTTPInputError:
            return False
    return True
