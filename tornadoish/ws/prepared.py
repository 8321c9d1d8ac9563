"""PreparedMessage: one message for many connections, encoded and compressed once.

Made by whoever broadcasts; ``frame`` gives each connection its bytes, which are the same object for
all that have agreed on the same compression.
"""

from __future__ import annotations

from tornadoish.ws.deflate import compress_all
from tornadoish.ws.frames import RSV1, frame
from tornadoish.ws.protocol import Protocol
from tornadoish.ws.sending import message_payload

#: Window, level and memory of a compression.
_How = tuple[int, int, int]


class PreparedMessage:
    """A message to be sent on many connections.

    It is compressed in a context of its own, so it suits every peer, whatever the peer has seen.
    A connection whose messages refer to earlier ones starts its context anew behind it.

    :param data: a str is sent as text, bytes as binary, unless ``binary`` says otherwise.
    :raises ValueError: as ``Protocol.send_message``.
    """

    __slots__ = ("_first", "_frames", "_payload", "_payloads")

    def __init__(
        self, data: str | bytes | bytearray | memoryview, *, binary: bool | None = None
    ) -> None:
        self._first, payload = message_payload(data, binary)
        self._payload = bytes(payload)
        # By how it is compressed (None: not at all): the payload, and the frame without a mask.
        self._payloads: dict[_How | None, bytes] = {None: self._payload}
        self._frames: dict[_How | None, bytes] = {}

    def frame(self, protocol: Protocol) -> bytes:
        """The message as it goes to the peer of ``protocol``.

        :raises WrongState: as ``Protocol.send_message``.
        """
        protocol.check_sendable()
        deflate = protocol.deflate
        how: _How | None = None
        if deflate is not None and len(self._payload) >= deflate.threshold:
            how = (deflate.send_bits, deflate.level, deflate.mem_level)
            protocol.start_context_anew()
        made = None if protocol.is_client else self._frames.get(how)
        if made is None:
            payload = self._payloads.get(how)
            if payload is None and deflate is not None:
                payload = compress_all(deflate.new_compressor(), self._payload)
                self._payloads[how] = payload
            first = self._first if how is None else self._first | RSV1
            made = frame(first, payload or b"", protocol.is_client)
            if not protocol.is_client:
                self._frames[how] = made
        return made
