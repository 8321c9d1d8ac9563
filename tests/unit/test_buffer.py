"""buffer.py against the plainest model there is: a bytes object."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornadoish.buffer import ReceiveBuffer

steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.binary(max_size=12)),
        st.tuples(st.just("take"), st.integers(0, 20)),
        st.tuples(st.just("skip"), st.integers(0, 20)),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=40,
)


@given(steps)
def test_it_is_a_queue_of_bytes(steps: list[tuple[str, object]]) -> None:
    buffer, model = ReceiveBuffer(), b""
    for name, argument in steps:
        if isinstance(argument, bytes):
            buffer.append(argument)
            model += argument
        elif isinstance(argument, int):
            taken, model = model[:argument], model[argument:]
            if name == "take":
                result = buffer.take(argument)
                assert type(result) is bytes
                assert result == taken
            else:
                buffer.skip(argument)
        else:
            buffer.clear()
            model = b""
        assert bytes(buffer.data[buffer.pos :]) == model
        assert len(buffer) == len(model)
        assert bool(buffer.data) == bool(model), "data is empty when there is nothing"
        assert buffer.pos == 0 or model


def test_a_read_that_is_one_message_is_never_copied() -> None:
    buffer, chunk = ReceiveBuffer(), b"x" * 1000
    buffer.append(chunk)
    assert buffer.data is chunk
    assert buffer.take(1000) is chunk
    buffer.append(chunk)
    assert buffer.take(5000) is chunk


def test_what_was_taken_is_no_view_of_what_comes() -> None:
    buffer = ReceiveBuffer()
    for chunk in (b"ab", b"cd", b"ef"):
        buffer.append(chunk)
    taken = buffer.take(3)
    buffer.append(b"gh")
    assert (taken, buffer.take(9)) == (b"abc", b"defgh")


def test_the_repr_says_how_much_and_not_what() -> None:
    buffer = ReceiveBuffer()
    buffer.append(b"secret")
    buffer.skip(2)
    assert repr(buffer) == "<ReceiveBuffer 4 bytes>"


def _seconds_for(total: int, pattern: str) -> float:
    """The time to move ``total`` bytes through a buffer, the best of three."""
    best = float("inf")
    for _ in range(3):
        buffer = ReceiveBuffer()
        begin = time.process_time()
        if pattern == "one large piece, small takes":
            buffer.append(bytes(total))
            while buffer:
                buffer.take(16)
        elif pattern == "small pieces, one take":
            for _ in range(total // 16):
                buffer.append(bytes(16))
            buffer.take(total)
        else:  # a backlog that never empties
            buffer.append(bytes(total // 2))
            for _ in range(total // 32):
                buffer.append(bytes(16))
                buffer.take(16)
        best = min(best, time.process_time() - begin)
    return best


@pytest.mark.parametrize(
    "pattern", ["one large piece, small takes", "small pieces, one take", "a backlog"]
)
def test_work_is_linear_in_bytes(pattern: str) -> None:
    small, large = _seconds_for(1 << 17, pattern), _seconds_for(1 << 20, pattern)
    # Eight times the bytes: 8 if linear, 64 if quadratic. Both are milliseconds.
    assert large < 30 * small + 0.02, (small, large)
