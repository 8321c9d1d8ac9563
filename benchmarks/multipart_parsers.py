"""Parsers of multipart/form-data beside each other: what each takes, and how fast.

    pip install multipart python-multipart           # either may be missing
    python benchmarks/multipart_parsers.py           # both tables, half a minute
    python benchmarks/multipart_parsers.py --speed   # or --strictness

Ours, `multipart` (in its strict mode) and `python-multipart` (its low-level parser, with callbacks
that do what whoever wants a part's headers and data has to do). The bodies are those of our own
tests; of those that a limit refuses, only what the others have a like limit for.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))
sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "unit"))

from multipart_cases import CASES, LAST, Part, part

from tornadoish.httputil.multipart import PART_END, MultipartParser, PartHead

MIB = 1024 * 1024
#: of a body's pieces and its boundary: its parts, each with its data or, if that came in several
#: pieces, its size
Parse = Callable[[Iterable[bytes], bytes], list[Part]]
SHORT = b"B"
LONG = b"----WebKitFormBoundary7MA4YWxkTrZu0gW"  # a browser's


def ours(pieces: Iterable[bytes], boundary: bytes) -> list[Part]:
    parts: list[Part] = []
    name, filename, size, kept = "", None, 0, b""
    parser = MultipartParser(boundary)
    for piece in pieces:
        for event in parser.feed(piece):
            if type(event) is bytes:
                size += len(event)
                kept = event
            elif type(event) is PartHead:
                name, filename, *_ = event
                size, kept = 0, b""
            elif event is PART_END:
                parts.append((name, filename, kept if size == len(kept) else b"%d" % size))
    parser.close()
    return parts


def multipart(pieces: Iterable[bytes], boundary: bytes) -> list[Part]:
    from multipart import MultipartSegment, PushMultipartParser

    parts: list[Part] = []
    name, filename, size, kept = "", None, 0, b""
    with PushMultipartParser(boundary, strict=True) as parser:
        for piece in pieces:
            for event in parser.parse(piece):
                if type(event) is bytes:
                    size += len(event)
                    kept = event
                elif type(event) is MultipartSegment:
                    name, filename = event.name, event.filename
                    size, kept = 0, b""
                else:
                    parts.append((name, filename, kept if size == len(kept) else b"%d" % size))
    return parts


def python_multipart(pieces: Iterable[bytes], boundary: bytes) -> list[Part]:
    from python_multipart import MultipartParser as Parser
    from python_multipart.multipart import parse_options_header

    parts: list[Part] = []
    now: dict[str, Any] = {}
    ended = []

    def begin() -> None:
        now.update(headers={}, field=b"", value=b"", size=0, kept=b"")

    def header_end() -> None:
        now["headers"][now["field"].lower()] = now["value"]
        now["field"] = now["value"] = b""

    def headers() -> None:
        _, options = parse_options_header(now["headers"][b"content-disposition"])
        filename = options.get(b"filename")
        now["name"] = options[b"name"].decode()
        now["filename"] = None if filename is None else filename.decode()

    def data(piece: bytes, start: int, end: int) -> None:
        now["size"] += end - start
        now["kept"] = piece[start:end]

    def part_end() -> None:
        kept = now["kept"] if now["size"] == len(now["kept"]) else b"%d" % now["size"]
        parts.append((now["name"], now["filename"], kept))

    def adding(key: str) -> Callable[[bytes, int, int], None]:
        def add(piece: bytes, start: int, end: int) -> None:
            now[key] += piece[start:end]

        return add

    parser = Parser(
        boundary,
        {
            "on_part_begin": begin,
            "on_header_field": adding("field"),
            "on_header_value": adding("value"),
            "on_header_end": header_end,
            "on_headers_finished": headers,
            "on_part_data": data,
            "on_part_end": part_end,
            "on_end": lambda: ended.append(True),
        },
    )
    for piece in pieces:
        parser.write(piece)
    parser.finalize()
    if not ended:
        raise ValueError("finalize() does not say that the end is missing; whoever uses it may")
    return parts


PARSERS: dict[str, Parse] = {
    "tornadoish": ours, "multipart": multipart, "python-multipart": python_multipart,
}  # fmt: skip


def installed() -> dict[str, Parse]:
    """The parsers that are there, by name and version."""
    found: dict[str, Parse] = {"tornadoish": ours}
    for name in ("multipart", "python-multipart"):
        try:
            found[f"{name} {importlib.metadata.version(name)}"] = PARSERS[name]
        except importlib.metadata.PackageNotFoundError:
            print(f"{name} is not installed", file=sys.stderr)
    return found


# -- strictness


def verdict(parse: Parse, data: bytes, right: list[Part] | None) -> str:
    """What a parser says to ``data``; ``right`` is what is in it, None if it is to be refused."""
    try:
        parts = parse([data], SHORT)
    except Exception:  # KeyError too: whoever uses python-multipart finds a name missing
        return "refused"
    if parts == right:
        return "read"
    return f"taken, {len(parts)} part{'' if len(parts) == 1 else 's'}"


def depends_on_cuts(parse: Parse, data: bytes) -> bool:
    """Whether cutting ``data`` in two somewhere changes what is said of it."""

    def said(pieces: list[bytes]) -> object:
        try:
            return [(name, filename) for name, filename, _ in parse(pieces, SHORT)]
        except Exception:
            return None

    whole = said([data])
    return any(said([data[:i], data[i:]]) != whole for i in range(1, len(data)))


def show_strictness(parsers: dict[str, Parse]) -> None:
    cases = [case for case in CASES if not case.limits]
    print(f"| body | {' | '.join(parsers)} |")
    print("|-" * (len(parsers) + 1) + "|")
    wrong = dict.fromkeys(parsers, 0)
    for case in cases:
        right = case.parts if case.status is None else None
        words = []
        for name, parse in parsers.items():
            word = verdict(parse, case.data, right)
            good = word == ("refused" if right is None else "read")
            if depends_on_cuts(parse, case.data):
                word += ", or not: it depends on the cuts"
                good = False
            wrong[name] += not good
            words.append(word if good else f"**{word}**")
        print(f"| {case.id} | {' | '.join(words)} |")
    print(f"| wrong of {len(cases)} | {' | '.join(map(str, wrong.values()))} |")


# -- speed


def in_pieces(body: bytes, size: int = 65536) -> list[bytes]:
    return [body[i : i + size] for i in range(0, len(body), size)]


def workloads() -> dict[str, tuple[list[bytes], bytes]]:
    """By name: pieces and their boundary."""
    form = b"".join(part(f'form-data; name="field{i}"', f"value {i}") for i in range(100))

    def upload(data: bytes, boundary: bytes = LONG) -> tuple[list[bytes], bytes]:
        head = part('form-data; name="f"; filename="x"', b"")[:-2]
        ends = [end.replace(b"--B", b"--" + boundary) for end in (head, b"\r\n" + LAST)]
        return in_pieces(data.join(ends)), boundary

    return {
        "64 MiB file in 64 KiB pieces": upload(os.urandom(64 * MIB)),
        "the same, 1 byte as boundary": upload(os.urandom(64 * MIB), SHORT),
        "100 small fields": (in_pieces((form + LAST).replace(b"--B", b"--" + LONG)), LONG),
        "64 MiB of line ends (CVE-2023-46136)": upload(b"\r\n" * (32 * MIB)),
        "64 MiB of CRs": upload(b"\r" * (64 * MIB)),
        "the same, 1 byte as boundary ": upload(b"\r" * (64 * MIB), SHORT),
        "8 MiB of almost delimiters": upload((b"\r\n--" + LONG[:-1]) * (MIB // 5)),
    }


def measure(parse: Parse, pieces: Sequence[bytes], boundary: bytes, seconds: float = 1.0) -> float:
    """MB/s, the best of as many runs as there is time for."""
    size = sum(map(len, pieces))
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        parse(pieces, boundary)
        best = min(best, time.perf_counter() - start)
    return size / best / 1e6


def show_speed(parsers: dict[str, Parse]) -> None:
    print(f"| MB/s | {' | '.join(parsers)} |")
    print("|-" * (len(parsers) + 1) + "|")
    for name, (pieces, boundary) in workloads().items():
        rates = [f"{measure(parse, pieces, boundary):.0f}" for parse in parsers.values()]
        print(f"| {name} | {' | '.join(rates)} |")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--strictness", action="store_true")
    arguments.add_argument("--speed", action="store_true")
    chosen = arguments.parse_args()
    logging.disable()  # one of them logs a line for each fault
    parsers = installed()
    if chosen.strictness or not chosen.speed:
        show_strictness(parsers)
        print()
    if chosen.speed or not chosen.strictness:
        show_speed(parsers)


if __name__ == "__main__":
    main()
