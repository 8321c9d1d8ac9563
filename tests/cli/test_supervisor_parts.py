"""What a supervisor is made of, piece by piece: its words, its bounds, its sockets, its link."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tornadoish.netutil import bind_sockets
from tornadoish.supervisor import Figures, Policy, Supervisor, WorkerLink
from tornadoish.supervisor.children import reap_orphans
from tornadoish.supervisor.messages import MAX_LINE, MessageError, Messages, encode
from tornadoish.supervisor.sharing import Sharing
from tornadoish.supervisor.slot import Slot
from tornadoish.supervisor.worker import Worker, how_it_ended, lower

from .supervising import refuses, until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no supervisor without fork")


# -- words


def test_messages_however_they_are_cut() -> None:
    said = encode("beat", requests=3) + encode("failed", message="n\nö") + encode("ready")
    expected = [
        {"kind": "beat", "requests": 3},
        {"kind": "failed", "message": "n\nö"},
        {"kind": "ready"},
    ]
    for size in range(1, len(said) + 1):
        messages = Messages()
        pieces = [said[at : at + size] for at in range(0, len(said), size)]
        assert [message for piece in pieces for message in messages.feed(piece)] == expected


@pytest.mark.parametrize(
    "line",
    [b"", b"nonsense", b"[]", b"1", b"{}", b'{"kind": 1}', b"\xff", b"[" * 10_000, b"NaN"],
)
def test_what_is_no_message(line: bytes) -> None:
    with pytest.raises(MessageError):
        list(Messages().feed(line + b"\n"))


def test_a_message_has_a_bound() -> None:
    messages = Messages()
    assert list(messages.feed(b" " * MAX_LINE)) == []
    with pytest.raises(MessageError):
        list(messages.feed(b" "))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "ended with status 0"),
        (-9, "was ended by SIGKILL (by somebody, or by the kernel for want of memory)"),
        (-6, "was ended by SIGABRT"),
        (-200, "was ended by signal 200"),
    ],
)
def test_how_a_process_ended(code: int, words: str) -> None:
    assert how_it_ended(code) == words


# -- bounds


@pytest.mark.parametrize(
    "bounds",
    [
        {"grace_seconds": -1},
        {"clean_up_seconds": 0},
        {"grace_seconds": None},
        {"max_requests": 0},
        {"max_resident_bytes": -1},
        {"jitter": 1.5},
        {"jitter": -0.1},
        {"attempts": 0},
    ],
)
def test_bounds_that_mean_nothing(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bounds))):
        Policy(**bounds)


def test_bounds_that_can_be_switched_off() -> None:
    policy = Policy(start_seconds=None, answer_seconds=None, max_requests=None, jitter=0)
    assert (policy.start_seconds, policy.jitter) == (None, 0)


def test_no_workers_cannot_serve() -> None:
    with pytest.raises(ValueError, match="0 workers"):
        Supervisor(["true"], [], workers=0)


def test_nobody_s_children_are_left_alone() -> None:
    """Only process 1 is given children that it has not started."""
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert reap_orphans(set()) == []
    assert process.wait() == 3


# -- back-off and jitter


def test_each_failure_makes_the_next_start_wait_longer() -> None:
    slot = Slot(0, Policy(backoff_seconds=1.0, max_backoff_seconds=6.0))
    waits = []
    for _ in range(5):
        slot.failed(100.0)
        waits.append(slot.not_before - 100.0)
    assert waits == [1.0, 2.0, 4.0, 6.0, 6.0]
    slot.failures = 10**6
    slot.failed(100.0)
    assert slot.not_before == 106.0


def test_workers_are_not_worn_out_together() -> None:
    bounds = [lower(1000, 0.2) for _ in range(200)]
    assert all(bound is not None and 800 <= bound <= 1000 for bound in bounds)
    assert len(set(bounds)) > 100
    assert lower(1000, 0) == 1000
    assert lower(None, 0.2) is None


async def test_a_worker_s_own_bounds_are_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    policy = Policy(max_requests=1000, max_resident_bytes=10 * 2**20, jitter=0.2)
    worker = Worker(["true"], [], slot=0, generation=0, policy=policy, heard=lambda: None)
    for figures, why in [
        (Figures(requests=799, resident_bytes=8 * 2**20 - 1), None),
        (Figures(requests=800), "has answered 800 requests"),
        (Figures(resident_bytes=8 * 2**20), "holds 8 MiB of memory"),
    ]:
        worker.figures = figures
        assert worker.worn() == why
    await until(lambda: worker.ended() == 0)


# -- sockets

Make = Callable[..., Sharing]


@pytest.fixture
def sharing() -> Iterator[Make]:
    made: list[Sharing] = []

    def make(sockets: list[socket.socket], slots: int, split: bool) -> Sharing:
        made.append(Sharing(sockets, slots, split))
        return made[-1]

    yield make
    for each in made:
        each.close()


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux balances them")


@needs_linux
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_each_slot_has_sockets_of_its_own(sharing: Make, address: str) -> None:
    try:
        sockets = bind_sockets(0, address)
    except OSError:
        pytest.skip("this machine has no IPv6")
    split = sharing(sockets, 3, True)
    groups = [split.of(slot) for slot in range(3)]
    assert len({group[0].fileno() for group in groups}) == 3
    assert len({group[0].getsockname() for group in groups}) == 1
    assert split.of(1) is groups[1]


@needs_linux
def test_a_queue_begins_with_who_serves_it(sharing: Make) -> None:
    """A slot in which nobody serves yet is given no connections."""
    split = sharing(bind_sockets(0, "127.0.0.1"), 2, True)
    address = split.of(0)[0].getsockname()
    clients = [socket.create_connection(address) for _ in range(20)]
    served = [split.of(0)[0].accept()[0] for _ in clients]
    split.of(1)[0].listen()
    clients += [socket.create_connection(address) for _ in range(40)]
    served.append(split.of(1)[0].accept()[0])
    for sock in clients + served:
        sock.close()


@needs_linux
def test_a_parked_slot_is_given_no_connections(sharing: Make) -> None:
    split = sharing(bind_sockets(0, "127.0.0.1"), 2, True)
    address = split.of(0)[0].getsockname()
    split.of(1)[0].listen()
    split.park(0)
    split.park(0)
    clients = [socket.create_connection(address) for _ in range(20)]
    served = [split.of(1)[0].accept()[0] for _ in clients]
    assert split.of(0)[0].getsockname() == address
    for sock in clients + served:
        sock.close()


@needs_linux
def test_a_port_in_use_is_noticed_all_the_same(sharing: Make) -> None:
    address = sharing(bind_sockets(0, "127.0.0.1"), 2, True).of(1)[0].getsockname()
    with pytest.raises(OSError, match="cannot listen on") as caught:
        bind_sockets(address[1], address[0])
    assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("split", [True, False])
def test_slots_share_what_cannot_be_split(sharing: Make, split: bool, tmp_path: Any) -> None:
    sock = socket.socket(socket.AF_UNIX) if split else socket.socket()
    sock.bind(str(tmp_path / "socket") if split else ("127.0.0.1", 0))
    sock.listen()
    shared = sharing([sock], 2, split)
    assert shared.of(0) == shared.of(1) == [sock]
    shared.park(0)
    assert shared.of(0) == [sock]
    assert sock.fileno() != -1


@needs_linux
def test_slots_share_where_no_further_socket_can_be_bound(sharing: Make) -> None:
    """As with the socket of another user: here, because it does not let others in."""
    sock = bind_sockets(0, "127.0.0.1")[0]

    class Stubborn(socket.socket):
        def setsockopt(self, *options: Any) -> None:
            if options[1] != socket.SO_REUSEPORT:
                super().setsockopt(*options)

    shared = sharing([Stubborn(fileno=sock.detach())], 2, True)
    assert shared.of(0) is shared.of(1)


# -- a worker's link


class Linked:
    """A worker's link, and the supervisor's end of it."""

    def __init__(self, **options: Any) -> None:
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(5)
        self.link = WorkerLink(theirs, [], beat_seconds=0.01, **options)
        self.graces: list[float] = []
        self._messages = Messages()
        self._heard: list[Any] = []

    def start(self, figures: Callable[[], Figures] = Figures) -> None:
        self.link.start(self.graces.append, figures)

    async def next(self, kind: str) -> Any:
        """The next message of this kind."""
        self.ours.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            while True:
                while self._heard:
                    message = self._heard.pop(0)
                    if message["kind"] == kind:
                        return message
                data = await loop.sock_recv(self.ours, 4096)
                assert data, "the link was closed"
                self._heard += self._messages.feed(data)


@pytest.fixture
def linked() -> Iterator[Callable[..., Linked]]:
    made: list[Linked] = []

    def make(**options: Any) -> Linked:
        made.append(Linked(**options))
        return made[-1]

    yield make
    for each in made:
        each.link.close()
        each.ours.close()


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_worker_tells_how_it_is(linked: Callable[..., Linked]) -> None:
    worker = linked()
    answered = iter(range(1000))
    worker.start(lambda: Figures(requests=next(answered), connections=3))
    worker.link.ready()
    first, _, second = [await worker.next(kind) for kind in ("beat", "ready", "beat")]
    assert (first["requests"], second["requests"]) == (0, 1)
    assert first["connections"] == 3
    assert first["resident_bytes"] > 1_000_000


@pytest.mark.parametrize("told", ["once", "twice", "gone"])
async def test_a_worker_is_told_once_to_drain(linked: Callable[..., Linked], told: str) -> None:
    worker = linked(grace_seconds=7.0)
    worker.start()
    if told == "gone":
        worker.ours.close()
    else:
        words = encode("drain", grace=3.0, replaced=told == "once")
        worker.ours.sendall(words * (2 if told == "twice" else 1))
    await turn()
    assert worker.graces == [7.0 if told == "gone" else 3.0]
    assert worker.link.replaced is (told == "once")


async def test_a_worker_that_drains_is_not_told_to(linked: Callable[..., Linked]) -> None:
    worker = linked()
    worker.start()
    worker.link.draining()
    worker.ours.sendall(encode("drain", grace=3.0))
    await worker.next("draining")
    await turn()
    assert worker.graces == []


@pytest.mark.parametrize("words", [b"{}\n", b"x" * (MAX_LINE + 1), b'{"kind":"drain"}\n'])
async def test_a_worker_survives_nonsense(linked: Callable[..., Linked], words: bytes) -> None:
    worker = linked()
    worker.start()
    await asyncio.get_running_loop().sock_sendall(worker.ours, words)
    await turn()
    assert worker.graces == []
    assert (await worker.next("beat"))["kind"] == "beat"


async def test_what_is_not_listened_to_is_not_said_for_ever(
    linked: Callable[..., Linked],
) -> None:
    """A supervisor that takes nothing costs a worker neither memory nor time."""
    worker = linked()
    worker.start()
    worker.link._beat_seconds = 0
    for _ in range(3_000):
        worker.link._beat()
    assert len(worker.link._unsent) < 1000
    worker.link.ready()
    await worker.next("ready")


def test_a_worker_says_why_it_cannot_start(linked: Callable[..., Linked]) -> None:
    worker = linked()
    worker.link.failed("x" * 100_000, 78)
    heard = b""
    while data := worker.ours.recv(65536):
        heard += data
    [message] = Messages().feed(heard)
    assert message == {"kind": "failed", "message": "x" * 8000, "status": 78}


def test_who_cannot_start_does_not_wait_for_a_supervisor_that_is_gone(
    linked: Callable[..., Linked],
) -> None:
    worker = linked()
    worker.ours.close()
    worker.link.failed("nobody hears it")


def test_no_worker_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORNADOISH_LINK", raising=False)
    assert WorkerLink.from_environment() is None


def test_what_a_worker_inherits_goes_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    listening = bind_sockets(0, "127.0.0.1")[0]
    address = listening.getsockname()
    numbers = [theirs.detach(), listening.detach()]
    for number in numbers:
        os.set_inheritable(number, True)
    told = {"link": numbers[0], "sockets": numbers[1:], "slot": 4, "beat_seconds": 1}
    monkeypatch.setenv("TORNADOISH_LINK", json.dumps(told | {"grace_seconds": 30}))
    link = WorkerLink.from_environment()
    assert link is not None
    assert link.slot == 4
    assert [sock.getsockname() for sock in link.sockets] == [address]
    assert "TORNADOISH_LINK" not in os.environ
    assert not any(os.get_inheritable(number) for number in numbers)
    link.close()
    link.sockets[0].close()
    ours.close()
    assert refuses(address)
