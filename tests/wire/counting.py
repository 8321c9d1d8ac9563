"""How much work a reader does: steps that are counted, not seconds that are measured.

A step is a function called, or a byte searched, compared or copied.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from reading import MOST_EVENTS, Case

from tornadoish.buffer import ReceiveBuffer
from tornadoish.http1 import body, reader
from tornadoish.http1.reader import Reader
from tornadoish.http1.states import DONE
from tornadoish.httputil import HTTPInputError


class CountedData(bytearray):
    """Counts its bytes that are looked at."""

    touched = 0

    def _span(self, start: int, end: int | None) -> None:
        end = len(self) if end is None else min(end, len(self))
        CountedData.touched += max(0, end - start)

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:  # type: ignore[override]
        self._span(start, end)
        return super().find(sub, start, end)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            self._span(key.start or 0, key.stop)
        return super().__getitem__(key)


class CountedBuffer(ReceiveBuffer):
    """A buffer whose bytes are counted ones from the first to the last."""

    def append(self, chunk: bytes) -> None:
        if isinstance(self.data, bytearray):
            del self.data[: self.pos]
            self.data += chunk
        else:
            self.data = CountedData(chunk)
        self.pos = 0

    def take(self, count: int) -> bytes:
        taken = super().take(count)
        CountedData.touched += len(taken)
        return taken


class CountedPattern:
    """A pattern that counts the bytes that it is given (none of ours goes over one twice)."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self.pattern = pattern

    def search(self, data: Any, start: int = 0, end: int | None = None) -> Any:
        end = len(data) if end is None else min(end, len(data))
        CountedData.touched += max(0, end - start)
        return self.pattern.search(data, start, end)

    def fullmatch(self, data: Any) -> Any:
        CountedData.touched += len(data)
        return self.pattern.fullmatch(data)


@contextmanager
def counted_patterns() -> Iterator[None]:
    """Within it, what patterns search in what has arrived counts too."""
    with (
        mock.patch.object(reader, "NOT_IN_HEAD", CountedPattern(reader.NOT_IN_HEAD)),
        mock.patch.object(body, "NOT_IN_HEAD", CountedPattern(body.NOT_IN_HEAD)),
        mock.patch.object(body, "CHUNK_LINE", CountedPattern(body.CHUNK_LINE)),
    ):
        yield


def steps(pieces: list[bytes], case: Case) -> int:
    """What it takes to read ``pieces``, which come one after the other."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    CountedData.touched = 0
    machine = Reader(CountedBuffer(), case.limits, is_client=case.client)
    machine.request_method = case.method
    former = sys.getprofile()
    sys.setprofile(count)
    try:
        for piece in pieces:
            machine.buffer.append(piece)
            for _ in range(MOST_EVENTS):
                if machine.next_event() is None:
                    break
                if machine.state is DONE:
                    machine.next_message()
    except HTTPInputError:
        pass
    finally:
        sys.setprofile(former)
    return calls + CountedData.touched
