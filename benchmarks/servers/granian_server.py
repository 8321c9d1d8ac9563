"""granian, one worker, under the bare ASGI callable: `granian_server.py PORT`.

It is a supervisor and a worker process: the benchmark adds up the whole tree.
"""

from __future__ import annotations

from pathlib import Path

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from serving import KEEP_ALIVE_SECONDS, parser

CONNECTIONS = 20_000
"""Its default, 1024, would leave most of `idle` waiting to be accepted."""

if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    certificate, key = map(Path, options.tls) if options.tls else (None, None)
    Granian(
        "asgi_app:app",
        address="127.0.0.1",
        port=options.port,
        interface=Interfaces.ASGINL,  # ASGI without lifespan, which the callable does not speak
        workers=1,
        backpressure=CONNECTIONS,
        http1_settings=HTTP1Settings(
            header_read_timeout=KEEP_ALIVE_SECONDS * 1000,  # waiting for a next request is in it
            pipeline_flush=options.pipelined > 1,  # fewer system calls, where that is so
        ),
        ssl_cert=certificate,
        ssl_key=key,
        log_level=LogLevels.warning,
    ).serve()
