"""Accepting: how many, from whom, what waits, how it ends; TCP and Unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import logging
import os
import resource
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from libraries import Library
from servers import Servers, address_of, ask, echo, is_closed, rounds
from streams import SERVER_TLS, Peer
from support import Client, get, soon, until

from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import HTTPHeaders, ResponseStartLine
from tornadoish.netutil import bind_unix_socket
from tornadoish.tcpserver import server as server_module


@pytest.fixture
def library() -> Library:
    """Tornado has nothing of this."""
    return Library("tornadoish")


# ------------------------------------------------------------------------------ how many


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_at_the_bound_accepting_pauses(servers: Servers, tmp_path: Path, kind: str) -> None:
    """Whoever comes then waits, is not reset, and is served when others have gone."""
    server = servers.make(echo, max_connections=2)
    if kind == "tcp":
        server.listen(0, "127.0.0.1")
    else:
        server.listen_unix(str(tmp_path / "s"))
    peers = [await servers.connect(server) for _ in range(5)]
    for peer in peers:
        await peer.send(b"hello\n")
    for gone in range(5):
        served = min(gone + 2, 5)
        await until(lambda served=served: len(servers.streams) == served)
        await rounds()
        assert len(servers.streams) == served
        assert server.connections == min(2, 5 - gone)
        assert await peers[gone].take(6) == b"hello\n"
        peers[gone].close()
    await until(lambda: server.connections == 0)


async def test_the_pause_is_said_once(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    server = servers.listening(echo, max_connections=4)
    peers = [await servers.connect(server) for _ in range(4)]
    await until(lambda: len(servers.streams) == 4)
    for _ in range(3):  # to and fro at the bound
        peers.pop().close()
        await until(lambda: server.connections == 3)
        peers.append(await servers.connect(server))
        await until(lambda: server.connections == 4)
    assert [record.message for record in caplog.records] == [
        "4 connections: accepting pauses until some close"
    ]
    while peers:
        peers.pop().close()
    await until(lambda: server.connections == 0)
    peers += [await servers.connect(server) for _ in range(4)]
    await until(lambda: server.connections == 4)
    assert len(caplog.records) == 2


async def test_near_the_bound_the_loop_does_not_accept(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvloop's own server accepts where there is much room, and does again."""
    monkeypatch.setattr(server_module, "_NEAR", 3)
    server = servers.listening(echo, max_connections=10)
    on_uvloop = "uvloop" in type(asyncio.get_running_loop()).__module__
    far = "the loop's" if on_uvloop else "ours"
    for _ in range(2):
        seen: list[str] = []
        peers: list[Peer] = []
        for count in range(10):
            seen.append(server._how)
            peers.append(await servers.connect(server))
            assert await ask(peers[-1]) == b"hello\n"
            assert server.connections == count + 1
        assert seen == [far] * 8 + ["ours"] * 2
        assert {listener.how for listener in server._listeners} == {"paused"}
        late = [await servers.connect(server) for _ in range(3)]
        await rounds()
        assert server.connections == 10
        for peer in peers:
            peer.close()
        for peer in late:
            assert await ask(peer) == b"hello\n"
            peer.close()
        await until(lambda: server.connections == 0)
        assert server._how == far


async def test_sockets_that_are_added_later_pause_too(servers: Servers) -> None:
    server = servers.listening(echo, max_connections=1)
    first = await servers.connect(server)
    assert await ask(first) == b"hello\n"
    server.listen(0, "127.0.0.1")
    later = await servers.connect(list(server._sockets.values())[1].getsockname())
    await later.send(b"hello\n")
    await rounds()
    assert server.connections == 1
    first.close()
    assert await later.take(6) == b"hello\n"


async def test_a_connection_counts_as_long_as_its_socket_is_open(servers: Servers) -> None:
    """However it ends, and whoever has it by then. (The fixture looks for 0 at the end.)"""
    server = servers.listening(lambda stream: None)
    assert server.connections == 0

    async def connection() -> tuple[Any, Peer]:
        before = len(servers.streams)
        peer = await servers.connect(server)
        await until(lambda: len(servers.streams) > before)
        assert server.connections == 1
        return servers.streams[-1], peer

    async def gone() -> None:
        await until(lambda: server.connections == 0)

    stream, peer = await connection()
    peer.close()
    await gone()
    stream, peer = await connection()
    peer.reset()
    await gone()
    stream, peer = await connection()
    stream.abort()
    stream.abort()
    await gone()
    stream, peer = await connection()
    stream.write(bytes(16 << 20))
    stream.close()
    assert stream.closed() and server.connections == 1, "it is still sending"
    assert len(await peer.rest()) == 16 << 20
    await gone()
    stream, peer = await connection()
    upgrade = stream.start_tls(True, SERVER_TLS)
    await rounds()
    assert stream.closed() and server.connections == 1, "the connection lives on over TLS"
    peer.close()
    with pytest.raises(servers.library.iostream.StreamClosedError):
        await soon(upgrade)
    await gone()


@pytest.mark.parametrize("option", ["max_connections", "max_connections_per_address"])
@pytest.mark.parametrize("bound", [0, -1])
def test_a_server_without_connections_is_a_mistake(option: str, bound: int) -> None:
    with pytest.raises(ValueError):
        server_module.TCPServer(**{option: bound})  # type: ignore[arg-type]


async def test_a_resumed_server_has_the_variables_of_its_beginning(servers: Servers) -> None:
    """Accepting goes on where a connection closes, and must not take its variables along."""
    variable = contextvars.ContextVar("variable", default="nothing")
    variable.set("the server's")
    seen: list[str] = []

    class Receiver:
        """Changes the variable, and closes, in its connection's own context."""

        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def bytes_arrived(self) -> bool:
            variable.set("a connection's")
            self.stream.close()
            return True

        def stream_closed(self) -> None:
            pass

    def handle(stream: Any) -> None:
        seen.append(variable.get())
        stream.set_receiver(Receiver(stream))

    server = servers.listening(handle, max_connections=1)
    variable.set("the test's")
    for count in range(3):
        peer = await servers.connect(server)
        await peer.send(b"x")
        assert await peer.rest() == b"" and len(seen) == count + 1
        await until(lambda: server.connections == 0)
    assert seen == ["the server's"] * 3


# ------------------------------------------------------------------------------ from whom


async def test_one_address_has_its_share(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = servers.listening(echo, max_connections_per_address=2)
    peers = [await servers.connect(server) for _ in range(2)]
    for peer in peers:
        assert await ask(peer) == b"hello\n"
    for _ in range(3):
        assert await is_closed(await servers.connect(server))
    message = "127.0.0.1 has as many connections as one address may have"
    assert [record.message for record in caplog.records] == [message] * 3
    for _ in range(2):  # another one has its own
        peers.append(await servers.connect(server, "127.0.0.2"))
        assert await ask(peers[-1]) == b"hello\n"
    assert await is_closed(await servers.connect(server, "127.0.0.2"))
    await until(lambda: server.connections == 4)
    peers[0].close()
    await until(lambda: server.connections == 3)
    assert await ask(await servers.connect(server)) == b"hello\n"
    assert len(servers.streams) == 5, "who is sent away is not handed over"


async def test_peers_on_unix_sockets_have_no_share(servers: Servers, tmp_path: Path) -> None:
    server = servers.make(echo, max_connections_per_address=1)
    server.listen_unix(str(tmp_path / "s"))
    peers = [await servers.connect(server) for _ in range(3)]
    for peer in peers:
        assert await ask(peer) == b"hello\n"


# ------------------------------------------------------------------------------ how it ends


@pytest.mark.parametrize("rounds_before", [0, 1, 2])
async def test_stop_accepting_takes_in_what_waits(servers: Servers, rounds_before: int) -> None:
    server = servers.make(echo)
    for _ in range(2):
        server.listen(0, "127.0.0.1")
    addresses = [sock.getsockname() for sock in server._sockets.values()]
    await rounds()
    waiting = [servers.waiting(server) for _ in range(10)]
    await rounds(rounds_before)
    await server.stop_accepting()  # by a task of its own it would have more rounds
    assert len(servers.streams) == 10, "handed over when it returns"
    for address in addresses:
        with pytest.raises(ConnectionRefusedError):
            await servers.connect(address)
    for peer in waiting:
        assert await ask(peer) == b"hello\n"
    await soon(server.stop_accepting())
    server.stop()


async def test_stop_accepting_before_the_first_round(servers: Servers) -> None:
    server = servers.listening(echo)
    server.bind(0, "127.0.0.1")
    pending = server._pending_sockets[0]
    waiting = servers.waiting(server)
    await soon(server.stop_accepting())
    assert len(servers.streams) == 1 and pending.fileno() == -1
    assert await ask(waiting) == b"hello\n"


async def test_stop_accepting_at_the_bound(servers: Servers) -> None:
    """Who waits is taken in all the same: the queue is not long, and its end would be a reset."""
    server = servers.make(echo, max_connections=1)
    server.listen(0, "127.0.0.1", backlog=5)
    first = await servers.connect(server)
    assert await ask(first) == b"hello\n"
    waiting = [servers.waiting(server) for _ in range(5)]
    await soon(server.stop_accepting())
    assert server.connections == 6
    for peer in [first, *waiting]:
        assert await ask(peer) == b"hello\n"
        peer.close()
    await until(lambda: server.connections == 0)
    assert {listener.how for listener in server._listeners} == {"closed"}


async def test_stop_accepting_counts_who_shakes_hands(servers: Servers) -> None:
    server = servers.listening(echo, ssl_options=SERVER_TLS)
    waiting = servers.waiting(server)
    await soon(server.stop_accepting())
    assert server.connections == 1 and servers.streams == []
    server.abort_openings()
    assert await is_closed(waiting)
    await until(lambda: server.connections == 0)


async def test_stop_accepting_without_descriptors(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be taken in is lost; said once, and the server is stopped."""
    server = servers.listening(echo, max_connections=1)
    first = await servers.connect(server)
    assert await ask(first) == b"hello\n"
    lost = servers.waiting(server)
    caplog.clear()
    hoard: list[int] = []
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                hoard.append(os.dup(first.sock.fileno()))
        await server.stop_accepting()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in hoard:
            os.close(fd)
    reason = os.strerror(errno.EMFILE)
    assert len(caplog.records) == 1 and reason in caplog.text
    assert await is_closed(lost)
    assert await ask(first) == b"hello\n"


async def test_stop_resets_what_waits(servers: Servers) -> None:
    """As Tornado's does."""
    server = servers.listening(echo)
    await rounds()
    waiting = servers.waiting(server)
    server.stop()
    assert await is_closed(waiting)
    assert servers.streams == []


# ------------------------------------------------------------------------------ Unix sockets


async def test_a_unix_socket_has_a_file_as_long_as_the_server_listens(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert path.exists(), "left by somebody who has crashed"
    monkeypatch.chdir(tmp_path)
    server = servers.make(echo)
    server.listen_unix("s", mode=0o620)
    monkeypatch.chdir("/")
    assert stat.S_IMODE(path.stat().st_mode) == 0o620
    peer = await servers.connect(str(path))
    assert await ask(peer) == b"hello\n"
    assert servers.addresses == [""]
    server.stop()
    assert not path.exists()
    assert await ask(peer) == b"hello\n"


async def test_stop_accepting_on_a_unix_socket(servers: Servers, tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = servers.make(echo)
    server.listen_unix(str(path))
    await rounds()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        await soon(server.stop_accepting())
        assert not path.exists()
        assert len(servers.streams) == 1
        assert await ask(Peer(sock)) == b"hello\n"


async def test_the_file_of_a_successor_stays(servers: Servers, tmp_path: Path) -> None:
    """A new server listens before the old one stops."""
    path = str(tmp_path / "s")
    old, new = servers.make(echo), servers.make(echo)
    old.listen_unix(path)
    new.listen_unix(path)
    old.stop()
    assert await ask(await servers.connect(path)) == b"hello\n"
    new.stop()
    assert not os.path.exists(path)


async def test_files_of_others_stay(servers: Servers, tmp_path: Path) -> None:
    """A socket that was bound elsewhere may be listened on elsewhere; so may one after a fork."""
    given, forked = tmp_path / "given", tmp_path / "forked"
    server = servers.make(echo)
    server.add_socket(bind_unix_socket(str(given)))
    server.listen_unix(str(forked))
    server._unix_files = [file._replace(process=os.getppid()) for file in server._unix_files]
    server.stop()
    assert given.exists() and forked.exists()


async def test_an_abstract_name_and_a_file_that_has_gone(servers: Servers, tmp_path: Path) -> None:
    server = servers.make(echo)
    name, path = f"\0tornadoish-{os.getpid()}", str(tmp_path / "s")
    server.listen_unix(name)
    server.listen_unix(path)
    assert await ask(await servers.connect(name)) == b"hello\n"
    os.remove(path)
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        await servers.connect(name)


async def test_http_over_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    server = HTTPServer(answer)
    server.listen_unix(path)
    client = Client(*await soon(asyncio.open_unix_connection(path)))
    for _ in range(2):
        await client.send(get("/"))
        response = await client.response()
        assert (response.status, response.body) == (200, b"0.0.0.0 http")
    client.writer.close()
    await soon(client.writer.wait_closed())
    server.stop()
    await soon(server.close_all_connections())
    assert not os.path.exists(path)


def answer(request: Any) -> None:
    """Say who is asking."""
    body = f"{request.remote_ip} {request.protocol}".encode()
    fields = HTTPHeaders({"Content-Length": str(len(body))})
    request.connection.write_headers(ResponseStartLine("", 200, "OK"), fields, body)
    request.connection.finish()


def test_a_server_that_stops_before_its_loop_runs() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        server = server_module.TCPServer(max_connections=1)
        server.listen(0, "127.0.0.1")
        assert address_of(server)[0] == "127.0.0.1"
        server.stop()
        loop.run_until_complete(asyncio.sleep(0))
        assert {listener.how for listener in server._listeners} == {"closed"}
    finally:
        asyncio.set_event_loop(None)
        loop.close()
