"""Behind proxies: who is asking, over real sockets. What Tornado has too is asked of both."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from behind import PLAIN, PROXY, STRANGER, Behind, connected, request
from libraries import Library
from streams import OURS
from support import App, Delegate, get

from tornadoish.httpserver import HTTPRequestContext, HTTPServer
from tornadoish.netutil import TrustedNetworks
from tornadoish.web import Application, RequestHandler

# ------------------------------------------------------------------------------ trusted_proxies

TRUSTED = [PROXY, "10.0.0.0/8", "2001:db8:1::/48"]

TOLD: list[tuple[list[str], tuple[str | None, str | None, str | None]]] = [
    # (fields, what they say; None: nothing)
    ([], (None, None, None)),
    (["X-Forwarded-For: 4.4.4.4"], ("4.4.4.4", None, None)),
    (["X-Forwarded-For: 2001:db8::4"], ("2001:db8::4", None, None)),
    (["X-Forwarded-For:  4.4.4.4\t"], ("4.4.4.4", None, None)),
    (["X-Forwarded-For: 4.4.4.4:80"], ("4.4.4.4", None, None)),
    (["X-Forwarded-For: [2001:db8::4]:80"], ("2001:db8::4", None, None)),
    (["X-Forwarded-For: [2001:db8::4]"], ("2001:db8::4", None, None)),
    # from the right: what a stranger says is nothing
    (["X-Forwarded-For: 1.1.1.1, 4.4.4.4"], ("4.4.4.4", None, None)),
    (["X-Forwarded-For: 1.1.1.1, 10.0.0.1, 4.4.4.4"], ("4.4.4.4", None, None)),
    (["X-Forwarded-For: 1.1.1.1,4.4.4.4 , 10.0.0.1,10.9.9.9"], ("4.4.4.4", None, None)),
    (["X-Forwarded-For: 4.4.4.4, ::ffff:10.0.0.1, 2001:db8:1::1"], ("4.4.4.4", None, None)),
    (["X-Forwarded-For: 4.4.4.4, 10.0.0.1:99, [2001:db8:1::1]:9"], ("4.4.4.4", None, None)),
    # several lines are one list
    (["X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 4.4.4.4"], ("4.4.4.4", None, None)),
    (["X-Forwarded-For: 4.4.4.4", "X-Forwarded-For: 10.0.0.1"], ("4.4.4.4", None, None)),
    # all of them trusted: then the first has asked
    (["X-Forwarded-For: 10.0.0.1, 10.0.0.2"], ("10.0.0.1", None, None)),
    # what is no address: the last that is known
    (["X-Forwarded-For: evil"], (None, None, None)),
    (["X-Forwarded-For: unknown"], (None, None, None)),
    (["X-Forwarded-For:"], (None, None, None)),
    (["X-Forwarded-For: 4.4.4.4,"], (None, None, None)),
    (["X-Forwarded-For: 4.4.4.4, unix:"], (None, None, None)),
    (["X-Forwarded-For: 4.4.4.256"], (None, None, None)),
    (["X-Forwarded-For: 4.4"], (None, None, None)),
    (["X-Forwarded-For: fe80::1%eth0"], (None, None, None)),
    (["X-Forwarded-For: 4.4.4.4, evil, 10.0.0.1"], ("10.0.0.1", None, None)),
    # the protocol, of the same hop
    (["X-Forwarded-Proto: https"], (None, "https", None)),
    (["X-Forwarded-Proto: HTTPS"], (None, "https", None)),
    (["X-Forwarded-Proto: wss"], (None, "https", None)),
    (["X-Forwarded-Proto: ws"], (None, "http", None)),
    (["X-Forwarded-Proto: gopher"], (None, None, None)),
    (["X-Forwarded-Proto:"], (None, None, None)),
    (["X-Forwarded-Proto: https, http"], (None, "http", None)),
    (["X-Forwarded-Proto: http", "X-Forwarded-Proto: https"], (None, "https", None)),
    (["X-Forwarded-For: 4.4.4.4", "X-Forwarded-Proto: https"], ("4.4.4.4", "https", None)),
    (
        ["X-Forwarded-For: 4.4.4.4, 10.0.0.1", "X-Forwarded-Proto: https, http"],
        ("4.4.4.4", "https", None),
    ),
    (
        ["X-Forwarded-For: 1.1.1.1, 4.4.4.4, 10.0.0.1", "X-Forwarded-Proto: https, http, https"],
        ("4.4.4.4", "http", None),
    ),
    # one value was set by one proxy for all; two of three are in no step
    (
        ["X-Forwarded-For: 4.4.4.4, 10.0.0.2, 10.0.0.1", "X-Forwarded-Proto: https"],
        ("4.4.4.4", "https", None),
    ),
    (
        ["X-Forwarded-For: 4.4.4.4, 10.0.0.2, 10.0.0.1", "X-Forwarded-Proto: https, https"],
        ("4.4.4.4", None, None),
    ),
    # the host
    (["X-Forwarded-Host: a.example"], (None, None, "a.example")),
    (["X-Forwarded-Host: A.example:8443"], (None, None, "A.example:8443")),
    (["X-Forwarded-Host: [::1]:8443"], (None, None, "[::1]:8443")),
    (["X-Forwarded-Host: evil, a.example"], (None, None, "a.example")),
    (
        ["X-Forwarded-For: 4.4.4.4, 10.0.0.1", "X-Forwarded-Host: a.example, b.example"],
        ("4.4.4.4", None, "a.example"),
    ),
    *[
        ([f"X-Forwarded-Host: {bad}"], (None, None, None))
        for bad in ("", ":80", "a b", "a/b", "u@a.example", "a.example?x", "<b>", "a\xe9", "a:b",
                    "http://a", "a.example,", "[::1", "a#", "a\\b", '"a"', "a" * 513)
    ],
    # Tornado's own are not believed without xheaders
    (["X-Real-Ip: 4.4.4.4", "X-Scheme: https"], (None, None, None)),
    (["X-Real-Ip: 1.1.1.1", "X-Forwarded-For: 4.4.4.4"], ("4.4.4.4", None, None)),
    # RFC 7239
    (["Forwarded: for=4.4.4.4"], ("4.4.4.4", None, None)),
    (['Forwarded: For="[2001:db8::4]:80"'], ("2001:db8::4", None, None)),
    (["Forwarded: for=4.4.4.4;proto=https;host=a.example;by=10.0.0.1"],
     ("4.4.4.4", "https", "a.example")),
    (['Forwarded: for="4.4.4.4:80";PROTO=HTTPS;host="a.example:1"'],
     ("4.4.4.4", "https", "a.example:1")),
    (["Forwarded: for=1.1.1.1;host=evil, for=4.4.4.4"], ("4.4.4.4", None, None)),
    (["Forwarded: for=1.1.1.1", "Forwarded: for=4.4.4.4;proto=https, for=10.0.0.1;proto=http"],
     ("4.4.4.4", "https", None)),
    (['Forwarded: for=4.4.4.4, for="[2001:db8:1::1]:9", for="10.0.0.1:9"'],
     ("4.4.4.4", None, None)),
    (["Forwarded: for=10.0.0.2;host=a.example, for=10.0.0.1"], ("10.0.0.2", None, "a.example")),
    # a proxy that does not say who, or not so that it can be read
    (["Forwarded: for=1.1.1.1;host=evil, for=unknown;proto=https"], (None, "https", None)),
    (["Forwarded: for=_hidden, for=10.0.0.1"], ("10.0.0.1", None, None)),
    (["Forwarded: proto=https"], (None, "https", None)),
    (["Forwarded: for=4.4.4.256;host=a.example"], (None, None, "a.example")),
    (['Forwarded: for="fe80::1";proto=https'], (None, "https", None)),
    (['Forwarded: for="[fe80::1%eth0]"'], (None, None, None)),
    (["Forwarded: for=4.4.4.4; proto=https"], (None, None, None)),
    (["Forwarded: for=4.4.4.4:80"], (None, None, None)),
    (["Forwarded: for=4.4.4.4;for=4.4.4.4"], (None, None, None)),
    (["Forwarded: 4.4.4.4"], (None, None, None)),
    (["Forwarded:"], (None, None, None)),
    (["Forwarded: for=4.4.4.4, nonsense, for=10.0.0.1;proto=https"], ("10.0.0.1", "https", None)),
    (['Forwarded: for=4.4.4.4;host="a/b";proto=gopher'], ("4.4.4.4", None, None)),
    (['Forwarded: for=4.4.4.4;host="a.example,b"'], ("4.4.4.4", None, None)),
    # a quote that the client leaves open
    (['Forwarded: for="', "Forwarded: for=4.4.4.4"], ("4.4.4.4", None, None)),
    (['Forwarded: for="x, for="[2001:db8::4]"'], ("2001:db8::4", None, None)),
    # both may be there if they say the same; an empty one says nothing
    (["X-Forwarded-For: 4.4.4.4", "Forwarded: for=4.4.4.4"], ("4.4.4.4", None, None)),
    (["X-Forwarded-For: 4.4.4.4", "Forwarded:"], ("4.4.4.4", None, None)),
    (["X-Forwarded-For: 2001:db8::4", "X-Forwarded-Proto: https", "X-Forwarded-Host: own.example",
      'Forwarded: for="[2001:DB8:0::4]:80";proto=https'], ("2001:db8::4", "https", "own.example")),
]  # fmt: skip


@OURS
async def test_what_a_trusted_proxy_says(behind: Behind) -> None:
    port = behind.serve(trusted_proxies=TRUSTED)
    async with connected(port) as client:
        for fields, said in TOLD:
            ip, protocol, host = [x or y for x, y in zip(said, PLAIN, strict=True)]
            await client.send(request(*fields))
            told = json.loads((await client.response()).body)
            assert told == {
                "who": [ip, protocol, host],
                "url": f"{protocol}://{host}/p?q",
                "context": [ip, protocol],
                "original": [PROXY, "http"],
            }, fields


@OURS
async def test_strangers_are_not_believed(behind: Behind) -> None:
    """Whatever a trusted proxy might say, from another address it is nothing."""
    port = behind.serve(trusted_proxies=TRUSTED)
    both = behind.serve(trusted_proxies=TRUSTED, xheaders=True)
    nobody = behind.serve(trusted_proxies=[], xheaders=True)
    said = [fields for fields, _ in TOLD] + [["X-Real-Ip: 4.4.4.4", "X-Scheme: https"], BOTH]
    for server, source in ((port, STRANGER), (both, STRANGER), (nobody, PROXY)):
        async with connected(server, source) as client:
            await client.send(b"".join(request(*fields) for fields in said))
            for _ in said:
                told = json.loads((await client.response()).body)
                assert told["who"] == [source, *PLAIN[1:]]


@OURS
async def test_networks_may_be_given_as_they_are(behind: Behind) -> None:
    for trusted in (TrustedNetworks(["127.0.0.0/30"]), iter(["127.0.0.0/30"]), ("127.0.0.0/30",)):
        port = behind.serve(trusted_proxies=trusted)
        assert (await behind.who(port, "X-Forwarded-For: 4.4.4.4"))[0] == "4.4.4.4"
        assert (await behind.who(port, "X-Forwarded-For: 4.4.4.4", source="127.0.0.5"))[0] == (
            "127.0.0.5"
        )
    with pytest.raises(ValueError, match="host bits"):
        HTTPServer(behind.tell, trusted_proxies=["127.0.0.1/30"])


@OURS
async def test_skipped_and_believed_are_two_things(behind: Behind) -> None:
    """trusted_downstream is skipped in lists, but not believed as a peer."""
    port = behind.serve(trusted_proxies=[PROXY], trusted_downstream=["127.0.0.2", "5.0.0.0/8"])
    fields = ["X-Forwarded-For: 4.4.4.4, 5.5.5.5, 127.0.0.2"]
    assert (await behind.who(port, *fields))[0] == "4.4.4.4"
    assert (await behind.who(port, *fields, source=STRANGER))[0] == STRANGER
    # An empty entry is not a Unix socket's.
    port = behind.serve(xheaders=True, trusted_downstream=["unix"])
    assert (await behind.who(port, "X-Forwarded-For: 4.4.4.4,"))[0] == PROXY


# ------------------------------------------------------------------------------ both at once

BOTH = ["Forwarded: for=4.4.4.4", "X-Forwarded-For: 5.5.5.5"]
DISAGREE = [
    BOTH,
    ["Forwarded: for=4.4.4.4;host=evil", "X-Forwarded-For: 4.4.4.4"],
    ["Forwarded: for=4.4.4.4", "X-Forwarded-For: 4.4.4.4", "X-Forwarded-Host: evil"],
    ["Forwarded: for=4.4.4.4;proto=https", "X-Forwarded-For: 4.4.4.4"],
    ["Forwarded: for=4.4.4.4", "X-Forwarded-Proto: https"],
    ["Forwarded: for=4.4.4.4", "X-Forwarded-For: unknown"],
    ["Forwarded: nonsense", "X-Forwarded-For: 4.4.4.4"],
]


@pytest.mark.parametrize("fields", DISAGREE, ids=[" ".join(fields) for fields in DISAGREE])
async def test_two_tales_are_refused(serve: Any, fields: list[str]) -> None:
    app = App()
    served = await serve(app, trusted_proxies=TRUSTED)
    async with connected(served.port) as client:
        await client.send(request(*fields))
        assert (await client.response()).status == 400
        assert await client.eof() == b""
    assert [delegate.ended for delegate in app.delegates] == ["close"]
    assert app.delegates[0].line is None, "it has heard nothing of the request"


@OURS
async def test_with_xheaders_tornados_fields_count_too(behind: Behind) -> None:
    port = behind.serve(trusted_proxies=TRUSTED, xheaders=True)
    for fields, expected in [
        (["X-Real-Ip: 4.4.4.4", "X-Scheme: https"], ("4.4.4.4", "https", PLAIN[2])),
        (["X-Real-Ip: 4.4.4.4", "X-Forwarded-For: 5.5.5.5"], ("4.4.4.4", "http", PLAIN[2])),
        (["X-Real-Ip: evil", "X-Forwarded-For: 5.5.5.5"], (PROXY, "http", PLAIN[2])),
        (["X-Scheme: https", "X-Forwarded-Proto: http"], (PROXY, "https", PLAIN[2])),
        (["X-Forwarded-For: 5.5.5.5, 10.0.0.1", "X-Forwarded-Host: a"], ("5.5.5.5", "http", "a")),
        (["Forwarded: for=5.5.5.5;host=a"], ("5.5.5.5", "http", "a")),
        (["Forwarded: for=5.5.5.5", "X-Real-Ip: 5.5.5.5"], ("5.5.5.5", "http", PLAIN[2])),
    ]:
        assert await behind.who(port, *fields) == expected, fields
    async with connected(port) as client:
        await client.send(request("Forwarded: for=5.5.5.5", "X-Real-Ip: 6.6.6.6"))
        assert (await client.response()).status == 400


# ------------------------------------------------------------------------------ as Tornado

COMMON: list[tuple[list[str], tuple[str, str]]] = [
    (["X-Forwarded-For: 4.4.4.4, 5.5.5.5", "X-Forwarded-Proto: https, http"], ("4.4.4.4", "http")),
    (["X-Forwarded-For: 4.4.4.4", "X-Forwarded-For: 5.5.5.5"], ("4.4.4.4", "http")),
    (["X-Forwarded-For: 4.4.4.4, evil, 5.5.5.5"], (PROXY, "http")),
    (["X-Forwarded-For: 5.5.5.5, 6.6.6.6"], ("5.5.5.5", "http")),
    (["X-Forwarded-For: 4.4.4.4:80"], (PROXY, "http")),
    (["X-Forwarded-Proto: HTTPS"], (PROXY, "http")),
    (["X-Forwarded-Proto: wss"], (PROXY, "http")),
    (["Forwarded: for=4.4.4.4;proto=https;host=evil"], (PROXY, "http")),
    (["X-Forwarded-Host: evil"], (PROXY, "http")),
    (["Forwarded: for=4.4.4.4", "X-Forwarded-For: 4.4.4.1"], ("4.4.4.1", "http")),
]


@pytest.mark.parametrize(("fields", "expected"), COMMON, ids=[" ".join(f) for f, _ in COMMON])
async def test_xheaders(behind: Behind, fields: list[str], expected: tuple[str, str]) -> None:
    """With xheaders alone every peer is believed."""
    port = behind.serve(xheaders=True, trusted_downstream=["5.5.5.5", "6.6.6.6"])
    for source in (PROXY, STRANGER):
        ip = source if expected[0] == PROXY else expected[0]
        assert await behind.who(port, *fields, source=source) == (ip, expected[1], PLAIN[2])


NAMES = ["X-Forwarded-For", "X-Real-Ip", "X-Forwarded-Proto", "X-Scheme", "X-Forwarded-Host",
         "Forwarded"]  # fmt: skip
PIECES = ["4.4.4.4", "5.5.5.5", "5.5.5.5", "2001:db8::4", "::1", "4.4.4.256", "evil", "unknown",
          "http", "https", "HTTPS", "", " ", ",", ", ", ",", ";", "for=4.4.4.4", ":80"]  # fmt: skip


@OURS
async def test_xheaders_as_tornado_has_them(behind: Behind) -> None:
    """The same requests to both libraries."""
    pytest.importorskip("tornado")
    source = random.Random(3)
    sent = []
    for _ in range(300):
        fields = []
        for name in source.choices(NAMES, k=source.randint(1, 4)):
            fields.append(f"{name}: {''.join(source.choices(PIECES, k=source.randint(1, 4)))}")
        sent.append(fields)
    answers = []
    oracle = Behind(Library("tornado"))
    try:
        for library in (behind, oracle):
            port = library.serve(xheaders=True, trusted_downstream=["5.5.5.5"])
            async with connected(port) as client:
                await client.send(b"".join(request(*fields) for fields in sent))
                bodies = [json.loads((await client.response()).body) for _ in sent]
            answers.append([(body["who"], body["original"]) for body in bodies])
    finally:
        await oracle.close()
    for fields, ours, tornados in zip(sent, *answers, strict=True):
        assert ours == tornados, fields
    assert len({who[0] for who, _ in answers[0]}) >= 4, "all of it is met"
    assert {who[1] for who, _ in answers[0]} == {"http", "https"}


# (options, fields, what Tornado says, what we say): docs/decisions.md, Proxies
DIFFERENT: list[tuple[dict[str, Any], list[str], str, str]] = [
    ({}, ["X-Real-Ip: 1"], "1", PROXY),
    ({}, ["X-Real-Ip: fe80::1%lo"], "fe80::1%lo", PROXY),
    ({}, ["X-Real-Ip: 4.4.4.4\xa0", "X-Forwarded-For: 4.4.4.4\xa0"], PROXY, PROXY),
    ({}, ["X-Forwarded-For: 4.4.4.4\xa0"], "4.4.4.4", PROXY),
    ({"trusted_downstream": ["5.0.0.0/8"]}, ["X-Forwarded-For: 4.4.4.4, 5.5.5.5"],
     "5.5.5.5", "4.4.4.4"),
    ({"trusted_downstream": ["2001:db8::5"]}, ["X-Forwarded-For: 4.4.4.4, 2001:DB8:0::5"],
     "2001:DB8:0::5", "4.4.4.4"),
]  # fmt: skip


@pytest.mark.parametrize("case", DIFFERENT, ids=[" ".join(case[1]) for case in DIFFERENT])
async def test_where_ours_differs(behind: Behind, case: Any) -> None:
    options, fields, tornados, ours = case
    port = behind.serve(xheaders=True, **options)
    told = await behind.ask(port, *fields)
    assert told["who"][0] == (ours if behind.library.is_ours else tornados)


async def test_downstream_that_is_no_network(behind: Behind) -> None:
    """Tornado compares texts, so that such a one never matches: here it is found at the start."""
    options: dict[str, Any] = {"xheaders": True, "trusted_downstream": ["proxy.example"]}
    if behind.library.is_ours:
        with pytest.raises(ValueError, match="no IP address"):
            behind.serve(**options)
    else:
        behind.serve(**options)


# ------------------------------------------------------------------------------ one connection


@OURS
async def test_what_is_said_holds_for_one_request(behind: Behind) -> None:
    port = behind.serve(trusted_proxies=[PROXY])
    async with connected(port) as client:
        first = request("X-Forwarded-For: 4.4.4.4", "X-Forwarded-Host: a.example")
        await client.send(first + request() + request("Forwarded: for=5.5.5.5;proto=https"))
        told = [json.loads((await client.response()).body)["who"] for _ in range(3)]
    assert told == [["4.4.4.4", "http", "a.example"], list(PLAIN), ["5.5.5.5", "https", PLAIN[2]]]
    kept = [request.connection.context for request in behind.requests]
    assert [context.remote_ip for context in kept] == ["4.4.4.4", PROXY, "5.5.5.5"]
    assert [context.forwarded_host for context in kept] == ["a.example", None, None]


async def test_a_request_in_many_pieces_and_with_trailers(serve: Any) -> None:
    trailers: list[Any] = []
    told: list[Any] = []

    def on_finish(delegate: Delegate) -> None:
        told.append((delegate.body, delegate.connection.context.remote_ip))
        delegate.answer(b"x")

    class WithTrailers(Delegate):
        def trailers_received(self, fields: Any) -> None:
            trailers.extend(fields.get_all())

    app = App(on_finish=on_finish)
    app.start_request = lambda _, conn: WithTrailers(app, conn)  # type: ignore[method-assign]
    served = await serve(app, trusted_proxies=[PROXY])
    head = b"POST / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 4.4.4.4\r\n"
    async with connected(served.port) as client:
        for piece in (head, b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"1\r\nd\r\n"):
            await client.send(piece)
        await client.send(b"0\r\nX-Checksum: 1\r\n\r\n")
        assert (await client.response("POST")).status == 200
    assert told == [(b"abcd", "4.4.4.4")]
    assert trailers == [("X-Checksum", "1")]


async def test_hosts_are_routed_by_what_the_client_asked_for(serve: Any) -> None:
    class Named(RequestHandler):
        def initialize(self, name: str) -> None:
            self.name = name

        def get(self) -> None:
            self.write(f"{self.name} {self.request.host_name} {self.request.full_url()}")

    app = Application([("/p", Named, {"name": "any"})])
    app.add_handlers(r"a\.example", [("/p", Named, {"name": "a"})])
    served = await serve(app, trusted_proxies=[PROXY])
    cases = [
        (PROXY, "/p?q", ["X-Forwarded-Host: A.example:81"], "a a.example http://A.example:81/p?q"),
        (PROXY, "/p?q", ["X-Forwarded-Host: a b"], "any own.example http://own.example/p?q"),
        (STRANGER, "/p", ["X-Forwarded-Host: a.example"], "any own.example http://own.example/p"),
        # the proxy asks us by another name than it was asked
        (PROXY, "http://own.example/p?q", ["Forwarded: proto=https;host=a.example"],
         "a a.example https://a.example/p?q"),
        (PROXY, "http://a.example/p?q", [], "a a.example http://a.example/p?q"),
    ]  # fmt: skip
    for source, target, fields, answer in cases:
        async with connected(served.port, source) as client:
            await client.send(request(*fields, target=target))
            assert (await client.response()).body.decode() == answer, fields


async def test_nothing_stands_in_between_without_the_options(serve: Any) -> None:
    """One request's way is not longer for what nobody has asked for."""
    app = App()
    for options, direct in (
        ({}, True),
        ({"trusted_downstream": ["5.5.5.5"]}, True),
        ({"trusted_proxies": []}, False),
        ({"xheaders": True}, False),
    ):
        server = HTTPServer(app, **options)
        assert (server.start_request == app.start_request) is direct, options
    contexts: list[HTTPRequestContext] = []

    def on_finish(delegate: Delegate) -> None:
        contexts.append(delegate.connection.context)
        delegate.answer()

    served = await serve(App(on_finish=on_finish), trusted_proxies=[PROXY])
    async with connected(served.port, STRANGER) as client:
        for _ in range(2):
            await client.send(get("/", "X-Forwarded-For: 4.4.4.4"))
            await client.response()
    assert contexts[0] is contexts[1], "a stranger's requests share the connection's"
