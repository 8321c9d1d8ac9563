"""The client of `upload` and `download`: `transfer.py {upload,download} PORT MIB`.

A process of its own, so that it can be pinned to the other CPU. Prints one JSON object: bytes moved
and seconds from the first byte sent to the last received.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from processes import ServerError
from wire import BLOCK, connect, head, read_head, read_reply


def upload(port: int, size: int) -> None:
    """Send `size` bytes; the server must answer how many it counted."""
    block = memoryview(bytes(BLOCK))
    with connect(port) as sock:
        sock.sendall(head("POST", "/upload", port, [("Content-Length", str(size))]))
        left = size
        while left:
            part = block[: min(left, BLOCK)]
            sock.sendall(part)
            left -= len(part)
        reply = read_reply(sock)
    if reply.status != 200 or reply.body != str(size).encode():
        raise ServerError(f"upload of {size} bytes answered {reply.status} {reply.body[:80]!r}")


def download(port: int, size: int) -> None:
    """Receive `size` bytes into one buffer, over and over."""
    buffer = bytearray(BLOCK)
    with connect(port) as sock:
        sock.sendall(head("GET", f"/download/{size >> 20}", port))
        status, headers, _, rest = read_head(sock)
        if status != 200 or headers["content-length"] != str(size):
            raise ServerError(f"download of {size} bytes answered {status} {headers}")
        left = size - len(rest)
        while left > 0:
            count = sock.recv_into(buffer, min(left, BLOCK))
            if not count:
                raise ServerError(f"closed {left} bytes before the end of the download")
            left -= count


def main() -> None:
    """Move one body and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("direction", choices=("upload", "download"))
    parser.add_argument("port", type=int)
    parser.add_argument("mib", type=int)
    options = parser.parse_args()
    size = options.mib << 20
    start = time.perf_counter()
    if options.direction == "upload":
        upload(options.port, size)
    else:
        download(options.port, size)
    print(json.dumps({"bytes": size, "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    try:
        main()
    except (ServerError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
