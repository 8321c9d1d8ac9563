"""The code blocks of the pages, in their order; used by the tests here. Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

# An opening fence with its info string, the text, and a closing fence as long as the opening one.
_FENCE = re.compile(r"^(`{3,})([^\n`]*)\n(.*?)^\1`*[ ]*$", re.DOTALL | re.MULTILINE)
# A first line that is a comment and nothing but the name of a file.
_NAME = re.compile(r"(?:#|//|;|<!--|/\*|\{#) ?([\w./-]+\.\w+|Dockerfile)(?: ?(?:-->|\*/|#\}))?")


@dataclass(frozen=True)
class Block:
    """One block: where it is, what its fence says, and what is in it."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def file(self) -> str | None:
        """The name of the file that it is, if its first line says so."""
        match = _NAME.fullmatch(self.text.partition("\n")[0])
        return match[1] if match else None

    @property
    def first(self) -> str:
        """Its first line, by which tables know it."""
        return self.text.partition("\n")[0]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page; those of Sphinx's own, as ``{toctree}``, are none."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        language, *words = match[2].split() or [""]
        if not language.startswith("{"):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(page, line, language, tuple(words), match[3]))
    return found


def directives_of(page: str) -> Iterator[str]:
    """The names of the blocks of Sphinx's own."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        if match[2].startswith("{"):
            yield match[2].strip("{}").split("}")[0]


def pages() -> list[str]:
    """README.md and all of docs/, as paths from the root."""
    found = sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))
    return ["README.md", *found]
