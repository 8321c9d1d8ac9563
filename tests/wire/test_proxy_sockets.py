"""Who is asking on a Unix socket, on a dual-stack one, and behind the PROXY protocol."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from behind import PROXY, STRANGER, Behind
from streams import OURS

from tornadoish.httpserver import HTTPServer
from tornadoish.netutil import bind_unix_socket


@OURS
@pytest.mark.parametrize(
    ("options", "believed"),
    [
        ({"trusted_proxies": ["unix"]}, True),
        ({"trusted_proxies": ["unix", "10.0.0.0/8"], "xheaders": True}, True),
        ({"trusted_proxies": ["0.0.0.0/0", "::/0"]}, False),
        ({"trusted_proxies": [], "xheaders": True}, False),
        ({"xheaders": True}, True),
        ({}, False),
    ],
    ids=str,
)
async def test_unix_sockets(
    behind: Behind, tmp_path: Path, options: dict[str, Any], believed: bool
) -> None:
    path: Any = behind.serve(sock=bind_unix_socket(str(tmp_path / "s")), **options)
    told = await behind.ask(path, "X-Forwarded-For: 4.4.4.4", "X-Forwarded-Proto: https")
    assert told["who"][:2] == (["4.4.4.4", "https"] if believed else ["0.0.0.0", "http"])
    assert told["original"] == ["0.0.0.0", "http"]
    # Whatever is no address cannot become the name of a Unix socket's peer.
    assert (await behind.ask(path, "X-Forwarded-For: 4.4.4.4, "))["who"][0] == "0.0.0.0"
    assert (await behind.ask(path, "X-Forwarded-For: 4.4.4.4, unix"))["who"][0] == "0.0.0.0"


@OURS
async def test_an_ipv4_peer_on_an_ipv6_socket(behind: Behind) -> None:
    try:
        sock = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError):
        pytest.skip("no dual-stack sockets here")
    port = behind.serve(sock=sock, trusted_proxies=[PROXY])
    assert (await behind.who(port, "X-Forwarded-For: 4.4.4.4"))[0] == "4.4.4.4"
    stranger = await behind.who(port, "X-Forwarded-For: 4.4.4.4", source=STRANGER)
    assert stranger[0] == f"::ffff:{STRANGER}"
    assert (await behind.who(port, "X-Forwarded-For: 4.4.4.4", source="::1"))[0] == "::1"


def spoken_for(address: Any) -> type[HTTPServer]:
    """A server whose clients are told by somebody in front of it (the PROXY protocol)."""

    class SpokenFor(HTTPServer):
        def handle_stream(self, stream: Any, _: Any) -> Any:
            return super().handle_stream(stream, address)

    return SpokenFor


UNIX, TCP = True, False
SPOKEN: list[tuple[bool, Any, str, bool]] = [
    # (socket, the client's address, remote_ip, whether 10.0.0.0/8 and "unix" let it be believed)
    (UNIX, ("4.4.4.4", 56324), "4.4.4.4", False),
    (UNIX, ("10.0.0.1", 56324), "10.0.0.1", True),
    (UNIX, ("2001:db8::4", 1, 0, 0), "2001:db8::4", False),
    (UNIX, "", "0.0.0.0", True),
    (UNIX, "/run/other", "0.0.0.0", True),
    (UNIX, b"\0abstract", "0.0.0.0", True),
    (TCP, ("4.4.4.4", 56324), "4.4.4.4", False),
    (TCP, ("10.0.0.1", 56324), "10.0.0.1", True),
    (TCP, ("::ffff:10.0.0.1", 1, 0, 0), "::ffff:10.0.0.1", True),
    (TCP, ("fe80::1%lo", 1, 0, 1), "fe80::1", False),
    # on a TCP socket, nobody is on a Unix socket because somebody says so
    (TCP, "", "0.0.0.0", False),
    (TCP, "/run/other", "0.0.0.0", False),
    (TCP, b"/run/other", "0.0.0.0", False),
    (TCP, None, "0.0.0.0", False),
    (TCP, ("", 0), "0.0.0.0", False),
    (TCP, ("proxy.example", 80), "0.0.0.0", False),
    (TCP, (), "0.0.0.0", False),
    (TCP, (None, 1), "0.0.0.0", False),
]


@OURS
@pytest.mark.parametrize(
    ("unix", "address", "remote_ip", "believed"), SPOKEN, ids=[str(case[:2]) for case in SPOKEN]
)
async def test_the_address_counts_not_the_socket(
    behind: Behind, tmp_path: Path, unix: bool, address: Any, remote_ip: str, believed: bool
) -> None:
    sock = bind_unix_socket(str(tmp_path / "s")) if unix else None
    port = behind.serve(
        sock=sock, server_class=spoken_for(address), trusted_proxies=["10.0.0.0/8", "unix"]
    )
    told = await behind.ask(port, "X-Forwarded-For: 9.9.9.9")
    assert told["who"][0] == ("9.9.9.9" if believed else remote_ip)
    assert told["original"][0] == remote_ip
    context = behind.requests[0].connection.context
    assert context.address == address
    assert isinstance(str(context), str)


# (socket, header, remote_ip, whether 10.0.0.0/8 and "unix" let it be believed)
HEADERS: list[tuple[bool, bytes, str, bool]] = [
    (UNIX, b"PROXY TCP4 4.4.4.4 5.6.7.8 56324 443\r\n", "4.4.4.4", False),
    (UNIX, b"PROXY TCP4 10.0.0.1 5.6.7.8 56324 443\r\n", "10.0.0.1", True),
    (UNIX, b"PROXY TCP6 2001:db8::4 ::1 56324 443\r\n", "2001:db8::4", False),
    (UNIX, b"PROXY UNKNOWN\r\n", "0.0.0.0", True),
    (TCP, b"PROXY TCP4 4.4.4.4 5.6.7.8 56324 443\r\n", "4.4.4.4", False),
    (TCP, b"PROXY TCP6 2001:db8::4 ::1 56324 443\r\n", "2001:db8::4", False),
    (TCP, b"PROXY TCP4 10.0.0.1 5.6.7.8 56324 443\r\n", "10.0.0.1", True),
    (TCP, b"PROXY UNKNOWN\r\n", PROXY, False),
]


@OURS
@pytest.mark.parametrize(
    ("unix", "header", "remote_ip", "believed"), HEADERS, ids=[str(case[:2]) for case in HEADERS]
)
async def test_behind_the_proxy_protocol(
    behind: Behind, tmp_path: Path, unix: bool, header: bytes, remote_ip: str, believed: bool
) -> None:
    """What it says is the peer: a proxy behind it may be one that is trusted, or not."""
    port = behind.serve(
        sock=bind_unix_socket(str(tmp_path / "s")) if unix else None,
        proxy_protocol=["unix", PROXY],
        trusted_proxies=["10.0.0.0/8", "unix"],
    )
    told = await behind.ask(port, "X-Forwarded-For: 9.9.9.9", first=header)
    assert told["who"][0] == ("9.9.9.9" if believed else remote_ip)
    assert told["original"] == [remote_ip, "http"]
    assert (await behind.ask(port, first=header))["who"][0] == remote_ip


@OURS
@pytest.mark.parametrize(("client_tls", "protocol"), [(1, "https"), (0, "http")])
async def test_a_proxy_says_how_its_client_came(
    behind: Behind, client_tls: int, protocol: str
) -> None:
    """TLS ends at a proxy that speaks PROXY, version 2, with PP2_TYPE_SSL (send-proxy-v2-ssl)."""
    ssl = b"\x20\x00\x05" + bytes([client_tls]) + b"\0\0\0\0"
    addresses = bytes([4, 4, 4, 4, 5, 6, 7, 8]) + b"\xdc\x04\x01\xbb"
    length = len(addresses + ssl).to_bytes(2, "big")
    header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + length + addresses + ssl
    told = await behind.ask(behind.serve(proxy_protocol=[PROXY]), first=header)
    assert told["who"][:2] == ["4.4.4.4", protocol]
    assert told["original"] == ["4.4.4.4", protocol]
