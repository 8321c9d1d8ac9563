"""Targets of WebSockets: what a peer sends behind the handshake, and the handshake's fields."""

from __future__ import annotations

from ws_reading import Case, bytewise, read

from tornadoish.ws import ClientOpening, Deflate, DeflateOptions, HandshakeError, Opening, Protocol

DEFLATES = [None, Deflate(), Deflate(send_takeover=False, receive_takeover=False)]
SIZES = [1000, 20, 0, 1 << 20]
OPTIONS = [DeflateOptions(), DeflateOptions(server_max_window_bits=15, client_max_window_bits=15)]


def must(truth: object, *shown: object) -> None:
    """An assertion that holds under -O too."""
    if not truth:
        raise AssertionError(*shown)


def websocket(data: bytes) -> None:
    """Frames: the first byte chooses role, compression and limit. The same whole, byte by byte, cut
    and by parts; what was read is what can be sent."""
    chosen = data[0] if data else 0
    deflate, size = DEFLATES[(chosen >> 1 & 3) % 3], SIZES[chosen >> 3 & 3]
    case = Case("", data[1:], client=bool(chosen & 1), deflate=deflate, size=size)
    events, state, said = read([case.data], case)
    middle = len(case.data) // 2
    for pieces in (
        bytewise(case.data),
        [case.data[:middle], case.data[middle:]],
        [case.data[:-1], case.data[-1:]],
    ):
        for by_parts in (False, True):
            again = read(pieces, case, by_parts=by_parts)
            must(again[:2] == (events, state), again, events)
            must(case.client or again[2] == said)
    for event in events:
        if isinstance(message := getattr(event, "data", None), (str, bytes)):
            size_of = len(message.encode()) if isinstance(message, str) else len(message)
            must(size_of <= max(size, 125))
            receiver = Protocol(not case.client, deflate=deflate)
            receiver.receive(Protocol(case.client, deflate=deflate).send_message(message))
            must(getattr(receiver.next_event(), "data", None) == message)


def upgrade(data: bytes) -> None:
    """The fields of a handshake, in five lines: refused with a status, or an answer that a client
    which has offered the same would take."""
    names = ("Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol")
    *lines, extensions = data.decode("latin-1").split("\n")[:5]
    headers = dict(zip(names, lines, strict=False))
    headers |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Extensions": extensions}
    try:
        opening = Opening.read("GET", headers)
    except HandshakeError as fault:
        must(fault.status == 400)
        return
    for options in OPTIONS:
        answer = opening.answer(opening.subprotocols[0] if opening.subprotocols else None, options)
        fields = dict(answer.headers)
        must(all(value.isascii() and value.isprintable() for value in fields.values()))
        agreed = fields.get("Sec-WebSocket-Extensions", "")
        must((answer.deflate is None) == (agreed == ""))
        client = ClientOpening(opening.subprotocols, OPTIONS[1])
        client.key = opening.key or ""
        theirs = client.check(101, fields).deflate
        must((theirs is None) == (answer.deflate is None))
        if theirs is not None and answer.deflate is not None:
            must(theirs.send_bits <= answer.deflate.receive_bits)
            must(theirs.receive_bits >= answer.deflate.send_bits)
            must(theirs.receive_takeover is answer.deflate.send_takeover)
