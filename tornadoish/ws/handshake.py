"""The opening handshake (RFC 6455, 4), sans-io: header fields in, header fields out, both roles.

A server reads the request with ``Opening.read`` and answers with ``Opening.answer``; a client makes
its fields with ``ClientOpening.headers`` and checks the response with ``ClientOpening.check``. Of
HTTP this needs a method, a status and a mapping of fields; an extended CONNECT (RFC 8441) has all
of it but the key (``Opening.read_connect``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tornadoish.httputil.abnf import is_token
from tornadoish.ws.deflate import Deflate
from tornadoish.ws.extensions import NAME, DeflateOptions, Extension, parse_extensions

VERSION = "13"
Pairs = list[tuple[str, str]]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class HandshakeError(Exception):
    """A handshake that fails: the other side's fault.

    :param message: why, in words.
    :param status: what a server answers.
    :param headers: fields that belong to that answer.
    """

    def __init__(
        self, message: str, status: int = 400, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.headers = headers


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (RFC 6455, 4.2.2)."""
    digest = hashlib.sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def tokens(value: str) -> list[str]:
    """The elements of a comma-separated list; empty ones do not count (RFC 9110, 5.6.1)."""
    return [found for element in value.split(",") if (found := element.strip(" \t"))]


def _has_token(headers: Mapping[str, str], name: str, wanted: str) -> bool:
    return wanted in tokens(headers.get(name, "").lower())


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server accepts with: the fields of its answer, and what was agreed on compression."""

    headers: Pairs
    deflate: Deflate | None


@dataclass(frozen=True, slots=True)
class Opening:
    """A client's request for a WebSocket, as a server has read it."""

    #: of an extended CONNECT there is none
    key: str | None
    #: offered subprotocols, the client's favourite first
    subprotocols: tuple[str, ...]
    extensions: list[Extension]

    @classmethod
    def read(cls, method: str, headers: Mapping[str, str], version: str = "HTTP/1.1") -> Opening:
        """Read an HTTP/1.1 request (RFC 6455, 4.2.1). Origin is for the caller to check (403).

        :param headers: a mapping that knows names in any case.
        :raises HandshakeError: 405, 400, or 426 with Sec-WebSocket-Version.
        """
        if method != "GET":
            raise HandshakeError("A WebSocket is opened with GET", 405, (("Allow", "GET"),))
        if not _has_token(headers, "Upgrade", "websocket"):
            raise HandshakeError('Can "Upgrade" only to "WebSocket"')
        if not _has_token(headers, "Connection", "upgrade"):
            raise HandshakeError('"Connection" must be "Upgrade"')
        if version == "HTTP/1.0":  # RFC 9110, 7.8: which knows no upgrade
            raise HandshakeError("A WebSocket needs HTTP/1.1")
        key = headers.get("Sec-WebSocket-Key")
        if key is None or not _is_key(key):
            raise HandshakeError("Sec-WebSocket-Key is not 16 bytes in base64")
        return cls._read(key, headers)

    @classmethod
    def read_connect(cls, headers: Mapping[str, str]) -> Opening:
        """Read an extended CONNECT for ``websocket`` (RFC 8441, 5), answered with 200.

        :raises HandshakeError: 400, or 426 with Sec-WebSocket-Version.
        """
        return cls._read(None, headers)

    @classmethod
    def _read(cls, key: str | None, headers: Mapping[str, str]) -> Opening:
        # RFC 6455, 4.4: who speaks another version hears which one we do.
        if headers.get("Sec-WebSocket-Version") != VERSION:
            raise HandshakeError(
                "Unknown version of WebSocket",
                426,
                (
                    ("Sec-WebSocket-Version", VERSION),
                    ("Upgrade", "websocket"),
                    ("Connection", "Upgrade"),
                ),
            )
        subprotocols = tuple(tokens(headers.get("Sec-WebSocket-Protocol", "")))
        if not all(map(is_token, subprotocols)) or len(set(subprotocols)) < len(subprotocols):
            raise HandshakeError("Malformed Sec-WebSocket-Protocol")
        try:
            extensions = parse_extensions(headers.get("Sec-WebSocket-Extensions", ""))
        except ValueError as error:
            raise HandshakeError(str(error)) from None
        return cls(key, subprotocols, extensions)

    def answer(
        self, subprotocol: str | None = None, deflate: DeflateOptions | None = None
    ) -> Answer:
        """Accept: the fields of a 101 (of a 200, if there is no key).

        :param subprotocol: one of those offered, or None.
        :param deflate: how messages may be compressed, if the client offers that; None: not.
        :raises ValueError: ``subprotocol`` was not offered (RFC 6455, 4.2.2).
        """
        fields: Pairs = []
        if self.key is not None:
            fields += [
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Accept", accept_key(self.key)),
            ]
        if subprotocol is not None:
            if subprotocol not in self.subprotocols:
                raise ValueError(f"The client has not offered the subprotocol {subprotocol!r}")
            fields.append(("Sec-WebSocket-Protocol", subprotocol))
        accepted = deflate.accept(self.extensions) if deflate is not None else None
        if accepted is None:
            return Answer(fields, None)
        fields.append(("Sec-WebSocket-Extensions", accepted[0]))
        return Answer(fields, accepted[1])


def _is_key(text: str) -> bool:
    """RFC 6455, 4.2.1: base64 that, when decoded, is 16 bytes."""
    try:
        return len(text) == 24 and len(base64.b64decode(text, validate=True)) == 16
    except (ValueError, binascii.Error):
        return False


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a client may rely on once the server has accepted."""

    subprotocol: str | None
    deflate: Deflate | None


class ClientOpening:
    """A client's side of the handshake.

    :param subprotocols: offered, the favourite first.
    :param deflate: how messages may be compressed, None: not.
    :raises ValueError: a subprotocol is no token, or comes twice.
    """

    __slots__ = ("deflate", "key", "subprotocols")

    def __init__(
        self, subprotocols: Sequence[str] = (), deflate: DeflateOptions | None = None
    ) -> None:
        if isinstance(subprotocols, str):
            raise TypeError("subprotocols is a list of names, not one name")
        if not all(map(is_token, subprotocols)) or len(set(subprotocols)) < len(subprotocols):
            raise ValueError(f"Subprotocols are different tokens: {subprotocols!r}")
        self.subprotocols = tuple(subprotocols)
        self.deflate = deflate
        self.key = base64.b64encode(secrets.token_bytes(16)).decode("ascii")

    def headers(self) -> Pairs:
        """The fields of the request (RFC 6455, 4.1), but for Host and Origin."""
        fields: Pairs = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self.key),
            ("Sec-WebSocket-Version", VERSION),
        ]
        if self.subprotocols:
            fields.append(("Sec-WebSocket-Protocol", ", ".join(self.subprotocols)))
        if self.deflate is not None:
            fields.append(("Sec-WebSocket-Extensions", self.deflate.offer()))
        return fields

    def check(self, status: int, headers: Mapping[str, str]) -> Agreed:
        """Check the response (RFC 6455, 4.1, and RFC 7692, 7.1).

        :raises HandshakeError: its ``status`` is not 101 (then that is the error's), or the server
            has not understood, or promises what was not offered.
        """
        if status != 101:
            raise HandshakeError(f"The server answers {status}", status)
        if tokens(headers.get("Upgrade", "").lower()) != ["websocket"]:
            raise HandshakeError("The server does not upgrade to websocket")
        if not _has_token(headers, "Connection", "upgrade"):
            raise HandshakeError('The response has no "Connection: Upgrade"')
        if headers.get("Sec-WebSocket-Accept") != accept_key(self.key):
            raise HandshakeError("Sec-WebSocket-Accept does not answer the key")
        subprotocol = headers.get("Sec-WebSocket-Protocol")
        if subprotocol is not None and subprotocol not in self.subprotocols:
            raise HandshakeError("The server chooses a subprotocol that was not offered")
        return Agreed(subprotocol, self._agreed_deflate(headers))

    def _agreed_deflate(self, headers: Mapping[str, str]) -> Deflate | None:
        try:
            extensions = parse_extensions(headers.get("Sec-WebSocket-Extensions", ""))
            if not extensions:
                return None
            [(name, parameters)] = extensions
            if name == NAME and self.deflate is not None:
                return self.deflate.agreed(parameters)
        except ValueError as error:
            raise HandshakeError(f"Sec-WebSocket-Extensions: {error}") from None
        raise HandshakeError("The server uses an extension that was not offered")
