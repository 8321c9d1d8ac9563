"""TCPServer: listening, handing over, stopping, TLS; over real sockets and in real processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest
from servers import Servers, address_of, echo
from streams import CERT, KEY, OURS, SERVER_TLS, Peer
from support import soon, until

ROOT = Path(__file__).parents[2]


# ------------------------------------------------------------------------------ listening


async def test_listen_is_there_when_it_returns(servers: Servers) -> None:
    server = servers.make(echo)
    server.listen(0, "127.0.0.1")
    with socket.create_connection(address_of(server), 5) as early:  # in the same tick
        early.send(b"early\n")
        assert servers.streams == []
        early.setblocking(False)
        assert await soon(asyncio.get_running_loop().sock_recv(early, 10)) == b"early\n"


async def test_addresses_and_ports(servers: Servers) -> None:
    server = servers.listening(echo)
    host, port = address_of(server)
    assert host == "127.0.0.1" and port > 0
    peer = await servers.connect(server)
    await peer.send(b"hello\n")
    assert await peer.take(6) == b"hello\n"
    assert servers.addresses == [peer.sock.getsockname()]
    assert servers.streams[0].socket.getpeername() == peer.sock.getsockname()


async def test_add_sockets(servers: Servers) -> None:
    server = servers.make(echo)
    bound = [servers.library.netutil.bind_sockets(0, "127.0.0.1")[0] for _ in range(3)]
    server.add_sockets(bound[:2])
    server.add_socket(bound[2])
    assert list(server._sockets.values()) == bound
    assert list(server._sockets) == [sock.fileno() for sock in bound]
    for sock in bound:
        peer = await servers.connect(sock.getsockname())
        await peer.send(b"x\n")
        assert await peer.take(2) == b"x\n"


@pytest.mark.parametrize("how", ["listen", "bind", "add_sockets"])
@OURS
async def test_the_backlog_stays_what_was_asked_for(servers: Servers, how: str) -> None:
    """asyncio and uvloop would make it 100."""
    server = servers.make(echo)
    backlog = 300
    if how == "listen":
        server.listen(0, "127.0.0.1", backlog=backlog)
    elif how == "bind":
        server.bind(0, "127.0.0.1", backlog=backlog)
        server.start()
    else:
        server.add_sockets(servers.library.netutil.bind_sockets(0, "127.0.0.1", backlog=backlog))
    sock = next(iter(server._sockets.values()))
    await (await servers.connect(server)).send(b"x\n")
    await until(lambda: servers.streams)
    # struct tcp_info of a listening socket: tcpi_sacked is its backlog (man 7 tcp; ss shows it).
    room = struct.unpack_from("I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 28)[0]
    assert room >= backlog if how == "add_sockets" else room == backlog


async def test_bind_and_start(servers: Servers) -> None:
    server = servers.make(echo)
    server.bind(0, "127.0.0.1")
    server.bind(0, "127.0.0.1")
    assert not server._sockets
    server.start()
    assert len(server._sockets) == 2
    if servers.library.is_ours or __debug__:  # Tornado relies on assert statements
        with pytest.raises((RuntimeError, AssertionError)):
            server.start()
    server.bind(0, "127.0.0.1")  # once started, it accepts at once
    assert len(server._sockets) == 3
    for sock in list(server._sockets.values()):
        peer = await servers.connect(sock.getsockname())
        await peer.send(b"x\n")
        assert await peer.take(2) == b"x\n"


@pytest.mark.parametrize("how", ["listen", "bind", "add_sockets"])
def test_before_the_loop_runs(how: str) -> None:
    """On the loop that this thread is going to run, and no warning about it."""
    from tornadoish.netutil import bind_sockets
    from tornadoish.tcpserver import TCPServer

    class Echo(TCPServer):
        def handle_stream(self, stream: Any, address: Any) -> Any:
            return echo(stream)

    loop = new_loop()
    asyncio.set_event_loop(loop)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            server = Echo()
            if how == "listen":
                server.listen(0, "127.0.0.1")
            elif how == "bind":
                server.bind(0, "127.0.0.1")
                server.start()
            else:
                server.add_sockets(bind_sockets(0, "127.0.0.1"))
        with socket.create_connection(address_of(server), 5) as early:
            early.send(b"early\n")
            early.setblocking(False)
            assert loop.run_until_complete(soon(loop.sock_recv(early, 10))) == b"early\n"
            server.stop()
        loop.run_until_complete(until(lambda: not server._handlers))
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def new_loop() -> asyncio.AbstractEventLoop:
    if os.environ.get("TORNADOISH_TEST_LOOP") == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


async def test_a_unix_socket(servers: Servers, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    server = servers.make(echo)
    server.add_socket(servers.library.netutil.bind_unix_socket(path))
    peer = await servers.connect(path)
    await peer.send(b"hello\n")
    assert await peer.take(6) == b"hello\n"
    assert servers.addresses == [""]
    peer.close()
    await until(servers.streams[0].closed)
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        await servers.connect(path)


# ------------------------------------------------------------------------------ handing over


async def test_a_plain_handle_stream(servers: Servers) -> None:
    server = servers.listening(lambda stream: stream.write(b"hi") and None)
    assert await (await servers.connect(server)).take(2) == b"hi"


async def test_handle_stream_of_the_instance(servers: Servers) -> None:
    server = servers.listening()
    server.handle_stream = lambda stream, address: echo(stream)
    peer = await servers.connect(server)
    await peer.send(b"x\n")
    assert await peer.take(2) == b"x\n"
    assert servers.streams == []


async def test_options_reach_the_streams(servers: Servers) -> None:
    server = servers.listening(echo, max_buffer_size=5000, read_chunk_size=1000)
    await servers.connect(server)
    await until(lambda: servers.streams)
    assert servers.streams[0].max_buffer_size == 5000
    assert servers.streams[0].read_chunk_size == 1000


@OURS
async def test_a_stream_is_open_when_it_is_handed_over(servers: Servers) -> None:
    seen: list[Any] = []
    server = servers.listening(lambda stream: seen.append((stream.socket, stream.closed())))
    await servers.connect(server)
    await until(lambda: seen)
    assert seen[0][0] is not None and seen[0][1] is False


@pytest.mark.parametrize("coroutine", [False, True])
@OURS
async def test_a_handler_that_raises(
    servers: Servers, caplog: pytest.LogCaptureFixture, coroutine: bool
) -> None:
    """It is logged, its connection is closed, and the server goes on."""

    def fault(stream: Any) -> None:
        stream.write(b"half")
        raise ValueError("a fault")

    async def coroutine_fault(stream: Any) -> None:
        await stream.read_bytes(1)
        fault(stream)

    server = servers.listening(coroutine_fault if coroutine else fault)
    for _ in range(2):
        peer = await servers.connect(server)
        await peer.send(b"x")
        with contextlib.suppress(ConnectionResetError):  # what it did not read may do that
            assert await peer.rest() == b"half"
    assert [record.name for record in caplog.records] == ["tornado.application"] * 2
    assert caplog.text.count("ValueError: a fault") == 2
    assert not server._handlers


@OURS
async def test_a_handler_that_is_cancelled_leaves_no_connection(servers: Servers) -> None:
    async def wait(stream: Any) -> None:
        await stream.write(bytes(32 << 20))  # more than the system takes

    server = servers.listening(wait)
    peer = await servers.connect(server)
    await until(lambda: server._handlers)
    next(iter(server._handlers)).cancel()
    with contextlib.suppress(ConnectionResetError):
        assert len(await peer.rest()) < 32 << 20
    await until(lambda: servers.streams[0].fileno() == -1)
    assert servers.streams[0].closed() and not server._handlers


@OURS
async def test_a_handler_that_is_cancelled_after_start_tls(servers: Servers) -> None:
    secure: list[Any] = []

    async def upgrade(stream: Any) -> None:
        stream.write(b"go\n")
        secure.append(await stream.start_tls(True, SERVER_TLS))
        await secure[0].read_bytes(1)

    server = servers.listening(upgrade)
    context = ssl.create_default_context(cafile=CERT)
    reader, writer = await soon(asyncio.open_connection(*address_of(server)))
    assert await soon(reader.readline()) == b"go\n"
    await soon(writer.start_tls(context, server_hostname="localhost"))
    await until(lambda: secure and secure[0].reading())
    next(iter(server._handlers)).cancel()
    with contextlib.suppress(OSError):
        assert await soon(reader.read()) == b""
    await until(lambda: secure[0].fileno() == -1)
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await soon(writer.wait_closed())


async def test_a_handler_that_ends_may_have_given_its_stream_away(servers: Servers) -> None:
    async def give_away(stream: Any) -> None:
        await stream.read_bytes(1)

    server = servers.listening(give_away)
    peer = await servers.connect(server)
    await peer.send(b"x")
    await until(lambda: servers.streams)
    if servers.library.is_ours:
        await until(lambda: not server._handlers)
    await soon(servers.streams[0].write(b"still here"))
    assert await peer.take(10) == b"still here"


# ------------------------------------------------------------------------------ stopping


async def test_stop(servers: Servers) -> None:
    server = servers.listening(echo)
    address = address_of(server)
    peer = await servers.connect(server)
    await peer.send(b"before\n")
    assert await peer.take(7) == b"before\n"
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        await servers.connect(address)
    await peer.send(b"after\n")
    assert await peer.take(6) == b"after\n"
    assert len(server._sockets) == 1, "applications still look in there"
    assert next(iter(server._sockets.values())).fileno() == -1


@OURS
@pytest.mark.parametrize("ticks", [0, 1, 2, 3])
async def test_stop_right_after_listen(
    servers: Servers, caplog: pytest.LogCaptureFixture, ticks: int
) -> None:
    server = servers.listening(echo)
    address, fd = address_of(server), next(iter(server._sockets))
    for _ in range(ticks):
        await asyncio.sleep(0)
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 5)
    # The descriptor's number is free, and the loop has forgotten what it was.
    sockets = [socket.socket() for _ in range(fd + 1)]
    with contextlib.ExitStack() as closing:
        for sock in sockets:
            closing.enter_context(sock)
            sock.setblocking(False)
        again = next((sock for sock in sockets if sock.fileno() == fd), None)
        if again is not None:
            listener = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
            loop = asyncio.get_running_loop()
            await soon(loop.sock_connect(again, listener.getsockname()))
            accepted = closing.enter_context(listener.accept()[0])
            accepted.send(b"x")
            assert await soon(loop.sock_recv(again, 1)) == b"x"
    await until(lambda: not server._openings)
    assert caplog.records == []


@OURS
async def test_stop_before_start(servers: Servers) -> None:
    server = servers.make(echo)
    server.bind(0, "127.0.0.1")
    sock = server._pending_sockets[0]
    server.stop()
    assert sock.fileno() == -1


# ------------------------------------------------------------------------------ processes


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a program on the loop that the tests run on, with every warning shown."""
    head = "import asyncio, os, socket, sys\n"
    if os.environ.get("TORNADOISH_TEST_LOOP") == "uvloop":
        head += "import uvloop\nnew_loop = uvloop.new_event_loop\n"
    else:
        head += "new_loop = asyncio.new_event_loop\n"
    head += "def run(main):\n    with asyncio.Runner(loop_factory=new_loop) as runner:\n"
    # Nothing is said of how busy this machine is.
    head += "        runner.get_loop().slow_callback_duration = 60\n"
    head += "        return runner.run(main)\n"
    return subprocess.run(
        [sys.executable, "-X", "dev", *options, "-c", head + textwrap.dedent(code)],
        cwd=ROOT, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip


SERVER = """
    from tornadoish.tcpserver import TCPServer
    class Server(TCPServer):
        async def handle_stream(self, stream, address):
            await stream.read_until(b"\\n")
            await stream.write(b"hi")
            await stream.read_until(b"\\n")
    def port(server):
        return next(iter(server._sockets.values())).getsockname()[1]
"""


def test_the_program_may_end_while_handlers_wait() -> None:
    """asyncio.run cancels them; nothing is left unclosed, and nothing is said."""
    result = run(
        SERVER
        + """
    server = Server()
    async def main():
        server.listen(0, "127.0.0.1")
        client = socket.create_connection(("127.0.0.1", port(server)))
        client.send(b"a\\n")
        client.setblocking(False)
        print(await asyncio.get_running_loop().sock_recv(client, 10))
        server.stop()
        return client
    client = run(main())
    client.setblocking(True)
    try:
        print(client.recv(10))
    except ConnectionResetError:
        print(b"")
    client.close()
    """
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "b'hi'\nb''\n", "")


def test_the_program_may_end_while_it_serves_tls() -> None:
    result = run(
        SERVER
        + f"""
    import ssl
    server = Server(ssl_options=dict(certfile={CERT!r}, keyfile={KEY!r}))
    async def main():
        server.listen(0, "127.0.0.1")
        context = ssl.create_default_context(cafile={CERT!r})
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port(server), ssl=context, server_hostname="localhost")
        writer.write(b"a\\n")
        print(await reader.read(2))
        writer.transport.abort()
        server.stop()
    run(main())
    """
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "b'hi'\n", "")


def test_fork() -> None:
    """Two processes answer on one port, and end when their parent is told to."""
    result = run(
        """
    import signal, threading, time
    from tornadoish.tcpserver import TCPServer
    class Server(TCPServer):
        async def handle_stream(self, stream, address):
            await stream.write(b"%d" % os.getpid())
            await stream.read_until_close()
    server = Server()
    server.bind(0, "127.0.0.1")
    port = server._pending_sockets[0].getsockname()[1]
    if os.fork() == 0:  # the clients
        signal.alarm(15)
        pids, clients = set(), []
        while len(pids) < 2:
            client = socket.create_connection(("127.0.0.1", port), 10)
            clients.append(client)
            pids.add(int(client.recv(20)))
            if len(pids) < 2:
                os.kill(next(iter(pids)), signal.SIGSTOP)  # now it is the other one's turn
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        print(len(pids), os.getppid() in pids, flush=True)
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(0)
    if "uvloop" in sys.modules:
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    server.start(2)
    loop = asyncio.get_event_loop()
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    loop.run_forever()
    loop.close()
    """,
        "-W", "error", "-W", "ignore::ResourceWarning", "-W", "ignore:.*fork:DeprecationWarning",
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (0, "2 False\n"), result.stderr


def test_fork_needs_no_running_loop() -> None:
    from tornadoish.tcpserver import TCPServer

    async def main() -> None:
        server = TCPServer()
        server.bind(0, "127.0.0.1")
        with pytest.raises(RuntimeError, match="before the event loop"):
            server.start(2)
        server.stop()

    asyncio.run(main())
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system cannot be told")
@pytest.mark.parametrize("library", ["tornadoish"], indirect=True)
async def test_the_system_holds_little_for_a_peer_that_does_not_read(servers: Servers) -> None:
    """Without the bound it takes megabytes, and the server believes that they are gone."""
    written: list[int] = []

    async def handle(stream: Any) -> None:
        piece = bytes(16 * 1024)
        count = 0
        while stream.write(piece).done():
            count += len(piece)
            await asyncio.sleep(0)  # so that the loop sends what it can
        written.append(count)

    for count, bound in enumerate((64 * 1024, None), 1):
        server = servers.listening(handle, max_unsent_bytes=bound)
        peer = Peer(socket.socket())
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        servers._peers.append(peer)
        await soon(asyncio.get_running_loop().sock_connect(peer.sock, address_of(server)))
        await until(lambda count=count: len(written) == count)
    assert written[0] < 512 * 1024 < written[1]
