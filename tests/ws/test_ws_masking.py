"""Masking: every way gives the same, at every length and place."""

from __future__ import annotations

import random

import pytest
from ws_reading import KEY, xor

from tornadoish.ws import masking

SIZES = [*range(20), 125, 126, 255, 256, 257, 258, 4095, 4096, 4097, 4098, 70_001]
WAYS = [masking.mask, masking.in_python, masking.by_integers, masking.by_translation]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_way(way: object, kind: type) -> None:
    random_bytes = random.Random(1)
    for size in SIZES:
        data = random_bytes.randbytes(size)
        masked = way(kind(data), KEY)  # type: ignore[operator]
        assert bytes(masked) == xor(data)
        assert bytes(way(masked, bytearray(KEY))) == data  # type: ignore[operator]


def test_a_package_that_is_not_there_or_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (ImportError, OSError):

        def fail(name: str, error: type[Exception] = error) -> None:
            raise error(name)

        monkeypatch.setattr(masking, "import_object", fail)
        assert masking.load_in_c.__wrapped__() is None


def test_with_the_extra() -> None:
    pytest.importorskip("websockets.speedups")
    assert masking.mask is masking.mask_short is masking.load_in_c()


def test_keys_go_on() -> None:
    data = bytes(range(100))
    for cut in range(9):
        rest = masking.rotated(KEY, cut)
        assert xor(data[:cut]) + bytes(masking.mask(data[cut:], rest)) == xor(data)


def test_a_key_is_four_bytes() -> None:
    assert {len(masking.new_key()) for _ in range(50)} == {4}
