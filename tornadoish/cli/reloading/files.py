"""Which files are watched: code and templates; no environments, caches or hidden directories."""

from __future__ import annotations

import os
from collections.abc import Iterator

SUFFIXES = frozenset(
    [".py", ".html", ".htm", ".xhtml", ".jinja", ".jinja2", ".j2", ".tmpl", ".tpl", ".mako"]
)
_SKIPPED = frozenset(["__pycache__", "node_modules", "site-packages"])
#: a directory with this file in it is a virtual environment
_ENVIRONMENT = "pyvenv.cfg"


def is_watched(name: str) -> bool:
    """Whether a file of this name is code or a template. What an editor keeps beside it is not, and
    neither are tests: the server does not run them."""
    if name.startswith((".", "#", "test_")) or name == "conftest.py":
        return False
    return os.path.splitext(name)[1].lower() in SUFFIXES


def is_skipped(directory: str) -> bool:
    """Whether a directory, by its path, has nothing to be watched."""
    name = os.path.basename(directory)
    if name in _SKIPPED or (name.startswith(".") and name not in (".", "..")):
        return True
    return os.path.exists(os.path.join(directory, _ENVIRONMENT))


def watched_files(directory: str) -> Iterator[os.DirEntry[str]]:
    """All files that are watched in a directory and those within; links to directories are not
    followed."""
    waiting = [directory]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if not is_skipped(entry.path):
                            waiting.append(entry.path)
                    elif is_watched(entry.name):
                        yield entry
        except OSError:  # gone meanwhile, or none of our business
            continue
