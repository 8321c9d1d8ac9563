"""Three readers of requests with one face: ours, h11's, and llhttp's by way of httptools.

Each is asked the same: which messages are in these bytes, and what becomes of the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

import h11
import httptools

from tornadoish.buffer import ReceiveBuffer
from tornadoish.http1.body import END
from tornadoish.http1.limits import Limits
from tornadoish.http1.reader import Reader
from tornadoish.http1.states import BODY, DONE, HEAD
from tornadoish.httputil import HTTPInputError

# What becomes of a connection:
REFUSES = "refuses"  # what came is an error
WAITS = "waits"  # a message has begun, and more of it has to come
LIVES = "lives"  # another message may come
CLOSES = "closes"  # the last message was the last one; what is behind it is not looked at


class Message(NamedTuple):
    """A request as somebody has read it."""

    method: bytes
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""

    @classmethod
    def begin(cls, method: bytes, target: bytes, fields: Iterable[tuple[bytes, bytes]]) -> Self:
        """What is the same by the RFC is made the same: the case of names and of codings, and the
        white space around a value, which llhttp leaves to its caller."""
        alike = [(name.lower(), value.strip(b" \t")) for name, value in fields]
        codings = b"transfer-encoding"
        return cls(method, target, tuple(
            (name, value.lower() if name == codings else value) for name, value in alike
        ))  # fmt: skip


#: what the others have no limits for
ANY_BODY = Limits(body_bytes=1 << 62)


class Reading(NamedTuple):
    """What somebody has made of some bytes."""

    messages: list[Message]  # those that are whole
    begun: Message | None  # one whose head was taken, and not yet its end
    fate: str


def _fate_of_rest(rest: bytes) -> str:
    """What stands before a message may have line ends before it (RFC 9112, 2.2)."""
    return WAITS if rest.strip(b"\r\n") else LIVES


def read_by_us(data: bytes) -> tuple[Reading, list[int]]:
    """Our reading, and where each message begins."""
    buffer = ReceiveBuffer()
    buffer.append(data)
    reader = Reader(buffer, ANY_BODY)
    messages: list[Message] = []
    begun: Message | None = None
    starts = [0]
    try:
        while (event := reader.next_event()) is not None:
            if isinstance(event, tuple):
                (method, target, _), headers = event
                begun = Message.begin(
                    str(method).encode(),
                    str(target).encode(),
                    [(n.encode(), v.encode("latin-1")) for n, v in headers.wire_pairs()],
                )
            elif event is not END and begun is not None:
                begun = begun._replace(body=begun.body + bytes(event))  # type: ignore[arg-type]
            if reader.state is not BODY and begun is not None:
                messages.append(begun)
                begun = None
                starts.append(len(data) - len(buffer))
            if reader.state is DONE:
                reader.next_message()
    except HTTPInputError:
        return Reading(messages, begun, REFUSES), starts
    if reader.state is HEAD:
        fate = _fate_of_rest(bytes(buffer.data[buffer.pos :]))
    else:
        fate = WAITS if reader.state is BODY else CLOSES
    return Reading(messages, begun, fate), starts


def read_by_h11(data: bytes) -> Reading:
    """As a server on h11 would, which answers each request with nothing."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    if data:  # no bytes would be the end
        parser.receive_data(data)
    messages: list[Message] = []
    begun: Message | None = None
    try:
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                rest = bytes(parser.trailing_data[0])
                return Reading(messages, begun, WAITS if begun else _fate_of_rest(rest))
            if isinstance(event, h11.Request):
                begun = Message.begin(event.method, event.target, event.headers)
            elif isinstance(event, h11.Data) and begun is not None:
                begun = begun._replace(body=begun.body + bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and begun is not None:
                messages.append(begun)
                begun = None
                parser.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))
                parser.send(h11.EndOfMessage())
                if parser.our_state is not h11.DONE:
                    return Reading(messages, None, CLOSES)
                parser.start_next_cycle()
    except h11.RemoteProtocolError:
        return Reading(messages, begun, REFUSES)


class _Callbacks:
    """What httptools calls."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.messages: list[Message] = []
        self.begun: Message | None = None
        self.in_message = False
        self.closes = False
        self._url = b""
        self._fields: list[tuple[bytes, bytes]] = []

    def on_message_begin(self) -> None:
        self.in_message = True
        self._url = b""
        self._fields = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.begun is None:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.begun = Message.begin(self.parser.get_method(), self._url, self._fields)

    def on_body(self, body: bytes) -> None:
        if self.begun is not None:
            self.begun = self.begun._replace(body=self.begun.body + body)

    def on_message_complete(self) -> None:
        if self.begun is not None and not self.closes:
            self.messages.append(self.begun)
        self.begun = None
        self.in_message = False
        self.closes = self.closes or not self.parser.should_keep_alive()


def read_by_httptools(data: bytes) -> Reading:
    """As a server on httptools would that upgrades to nothing."""
    calls = _Callbacks()
    try:
        calls.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        calls.closes = True  # the parser has stopped: what follows is somebody else's
    except httptools.HttpParserError:
        if not calls.closes:
            return Reading(calls.messages, calls.begun, REFUSES)
    if calls.closes:
        return Reading(calls.messages, None, CLOSES)
    return Reading(calls.messages, calls.begun, WAITS if calls.in_message else LIVES)


OTHERS: dict[str, Callable[[bytes], Reading]] = {
    "h11": read_by_h11,
    "httptools": read_by_httptools,
}
