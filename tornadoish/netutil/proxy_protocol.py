"""The PROXY protocol's header, versions 1 and 2: who a proxy in front of us is speaking for.

Fed by tcpserver with the first bytes of a connection. It never reads from a socket, and it decides
nothing about trust: only connections of proxies that are believed may come here. What it makes of
a header never depends on how the bytes were cut.

Source: The PROXY protocol, versions 1 & 2 (haproxy, doc/proxy-protocol.txt).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

#: bytes that a header of version 2 may have; the format would allow 65 551
MAX_HEADER_SIZE = 16 * 1024
#: bytes of the longest line of version 1, its CRLF counted (specification, 2.1)
MAX_LINE_SIZE = 107

_LINE_START = b"PROXY "
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED = 16  # bytes of a version 2 header in front of its addresses

# 2.1. What follows UNKNOWN is to be ignored, up to the end of the line.
_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*+)?+|TCP([46]) ([^ ]++) ([^ ]++) (0|[1-9][0-9]{0,4}+)"
    rb" (0|[1-9][0-9]{0,4}+))"
)
_IP = re.compile(rb"[0-9A-Fa-f.:]++")

_LOCAL, _PROXY = 0x20, 0x21  # version 2 and the command, in one byte (2.2)
_UNSPECIFIED, _TCP4, _TCP6, _UNIX_STREAM = 0x00, 0x11, 0x21, 0x31
_ADDRESS_SIZE = {_UNSPECIFIED: 0, _TCP4: 12, _TCP6: 36, _UNIX_STREAM: 216}

_CRC32C, _SSL = 0x03, 0x20  # types of TLVs (2.2.1 ff.)
_CLIENT_SSL = 0x01

Endpoint = tuple[str, int] | str | bytes


class ProxyProtocolError(ValueError):
    """What came is no header of the PROXY protocol."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProxyHeader:
    """What a proxy says of the connection that it passes on."""

    #: 1 or 2
    version: int
    #: whether the connection is the proxy's own, such as a health check (version 2, LOCAL)
    local: bool = False
    #: the client's address: (IP, port), or a Unix socket's as ``accept`` gives it; None: the proxy
    #: does not say
    source: Endpoint | None = None
    #: the address that the client connected to
    destination: Endpoint | None = None
    #: further values of version 2 as (type, value), in their order
    tlvs: tuple[tuple[int, bytes], ...] = ()

    @property
    def tls(self) -> bool | None:
        """Whether the client reached the proxy over TLS (PP2_TYPE_SSL); None: it does not say."""
        for kind, value in self.tlvs:
            if kind == _SSL and value:
                return bool(value[0] & _CLIENT_SSL)
        return None


class ProxyHeaderParser:
    """Takes the bytes of one connection until its header is complete."""

    __slots__ = ("_seen", "header")

    def __init__(self) -> None:
        self._seen = bytearray()
        #: the header, as soon as it is complete
        self.header: ProxyHeader | None = None

    def feed(self, data: bytes) -> int:
        """Take more bytes, however they were cut.

        :returns: how many of them belong to the header: all, as long as it is not complete.
        :raises ProxyProtocolError: this is no header. So does every later call.
        """
        if self.header is not None:
            return 0
        before = len(self._seen)
        # Whoever reaches this size has failed: there is nothing to be kept of the rest.
        self._seen += data[: MAX_HEADER_SIZE - before]
        found = _parse(self._seen)
        if found is None:
            return len(data)
        self.header, size = found
        self._seen.clear()
        return size - before


def _parse(data: bytearray) -> tuple[ProxyHeader, int] | None:
    """The header that ``data`` begins with, and its size; None: there is more to come."""
    if data.startswith(_LINE_START):
        return _parse_line(data)
    if data.startswith(_SIGNATURE):
        return _parse_binary(data)
    if _LINE_START.startswith(data) or _SIGNATURE.startswith(data):
        return None
    raise ProxyProtocolError("neither version's signature")


# -- version 1


def _parse_line(data: bytearray) -> tuple[ProxyHeader, int] | None:
    head = bytes(data[:MAX_LINE_SIZE])
    end = head.find(b"\r\n")
    if end < 0:
        if b"\n" in head or len(head) == MAX_LINE_SIZE:
            raise ProxyProtocolError("a line without its end")
        return None
    match = _LINE.fullmatch(head, 0, end)
    if match is None:
        raise ProxyProtocolError("a malformed line")
    version, *addresses = match.group(1, 2, 3, 4, 5)
    if version is None:
        return ProxyHeader(version=1), end + 2
    source, destination, source_port, destination_port = addresses
    header = ProxyHeader(
        version=1,
        source=(_ip(version, source), _port(source_port)),
        destination=(_ip(version, destination), _port(destination_port)),
    )
    return header, end + 2


def _ip(version: bytes, text: bytes) -> str:
    """The address in its canonical form."""
    family = socket.AF_INET if version == b"4" else socket.AF_INET6
    if _IP.fullmatch(text) is None:
        raise ProxyProtocolError("a malformed address")
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text.decode("ascii")))
    except OSError:
        raise ProxyProtocolError("a malformed address") from None


def _port(text: bytes) -> int:
    port = int(text)
    if port > 65535:
        raise ProxyProtocolError("a port out of range")
    return port


# -- version 2


def _parse_binary(data: bytearray) -> tuple[ProxyHeader, int] | None:
    if len(data) < _FIXED:
        return None
    command, family = data[12], data[13]
    size = _FIXED + int.from_bytes(data[14:_FIXED], "big")
    if command not in (_LOCAL, _PROXY):
        raise ProxyProtocolError("an unknown version or command")
    if size > MAX_HEADER_SIZE:
        raise ProxyProtocolError(f"a header of more than {MAX_HEADER_SIZE} bytes")
    address_size = _ADDRESS_SIZE.get(family)
    if command == _PROXY and (address_size is None or size < _FIXED + address_size):
        raise ProxyProtocolError("an unsupported family, or too little of it")
    if len(data) < size:
        return None
    if command == _LOCAL or address_size is None:
        # All the rest is to be discarded (2.2: "must discard the protocol block").
        return ProxyHeader(version=2, local=True), size
    header = bytes(data[:size])
    source, destination = _endpoints(family, header[_FIXED : _FIXED + address_size])
    tlvs = _tlvs(header, _FIXED + address_size)
    return ProxyHeader(version=2, source=source, destination=destination, tlvs=tlvs), size


def _endpoints(family: int, block: bytes) -> tuple[Endpoint | None, Endpoint | None]:
    if family == _UNSPECIFIED:
        return None, None
    if family == _UNIX_STREAM:
        return _unix_path(block[:108]), _unix_path(block[108:])
    width, kind = (4, socket.AF_INET) if family == _TCP4 else (16, socket.AF_INET6)
    ports = block[2 * width :]
    return (
        (socket.inet_ntop(kind, block[:width]), int.from_bytes(ports[:2], "big")),
        (socket.inet_ntop(kind, block[width : 2 * width]), int.from_bytes(ports[2:], "big")),
    )


def _unix_path(field: bytes) -> str | bytes:
    """As ``accept`` gives it: a path as text, an abstract name (NUL in front) as bytes."""
    if field[:1] == b"\0":
        name = field.rstrip(b"\0")
        return name or ""
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _tlvs(header: bytes, start: int) -> tuple[tuple[int, bytes], ...]:
    """The values behind the addresses. A checksum among them must be right (2.2.5)."""
    tlvs = []
    checksum: bytes | None = None
    for kind, position, size in _walk(header, start):
        value = header[position : position + size]
        if kind == _CRC32C:
            if size != 4 or checksum is not None:
                raise ProxyProtocolError("a malformed checksum")
            checksum = value
            blank = header[:position] + bytes(4) + header[position + 4 :]
            if _crc32c(blank) != int.from_bytes(value, "big"):
                raise ProxyProtocolError("a wrong checksum")
        tlvs.append((kind, value))
    return tuple(tlvs)


def _walk(header: bytes, position: int) -> Iterator[tuple[int, int, int]]:
    """Each value's type, position and size."""
    while position < len(header):
        size = int.from_bytes(header[position + 1 : position + 3], "big")
        if position + 3 + size > len(header):
            raise ProxyProtocolError("a value that is cut off")
        yield header[position], position + 3, size
        position += 3 + size


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


def _crc32c(data: bytes) -> int:
    """CRC-32C (RFC 9260, appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
