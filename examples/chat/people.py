"""People: who is in a room, in all processes.

Each process says now and then who is in its part of the room. One that says nothing for a while is
gone, and so are its people.
"""

import time
import uuid
from collections.abc import Iterable
from typing import Any

SHOWN = 100  # names that a page is told; of the others, how many there are

PROCESS = uuid.uuid4().hex  # how this process calls itself


class People:
    """Of one room."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}  # by process
        self._heard: dict[str, float] = {}  # when
        self._shown: list[str] = []

    def here(self, names: Iterable[str]) -> dict[str, Any]:
        """Those in this process, as it tells others."""
        report = {"process": PROCESS, "names": sorted(set(names))}
        self.heard(**report)
        return report

    def heard(self, process: str, names: list[str]) -> None:
        """A process has said who is in its part of the room."""
        self._names[process] = names
        self._heard[process] = time.monotonic()
        if not names:
            del self._names[process], self._heard[process]

    def forget_the_silent(self, seconds: float) -> None:
        """Processes that have not been heard for so long."""
        for process, heard in list(self._heard.items()):
            if time.monotonic() - heard > seconds:
                del self._names[process], self._heard[process]

    def have_changed(self) -> bool:
        """Since this was asked last."""
        before, self._shown = self._shown, self._all()
        return self._shown != before

    def told(self) -> dict[str, Any]:
        """What a page is told. Who has two pages open is one person."""
        names = self._all()
        return {"type": "people", "names": names[:SHOWN], "count": len(names)}

    def _all(self) -> list[str]:
        return sorted({name for names in self._names.values() for name in names}, key=str.casefold)
