"""Proxies: which peers are believed when they say for whom they ask, and what they say.

One is made by ``HTTPServer`` from its options, and asked through ``HTTPRequestContext`` for each
request. A proxy can only speak for the hop before it, and appends to what it was sent: so lists
are read from their end, and nothing counts that stands in front of the first address that is no
trusted proxy's. What is no address, scheme or host is never handed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tornadoish.httputil import (
    HTTPHeaders,
    HTTPInputError,
    address_of_node,
    forwarded_from_last,
)
from tornadoish.httputil.abnf import MAX_HOST, is_host
from tornadoish.httputil.headers import OWS
from tornadoish.netutil import TrustedNetworks, is_valid_ip
from tornadoish.netutil.networks import pack_ip

#: what a proxy may call the protocol -> what we call it (Traefik tells WebSockets apart)
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

_X_FORWARDED = frozenset({"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"})
_TORNADOS = frozenset({"x-real-ip", "x-scheme"})
_NOBODY = TrustedNetworks(())


class Told(NamedTuple):
    """For whom a request is made: an IP address, "http" or "https", and a Host, if one is told."""

    remote_ip: str
    protocol: str
    host: str | None = None


class Proxies:
    """The proxies in front of a server.

    :param xheaders: believe ``X-Real-Ip``, ``X-Scheme``, ``X-Forwarded-For`` and ``-Proto``.
    :param trusted_proxies: the peers that are believed, in ``X-Forwarded-For``, ``-Proto`` and
        ``-Host``, or in ``Forwarded``. None: every peer is, as far as ``xheaders`` goes.
    :param trusted_downstream: more addresses to skip in lists of addresses.
    :raises ValueError: what is no address or network is listed.
    """

    __slots__ = ("_downstream", "_names", "_trusted", "_xheaders")

    def __init__(
        self,
        *,
        xheaders: bool,
        trusted_proxies: Iterable[str] | TrustedNetworks | None,
        trusted_downstream: Iterable[str] | None,
    ) -> None:
        self._xheaders = xheaders
        self._names = _X_FORWARDED | _TORNADOS if xheaders else _X_FORWARDED
        if trusted_proxies is None or isinstance(trusted_proxies, TrustedNetworks):
            self._trusted = trusted_proxies
        else:
            self._trusted = TrustedNetworks(trusted_proxies)
        self._downstream = TrustedNetworks(trusted_downstream) if trusted_downstream else _NOBODY

    def believe(self, peer: str | None) -> bool:
        """Whether anything is believed of a connection from ``peer`` (None: a Unix socket)."""
        return self._xheaders if self._trusted is None else peer in self._trusted

    def told(self, headers: HTTPHeaders, remote_ip: str, protocol: str) -> Told:
        """For whom a peer that is believed asks.

        :param remote_ip: the address of the peer.
        :param protocol: the protocol it used, "http" or "https".
        :raises HTTPInputError: the two ways to say it are both used and do not agree (400).
        """
        fields = headers.index()
        peer = Told(remote_ip, protocol)
        if self._trusted is None:
            return self._by_tornado(fields, peer)
        forwarded = fields.get("forwarded")
        if self._names.isdisjoint(fields):
            return self._by_forwarded(forwarded, peer) if forwarded else peer
        told = self._by_x_forwarded(fields, peer)
        if forwarded:
            # A proxy that writes one of them passes the other one on as the client has sent it, and
            # which is which is not known here.
            host = fields.get("host")
            if _meant(told, host) != _meant(self._by_forwarded(forwarded, peer), host):
                raise HTTPInputError("Forwarded and X-Forwarded fields do not say the same")
        return told

    def _skips(self, address: str) -> bool:
        return (self._trusted is not None and address in self._trusted) or (
            address in self._downstream
        )

    def _by_forwarded(self, value: str, peer: Told) -> Told:
        """RFC 7239: each element is the word of the proxy that the one behind it names."""
        client, scheme, host = peer.remote_ip, "", ""
        for element in forwarded_from_last(value):
            if element is None:
                break
            scheme, host = element.get("proto", ""), element.get("host", "")
            address = address_of_node(element.get("for", ""))
            if address is None or not is_valid_ip(address):
                break
            client = address
            if not self._skips(address):
                break
        return Told(client, _SCHEMES.get(scheme.lower(), peer.protocol), _host(host))

    def _by_x_forwarded(self, fields: Mapping[str, str], peer: Told) -> Told:
        """The same from lists in step; with ``xheaders``, X-Real-Ip and X-Scheme go first."""
        client, hop = peer.remote_ip, 0
        if "x-forwarded-for" in fields:
            client, hop = self._walk(fields["x-forwarded-for"], client)
        scheme = _at(fields.get("x-forwarded-proto", ""), hop)
        if self._xheaders:
            real = fields.get("x-real-ip")
            if real is not None:
                client = real if is_valid_ip(real) else peer.remote_ip
            scheme = _at(fields["x-scheme"], 0) if "x-scheme" in fields else scheme
        host = _at(fields.get("x-forwarded-host", ""), hop)
        return Told(client, _SCHEMES.get(scheme.lower(), peer.protocol), _host(host))

    def _walk(self, addresses: str, client: str) -> tuple[str, int]:
        """From the last address to the client's, and how many hops that were; ``client`` is the
        peer's, which stands if nothing better is there."""
        hop = 0
        for hop, entry in enumerate(reversed(addresses.split(","))):
            address = _address(entry.strip(OWS))
            if address is None:
                return client, hop
            client = address
            if not self._skips(address):
                return client, hop
        return client, hop

    def _by_tornado(self, fields: Mapping[str, str], peer: Told) -> Told:
        """Tornado's xheaders: the last protocol whatever the hop, and no ports with addresses."""
        client = peer.remote_ip
        for entry in reversed(fields.get("x-forwarded-for", client).split(",")):
            client = entry.strip(OWS)
            if not client or not self._skips(client):
                break
        client = fields.get("x-real-ip", client)
        scheme = fields.get("x-scheme", fields.get("x-forwarded-proto", ""))
        scheme = scheme.rpartition(",")[2].strip(OWS)
        return Told(
            client if is_valid_ip(client) else peer.remote_ip,
            scheme if scheme in ("http", "https") else peer.protocol,
        )


def _address(entry: str) -> str | None:
    """The IP address in an entry of X-Forwarded-For: some proxies write its port, too."""
    if is_valid_ip(entry):
        return entry
    address = address_of_node(entry)
    return address if address is not None and is_valid_ip(address) else None


def _at(value: str, hop: int) -> str:
    """What ``value`` says of a hop, 0 being that of the nearest proxy.

    One value alone was set by one proxy for all; several are in step with the addresses.
    """
    values = value.split(",")
    if len(values) == 1:
        return value
    return values[-1 - hop].strip(OWS) if hop < len(values) else ""


def _host(text: str) -> str | None:
    """``text`` if it can stand in a Host field and names a host there, else None."""
    if not text or text[0] == ":" or len(text) > MAX_HOST or "," in text or not is_host(text):
        return None
    return text


def _meant(told: Told, host: str | None) -> tuple[bytes, str, str]:
    """The same for whatever means the same, however it is spelt; ``host`` if none is told."""
    return pack_ip(told.remote_ip), told.protocol, (told.host or host or "").lower()
