"""WorkerMetrics: what several processes have counted, all together.

Made by whoever starts the processes. Each of them counts into files of its own in one directory
(the multiprocess mode of ``prometheus_client``), which is fresh, so that nothing of an earlier run
is counted again.
"""

from __future__ import annotations

import glob
import os
import shutil
import struct
import tempfile
from threading import Lock
from typing import Any

from tornadoish.log import gen_log
from tornadoish.util import import_extra

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# Files of this process are those of all that are gone: no worker has the number 0.
_GONE = 0
_TRIES = 3
_MEMORY = "/dev/shm"
_ROOM = 16 * 1024 * 1024  # bytes; a worker has some files of 64 KiB


class WorkerMetrics:
    """The directory, and what is in it (:class:`Source`).

    :param parent: where the directory is made; by default in memory, where there is such a place
        (``/dev/shm``), else where temporary files are: counting into a file on a disk costs several
        times as much.
    :raises ImportError: without the extra ``metrics``.
    :raises OSError: there is no place for the directory.
    """

    def __init__(self, parent: str | None = None) -> None:
        self._multiprocess = import_extra("prometheus_client.multiprocess", "metrics")
        self._maps = import_extra("prometheus_client.mmap_dict", "metrics")
        where = parent or _place_in_memory()
        self.directory = tempfile.mkdtemp(prefix="tornadoish-metrics-", dir=where)
        self._lock = Lock()

    @property
    def environment(self) -> dict[str, str]:
        """What a worker must have in its environment before it imports ``prometheus_client``."""
        return {VARIABLE: self.directory}

    def collect(self) -> Any:
        """See :class:`Source`."""
        collector = self._multiprocess.MultiProcessCollector(None, self.directory)
        return _Sums(collector, self._lock)

    def worker_gone(self, pid: int) -> None:
        """The worker ``pid`` has ended: what it had open counts no more, and what it has counted
        is put together with that of all others that are gone. Call it once a worker, before its
        number can be another's."""
        with self._lock:
            self._multiprocess.mark_process_dead(pid, self.directory)
            for path in glob.glob(os.path.join(self.directory, f"*_{pid}.db")):
                self._add_to_gone(path)

    def close(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _add_to_gone(self, path: str) -> None:
        """Without this there would be some files more for each worker that there ever was."""
        kind, _, _ = os.path.basename(path).rpartition("_")
        if kind not in ("counter", "histogram", "summary"):
            return  # somebody's gauge that is to stay
        try:
            values = list(self._maps.MmapedDict.read_all_values_from_file(path))
            sums = self._maps.MmapedDict(os.path.join(self.directory, f"{kind}_{_GONE}.db"))
            try:
                for key, value, timestamp, _ in values:
                    sums.write_value(key, sums.read_value(key)[0] + value, timestamp)
            finally:
                sums.close()
        except Exception:  # of a process that was killed as it wrote; it is still read as it is
            gen_log.warning("Metrics of a worker that is gone are kept apart", exc_info=True)
        else:
            os.remove(path)


def _place_in_memory() -> str | None:
    """A directory that is no disk's and has room; None if there is none."""
    try:
        found = os.statvfs(_MEMORY)
    except (AttributeError, OSError):  # another system
        return None
    room = found.f_bavail * found.f_frsize
    return _MEMORY if room >= _ROOM and os.access(_MEMORY, os.W_OK | os.X_OK) else None


class _Sums:
    """The sums of all files, for who writes them out; nobody moves any from file to file while they
    are read."""

    def __init__(self, collector: Any, lock: Lock) -> None:
        self._collector = collector
        self._lock = lock

    def collect(self) -> list[Any]:
        for tries_left in range(_TRIES, 0, -1):
            try:
                with self._lock:
                    return list(self._collector.collect())
            except (OSError, RuntimeError, struct.error):  # a file that is just being made
                if tries_left == 1:
                    raise
        return []
