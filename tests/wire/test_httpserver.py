"""HTTPServer: who is asking (X-Forwarded, protocol, context), TLS, Unix sockets, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from libraries import Library
from streams import CERT, KEY, OURS, SERVER_TLS, Peer, open_sockets
from support import PATIENCE, Client, get, post, soon, until


class Https:
    """Servers whose callback says who is asking; nothing may be left of them at the end."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.requests: list[Any] = []
        self.unheard: list[dict[str, Any]] = []
        self._servers: list[Any] = []
        self._known = asyncio.all_tasks()
        self._sockets = open_sockets()
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.unheard.append(context)
        )

    def whoami(self, request: Any) -> None:
        self.requests.append(request)
        context = request.connection.context
        told = {
            "remote_ip": request.remote_ip,
            "protocol": request.protocol,
            "context": [context.remote_ip, context.protocol],
            "original": [context._orig_remote_ip, context._orig_protocol],
        }
        body = json.dumps(told).encode()
        httputil = self.library.httputil
        request.connection.write_headers(
            httputil.ResponseStartLine("HTTP/1.1", 200, "OK"),
            httputil.HTTPHeaders({"Content-Length": str(len(body))}),
            body,
        )
        request.connection.finish()

    def serve(self, application: Any = None, **options: Any) -> tuple[Any, int]:
        """A server and its port."""
        server = self.library.httpserver.HTTPServer(application or self.whoami, **options)
        self._servers.append(server)
        server.listen(0, "127.0.0.1")
        return server, next(iter(server._sockets.values())).getsockname()[1]

    def keep(self, server: Any) -> None:
        self._servers.append(server)

    async def ask(self, port: int, *fields: str) -> dict[str, Any]:
        async with Client.connect(port) as client:
            await client.send(get("/", *fields))
            told: dict[str, Any] = json.loads((await client.response()).body)
            return told

    async def close(self) -> None:
        """Nothing may be left: no task, no descriptor, no connection, nothing unheard."""
        for server in self._servers:
            server.stop()
            await soon(server.close_all_connections())
            assert not server._connections
        self.requests.clear()
        known = self._known | {asyncio.current_task()}
        async with asyncio.timeout(PATIENCE):
            while asyncio.all_tasks() - known or open_sockets() > self._sockets:
                await asyncio.sleep(0.001)
        gc.collect()
        if self.library.is_ours:
            assert self.unheard == [], self.unheard
            for server in self._servers:
                assert not server._handlers and not server._openings
                assert server._clock is None or len(server._clock) == 0
                assert server._clock is None or server._clock._timer is None


@pytest.fixture
async def https(library: Library) -> AsyncIterator[Https]:
    https = Https(library)
    yield https
    await https.close()


# ------------------------------------------------------------------------------ who is asking


async def test_without_xheaders_a_client_can_say_what_it_likes(https: Https) -> None:
    _, port = https.serve()
    told = await https.ask(port, "X-Real-Ip: 4.4.4.4", "X-Forwarded-Proto: https")
    assert told["remote_ip"] == "127.0.0.1" and told["protocol"] == "http"
    assert told["original"] == ["127.0.0.1", "http"]


SAID = [
    ([], "127.0.0.1"),
    (["X-Real-Ip: 4.4.4.4"], "4.4.4.4"),
    (["X-Real-Ip: 2620:0:1cfe:face:b00c::3"], "2620:0:1cfe:face:b00c::3"),
    (["X-Forwarded-For: 127.0.0.1, 4.4.4.4"], "4.4.4.4"),
    (["X-Forwarded-For: ::1,2620:0:1cfe:face:b00c::3"], "2620:0:1cfe:face:b00c::3"),
    (["X-Forwarded-For: 4.4.4.4", "X-Real-Ip: 5.5.5.5"], "5.5.5.5"),
    (["X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 4.4.4.4"], "4.4.4.4"),
    # trusted: 5.5.5.5 and 6.6.6.6
    (["X-Forwarded-For: 1.1.1.1, 4.4.4.4, 5.5.5.5"], "4.4.4.4"),
    (["X-Forwarded-For: 1.1.1.1, 4.4.4.4, 6.6.6.6 ,5.5.5.5"], "4.4.4.4"),
    (["X-Forwarded-For: 6.6.6.6, 5.5.5.5"], "6.6.6.6"),
    # what is no address is nobody
    (["X-Real-Ip: 4.4.4.4<script>"], "127.0.0.1"),
    (["X-Real-Ip: www.google.com"], "127.0.0.1"),
    (["X-Real-Ip: 4.4.4.256"], "127.0.0.1"),
    (["X-Real-Ip:"], "127.0.0.1"),
    (["X-Forwarded-For: 4.4.4.4, evil"], "127.0.0.1"),
    (["X-Forwarded-For: 4.4.4.4,"], "127.0.0.1"),
    (["X-Forwarded-For: 4.4.4.4:80"], "127.0.0.1"),
    (["X-Forwarded-For: fe80::1%eth0"], "127.0.0.1"),  # a zone of somebody else's machine
]


@pytest.mark.parametrize(("fields", "ip"), SAID, ids=[" ".join(fields) for fields, _ in SAID])
async def test_xheaders_and_addresses(https: Https, fields: list[str], ip: str) -> None:
    if "%" in "".join(fields) and not https.library.is_ours:
        ip = "fe80::1%eth0"
    _, port = https.serve(xheaders=True, trusted_downstream=["5.5.5.5", "6.6.6.6"])
    told = await https.ask(port, *fields)
    assert told["remote_ip"] == ip
    assert told["context"][0] == ip and told["original"][0] == "127.0.0.1"


SCHEMES = [
    ([], "http"),
    (["X-Scheme: https"], "https"),
    (["X-Forwarded-Proto: https"], "https"),
    (["X-Forwarded-Proto: https, http"], "http"),
    (["X-Forwarded-Proto: http , https"], "https"),
    (["X-Scheme: http", "X-Forwarded-Proto: https"], "http"),
    (["X-Forwarded-Proto: unknown"], "http"),
    (["X-Forwarded-Proto: javascript"], "http"),
    (["X-Forwarded-Proto: https,"], "http"),
    (["X-Forwarded-Proto:"], "http"),
]


@pytest.mark.parametrize(("fields", "scheme"), SCHEMES, ids=[" ".join(f) for f, _ in SCHEMES])
async def test_xheaders_and_the_protocol(https: Https, fields: list[str], scheme: str) -> None:
    _, port = https.serve(xheaders=True)
    told = await https.ask(port, *fields)
    assert told["protocol"] == told["context"][1] == scheme
    assert told["original"][1] == "http"


async def test_what_a_proxy_says_holds_for_one_request(https: Https) -> None:
    _, port = https.serve(xheaders=True)
    async with Client.connect(port) as client:
        await client.send(get("/", "X-Real-Ip: 4.4.4.4", "X-Scheme: https") + get("/"))
        first, second = [json.loads((await client.response()).body) for _ in range(2)]
    assert (first["remote_ip"], first["protocol"]) == ("4.4.4.4", "https")
    assert (second["remote_ip"], second["protocol"]) == ("127.0.0.1", "http")
    if https.library.is_ours:  # Tornado changes one context to and fro
        kept = [request.connection.context.remote_ip for request in https.requests]
        assert kept == ["4.4.4.4", "127.0.0.1"]


@pytest.mark.parametrize("protocol", ["http", "https"])
async def test_protocol_is_what_the_server_was_told(https: Https, protocol: str) -> None:
    _, port = https.serve(protocol=protocol)
    assert (await https.ask(port))["protocol"] == protocol
    _, port = https.serve(protocol="https", xheaders=True)
    assert (await https.ask(port, "X-Forwarded-Proto: http"))["protocol"] == "http"
    assert (await https.ask(port, "X-Forwarded-Proto: gopher"))["protocol"] == "https"


async def test_the_context_of_a_request(https: Https) -> None:
    _, port = https.serve(trusted_downstream=["5.5.5.5"])
    async with Client.connect(port) as client:
        await client.send(get())
        await client.response()
        context = https.requests[0].connection.context
        assert context.address == client.writer.get_extra_info("sockname")
        assert context.remote_ip == "127.0.0.1" and context.protocol == "http"
        assert set(context.trusted_downstream) == {"5.5.5.5"}
        assert str(context) == "127.0.0.1"
        if https.library.is_ours:  # Tornado: AttributeError
            assert https.requests[0].get_ssl_certificate() is None


@pytest.mark.parametrize("xheaders", [False, True])
async def test_a_unix_socket(https: Https, tmp_path: Path, xheaders: bool) -> None:
    path = str(tmp_path / "s")
    server = https.library.httpserver.HTTPServer(https.whoami, xheaders=xheaders)
    https.keep(server)
    server.add_socket(https.library.netutil.bind_unix_socket(path))
    transport = httpx.AsyncHTTPTransport(uds=path, verify=NO_TLS)
    async with httpx.AsyncClient(transport=transport) as client:
        answer = await client.get("http://x/", headers={"X-Real-Ip": "4.4.4.4"})
    assert answer.json()["remote_ip"] == ("4.4.4.4" if xheaders else "0.0.0.0")
    assert str(https.requests[0].connection.context) in ("", "unix socket", "4.4.4.4")


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


# ------------------------------------------------------------------------------ TLS


def context_of_server(**checks: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)
    if checks:
        context.load_verify_locations(CERT)
        context.verify_mode = checks["verify_mode"]
    return context


async def test_https(https: Https) -> None:
    # Tornado's own way from a dict is deprecated in Python.
    options = SERVER_TLS if https.library.is_ours else context_of_server()
    _, port = https.serve(ssl_options=options)
    async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=CERT)) as client:
        for _ in range(2):
            answer = await client.get(f"https://localhost:{port}/")
            assert answer.status_code == 200
            assert answer.json()["protocol"] == "https"
    assert https.requests[0].connection.context is https.requests[1].connection.context


async def test_client_certificates(https: Https) -> None:
    _, port = https.serve(ssl_options=context_of_server(verify_mode=ssl.CERT_REQUIRED))
    context = ssl.create_default_context(cafile=CERT)
    context.load_cert_chain(CERT, KEY)
    async with httpx.AsyncClient(verify=context) as client:
        answer = await client.get(f"https://localhost:{port}/")
        assert answer.status_code == 200
        certificate = https.requests[0].get_ssl_certificate()
        assert certificate["subject"] == ((("commonName", "localhost"),),)
        binary = https.requests[0].get_ssl_certificate(binary_form=True)
        assert binary == ssl.PEM_cert_to_DER_cert(Path(CERT).read_text())
    async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=CERT)) as client:
        with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
            await client.get(f"https://localhost:{port}/")
    assert len(https.requests) == 1
    https.unheard.clear()  # in debug mode asyncio tells of the handshake


# ------------------------------------------------------------------------------ the end


@OURS
async def test_nothing_is_left_behind_idle_connections(https: Https) -> None:
    server, port = https.serve()
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client.connect(port)) for _ in range(5)]
        for client in clients[:3]:
            await client.send(get())
            await client.response()
        await clients[3].send(b"GET / HT")
        await until(lambda: len(server._connections) == 5)
        server.stop()
        await clients[0].send(get())
        assert (await clients[0].response()).status == 200, "existing connections go on"
        await soon(server.close_all_connections())
        assert not server._connections and len(server._clock) == 0
        for client in clients:
            assert await client.eof() == b""


@OURS
async def test_nothing_is_left_when_an_answer_is_not_finished(https: Https) -> None:
    begun: list[Any] = []
    closed: list[Any] = []

    def never(request: Any) -> None:
        begun.append(request)
        request.connection.set_close_callback(lambda: closed.append(request))

    server, port = https.serve(never)
    async with Client.connect(port) as client:
        await client.send(get())
        await until(lambda: begun)
        server.stop()
        await soon(server.close_all_connections())
        assert closed == begun
        assert await client.eof() == b""


@OURS
async def test_nothing_is_left_when_a_body_is_not_finished(https: Https) -> None:
    server, port = https.serve()
    async with Client.connect(port) as client:
        await client.send(post(b"x" * 10)[:-1])
        await until(lambda: server._connections)
        server.stop()
        await soon(server.close_all_connections())
        with contextlib.suppress(ConnectionResetError):  # if it was not read yet
            assert await client.eof() == b""


@OURS
async def test_a_client_that_does_not_read_cannot_hold_the_server(
    https: Https, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornadoish.iostream.base.CLOSE_SECONDS", 0.02)
    monkeypatch.setattr("tornadoish.tcpserver.TCPServer.clock_interval", 0.02)
    httputil = https.library.httputil
    begun: list[Any] = []

    def much(request: Any) -> None:
        request.connection.write_headers(
            httputil.ResponseStartLine("HTTP/1.1", 200, "OK"),
            httputil.HTTPHeaders({"Content-Length": str(16 << 20)}),
            bytes(16 << 20),
        )
        request.connection.finish()
        begun.append(request)

    server, port = https.serve(much)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.send(get())
        await until(lambda: begun)
        server.stop()
        await soon(server.close_all_connections())
        assert not server._connections


@OURS
async def test_a_silent_client_is_dropped(https: Https) -> None:
    server, port = https.serve(idle_connection_timeout=0.05)
    async with Client.connect(port) as client:
        assert await client.eof() == b""
    await until(lambda: not server._connections)


@OURS
async def test_who_speaks_no_tls_is_sent_away(https: Https) -> None:
    _, port = https.serve(ssl_options=SERVER_TLS)
    sock = socket.socket()
    sock.setblocking(False)
    peer = Peer(sock)
    await soon(asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port)))
    await peer.send(get())
    assert (await peer.rest()).startswith(b"HTTP/1.1 400 ")
    assert https.requests == []
    peer.close()
    async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=CERT)) as client:
        assert (await client.get(f"https://localhost:{port}/")).status_code == 200
