"""The receiving half of an HTTP/1 connection: bytes become events. Sans-io, both roles.

``Reader.next_event()`` takes the next event out of the buffer, and stops wherever its caller
stops: nothing is parsed before somebody is ready for it. Whatever raises leaves the reader CLOSED,
and nothing behind an error is ever looked at. The result does not depend on how the bytes were
cut: of two faults, the one that comes first in the stream is reported.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from tornadoish.buffer import ReceiveBuffer
from tornadoish.http1 import framing
from tornadoish.http1.body import (
    END,
    Body,
    ChunkedBody,
    EndOfMessage,
    LengthBody,
    UntilCloseBody,
)
from tornadoish.http1.fields import parse_fields
from tornadoish.http1.grammar import (
    LAX_FIELD_LINE,
    NOT_IN_HEAD,
    OBS_FOLD,
    REQUEST_LINE_END,
    STATUS_LINE_END,
)
from tornadoish.http1.limits import Limits
from tornadoish.http1.states import (
    BODY,
    CLOSE,
    CLOSED,
    DONE,
    END_LAST,
    HEAD,
    INFORM,
    NEXT,
    OPEN,
    SWITCH,
    WHOLE,
    WHOLE_LAST,
    State,
)
from tornadoish.http1.states import END as END_EVENT
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.headers import HTTPHeaders, build_index
from tornadoish.httputil.startline import RequestStartLine, ResponseStartLine

StartLine = RequestStartLine | ResponseStartLine
#: A head: its start line and its fields. If the reader's state is not BODY then, it is all.
Head = tuple[StartLine, HTTPHeaders]
Event = Head | bytes | EndOfMessage | None
NO_BODY: Final = LengthBody(0, 0)


#: bytes of a request line that is worth remembering, and of a whole request
SHORT_LINE: Final = 256
MAX_REPEATED: Final = 4096
_NO_LINE: Final = RequestStartLine("", "", "")


@lru_cache(maxsize=1024)
def _request_line(line: bytes) -> RequestStartLine:
    """RFC 9112, 3: a request line with its end. The same bytes are the same line, and most
    requests are for what others have asked for before.

    :raises HTTPInputError: malformed, not of this version, or a target that its method cannot have.
    """
    match = REQUEST_LINE_END.match(str(line, "latin-1"))
    if match is None:
        raise HTTPInputError("Malformed start line")
    start_line = RequestStartLine._make(match.groups())
    method, target, version = start_line
    _check_version(version)
    if target[0] != "/" or method == "CONNECT":
        framing.check_target_form(method, target)
    return start_line


def _check_version(version: str) -> None:
    if not version.startswith("HTTP/1."):
        raise HTTPInputError("Unsupported HTTP version", 505)


class _RequestFields:
    """What the field lines of a request say; kept, for clients repeat them to the byte, and the
    same bytes are the same fields (of the same version)."""

    __slots__ = ("block", "expects_continue", "index", "length", "pairs", "persists", "version")

    def __init__(self, block: bytes, version: str, limits: Limits) -> None:
        self.block = block
        self.version = version
        pairs = self.pairs = parse_fields(
            str(block, "latin-1"), limits.header_fields, limits.field_bytes
        )
        index = self.index = build_index(pairs)
        framing.check_fields(version, pairs, index)
        length = self.length = framing.request_length(version, index)
        self.persists = framing.persists(version, index)
        self.expects_continue = length != 0 and framing.expects_continue(version, index)


class Reader:
    """Reads one message after the other from ``buffer``.

    After a head, ``persists`` says whether the message lets the connection live on,
    ``expects_continue`` whether the client waits for a 100, and ``trailers`` holds the trailer
    fields once the end of a chunked body has been read.
    """

    __slots__ = (
        "_blank",
        "_body",
        "_head_end",
        "_last",
        "_last_data",
        "_last_line",
        "_last_state",
        "_line_end",
        "_searched",
        "_short",
        "buffer",
        "expects_continue",
        "is_client",
        "limits",
        "persists",
        "request_method",
        "state",
        "trailers",
    )

    def __init__(self, buffer: ReceiveBuffer, limits: Limits, *, is_client: bool = False) -> None:
        self.buffer = buffer
        self.limits = limits
        self.is_client = is_client
        self.state: State = HEAD
        self.persists = True
        self.expects_continue = False
        self.trailers: HTTPHeaders | None = None
        # As a client: the method of the request whose response comes next.
        self.request_method = ""
        self._body: Body = NO_BODY
        # Bytes of an unfinished head in which its end does not begin.
        self._searched = 0
        self._line_end = 0  # where the start line of an unfinished head ends, once it is known
        self._blank = False  # an empty line has been skipped
        self._head_end = limits.header_bytes + 4  # where a head must have ended
        self._last: _RequestFields | None = None  # the field lines of the last request
        # The last head, if it was that of a request without a body.
        self._last_data: bytes | None = None
        self._last_line: StartLine = _NO_LINE
        self._last_state: State = DONE
        self._short = min(limits.start_line_bytes + 2, SHORT_LINE)

    # -- events

    def next_event(self) -> Event:
        """The next event in the buffer, or None if more has to arrive or nothing may follow.

        :raises HTTPInputError: the peer broke the rules; the reader is CLOSED then.
        """
        return self.next_head() if self.state is HEAD else self.next_piece()

    def next_message(self) -> None:
        """Both halves are through: what follows is another message."""
        self.state = self.state.after[NEXT]
        self.trailers = None
        self._blank = False

    def end_of_input(self) -> None:
        """The peer will send nothing more, and what it sent has been read as far as it goes.

        :raises HTTPInputError: in the middle of a message.
        """
        state = self.state
        if state is BODY:
            try:
                self._body.end_of_input()
            except HTTPInputError:
                self.state = CLOSED
                raise
            return  # what is in the buffer is still to be read; END_LAST comes behind it
        self.state = state.after[CLOSE]
        if state is HEAD and len(self.buffer):
            raise HTTPInputError("The connection ended within a head")

    def switch(self) -> None:
        """What follows is not HTTP/1: the buffer belongs to somebody else."""
        self.state = self.state.after[SWITCH]

    def close(self) -> None:
        """Nothing more will be read."""
        self.state = self.state.after[CLOSE]

    def limit_body(self, max_bytes: int) -> None:
        """Allow this message's body ``max_bytes`` from here on, whatever the limits say."""
        self._body.allow(max_bytes)

    @property
    def body_left(self) -> int:
        """Bytes of this message's body that are known to be still to come, at least."""
        return self._body.left if self.state is BODY else 0

    def check_body_size(self) -> None:
        """Refuse a body that is known to be too large before any of it has been read.

        :raises HTTPInputError: 413; the reader is CLOSED then.
        """
        if self.state is BODY:
            try:
                self._body.check_size()
            except HTTPInputError:
                self.state = BODY.after[CLOSE]
                raise

    # -- bodies

    def next_piece(self) -> bytes | EndOfMessage | None:
        """More of the body, or END, where a body is due; otherwise None."""
        if self.state is not BODY:
            return None  # else the end of no body would lead out of a state that nothing leaves
        body = self._body
        try:
            taken = body.take(self.buffer, self.limits.piece_bytes)
        except HTTPInputError:
            self.state = self.state.after[CLOSE]
            raise
        if taken is END:
            self.state = BODY.after[END_EVENT if self.persists else END_LAST]
            self._body = NO_BODY
            if isinstance(body, ChunkedBody):
                self.trailers = body.trailers
        return taken

    def _expect_body(self, length: int) -> None:
        """The head is through; ``length`` is framing's word for what follows it."""
        if length == 0:
            self.state = HEAD.after[WHOLE if self.persists else WHOLE_LAST]
            return
        self.state = HEAD.after[OPEN]
        allowed = self.limits.body_bytes
        if length == framing.CHUNKED:
            self._body = ChunkedBody(self.limits, allowed)
        elif length == framing.UNTIL_CLOSE:
            self.persists = False
            self._body = UntilCloseBody(allowed)
        else:
            self._body = LengthBody(length, allowed)

    # -- heads

    def next_head(self) -> Head | None:
        """The next head, where one is due; otherwise None."""
        if self.state is not HEAD:
            return None
        buffer = self.buffer
        data, start = buffer.data, buffer.pos
        last = self._last_data
        if last is not None and self._last is not None and data.startswith(last, start):
            # The very bytes of the head before: it says what it said, and nothing else has changed.
            end = start + len(last)
            if end == len(data):
                buffer.data = b""
                buffer.pos = 0
            else:
                buffer.pos = end
            self._searched = self._line_end = 0
            self.state = self._last_state
            return self._last_line, HTTPHeaders.sharing(self._last.pairs, self._last.index)
        try:
            end = data.find(b"\r\n\r\n", start + self._searched, start + self._head_end) + 2
            if end < 2 or data[start] == 13:
                return self._read_unusual_head()
            if self.is_client:
                head = self._parse_response(str(data[start:end], "latin-1"))
            else:
                head = self._parse_request(data, start, end)
        except HTTPInputError:
            self.state = self.state.after[CLOSE]
            raise
        self._last_data = None
        end += 2
        if end - start <= MAX_REPEATED and self.state is not BODY and not self.is_client:
            # A request without a body: the same may come again, and again.
            self._last_data = bytes(data[start:end])
            self._last_line = head[0]
            self._last_state = self.state
        buffer.skip(end - start)
        self._searched = self._line_end = 0
        return head

    def _parse_request(self, data: bytes | bytearray, start: int, end: int) -> Head:
        """RFC 9112, 3 and 5: a whole request head, each of its lines with its end."""
        line_end = data.find(b"\r\n", start, end) + 2
        if line_end - start <= self._short:
            line = _request_line(bytes(data[start:line_end]))
        elif line_end - start <= self.limits.start_line_bytes + 2:
            line = _request_line.__wrapped__(bytes(data[start:line_end]))
        else:
            raise self._blame_start_line(data, start)
        method, _, version = line
        block = data[line_end:end]
        fields = self._last
        if fields is None or fields.block != block or fields.version != version:
            fields = self._last = _RequestFields(bytes(block), version, self.limits)
        # What follows a CONNECT is never a request, whatever the answer is (RFC 9110, 9.3.6).
        self.persists = fields.persists and method != "CONNECT"
        self.expects_continue = fields.expects_continue
        if fields.length == 0:
            self.state = HEAD.after[WHOLE if self.persists else WHOLE_LAST]
        else:
            self._expect_body(fields.length)
        return line, HTTPHeaders.sharing(fields.pairs, fields.index)

    def _parse_response(self, text: str) -> Head:
        """RFC 9112, 4 and 5: a whole response head, as tolerant as the RFC allows."""
        match = STATUS_LINE_END.match(text)
        if match is None or match.end() > self.limits.start_line_bytes + 2:
            raise HTTPInputError("Malformed status line")
        _check_version(match[1])
        line = ResponseStartLine(match[1], int(match[2]), match[3] or "")
        rest = OBS_FOLD.sub(" ", text[match.end() :])
        limits = self.limits
        pairs = parse_fields(rest, limits.header_fields, limits.field_bytes, LAX_FIELD_LINE)
        index = build_index(pairs)
        headers = HTTPHeaders.from_pairs(pairs, index)
        if line.code == 101:
            self.state = HEAD.after[SWITCH]
        elif line.code < 200:
            self.state = HEAD.after[INFORM]
        else:
            length = framing.response_length(self.request_method, line.code, index)
            # 6.1: chunks that 1.0 does not know were framed by somebody who may have got it wrong.
            faulty = length == framing.CHUNKED and line.version == "HTTP/1.0"
            self.persists = framing.persists(line.version, index) and not faulty
            self._expect_body(length)
        return line, headers

    # -- heads that are not simply there

    def _read_unusual_head(self) -> Head | None:
        """An empty line before a head (RFC 9112, 2.2: one is ignored), or a head not yet whole."""
        buffer = self.buffer
        if buffer.data.startswith(b"\r\n", buffer.pos):
            if self._blank:
                raise HTTPInputError("Malformed HTTP request line")
            self._blank = True
            self._searched = 0
            buffer.skip(2)
            return self.next_head()
        self._look_for_faults()
        self._searched = max(0, len(buffer) - 3)
        return None

    def _look_for_faults(self) -> None:
        """Refuse an unfinished head as soon as it cannot become a good one: nobody waits for the
        end of what is no HTTP, and nothing grows beyond its limit."""
        data, start = self.buffer.data, self.buffer.pos
        length = len(self.buffer)
        if data.startswith(b"\n", start):  # whatever stood before it belonged to somebody else
            raise HTTPInputError("Malformed start line")
        again = start + self._searched
        if not self._line_end:
            limit = self.limits.start_line_bytes
            line_end = data.find(b"\r\n", again, start + limit + 2)
            if line_end < 0:
                bad = NOT_IN_HEAD.search(data, again, start + limit)
                if bad is not None or length >= limit + 2:
                    raise self._blame_start_line(data, start)
                return
            line = bytes(data[start : line_end + 2])
            if not self.is_client:
                _request_line.__wrapped__(line)
            elif (match := STATUS_LINE_END.match(str(line, "latin-1"))) is None:
                raise HTTPInputError("Malformed start line")
            else:
                _check_version(match[1])  # as behind a whole head: it comes before the fields
            self._line_end = line_end - start
        limit = self.limits.header_bytes
        if NOT_IN_HEAD.search(data, max(again, start + self._line_end), start + limit):
            raise HTTPInputError("Malformed header field")
        if length >= limit + 4:
            raise HTTPInputError("Header section too large", 431)

    def _blame_start_line(self, data: bytes | bytearray, start: int) -> HTTPInputError:
        """Why the start line at ``start`` is none: malformed, or (then only) too long."""
        limit = self.limits.start_line_bytes
        malformed = HTTPInputError("Malformed start line")
        if NOT_IN_HEAD.search(data, start, start + limit):
            return malformed
        if data.find(b"\r\n", start, start + limit + 2) >= 0:
            return malformed
        return HTTPInputError("Start line too long", 400 if self.is_client else 414)

    def __repr__(self) -> str:
        return f"<Reader {self.state} {self.buffer!r}>"
