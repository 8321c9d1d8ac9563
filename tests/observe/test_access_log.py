"""Access log lines: their formats, what a peer cannot do to them, and where they go."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import App, Client, get, post, until

from tornadoish.accesslog import AccessLog, Format, LineHandler, compile_pattern, formatter
from tornadoish.accesslog.json_lines import FIXED
from tornadoish.accesslog.texts import escaped
from tornadoish.httputil import Ended, Exchange, HTTPHeaders, RequestStartLine
from tornadoish.web import Application, RequestHandler

Serve = Callable[..., Awaitable[Any]]
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Context:
    remote_ip: str | None = "192.0.2.1"
    protocol = "http"


def exchange(**changes: Any) -> Exchange:
    """A request for /a?b, answered in 1.5 s, its first byte after half a second."""
    now = time.perf_counter()
    made = Exchange()
    made.context = Context()
    made.start_line = RequestStartLine("GET", "/a?b", "HTTP/1.1")
    made.headers = HTTPHeaders({"Host": "x", "User-Agent": "me", "Cookie": "c=d"})
    made.response_headers = HTTPHeaders({"X-Own": "y"})
    made.status, made.bytes_in, made.bytes_out = 200, 3, 5
    made.begun, made.first_byte, made.finished = now - 1.5, now - 1, now
    made._route = "/{name}"
    for name, value in changes.items():
        setattr(made, name, value)
    return made


PARTS = {
    "%a": "192.0.2.1", "%h": "192.0.2.1", "%l": "-", "%u": "-", "%r": "GET /a?b HTTP/1.1",
    "%m": "GET", "%U": "/a", "%q": "?b", "%H": "HTTP/1.1", "%R": "/{name}", "%s": "200",
    "%>s": "200", "%b": "5", "%B": "5", "%I": "3", "%O": "5", "%T": "1", "%{s}T": "1",
    "%{ms}T": "1500", "%X": "+", "%{ended}x": "done", "%{user-agent}i": "me", "%{Referer}i": "-",
    "%{X-Own}o": "y", "%{c}C": "d", "%{x}C": "-", "%{user}n": "-", "%%": "%",
    "%P": str(os.getpid()), "a {b} %m 'c' \\": "a {b} GET 'c' \\",
}  # fmt: skip


@pytest.mark.parametrize("pattern", PARTS)
def test_directives(pattern: str) -> None:
    assert compile_pattern(pattern)(exchange()) == PARTS[pattern]


@pytest.mark.parametrize(
    ("pattern", "line"),
    [("%s", "-"), ("%b", "-"), ("%B", "0"), ("%r", "-"), ("%m%U%H", "---"), ("%q", ""),
     ("%^FB", "-"), ("%{a}i", "-"), ("%{a}o", "-"), ("%{a}C", "-"), ("%a", "-"), ("%R", "-"),
     ("%X", "X"), ("%{ended}x", "malformed")],
)  # fmt: skip
def test_directives_of_nothing(pattern: str, line: str) -> None:
    context = Context()
    context.remote_ip = None
    nothing = exchange(
        start_line=None, headers=None, response_headers=None, status=0, bytes_out=0, first_byte=0.0,
        _route="", ended=Ended.MALFORMED, context=context,
    )  # fmt: skip
    assert compile_pattern(pattern)(nothing) == line


def test_times_of_a_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XXX-5:30")
    time.tzset()
    try:
        made = exchange()
        wall = time.time() - 1.5
        line = compile_pattern("%t|%{%s}t|%D|%^FB")(made)
    finally:
        monkeypatch.undo()
        time.tzset()
    told, seconds, took, first = line.split("|")
    assert re.fullmatch(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0530\]", told)
    assert abs(datetime.strptime(told, "[%d/%b/%Y:%H:%M:%S %z]").timestamp() - wall) < 2
    assert abs(int(seconds) - wall) < 2
    assert 1_499_000 < int(took) < 1_501_000
    assert 499_000 < int(first) < 501_000


def test_the_second_goes_on() -> None:
    """The text of a second is kept, for that second."""
    first, later = exchange(), exchange()
    later.begun += 10
    for line in (compile_pattern("%t"), compile_pattern("%{%S}t"), formatter("json")):
        told = [line(one)[:28] for one in (first, later, first)]
        assert told[0] == told[2] != told[1]


@pytest.mark.parametrize(
    "pattern", ["%Z", "%", "%{x}", "%{}i", "%{x}y", "%{other}x", "%{days}T", "%m\n%U", "%m\x1b"]
)
def test_patterns_that_mean_nothing(pattern: str) -> None:
    with pytest.raises(ValueError):
        compile_pattern(pattern)


def test_formats() -> None:
    assert formatter("combined")(exchange()).endswith('"GET /a?b HTTP/1.1" 200 5 "-" "me"')
    assert formatter("common")(exchange()).endswith('"GET /a?b HTTP/1.1" 200 5')
    assert re.search(r"in=3 time=1\d{6} first=\d+ done$", formatter("text")(exchange()))
    with pytest.raises(ValueError, match="combined"):
        formatter("jsn")


# -- what peers send


@given(st.text())
def test_escapes(text: str) -> None:
    """Nothing of it is unprintable, no quote ends the field, and no two texts look the same."""
    shown = escaped(text)
    assert UNPRINTABLE.search(shown) is None
    assert re.search(r'(?<!\\)(?:\\\\)*"', shown) is None
    back = re.sub(
        r"\\(?:x(..)|u(....)|U(.{8})|(.))",
        lambda m: m[4] or chr(int(m[1] or m[2] or m[3], 16)),
        shown,
        flags=re.DOTALL,
    )
    assert back == text


@pytest.mark.parametrize("format", ["combined", "text", "json", "%r|%{a}i|%{a}C|%U|%q|%{a}n"])
@given(text=st.text(min_size=1))
def test_lines_of_anything(format: str, text: str) -> None:
    """Whatever reaches a line leaves it one, printable line; of JSON, an object with the text."""
    headers = HTTPHeaders.from_pairs(
        [("A", text), ("User-Agent", text)], {"a": text, "user-agent": text, "cookie": f"a={text}"}
    )
    line = formatter(format)(
        exchange(start_line=RequestStartLine(text, text, text), headers=headers, notes={"a": text})
    )
    assert UNPRINTABLE.search(line) is None
    if format == "json":
        told = json.loads(line)
        assert told["target"] == told["user_agent"] == told["a"] == text


def test_json() -> None:
    told = json.loads(formatter("json")(exchange(notes={"user": "bob", "status": 1, "x": {1}})))
    assert set(told) == FIXED | {"user", "note.status", "x"}
    assert told["status"] == 200 and told["note.status"] == 1 and told["user"] == "bob"
    assert (told["bytes_in"], told["bytes_out"], told["ended"]) == (3, 5, "done")
    assert (told["method"], told["target"], told["route"]) == ("GET", "/a?b", "/{name}")
    assert 1.499 < told["duration"] < 1.501 and 0.499 < told["first_byte"] < 0.501
    assert told["referer"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told["time"])


# -- where they go


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger that nobody else has handlers on; pytest puts some on those that do not propagate,
    and on the root."""
    made = logging.getLogger("tests.observe.own")
    made.parent = None
    made.setLevel(logging.INFO)
    yield made
    for handler in made.handlers[:]:
        made.removeHandler(handler)
        handler.close()
    for own in made.filters[:]:
        made.removeFilter(own)


async def serve_hello(serve: Serve, log: AccessLog) -> Any:
    class Own(RequestHandler):
        def get(self, name: str) -> None:
            self.request.connection.note("user", "bob")
            self.write("x")

    return await serve(Application([("/{name}", Own)]), observers=[log], check=False)


@pytest.mark.parametrize("kind", ["lines", "stream", "another kind of handler"])
async def test_one_line_for_each_request(
    serve: Serve, logger: logging.Logger, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    text = io.StringIO()
    handler: logging.Handler = logging.StreamHandler(text)
    if kind == "lines":
        handler = LineHandler(path)
    elif kind == "stream":
        handler = LineHandler(text)
    logger.addHandler(handler)
    log = AccessLog("%m %U %s %u", logger=logger)
    assert (log._line_handlers() is None) == (kind == "another kind of handler")
    served = await serve_hello(serve, log)

    def read() -> str:
        return path.read_text() if kind == "lines" else text.getvalue()

    async with Client.connect(served.port) as client:
        await client.send(get("/one") + get("/two/") + get("/three\xff"))
        await client.response(), await client.response()
    await until(lambda: read().count("\n") == 3)
    assert read() == "GET /one 200 bob\nGET /two/ 404 -\n- - 400 -\n"


async def test_the_default_logger(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tornadoish.access"):
        served = await serve_hello(serve, AccessLog("%m %U"))
        async with Client.connect(served.port) as client:
            await client.send(get("/one"))
            await client.response()
        await until(lambda: "GET /one" in caplog.messages)


async def test_a_level_and_a_filter_are_heeded(serve: Serve, logger: logging.Logger) -> None:
    text = io.StringIO()
    logger.addHandler(LineHandler(text))
    logger.addFilter(lambda record: "two" not in record.getMessage())
    served = await serve_hello(serve, AccessLog("%m %U", logger=logger))
    async with Client.connect(served.port) as client:
        for path in ("/one", "/two", "/three"):
            await client.send(get(path))
            await client.response()
        await until(lambda: "three" in text.getvalue())
        logger.setLevel(logging.WARNING)
        await client.send(get("/four"))
        await client.response()
        await asyncio.sleep(0)
    assert text.getvalue() == "GET /one\nGET /three\n"


async def test_what_is_skipped(serve: Serve, logger: logging.Logger) -> None:
    text = io.StringIO()
    logger.addHandler(LineHandler(text))
    log = AccessLog("%m %U", logger=logger, skip=lambda e: e.route == "/{name}")
    served = await serve_hello(serve, log)
    async with Client.connect(served.port) as client:
        await client.send(get("/one") + get("/one/other"))
        await client.response(), await client.response()
    await until(text.getvalue)
    assert text.getvalue() == "GET /one/other\n"


async def test_a_format_of_ones_own_that_fails(
    serve: Serve, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """The lines of other requests are written."""
    text = io.StringIO()
    logger.addHandler(LineHandler(text))

    def format(exchange: Exchange) -> str:
        assert exchange.start_line is not None
        return {"/one": "1", "/three": "3"}[exchange.start_line.path]

    own: Format = format
    served = await serve_hello(serve, AccessLog(own, logger=logger))
    async with Client.connect(served.port) as client:
        await client.send(get("/one") + get("/two") + get("/three"))
        for _ in range(3):
            await client.response()
    await until(lambda: text.getvalue().endswith("3\n"))
    assert text.getvalue() == "1\n3\n"
    told = [r.getMessage() for r in caplog.records if r.name == "tornado.application"]
    assert told == ["Uncaught exception in an observer"]


async def test_bodies_that_are_given_up_have_lines(serve: Serve, logger: logging.Logger) -> None:
    """There was no handler, so nobody else would tell of them."""
    text = io.StringIO()
    logger.addHandler(LineHandler(text))
    served = await serve(App(), observers=[AccessLog("%r %s %I %{ended}x", logger=logger)])
    async with Client.connect(served.port) as client:
        await client.send(post(b"xyz")[:-1])
        await until(lambda: served.connections and served.connections[0].message)
        await asyncio.sleep(0)
    await until(text.getvalue)
    assert text.getvalue() == "POST / HTTP/1.1 499 2 client_gone\n"


# -- LineHandler


def test_a_file_that_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    handler = LineHandler(path)
    handler.write_lines(["one"])
    os.rename(path, tmp_path / "old")
    handler._looked -= 2  # it looks once a second
    handler.write_lines(["two"])
    os.remove(path)
    handler._looked -= 2
    handler.write_lines(["three"])
    assert (tmp_path / "old").read_text() == "one\n"
    assert path.read_text() == "three\n"
    os.rename(path, tmp_path / "other")
    path.touch()
    handler._looked -= 2
    handler.write_lines(["four"])
    assert path.read_text() == "four\n"
    os.rename(path, tmp_path / "another")
    handler.reopen()
    handler.write_lines(["five"])
    assert path.read_text() == "five\n"
    handler.close()


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        LineHandler(tmp_path / "no" / "log")


def test_what_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As logging tells it; and the server goes on."""
    with open("/dev/full", "w") as full:
        LineHandler(full).write_lines(["one", "two"])
    told = capsys.readouterr().err
    assert "No space left on device" in told and "2 lines, the first of them: one" in told


def test_text_that_no_file_could_hold(tmp_path: Path) -> None:
    handler = LineHandler(tmp_path / "log")
    handler.emit(logging.makeLogRecord({"msg": "a\ud800b"}))
    handler.close()
    assert (tmp_path / "log").read_text() == "a\\ud800b\n"


WRITER = """
import sys
from tornadoish.accesslog import LineHandler
handler = LineHandler(sys.stdout)
for number in range(200):
    handler.write_lines([sys.argv[1] * 99] * 100)
"""


def test_processes_that_share_a_pipe() -> None:
    """Batches are larger than what a pipe takes in one piece; no line is torn."""
    reading, writing = os.pipe()
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, letter], stdout=writing) for letter in "abc"
    ]
    os.close(writing)
    with open(reading) as lines:
        counts = dict.fromkeys("abc", 0)
        for line in lines:
            assert line == line[0] * 99 + "\n"
            counts[line[0]] += 1
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert counts == dict.fromkeys("abc", 20_000)
