"""The layers that a request goes through, each by itself: what ``python benchmarks/micro`` times.

Run as a script it times them for the package that it imports and prints JSON; ``__main__`` runs it,
once for each tree that is to be compared. Each layer is a function that does its part of one
request. No kernel and no client: what is read is given as bytes, what is written is thrown away.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from nowhere import connect, open_stream

from tornadoish.buffer import ReceiveBuffer
from tornadoish.http1.limits import Limits
from tornadoish.http1.reader import Reader
from tornadoish.http1.writer import Writer
from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornadoish.iostream import IOStream
from tornadoish.web import Application, RequestHandler

HELLO = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8888\r\n\r\n"
BROWSER = (
    b"GET /page?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8888\r\nConnection: keep-alive\r\n"
    b'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"\r\nsec-ch-ua-mobile: ?0\r\n'
    b'sec-ch-ua-platform: "Linux"\r\nUpgrade-Insecure-Requests: 1\r\n'
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\r\n"
)
BATCH = 50

Work = Callable[[], object]


class Plain(RequestHandler):
    def get(self, *args: str) -> None:
        self.write(b"Hello, world!")


class Echo(RequestHandler):
    def get(self, name: str) -> None:
        self.write({"id": int(name), "name": self.get_query_argument("name")})

    def post(self) -> None:
        self.write(self.request.body)


class Taker:
    """A receiver that takes bytes and answers at once."""

    def __init__(self, stream: IOStream) -> None:
        self.stream = stream

    def bytes_arrived(self) -> bool:
        self.stream.buffer.clear()
        self.stream.write(b"x")
        return True

    def end_of_input(self) -> None: ...
    def stream_closed(self) -> None: ...
    def deadline_passed(self) -> None: ...


def reading(data: bytes, *, repeated: bool) -> Work:
    """Head by head; a client that repeats itself to the byte, or two that take turns."""
    buffer = ReceiveBuffer()
    reader = Reader(buffer, Limits())
    other = data.replace(b"8888", b"9999")
    turns = [data, data] if repeated else [data, other]

    def work() -> None:
        turns.reverse()
        buffer.append(turns[0])
        reader.next_head()
        reader.next_message()

    return work


def headers() -> Work:
    pairs = [("Content-Type", "text/html"), ("Server", "x"), ("Date", "now")]

    def work() -> None:
        made = HTTPHeaders.from_pairs(pairs.copy())
        made["Content-Length"] = "13"
        made.get("Etag")

    return work


def routing(count: int, path: str) -> Work:
    application = Application([(f"/page{number}/([0-9]+)", Plain) for number in range(count)])
    request = HTTPServerRequest(method="GET", uri=path, headers=HTTPHeaders({"Host": "a"}))
    request.connection = Unused()  # type: ignore[assignment]
    return lambda: application.find_handler(request)


class Unused:
    """Stands where a connection is asked for, and takes whatever is written."""

    context = None

    def set_close_callback(self, callback: object) -> None: ...
    def write_headers(self, *args: Any) -> None: ...
    def finish(self, *args: Any) -> None: ...


def handling() -> Work:
    application = Application([("/", Plain)], log_function=lambda handler: None)
    connection: Any = Unused()
    fields = HTTPHeaders({"Host": "a"})

    def work() -> None:
        request = HTTPServerRequest("GET", "/", "HTTP/1.1", fields, connection=connection)
        application.get_handler_delegate(request, Plain).execute()

    return work


def writing() -> Work:
    writer = Writer()
    line = ResponseStartLine("", 200, "OK")
    pairs = [
        ("Server", "tornadoish"), ("Content-Type", "text/html; charset=UTF-8"),
        ("Date", "Fri, 27 Nov 2026 12:00:00 GMT"), ("Etag", '"abc"'), ("Content-Length", "13"),
    ]  # fmt: skip

    def work() -> None:
        writer.answer("GET", "HTTP/1.1", True)
        writer.response(line, HTTPHeaders.from_pairs(pairs), b"Hello, world!")
        writer.end()
        writer.next_message()

    return work


def streaming() -> Work:
    stream = open_stream()
    stream.set_receiver(Taker(stream))
    return lambda: stream.data_received(b"x")


def whole(data: bytes, rules: list[Any] | None = None, count: int = 1) -> Work:
    """A whole request, or as many as are pipelined in one read."""
    application = Application(rules or [("/.*", Plain)], log_function=lambda handler: None)
    stream = connect(HTTPServer(application))
    return lambda: stream.data_received(data * count)


def layers() -> dict[str, Work]:
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1024\r\n\r\n" + bytes(1024)
    json_request = HELLO.replace(b"GET /", b"GET /json/42?name=abc")
    return {
        "stream: a read, a write": streaming(),
        "reader: hello, repeated": reading(HELLO, repeated=True),
        "reader: hello": reading(HELLO, repeated=False),
        "reader: a browser's head": reading(BROWSER, repeated=False),
        "headers: made, set, looked up": headers(),
        "routing: the last of 10": routing(10, "/page9/7"),
        "routing: the last of 500": routing(500, "/page499/7"),
        "handler: its life": handling(),
        "writer: an answer": writing(),
        "whole: hello": whole(HELLO),
        "whole: a browser's request": whole(BROWSER),
        "whole: JSON with arguments": whole(json_request, [("/json/([0-9]+)", Echo)]),
        "whole: POST of 1 KiB": whole(post, [("/", Echo)]),
        "whole: 16 pipelined": whole(HELLO, count=16),
    }


async def timed(seconds: float) -> dict[str, float]:
    """Microseconds of CPU for each layer: the best of many batches, the layers taking turns."""
    found: dict[str, float] = {}
    works = layers()
    for _ in range(5):
        for name, work in works.items():
            until = time.perf_counter() + seconds / 5
            while time.perf_counter() < until:
                begin = time.process_time()
                for _ in range(BATCH):
                    work()
                once = (time.process_time() - begin) / BATCH * 1e6
                found[name] = min(once, found.get(name, once))
            await asyncio.sleep(0)
    return found


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    print(json.dumps(asyncio.run(timed(float(sys.argv[1])))))
