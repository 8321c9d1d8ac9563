"""Files: what attachments are called, on disk and for people, and what a browser may make of them.

Used by handlers_files.py and app.py. On disk a file has a random name, in one directory: nothing
that a client says becomes a part of a path. The name that it was sent with is shown to people.
"""

import os
import re
import secrets
import unicodedata
from pathlib import Path, PurePosixPath
from urllib.parse import quote

MAX_NAME = 120  # characters

PICTURES = {
    ".avif": "image/avif",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
"""Endings of pictures that pages show. No SVG: that is a document, which may hold scripts."""

# These turn text around, and a program may look like a picture.
_BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def new_stored_name() -> str:
    """A name on disk that no other file has."""
    return secrets.token_hex(16)


def shown_name(sent: str) -> str:
    """The name of a file for people: what a client says, without a path and what cannot be seen."""
    name = re.split(r"[/\\]", sent)[-1]
    name = "".join(character for character in name if not _is_control(character)).strip()
    stem, ending = os.path.splitext(name)
    if len(ending) > 20:  # no ending, just a dot in a long name
        stem, ending = name, ""
    return (stem[: MAX_NAME - len(ending)] + ending) or "file"


def _is_control(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in _BIDI_CONTROLS
    )


def is_picture(name: str) -> bool:
    """Whether pages show it."""
    return PurePosixPath(name).suffix.lower() in PICTURES


def media_type(name: str) -> str:
    """A picture is one, anything else is just bytes: nothing that a browser would run or open."""
    return PICTURES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")


def disposition(name: str) -> str:
    """A Content-Disposition by which a file is stored, never opened (RFC 6266): the true name, and
    before it one for clients that know ASCII only."""
    plain = re.sub(r"[^ !#-\[\]-~]|%", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def remove(directory: Path, stored: list[str]) -> None:
    """Remove files; call it in a thread. What is gone already is no error."""
    for name in stored:
        (directory / name).unlink(missing_ok=True)


def remove_others(directory: Path, stored: set[str]) -> None:
    """Remove what is not one of these: left by uploads that nobody could end any more."""
    for path in directory.iterdir():
        if path.name not in stored and path.is_file():
            path.unlink()


def human_size(count: float) -> str:
    """A number of bytes for people: "10 MiB"."""
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while count >= 1024 and len(units) > 1:
        count, units = count / 1024, units[1:]
    return f"{count:.3g} {units[0]}" if count < 100 else f"{count:.0f} {units[0]}"
