"""permessage-deflate (RFC 7692): negotiation in both roles, windows, contexts, bombs."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from typing import Any

import pytest
from ws_reading import BINARY, TEXT, raw, said, xor

from tornadoish.ws import Deflate, DeflateOptions, Message, MessagePart, Protocol, ProtocolError
from tornadoish.ws.deflate import PIECE, TAIL, Inflater
from tornadoish.ws.extensions import parse_extensions

NAME = "permessage-deflate"
#: all windows as large as they can be, nothing asked for
LARGE = DeflateOptions(server_max_window_bits=15, client_max_window_bits=15)


class TestGrammar:
    @pytest.mark.parametrize(
        ("value", "found"),
        [
            ("", []),
            (" , ,", []),
            ("a", [("a", [])]),
            ("a, b", [("a", []), ("b", [])]),
            (",a,,b,", [("a", []), ("b", [])]),
            ("a;b", [("a", [("b", None)])]),
            ("a ; b ; c = d\t,e", [("a", [("b", None), ("c", "d")]), ("e", [])]),
            ('a; b="c"', [("a", [("b", "c")])]),
            ('a; b="\\c"; d', [("a", [("b", "c"), ("d", None)])]),
            ("a;b;b", [("a", [("b", None), ("b", None)])]),
            ("a;b=10, a", [("a", [("b", "10")]), ("a", [])]),
            # Groups within possessive repeats made re fail on this one.
            (
                'a, b; c; d; e="f", g',
                [("a", []), ("b", [("c", None), ("d", None), ("e", "f")]), ("g", [])],
            ),
        ],
    )
    def test_lists(self, value: str, found: Any) -> None:
        assert parse_extensions(value) == found

    @pytest.mark.parametrize(
        "value",
        ["a b", "a;", ";a", "a;=b", "a;b=", "a;b=c d", 'a;b="', 'a;b=""', 'a;b="c d"', 'a;b="c,d"',
         'a;b="c"d', "a=b", "(a)", "a;b=(c)", "é", "a;b=\x00", 'a;b="\\"', "a;;b", 'a;b="\\é"'],
    )  # fmt: skip
    def test_what_is_none(self, value: str) -> None:
        with pytest.raises(ValueError):
            parse_extensions(value)

    def test_long_ones(self) -> None:
        """Linear: a field has at most some ten thousand characters."""
        assert len(parse_extensions(", ".join(["a;b=c"] * 5000))) == 5000
        for value in ('a;b="' + "\\a" * 20_000, "a" + ";a" * 20_000 + ";", "," * 50_000 + ";"):
            with pytest.raises(ValueError):
                parse_extensions(value)


def answer(offer: str, options: DeflateOptions = LARGE) -> str | None:
    accepted = options.accept(parse_extensions(offer))
    return None if accepted is None else accepted[0].removeprefix(NAME).removeprefix("; ")


class TestServer:
    @pytest.mark.parametrize(
        ("parameters", "wanted"),
        [
            ("", ""),
            ("server_no_context_takeover", "server_no_context_takeover"),
            ("client_no_context_takeover", "client_no_context_takeover"),
            ("server_max_window_bits=8", "server_max_window_bits=8"),
            ("server_max_window_bits=15", ""),
            ('server_max_window_bits="10"', "server_max_window_bits=10"),
            ("client_max_window_bits", ""),
            ("client_max_window_bits=15", ""),
            ("client_max_window_bits=9", "client_max_window_bits=9"),
            ("client_max_window_bits; server_max_window_bits=9", "server_max_window_bits=9"),
            # 7.1: declined
            ("x", None),
            ("server_no_context_takeover=1", None),
            ("client_no_context_takeover=true", None),
            ("client_no_context_takeover; client_no_context_takeover", None),
            ("server_max_window_bits", None),
            ("server_max_window_bits=7", None),
            ("server_max_window_bits=16", None),
            ("server_max_window_bits=08", None),
            ("server_max_window_bits=1", None),
            ("server_max_window_bits=9; server_max_window_bits=9", None),
            ("client_max_window_bits=0", None),
            ("client_max_window_bits=100", None),
            ("client_max_window_bits=x", None),
            ("SERVER_NO_CONTEXT_TAKEOVER", None),
        ],
    )
    def test_answers(self, parameters: str, wanted: str | None) -> None:
        assert answer(f"{NAME}; {parameters}" if parameters else NAME) == wanted

    def test_the_first_that_can_be_accepted(self) -> None:
        assert answer(f"x, {NAME}; x, {NAME}; server_max_window_bits=9, {NAME}") == (
            "server_max_window_bits=9"
        )
        assert answer("x-webkit-deflate-frame") is None
        assert answer("") is None

    def test_our_own_wishes(self) -> None:
        own = DeflateOptions(server_no_context_takeover=True, client_no_context_takeover=True)
        wanted = "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12"
        assert answer(NAME, own) == wanted
        # 7.1.2.2: a client that does not name its window cannot be told one
        assert answer(f"{NAME}; client_max_window_bits", own) == (
            f"{wanted}; client_max_window_bits=12"
        )
        assert answer(f"{NAME}; client_max_window_bits=10; server_max_window_bits=14", own) == (
            f"{wanted}; client_max_window_bits=10"
        )

    def test_what_it_means(self) -> None:
        offer = f"{NAME}; server_max_window_bits=10; client_no_context_takeover"
        accepted = DeflateOptions(level=3, mem_level=2, threshold=7).accept(parse_extensions(offer))
        assert accepted is not None
        assert accepted[1] == Deflate(
            send_bits=10, receive_bits=15, receive_takeover=False, level=3, mem_level=2, threshold=7
        )

    def test_one_object_for_all_connections(self) -> None:
        first, second = (LARGE.accept([(NAME, [])]) for _ in range(2))
        assert first is not None and second is not None and first[1] is second[1]


class TestClient:
    @pytest.mark.parametrize(
        ("options", "wanted"),
        [
            (LARGE, "; client_max_window_bits"),
            (DeflateOptions(), "; server_max_window_bits=12; client_max_window_bits=12"),
            (
                DeflateOptions(
                    server_no_context_takeover=True,
                    client_no_context_takeover=True,
                    server_max_window_bits=15,
                    client_max_window_bits=8,
                ),
                "; server_no_context_takeover; client_no_context_takeover"
                "; client_max_window_bits=8",
            ),
        ],
    )
    def test_offers(self, options: DeflateOptions, wanted: str) -> None:
        assert options.offer() == NAME + wanted

    @pytest.mark.parametrize(
        ("parameters", "wanted"),
        [
            ("", Deflate()),
            ("server_no_context_takeover", Deflate(receive_takeover=False)),
            ("client_no_context_takeover", Deflate(send_takeover=False)),
            ("server_max_window_bits=9", Deflate(receive_bits=9)),
            ("client_max_window_bits=8", Deflate(send_bits=8)),
            ("client_max_window_bits=15", Deflate()),
        ],
    )
    def test_answers(self, parameters: str, wanted: Deflate) -> None:
        [(_, pairs)] = parse_extensions(f"x;{parameters}" if parameters else "x")
        options = DeflateOptions(server_max_window_bits=15, client_max_window_bits=15)
        assert options.agreed(pairs) == wanted

    PROMISED = "server_no_context_takeover; server_max_window_bits=12"

    @pytest.mark.parametrize(
        ("parameters", "good"),
        [
            (PROMISED, True),
            (f"{PROMISED}; client_max_window_bits=12", True),
            ("server_no_context_takeover; server_max_window_bits=8", True),
            ("server_max_window_bits=12", False),
            ("server_no_context_takeover", False),
            ("server_no_context_takeover; server_max_window_bits=13", False),
            ("server_no_context_takeover; server_max_window_bits", False),
            (f"{PROMISED}; x", False),
            (f"{PROMISED}; server_no_context_takeover", False),
            (f"{PROMISED}; client_max_window_bits", False),
            (f"{PROMISED}; client_max_window_bits=7", False),
            (f"{PROMISED}; client_max_window_bits=13", False),
        ],
    )
    def test_what_was_asked_for_is_promised(self, parameters: str, good: bool) -> None:
        options = DeflateOptions(server_no_context_takeover=True)
        [(_, pairs)] = parse_extensions(f"{NAME}; {parameters}")
        if good:
            assert not options.agreed(pairs).receive_takeover
        else:
            with pytest.raises(ValueError, match="not offered"):
                options.agreed(pairs)

    def test_what_was_offered_is_kept(self) -> None:
        options = DeflateOptions(client_no_context_takeover=True, client_max_window_bits=10)
        agreed = options.agreed([("server_max_window_bits", "12")])
        assert (agreed.send_bits, agreed.send_takeover, agreed.receive_bits) == (10, False, 12)


@pytest.mark.parametrize(
    "wrong",
    [{"level": 10}, {"level": -2}, {"mem_level": 0}, {"mem_level": 10},
     {"server_max_window_bits": 7}, {"client_max_window_bits": 16}],
)  # fmt: skip
def test_options_out_of_range(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        DeflateOptions(**wrong)  # type: ignore[arg-type]


# -- at work


def texts(count: int) -> list[bytes]:
    """Messages that are like each other, and each of which is not like itself."""
    return [b'{"id": %d, "name": ' % i + bytes(range(60, 180)) + b"}" for i in range(count)]


class TestSending:
    def test_below_the_threshold(self) -> None:
        sender = Protocol(False, deflate=Deflate(threshold=100))
        assert sender.send_message(b"x" * 99) == said(BINARY, b"x" * 99)
        assert sender.send_message(b"x" * 100)[0] == 0xC2
        assert Protocol(False, deflate=Deflate(threshold=0)).send_message("")[0] == 0xC1

    def test_an_empty_message(self) -> None:
        """RFC 7692, 7.2.3.6: one byte of 0, also where there is nothing left to flush."""
        sender = Protocol(False, deflate=Deflate(threshold=0))
        assert [sender.send_message(b"") for _ in range(3)] == [raw(2, b"\0", rsv=4, key=None)] * 3

    def test_a_context_that_is_taken_over(self) -> None:
        sender = Protocol(False, deflate=Deflate())
        first, second = (len(sender.send_message(text)) for text in texts(2))
        assert second < first / 2

    def test_one_that_is_not(self) -> None:
        sender = Protocol(False, deflate=Deflate(send_takeover=False, level=9))
        for text in texts(3):
            payload = sender.send_message(text)[4:]
            assert zlib.decompressobj(-15).decompress(payload + TAIL) == text

    @pytest.mark.parametrize("bits", range(8, 16))
    def test_nothing_refers_beyond_the_window(self, bits: int) -> None:
        """zlib has no window of 8 bits for us: that of 9 is used, and looks back no further."""
        # The same words again and again, at distances that are often beyond the window.
        words = [random.Random(seed).randbytes(20) for seed in range(2 ** (bits - 4))]
        data = b"".join(random.Random(1).choices(words, k=3000))
        for level in (1, 6, 9):
            deflate = Deflate(send_bits=bits, level=level, mem_level=9)
            payload = Protocol(False, deflate=deflate).send_message(data)[4:]
            assert len(payload) < len(data)
            # A byte in, a byte out: what is further back than the window is gone.
            context, out = zlib.decompressobj(-bits), bytearray()
            for byte in payload + TAIL:
                rest = bytes([byte])
                while True:
                    piece = context.decompress(rest, 1)
                    rest = context.unconsumed_tail
                    out += piece
                    if not piece and not rest:
                        break
            assert out == data


class TestReceiving:
    @pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 1_000_001])
    @pytest.mark.parametrize("cut", [1, 100, 1 << 20])
    def test_sizes_about_those_of_pieces(self, size: int, cut: int) -> None:
        for text in (bytes(size), bytes(range(128)) * (size // 128)):
            for by_parts in (False, True):
                wire = Protocol(True, deflate=Deflate()).send_message(text, binary=False)
                receiver = Protocol(False, deflate=Deflate(), by_parts=by_parts)
                got: list[Any] = []
                for start in range(0, len(wire), cut):
                    receiver.receive(wire[start : start + cut])
                    got += iter(receiver.next_event, None)
                assert "".join(event.data for event in got) == text.decode()
                assert all(len(event.data) <= PIECE for event in got) or not by_parts

    def test_the_most_that_is_allowed(self) -> None:
        for size in (0, 1, 5, PIECE - 1, PIECE, PIECE + 1):
            wire = Protocol(True, deflate=Deflate(threshold=0)).send_message(bytes(size))
            receiver = Protocol(False, deflate=Deflate(), max_message_size=size)
            receiver.receive(wire)
            assert receiver.next_event() == Message(bytes(size))
            if size:
                receiver = Protocol(False, deflate=Deflate(), max_message_size=size - 1)
                receiver.receive(wire)
                with pytest.raises(ProtocolError, match="1009"):
                    receiver.next_event()

    @pytest.mark.parametrize("step", [60, 64, 65, 1000])
    def test_all_that_has_come_is_told(self, step: int) -> None:
        """Also what zlib holds when it has taken all input, but had no room for all output."""
        wire = Protocol(True, deflate=Deflate(level=9)).send_message(bytes(3_000_000))
        payload = xor(wire[8:], wire[4:8])
        receiver = Protocol(False, deflate=Deflate(), max_message_size=None, by_parts=True)
        size = 0
        for start in range(0, len(wire), step):
            receiver.receive(wire[start : start + step])
            size += sum(len(event.data) for event in iter(receiver.next_event, None))  # type: ignore[union-attr]
            come = zlib.decompressobj(-15).decompress(payload[: max(0, start + step - 8)])
            assert size == len(come)

    def test_a_bomb_is_not_unpacked(self) -> None:
        """64 MiB in 64 KiB; a message may have 1 MiB."""
        bomb = Protocol(True, deflate=Deflate(level=9)).send_message(bytes(64 << 20))
        assert len(bomb) < 100_000
        receiver = Protocol(False, deflate=Deflate(), max_message_size=1 << 20)
        receiver.receive(bomb)
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError, match="1009"):
                receiver.next_event()
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()

    def test_by_parts_it_takes_no_room(self) -> None:
        bomb = Protocol(True, deflate=Deflate(level=9)).send_message(bytes(64 << 20))
        receiver = Protocol(False, deflate=Deflate(), max_message_size=None, by_parts=True)
        receiver.receive(bomb)
        tracemalloc.start()
        try:
            size = 0
            while (event := receiver.next_event()) is not None:
                assert isinstance(event, MessagePart)
                size += len(event.data)
            assert (size, event) == (64 << 20, None)
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()

    def test_a_fault_within_a_message_leaves_nothing(self) -> None:
        receiver = Protocol(False, deflate=Deflate())
        receiver.receive(raw(TEXT, b"\x07\xff", rsv=4, fin=False))
        with pytest.raises(ProtocolError, match="1007"):
            receiver.next_event()
        assert receiver.unread == 0 and receiver.next_event() is None


def test_final_blocks_count_in_each_message() -> None:
    inflater = Inflater(Deflate())
    for _ in range(3):
        inflater.put(b"\x03\x00" * 10 + b"\x00" + TAIL)
        while inflater.more:
            assert inflater.take(100) == b""
        inflater.end_message()
