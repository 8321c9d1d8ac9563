"""Watchers: wait until a watched file changes. By watchfiles, an extra, where that is installed,
for it is told by the system; else by looking at all of them a few times a second.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from tornadoish.cli.reloading.files import is_skipped, is_watched, watched_files
from tornadoish.util import import_extra

_STEP = 0.25  # seconds between two looks
_SETTLED = 0.1  # seconds in which nothing more may have changed: editors and git write many files

_Seen = dict[str, tuple[int, int, int]]


class Watcher(Protocol):
    """Watches directories, and single files."""

    #: how, for the log
    by: str

    def changes(self) -> Iterator[set[str]]:
        """Paths that have changed, whenever some have; and nothing, a few times a second, so that
        who waits can look at something else too. Ends when told to stop."""
        ...


def make_watcher(
    directories: Sequence[str], files: Sequence[str], stop: threading.Event
) -> Watcher:
    """The best watcher that there is.

    :param stop: set: ``changes`` ends.
    """
    try:
        watchfiles = import_extra("watchfiles", "reload")
    except ImportError:
        return Polling(directories, files, stop)
    return Watchfiles(watchfiles, directories, files, stop)


class Polling:
    """Looks at every file's time and size."""

    by = "polling"

    def __init__(
        self, directories: Sequence[str], files: Sequence[str], stop: threading.Event
    ) -> None:
        self._directories = directories
        self._files = files
        self._stop = stop

    def changes(self) -> Iterator[set[str]]:
        before = self._look()
        while not self._stop.wait(_STEP):
            now = self._look()
            changed = _differences(before, now)
            while changed and not self._stop.wait(_SETTLED):
                later = self._look()
                more = _differences(now, later)
                now = later
                if not more:
                    break
                changed |= more
            before = now
            yield changed

    def _look(self) -> _Seen:
        seen: _Seen = {}
        for directory in self._directories:
            for entry in watched_files(directory):
                _note(seen, entry.path)
        for file in self._files:
            _note(seen, file)
        return seen


def _note(seen: _Seen, path: str) -> None:
    try:
        found = os.stat(path)
    except OSError:
        return
    seen[path] = (found.st_mtime_ns, found.st_size, found.st_ino)


def _differences(before: _Seen, now: _Seen) -> set[str]:
    changed = {path for path, state in now.items() if before.get(path) != state}
    return changed | (before.keys() - now.keys())


class Watchfiles:
    """Is told by the system (https://watchfiles.helpmanual.io)."""

    by = "watchfiles"

    def __init__(
        self, module: Any, directories: Sequence[str], files: Sequence[str], stop: threading.Event
    ) -> None:
        self._module = module
        self._directories = [os.path.realpath(directory) for directory in directories]
        self._files = {os.path.realpath(file) for file in files}
        self._stop = stop
        logging.getLogger("watchfiles").setLevel(logging.WARNING)  # else it tells of each change

    def changes(self) -> Iterator[set[str]]:
        # A file alone would be lost when an editor puts a new one in its place.
        around = {os.path.dirname(file) for file in self._files}
        around = {path for path in around if not _is_within(path, self._directories)}
        for changes in self._module.watch(
            *self._directories,
            *around,
            watch_filter=self._wants,
            debounce=1000,
            step=int(_SETTLED * 1000),
            stop_event=self._stop,
            rust_timeout=int(_STEP * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
        ):
            yield {path for _, path in changes}

    def _wants(self, change: object, path: str) -> bool:
        if path in self._files:
            return True
        if not is_watched(os.path.basename(path)):
            return False
        for directory in self._directories:
            if path.startswith(directory + os.sep):
                return not self._is_within_skipped(directory, os.path.dirname(path))
        return False

    def _is_within_skipped(self, root: str, directory: str) -> bool:
        while len(directory) > len(root):
            if is_skipped(directory):
                return True
            directory = os.path.dirname(directory)
        return False


def _is_within(path: str, directories: Sequence[str]) -> bool:
    return any(f"{path}{os.sep}".startswith(f"{one}{os.sep}") for one in directories)
