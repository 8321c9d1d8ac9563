"""netutil.py with real sockets on loopback, real TLS, and both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import uvloop

import tornadoish.log
from tornadoish import netutil
from tornadoish.netutil import (
    DefaultLoopResolver,
    ExecutorResolver,
    OverrideResolver,
    Resolver,
    ThreadedResolver,
    accepting,
    add_accept_handler,
    bind_sockets,
    bind_unix_socket,
    is_valid_ip,
    ssl_options_to_context,
    ssl_wrap_socket,
)

ROOT = str(Path(tornadoish.log.__file__).parents[1])
CERTS = Path(__file__).parents[1] / "certs"
CERT, KEY = str(CERTS / "localhost.pem"), str(CERTS / "localhost.key")
SERVER_OPTIONS = {"certfile": CERT, "keyfile": KEY}

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def run_asyncio(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(main, 20))


def run_uvloop(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(main, 20))


@pytest.fixture(params=[run_asyncio, run_uvloop])
def run(request: pytest.FixtureRequest) -> Run:
    runner: Run = request.param
    return runner


@contextlib.contextmanager
def closing(sockets: list[socket.socket]) -> Iterator[list[socket.socket]]:
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


# ------------------------------------------------------------------------------ bind_sockets


def test_port_0_is_one_port_on_every_family() -> None:
    with closing(bind_sockets(0)) as sockets:
        assert [sock.family for sock in sockets] == [socket.AF_INET, socket.AF_INET6]
        assert sockets[0].getsockname()[1] == sockets[1].getsockname()[1] != 0


@pytest.mark.parametrize("address", [None, "", "127.0.0.1", "::1", "localhost"])
def test_sockets_listen_and_do_not_block(address: str | None) -> None:
    with closing(bind_sockets(0, address)) as sockets:
        for sock in sockets:
            assert not sock.getblocking()
            assert not sock.get_inheritable()
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
            host = "127.0.0.1" if sock.family == socket.AF_INET else "::1"
            with socket.create_connection((host, sock.getsockname()[1]), 5):
                pass


def test_an_ipv6_socket_takes_no_ipv4() -> None:
    with closing(bind_sockets(0, "::")) as (sock,), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", sock.getsockname()[1]), 5)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_family(family: socket.AddressFamily) -> None:
    with closing(bind_sockets(0, family=family)) as sockets:
        assert [sock.family for sock in sockets] == [family]


def test_flags_reach_getaddrinfo() -> None:
    with pytest.raises(socket.gaierror, match="cannot resolve 'localhost'"):
        bind_sockets(0, "localhost", flags=socket.AI_NUMERICHOST)


def test_port_as_text() -> None:
    with closing(bind_sockets(0, "127.0.0.1")) as (sock,):
        port = sock.getsockname()[1]
    with closing(bind_sockets(str(port), "127.0.0.1")) as (sock,):  # type: ignore[arg-type]
        assert sock.getsockname()[1] == port


@pytest.mark.parametrize("port", [-1, 65536, 70000])
def test_port_out_of_range(port: int) -> None:
    with pytest.raises(ValueError, match=f"port {port} "):
        bind_sockets(port, "127.0.0.1")


@pytest.mark.parametrize("host", ["a" * 64, "no such host", "a\0b"])
def test_bad_host(host: str) -> None:
    with pytest.raises(socket.gaierror) as info:
        bind_sockets(0, host)
    assert repr(host) in str(info.value)


def test_reuse_port() -> None:
    with closing(bind_sockets(0, "127.0.0.1", reuse_port=True)) as (first,):
        port = first.getsockname()[1]
        with closing(bind_sockets(port, "127.0.0.1", reuse_port=True)) as (second,):
            assert second.getsockname()[1] == port


def test_a_taken_port_closes_everything_and_is_named() -> None:
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", 0))
        other.listen()
        port = other.getsockname()[1]
        before = open_fds()
        # IPv4 is bound first and has to be let go.
        with pytest.raises(OSError, match=rf"cannot listen on :: port {port}: ") as info:
            bind_sockets(port)
        assert info.value.errno == errno.EADDRINUSE
        assert open_fds() == before
        with closing(bind_sockets(port, "127.0.0.1")):
            pass


def test_an_address_that_is_not_ours_is_an_error() -> None:
    before = open_fds()
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1 port ") as info:
        bind_sockets(0, "192.0.2.1")  # TEST-NET-1, RFC 5737
    assert info.value.errno == errno.EADDRNOTAVAIL
    assert open_fds() == before


def in_network_namespace(setup: str, script: str) -> str:
    """Run a script on a network of its own, with only a loopback device. Needs privileges."""
    unshare, ip = shutil.which("unshare"), shutil.which("ip")
    if unshare is None or ip is None:
        pytest.skip("needs unshare and ip")
    prepare = "ip link set lo up && " + setup
    attempt = [unshare, "-n", "sh", "-ec", prepare]
    if subprocess.run(attempt, check=False, capture_output=True).returncode:
        pytest.skip("may not make network namespaces")
    command = [unshare, "-n", "sh", "-ec", f'{prepare}; exec "$0" -W error -c "$1"']
    done = subprocess.run(
        [*command, sys.executable, script],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_port_0_keeps_looking_while_its_port_is_taken_on_another_family() -> None:
    """Eight ports; on IPv6 seven are taken. The kernel chooses on IPv4 without knowing that."""
    out = in_network_namespace(
        "echo 40000 40007 > /proc/sys/net/ipv4/ip_local_port_range",
        """
import socket
from tornadoish.netutil import bind_sockets
v6 = socket.AF_INET6
taken = [socket.create_server(("::1", port), family=v6) for port in range(40000, 40007)]
sockets = bind_sockets(0)
print([sock.getsockname()[:2] for sock in sockets])
more = socket.create_server(("127.0.0.1", 40000))  # what was tried has been let go
for sock in [*taken, *sockets, more]:
    sock.close()
""",
    )
    assert out == "[('0.0.0.0', 40007), ('::', 40007)]\n"


def test_port_0_gives_up_when_no_port_is_free() -> None:
    out = in_network_namespace(
        "echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range",
        """
import os, socket
from tornadoish.netutil import bind_sockets
taken = [socket.create_server(("::1", port), family=socket.AF_INET6) for port in (40000, 40001)]
before = len(os.listdir("/proc/self/fd"))
try:
    bind_sockets(0)
except OSError as error:
    print(error.strerror, len(os.listdir("/proc/self/fd")) - before)
for sock in taken:
    sock.close()
""",
    )
    assert "in use" in out
    assert out.endswith(" 0\n")


def test_a_missing_loopback_address_is_passed_over_only_beside_another() -> None:
    out = in_network_namespace(
        "echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6",
        """
import socket
from tornadoish.netutil import listening
both = [(socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0, 0, 0))]
for addresses in (both, both[::-1], both[1:], [*both, (socket.AF_INET6, ("fd00::7", 0, 0, 0))]):
    sockets = []
    try:
        listening._listen_on(addresses, sockets, 128, False)
        print([sock.getsockname()[0] for sock in sockets])
    except OSError as error:
        print(error)
    for sock in sockets:
        sock.close()
""",
    )
    *lines, last = out.splitlines()
    assert lines == [
        "['127.0.0.1']",
        "['127.0.0.1']",
        "[Errno 99] cannot listen on ::1 port 0: Cannot assign requested address",
    ]
    assert "cannot listen on fd00::7 port " in last


# ------------------------------------------------------------------------------ bind_unix_socket


def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    old_mask = os.umask(0o077)
    try:
        with closing([bind_unix_socket(str(path), mode=0o666)]) as (sock,):
            assert not sock.getblocking()
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
    finally:
        os.umask(old_mask)


def test_unix_socket_is_private_by_default_and_replaces_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with closing([bind_unix_socket(str(path))]):
        first = path.stat()
        assert stat.S_IMODE(first.st_mode) == 0o600
    assert path.exists()  # stale now
    with closing([bind_unix_socket(str(path))]), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_unix_socket_leaves_other_files_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "precious"
    if kind == "file":
        path.write_text("data")
    else:
        path.mkdir()
    before = open_fds()
    with pytest.raises(ValueError, match="exists and is not a socket"):
        bind_unix_socket(str(path))
    assert path.exists()
    assert open_fds() == before


@pytest.mark.parametrize("name", ["x" * 200, "missing/socket"])
def test_unix_socket_that_cannot_be_bound(tmp_path: Path, name: str) -> None:
    before = open_fds()
    with pytest.raises(OSError, match=f"cannot listen on .*{name}"):
        bind_unix_socket(str(tmp_path / name))
    assert open_fds() == before
    assert list(tmp_path.iterdir()) == []


def test_unix_socket_is_removed_when_its_mode_cannot_be_set(tmp_path: Path) -> None:
    before = open_fds()
    with pytest.raises(OverflowError):
        bind_unix_socket(str(tmp_path / "socket"), mode=2**70)
    assert open_fds() == before
    assert list(tmp_path.iterdir()) == []


def test_nobody_can_connect_to_a_unix_socket_before_its_mode_is_set(tmp_path: Path) -> None:
    script = """
import socket, sys
from tornadoish.netutil import bind_unix_socket
def hook(event, args):
    if event == "os.chmod":
        with socket.socket(socket.AF_UNIX) as client:
            print(client.connect_ex(args[0]))
sys.addaudithook(hook)
bind_unix_socket(sys.argv[1]).close()
"""
    out = subprocess.check_output(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path / "socket")],
        env={**os.environ, "PYTHONPATH": ROOT},
        text=True,
        timeout=30,
    )
    assert out == f"{errno.ECONNREFUSED}\n"


def test_abstract_unix_socket() -> None:
    name = f"\0tornadoish-test-{os.getpid()}"
    with closing([bind_unix_socket(name)]), socket.socket(socket.AF_UNIX) as client:
        client.connect(name)
        with pytest.raises(OSError, match="cannot listen on"):
            bind_unix_socket(name)


# ------------------------------------------------------------------------------ accepting


@contextlib.contextmanager
def listener(backlog: int = 1024) -> Iterator[tuple[socket.socket, tuple[str, int]]]:
    with closing(bind_sockets(0, "127.0.0.1", backlog=backlog)) as (sock,):
        yield sock, sock.getsockname()


def test_accepts_until_stopped(run: Run) -> None:
    async def main(sock: socket.socket, address: tuple[str, int]) -> None:
        accepted: asyncio.Queue[tuple[socket.socket, Any]] = asyncio.Queue()
        stop = add_accept_handler(sock, lambda *arguments: accepted.put_nowait(arguments))
        for _ in range(3):
            with socket.create_connection(address, 5) as client:
                connection, peer = await accepted.get()
                with connection:
                    assert peer == client.getsockname()
                    assert connection.gettimeout() == 0
        stop()
        stop()
        with socket.create_connection(address, 5):
            for _ in range(5):
                await asyncio.sleep(0)
            assert accepted.empty()
        assert sock.fileno() != -1  # ours to close

    with listener() as (sock, address):
        sock.setblocking(True)  # a listener from elsewhere must not block the loop
        run(main(sock, address))


def test_stop_in_the_callback_is_immediate(run: Run) -> None:
    async def main(sock: socket.socket, address: tuple[str, int]) -> None:
        accepted: list[socket.socket] = []
        contexts: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, item: contexts.append(item))
        done = asyncio.Event()

        def callback(connection: socket.socket, _: Any) -> None:
            accepted.append(connection)
            stop()
            sock.close()
            done.set()

        with closing([socket.create_connection(address, 5) for _ in range(3)]):
            stop = add_accept_handler(sock, callback)
            await done.wait()
            await asyncio.sleep(0)
        with closing(accepted):
            assert len(accepted) == 1
        assert contexts == []

    with listener() as (sock, address):
        run(main(sock, address))


def test_other_work_has_its_turn_after_128_connections(run: Run) -> None:
    async def main(sock: socket.socket, address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        accepted: list[socket.socket] = []
        batches: list[int] = []
        done = asyncio.Event()

        def callback(connection: socket.socket, _: Any) -> None:
            if not batches or batches[-1] == len(accepted):
                loop.call_soon(lambda: batches.append(len(accepted)))
            accepted.append(connection)
            if len(accepted) == 300:
                loop.call_soon(done.set)

        with closing([socket.create_connection(address, 5) for _ in range(300)]):
            stop = add_accept_handler(sock, callback)
            with closing(accepted):
                await done.wait()
                stop()
                assert len(accepted) == 300
        assert sorted(set(batches))[:2] == [128, 256]

    with listener() as (sock, address):
        run(main(sock, address))


def test_a_failing_callback_does_not_cost_the_next_connection(run: Run) -> None:
    async def main(sock: socket.socket, address: tuple[str, int]) -> None:
        contexts: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        done = asyncio.Event()

        def callback(connection: socket.socket, _: Any) -> None:
            connection.close()
            if not contexts:
                raise KeyError("first")
            done.set()

        with closing([socket.create_connection(address, 5) for _ in range(2)]):
            stop = add_accept_handler(sock, callback)
            await done.wait()
            stop()
        assert [repr(context["exception"]) for context in contexts] == ["KeyError('first')"]

    with listener() as (sock, address):
        run(main(sock, address))


def test_no_running_loop() -> None:
    with listener() as (sock, _), pytest.raises(RuntimeError):
        add_accept_handler(sock, lambda *_: None)


class Listener(socket.socket):
    """A real listener whose accept() first fails as scripted: no one can order ECONNABORTED."""

    def __init__(self, *errors: int) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self.bind(("127.0.0.1", 0))
        self.listen()
        self.errors = list(errors)
        self.accepts: list[float] = []  # when, in seconds of time.monotonic()

    def accept(self) -> tuple[socket.socket, Any]:
        self.accepts.append(time.monotonic())
        if self.errors:
            raise OSError(self.errors.pop(0), "scripted")
        return super().accept()


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EPERM])
def test_a_connection_lost_in_the_queue_is_passed_over(
    run: Run, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(sock: Listener) -> None:
        accepted: asyncio.Queue[socket.socket] = asyncio.Queue()
        stop = add_accept_handler(sock, lambda connection, _: accepted.put_nowait(connection))
        with socket.create_connection(sock.getsockname(), 5):
            (await accepted.get()).close()
        stop()
        assert not sock.errors

    with Listener(number, number) as sock:
        run(main(sock))
    assert caplog.records == []  # a pause would have been said


def test_without_descriptors_it_pauses_and_says_so_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A real EMFILE, with a pause of 50 ms."""
    monkeypatch.setattr(accepting, "_ACCEPT_PAUSE", 0.05)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def main(sock: Listener) -> None:
        accepted: asyncio.Queue[socket.socket] = asyncio.Queue()
        stop = add_accept_handler(sock, lambda connection, _: accepted.put_nowait(connection))
        with socket.create_connection(sock.getsockname(), 5):
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                while len(sock.accepts) < 4:
                    await asyncio.sleep(0)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert accepted.empty()
            (await accepted.get()).close()
        stop()
        assert all(later - earlier > 0.04 for earlier, later in pairwise(sock.accepts[:4]))

    with Listener() as sock:
        run(main(sock))
    assert [(record.levelno, record.name) for record in caplog.records] == [
        (logging.ERROR, "tornado.general")
    ]
    assert "Too many open files" in caplog.text


def test_the_pause_is_one_second_and_each_shortage_is_said(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(sock: Listener) -> None:
        loop = asyncio.get_running_loop()
        accepted: asyncio.Queue[socket.socket] = asyncio.Queue()
        stop = add_accept_handler(sock, lambda connection, _: accepted.put_nowait(connection))
        for _ in range(2):
            sock.errors.append(errno.ENFILE)
            begin = loop.time()
            with socket.create_connection(sock.getsockname(), 5):
                (await accepted.get()).close()
            assert loop.time() - begin > 0.9
        stop()

    with Listener() as sock:
        run(main(sock))
    assert len(caplog.records) == 2


@pytest.mark.parametrize("close_first", [False, True])
def test_stop_during_a_pause(run: Run, monkeypatch: pytest.MonkeyPatch, close_first: bool) -> None:
    monkeypatch.setattr(accepting, "_ACCEPT_PAUSE", 0.01)

    async def main(sock: Listener) -> None:
        contexts: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, item: contexts.append(item))
        stop = add_accept_handler(sock, lambda connection, _: connection.close())
        with socket.create_connection(sock.getsockname(), 5):
            while not sock.accepts:
                await asyncio.sleep(0)
        if close_first:
            sock.close()
            await asyncio.sleep(0.03)  # the end of the pause meets a closed socket
        stop()
        await asyncio.sleep(0.03)
        assert contexts == []
        assert len(sock.accepts) == 1

    with Listener(errno.EMFILE, errno.EMFILE) as sock:
        run(main(sock))


# ------------------------------------------------------------------------------ is_valid_ip


@pytest.mark.parametrize(
    "ip",
    ["127.0.0.1", "4.4.4.4", "255.255.255.255", "::", "::1", "2620:0:1cfe:face:b00c::3"]
    + ["::ffff:1.2.3.4", "FE80::1"],
)
def test_valid_ip(ip: str) -> None:
    assert is_valid_ip(ip)


@pytest.mark.parametrize(
    "ip",
    ["", " ", "\n", "\0", "localhost", "www.example.com", "a" * 100, "4.4.4.4<", " 127.0.0.1"]
    + ["127.0.0.1\n", "1.2.3.4\0", "::1\0", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.-4"]
    + ["1", "127.1", "0x7f.0.0.1", "010.1.1.1", "\u0661.2.3.4", "\ud800", ":\ud800"]
    + ["[::1]", "::1/128", "1::2::3", ":::", "12345::", "fe80::1%lo", "fe80::1%", "1.2.3.4:80"],
)
def test_not_a_valid_ip(ip: str) -> None:
    assert not is_valid_ip(ip)


# ------------------------------------------------------------------------------ TLS


def handshake(
    server: dict[str, Any] | ssl.SSLContext,
    client: dict[str, Any] | ssl.SSLContext,
    hostname: str | None = "localhost",
) -> tuple[bytes, str | None]:
    """What a real client reads from a real server, and the protocol version."""
    server_context = ssl_options_to_context(server, server_side=True)
    with listener() as (sock, address):
        sock.settimeout(10)

        def serve() -> None:
            connection, _ = sock.accept()
            with contextlib.suppress(OSError):
                connection.settimeout(10)
                with ssl_wrap_socket(connection, server_context, server_side=True) as wrapped:
                    wrapped.sendall(b"hello")
                    wrapped.unwrap().close()
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            raw = socket.create_connection(address, 10)
            with raw, ssl_wrap_socket(raw, client, server_hostname=hostname) as wrapped:
                data = wrapped.recv(100)
                version = wrapped.version()
                with contextlib.suppress(OSError):
                    wrapped.unwrap()
                return data, version
        finally:
            thread.join()


@pytest.mark.parametrize("hostname", ["localhost", "127.0.0.1", "::1"])
def test_tls_over_a_socket(hostname: str) -> None:
    assert handshake(SERVER_OPTIONS, {"ca_certs": CERT}, hostname) == (b"hello", "TLSv1.3")


@pytest.mark.parametrize("options", [{}, {"ssl_version": ssl.PROTOCOL_TLS_CLIENT}])
def test_a_client_checks_the_certificate_by_default(options: dict[str, Any]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
        handshake(SERVER_OPTIONS, options)


def test_a_client_checks_the_host_name_by_default() -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"example\.com"):
        handshake(SERVER_OPTIONS, {"ca_certs": CERT}, "example.com")
    with pytest.raises(ValueError, match="server_hostname"):
        handshake(SERVER_OPTIONS, {"ca_certs": CERT}, None)


def test_a_client_may_ask_for_no_checks() -> None:
    assert handshake(SERVER_OPTIONS, {"cert_reqs": ssl.CERT_NONE}, None)[0] == b"hello"


def test_a_server_may_ask_for_client_certificates() -> None:
    server = {**SERVER_OPTIONS, "cert_reqs": ssl.CERT_REQUIRED, "ca_certs": CERT}
    assert handshake(server, {**SERVER_OPTIONS, "ca_certs": CERT})[0] == b"hello"
    with pytest.raises(OSError):  # an alert, or a reset that overtakes it
        handshake(server, {"ca_certs": CERT})


def test_ciphers() -> None:
    context = ssl_options_to_context({"ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}, server_side=False)
    old = [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
    assert old == ["ECDHE-RSA-AES128-GCM-SHA256"]
    with pytest.raises(ssl.SSLError):
        ssl_options_to_context({"ciphers": "no-such-cipher"}, server_side=False)


@pytest.mark.parametrize("server_side", [True, False])
def test_defaults_of_a_dict_are_secure(server_side: bool) -> None:
    context = ssl_options_to_context({}, server_side=server_side)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION  # CRIME
    assert context.check_hostname is not server_side
    assert context.verify_mode == (ssl.CERT_NONE if server_side else ssl.CERT_REQUIRED)
    expected = ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT
    assert context.protocol == expected


def test_ssl_version_does_not_switch_checks_off() -> None:
    with pytest.warns(DeprecationWarning):
        context = ssl_options_to_context({"ssl_version": ssl.PROTOCOL_TLS}, server_side=False)
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_without_a_side_a_certificate_makes_a_server() -> None:
    assert ssl_options_to_context(SERVER_OPTIONS).protocol == ssl.PROTOCOL_TLS_SERVER
    assert ssl_options_to_context({"ca_certs": CERT}).protocol == ssl.PROTOCOL_TLS_CLIENT
    ours, peer = socket.socketpair()
    with ours, peer, pytest.raises(ssl.SSLError, match="Cannot create a client socket"):
        ssl_wrap_socket(ours, ssl_options_to_context(SERVER_OPTIONS))


def test_context_is_returned_as_it_is() -> None:
    context = ssl.create_default_context()
    assert ssl_options_to_context(context, server_side=False) is context
    assert ssl_options_to_context(context, server_side=True) is context


def test_none_means_absent() -> None:
    options = dict.fromkeys(["certfile", "keyfile", "ca_certs", "ciphers", "cert_reqs"])
    assert ssl_options_to_context(options, server_side=True).verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cerfile": CERT}, ValueError),
        ({"keyfile": KEY}, ValueError),
        ([("certfile", CERT)], TypeError),
        (None, TypeError),
        ({"certfile": "/nonexistent"}, FileNotFoundError),
        ({"certfile": KEY}, ssl.SSLError),
    ],
)
def test_bad_options(options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        ssl_options_to_context(options, server_side=True)


def test_default_contexts() -> None:
    client, server = netutil._client_ssl_defaults(), netutil._server_ssl_defaults()
    assert client is netutil._client_ssl_defaults()
    assert (client.verify_mode, client.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (server.verify_mode, server.protocol) == (ssl.CERT_NONE, ssl.PROTOCOL_TLS_SERVER)
    assert client.options & server.options & ssl.OP_NO_COMPRESSION


# ------------------------------------------------------------------------------ resolvers


@pytest.mark.parametrize(
    "make", [Resolver, DefaultLoopResolver, ExecutorResolver, ThreadedResolver]
)
def test_resolver(run: Run, make: type[Resolver]) -> None:
    async def main() -> None:
        resolver = make()
        found = await resolver.resolve("localhost", 80)
        assert (socket.AF_INET, ("127.0.0.1", 80)) in found
        assert await resolver.resolve("::1", 81, socket.AF_INET6) == [
            (socket.AF_INET6, ("::1", 81, 0, 0))
        ]
        with pytest.raises(OSError, match="cannot resolve"):
            await resolver.resolve("::1", 81, socket.AF_INET)
        for host in ("a" * 64, "no such host", "a\0b"):
            with pytest.raises(OSError, match="cannot resolve"):
                await resolver.resolve(host, 80)
        resolver.close()

    run(main())


def test_a_given_executor_is_used_and_closed_on_request() -> None:
    async def main(executor: ThreadPoolExecutor) -> None:
        names: list[str] = []
        kept = ExecutorResolver(executor, close_executor=False)
        assert await kept.resolve("127.0.0.1", 1) == [(socket.AF_INET, ("127.0.0.1", 1))]
        kept.close()
        executor.submit(lambda: names.append(threading.current_thread().name)).result(5)
        assert names == ["mine_0"]
        ExecutorResolver(executor=executor).close()
        with pytest.raises(RuntimeError):
            executor.submit(int)

    with ThreadPoolExecutor(1, thread_name_prefix="mine") as executor:
        run_asyncio(main(executor))


@pytest.mark.parametrize(
    ("lookup", "found"),
    [
        (("example.com", 1), [(socket.AF_INET, ("127.0.1.1", 1))]),
        (("login.example.com", 443), [(socket.AF_INET, ("127.0.1.2", 1443))]),
        (("login.example.com", 443, socket.AF_INET6), [(socket.AF_INET6, ("::1", 2443, 0, 0))]),
        (("login.example.com", 80), [(socket.AF_INET, ("127.0.1.3", 80))]),
        (("127.0.0.9", 80), [(socket.AF_INET, ("127.0.0.9", 80))]),
    ],
)
def test_override_resolver(lookup: tuple[Any, ...], found: list[Any]) -> None:
    mapping = {
        "example.com": "127.0.1.1",
        ("login.example.com", 443): ("127.0.1.2", 1443),
        ("login.example.com", 443, socket.AF_INET6): ("::1", 2443),
        "login.example.com": "127.0.1.3",
    }

    async def main() -> None:
        resolver = OverrideResolver(resolver=Resolver(), mapping=mapping)
        assert await resolver.resolve(*lookup) == found
        resolver.close()

    run_asyncio(main())


class UnixResolver(Resolver):
    """As applications write them (jupyter-server-proxy)."""

    def initialize(self, socket_path: str = "/default") -> None:
        self.socket_path = socket_path
        self.closed = False

    async def resolve(self, host: str, port: int, *_: Any, **__: Any) -> list[tuple[int, Any]]:
        return [(socket.AF_UNIX, self.socket_path)]

    def close(self) -> None:
        self.closed = True


def test_subclasses_initialize_and_are_closed() -> None:
    own = UnixResolver(socket_path="/x")
    assert isinstance(own, UnixResolver)
    resolver = OverrideResolver(own, {})
    assert run_asyncio(UnixResolver("/y").resolve("any", 1)) == [(socket.AF_UNIX, "/y")]
    resolver.close()
    assert own.closed


def test_configure() -> None:
    try:
        Resolver.configure(UnixResolver, socket_path="/configured")
        configured = Resolver()
        assert isinstance(configured, UnixResolver)
        assert configured.socket_path == "/configured"
        assert UnixResolver().socket_path == "/default"
        Resolver.configure("tornadoish.netutil.ExecutorResolver")
        assert Resolver.configured_class() is ExecutorResolver
        for wrong in (int, "tornadoish.netutil.is_valid_ip"):
            with pytest.raises(ValueError, match="not a subclass of Resolver"):
                Resolver.configure(wrong)  # type: ignore[arg-type]
    finally:
        Resolver.configure(None)
    assert type(Resolver()) is DefaultLoopResolver
    with pytest.raises(TypeError):
        Resolver(surprise=1)
