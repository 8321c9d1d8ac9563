"""uvicorn with httptools under the bare ASGI callable: `uvicorn_server.py PORT`."""

from __future__ import annotations

import uvicorn
from asgi_app import app
from serving import KEEP_ALIVE_SECONDS, parser

if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    certificate, key = options.tls or (None, None)
    # "auto" takes uvloop and httptools where they are installed. uvicorn alone logs each request
    # by default; a log line would cost it more than the request, so it is off as everywhere here.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=options.port,
        loop="auto",
        http="auto",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,  # its own 5 s would end what `idle` counts
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
