"""Every target over its corpus, without a fuzzer: so they cannot rot."""

from __future__ import annotations

import pytest
from fuzz_seeds import CORPUS, SEEDS, inputs, kept
from fuzz_targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_target(name: str) -> None:
    for data in inputs(name):
        try:
            TARGETS[name](data)
        except Exception as error:
            error.add_note(repr(data))
            raise


def test_every_target_has_seeds_and_every_corpus_a_target() -> None:
    assert set(SEEDS) == set(TARGETS)
    assert {path.stem for path in CORPUS.iterdir()} <= set(TARGETS)
    for name in TARGETS:
        found = kept(name)
        assert len(found) == len(set(found)) <= 100, "small, and nothing twice"
