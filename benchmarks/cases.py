"""The two tables of the benchmark: who is measured, and on what.

A new server or a new workload is a new entry here (and, for a server, a script in servers/).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wire import Header, Reply

ROOT = Path(__file__).resolve().parents[1]
HELLO = b"Hello, world!"
POST_BYTES = 1024
ROUTES = 500
PIPELINED = 16
CROWD = 10_000
ACTIVE = CROWD // 100
ACTIVE_SECONDS = 0.05
"""Between two requests of an active connection: 2000 requests a second in all keep no server busy,
so what is seen is how long one answer takes, not how long the queue is."""

BROWSER_HEADERS: tuple[Header, ...] = (
    (
        "User-Agent",
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/131.0.0.0 Safari/537.36"
        ),
    ),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ),
    ("Accept-Language", "en-GB,en;q=0.9,de;q=0.8"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Referer", "https://www.example.com/catalogue/books?page=4&sort=title"),
    ("Cookie", "session=4f9d1c2ab07e4c55a1d3; theme=dark; consent=necessary"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Upgrade-Insecure-Requests", "1"),
    ("Cache-Control", "max-age=0"),
)
"""What a browser sends with a click: these nine and Host make ten headers, about 600 bytes."""

Check = Callable[[Reply], bool]


@dataclass(frozen=True, kw_only=True)
class Server:
    """One row: `module` must be importable for it to run, `script` is in servers/."""

    name: str
    module: str
    script: str
    args: tuple[str, ...] = ()
    works: frozenset[str]
    note: str
    tree: Path | None = None
    """A checkout whose package is the one that is meant, instead of an installed one."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request that wrk repeats. A workload (`work`) is one case or, for routes, two."""

    name: str
    work: str
    target: str
    headers: tuple[Header, ...] = ()
    body_bytes: int = 0
    server_args: tuple[str, ...] = ()
    pipelined: int = 1
    """So many of the request are sent in one write, and each counts."""
    tls: bool = False
    beside: str = ""
    """Another case whose cost this one's is compared with: their rounds are interleaved."""
    check: Check
    about: str


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """One large body, moved by transfer.py."""

    name: str
    about: str
    beside: str = ""

    @property
    def work(self) -> str:
        """A transfer is a workload by itself."""
        return self.name


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """Connections that are kept open by crowd.py: `active` ones, each with a request every
    `ACTIVE_SECONDS`, among `idle` ones, which have had an answer each and ask for no more."""

    name: str
    work: str
    active: int
    idle: int
    beside: str = ""
    about: str

    @property
    def connections(self) -> int:
        """All of them."""
        return self.active + self.idle


AnyCase = Case | Transfer | Crowd


def _is_hello(reply: Reply) -> bool:
    return reply.body == HELLO


def _is_json(reply: Reply) -> bool:
    kind = reply.headers.get("content-type", "")
    try:
        value = json.loads(reply.body)
    except ValueError:
        return False
    return kind.startswith("application/json") and value == {"id": 42, "name": "abc"}


def _is_echo(reply: Reply) -> bool:
    return reply.body == b"x" * POST_BYTES


def _is_name(reply: Reply) -> bool:
    return reply.body == b"abc"


_MANY = ("--routes", str(ROUTES))

CASES: tuple[AnyCase, ...] = (
    Case(name="hello", work="hello", target="/", check=_is_hello, about="GET /, 13-byte answer"),
    Case(
        name="hello-coro",
        work="hello-coro",
        target="/coro",
        beside="hello",
        check=_is_hello,
        about="the same from a coroutine handler that does not suspend",
    ),
    Case(
        name="browser",
        work="browser",
        target="/",
        headers=BROWSER_HEADERS,
        check=_is_hello,
        about="GET / with a browser's ten headers, about 600 bytes",
    ),
    Case(
        name="json",
        work="json",
        target="/json/42?name=abc",
        check=_is_json,
        about="a path and a query argument, answered as JSON",
    ),
    Case(
        name="post",
        work="post",
        target="/echo",
        body_bytes=POST_BYTES,
        check=_is_echo,
        about="POST of 1 KiB, echoed",
    ),
    Case(
        name="routes-first",
        work="routes",
        target="/r0/abc",
        server_args=_MANY,
        check=_is_name,
        about=f"the first of {ROUTES} routes",
    ),
    Case(
        name="routes-last",
        work="routes",
        target=f"/r{ROUTES - 1}/abc",
        server_args=_MANY,
        beside="routes-first",
        check=_is_name,
        about=f"the last of {ROUTES} routes",
    ),
    Case(
        name="pipelined",
        work="pipelined",
        target="/",
        server_args=("--pipelined", str(PIPELINED)),
        pipelined=PIPELINED,
        check=_is_hello,
        about=f"GET /, {PIPELINED} of them in one write; the cost of each",
    ),
    Case(
        name="tls",
        work="tls",
        target="/",
        tls=True,
        check=_is_hello,
        about="GET / over TLS connections that are kept alive",
    ),
    Crowd(
        name="idle-none",
        work="idle",
        active=ACTIVE,
        idle=0,
        about=f"GET / on each of {ACTIVE} connections, {1 / ACTIVE_SECONDS:.0f} times a second",
    ),
    Crowd(
        name="idle-many",
        work="idle",
        active=ACTIVE,
        idle=CROWD - ACTIVE,
        beside="idle-none",
        about=f"the same among {CROWD - ACTIVE} more that are idle",
    ),
    Transfer(name="upload", about="one streamed request body"),
    Transfer(name="download", about="one streamed response body in 64 KiB chunks"),
)

WORKS = tuple(dict.fromkeys(case.work for case in CASES))

_ALL = frozenset(WORKS)
_NO_ROUTER = _ALL - {"routes"}

SERVERS: tuple[Server, ...] = (
    Server(
        name="tornadoish",
        module="tornadoish",
        script="tornado_style.py",
        args=("tornadoish",),
        works=_ALL,
        note="this tree",
        tree=ROOT,
    ),
    Server(
        name="tornado",
        module="tornado",
        script="tornado_style.py",
        args=("tornado",),
        works=_ALL,
        note="the same application, other import",
    ),
    Server(
        name="uvicorn",
        module="uvicorn",
        script="uvicorn_server.py",
        works=_NO_ROUTER,
        note="bare ASGI callable",
    ),
    Server(
        name="granian",
        module="granian",
        script="granian_server.py",
        works=_NO_ROUTER,
        note="bare ASGI callable, 1 worker",
    ),
    Server(
        name="aiohttp",
        module="aiohttp",
        script="aiohttp_server.py",
        works=_ALL,
        note="aiohttp.web",
    ),
    Server(
        name="bare",
        module="uvloop",
        script="bare_uvloop.py",
        works=frozenset({"hello", "browser", "pipelined", "idle"}),
        note="a protocol that parses nothing: the limit",
    ),
)
