"""Talking: what a handler and a client have in common, which is to send.

The mixin finds its connection anew for every call, for there may be none any more.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tornadoish.escape import json_encode, utf8
from tornadoish.websocket.connection import WebSocketConnection
from tornadoish.websocket.errors import WebSocketClosedError
from tornadoish.websocket.outgoing import Data
from tornadoish.ws import PreparedMessage


class Talking:
    """Sends messages and pings."""

    #: the connection, from the handshake until it is closed by either side
    ws_connection: WebSocketConnection | None = None

    def write_message(self, message: Data, binary: bool = False) -> asyncio.Future[None]:
        """Send a message.

        :param message: text, bytes, or a dict (sent as JSON).
        :param binary: whether it goes as binary; else as text, bytes too, which must be UTF-8.
        :returns: a future, done when the peer has taken enough that more may follow: who awaits it
            sends no faster than the peer reads. Who does not is bounded all the same, by
            ``max_unsent_bytes``: above that the connection is closed with 1013.
        :raises WebSocketClosedError: the connection is closed or closing; the future may fail with
            it, too.
        :raises ValueError: bytes that are no UTF-8, or half a surrogate pair.
        :raises TypeError: anything else.

        Source: Tornado: WebSocketHandler.write_message.
        """
        connection = self.ws_connection
        if connection is None:
            raise WebSocketClosedError()
        return connection.write_message(message, binary=binary)

    async def send(self, message: Data, binary: bool | None = None) -> None:
        """Send a message when there is room for it: while the peer is behind, this waits, and so
        however slow it is it keeps nobody's memory (ours alone, not Tornado's).

        :param message: a str or a dict (as JSON) is sent as text, bytes as binary,
        :param binary: unless this says otherwise.
        :raises WebSocketClosedError: the connection is closed, or was closed with 1013 because this
            took longer than ``send_timeout``, or more than ``max_unsent_bytes`` were waiting here.
        :raises ValueError: as :meth:`write_message`.
        """
        connection = self.ws_connection
        if connection is None:
            raise WebSocketClosedError()
        await connection.send(message, binary)

    def ping(self, data: str | bytes = b"") -> None:
        """Send a ping, whose pong brings the same ``data`` (``on_pong``); see ``ping_interval`` for
        regular ones.

        :raises WebSocketClosedError: the connection is closed or closing.
        :raises ValueError: more than 125 bytes.
        """
        connection = self.ws_connection
        if connection is None:
            raise WebSocketClosedError()
        connection.write_ping(utf8(data))


def prepared(message: Data | PreparedMessage, binary: bool | None = None) -> PreparedMessage:
    """``message`` as one that is sent to many: encoded once, and compressed once."""
    if isinstance(message, PreparedMessage):
        return message
    if isinstance(message, dict):
        message = json_encode(message)
    return PreparedMessage(message, binary=binary)


def broadcast(handlers: Any, message: Data | PreparedMessage, binary: bool | None = None) -> int:
    """Send one message to many (ours alone, not Tornado's).

    It is encoded once, and compressed once for all that have agreed on the same. Nobody is waited
    for: what slow readers do not take waits for them, and above their ``max_unsent_bytes`` they are
    closed with 1013. Those that are closed already are passed over.

    :param handlers: handlers, or clients; not changed meanwhile, for nothing here calls them.
    :param message: a str or a dict (as JSON) is sent as text, bytes as binary,
    :param binary: unless this says otherwise.
    :returns: to how many it was sent.
    :raises TypeError: neither text nor bytes nor a dict.
    :raises ValueError: as :meth:`Talking.write_message`.
    """
    one = prepared(message, binary)
    count = 0
    for handler in handlers:
        connection = handler.ws_connection
        if connection is not None and connection.write_prepared(one):
            count += 1
    return count
