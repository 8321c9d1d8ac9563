"""Sec-WebSocket-Extensions (RFC 6455, 9.1) and what permessage-deflate makes of it (RFC 7692, 7.1).

``handshake`` calls it, in both roles. Pure functions over header values, linear in their input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from tornadoish.httputil.abnf import TCHAR, TOKEN
from tornadoish.ws.deflate import Deflate

NAME = "permessage-deflate"

#: An extension or what is offered of one: its name, and its parameters as they stand.
Extension = tuple[str, list[tuple[str, str | None]]]

_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'
# No group of these stands within something possessive: re fails on that ("The span of capturing
# group is wrong", up to 3.13 at least).
_PARAMETER = re.compile(rf"[ \t]*+;[ \t]*+([{TCHAR}]++)(?:[ \t]*+=[ \t]*+([{TCHAR}]++|{_QUOTED}))?")
_END = re.compile(r"[ \t]*+(?:,|\Z)")
_NOTHING = re.compile(r"[ \t,]*+")  # elements of a list may be empty (RFC 9110, 5.6.1)
_ESCAPE = re.compile(r"\\(.)")
# RFC 7692, 7.1.2: 8 to 15, without leading zeros.
_BITS = re.compile(r"[89]|1[0-5]")


def parse_extensions(value: str) -> list[Extension]:
    """What a field (all lines of it, joined by commas) lists; names of extensions as they stand.

    :raises ValueError: it does not follow the grammar, or a quoted value is no token.
    """
    found: list[Extension] = []
    pos = _behind(_NOTHING, value, 0)
    while pos < len(value):
        start = pos
        pos = _behind(TOKEN, value, start)
        name, parameters = value[start:pos], []
        while (match := _PARAMETER.match(value, pos)) is not None:
            parameters.append((match[1], _unquoted(match[2])))
            pos = match.end()
        found.append((name, parameters))
        pos = _behind(_NOTHING, value, _behind(_END, value, pos))
    return found


def _behind(pattern: re.Pattern[str], value: str, pos: int) -> int:
    """Where what has to stand at ``pos`` ends."""
    match = pattern.match(value, pos)
    if match is None:
        raise ValueError("Malformed Sec-WebSocket-Extensions")
    return match.end()


def _unquoted(value: str | None) -> str | None:
    if value is None or value[0] != '"':
        return value
    text = _ESCAPE.sub(r"\1", value[1:-1])
    if TOKEN.fullmatch(text) is None:
        raise ValueError("A value in Sec-WebSocket-Extensions is no token")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameters:
    """The four parameters of permessage-deflate; of bits, None is no such parameter, 0 one without
    a value."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | None = None

    @classmethod
    def read(cls, pairs: list[tuple[str, str | None]]) -> _Parameters | None:
        """None if one is unknown, comes twice, or has a value that it cannot have."""
        found: dict[str, bool | int] = {}
        for name, value in pairs:
            if name in found:
                return None
            if name in ("server_no_context_takeover", "client_no_context_takeover"):
                if value is not None:
                    return None
                found[name] = True
            elif name in ("server_max_window_bits", "client_max_window_bits"):
                # Only the client's may stand alone, in an offer (7.1.2.2).
                if value is None and name == "client_max_window_bits":
                    found[name] = 0
                elif value is None or _BITS.fullmatch(value) is None:
                    return None
                else:
                    found[name] = int(value)
            else:
                return None
        return cls(**found)  # type: ignore[arg-type]

    def __str__(self) -> str:
        words = [NAME]
        for name in self.__slots__:
            value = getattr(self, name)
            if value is True or (value == 0 and value is not False):
                words.append(name)
            elif value:
                words.append(f"{name}={value}")
        return "; ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeflateOptions:
    """How one side wants messages compressed; with the peer's wishes it becomes a ``Deflate``.

    A connection that has sent a compressed message keeps 2**(bits + 2) + 2**(mem_level + 9) bytes
    for the next one, one that has received one 2**bits, and some KiB each: 50 KiB with the
    defaults. Without takeover of contexts it keeps nothing.
    """

    #: 1 (quick) to 9 (small), 0 (not at all), -1 (zlib's own choice)
    level: int = 3
    #: memory of our compressor, 1 to 9
    mem_level: int = 5
    #: bytes below which a message is sent as it is
    threshold: int = 64
    #: windows, as powers of two (8 to 15)
    server_max_window_bits: int = 12
    client_max_window_bits: int = 12
    #: whether each message stands alone: less memory, less compression
    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False

    def __post_init__(self) -> None:
        if not (
            -1 <= self.level <= 9
            and 1 <= self.mem_level <= 9
            and 8 <= self.server_max_window_bits <= 15
            and 8 <= self.client_max_window_bits <= 15
        ):
            raise ValueError(f"Out of range: {self}")

    # -- a server

    def accept(self, offers: list[Extension]) -> tuple[str, Deflate] | None:
        """The answer to a client's offers, and what it means: of those that we can accept, the
        first. None if there is none: no extension is used then.
        """
        for name, pairs in offers:
            offer = _Parameters.read(pairs) if name == NAME else None
            if offer is not None:
                return self._accept(offer)
        return None

    def _accept(self, offer: _Parameters) -> tuple[str, Deflate]:
        server_bits = min(self.server_max_window_bits, offer.server_max_window_bits or 15)
        # 7.1.2.2: we may name the client's window only if it says that it knows the parameter.
        client_bits = 15
        named = offer.client_max_window_bits is not None
        if named:
            client_bits = min(self.client_max_window_bits, offer.client_max_window_bits or 15)
        answer = _Parameters(
            server_no_context_takeover=self.server_no_context_takeover
            or offer.server_no_context_takeover,
            client_no_context_takeover=self.client_no_context_takeover
            or offer.client_no_context_takeover,
            server_max_window_bits=server_bits if server_bits < 15 else None,
            client_max_window_bits=client_bits if named and client_bits < 15 else None,
        )
        return str(answer), _shared(
            server_bits,
            not answer.server_no_context_takeover,
            client_bits,
            not answer.client_no_context_takeover,
            self.level,
            self.mem_level,
            self.threshold,
        )

    # -- a client

    def offer(self) -> str:
        """What a client offers."""
        return str(
            _Parameters(
                server_no_context_takeover=self.server_no_context_takeover,
                client_no_context_takeover=self.client_no_context_takeover,
                server_max_window_bits=_named(self.server_max_window_bits),
                client_max_window_bits=_named(self.client_max_window_bits) or 0,
            )
        )

    def agreed(self, answer: list[tuple[str, str | None]]) -> Deflate:
        """What a server's answer to ``offer`` means.

        :raises ValueError: it is no answer to it.
        """
        read = _Parameters.read(answer)
        if (
            read is None
            or read.client_max_window_bits == 0
            or (read.client_max_window_bits or 0) > self.client_max_window_bits
            # What was asked of the server it promises, or it accepts nothing (7.1.1.1, 7.1.2.1).
            or (read.server_max_window_bits or 15) > self.server_max_window_bits
            or (self.server_no_context_takeover and not read.server_no_context_takeover)
        ):
            raise ValueError(f"The server answers {NAME} with what was not offered")
        # What we have offered of our own we keep, whether the server repeats it or not.
        return _shared(
            read.client_max_window_bits or self.client_max_window_bits,
            not (read.client_no_context_takeover or self.client_no_context_takeover),
            read.server_max_window_bits or 15,
            not read.server_no_context_takeover,
            self.level,
            self.mem_level,
            self.threshold,
        )


def _named(bits: int) -> int | None:
    return bits if bits < 15 else None


@lru_cache(maxsize=64)
def _shared(
    send_bits: int,
    send_takeover: bool,
    receive_bits: int,
    receive_takeover: bool,
    level: int,
    mem_level: int,
    threshold: int,
) -> Deflate:
    """One object for all connections that have agreed on the same."""
    return Deflate(
        send_bits=send_bits,
        send_takeover=send_takeover,
        receive_bits=receive_bits,
        receive_takeover=receive_takeover,
        level=level,
        mem_level=mem_level,
        threshold=threshold,
    )
