"""The PROXY protocol on the wire: who is believed, whose address counts, what is closed."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from libraries import Library
from servers import Servers, address_of, ask, echo, is_closed
from streams import CERT, CLIENT_TLS, SERVER_TLS, Peer
from support import Client, get, soon, until

from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import HTTPHeaders, ResponseStartLine
from tornadoish.netutil import ProxyHeader, TrustedNetworks
from tornadoish.tcpserver import TCPServer

LOOPBACK = ["127.0.0.0/8", "::1"]
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 1000 443\r\n"
V1_HEADER = ProxyHeader(
    version=1, source=("192.0.2.1", 1000), destination=("198.51.100.2", 443)
)  # fmt: skip
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def binary(command: int, family: int, block: bytes = b"") -> bytes:
    return SIGNATURE + bytes([0x20 | command, family]) + len(block).to_bytes(2, "big") + block


V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + bytes(16) + b"\0\1\0\2"
V2 = binary(1, 0x21, V6)
V2_HEADER = ProxyHeader(version=2, source=("2001:db8::1", 1), destination=("::", 2))
LOCAL = binary(0, 0)


@pytest.fixture
def library() -> Library:
    """Tornado has nothing of this."""
    return Library("tornadoish")


# ------------------------------------------------------------------------------ who is believed


@pytest.mark.parametrize(
    ("said", "header", "address"),
    [
        (V1, V1_HEADER, ("192.0.2.1", 1000)),
        (V2, V2_HEADER, ("2001:db8::1", 1, 0, 0)),
        (b"PROXY UNKNOWN\r\n", ProxyHeader(version=1), None),
        (LOCAL, ProxyHeader(version=2, local=True), None),
        (binary(1, 0), ProxyHeader(version=2), None),
        (
            binary(1, 0x31, b"/client".ljust(108, b"\0") + b"/server".ljust(108, b"\0")),
            ProxyHeader(version=2, source="/client", destination="/server"),
            "/client",
        ),
    ],
    ids=["1", "2", "1 unknown", "2 local", "2 unspecified", "2 unix"],
)
@pytest.mark.parametrize("cut", ["whole", "behind", "bytes"])
async def test_a_proxy_is_believed(
    servers: Servers, said: bytes, header: ProxyHeader, address: Any, cut: str
) -> None:
    server = servers.listening(echo, proxy_protocol=LOOPBACK)
    peer = await servers.connect(server)
    if cut == "whole":
        await peer.send(said + b"hello\n")
    elif cut == "behind":
        await peer.send(said)
        await until(lambda: servers.streams)
        await peer.send(b"hello\n")
    else:
        for byte in said + b"hello\n":
            await peer.send(bytes([byte]))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    assert await peer.take(6) == b"hello\n"
    assert servers.streams[0].proxy_header == header
    assert servers.addresses == [address or peer.sock.getsockname()]
    assert servers.streams[0].socket.getpeername() == peer.sock.getsockname()


@pytest.mark.parametrize(
    "networks", [["192.0.2.0/24", "unix"], [], TrustedNetworks(["::1"])], ids=str
)
async def test_others_are_not_believed(servers: Servers, networks: Any) -> None:
    """They are served, and a header of theirs is just what they have sent."""
    server = servers.listening(echo, proxy_protocol=networks)
    peer = await servers.connect(server)
    assert await ask(peer, V1) == V1
    assert servers.streams[0].proxy_header is None
    assert servers.addresses == [peer.sock.getsockname()]
    assert await ask(await servers.connect(server)) == b"hello\n"


@pytest.mark.parametrize("networks", [["unix"], ["127.0.0.0/8"]])
async def test_peers_on_unix_sockets(servers: Servers, tmp_path: Path, networks: Any) -> None:
    path = str(tmp_path / "s")
    server = servers.make(echo, proxy_protocol=networks)
    server.listen_unix(path)
    peer = await servers.connect(path)
    believed = networks == ["unix"]
    await peer.send(V1)
    await peer.send(b"hello\n")
    expected = b"hello\n" if believed else V1 + b"hello\n"
    assert await peer.take(len(expected)) == expected
    assert servers.addresses == [("192.0.2.1", 1000) if believed else ""]


@pytest.mark.parametrize("networks", ["127.0.0.1", ["localhost"], ["127.0.0.1/33"]])
def test_networks_that_are_none(networks: Any) -> None:
    with pytest.raises(ValueError):
        TCPServer(proxy_protocol=networks)


# ------------------------------------------------------------------------------ what is closed


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        V1[:-2] + b"\n",
        binary(2, 0x11, bytes(12)),
        SIGNATURE + b"\x21\x11\xff\xff",
        b"PROXY UNKNOWN " + bytes(1 << 16),
    ],
    ids=["http", "bare LF", "command", "size", "endless"],
)
async def test_a_malformed_header_closes_the_connection(
    servers: Servers, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    server = servers.listening(echo, proxy_protocol=LOOPBACK)
    peer = await servers.connect(server)
    await peer.send(said)
    assert await is_closed(peer)
    assert len(caplog.records) == 1, "said once"
    record = caplog.records[0]
    assert record.levelno == logging.WARNING and record.exc_info is None
    assert record.message.startswith("Malformed PROXY header from 127.0.0.1: ")
    assert servers.streams == []
    good = await servers.connect(server)
    await good.send(V1 + b"hello\n")
    assert await good.take(6) == b"hello\n"


@pytest.mark.parametrize(
    "said", [b"", V1[:20], V2[:14], V2[:-1]], ids=["nothing", "1", "2", "2 but for a byte"]
)
async def test_a_header_that_does_not_come(
    servers: Servers, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    server = servers.listening(echo, proxy_protocol=LOOPBACK, ssl_handshake_timeout=0.05)
    peer = await servers.connect(server)
    await peer.send(said)
    assert await is_closed(peer)
    gone = await servers.connect(server)
    await gone.send(said)
    gone.close()
    await until(lambda: server.connections == 0)
    assert caplog.records == [] and servers.streams == [], "health checks do this all day"


# ------------------------------------------------------------------------------ what else counts


async def test_each_client_behind_a_proxy_has_its_share(servers: Servers) -> None:
    server = servers.listening(echo, proxy_protocol=LOOPBACK, max_connections_per_address=1)

    async def client(number: int) -> Peer:
        peer = await servers.connect(server)
        await peer.send(V1.replace(b"192.0.2.1", b"192.0.2.%d" % number) + b"hello\n")
        return peer

    first, second = await client(1), await client(2)
    for peer in (first, second):
        assert await peer.take(6) == b"hello\n"
    assert await is_closed(await client(2))
    second.close()
    await until(lambda: server.connections == 1)
    assert await (await client(2)).take(6) == b"hello\n"


async def tls_behind(server: Any, said: bytes, *, at_once: bool) -> tuple[Peer, Any, ssl.MemoryBIO]:
    """A client whose proxy says so first, with its hello in the same segment or not."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=CERT)
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    sock = socket.socket()
    peer = Peer(sock)
    loop = asyncio.get_running_loop()
    await soon(loop.sock_connect(sock, address_of(server)))
    if not at_once:
        await peer.send(said)
        await asyncio.sleep(0)
    data = said if at_once else b""
    while True:
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            await peer.send(data + outgoing.read())
            data = b""
            incoming.write(await soon(loop.sock_recv(sock, 65536)))
        else:
            await peer.send(outgoing.read())
            return peer, client, incoming


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("said", [V1, V2], ids=["1", "2"])
async def test_in_front_of_tls(servers: Servers, said: bytes, at_once: bool) -> None:
    server = servers.listening(echo, proxy_protocol=LOOPBACK, ssl_options=SERVER_TLS)
    peer, client, _ = await tls_behind(server, said, at_once=at_once)
    await until(lambda: servers.streams)
    stream = servers.streams[0]
    assert stream.proxy_header == (V1_HEADER if said == V1 else V2_HEADER)
    assert stream.ssl_object.version() == client.version()
    peer.close()


async def test_a_header_stays_with_a_stream_that_starts_tls(servers: Servers) -> None:
    secure: list[Any] = []

    async def upgrade(stream: Any) -> None:
        secure.append(await stream.start_tls(True, SERVER_TLS))

    server = servers.listening(upgrade, proxy_protocol=LOOPBACK)
    peer = await servers.connect(server)
    await peer.send(V1)
    await until(lambda: servers.streams and servers.streams[0].successor)
    client = servers.library.iostream.SSLIOStream(peer.sock.dup(), ssl_options=CLIENT_TLS)
    peer.close()
    client._name = "localhost"
    await soon(client.wait_for_handshake())
    await until(lambda: secure)
    assert secure[0].proxy_header == V1_HEADER
    client.abort()
    await until(lambda: client._transport is None)


async def test_http_behind_a_proxy() -> None:
    """The client's address is the proxy's word, and nobody else's."""

    def whoami(request: Any) -> None:
        context = request.connection.context
        body = json.dumps([request.remote_ip, context.address]).encode()
        fields = HTTPHeaders({"Content-Length": str(len(body))})
        request.connection.write_headers(ResponseStartLine("", 200, "OK"), fields, body)
        request.connection.finish()

    server = HTTPServer(whoami, proxy_protocol=["127.0.0.1"])
    server.listen(0, "127.0.0.1")
    for said, ip in ((V1, "192.0.2.1"), (V2, "2001:db8::1"), (LOCAL, "127.0.0.1")):
        async with Client.connect(address_of(server)[1]) as client:
            await client.send(said + get("/", "X-Real-Ip: 4.4.4.4"))
            told = json.loads((await client.response()).body)
            assert told[0] == ip and told[1][0] == ip
    server.stop()
    await soon(server.close_all_connections())
