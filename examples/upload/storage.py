"""Where uploads live on disk: which names they may have, and how a file gets there.

Used by server.py, which calls whatever blocks in here in a thread; nothing in here knows HTTP.

An upload is written to a temporary file of its own in the target directory. Only when it is
complete does it get its final name, by a hard link, which fails where that name is taken: so no
upload is ever seen half-written, none overwrites another, and two that arrive at the same time
under one name become "name.ext" and "name (1).ext". (The directory must be on a file system that
has hard links, as all but FAT and its like have.)
"""

import contextlib
import errno
import hashlib
import itertools
import os
import re
import secrets
import shutil
import threading
import unicodedata
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

MAX_NAME = 255
"""Bytes of UTF-8 in a file name: what the common file systems take."""

# Names are shown to people. These turn text around, and a program may look like a picture.
_BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


class BadNameError(ValueError):
    """The client asked for a file name that is not taken; the text says why, for people."""


def file_name(quoted: str) -> str:
    """The file name in a percent-encoded path, safe to use in a directory; else BadNameError.

    It is the last part of the path. Both slashes separate parts, encoded ones too, so no name
    leads out of the directory. A leading dot is refused: it would hide the file, "." and ".." are
    directories, and the temporary files in here begin with one.
    """
    try:
        decoded = unquote_to_bytes(quoted).decode("utf-8")
    except UnicodeDecodeError:
        raise BadNameError("The file name is not valid UTF-8.") from None
    name = re.split(r"[/\\]", decoded)[-1]
    if not name:
        raise BadNameError("The file name is missing.")
    if name.startswith("."):
        raise BadNameError("File names that begin with a dot are not accepted.")
    if any(_is_control(character) for character in name):
        raise BadNameError("The file name contains control characters.")
    if len(name.encode()) > MAX_NAME:
        raise BadNameError(f"The file name is longer than {MAX_NAME} bytes.")
    return name


def _is_control(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Zl", "Zp")
        or unicodedata.bidirectional(character) in _BIDI_CONTROLS
    )


def numbered(name: str, number: int) -> str:
    """`name` for number 0, else "stem (number).ext", its stem cut where it would be too long."""
    if number == 0:
        return name
    stem, extension = os.path.splitext(name)
    if len(extension.encode()) > MAX_NAME // 2:  # not an extension, just a dot in a long name
        stem, extension = name, ""
    tail = f" ({number}){extension}"
    room = MAX_NAME - len(tail.encode())
    return stem.encode()[:room].decode("utf-8", errors="ignore") + tail


class PartialFile:
    """One upload on its way to disk: open(), write() as often as needed, publish() or discard().

    Each method may run in any thread. discard() may come while another is still under way in its
    thread (the server is being stopped): it waits for it, and in whichever order the two come,
    nothing is left behind.
    """

    def __init__(self, directory: Path) -> None:
        self.size = 0
        self._hash = hashlib.sha256()
        self._directory = directory
        self._path = directory / f".upload-{secrets.token_hex(8)}"
        self._file: BinaryIO | None = None
        self._discarded = False
        self._lock = threading.Lock()

    @property
    def sha256(self) -> str:
        """The hexadecimal digest of what was written so far."""
        return self._hash.hexdigest()

    def open(self, expected: int = 0) -> None:
        """Make the temporary file; OSError (ENOSPC) at once where `expected` bytes cannot fit."""
        with self._lock:
            if self._discarded:
                return
            if expected > shutil.disk_usage(self._directory).free:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._file = open(self._path, "xb")  # noqa: SIM115 - closed by publish() or discard()

    def write(self, data: bytes | bytearray) -> None:
        """Append `data`; OSError where the disk does not take all of it."""
        with self._lock:
            if self._file is not None:
                self._file.write(data)
                self._hash.update(data)
                self.size += len(data)

    def publish(self, name: str) -> str:
        """Close the file and give it its name, or the first free "name (1).ext", ...: returned."""
        with self._lock:
            if self._file is None:
                raise FileNotFoundError(errno.ENOENT, "the upload was discarded")
            self._file.close()  # complete, before anybody sees it
            for number in itertools.count():
                final = numbered(name, number)
                try:
                    os.link(self._path, self._directory / final)
                except FileExistsError:
                    continue
                self._file = None
                self._path.unlink()
                return final
            raise AssertionError("numbers do not end")

    def discard(self) -> None:
        """Close the file and remove it; harmless where there is none (any more)."""
        with self._lock:
            self._discarded = True
            if self._file is None:
                return
            with contextlib.suppress(OSError):  # what the disk did not take, it will not take now
                self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)
