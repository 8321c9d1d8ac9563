"""A supervisor for tests: started with its options as JSON, it tells in a line of JSON where it
listens, and then, whoever connects to the Unix socket ``control``, how its workers are."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
import sys
from pathlib import Path
from typing import Any

from tornadoish.log import enable_pretty_logging
from tornadoish.netutil import bind_sockets, bind_unix_socket
from tornadoish.supervisor import Notifier, Policy, Supervisor, inherited_sockets

WORKER = [sys.executable, "-W", "error", str(Path(__file__).with_name("supervised_worker.py"))]


async def main(options: dict[str, Any]) -> int:
    sockets = [sock for _, sock in inherited_sockets()]
    if options.get("unix"):
        sockets = [bind_unix_socket("served")]
    sockets = sockets or bind_sockets(0, "127.0.0.1")
    where = sockets[0].getsockname()
    gone: list[int] = []
    supervisor = Supervisor(
        options.get("command", WORKER),
        sockets,
        workers=options.get("workers", 2),
        split=options.get("split", True),
        policy=Policy(**{"beat_seconds": 0.05, "backoff_seconds": 0.05} | options["policy"]),
        notifier=Notifier.from_environment(),
        on_gone=gone.append,
    )

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        views = [dataclasses.asdict(view) for view in supervisor.views()]
        writer.write(json.dumps({"workers": views, "gone": gone}).encode())
        writer.close()

    server = await asyncio.start_unix_server(tell, "control")
    print(json.dumps(where), flush=True)
    status = await supervisor.run()
    server.close()
    print(json.dumps({"reason": supervisor.reason}), flush=True)
    return status


if __name__ == "__main__":
    signal.alarm(90)
    enable_pretty_logging()
    sys.exit(asyncio.run(main(json.loads(sys.argv[1]))))
