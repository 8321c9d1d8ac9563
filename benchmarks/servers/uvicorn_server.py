"""uvicorn with httptools under the bare ASGI callable: `uvicorn_server.py PORT`."""

from __future__ import annotations

import sys

import uvicorn
from asgi_app import app

if __name__ == "__main__":
    # "auto" takes uvloop and httptools where they are installed. uvicorn alone logs each request
    # by default; a log line would cost it more than the request, so it is off as everywhere here.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="auto",
        http="auto",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
