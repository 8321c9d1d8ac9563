"""Streams over TLS: SSLIOStream, start_tls, certificates, and handshakes that fail."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from typing import Any

import pytest
from streams import CERT, CLIENT_TLS, KEY, OURS, SERVER_TLS, Peer, Streams, socket_pair
from support import soon, until


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)
    return context


async def tls_echo(streams: Streams) -> tuple[Any, ...]:
    """The address of a TLS server of asyncio's own that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context())
    streams.at_end(server.close)
    address: tuple[Any, ...] = server.sockets[0].getsockname()
    return address


async def shaking_hands(streams: Streams) -> tuple[Any, Any, Peer]:
    """A client in its handshake, the future of that, and a peer that does its part by hand."""
    listener = streams.listener()
    stream = streams.keep(streams.io.SSLIOStream(socket.socket(), ssl_options=CLIENT_TLS))
    connected = stream.connect(listener.getsockname(), server_hostname="localhost")
    peer = await streams.accept(listener)
    return stream, connected, peer


def quiet(caplog: pytest.LogCaptureFixture) -> bool:
    """Nothing was logged with a traceback, and nothing as an error."""
    return not any(r.exc_info or r.levelno >= logging.ERROR for r in caplog.records)


# ------------------------------------------------------------------------------ clients


@pytest.mark.parametrize("as_context", [False, True])
async def test_connect(streams: Streams, as_context: bool) -> None:
    options: Any = CLIENT_TLS
    if as_context:
        options = ssl.create_default_context(cafile=CERT)
    stream = streams.keep(streams.io.SSLIOStream(socket.socket(), ssl_options=options))
    connected = stream.connect(await tls_echo(streams), server_hostname="localhost")
    written = stream.write(b"early ")
    assert await soon(connected) is stream
    await soon(written)
    data = bytes(range(256)) * 4096
    sending = asyncio.ensure_future(soon(stream.write(data)))
    assert await soon(stream.read_bytes(6 + len(data))) == b"early " + data
    await sending
    if streams.library.is_ours:
        assert stream.ssl_object.getpeercert()["subject"] == ((("commonName", "localhost"),),)
        stream.close()
        await until(lambda: stream.fileno() == -1)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (CLIENT_TLS, "example.org"),
        (None, "localhost"),
        ({"cert_reqs": ssl.CERT_REQUIRED}, "localhost"),
    ],
    ids=["wrong name", "unknown issuer by default", "unknown issuer"],
)  # fmt: skip
async def test_a_certificate_that_proves_nothing_is_refused(
    streams: Streams, caplog: pytest.LogCaptureFixture, options: Any, name: str
) -> None:
    address = await tls_echo(streams)
    sock = socket.socket()
    stream = streams.keep(streams.io.SSLIOStream(sock, ssl_options=options))
    calls: list[int] = []
    stream.set_close_callback(lambda: calls.append(1))
    with pytest.raises(OSError) as caught:  # Tornado's is not always a StreamClosedError
        await soon(stream.connect(address, server_hostname=name))
    if streams.library.is_ours:
        assert isinstance(caught.value, streams.io.StreamClosedError)
        assert isinstance(caught.value.real_error, ssl.SSLCertVerificationError)
        assert stream.error is caught.value.real_error
        assert quiet(caplog)
    assert stream.closed()
    await until(lambda: calls)
    assert calls == [1]
    await until(lambda: sock.fileno() == -1)


@OURS
async def test_who_wants_no_check_gets_none(streams: Streams) -> None:
    options = {"cert_reqs": ssl.CERT_NONE}
    stream = streams.keep(streams.io.SSLIOStream(socket.socket(), ssl_options=options))
    await soon(stream.connect(await tls_echo(streams)))
    await soon(stream.write(b"x"))
    assert await soon(stream.read_bytes(1)) == b"x"


@OURS
async def test_a_check_without_a_name_fails_and_does_not_hang(streams: Streams) -> None:
    """asyncio would not check it then."""
    stream = streams.keep(streams.io.SSLIOStream(socket.socket(), ssl_options=CLIENT_TLS))
    with pytest.raises(streams.io.StreamClosedError) as caught:
        await soon(stream.connect(await tls_echo(streams)))
    assert isinstance(caught.value.real_error, ValueError)


async def test_a_server_that_does_not_speak_tls(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    stream, connected, peer = await shaking_hands(streams)
    await peer.send(b"220 mail.example.org ESMTP\r\n" * 10)
    with pytest.raises(OSError) as caught:
        await soon(connected)
    if streams.library.is_ours:
        assert isinstance(caught.value, streams.io.StreamClosedError)
        assert isinstance(caught.value.real_error, ssl.SSLError)
        assert quiet(caplog)
    assert stream.closed()


async def test_a_server_that_goes_away_in_the_handshake(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    stream, connected, peer = await shaking_hands(streams)
    assert await peer.take(1)
    peer.close()
    with pytest.raises(OSError):
        await soon(connected)
    assert stream.closed()
    if streams.library.is_ours:
        assert quiet(caplog)


@OURS
async def test_close_in_the_handshake(streams: Streams) -> None:
    stream, connected, peer = await shaking_hands(streams)
    await peer.take(1)
    stream.close()
    with pytest.raises(streams.io.StreamClosedError):
        await soon(connected)
    await peer.rest()
    assert stream.fileno() == -1


# ------------------------------------------------------------------------------ servers


async def test_an_ssl_socket_from_ssl_wrap_socket(streams: Streams) -> None:
    ours, theirs = socket_pair()
    wrap = streams.library.netutil.ssl_wrap_socket
    client = ssl.create_default_context(cafile=CERT)
    server = streams.keep(
        streams.io.SSLIOStream(
            wrap(ours, server_context(), server_side=True, do_handshake_on_connect=False)
        )
    )
    caller = streams.keep(
        streams.io.SSLIOStream(
            wrap(theirs, client, server_hostname="localhost", do_handshake_on_connect=False),
            ssl_options=client,
        )
    )
    shaken = server.wait_for_handshake()
    hello = caller.write(b"hello")
    assert await soon(shaken) is server
    assert await soon(server.wait_for_handshake()) is server
    await soon(hello)
    assert await soon(server.read_bytes(5)) == b"hello"
    await soon(server.write(b"world"))
    assert await soon(caller.read_bytes(5)) == b"world"


@OURS
async def test_an_ssl_socket_of_a_client_keeps_its_host_name(streams: Streams) -> None:
    """Which ``ssl_wrap_socket`` was given, and the certificate must have."""
    for name, good in (("localhost", True), ("example.org", False)):
        ours, theirs = socket_pair()
        server = streams.keep(streams.io.SSLIOStream(_wrapped_server(streams, ours)))
        server.wait_for_handshake().add_done_callback(lambda future: future.exception())
        wrapped = streams.library.netutil.ssl_wrap_socket(
            theirs, CLIENT_TLS, server_hostname=name, do_handshake_on_connect=False
        )
        client = streams.keep(streams.io.SSLIOStream(wrapped))
        if good:
            assert await soon(client.wait_for_handshake()) is client
        else:
            with pytest.raises(streams.io.StreamClosedError) as caught:
                await soon(client.wait_for_handshake())
            assert isinstance(caught.value.real_error, ssl.SSLCertVerificationError)


def _wrapped_server(streams: Streams, sock: socket.socket) -> ssl.SSLSocket:
    wrapped: ssl.SSLSocket = streams.library.netutil.ssl_wrap_socket(
        sock, SERVER_TLS, server_side=True, do_handshake_on_connect=False
    )
    return wrapped


@OURS
async def test_wait_for_handshake_while_hands_are_being_shaken(streams: Streams) -> None:
    stream = streams.keep(streams.io.SSLIOStream(socket.socket(), ssl_options=CLIENT_TLS))
    connected = stream.connect(await tls_echo(streams), server_hostname="localhost")
    shaken, again = stream.wait_for_handshake(), stream.wait_for_handshake()
    assert not shaken.done()
    assert await soon(shaken) is stream and await soon(again) is stream
    assert await soon(connected) is stream
    stream.close()
    with pytest.raises(streams.io.StreamClosedError):
        await soon(stream.wait_for_handshake())


# ------------------------------------------------------------------------------ start_tls


async def upgraded(streams: Streams, client_options: Any = CLIENT_TLS) -> tuple[Any, Any, Any, Any]:
    """Two streams that speak in the clear, and the futures of both after STARTTLS."""
    ours, theirs = socket_pair()
    server, client = (streams.keep(streams.io.IOStream(sock)) for sock in (ours, theirs))
    await soon(client.write(b"STARTTLS\n"))
    assert await soon(server.read_until(b"\n")) == b"STARTTLS\n"
    await soon(server.write(b"go\n"))
    assert await soon(client.read_until(b"\n")) == b"go\n"
    return (
        server,
        client,
        server.start_tls(True, SERVER_TLS),
        client.start_tls(False, client_options, server_hostname="localhost"),
    )


async def test_start_tls_on_both_sides(streams: Streams) -> None:
    server, client, server_future, client_future = await upgraded(streams)
    secure_server, secure_client = await soon(server_future), await soon(client_future)
    for stream in (secure_server, secure_client):
        assert isinstance(stream, streams.io.SSLIOStream)
        streams.keep(stream)
    await soon(secure_client.write(b"secret\n"))
    assert await soon(secure_server.read_until(b"\n")) == b"secret\n"
    data = bytes(range(256)) * 8192
    sending = asyncio.ensure_future(soon(secure_server.write(data)))
    assert await soon(secure_client.read_bytes(len(data))) == data
    await sending
    for old in (server, client) if streams.library.is_ours else ():
        assert old.closed()
        with pytest.raises(streams.io.StreamClosedError):
            old.write(b"x")
        old.close()
    await soon(secure_client.write(b"still open"))
    assert await soon(secure_server.read_bytes(10)) == b"still open"


async def test_the_close_callback_and_the_limits_go_with_the_connection(streams: Streams) -> None:
    ours, theirs = socket_pair()
    peer = Peer(theirs)
    streams.at_end(peer.close)
    stream = streams.keep(streams.io.IOStream(ours, max_buffer_size=123456))
    await soon(stream.write(b"-"))
    calls: list[int] = []
    stream.set_close_callback(lambda: calls.append(1))
    future = stream.start_tls(True, SERVER_TLS)
    assert calls == []
    peer.close()
    with pytest.raises(streams.io.StreamClosedError if streams.library.is_ours else OSError):
        await soon(future)
    await until(lambda: calls)
    assert calls == [1]


@OURS
async def test_the_clock_goes_with_the_connection(streams: Streams) -> None:
    clock = streams.io.DeadlineClock(time=lambda: 0.0)
    ours, theirs = socket_pair()
    server, client = (streams.keep(streams.io.IOStream(sock)) for sock in (ours, theirs))
    await soon(server.write(b"-"))
    await soon(client.read_bytes(1))
    server.watch(clock)
    futures = server.start_tls(True, SERVER_TLS), client.start_tls(False, CLIENT_TLS, "localhost")
    secure, other = [streams.keep(await soon(future)) for future in futures]
    assert len(clock) == 1 and secure.clock is clock
    secure.abort()
    other.abort()
    await until(lambda: len(clock) == 0)


async def test_start_tls_needs_an_idle_stream(streams: Streams) -> None:
    stream, peer = await streams.open_pair(small=True)
    read = stream.read_bytes(1)
    with pytest.raises(ValueError, match="not idle"):
        stream.start_tls(True, SERVER_TLS)
    await peer.send(b"x")
    await soon(read)
    stream.write(bytes(4 << 20))
    with pytest.raises(ValueError, match="not idle"):
        stream.start_tls(True, SERVER_TLS)
    await peer.take(4 << 20)
    await until(lambda: not stream.writing())


@OURS
async def test_start_tls_refuses_what_came_in_the_clear_and_nobody_read(streams: Streams) -> None:
    """CVE-2011-0411 and its many children: it would be taken for what came over TLS."""
    stream, peer = await streams.open_pair()
    await peer.send(b"STARTTLS\nINJECTED\n")
    assert await soon(stream.read_until(b"\n")) == b"STARTTLS\n"
    with pytest.raises(ValueError, match="not idle"):
        stream.start_tls(True, SERVER_TLS)
    assert await soon(stream.read_until(b"\n")) == b"INJECTED\n"


@OURS
async def test_a_peer_that_is_quick_after_start_tls(streams: Streams) -> None:
    """Its hello is there before the loop has taken over: the old stream must not swallow it."""
    stream, peer = await streams.open_pair()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=CERT)
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    futures: list[Any] = []
    loop = asyncio.get_running_loop()
    peer.sock.send(outgoing.read())
    # Called in the very round of the loop in which the hello is read; uvloop reads before it calls.
    if "uvloop" in type(loop).__module__:
        futures.append(stream.start_tls(True, SERVER_TLS))
    else:
        loop.call_soon(lambda: futures.append(stream.start_tls(True, SERVER_TLS)))
    while True:
        incoming.write(await soon(loop.sock_recv(peer.sock, 65536)))
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            continue
        break
    client.write(b"hello")
    await peer.send(outgoing.read())
    secure = streams.keep(await soon(futures[0]))
    assert await soon(secure.read_bytes(5)) == b"hello"


async def test_start_tls_with_a_certificate_that_proves_nothing(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    *_, server_future, client_future = await upgraded(streams, {"cert_reqs": ssl.CERT_REQUIRED})
    with pytest.raises((streams.io.StreamClosedError, ssl.SSLError)) as caught:
        await soon(client_future)
    with pytest.raises((streams.io.StreamClosedError, ssl.SSLError)):
        streams.keep(await soon(server_future))
        await soon(streams._streams[-1].read_bytes(1))  # TLS 1.3: the server hears of it later
    if streams.library.is_ours:
        assert isinstance(getattr(caught.value, "real_error", None), ssl.SSLCertVerificationError)
        assert quiet(caplog)


@OURS
async def test_start_tls_that_must_check_a_name_and_has_none(streams: Streams) -> None:
    stream, peer = await streams.open_pair()
    with pytest.raises(ValueError, match="server_hostname"):
        stream.start_tls(False, CLIENT_TLS)
    await soon(stream.write(b"nothing happened"))
    assert await peer.take(16) == b"nothing happened"


@OURS
async def test_start_tls_with_a_peer_that_goes_away(
    streams: Streams, caplog: pytest.LogCaptureFixture
) -> None:
    stream, peer = await streams.open_pair()
    future = stream.start_tls(True, SERVER_TLS)
    await peer.send(b"\x16\x03\x01")
    peer.close()
    with pytest.raises(streams.io.StreamClosedError):
        await soon(future)
    assert quiet(caplog)


@pytest.mark.parametrize("server_side", [True, False])
async def test_start_tls_that_is_cancelled_closes_the_connection(
    streams: Streams, server_side: bool
) -> None:
    """Nobody else could: whoever cancels has not got the new stream."""
    stream, peer = await streams.open_pair()
    if server_side:
        future = stream.start_tls(True, SERVER_TLS)
    else:
        future = stream.start_tls(False, CLIENT_TLS, "localhost")
        assert await peer.take(1) == b"\x16", "the handshake has begun"
    future.cancel()
    await peer.rest()
    await until(lambda: stream.fileno() == -1 if streams.library.is_ours else True)


# ------------------------------------------------------------------------------ bounds


@OURS
async def test_what_a_peer_sends_to_nobody_over_tls_is_not_hoarded(streams: Streams) -> None:
    ours, theirs = socket_pair()
    server = streams.keep(streams.io.SSLIOStream(_wrapped_server(streams, ours)))
    shaken = server.wait_for_handshake()
    reader, writer = await soon(
        asyncio.open_connection(
            sock=theirs,
            ssl=ssl.create_default_context(cafile=CERT),
            server_hostname="localhost",
        )
    )
    streams.at_end(lambda: writer.transport.abort())  # noqa: PLW0108 - keeps the writer
    await soon(shaken)
    total = 20 << 20

    async def send() -> None:
        for _ in range(total >> 16):
            writer.write(bytes(1 << 16))
            await writer.drain()

    sending = asyncio.ensure_future(send())
    await until(lambda: server.paused)
    for _ in range(50):
        await asyncio.sleep(0)
    assert 0 < len(server.buffer) <= (64 << 10) + (512 << 10)
    assert not sending.done()
    got = 0
    while got < total:
        got += len(await soon(server.read_bytes(1 << 20, partial=True)))
    await soon(sending)
    assert got == total
    await soon(server.write(b"and back"))
    assert await soon(reader.readexactly(8)) == b"and back"


@OURS
async def test_a_paused_stream_can_be_closed_when_its_peer_has_ended(streams: Streams) -> None:
    """asyncio's TLS transports keep the end of input until reading goes on, and do not close before
    it has been taken: the descriptor would stay for ever."""
    peers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(
        lambda _, writer: peers.append(writer), "127.0.0.1", 0, ssl=server_context()
    )
    streams.at_end(server.close)
    stream = streams.keep(streams.io.SSLIOStream(socket.socket(), ssl_options=CLIENT_TLS))
    await soon(stream.connect(server.sockets[0].getsockname(), server_hostname="localhost"))
    await until(lambda: peers)
    stream.pause_reading()
    with socket.socket(fileno=os.dup(stream.fileno())) as twin:
        twin.setblocking(False)
        peers[0].transport.abort()  # without the closure alert that TLS asks for
        await until(lambda: _has_ended(twin))
    for _ in range(3):  # in which the transport hears of it, too
        await asyncio.sleep(0)
    stream.close()
    await until(lambda: stream.socket is None)


def _has_ended(sock: socket.socket) -> bool:
    """Whether there is nothing more to be read but the end."""
    try:
        return sock.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


async def test_start_tls_before_anything_else(streams: Streams) -> None:
    """A stream over a socket that somebody else has connected."""
    address = await tls_echo(streams)
    stream = streams.keep(streams.io.IOStream(socket.create_connection(address[:2])))
    secured = streams.keep(
        await soon(stream.start_tls(False, {"ca_certs": CERT}, server_hostname="localhost"))
    )
    await soon(secured.write(b"hello"))
    assert await soon(secured.read_bytes(5)) == b"hello"


async def test_start_tls_of_a_stream_that_is_closed(streams: Streams) -> None:
    stream, _peer = await streams.open_pair()
    stream.close()
    with pytest.raises((streams.io.StreamClosedError, ValueError, AttributeError)):
        await soon(stream.start_tls(False, {"ca_certs": CERT}, server_hostname="localhost"))


async def test_the_socket_knows_what_tls_says(streams: Streams) -> None:
    """As distributed asks its streams for the peer's certificate and the cipher."""
    stream = streams.keep(streams.io.SSLIOStream(socket.socket(), ssl_options=CLIENT_TLS))
    await soon(stream.connect(await tls_echo(streams), server_hostname="localhost"))
    assert "subject" in stream.socket.getpeercert()
    assert len(stream.socket.cipher()) == 3
    assert stream.socket.getsockname() and stream.socket.fileno() >= 0
