"""Fuzz one target with atheris; see README.md.

    python tests/fuzz/fuzz.py NAME DIRECTORY [options of libFuzzer]

DIRECTORY gets the seeds and what is found to lead to new branches, DIRECTORY.dict the words that
are put in; what fails is written where ``-artifact_prefix=`` says.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE), *(str(HERE.parent / name) for name in ("wire", "unit", "ws"))]

# Not atheris's hook for regular expressions: it fails on patterns of bytes.
with atheris.instrument_imports(include=["tornadoish"]):
    from fuzz_targets import TARGETS

from fuzz_seeds import inputs  # noqa: E402 - the targets' imports are instrumented first
from meddling import LINES, NUMBERS, PIECES  # noqa: E402


def _dictionary() -> str:
    """The words of HTTP and of those who spoil it, as libFuzzer wants them."""
    words = sorted({*LINES, *NUMBERS, *PIECES} - {b""})
    return "".join('"' + "".join(rf"\x{byte:02x}" for byte in word) + '"\n' for word in words)


def main(name: str, directory: str, *options: str) -> None:
    seeds = Path(directory)
    seeds.mkdir(parents=True, exist_ok=True)
    for data in inputs(name):
        (seeds / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    words = Path(f"{directory.rstrip('/')}.dict")
    words.write_text(_dictionary())
    atheris.Setup([sys.argv[0], f"-dict={words}", *options, directory], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: fuzz.py {'|'.join(TARGETS)} DIRECTORY [options of libFuzzer]")
    main(*sys.argv[1:])
