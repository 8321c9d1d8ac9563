"""The opening handshake of a WebSocket (RFC 6455, 4), in both roles."""

from __future__ import annotations

from typing import Any

import pytest

from tornadoish.httputil import HTTPHeaders
from tornadoish.ws import (
    ClientOpening,
    Deflate,
    DeflateOptions,
    HandshakeError,
    Opening,
    accept_key,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, 1.3
GOOD = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def fields(**changed: str | None) -> HTTPHeaders:
    """A good request's, with some of them changed, or taken out."""
    names = {name.replace("-", "_").lower(): name for name in GOOD}
    headers = HTTPHeaders(GOOD)
    for name, value in changed.items():
        known = names.get(name, name.replace("_", "-"))
        if value is None:
            del headers[known]
        else:
            headers[known] = value
    return headers


def test_the_rfcs_key() -> None:
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


class TestServer:
    @pytest.mark.parametrize(
        "changed",
        [
            {},
            {"upgrade": "WebSocket"},
            {"upgrade": "h2c, websocket"},
            {"upgrade": " websocket ,"},
            {"connection": "keep-alive, Upgrade"},
            {"connection": "keep-alive,\tUPGRADE"},
            {"sec_websocket_protocol": ""},
            {"sec_websocket_extensions": "unknown; x=y"},
            {"Origin": "null"},
        ],
    )
    def test_accepted(self, changed: Any) -> None:
        answer = Opening.read("GET", fields(**changed)).answer()
        assert answer.headers == [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ]
        assert answer.deflate is None

    @pytest.mark.parametrize(
        ("changed", "status"),
        [
            ({"upgrade": None}, 400),
            ({"upgrade": ""}, 400),
            ({"upgrade": "notwebsocket"}, 400),
            ({"upgrade": "websocket2"}, 400),
            ({"upgrade": "websocket/13"}, 400),
            ({"connection": None}, 400),
            ({"connection": "keep-alive"}, 400),
            ({"connection": "notupgrade"}, 400),  # aiohttp #12723
            ({"connection": "upgrade-insecure"}, 400),
            ({"sec_websocket_key": None}, 400),
            ({"sec_websocket_key": ""}, 400),
            ({"sec_websocket_key": KEY[:-4]}, 400),
            ({"sec_websocket_key": KEY + "AAAA"}, 400),
            ({"sec_websocket_key": KEY[:-2] + "AA"}, 400),
            ({"sec_websocket_key": KEY[:-1]}, 400),
            ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ=A"}, 400),
            ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25j!Q=="}, 400),
            ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25j Q=="}, 400),
            ({"sec_websocket_key": "é" * 24}, 400),
            ({"sec_websocket_key": f"{KEY},{KEY}"}, 400),  # the field twice
            ({"sec_websocket_version": None}, 426),
            ({"sec_websocket_version": "8"}, 426),
            ({"sec_websocket_version": "013"}, 426),
            ({"sec_websocket_version": "13,13"}, 426),
            ({"sec_websocket_protocol": "\x80\xff"}, 400),  # granian CVE-2026-42544
            ({"sec_websocket_protocol": "a b"}, 400),
            ({"sec_websocket_protocol": "a, (b)"}, 400),
            ({"sec_websocket_protocol": "a, b, a"}, 400),
            ({"sec_websocket_extensions": "permessage-deflate; ="}, 400),
            ({"sec_websocket_extensions": "a b"}, 400),
        ],
    )
    def test_refused(self, changed: Any, status: int) -> None:
        with pytest.raises(HandshakeError) as caught:
            Opening.read("GET", fields(**changed))
        assert caught.value.status == status
        assert caught.value.message == str(caught.value)
        told = dict(caught.value.headers)
        assert told.get("Sec-WebSocket-Version") == ("13" if status == 426 else None)
        assert ("Upgrade" in told) == (status == 426)  # RFC 9110, 15.5.22

    @pytest.mark.parametrize("method", ["POST", "HEAD", "CONNECT", "get", ""])
    def test_methods(self, method: str) -> None:
        with pytest.raises(HandshakeError) as caught:
            Opening.read(method, fields())
        assert (caught.value.status, caught.value.headers) == (405, (("Allow", "GET"),))

    def test_http_1_0_has_no_upgrade(self) -> None:
        with pytest.raises(HandshakeError, match=r"HTTP/1\.1"):
            Opening.read("GET", fields(), "HTTP/1.0")

    def test_subprotocols(self) -> None:
        opening = Opening.read("GET", fields(sec_websocket_protocol="chat, super.chat ,,x"))
        assert opening.subprotocols == ("chat", "super.chat", "x")
        assert ("Sec-WebSocket-Protocol", "x") in opening.answer("x").headers
        assert "Sec-WebSocket-Protocol" not in dict(opening.answer().headers)
        with pytest.raises(ValueError, match="not offered"):
            opening.answer("y")

    def test_compression(self) -> None:
        headers = fields(sec_websocket_extensions="x, permessage-deflate; client_max_window_bits")
        opening = Opening.read("GET", headers)
        assert opening.answer().deflate is None
        answer = opening.answer(deflate=DeflateOptions(server_max_window_bits=15))
        assert ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=12") in (
            answer.headers
        )
        assert answer.deflate == Deflate(receive_bits=12, mem_level=5)
        assert Opening.read("GET", fields()).answer(deflate=DeflateOptions()).deflate is None

    def test_an_extended_connect(self) -> None:
        """RFC 8441, 5: no key, no Upgrade; all the rest."""
        headers = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "a"}
        assert Opening.read_connect(headers).answer("a").headers == [
            ("Sec-WebSocket-Protocol", "a")
        ]
        with pytest.raises(HandshakeError) as caught:
            Opening.read_connect({})
        assert caught.value.status == 426


def accepted(opening: ClientOpening, **changed: str | None) -> HTTPHeaders:
    """A good response's fields, some of them changed."""
    headers = HTTPHeaders(
        {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": accept_key(opening.key),
        }
    )
    for name, value in changed.items():
        if value is None:
            del headers[name.replace("_", "-")]
        else:
            headers[name.replace("_", "-")] = value
    return headers


class TestClient:
    def test_its_request(self) -> None:
        opening = ClientOpening(["a", "b"], DeflateOptions(client_max_window_bits=15))
        assert opening.headers() == [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", opening.key),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", "a, b"),
            (
                "Sec-WebSocket-Extensions",
                "permessage-deflate; server_max_window_bits=12; client_max_window_bits",
            ),
        ]
        assert len(ClientOpening().headers()) == 4
        assert ClientOpening().key != ClientOpening().key

    def test_both_sides_agree(self) -> None:
        opening = ClientOpening(["a", "b"], DeflateOptions())
        answer = Opening.read("GET", HTTPHeaders(opening.headers())).answer("b", DeflateOptions())
        agreed = opening.check(101, HTTPHeaders(answer.headers))
        assert agreed.subprotocol == "b"
        assert (
            agreed.deflate == answer.deflate == Deflate(send_bits=12, receive_bits=12, mem_level=5)
        )

    @pytest.mark.parametrize(
        "changed",
        [{}, {"Upgrade": "WebSocket"}, {"Connection": "keep-alive, upgrade"},
         {"Sec-WebSocket-Extensions": ""}],
    )  # fmt: skip
    def test_accepted(self, changed: Any) -> None:
        opening = ClientOpening()
        agreed = opening.check(101, accepted(opening, **changed))
        assert (agreed.subprotocol, agreed.deflate) == (None, None)

    @pytest.mark.parametrize(
        "changed",
        [
            {"Upgrade": None},
            {"Upgrade": "h2c"},
            {"Upgrade": "h2c, websocket"},
            {"Connection": None},
            {"Connection": "notupgrade"},
            {"Sec_WebSocket_Accept": None},
            {"Sec_WebSocket_Accept": ""},
            {"Sec_WebSocket_Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
            {"Sec_WebSocket_Protocol": "c"},
            {"Sec_WebSocket_Protocol": ""},
            {"Sec_WebSocket_Protocol": "a, b"},
            {"Sec_WebSocket_Protocol": "A"},
            {"Sec_WebSocket_Extensions": "x"},
            {"Sec_WebSocket_Extensions": "permessage-deflate; x"},
            {"Sec_WebSocket_Extensions": "permessage-deflate, permessage-deflate"},
            {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits=13"},
            {"Sec_WebSocket_Extensions": "permessage-deflate"},  # 12 bits were asked for
            {"Sec_WebSocket_Extensions": "a b"},
        ],
    )
    def test_refused(self, changed: Any) -> None:
        opening = ClientOpening(["a", "b"], DeflateOptions())
        with pytest.raises(HandshakeError):
            opening.check(101, accepted(opening, **changed))

    def test_what_was_not_asked_for(self) -> None:
        opening = ClientOpening()
        for extra in (
            {"Sec_WebSocket_Extensions": "permessage-deflate"},
            {"Sec_WebSocket_Protocol": "a"},
        ):
            with pytest.raises(HandshakeError, match="not offered"):
                opening.check(101, accepted(opening, **extra))

    @pytest.mark.parametrize("status", [200, 302, 400, 403, 426, 500])
    def test_another_status(self, status: int) -> None:
        opening = ClientOpening()
        with pytest.raises(HandshakeError) as caught:
            opening.check(status, accepted(opening))
        assert caught.value.status == status

    @pytest.mark.parametrize("names", [["a b"], ["é"], [""], ["a", "a"]])
    def test_subprotocols_that_are_none(self, names: list[str]) -> None:
        with pytest.raises(ValueError, match="tokens"):
            ClientOpening(names)
        with pytest.raises(TypeError):
            ClientOpening("chat")
