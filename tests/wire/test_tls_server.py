"""A server's TLS: handshakes good and bad, plain text instead, names, certificates that change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from libraries import Library
from servers import Servers, address_of, echo, is_closed, rounds
from streams import CERT, CERTS, KEY, SERVER_TLS
from support import Client, get, soon, until

from tornadoish.httpserver import HTTPServer
from tornadoish.netutil import CertificateStore, ssl_options_to_context
from tornadoish.tcpserver import TCPServer

RENEWED, EXAMPLE = str(CERTS / "renewed.pem"), str(CERTS / "example.pem")
RENEWED_FILES = {"certfile": RENEWED, "keyfile": str(CERTS / "renewed.key")}
EXAMPLE_FILES = (EXAMPLE, str(CERTS / "example.key"))
ENCRYPTED = {"certfile": EXAMPLE, "keyfile": str(CERTS / "encrypted.key")}
ALL = "".join(Path(file).read_text() for file in (CERT, RENEWED, EXAMPLE))


@pytest.fixture
def library() -> Library:
    return Library("tornadoish")


def client_context(**options: Any) -> ssl.SSLContext:
    """A client that believes all the certificates, and only what they say."""
    context = ssl.create_default_context(cadata=ALL)
    for name, value in options.items():
        setattr(context, name, value)
    return context


class TLSClient:
    """A connection over TLS, by asyncio's own streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @contextlib.asynccontextmanager
    async def of(
        cls, server: Any, name: str = "localhost", context: ssl.SSLContext | None = None
    ) -> Any:
        opening = asyncio.open_connection(
            *address_of(server), ssl=context or client_context(), server_hostname=name
        )
        client = cls(*await soon(opening))
        try:
            yield client
        finally:
            client.writer.transport.abort()
            with contextlib.suppress(OSError):
                await soon(client.writer.wait_closed())

    async def ask(self, line: bytes = b"hello\n") -> bytes:
        self.writer.write(line)
        answer: bytes = await soon(self.reader.readline())
        return answer

    @property
    def names(self) -> set[str]:
        """The names in the server's certificate."""
        found = self.writer.get_extra_info("peercert")["subjectAltName"]
        return {value for kind, value in found if kind == "DNS"}

    @property
    def key(self) -> bytes:
        """What tells the server's certificates apart."""
        certificate: bytes = self.writer.get_extra_info("ssl_object").getpeercert(True)
        return certificate


def der(file: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(Path(file).read_text())


def quiet(caplog: pytest.LogCaptureFixture) -> bool:
    """Nothing was logged with a traceback, and nothing as a warning or worse."""
    ours = [record for record in caplog.records if record.name != "asyncio"]
    return not any(r.exc_info or r.levelno >= logging.WARNING for r in ours)


# ------------------------------------------------------------------------------ handshakes


@pytest.mark.parametrize("kind", ["dict", "context", "store"])
async def test_tls(servers: Servers, kind: str) -> None:
    options: Any = SERVER_TLS
    if kind == "context":
        options = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        options.load_cert_chain(CERT, KEY)
    elif kind == "store":
        options = CertificateStore(SERVER_TLS)
    server = servers.listening(echo, ssl_options=options)
    async with TLSClient.of(server) as client:
        assert await client.ask() == b"hello\n"
        (stream,) = servers.streams
        assert isinstance(stream, servers.library.iostream.SSLIOStream)
        assert stream.ssl_object.version().startswith("TLSv1.")
        assert await soon(stream.wait_for_handshake()) is stream
        assert servers.addresses == [client.writer.get_extra_info("sockname")]


@pytest.mark.parametrize(
    "options",
    [
        {"certfile": CERT, "keyfile": "/nowhere"},
        {"certfile": "/nowhere"},
        {"certfiles": CERT},
        {"certfile": CERT, "keyfile": RENEWED_FILES["keyfile"]},
    ],
    ids=["no key", "no certificate", "unknown option", "another's key"],
)
def test_mistakes_in_ssl_options_show_at_once(options: Any) -> None:
    for make in (TCPServer, CertificateStore):
        with pytest.raises((OSError, ValueError)):
            make(options)


async def test_alpn(servers: Servers) -> None:
    options = SERVER_TLS | {"alpn_protocols": ["http/1.1", "other"]}
    for server_options in (options, CertificateStore(options, {"example.org": EXAMPLE_FILES})):
        server = servers.listening(echo, ssl_options=server_options)
        for offered, chosen in ((["other", "http/1.1"], "http/1.1"), (["x"], None), ([], None)):
            context = client_context()
            if offered:
                context.set_alpn_protocols(offered)
            for name in ("localhost", "example.org"):
                async with TLSClient.of(server, name, context) as client:
                    assert await client.ask() == b"hello\n"
                    session = client.writer.get_extra_info("ssl_object")
                    assert session.selected_alpn_protocol() == chosen
                if not isinstance(server_options, CertificateStore):
                    break


async def test_client_certificates(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    checks = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": CERT}
    store = CertificateStore(SERVER_TLS | checks, {"example.org": EXAMPLE_FILES})
    server = servers.listening(echo, ssl_options=store)
    known = client_context()
    known.load_cert_chain(CERT, KEY)
    for name in ("localhost", "example.org"):
        async with TLSClient.of(server, name, known) as client:
            assert await client.ask() == b"hello\n"
            subject = servers.streams[-1].ssl_object.getpeercert()["subject"]
            assert subject == ((("commonName", "localhost"),),)
    unknown = client_context()
    unknown.load_cert_chain(*EXAMPLE_FILES)
    for context in (client_context(), unknown):
        for name in ("localhost", "example.org"):
            caplog.clear()
            with contextlib.suppress(OSError):  # by TLS 1.3 the client learns of it when it reads
                async with TLSClient.of(server, name, context) as client:
                    assert await client.ask() == b""
            await until(lambda: server.connections == 0)
            ours = [record.message for record in caplog.records if record.name != "asyncio"]
            assert len(ours) == 1 and "TLS handshake with 127.0.0.1 failed: " in ours[0]
            assert quiet(caplog)
    assert len(servers.streams) == 2
    servers.unheard.clear()  # in debug mode asyncio tells of it


async def test_who_speaks_no_tls_is_sent_away(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = servers.listening(echo, ssl_options=SERVER_TLS)
    for said in (b"GET / HTTP/1.1\r\n\r\n", b"\x15\x03\x01\0\2\2\x28", b"\0", b"\x80\x2e"):
        peer = await servers.connect(server)
        await peer.send(said)
        assert await is_closed(peer)
    # A hello that is none: OpenSSL says so, by an alert.
    peer = await servers.connect(server)
    await peer.send(b"\x16" + bytes(20))
    with contextlib.suppress(ConnectionResetError):
        assert len(await peer.rest()) in (0, 7)
    early = await servers.connect(server)
    early.close()
    async with TLSClient.of(server) as client:  # the server goes on
        assert await client.ask() == b"hello\n"
    await until(lambda: server.connections == 0)
    messages = [record.message for record in caplog.records if record.name != "asyncio"]
    assert messages[:4] == ["127.0.0.1 speaks no TLS"] * 4
    assert len(messages) == 5 and messages[4].startswith("TLS handshake with 127.0.0.1 failed: ")
    assert quiet(caplog)
    assert len(servers.streams) == 1, "only whom hands were shaken with is handed over"
    servers.unheard.clear()  # in debug mode asyncio tells of it


async def test_a_client_that_trusts_nobody(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    server = servers.listening(echo, ssl_options=SERVER_TLS)
    with pytest.raises(ssl.SSLCertVerificationError):
        async with TLSClient.of(server, "localhost", ssl.create_default_context(cafile=EXAMPLE)):
            raise AssertionError("no such certificate")
    await until(lambda: server.connections == 0)
    assert quiet(caplog)


def hello(name: str = "localhost") -> bytes:
    """The first flight of a client."""
    outgoing = ssl.MemoryBIO()
    client = client_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("said", [b"", b"\x16", hello()[:100], hello()], ids=len)
async def test_who_is_silent_in_the_handshake_is_dropped(
    servers: Servers, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    server = servers.listening(echo, ssl_options=SERVER_TLS, ssl_handshake_timeout=0.1)
    peer = await servers.connect(server)
    await peer.send(said)
    with contextlib.suppress(ConnectionResetError):
        await peer.rest()
    await until(lambda: server.connections == 0)
    assert servers.streams == [] and quiet(caplog)
    servers.unheard.clear()  # in debug mode asyncio tells of it


async def test_the_time_of_a_handshake_is_counted_from_accepting(servers: Servers) -> None:
    """Who begins late has the less of it, and who sends a byte now and then has no more."""
    server = servers.listening(echo, ssl_options=SERVER_TLS, ssl_handshake_timeout=1.0)
    loop = asyncio.get_running_loop()
    late, slow = await servers.connect(server), await servers.connect(server)
    begun = loop.time()
    closed = [asyncio.ensure_future(is_closed(peer)) for peer in (late, slow)]

    async def dribble() -> None:
        with contextlib.suppress(OSError):
            for byte in hello():
                await slow.send(bytes([byte]))
                await asyncio.sleep(0.02)

    dribbling = asyncio.ensure_future(dribble())
    await asyncio.sleep(0.7)
    await late.send(hello()[:100])
    for future in closed:
        assert await soon(future)
        assert 0.9 < loop.time() - begun < 1.6
    dribbling.cancel()
    servers.unheard.clear()  # in debug mode asyncio tells of it


async def test_a_server_that_shakes_hands_can_end(servers: Servers) -> None:
    server = servers.listening(echo, ssl_options=SERVER_TLS)
    silent, half = await servers.connect(server), await servers.connect(server)
    await half.send(hello()[:50])
    await until(lambda: len(server._openings) == 2)
    await rounds()
    server.stop()
    assert server.connections == 2
    server.abort_openings()
    assert await is_closed(silent) and await is_closed(half)
    await until(lambda: server.connections == 0)


# ------------------------------------------------------------------------------ plain text


async def test_what_is_answered_in_the_clear(servers: Servers) -> None:
    seen: list[bytes] = []

    def refuse(first_bytes: bytes) -> bytes | None:
        seen.append(first_bytes)
        return b"500 TLS, please\r\n"

    server = servers.listening(echo, ssl_options=SERVER_TLS)
    server.plaintext_on_tls = refuse
    peer = await servers.connect(server)
    await peer.send(b"HELO\r\n")
    assert await peer.rest() == b"500 TLS, please\r\n"
    assert seen == [b"HELO\r\n"]
    assert server.connections == 1, "until the peer has read it"
    await peer.send(bytes(100_000))  # and no reset
    peer.close()
    await until(lambda: server.connections == 0)


async def test_an_answer_in_the_clear_takes_no_more_than_a_while(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tornadoish.tcpserver import opening

    monkeypatch.setattr(opening, "_LINGER_SECONDS", 0.05)
    server = servers.listening(echo, ssl_options=SERVER_TLS)
    server.plaintext_on_tls = lambda first_bytes: b"no"
    idle = await servers.connect(server)
    await idle.send(b"x")
    assert await idle.rest() == b"no"
    await until(lambda: server.connections == 0)
    monkeypatch.setattr(opening, "_LINGER_SECONDS", 1000.0)
    endless = await servers.connect(server)
    with pytest.raises(OSError):
        for _ in range(10_000):
            await endless.send(bytes(65536))
    await until(lambda: server.connections == 0)


async def test_a_fault_in_what_is_answered(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    server = servers.listening(echo, ssl_options=SERVER_TLS)
    server.plaintext_on_tls = lambda first_bytes: 1 / 0
    peer = await servers.connect(server)
    await peer.send(b"x")
    assert await is_closed(peer)
    assert [record.name for record in caplog.records] == ["tornado.application"]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("body", [0, 300_000])
async def test_http_on_the_https_port(body: int) -> None:
    server = HTTPServer(lambda request: None, ssl_options=SERVER_TLS)
    server.listen(0, "127.0.0.1")
    request = get("/").replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: ")
    request += b"%d\r\n\r\n" % body + bytes(body)
    async with Client.connect(address_of(server)[1]) as client:
        await client.send(request)
        response = await client.response()
        assert response.status == 400 and response.version == "1.1"
        assert response.headers["connection"] == "close"
        assert b"HTTPS" in response.body
        assert await client.eof() == b""
    async with Client.connect(address_of(server)[1]) as client:
        await client.send(b"\0\1\2\3")  # no HTTP either
        with contextlib.suppress(ConnectionResetError):
            assert await client.eof() == b""
    await until(lambda: server.connections == 0)
    server.stop()


# ------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("example.org", EXAMPLE),
        ("EXAMPLE.org", EXAMPLE),
        ("www.example.org", EXAMPLE),
        ("a.b.example.org", CERT),
        ("exact.example.org", RENEWED),
        ("example.org.example.com", CERT),
        ("localhost", CERT),
        ("", CERT),
        ("127.0.0.1", CERT),
    ],
)
async def test_each_name_has_its_certificate(servers: Servers, name: str, file: str) -> None:
    renewed = (RENEWED_FILES["certfile"], RENEWED_FILES["keyfile"])
    store = CertificateStore(
        SERVER_TLS,
        {
            "Example.org": EXAMPLE_FILES,
            "*.example.org": EXAMPLE_FILES,
            "exact.example.org": renewed,
        },
    )
    server = servers.listening(echo, ssl_options=store)
    context = client_context(check_hostname=False)
    async with TLSClient.of(server, name, context) as client:
        assert await client.ask() == b"hello\n"
        assert client.key == der(file)


async def test_without_a_default_only_the_names_are_served(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    server = servers.listening(
        echo, ssl_options=CertificateStore({}, {"example.org": EXAMPLE_FILES})
    )
    async with TLSClient.of(server, "example.org") as client:
        assert await client.ask() == b"hello\n"
        assert client.names == {"example.org", "*.example.org"}
    with pytest.raises(OSError):  # the event loops send no alert when a handshake fails
        async with TLSClient.of(server, "localhost"):
            raise AssertionError("there is no certificate")
    await until(lambda: server.connections == 0)
    assert quiet(caplog) and len(servers.streams) == 1
    servers.unheard.clear()  # in debug mode asyncio tells of it


def test_who_asks_for_a_name_that_is_not_served_is_told() -> None:
    """By an alert (RFC 6066, 3); the event loops do not send it on, others do."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    store = CertificateStore({}, {"example.org": EXAMPLE_FILES})
    session = store.context.wrap_bio(incoming, outgoing, server_side=True)
    client = client_context().wrap_bio(outgoing, incoming, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with pytest.raises(ssl.SSLError):
        session.do_handshake()
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized[ _]name"):
        client.do_handshake()


@pytest.mark.parametrize(
    "name",
    ["", "*", "*.", "a.*", "*a.org", "*.*.org", "a b", "a..b", ".a", "bücher.example", "a:1"],
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="no host name"):
        CertificateStore(SERVER_TLS, {name: EXAMPLE_FILES})


async def test_what_the_options_do_not_have(servers: Servers) -> None:
    def configure(context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    store = CertificateStore(SERVER_TLS, {"example.org": EXAMPLE_FILES}, configure)
    server = servers.listening(echo, ssl_options=store)
    async with TLSClient.of(server, "example.org") as client:
        assert client.writer.get_extra_info("ssl_object").version() == "TLSv1.2"


# ------------------------------------------------------------------------------ reloading


class Files:
    """A certificate that can be replaced on disk."""

    def __init__(self, directory: Path) -> None:
        self.options = {"certfile": str(directory / "c"), "keyfile": str(directory / "k")}

    def put(self, certfile: str, keyfile: str) -> None:
        shutil.copy(certfile, self.options["certfile"])
        shutil.copy(keyfile, self.options["keyfile"])


@pytest.mark.parametrize("kind", ["dict", "store", "name"])
async def test_certificates_change_while_connections_go_on(
    servers: Servers, tmp_path: Path, kind: str
) -> None:
    files = Files(tmp_path)
    files.put(CERT, KEY)
    options: Any = files.options
    if kind == "store":
        options = CertificateStore(files.options)
    elif kind == "name":
        pair = (files.options["certfile"], files.options["keyfile"])
        options = CertificateStore({}, {"localhost": pair})
    server = servers.listening(echo, ssl_options=options)
    async with TLSClient.of(server) as old:
        assert await old.ask() == b"hello\n" and old.key == der(CERT)
        files.put(**RENEWED_FILES)
        async with TLSClient.of(server) as same:
            assert same.key == der(CERT), "not before it is told"
        server.reload_certificates()
        async with TLSClient.of(server) as new:
            assert await new.ask() == b"hello\n" and new.key == der(RENEWED)
            assert await old.ask() == b"hello\n"
            # Broken, it changes nothing.
            files.put(RENEWED, KEY)
            with pytest.raises(ssl.SSLError):
                server.reload_certificates()
            Path(files.options["keyfile"]).unlink()
            with pytest.raises(OSError):
                server.reload_certificates()
            files.put(ENCRYPTED["certfile"], ENCRYPTED["keyfile"])
            if kind != "dict":  # which OpenSSL would ask on the terminal for
                with pytest.raises(ValueError, match="password"):
                    server.reload_certificates()
            async with TLSClient.of(server) as unchanged:
                assert await unchanged.ask() == b"hello\n" and unchanged.key == der(RENEWED)
            assert await old.ask() == b"hello\n" and await new.ask() == b"hello\n"
            files.put(CERT, KEY)
            server.reload_certificates()
            async with TLSClient.of(server) as back:
                assert back.key == der(CERT)


async def test_authorities_are_reloaded_too(servers: Servers, tmp_path: Path) -> None:
    authorities = tmp_path / "ca"
    shutil.copy(CERT, authorities)
    checks = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": str(authorities)}
    server = servers.listening(echo, ssl_options=CertificateStore(SERVER_TLS | checks))
    context = client_context()
    context.load_cert_chain(*EXAMPLE_FILES)

    async def is_served() -> bool:
        try:
            async with TLSClient.of(server, "localhost", context) as client:
                return bool(await client.ask())
        except OSError:
            return False

    assert not await is_served()
    shutil.copy(EXAMPLE, authorities)
    server.reload_certificates()
    assert await is_served()
    servers.unheard.clear()  # in debug mode asyncio tells of it


async def test_a_store_serves_others_too(tmp_path: Path) -> None:
    """Its context is a context like any other: here of asyncio's own server."""
    files = Files(tmp_path)
    files.put(CERT, KEY)
    store = CertificateStore(files.options)
    assert ssl_options_to_context(store, server_side=True) is store.context

    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    server = await asyncio.start_server(end, "127.0.0.1", 0, ssl=store.context)
    for file in (CERT, RENEWED):
        port = server.sockets[0].getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as sock:
            loop = asyncio.get_running_loop()
            context = client_context()
            wrapping = loop.run_in_executor(
                None, lambda sock=sock, context=context: context.wrap_socket(
                    sock, server_hostname="localhost"
                )
            )  # fmt: skip
            wrapped = await soon(wrapping)
            assert wrapped.getpeercert(True) == der(file)
            wrapped.close()
        files.put(**RENEWED_FILES)
        store.reload()
    server.close()
    await soon(server.wait_closed())


def test_a_context_cannot_be_reloaded() -> None:
    """Nobody knows what files it was made of."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for options in (context, None):
        with pytest.raises(TypeError):
            TCPServer(options).reload_certificates()


def test_a_password() -> None:
    for make in (TCPServer, CertificateStore):
        make(ENCRYPTED | {"password": "secret"})
        with pytest.raises(ssl.SSLError):
            make(ENCRYPTED | {"password": "wrong"})
    with pytest.raises(ValueError, match="password"):
        CertificateStore(ENCRYPTED)
