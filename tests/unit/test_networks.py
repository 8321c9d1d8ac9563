"""TrustedNetworks: who is in, who is not, and what may be listed."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornadoish.netutil import TrustedNetworks
from tornadoish.netutil.networks import pack_ip

#: examples of a property: the whole file is to be quick
FEW = settings(max_examples=50, deadline=None)

LISTED = ["127.0.0.1", "10.0.0.0/8", "192.168.7.128/25", "::1", "2001:db8::/32", "fe80::/10"]
EVERYTHING = ["0.0.0.0/0", "::/0"]

IN = [
    "127.0.0.1", "10.0.0.0", "10.255.255.255", "192.168.7.128", "192.168.7.255", "::1",
    "2001:db8::", "2001:DB8:ffff:ffff:ffff:ffff:ffff:ffff", "0:0:0:0:0:0:0:1",
    # mapped into IPv6, as a dual-stack socket tells it
    "::ffff:127.0.0.1", "::ffff:7f00:1", "::FFFF:10.1.2.3",
    # the zone says by which interface, not who
    "fe80::1%eth0", "fe80::1%25", "fe80::1",
]  # fmt: skip
OUT = [
    "127.0.0.2", "9.255.255.255", "11.0.0.0", "192.168.7.127", "192.168.8.0", "::2", "2001:db9::",
    "2001:db7:ffff::", "fec0::1", "::ffff:127.0.0.2", "::127.0.0.1", "::fffe:127.0.0.1",
]  # fmt: skip
NO_ADDRESS = [
    "", None, "x", "localhost", "unix", "127.0.0.1:80", "[::1]", "127.0.0.1/32", "127.1", "1",
    "127.0.0.01", "0x7f.0.0.1", " 127.0.0.1", "127.0.0.1 ", "127.0.0.1\n", "127.0.0.1\0", "::1%",
    "127.0.0.1%lo", "%", ":", "1::1::1", "\ud800", "１２７.0.0.1", b"127.0.0.1",
    b"", 0, 2130706433, ("127.0.0.1", 80), ("127.0.0.1",), False, ipaddress.ip_address("127.0.0.1"),
]  # fmt: skip


@pytest.mark.parametrize("address", IN)
def test_in(address: str) -> None:
    assert address in TrustedNetworks(LISTED)


@pytest.mark.parametrize("address", OUT)
def test_out(address: str) -> None:
    assert address not in TrustedNetworks(LISTED)
    assert address in TrustedNetworks(EVERYTHING)


@pytest.mark.parametrize("address", NO_ADDRESS, ids=repr)
def test_what_is_no_address_is_not_trusted(address: Any) -> None:
    assert address not in TrustedNetworks(LISTED)
    assert address not in TrustedNetworks(EVERYTHING)


def test_unix_sockets() -> None:
    for listed in ([], LISTED, EVERYTHING):
        assert "" not in TrustedNetworks(listed) and None not in TrustedNetworks(listed)
    networks = TrustedNetworks([*LISTED, "unix"])
    assert "" in networks and None in networks
    for other in ("unix", "/run/socket", b"", b"\0abstract", (), 0, False, "unknown"):
        assert other not in networks, other
    assert "127.0.0.1" in networks and "127.0.0.1" not in TrustedNetworks(["unix"])


def test_ipv4_in_ipv6_is_ipv4() -> None:
    for listed in ("::ffff:10.0.0.0/104", "::ffff:a00:0/104"):
        networks = TrustedNetworks([listed])
        assert "10.9.9.9" in networks and "::ffff:10.9.9.9" in networks
        assert "11.0.0.0" not in networks
    assert "10.0.0.1" in TrustedNetworks(["::ffff:10.0.0.1"])
    assert "10.0.0.1" in TrustedNetworks(["::ffff:0:0/96"])
    # Who lists all of IPv6 has listed nothing of IPv4.
    assert "10.0.0.1" not in TrustedNetworks(["::/0"])
    assert "::ffff:10.0.0.1" not in TrustedNetworks(["::/0"])
    assert "::10.0.0.1" in TrustedNetworks(["::/0"])


WRONG = [
    ("10.1.2.3/8", "host bits"),
    ("2001:db8::1/32", "host bits"),
    ("::ffff:10.0.0.1/104", "host bits"),
    *[
        (text, "network")
        for text in (
            "", " ", "localhost", "example.com", "*", "UNIX", "unix:", "/run/socket", "1", "10.0.0",
            "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/8/8", "/8",
            "10.0.0.0/255.0.0.0", "10.0.0.0/0.255.255.255", "10.0.0.1:80", "[::1]", "fe80::1%eth0",
            "fe80::%eth0/64", "010.0.0.0/8", "10.0.0.0 /8", " 10.0.0.0/8", "10.0.0.0/8\n",
            "10.0.0.0/٨", "10.0.0.0-10.0.0.9", "10.0.0.0,10.0.0.1", "256.0.0.0", "::g", ":::",
            None, 1, b"10.0.0.1", ("10.0.0.0", 8), ipaddress.ip_network("10.0.0.0/8"),
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize(("listed", "message"), WRONG, ids=[repr(case[0]) for case in WRONG])
def test_what_is_no_network_is_refused(listed: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrustedNetworks(["10.0.0.1", listed])


@pytest.mark.parametrize("listed", ["10.0.0.1", "unix", "", b"10.0.0.1"])
def test_one_network_is_no_list(listed: Any) -> None:
    with pytest.raises(ValueError, match="a list of networks"):
        TrustedNetworks(listed)


def test_shown() -> None:
    networks = TrustedNetworks(iter(["10.0.0.1", "fd00::/8", "unix"]))
    assert repr(networks) == "TrustedNetworks(['10.0.0.1/32', 'fd00::/8', 'unix'])"
    assert repr(TrustedNetworks(())) == "TrustedNetworks([])"


V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6).filter(lambda ip: ip.ipv4_mapped is None)
NETWORKS = st.one_of(
    st.tuples(V4, st.integers(0, 32)), st.tuples(V6, st.integers(0, 128))
).map(lambda pair: ipaddress.ip_network(pair, strict=False))  # fmt: skip


@FEW
@given(st.lists(NETWORKS, max_size=8), V4 | V6, st.data())
def test_as_ipaddress_has_it(listed: list[Any], address: Any, data: st.DataObject) -> None:
    if listed and data.draw(st.booleans()):  # one that is in, or is next to one
        network = data.draw(st.sampled_from(listed))
        edge = data.draw(st.sampled_from([network[0], network[-1]]))
        step = data.draw(st.sampled_from([-1, 0, 1]))
        address = edge + step if 0 <= int(edge) + step < 2**network.max_prefixlen else edge
    networks = TrustedNetworks([str(network) for network in listed])
    expected = any(address in network for network in listed)
    if address.version == 6 and address.ipv4_mapped is not None:
        expected = any(address.ipv4_mapped in network for network in listed)
    assert (str(address) in networks) == expected
    assert (address.exploded in networks) == expected
    if address.version == 4:
        assert (f"::ffff:{address}" in networks) == expected


@FEW
@given(V4 | V6)
def test_packed(address: Any) -> None:
    assert pack_ip(str(address)) == pack_ip(address.exploded) == address.packed


@FEW
@given(st.text(max_size=50) | st.from_regex(r"[0-9a-fA-F:.%/ ]{0,45}"))
def test_no_text_is_too_strange(text: str) -> None:
    try:
        network: Any = TrustedNetworks([text])
    except ValueError:
        network = None
    assert (text in TrustedNetworks(EVERYTHING)) == bool(pack_ip(text))
    if network is not None and "/" not in text and text != "unix":
        assert text in network
