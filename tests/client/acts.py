"""Scenarios that take more than one request and its options, each with what has to become of it."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from client.cases import ALONE, CONTINUE, GONE, ONE_SERVER, TWO_SERVERS, VERIFY_FAILED, Case
from client.fetching import Deaf, Site, answering, descriptors, unused_port
from client.pages import digest, pattern
from client.processes import CERT

Act = Callable[[Site], Awaitable[Any]]
ACTS: list[Case] = []


def act(expected: Any, **options: Any) -> Callable[[Act], Act]:
    """The decorated coroutine function is a case, named after it."""

    def add(run: Act) -> Act:
        name = run.__name__.replace("_", " ")
        ACTS.append(Case(name=name, expected=expected, act=run, **options))
        return run

    return add


def short(result: dict[str, Any]) -> Any:
    """What a scenario of several requests tells of each: the error, or the code and the body."""
    if "raised" in result:
        return result["raised"]
    body = result["seen"]["body"] if "seen" in result else result["body"]
    return [result["code"], body]


# -- responses in pieces


@act({name: ["one", "onetwo", [200, ""]] for name in ("body", "chunks", "until-close")})
async def pieces_as_they_come(site: Site) -> Any:
    """A piece is there before the rest has been sent."""
    results = {}
    for name in ("body", "chunks", "until-close"):
        pieces: list[bytes] = []
        came = asyncio.Event()

        def take(piece: bytes, pieces: list[bytes] = pieces, came: asyncio.Event = came) -> None:
            pieces.append(piece)
            came.set()

        path, release = site.held(name)
        fetching = asyncio.ensure_future(site.fetch(path, streaming_callback=take))
        await came.wait()
        early = b"".join(pieces)
        await release("go")
        result = await fetching
        results[name] = [digest(early), digest(b"".join(pieces)), short(result)]
    return results


@act(
    {
        "/bytes?n=1000000": [[200, ""], digest(pattern(1_000_000))],
        "/chunks?size=70000&count=10": [[200, ""], digest(pattern(70_000) * 10)],
        "/gzip?how=whole": [[200, ""], digest(pattern(100_000))],
        "/raw?name=until-close": [[200, ""], digest(pattern(100_000))],
        "/plain": [[200, ""], "hello"],
    }
)
async def a_streaming_coroutine(site: Site) -> Any:
    """No piece comes before the one before it has been taken, and none is lost when the server
    closes in the meantime."""
    results = {}
    for path in (
        "/bytes?n=1000000",
        "/chunks?size=70000&count=10",
        "/gzip?how=whole",
        "/raw?name=until-close",
        "/plain",
    ):
        taken = bytearray()
        busy = asyncio.Lock()

        async def take(piece: bytes, taken: bytearray = taken, busy: asyncio.Lock = busy) -> None:
            if busy.locked():
                taken.clear()
            async with busy:
                for _ in range(5):  # in which what comes behind is in the system's buffers
                    await asyncio.sleep(0)
                taken.extend(piece)

        result = await site.fetch(path, streaming_callback=take)
        results[path] = [short(result), digest(bytes(taken))]
    return results


@act(True, servers=TWO_SERVERS)
async def pieces_are_bounded(site: Site) -> Any:
    sizes: list[int] = []
    for path in ("/bytes?n=1000000", "/chunks?size=100000&count=3", "/gzip?how=whole"):
        await site.fetch(path, streaming_callback=lambda piece: sizes.append(len(piece)))
    return len(sizes) > 3 and max(sizes) <= 65536


@act(
    [["HTTP/1.0 200 OK\r\n", "Content-Type: text/plain\r\n", "\r\n"], [200, "until the end"]],
    servers=TWO_SERVERS,
)
async def header_lines(site: Site) -> Any:
    lines: list[str] = []
    result = await site.fetch("/raw?name=http10", header_callback=lines.append)
    return [lines, short(result)]


@act(["HTTP/1.0 200 OK\r\n"], servers=TWO_SERVERS)
async def header_lines_behind_a_redirect(site: Site) -> Any:
    """Of the last response only."""
    lines: list[str] = []
    await site.fetch("/redirect?code=302&to=/raw%3Fname=http10", header_callback=lines.append)
    return [line for line in lines if line.startswith("HTTP/")]


def fail(_: Any) -> None:
    raise LookupError("of the callback")


async def fail_later(_: Any) -> None:
    await asyncio.sleep(0)
    fail(_)


@act([GONE["raised"]] * 3, logged=3, servers=TWO_SERVERS)
async def callbacks_that_raise(site: Site) -> Any:
    return [
        short(await site.fetch("/bytes?n=1000000", streaming_callback=fail)),
        short(await site.fetch("/bytes?n=1000000", streaming_callback=fail_later)),
        short(await site.fetch("/plain", header_callback=fail)),
    ]


# -- requests in pieces


@act([[200, "one two three"], [200, "one two three"], [200, "one two"]])
async def producers(site: Site) -> Any:
    """With and without a length, and one that does not wait."""

    async def produce(write: Any) -> None:
        for piece in (b"one ", b"two ", b"three"):
            await write(piece)

    def produce_at_once(write: Any) -> None:
        write(b"one ")
        write(b"two")

    sized = {"Content-Length": "13"}
    return [
        short(await site.fetch("/echo", method="POST", body_producer=produce)),
        short(await site.fetch("/echo", method="PUT", body_producer=produce, headers=sized)),
        short(await site.fetch("/echo", method="POST", body_producer=produce_at_once)),
    ]


@act([200, digest(pattern(50_000) * 60)])
async def a_producer_of_much(site: Site) -> Any:
    async def produce(write: Any) -> None:
        for _ in range(60):
            await write(pattern(50_000))

    return short(await site.fetch("/echo", method="PUT", body_producer=produce))


@act([[200, "one two"], [403, "keep it"], False])
async def a_producer_after_continue(site: Site) -> Any:
    """Asked for the body only if the server wants it."""
    asked = 0

    async def produce(write: Any) -> None:
        nonlocal asked
        asked += 1
        await write(b"one ")
        await asyncio.sleep(0)
        await write(b"two")

    fields: dict[str, Any] = {"body_producer": produce, **CONTINUE}
    return [
        short(await site.fetch("/guarded", **fields)),
        short(await site.fetch("/guarded", headers={"X-Refuse": "403"}, **fields)),
        asked > 1,
    ]


@act(["HTTPOutputError", "HTTPOutputError", "LookupError"], servers=TWO_SERVERS)
async def producers_that_fail(site: Site) -> Any:
    """Too little, too much, and one that raises."""

    async def little(write: Any) -> None:
        await write(b"one")

    async def much(write: Any) -> None:
        await write(b"one two")
        await write(b"three")

    def options(produce: Any) -> Any:
        return {"method": "POST", "body_producer": produce, "headers": {"Content-Length": "10"}}

    return [
        short(await site.fetch("/echo", **options(little))),
        short(await site.fetch("/echo", **options(much))),
        short(await site.fetch("/echo", method="POST", body_producer=fail_later)),
    ]


@act(GONE["raised"], logged=1, servers=TWO_SERVERS)
async def a_producer_that_raises_after_continue(site: Site) -> Any:
    return short(await site.fetch("/guarded", body_producer=fail_later, **CONTINUE))


# -- time


async def timed_out(site: Site, path: str, **options: Any) -> Any:
    """The outcome of a request that is answered too late. On a busy machine the time may be over
    before there is a connection: then there is more."""
    for seconds in (0.15, 1.5):
        result = await site.fetch(path, request_timeout=seconds, **options)
        if "during request" in result.get("text", ""):
            return "Timeout during request"
    return result


@act("Timeout during request")
async def no_answer(site: Site) -> Any:
    return await timed_out(site, "/silent")


@act("Timeout during request", servers=TWO_SERVERS)
async def no_answer_over_tls(site: Site) -> Any:
    return await timed_out(site, "/silent", over="https")


@act(["Timeout during request", "one"])
async def no_end_of_the_answer(site: Site) -> Any:
    pieces: list[bytes] = []

    def take(piece: bytes) -> None:
        pieces[:] = [piece]

    path, release = site.held("body")
    result = await timed_out(site, path, streaming_callback=take)
    await release("go")
    return [result, digest(b"".join(pieces))]


@act("Timeout during request")
async def a_streaming_coroutine_that_takes_too_long(site: Site) -> Any:
    for_ever = asyncio.Event()

    async def take(piece: bytes) -> None:
        await for_ever.wait()

    try:
        return await timed_out(site, "/bytes?n=1000000", streaming_callback=take)
    finally:
        for_ever.set()


@act("Timeout in request queue", servers=ONE_SERVER)
async def in_the_queue_for_too_long(site: Site) -> Any:
    async with site.client(max_clients=1) as client:
        path, release = site.held("nothing")
        first = client.fetch(site.url(path))
        second = await site.told(client, site.url("/plain"), request_timeout=0.1)
        await release("go")
        await first
    return second["text"]


# -- connections that end


@act(["ConnectionResetError", "ConnectionResetError"], servers=ONE_SERVER)
async def resets_before_the_answer(site: Site) -> Any:
    results = []
    for name in ("nothing", "head"):
        path, release = site.held(name)
        fetching = asyncio.ensure_future(site.fetch(path))
        await release("reset")
        results.append(short(await fetching))
    return results


@act(
    dict.fromkeys(("body", "chunks", "until-close"), "ConnectionResetError"),
    compared=False,
    why="Tornado's waits for its timeout, and takes what came until the reset for all",
)
async def resets_within_the_answer(site: Site) -> Any:
    results = {}
    for name in ("body", "chunks", "until-close"):
        came = asyncio.Event()

        def take(_: bytes, came: asyncio.Event = came) -> None:
            came.set()

        path, release = site.held(name)
        fetching = asyncio.ensure_future(site.fetch(path, streaming_callback=take))
        await came.wait()
        await release("reset")
        results[name] = short(await fetching)
    return results


@act(
    GONE["raised"],
    servers=(ALONE,),
    tornado=[403, "no"],
    why="a stream says at once that it is closed; Tornado's says so when it has been read",
)
async def an_answer_before_the_request_is_written(site: Site) -> Any:
    """It has come, and its connection has gone, before anybody reads it."""
    answer = b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"
    async with answering(answer) as (port, closed):

        async def produce(write: Any) -> None:
            await write(b"one")
            await closed.wait()
            for _ in range(20):  # until we have heard of it
                await asyncio.sleep(0.001)

        site.ports = {"http": port}
        return short(await site.fetch("/", method="POST", body_producer=produce))


# -- many


async def many(site: Site, over: str, sizes: range) -> list[Any]:
    async with site.client(max_clients=10) as client:
        fetches = [site.told(client, site.url(f"/bytes?n={size}", over)) for size in sizes]
        results = await asyncio.gather(*fetches)
    return [
        short(result)
        for result, size in zip(results, sizes, strict=True)
        if result.get("body") != digest(pattern(size))
    ]


@act([])
async def many_at_once(site: Site) -> Any:
    """Those that failed."""
    return await many(site, "http", range(1000, 41_000, 2000))


@act([])
async def many_at_once_over_tls(site: Site) -> Any:
    return await many(site, "https", range(1000, 25_000, 2000))


@act([200, "hello"], servers=TWO_SERVERS)
async def a_blocking_client(site: Site) -> Any:
    from tornado.httpclient import HTTPClient

    def fetch() -> Any:
        client = HTTPClient()
        try:
            return short(site.in_words(client.fetch(site.url("/plain"))))
        finally:
            client.close()

    return await asyncio.to_thread(fetch)


@act([["Host", "Authorization"], ["Host"]], servers=TWO_SERVERS)
async def credentials_stay_with_their_origin(site: Site) -> Any:
    results = []
    async with site.client(hostname_mapping={"elsewhere.test": "127.0.0.1"}) as client:
        there = site.url("/echo").replace("127.0.0.1", "elsewhere.test")
        for to in ("/echo", there):
            url = site.url(f"/redirect?code=302&to={to}")
            result = await site.told(client, url, auth_username="me", auth_password="x")
            fields = [name.title() for name, _ in result["seen"]["fields"]]
            results.append([name for name in ("Host", "Authorization") if name in fields])
    return results


# -- TLS


@act([VERIFY_FAILED["raised"], [200, "hello"]], servers=TWO_SERVERS)
async def a_name_that_the_certificate_lacks(site: Site) -> Any:
    async with site.client(hostname_mapping={"elsewhere.test": "127.0.0.1"}) as client:
        url = site.url("/plain", "https").replace("127.0.0.1", "elsewhere.test")
        context = ssl.create_default_context(cafile=CERT)
        context.check_hostname = False
        return [
            short(await site.told(client, url)),
            short(await site.told(client, url, ssl_options=context)),
        ]


@act([[200, "hello"], [200, "hello"], VERIFY_FAILED["raised"]], servers=ONE_SERVER)
async def tls_options_as_a_dict(site: Site) -> Any:
    results = []
    for options in (
        {"ca_certs": CERT, "cert_reqs": ssl.CERT_REQUIRED},
        {"cert_reqs": ssl.CERT_NONE},
        {"cert_reqs": ssl.CERT_REQUIRED},
    ):
        results.append(short(await site.fetch("/plain", over="https", ssl_options=options)))
    return results


@act("SSLError", servers=(ALONE,))
async def tls_to_a_plain_server(site: Site) -> Any:
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (port, _):
        site.ports = {"https": port}
        return short(await site.fetch("/", over="https"))


@act("HTTPStreamClosedError", servers=ONE_SERVER)
async def no_tls_to_a_tls_server(site: Site) -> Any:
    site = Site({"http": site.ports["https"]})
    return short(await site.fetch("/plain"))


# -- without a connection


@act("Timeout while connecting to 127.0.0.1:PORT", servers=(ALONE,))
async def nobody_answers_the_connection(site: Site) -> Any:
    with Deaf(full=True) as deaf:
        site.ports = {"http": deaf.port}
        return (await site.fetch("/", connect_timeout=0.1))["text"]


@act("Timeout during TLS handshake with 127.0.0.1:PORT", servers=(ALONE,))
async def nobody_shakes_hands(site: Site) -> Any:
    with Deaf(full=False) as deaf:
        site.ports = {"https": deaf.port}
        before = descriptors()
        result = await site.fetch("/", over="https", connect_timeout=0.3)
        while descriptors() > before:  # the connection ends on this side
            await asyncio.sleep(0.001)
        return result["text"]


@act("Timeout while resolving slow.test", servers=(ALONE,))
async def nobody_resolves_the_name(site: Site) -> Any:
    from tornado.netutil import Resolver

    class Slow(Resolver):
        def initialize(self) -> None:
            pass

        def resolve(self, *_: Any, **__: Any) -> Any:
            return asyncio.get_running_loop().create_future()

    async with site.client(resolver=Slow()) as client:
        return (await site.told(client, "http://slow.test/", connect_timeout=0.1))["text"]


@act(["ConnectionRefusedError", "ConnectionRefusedError"], servers=(ALONE,))
async def refused(site: Site) -> Any:
    results = []
    for over in ("http", "https"):
        site.ports = {over: unused_port()}
        results.append(short(await site.fetch("/", over=over)))
    return results


@act([200, "yes"], servers=(ALONE,))
async def the_second_address(site: Site) -> Any:
    """The first one refuses: the next is tried."""
    from tornado.netutil import Resolver

    async with answering(b"HTTP/1.1 200 OK\r\n\r\nyes") as (port, _):

        class Two(Resolver):
            def initialize(self) -> None:
                pass

            async def resolve(self, *_: Any, **__: Any) -> Any:
                return [(2, ("127.0.0.1", unused_port())), (2, ("127.0.0.1", port))]

        async with site.client(resolver=Two()) as client:
            return short(await site.told(client, "http://two.test/"))


@act(
    "gaierror",
    servers=(ALONE,),
    tornado="UnicodeError",
    why="a name that is none cannot be resolved, like any other",
)
async def no_name(site: Site) -> Any:
    async with site.client() as client:
        error = await site.told(client, "http://a..b/")
    return re.sub("^Unicode.*", "UnicodeError", error["raised"])  # UnicodeEncodeError since 3.13


@act(["ValueError", "ValueError", "ValueError"], servers=(ALONE,))
async def no_url(site: Site) -> Any:
    async with site.client() as client:
        return [
            short(await site.told(client, url)) for url in ("ftp://x/", "nothing", "http://[::1/")
        ]
