"""The PROXY protocol's header: what is taken, what is refused, and that no cut changes anything."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornadoish.netutil import ProxyHeader, ProxyHeaderParser, ProxyProtocolError

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
UNSPEC, TCP4, UDP4, TCP6, UNIX = 0x00, 0x11, 0x12, 0x21, 0x31
MAX_SIZE = 16 * 1024


def binary(command: int, family: int, block: bytes) -> bytes:
    """A header of version 2."""
    return SIGNATURE + bytes([command, family]) + len(block).to_bytes(2, "big") + block


def tcp4(source: str = "192.0.2.1", port: int = 1000) -> bytes:
    return socket.inet_aton(source) + socket.inet_aton("198.51.100.2") + port.to_bytes(2, "big") + (
        b"\x01\xbb"
    )  # fmt: skip


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def crc32c(data: bytes) -> int:
    """Bit by bit, as RFC 9260 defines it (reflected)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def with_checksum(head: bytes, tlvs: bytes = b"") -> bytes:
    """A TCP4 header whose first TLV is its checksum, and right."""
    blank = binary(PROXY, TCP4, head + tlv(3, bytes(4)) + tlvs)
    right = crc32c(blank).to_bytes(4, "big")
    return binary(PROXY, TCP4, head + tlv(3, right) + tlvs)


def parse(pieces: list[bytes]) -> tuple[ProxyHeader | None, int] | str:
    """The header and its size, or (None, ...) if it is not complete, or what was wrong."""
    parser, taken = ProxyHeaderParser(), 0
    try:
        for piece in pieces:
            used = parser.feed(piece)
            assert 0 <= used <= len(piece)
            assert used == len(piece) or parser.header is not None
            taken += used
    except ProxyProtocolError as error:
        with pytest.raises(ProxyProtocolError):
            parser.feed(b"")
        return f"malformed: {error}"
    return parser.header, taken


def whole(data: bytes) -> ProxyHeader:
    """The header that ``data`` is, to its last byte."""
    found = parse([data])
    assert not isinstance(found, str), found
    header, taken = found
    assert header is not None and taken == len(data)
    return header


# ------------------------------------------------------------------------------ what is taken

V1 = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 1000 443\r\n", ("192.0.2.1", 1000), ("198.51.100.2", 443)),
    (b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", ("0.0.0.0", 0), ("255.255.255.255", 65535)),
    (b"PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", ("2001:db8::1", 1), ("::1", 2)),
    (b"PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n", ("::ffff:1.2.3.4", 1), ("::1", 2)),
    (
        b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        b" ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
    ),
    (b"PROXY UNKNOWN\r\n", None, None),
    (b"PROXY UNKNOWN what\0ever \xff\r\n", None, None),
    (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", None, None),  # 107 bytes
]


@pytest.mark.parametrize(("line", "source", "destination"), V1)
def test_version_1(line: bytes, source: Any, destination: Any) -> None:
    assert whole(line) == ProxyHeader(version=1, source=source, destination=destination)


V2 = [
    (TCP4, tcp4(), ("192.0.2.1", 1000), ("198.51.100.2", 443)),
    (
        TCP6,
        socket.inet_pton(socket.AF_INET6, "2001:db8::1") + bytes(15) + b"\1\0\x50\xff\xff",
        ("2001:db8::1", 80),
        ("::1", 65535),
    ),
    (UNIX, b"/run/a".ljust(108, b"\0") + b"\0b".ljust(108, b"\0"), "/run/a", b"\0b"),
    (UNIX, b"\xff" * 108 + bytes(108), "\udcff" * 108, ""),
    (UNSPEC, b"", None, None),
]


@pytest.mark.parametrize(("family", "block", "source", "destination"), V2)
def test_version_2(family: int, block: bytes, source: Any, destination: Any) -> None:
    header = whole(binary(PROXY, family, block))
    assert header == ProxyHeader(version=2, source=source, destination=destination)


@pytest.mark.parametrize("family", [UNSPEC, TCP4, UDP4, 0xFF])
@pytest.mark.parametrize("block", [b"", b"x", tcp4(), b"\xff" * 300])
def test_a_local_connection_says_nothing_of_anybody(family: int, block: bytes) -> None:
    """2.2: the receiver must discard the protocol block."""
    assert whole(binary(LOCAL, family, block)) == ProxyHeader(version=2, local=True)


def test_further_values() -> None:
    tlvs = [(1, b"h2"), (4, bytes(9)), (2, b""), (0xEE, b"x" * 400)]
    block = tcp4() + b"".join(tlv(*pair) for pair in tlvs)
    assert whole(binary(PROXY, TCP4, block)).tlvs == tuple(tlvs)


@pytest.mark.parametrize(
    ("tlvs", "tls"),
    [
        (b"", None),
        (tlv(0x20, b""), None),
        (tlv(0x20, b"\1\0\0\0\0"), True),
        (tlv(0x20, b"\7\0\0\0\0" + tlv(0x21, b"TLSv1.3")), True),
        (tlv(1, b"h2") + tlv(0x20, b"\0\0\0\0\0"), False),
    ],
)
def test_whether_the_client_came_over_tls(tlvs: bytes, tls: bool | None) -> None:
    assert whole(binary(PROXY, TCP4, tcp4() + tlvs)).tls is tls


def test_a_checksum() -> None:
    assert crc32c(b"123456789") == 0xE3069283, "the check value of CRC-32C"
    right = with_checksum(tcp4(), tlv(1, b"h2"))
    assert whole(right).tlvs[1] == (1, b"h2")
    kind = len(SIGNATURE) + 4 + len(tcp4())  # changed, it is another value, and no checksum
    for position in {*range(len(SIGNATURE) + 4, len(right))} - {kind}:
        wrong = bytearray(right)
        wrong[position] ^= 1
        assert isinstance(parse([bytes(wrong)]), str), position


def test_the_largest_header() -> None:
    room = MAX_SIZE - 16 - 12 - 3
    assert len(whole(binary(PROXY, TCP4, tcp4() + tlv(9, bytes(room)))).tlvs[0][1]) == room
    too_large = binary(PROXY, TCP4, tcp4() + tlv(9, bytes(room + 1)))
    assert isinstance(parse([too_large[:16]]), str), "said before anything of it is held"


# ------------------------------------------------------------------------------ what is refused

MALFORMED = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY\r\n",
    b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
    b"PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
    b"PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP4 \xb9.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 localhost 1.2.3.4 1 2\r\n",
    b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
    b"PROXY TCP6 :::1 ::1 1 2\r\n",
    b"PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 02\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1_0 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 \xd9\xa1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY UNKNOWN a\nb\r\n",
    b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",  # 108 bytes
    b"PROXY UNKNOWN " + b"f" * 93,
    SIGNATURE[:-1] + b"X",
    binary(0x22, TCP4, tcp4()),
    binary(0x11, TCP4, tcp4()),
    binary(0x31, TCP4, tcp4()),
    binary(PROXY, UDP4, tcp4()),
    binary(PROXY, 0x01, b""),
    binary(PROXY, 0x10, tcp4()),
    binary(PROXY, 0x41, tcp4()),
    binary(PROXY, TCP4, tcp4()[:-1]),
    binary(PROXY, TCP6, bytes(35)),
    binary(PROXY, UNIX, bytes(215)),
    binary(PROXY, TCP4, tcp4() + b"\1"),
    binary(PROXY, TCP4, tcp4() + b"\1\0"),
    binary(PROXY, TCP4, tcp4() + b"\1\0\3ab"),
    binary(PROXY, TCP4, tcp4() + tlv(3, bytes(4))),
    binary(PROXY, TCP4, tcp4() + tlv(3, bytes(3))),
    binary(PROXY, UNSPEC, b"\1"),
    binary(LOCAL, UNSPEC, bytes(MAX_SIZE)),
]


@pytest.mark.parametrize("data", MALFORMED)
def test_what_is_malformed_is_refused(data: bytes) -> None:
    found = parse([data])
    assert isinstance(found, str) and "malformed: " in found
    # However it is cut, and whatever follows.
    assert isinstance(parse([bytes([byte]) for byte in data]), str)
    assert isinstance(parse([data + b"GET / HTTP/1.1\r\n\r\n"]), str)


def test_two_checksums_are_refused() -> None:
    blank = binary(PROXY, TCP4, tcp4() + tlv(3, bytes(4)) * 2)
    right = crc32c(blank).to_bytes(4, "big")
    assert isinstance(parse([binary(PROXY, TCP4, tcp4() + tlv(3, right) * 2)]), str)


def test_nothing_of_what_is_malformed_is_hoarded() -> None:
    for data in (b"PROXY UNKNOWN " + bytes(1 << 20), SIGNATURE + b"\x20\0" + b"\xff" * (1 << 20)):
        parser = ProxyHeaderParser()
        with pytest.raises(ProxyProtocolError):
            parser.feed(data)
        assert len(parser._seen) <= MAX_SIZE


# ------------------------------------------------------------------------------ how it is cut

ports = st.integers(0, 65535)
lines = st.one_of(
    st.builds(
        lambda family, pair, ports: (
            f"PROXY TCP{family} {pair[0]} {pair[1]} {ports[0]} {ports[1]}\r\n".encode()
        ),
        st.just(4),
        st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
        st.tuples(ports, ports),
    ),
    st.builds(
        lambda pair, ports: (
            f"PROXY TCP6 {pair[0]} {pair[1].exploded} {ports[0]} {ports[1]}\r\n".encode()
        ),
        st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
        st.tuples(ports, ports),
    ),
    st.just(b"PROXY UNKNOWN\r\n"),
)
tlv_lists = st.lists(
    st.tuples(st.integers(0, 255).filter(lambda kind: kind != 3), st.binary(max_size=40)),
    max_size=4,
)


def addressed(family: int, first: bytes, tlvs: list[tuple[int, bytes]]) -> bytes:
    return binary(PROXY, family, first + b"".join(tlv(*pair) for pair in tlvs))


headers = st.one_of(
    lines,
    st.builds(addressed, st.just(TCP4), st.binary(min_size=12, max_size=12), tlv_lists),
    st.builds(addressed, st.just(TCP6), st.binary(min_size=36, max_size=36), tlv_lists),
    st.builds(addressed, st.just(UNIX), st.binary(min_size=216, max_size=216), tlv_lists),
    st.builds(binary, st.just(LOCAL), st.integers(0, 255), st.binary(max_size=60)),
    st.builds(with_checksum, st.binary(min_size=12, max_size=12)),
)


def spoil(data: bytes, position: int, byte: int) -> bytes:
    position %= len(data)
    return data[:position] + bytes([byte]) + data[position + 1 :]


anything = st.one_of(
    headers,
    st.builds(spoil, headers, st.integers(0, 1 << 20), st.integers(0, 255)),
    st.binary(max_size=200),
    st.builds(lambda rest: b"PROXY " + rest, st.binary(max_size=200)),
    st.builds(lambda rest: SIGNATURE + rest, st.binary(max_size=60)),
)


@given(headers, st.binary(max_size=30))
def test_every_header_is_taken_and_nothing_behind_it(header: bytes, rest: bytes) -> None:
    found = parse([header + rest])
    assert not isinstance(found, str), found
    assert found[0] is not None and found[1] == len(header)


@given(anything, st.data())
def test_no_cut_changes_anything(data: bytes, draw: st.DataObject) -> None:
    expected = parse([data])
    one_by_one = parse([data[i : i + 1] for i in range(len(data))])
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=5)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    for found in (one_by_one, parse(pieces)):
        if isinstance(expected, str):
            assert isinstance(found, str)
        else:
            assert found == expected


@pytest.mark.parametrize("data", [row[0] for row in V1] + [binary(PROXY, *row[:2]) for row in V2])
def test_every_split(data: bytes) -> None:
    expected = whole(data)
    for cut in range(len(data) + 1):
        assert parse([data[:cut]]) == ((None, cut) if cut < len(data) else (expected, cut))
        assert parse([data[:cut], data[cut:] + b"more"]) == (expected, len(data))


@given(st.ip_addresses(), st.ip_addresses(), ports, ports)
def test_both_versions_say_the_same(source: Any, other: Any, port: int, to: int) -> None:
    destination: Any = type(source)(int(other) % (1 << source.max_prefixlen))
    line = f"PROXY TCP{source.version} {source} {destination} {port} {to}\r\n".encode()
    block = source.packed + destination.packed + port.to_bytes(2, "big") + to.to_bytes(2, "big")
    first = whole(line)
    second = whole(binary(PROXY, TCP4 if source.version == 4 else TCP6, block))
    assert (first.source, first.destination) == (second.source, second.destination)
    assert isinstance(first.source, tuple)
    assert ipaddress.ip_address(first.source[0]) == source and first.source[1] == port
