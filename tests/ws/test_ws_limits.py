"""What a peer can make a WebSocket hold or do: bounded, and linear in what it sends."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from ws_reading import BINARY, CONTINUATION, PING, TEXT, raw

from tornadoish.ws import Deflate, Message, Protocol, ProtocolError
from tornadoish.ws.protocol import SMALL_FRAME, SPARE_FRAMES


def traced(work: Callable[[], Any]) -> tuple[int, int]:
    """The bytes that ``work`` leaves behind while its result lives, and the most there were."""
    tell(Protocol(False), raw(BINARY, b"x" * 5000))  # what is made once is there
    gc.collect()
    tracemalloc.start()
    try:
        kept = work()
        gc.collect()
        now, peak = tracemalloc.get_traced_memory()
        del kept
        return now, peak
    finally:
        tracemalloc.stop()


def tell(protocol: Protocol, data: bytes) -> list[Any]:
    protocol.receive(data)
    return list(iter(protocol.next_event, None))


class TestIdle:
    """docs/performance.md says what a connection costs; this is what of it is ours."""

    @pytest.mark.parametrize("deflate", [None, Deflate()])
    def test_a_connection_that_waits(self, deflate: Deflate | None) -> None:
        count = 500
        made, _ = traced(lambda: [Protocol(False, deflate=deflate) for _ in range(count)])
        assert made / count < 400

    @pytest.mark.parametrize("deflate", [None, Deflate()])
    def test_after_messages_in_fragments(self, deflate: Deflate | None) -> None:
        """Everything that a message needed is let go of; nothing here was compressed."""
        count = 200
        data = raw(TEXT, b"x" * 5000, fin=False) + raw(PING, b"x") + raw(CONTINUATION, b"y")

        def talked() -> list[Protocol]:
            protocols = [Protocol(False, deflate=deflate) for _ in range(count)]
            for protocol in protocols:
                assert len(tell(protocol, data)) == 2
                assert protocol.bytes_to_send()
                protocol.send_message("short")
            return protocols

        assert traced(talked)[0] / count < 400

    def test_contexts_that_are_not_taken_over_are_let_go_of(self) -> None:
        deflate = Deflate(send_takeover=False, receive_takeover=False)
        [wire] = [Protocol(True, deflate=deflate).send_message("x" * 500)]
        count = 50

        def talked() -> list[Protocol]:
            protocols = [Protocol(False, deflate=deflate) for _ in range(count)]
            for protocol in protocols:
                assert tell(protocol, wire) == [Message("x" * 500)]
                protocol.send_message("x" * 500)
            return protocols

        assert traced(talked)[0] / count < 800

    @pytest.mark.parametrize("code", [1000, None])
    def test_a_closed_one_holds_nothing(self, code: int | None) -> None:
        protocol = Protocol(False, deflate=Deflate())
        protocol.receive(
            raw(BINARY, b"x" * 100_000, fin=False) + raw(8 if code else 3) + b"x" * 9999
        )
        if code:
            assert len(list(iter(protocol.next_event, None))) == 1
        else:
            with pytest.raises(ProtocolError):
                protocol.next_event()
        before, _ = traced(lambda: protocol.receive(b"x" * 1_000_000))
        assert before < 1000 and protocol.unread == 0


class TestInFlight:
    def test_a_huge_frame_that_is_only_announced(self) -> None:
        """Nothing is set aside for what has not come (aiohttp CVE-2026-54274)."""
        protocol = Protocol(False, max_message_size=1 << 40)
        assert traced(lambda: tell(protocol, raw(BINARY, length=1 << 39, width=8)))[1] < 10_000

    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    @pytest.mark.parametrize("step", [1, 3, 20])
    def test_a_message_that_dribbles_in(self, opcode: int, step: int) -> None:
        """Bytes by ones take no more room than the message itself, and its growth."""
        size = 15_000
        data = raw(opcode, b"x" * size)
        protocol = Protocol(False)
        pieces = [data[i : i + step] for i in range(0, len(data) - step, step)]

        def dribble() -> None:
            for piece in pieces:
                protocol.receive(piece)
                assert protocol.next_event() is None

        assert traced(dribble)[1] < 6 * size

    def test_wide_characters(self) -> None:
        """Python's text has up to four bytes a character: so much, and no more."""
        data = raw(TEXT, ("x" * 200_000 + "😀").encode())
        protocol = Protocol(False)
        peak = traced(lambda: (tell(protocol, data[:100_000]), tell(protocol, data[100_000:])))[1]
        assert peak < 3 * 4 * 200_000


class TestFragments:
    @pytest.mark.parametrize("by_parts", [False, True])
    @pytest.mark.parametrize("payload", [b"", b"x"])
    def test_many_tiny_ones(self, by_parts: bool, payload: bytes) -> None:
        protocol = Protocol(False, by_parts=by_parts)
        tell(protocol, raw(BINARY, payload, fin=False))
        count = 1
        with pytest.raises(ProtocolError, match="1008"):
            while count < 10 * SPARE_FRAMES:
                tell(protocol, raw(CONTINUATION, payload, fin=False))
                count += 1
        least = SPARE_FRAMES if not payload else SPARE_FRAMES * SMALL_FRAME // (SMALL_FRAME - 1)
        assert abs(count - least) <= 1

    def test_as_many_as_one_likes_of_a_few_bytes(self) -> None:
        protocol = Protocol(False)
        frame = raw(CONTINUATION, b"abcd", fin=False)
        tell(protocol, raw(TEXT, b"abcd", fin=False))
        for _ in range(30):
            assert tell(protocol, frame * 1000) == []
        assert tell(protocol, raw(CONTINUATION)) == [Message("abcd" * 30_001)]

    def test_each_message_by_itself(self) -> None:
        protocol = Protocol(False)
        message = raw(TEXT, fin=False) + raw(CONTINUATION, fin=False) * 4000 + raw(CONTINUATION)
        for _ in range(3):
            assert tell(protocol, message) == [Message("")]


def test_frames_in_one_read_are_not_copied_again_and_again() -> None:
    """Of a read with n messages each is taken once: the bytes moved grow with n, not its square."""
    for opcode in (TEXT, PING):
        protocol = Protocol(False)
        data = raw(opcode, b"x" * 100) * 5000
        protocol.receive(data[:1000])
        protocol.receive(data[1000:])  # now the buffer is a bytearray
        taken = protocol._buffer.data
        for _ in range(100):
            assert protocol.next_event() is not None
        assert protocol._buffer.data is taken
