"""A client's process: it runs all scenarios on all servers and tells what became of them.

Called with the name of a library and, as JSON, the servers' ports. For "tornadoish" our modules are
put under Tornado's names before Tornado's client is imported; for "tornado" it is imported as it
is. What it tells is ``{server: {name of the scenario: {"result": ..., ...}}}`` and a few words of
its own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import sys
import time
from typing import Any
from weakref import WeakSet

from client.cases import ALONE, Case
from client.fetching import Site, descriptors
from client.mapping import put_ours_in_place, where_the_client_stands
from client.processes import run, tell
from client.scenarios import CASES

# Seconds that are never waited unless something is wrong: for a scenario, for what it leaves, and
# for all that hang or leave something together.
MOST, LEFT, ALTOGETHER = 10.0, 2.0, 40.0
PORTS = re.compile(r"((?:localhost|127\.0\.0\.1|\[::1\]|\.test):)[0-9]+")


class Watch(logging.Handler):
    """Keeps what is logged, and what nobody hears."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []
        logging.getLogger().addHandler(self)
        sys.unraisablehook = self.unraisable
        asyncio.get_running_loop().set_exception_handler(self.unheard)

    def emit(self, record: logging.LogRecord) -> None:
        error = repr(record.exc_info[1]) if record.exc_info else ""
        self.heard.append(f"{record.levelname} {record.name}: {record.getMessage()} {error}")

    def unraisable(self, unraisable: Any) -> None:
        self.heard.append(f"{unraisable.exc_value!r} in {unraisable.object!r}")

    def unheard(self, loop: object, context: dict[str, Any]) -> None:
        self.heard.append(f"{context['message']}: {context.get('exception')!r}")

    def take(self) -> list[str]:
        heard, self.heard = self.heard, []
        return heard


class Runner:
    """Runs one scenario after the other, and looks at what each of them leaves behind."""

    def __init__(self) -> None:
        self._watch = Watch()
        self._patience = ALTOGETHER
        self._known: WeakSet[Any] = WeakSet()  # tasks and streams that were left by others

    def _seconds(self, most: float) -> float:
        """How long something is waited for: where many hang, not for each of them."""
        return max(0.2, min(most, self._patience))

    async def outcome(self, case: Case, site: Site) -> dict[str, Any]:
        """All there is to tell of one scenario."""
        before, ports = descriptors(), site.ports
        most = self._seconds(MOST)
        try:
            result = await asyncio.wait_for(case.run(site), most)
        except TimeoutError:
            self._patience -= most
            result = {"failed": f"not done in {most} seconds"}
        except Exception as error:
            result = {"failed": repr(error)}
        told = {
            "result": json.loads(PORTS.sub(r"\1PORT", json.dumps(result))),
            "left": await self._left(site, before),
            "heard": self._watch.take(),
        }
        site.ports = ports
        return told

    async def _left(self, site: Site, before: int) -> list[str]:
        """What is left of a scenario; it gets some time to go away."""
        most = self._seconds(LEFT)
        deadline = time.monotonic() + most
        known = self._known | {asyncio.current_task()}
        while True:
            tasks = [task for task in asyncio.all_tasks() if task not in known]
            streams = [each for each in site.streams if not each.closed() and each not in known]
            opened = descriptors() - before
            if not tasks and not streams and opened <= 0:
                return []
            if time.monotonic() > deadline:
                self._patience -= most
                self._known |= {*tasks, *streams}
                return [*map(repr, tasks), *map(repr, streams), f"{opened} descriptors"]
            await asyncio.sleep(0.001)

    def at_the_end(self) -> list[str]:
        """What was heard of what was collected last."""
        gc.collect()
        return self._watch.take()


async def main() -> None:
    library, servers = sys.argv[1], json.loads(sys.argv[2])
    runner = Runner()
    if library == "tornadoish":
        put_ours_in_place()
    report: dict[str, Any] = {"stands": where_the_client_stands()}
    used: set[str] = set()
    for server, ports in (servers | {ALONE: {}}).items():
        site = Site(ports)
        if ports:
            await site.fetch("/plain", over="localhost")  # the loop's threads are there now
        report[server] = {
            case.name: await runner.outcome(case, site)
            for case in CASES.values()
            if server in case.servers
            and (library == "tornadoish" or case.compared)
            and (case.over != "http6" or ports["http6"] is not None)
        }
        used |= site.used
        site.streams.clear()
    tell(report | {"used": sorted(used), "at the end": runner.at_the_end()})


if __name__ == "__main__":
    run(main)
