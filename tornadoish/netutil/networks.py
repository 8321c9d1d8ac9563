"""TrustedNetworks: a set of addresses and networks, asked whether a peer belongs to it.

Asked by tcpserver (whose PROXY header is read) and httpserver (whose forwarding fields are
believed). It never looks up a name: what is listed is an address, a network or the word ``unix``.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable

# An address, a prefix length behind it or not; ipaddress takes netmasks, hostmasks and zones too.
_LISTED = re.compile(r"[0-9A-Fa-f:.]++(?:/[0-9]{1,3}+)?+")
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2
_MAPPED_PREFIX = _MAPPED.network_address.packed[:12]
_UNIX = "unix"


class TrustedNetworks:
    """Addresses and networks of peers that are trusted: ``"10.1.2.3" in networks``.

    :param networks: IPv4 and IPv6 addresses (``"127.0.0.1"``, ``"::1"``), networks in CIDR notation
        (``"10.0.0.0/8"``, ``"fd00::/8"``; RFC 4632, 3.1 and RFC 4291, 2.3) and the word ``"unix"``
        for peers on Unix sockets.
    :raises ValueError: anything else, as a host name, a netmask, a zone, or a network with bits set
        behind its prefix (``"10.1.2.3/8"`` is either ``10.1.2.3`` or ``10.0.0.0/8``).

    An IPv4 address that is mapped into IPv6 (``::ffff:1.2.3.4``, as a dual-stack socket tells it)
    counts as the IPv4 address, on the list and when asked: ``::/0`` holds no IPv4 address.
    """

    __slots__ = ("_listed", "_unix", "_v4", "_v6")

    def __init__(self, networks: Iterable[str]) -> None:
        if isinstance(networks, (str, bytes)):
            raise ValueError(f"a list of networks is needed, not {networks!r}")
        self._unix = False
        # For each length of a prefix, as the number of bits behind it: the prefixes themselves.
        self._v4: dict[int, set[int]] = {}
        self._v6: dict[int, set[int]] = {}
        listed: list[str] = []
        for text in networks:
            if isinstance(text, str) and text == _UNIX:  # bytes compare with a warning
                self._unix = True
                listed.append(_UNIX)
            else:
                listed.append(str(self._add(text)))
        self._listed = tuple(listed)

    def _add(self, text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        if not isinstance(text, str) or _LISTED.fullmatch(text) is None:
            raise ValueError(f"no IP address, no network and not {_UNIX!r}: {text!r}")
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:  # says which of them, and what is wrong with it
            raise ValueError(f"not a network: {error}") from None
        if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
            packed = network.network_address.packed[12:]
            network = ipaddress.IPv4Network((packed, network.prefixlen - 96))
        behind = network.max_prefixlen - network.prefixlen
        prefixes = self._v4 if network.version == 4 else self._v6
        prefixes.setdefault(behind, set()).add(int(network.network_address) >> behind)
        return network

    def __contains__(self, address: object) -> bool:
        """Whether the peer at ``address`` is trusted.

        :param address: an IP address as text; a zone (``fe80::1%eth0``) is ignored. None and ""
            are a peer on a Unix socket. What is no address is not trusted.
        """
        if address is None:
            return self._unix
        if not isinstance(address, str):
            return False
        if not address:
            return self._unix
        packed = pack_ip(address)
        if not packed:
            return False
        number = int.from_bytes(packed, "big")
        for behind, prefixes in (self._v4 if len(packed) == 4 else self._v6).items():
            if number >> behind in prefixes:
                return True
        return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._listed)!r})"


def pack_ip(address: str) -> bytes:
    """The 4 or 16 bytes of an IP address, the same however it is spelt; empty if it is none.

    A zone is dropped, and an IPv4 address that is mapped into IPv6 is the IPv4 address.
    """
    try:
        if ":" not in address:
            return socket.inet_pton(socket.AF_INET, address)
        if "%" in address:
            address, _, zone = address.partition("%")
            if not zone:
                return b""
        packed = socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):  # ValueError: NUL, or text that UTF-8 cannot hold
        return b""
    return packed[12:] if packed.startswith(_MAPPED_PREFIX) else packed
