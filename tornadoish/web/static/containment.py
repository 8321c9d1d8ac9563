"""Containment: which file below a root a path means, and that it is one.

Two checks. Of the path as it is written, before anything of it is looked for; it knows nothing of
symbolic links. And of the file, once it is open: where it really is. Nothing can be put in its
place between that check and the answer, for what is sent is the open file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import Any

from tornadoish.web.errors import HTTPError

#: to open never waits for a writer (FIFO) nor takes a terminal, and line ends stay what they are
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
#: devices that Windows has in every folder, with any extension
_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [f"{name}{number}" for name in ("COM", "LPT") for number in "123456789\xb9\xb2\xb3"]
)
_NO_SUCH_NAME = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)

Stamp = tuple[int, int, int, int, int]


# -- the path as it is written


def is_below(root: str, path: str, flavour: Any = os.path) -> bool:
    """Whether an absolute ``path`` is, as it is written, ``root`` itself or below it.

    :param flavour: ``posixpath`` or ``ntpath``.
    """
    if flavour.sep != "/":  # Windows: A is a
        root, path = flavour.normcase(root), flavour.normcase(path)
    if not root.endswith(flavour.sep):
        root += flavour.sep
    return bool((path + flavour.sep).startswith(root))


def is_a_name(path: str, flavour: Any = os.path) -> bool:
    """Whether a path can name a file at all, and in one way only: no NUL; on Windows no stream of a
    file (``a.txt::$DATA`` is a.txt), no drive, no device, no name whose end is dropped."""
    if "\0" in path:
        return False
    if flavour.sep == "/":
        return True
    for name in path.replace("/", "\\").split("\\"):
        stem = name.partition(".")[0].rstrip(" ").upper()
        loses_its_end = name[-1:] in (".", " ") and name not in (".", "..")
        if ":" in name or stem in _DEVICES or loses_its_end:
            return False
    return True


def join_below(root: str | os.PathLike[str], path: str, flavour: Any = os.path) -> str:
    """The absolute path of ``path`` below ``root``.

    :raises HTTPError: 403, it leads out of the root, as it is written; 404, it cannot name a file.
    """
    if not is_a_name(path, flavour):
        raise HTTPError(404)
    absolute: str = flavour.abspath(flavour.join(root, path))
    if not is_below(flavour.abspath(root), absolute, flavour):
        raise HTTPError(403, "%r is not in the static directory", path)
    return absolute


# -- the file


def stamp_of(found: os.stat_result) -> Stamp:
    """What changes when a file does. Not only when it was written: tools that want builds to be
    reproducible set that to a constant."""
    return (
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_size,
        found.st_ino,
        found.st_dev,
    )


class OpenFile:
    """A regular file, open for reading; closed by :meth:`close`, or when nobody has it any more.

    ``fd`` is its descriptor, ``path`` what it was opened by, ``stat`` what the system said of it
    then.

    :raises HTTPError: 404, there is none; 403, it is something else, or not for us to read.
    """

    __slots__ = ("fd", "path", "stat")

    def __init__(self, path: str) -> None:
        self.fd = -1
        self.path = path
        try:
            self._check(os.stat(path))  # before: to open a device may do something
            self.fd = os.open(path, _FLAGS)
            self.stat = os.fstat(self.fd)
        except PermissionError:
            raise HTTPError(403, "%r is not to be read", path) from None
        except (OSError, ValueError) as error:  # ValueError: a NUL
            if isinstance(error, ValueError) or error.errno in _NO_SUCH_NAME:
                raise HTTPError(404) from None
            raise
        self._check(self.stat)  # it may be another one by now

    def _check(self, found: os.stat_result) -> None:
        # A FIFO could keep us waiting, a device could have no end.
        if not stat.S_ISREG(found.st_mode):
            raise HTTPError(403, "%r is not a file", self.path)

    @property
    def stamp(self) -> Stamp:
        """What changes when the file does."""
        return stamp_of(self.stat)

    def close(self) -> None:
        """Close it, if it is not closed."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


# -- where it really is


def is_really_below(path: str, real: str, allowed: Sequence[str]) -> bool:
    """Whether ``real``, where ``path`` leads with all links followed, is in a directory that is
    ``allowed``."""
    for root in allowed:
        root = os.path.abspath(root)
        if real == path and is_below(root, path):
            return True  # no link on the way at all, the usual case
        if is_below(os.path.realpath(root), real):
            return True
    return False


def open_below(path: str, allowed: Sequence[str]) -> OpenFile:
    """Open a file that is really in one of the directories that are ``allowed``, links followed.

    :param path: absolute.
    :raises HTTPError: 403, it is elsewhere; else as of :class:`OpenFile`. Of what is elsewhere it
        is not told whether it is there.
    """
    try:
        file = OpenFile(path)
    except HTTPError:
        check_links(path, allowed)
        raise
    real = _real_path(file)
    if real is None or not is_really_below(path, real, allowed):
        file.close()
        raise _elsewhere(path)
    return file


def check_links(path: str, allowed: Sequence[str]) -> None:
    """What is at ``path``, or would be there, is really in a directory that is ``allowed``.

    :raises HTTPError: 403, it is not.
    """
    try:
        real = os.path.realpath(path)
    except ValueError:
        return  # a NUL: it is nowhere
    if not is_really_below(path, real, allowed):
        raise _elsewhere(path)


def _elsewhere(path: str) -> HTTPError:
    return HTTPError(403, "%r leads out of the static directory by a link", path)


def _real_path(file: OpenFile) -> str | None:
    """Where an open file is, all links followed; None if it is not there any more."""
    try:
        # The system knows of the very file that is open: no race, and a third of the time.
        return os.readlink(f"/proc/self/fd/{file.fd}")
    except OSError:
        real = os.path.realpath(file.path)
        try:
            same = os.path.samestat(os.stat(real, follow_symlinks=False), file.stat)
        except OSError:
            return None
        return real if same else None
