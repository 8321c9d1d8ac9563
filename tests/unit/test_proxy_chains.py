"""Proxies: whatever a client sends in front, what trusted proxies have appended is what counts."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import growth

from tornadoish.httpserver.proxies import Proxies, Told
from tornadoish.httputil import HTTPHeaders, HTTPInputError
from tornadoish.httputil.abnf import is_host
from tornadoish.netutil import TrustedNetworks, is_valid_ip

#: examples of a property: the whole file is to be quick
FEW = settings(max_examples=50, deadline=None)

TRUSTED = ["10.0.0.0/8", "2001:db8:1::/48"]
PEER = "10.0.0.1"


def proxies(trusted: Any = TRUSTED, *, xheaders: bool = False, downstream: Any = None) -> Proxies:
    return Proxies(xheaders=xheaders, trusted_proxies=trusted, trusted_downstream=downstream)


def test_who_is_believed() -> None:
    listed = proxies()
    assert listed.believe("10.255.0.1") and listed.believe("::ffff:10.0.0.1")
    assert not listed.believe("11.0.0.1") and not listed.believe("unknown")
    assert not listed.believe(None) and proxies(["unix"]).believe(None)
    assert not proxies([]).believe(PEER) and not proxies([], xheaders=True).believe(PEER)
    everybody = proxies(None, xheaders=True)
    assert everybody.believe(PEER) and everybody.believe(None) and everybody.believe("unknown")
    assert proxies(TrustedNetworks(TRUSTED)).believe(PEER)


@pytest.mark.parametrize("wrong", [["10.1.2.3/8"], ["proxy.example"], [""], "10.0.0.1", [None]])
def test_what_is_no_network_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="network"):
        proxies(wrong)
    with pytest.raises(ValueError, match="network"):
        proxies(None, xheaders=True, downstream=wrong)


# ------------------------------------------------------------------------------ chains of proxies

ANY_IP = st.one_of(
    st.ip_addresses(v=4).map(str), st.ip_addresses(v=6, network="2001:db8:2::/48").map(str)
).filter(lambda ip: ip not in TrustedNetworks(TRUSTED))  # fmt: skip
PROXY_IP = st.one_of(
    st.ip_addresses(v=4, network="10.0.0.0/8").map(str),
    st.ip_addresses(v=6, network="2001:db8:1::/48").map(str),
)
SCHEME = st.sampled_from(["http", "https"])
FORGED = st.one_of(
    st.text(st.sampled_from('1029.:,; "\\=_forptx[]%é'), max_size=40),
    st.lists(PROXY_IP | ANY_IP, max_size=4).map(", ".join),
    st.lists(PROXY_IP | ANY_IP, max_size=4).map(
        lambda all_of_them: ", ".join(f'for="[{ip}]";proto=https;host=evil' for ip in all_of_them)
    ),
)


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Addresses from the client to the peer, and the schemes that they use for the next."""
    hops = [draw(ANY_IP), *draw(st.lists(PROXY_IP, min_size=1, max_size=4))]
    return hops, [draw(SCHEME) for _ in hops]


def node(ip: str, port: str) -> str:
    return (f'"[{ip}]{port}"' if ":" in ip else f'"{ip}{port}"') if ":" in ip or port else ip


@FEW
@given(chains(), FORGED, st.sampled_from(["", ":4711"]))
def test_forged_forwarded_has_no_effect(
    chain: tuple[list[str], list[str]], forged: str, port: str
) -> None:
    hops, schemes = chain
    headers = HTTPHeaders()
    value = forged
    for ip, scheme in list(zip(hops, schemes, strict=True))[:-1]:
        value = f"{value}, for={node(ip, port)};proto={scheme};host=seen.by.{scheme}"
    headers["Forwarded"] = value
    told = proxies().told(headers, hops[-1], schemes[-1])
    assert told == Told(hops[0], schemes[0], f"seen.by.{schemes[0]}")


@FEW
@given(chains(), FORGED, st.booleans(), st.booleans())
def test_forged_x_forwarded_has_no_effect(
    chain: tuple[list[str], list[str]], forged: str, several_lines: bool, with_port: bool
) -> None:
    hops, schemes = chain
    headers = HTTPHeaders()
    entries = [(f"[{ip}]:80" if ":" in ip else f"{ip}:80") if with_port else ip for ip in hops]
    lists = {
        "X-Forwarded-For": [forged, *entries[:-1]],
        "X-Forwarded-Proto": ["https, https", *schemes[:-1]],
        "X-Forwarded-Host": ["evil, evil", *[f"seen.by.{scheme}" for scheme in schemes[:-1]]],
    }
    for name, values in lists.items():
        for value in values if several_lines else [", ".join(values)]:
            headers.add(name, value)
    told = proxies().told(headers, hops[-1], schemes[-1])
    assert told == Told(hops[0], schemes[0], f"seen.by.{schemes[0]}")


@FEW
@given(chains(), FORGED, st.booleans())
def test_the_other_field_has_no_effect(
    chain: tuple[list[str], list[str]], forged: str, proxies_write_forwarded: bool
) -> None:
    """The proxies write one of the two, and pass on what the client says in the other."""
    hops, schemes = chain
    headers = HTTPHeaders()
    if proxies_write_forwarded:
        pairs = list(zip(hops, schemes, strict=True))[:-1]
        headers["Forwarded"] = ", ".join(f"for={node(ip, '')};proto={s}" for ip, s in pairs)
        headers["X-Forwarded-For"] = forged
        headers["X-Forwarded-Host"] = "evil"
    else:
        headers["X-Forwarded-For"] = ", ".join(hops[:-1])
        headers["X-Forwarded-Proto"] = ", ".join(schemes[:-1])
        headers["Forwarded"] = f"{forged}, for={node(hops[0], '')};proto={schemes[0]};host=evil"
    with pytest.raises(HTTPInputError, match="not say the same") as caught:
        proxies().told(headers, hops[-1], schemes[-1])
    assert caught.value.status == 400


@FEW
@given(chains())
def test_both_fields_may_say_the_same(chain: tuple[list[str], list[str]]) -> None:
    hops, schemes = chain
    pairs = list(zip(hops, schemes, strict=True))[:-1]
    headers = HTTPHeaders({"Host": "b.example"})
    headers["Forwarded"] = ", ".join(
        f"for={node(ip.upper(), ':80')};proto={s.upper()};host=B.EXAMPLE" for ip, s in pairs
    )
    headers["X-Forwarded-For"] = ", ".join(hops[:-1])
    headers["X-Forwarded-Proto"] = ", ".join(schemes[:-1])
    told = proxies().told(headers, hops[-1], schemes[-1])
    assert told == Told(hops[0], schemes[0], None)


# ------------------------------------------------------------------------------ anything at all

NAMES = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip",
         "X-Scheme", "Host"]  # fmt: skip
PIECES = [
    "for=", "proto=", "host=", ";", ",", ", ", '"', "[", "]", ":", ":80", "1.2.3.4", "10.0.0.1",
    "::1", "fe80::1%eth0", "256.1.1.1", "127.1", "unknown", "_x", "http", "https", "wss", "gopher",
    "evil", "a.example", "@", "/", " ", "\t", "\\", "<script>", "é", "=", ".", "1",
]  # fmt: skip


@pytest.mark.parametrize("xheaders", [False, True])
@pytest.mark.parametrize("trusted", [None, TRUSTED])
def test_what_is_told_is_always_valid(xheaders: bool, trusted: Any) -> None:
    source = random.Random(7)
    seen = set()
    for _ in range(1000):
        headers = HTTPHeaders()
        for name in source.sample(NAMES, source.randint(1, 3)):
            headers.add(name, "".join(source.choices(PIECES, k=source.randint(0, 6))).strip())
        try:
            told = proxies(trusted, xheaders=xheaders).told(headers, PEER, "http")
        except HTTPInputError:
            continue
        seen.add(told)
        assert is_valid_ip(told.remote_ip)
        assert told.protocol in ("http", "https")
        assert told.host is None or (told.host and is_host(told.host) and "," not in told.host)
    assert len(seen) > 3, "and not always the same"


HOSTILE = {
    "trusted addresses": {"X-Forwarded-For": "10.0.0.2,"},
    "commas": {"X-Forwarded-For": ",", "X-Forwarded-Proto": ",", "X-Forwarded-Host": ","},
    "trusted elements": {"Forwarded": "for=10.0.0.2,"},
    "schemes": {"X-Forwarded-For": "10.0.0.2,", "X-Forwarded-Proto": "http,"},
    "both": {"X-Forwarded-For": "10.0.0.2,", "Forwarded": "for=10.0.0.2,"},
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("xheaders", [False, True])
def test_time_is_linear(kind: str, xheaders: bool) -> None:
    def work(size: int) -> None:
        headers = HTTPHeaders(
            {name: text * size + text.rstrip(",") for name, text in HOSTILE[kind].items()}
        )
        proxies(xheaders=xheaders).told(headers, PEER, "http")

    assert growth(work, 150) < 30


def test_a_long_host_is_none() -> None:
    headers = HTTPHeaders({"X-Forwarded-Host": "a" * 513})
    assert proxies().told(headers, PEER, "http").host is None
    headers["X-Forwarded-Host"] = "a" * 512
    assert proxies().told(headers, PEER, "http").host == "a" * 512
