"""Files by tornadoish or Tornado: `static_server.py PACKAGE DIRECTORY PORT [--copy] [--tls]`.

One program for both, as `tornado_style.py`. `--copy` takes sendfile away from tornadoish, which
then reads and writes; `--tls` does so by the nature of things.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
from pathlib import Path

from serving import run

CERTS = Path(__file__).resolve().parents[2] / "tests" / "certs"


async def main(package: str, directory: str, port: int, tls: bool) -> None:
    """Serve until ended from outside."""
    web = importlib.import_module(f"{package}.web")
    app = web.Application([], static_path=directory)
    certificate = {
        "certfile": str(CERTS / "localhost.pem"),
        "keyfile": str(CERTS / "localhost.key"),
    }
    app.listen(port, address="127.0.0.1", ssl_options=certificate if tls else None)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", help="tornado or tornadoish")
    parser.add_argument("directory")
    parser.add_argument("port", type=int)
    parser.add_argument("--copy", action="store_true")
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    if options.copy:
        importlib.import_module("tornadoish.iostream.files")._sendfile = None
    run(main(options.package, options.directory, options.port, options.tls))
