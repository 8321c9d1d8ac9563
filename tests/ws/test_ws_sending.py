"""The sending half of a WebSocket: frames to the byte, what is refused, and who may send when."""

from __future__ import annotations

from typing import Any

import pytest
from ws_reading import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    closing,
    raw,
    said,
    xor,
)

from tornadoish.ws import (
    CLOSED,
    CLOSING,
    OPEN,
    Close,
    Deflate,
    Message,
    Ping,
    Pong,
    PreparedMessage,
    Protocol,
    ProtocolError,
    State,
    WrongState,
)
from tornadoish.ws.sending import MAX_PONGS
from tornadoish.ws.states import TABLE, Step, after

DEFLATES = [None, Deflate(threshold=0), Deflate(send_takeover=False, receive_takeover=False)]


@pytest.fixture
def server() -> Protocol:
    return Protocol(False)


@pytest.fixture
def client() -> Protocol:
    return Protocol(True)


def hear(protocol: Protocol, data: bytes) -> list[Any]:
    protocol.receive(data)
    return list(iter(protocol.next_event, None))


class TestMessages:
    @pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 100_000])
    def test_a_server(self, server: Protocol, size: int) -> None:
        assert server.send_message(b"x" * size) == said(BINARY, b"x" * size)
        assert server.send_message("x" * size) == said(TEXT, b"x" * size)

    @pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 100_000])
    def test_a_client_masks(self, client: Protocol, size: int) -> None:
        sent = client.send_message(b"x" * size)
        start = len(sent) - size
        assert sent == raw(BINARY, b"x" * size, key=sent[start - 4 : start])

    def test_each_frame_has_a_key_of_its_own(self, client: Protocol) -> None:
        keys = {client.send_message(b"")[2:] for _ in range(100)}
        keys |= {client.ping()[2:] for _ in range(100)}
        assert len(keys) > 190  # two of 2**32 may be the same

    @pytest.mark.parametrize(
        "data",
        [
            bytearray(b"abcd"),
            memoryview(b"abcd"),
            memoryview(b"axbxcxdx")[::2],
            memoryview(b"abcd").cast("I"),
            memoryview(b"abcd").cast("B", (2, 2)),
        ],
        ids=["bytearray", "view", "strided", "wider", "square"],
    )
    @pytest.mark.parametrize("deflate", DEFLATES[:2])
    def test_bytes_of_any_kind(self, data: Any, deflate: Deflate | None) -> None:
        for is_client in (False, True):
            sender = Protocol(is_client, deflate=deflate)
            receiver = Protocol(not is_client, deflate=deflate)
            assert hear(receiver, sender.send_message(data)) == [Message(b"abcd")]

    def test_text_or_binary_can_be_chosen(self, server: Protocol) -> None:
        assert server.send_message("é", binary=True) == said(BINARY, "é".encode())
        assert server.send_message("é", binary=False) == said(TEXT, "é".encode())
        assert server.send_message("é".encode(), binary=False) == said(TEXT, "é".encode())

    def test_text_that_is_none_is_not_sent(self, server: Protocol) -> None:
        with pytest.raises(UnicodeEncodeError):
            server.send_message("\ud800")
        with pytest.raises(UnicodeDecodeError):
            server.send_message(b"\xff", binary=False)
        for data in (1, None, ["a"]):
            with pytest.raises(TypeError):
                server.send_message(data)  # type: ignore[arg-type]
        assert server.send_message("ok") == said(TEXT, b"ok")


class TestParts:
    def test_frames(self, server: Protocol) -> None:
        assert server.send_part("a", last=False) == raw(TEXT, b"a", fin=False, key=None)
        assert server.send_part("b", last=False) == raw(CONTINUATION, b"b", fin=False, key=None)
        assert server.send_part("c", last=True) == said(CONTINUATION, b"c")
        assert server.send_part(b"d", last=False) == raw(BINARY, b"d", fin=False, key=None)
        assert server.send_part(b"", last=True) == said(CONTINUATION)
        assert server.send_part("only", last=True) == said(TEXT, b"only")

    def test_an_empty_part_is_no_frame(self, server: Protocol) -> None:
        assert server.send_part("", last=False) == b""
        assert server.send_part("", last=False) == b""
        assert server.send_part("", last=True) == said(TEXT)

    @pytest.mark.parametrize("deflate", DEFLATES)
    @pytest.mark.parametrize("parts", [["", ""], ["a" * 500, ""], ["", "é" * 90, "", "b"], ["x"]])
    def test_they_are_one_message(self, parts: list[str], deflate: Deflate | None) -> None:
        sender, receiver = Protocol(False, deflate=deflate), Protocol(True, deflate=deflate)
        whole = "".join(parts)
        for _ in range(3):
            sent = b"".join(
                sender.send_part(part, last=number == len(parts) - 1)
                for number, part in enumerate(parts)
            )
            sent += sender.send_message(whole)
            assert hear(receiver, sent) == [Message(whole), Message(whole)]

    def test_large_parts_are_compressed_as_they_come(self) -> None:
        sender, receiver = Protocol(True, deflate=Deflate()), Protocol(False, deflate=Deflate())
        whole = bytes(2_000_000) + b"!"
        for _ in range(20):
            frame = sender.send_part(bytes(100_000), last=False)
            assert len(frame) < 3000
            assert hear(receiver, frame) == []
        assert hear(receiver, sender.send_part(b"!", last=True)) == [Message(whole)]

    def test_nothing_but_control_frames_in_between(self, server: Protocol) -> None:
        server.send_part("a", last=False)
        for send in (
            lambda: server.send_message("x"),
            lambda: PreparedMessage("x").frame(server),
        ):
            with pytest.raises(WrongState, match="has not ended"):
                send()
        assert server.ping(b"p") == said(PING, b"p")
        with pytest.raises(TypeError):
            server.send_part(b"binary", last=True)
        assert server.send_part("b", last=True) == said(CONTINUATION, b"b")
        assert server.send_message("x") == said(TEXT, b"x")

    def test_a_close_ends_it(self, server: Protocol) -> None:
        server.send_part("a", last=False)
        assert server.close() == said(CLOSE)
        with pytest.raises(WrongState, match="CLOSING"):
            server.send_part("b", last=True)


class TestControlFrames:
    def test_pings_and_pongs(self, server: Protocol, client: Protocol) -> None:
        assert server.ping() == said(PING)
        assert server.ping(b"x" * 125) == said(PING, b"x" * 125)
        assert server.pong(b"x") == said(PONG, b"x")
        assert hear(server, client.ping(b"1") + client.pong(b"2")) == [Ping(b"1"), Pong(b"2")]
        for send in (server.ping, server.pong):
            with pytest.raises(ValueError, match="125"):
                send(b"x" * 126)

    def test_a_ping_is_answered_once(self, server: Protocol) -> None:
        assert hear(server, raw(PING, b"1")) == [Ping(b"1")]
        assert server.bytes_to_send() == said(PONG, b"1")
        assert server.bytes_to_send() == b""

    def test_of_many_pongs_that_wait_the_last_counts(self, server: Protocol) -> None:
        """RFC 6455, 5.5.3; who does not read answers makes us hold 64 of them."""
        for number in range(10_000):
            assert hear(server, raw(PING, b"%d" % number)) == [Ping(b"%d" % number)]
        answers = server.bytes_to_send()
        first = b"".join(said(PONG, b"%d" % number) for number in range(MAX_PONGS - 1))
        assert answers == first + said(PONG, b"9999")

    def test_a_close_comes_behind_them(self, server: Protocol) -> None:
        for _ in range(2 * MAX_PONGS):
            hear(server, raw(PING))
        hear(server, raw(CLOSE))
        assert server.bytes_to_send() == said(PONG) * MAX_PONGS + said(CLOSE)

    def test_no_pong_behind_our_close(self, server: Protocol) -> None:
        server.close()
        assert hear(server, raw(PING)) == [Ping(b"")]
        assert server.bytes_to_send() == b""


class TestClosing:
    @pytest.mark.parametrize(
        ("arguments", "payload"),
        [
            ((), b""),
            ((None, ""), b""),
            ((1000,), closing(1000)),
            ((1001, "é"), closing(1001, "é")),
            ((4999, "x" * 123), closing(4999, "x" * 123)),
        ],
    )
    def test_frames(self, arguments: Any, payload: bytes, server: Protocol) -> None:
        assert server.close(*arguments) == said(CLOSE, payload)
        assert server.state is CLOSING

    @pytest.mark.parametrize(
        "arguments",
        [(999,), (1005,), (1006,), (1015,), (1016,), (2999,), (5000,), (-1,), (1 << 16,),
         (None, "reason"), (1000, "x" * 124), (1000, "é" * 62), (1000, "\ud800")],
    )  # fmt: skip
    def test_what_may_not_be_sent(self, arguments: Any, server: Protocol) -> None:
        with pytest.raises(ValueError):
            server.close(*arguments)
        assert server.state is OPEN

    def test_ours_first(self, server: Protocol, client: Protocol) -> None:
        assert hear(client, server.close(1001, "bye")) == [Close(1001, "bye")]
        assert (client.state, client.close_code, client.close_reason) == (CLOSED, 1001, "bye")
        assert hear(server, client.bytes_to_send()) == [Close(1001, "")]
        assert (server.state, server.close_code) == (CLOSED, 1001)
        assert server.bytes_to_send() == b""

    def test_both_at_once(self, server: Protocol, client: Protocol) -> None:
        ours, theirs = server.close(1000), client.close(1001)
        assert hear(server, theirs) == [Close(1001, "")]
        assert hear(client, ours) == [Close(1000, "")]
        assert (server.bytes_to_send(), client.bytes_to_send()) == (b"", b"")
        assert server.state is client.state is CLOSED

    def test_messages_behind_ours_are_still_read(self, server: Protocol) -> None:
        server.close()
        assert hear(server, raw(TEXT, b"a") + raw(CLOSE)) == [Message("a"), Close(None, "")]

    def test_a_fault_behind_ours_is_not_answered(self, server: Protocol) -> None:
        server.close()
        with pytest.raises(ProtocolError, match=r"opcode \(1002\)"):
            hear(server, raw(3))
        assert server.bytes_to_send() == b""
        assert server.close_code == 1002

    @pytest.mark.parametrize("how", ["ours", "theirs", "fault", "end"])
    def test_nothing_is_sent_behind_a_close(self, how: str, server: Protocol) -> None:
        if how == "ours":
            server.close()
        elif how == "theirs":
            hear(server, raw(CLOSE))
        elif how == "fault":
            with pytest.raises(ProtocolError):
                hear(server, raw(3))
        else:
            server.end_of_input()
        for send in (
            lambda: server.send_message("x"),
            lambda: server.send_part("x", last=True),
            lambda: PreparedMessage("x").frame(server),
            server.ping,
            server.pong,
            server.close,
        ):
            with pytest.raises(WrongState, match=server.state.name):
                send()


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", Step)
def test_the_state_table(state: State, step: Step) -> None:
    """Nothing leads back, and the end of the connection is possible anywhere."""
    order = list(State)
    if step in TABLE[state]:
        assert order.index(after(state, step)) >= order.index(state)
    else:
        assert step is not Step.END
        with pytest.raises(WrongState, match=f"{step.name} is not possible in {state.name}"):
            after(state, step)


class TestPreparedMessages:
    def test_one_object_for_all(self) -> None:
        message = PreparedMessage("x" * 500)
        plain = [Protocol(False) for _ in range(3)]
        packed = [Protocol(False, deflate=Deflate()) for _ in range(3)]
        assert len({id(message.frame(protocol)) for protocol in plain}) == 1
        assert len({id(message.frame(protocol)) for protocol in packed}) == 1
        assert message.frame(plain[0]) == said(TEXT, b"x" * 500)
        assert len(message.frame(packed[0])) < 50

    def test_other_compression_is_another_frame(self) -> None:
        message = PreparedMessage(bytes(range(256)) * 20)
        for deflate in (Deflate(), Deflate(send_bits=9), Deflate(level=1), Deflate(mem_level=1)):
            receiver = Protocol(True, deflate=deflate)
            frame = message.frame(Protocol(False, deflate=deflate))
            assert hear(receiver, frame) == [Message(bytes(range(256)) * 20)]

    def test_each_client_masks_it(self) -> None:
        message = PreparedMessage(b"x" * 10)
        frames = [message.frame(Protocol(True)) for _ in range(3)]
        assert len(set(frames)) == 3
        assert all(xor(frame[6:], frame[2:6]) == b"x" * 10 for frame in frames)

    @pytest.mark.parametrize("deflate", DEFLATES)
    def test_between_other_messages(self, deflate: Deflate | None) -> None:
        """The peer has it in its window, our context has not: nothing may look back over it."""
        sender, receiver = Protocol(False, deflate=deflate), Protocol(True, deflate=deflate)
        prepared = PreparedMessage("one two three " * 10)
        for number in range(5):
            text = f"one two three {number} " * 10
            for frame, wanted in (
                (sender.send_message(text), text),
                (prepared.frame(sender), "one two three " * 10),
                (sender.send_message(text), text),
            ):
                assert hear(receiver, frame) == [Message(wanted)]

    def test_a_short_one_is_not_compressed(self) -> None:
        sender = Protocol(False, deflate=Deflate(threshold=10))
        assert PreparedMessage("x" * 9).frame(sender) == said(TEXT, b"x" * 9)
        assert PreparedMessage("x" * 10).frame(sender)[0] == 0xC1

    def test_it_does_not_change_with_its_bytes(self) -> None:
        data = bytearray(b"abc")
        message = PreparedMessage(data)
        data[:] = b"xyz"
        assert message.frame(Protocol(False)) == said(BINARY, b"abc")
