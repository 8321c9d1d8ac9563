"""granian, one worker, under the bare ASGI callable: `granian_server.py PORT`.

It is a supervisor and a worker process: the benchmark adds up the whole tree.
"""

from __future__ import annotations

import sys

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

if __name__ == "__main__":
    Granian(
        "asgi_app:app",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.ASGINL,  # ASGI without lifespan, which the callable does not speak
        workers=1,
        log_level=LogLevels.warning,
    ).serve()
