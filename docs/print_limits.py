"""Prints the tables of docs/limits.md from the dataclass and its comments, so that it cannot drift.

python docs/print_limits.py
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields

from tornadoish.http1 import limits
from tornadoish.http1.limits import KIB, MIB, Limits

#: Tornado's options of HTTPServer that set a bound
TORNADO = {
    "header_bytes": "max_header_size",
    "body_bytes": "max_body_size",
    "piece_bytes": "chunk_size",
    "header_seconds": "idle_connection_timeout",
    "idle_seconds": "idle_connection_timeout",
    "body_seconds": "body_timeout",
}
_SECTION = re.compile(r"    # -- (.+)")
_COMMENT = re.compile(r"    #: ?(.+)")
_FIELD = re.compile(r"    (\w+): .+ = .+")


def documented() -> Iterator[tuple[str, str, str]]:
    """Section, name and comment of every field, in their order. Fields in a row share a comment."""
    source = inspect.getsource(limits).partition("class Limits:")[2]
    section, comment, begins = "", "", True
    for line in source.splitlines():
        if match := _SECTION.fullmatch(line):
            section = match[1]
        elif match := _COMMENT.fullmatch(line):
            comment = match[1] if begins else f"{comment} {match[1]}"
            begins = False
        elif match := _FIELD.fullmatch(line):
            yield section, match[1], comment
            begins = True


def shown(name: str, value: float | None) -> str:
    """A default as people read it."""
    if value is None:
        return "none"
    if name.endswith("_bytes"):
        for unit, word in ((MIB, "MiB"), (KIB, "KiB")):
            if value and value % unit == 0:
                return f"{value // unit:g} {word}"
    if name.endswith("_seconds"):
        return f"{value:g} s"
    return f"{value:g} bytes/s" if name.endswith("_bytes_per_second") else f"{value:,}"


def tables() -> str:
    """One table for each section."""
    defaults = {field.name: field.default for field in fields(Limits)}
    lines: list[str] = []
    last = ""
    for section, name, comment in documented():
        if section != last:
            last = section
            title = section.removesuffix(", in seconds")
            lines += ["", f"### {title[0].upper()}{title[1:]}", ""]
            lines += ["| bound | default | of what, and what happens above |", "|---|---|---|"]
        text = re.sub(r"``(.+?)``", r"`\1`", comment)
        if name in TORNADO:
            text += f" (Tornado: `{TORNADO[name]}`)"
        lines.append(f"| `{name}` | {shown(name, defaults.pop(name))} | {text} |")
    if defaults:
        raise SystemExit(f"without a comment: {', '.join(defaults)}")
    return "\n".join(lines[1:]) + "\n"


if __name__ == "__main__":
    print(tables(), end="")
