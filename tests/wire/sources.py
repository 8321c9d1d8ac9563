"""Where generated messages get their choices from: Hypothesis, which shrinks what fails, or a seed,
which is a hundred times faster."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Source(Protocol):
    """Makes the choices of a generator; the first of several options is the simplest."""

    def number(self, least: int, most: int) -> int: ...
    def text(self, alphabet: str, least: int, most: int) -> str: ...
    def octets(self, most: int) -> bytes: ...


class Seeded:
    """All choices follow from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def number(self, least: int, most: int) -> int:
        return least + int(self._random.random() * (most + 1 - least))

    def text(self, alphabet: str, least: int, most: int) -> str:
        return "".join(self._random.choices(alphabet, k=self.number(least, most)))

    def octets(self, most: int) -> bytes:
        return self._random.randbytes(self.number(0, most))


_integers = lru_cache(maxsize=None)(st.integers)
_texts = lru_cache(maxsize=None)(st.text)
_binaries = lru_cache(maxsize=None)(st.binary)


class Drawn:
    """Choices that Hypothesis makes."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def number(self, least: int, most: int) -> int:
        number: int = self._draw(_integers(least, most))
        return number

    def text(self, alphabet: str, least: int, most: int) -> str:
        text: str = self._draw(_texts(alphabet, min_size=least, max_size=most))
        return text

    def octets(self, most: int) -> bytes:
        octets: bytes = self._draw(_binaries(max_size=most))
        return octets


def pick(source: Source, options: Sequence[T]) -> T:
    """One of ``options``."""
    return options[source.number(0, len(options) - 1)]


def rarely(source: Source) -> bool:
    """Once in eight times."""
    return source.number(0, 7) == 7


def generated(make: Callable[[Source], T]) -> st.SearchStrategy[T]:
    """What ``make`` makes of choices that Hypothesis makes."""

    @st.composite
    def composed(draw: Callable[[st.SearchStrategy[Any]], Any]) -> T:
        return make(Drawn(draw))

    return composed()
