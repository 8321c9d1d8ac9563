"""The writer: bytes of messages, and everything that must not become bytes."""

from __future__ import annotations

from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornadoish.http1.states import BODY, CLOSED, DONE, HEAD, LAST, SWITCHED, IllegalTransition
from tornadoish.http1.writer import Writer
from tornadoish.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPOutputError,
    RequestStartLine,
    ResponseStartLine,
)
from tornadoish.httputil.trailers import NOT_IN_TRAILERS

OK = ResponseStartLine("", 200, "OK")


def headers(*pairs: tuple[str, str]) -> HTTPHeaders:
    """Fields that belong together or not: the writer is the last to look."""
    return HTTPHeaders.from_pairs(list(pairs))


def server(method: str = "GET", version: str = "HTTP/1.1", persists: bool = True) -> Writer:
    writer = Writer()
    writer.answer(method, version, persists)
    return writer


L2, TE = ("Content-Length", "2"), ("Transfer-Encoding", "chunked")
KEEP, CLOSE = ("Connection", "keep-alive"), ("Connection", "close")

# method, version, whether the request let the connection live, code, fields, pieces of the body
# -> the bytes, the state behind them
ANSWERS: list[tuple[str, tuple[Any, ...], list[bytes], bytes, Any]] = [
    ("length", ("GET", "HTTP/1.1", True, 200, [L2]), [b"hi"],
     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", DONE),
    ("in two pieces", ("GET", "HTTP/1.1", True, 200, [L2]), [b"h", b"i"],
     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", DONE),
    ("no body", ("GET", "HTTP/1.1", True, 200, [("Content-Length", "0")]), [],
     b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", DONE),
    ("chunked unasked", ("GET", "HTTP/1.1", True, 200, []), [b"hi", b"", b"0123456789abcdef"],
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n10\r\n0123456789abcdef\r\n"
     b"0\r\n\r\n", DONE),
    ("chunked", ("GET", "HTTP/1.1", True, 200, [TE]), [b"hi"],
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", DONE),
    ("chunked and empty", ("GET", "HTTP/1.1", True, 200, []), [],
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", DONE),
    ("asked to close", ("GET", "HTTP/1.1", False, 200, [L2]), [b"hi"],
     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", LAST),
    ("we close", ("GET", "HTTP/1.1", True, 200, [CLOSE, L2]), [b"hi"],
     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", LAST),
    ("a wish that cannot be", ("GET", "HTTP/1.1", False, 200, [KEEP, L2]), [b"hi"],
     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", LAST),
    ("1.0 that lives", ("GET", "HTTP/1.0", True, 200, [L2]), [b"hi"],
     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi", DONE),
    ("1.0 without length", ("GET", "HTTP/1.0", True, 200, []), [b"hi"],
     b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi", LAST),
    ("HEAD", ("HEAD", "HTTP/1.1", True, 200, [L2]), [b"hi"],
     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", DONE),
    ("HEAD without writing", ("HEAD", "HTTP/1.1", True, 200, [L2]), [],
     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", DONE),
    ("HEAD, chunked", ("HEAD", "HTTP/1.1", True, 200, []), [b"hi"],
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", DONE),
    # RFC 9110, 8.6: no Content-Length in a 204; in a 304 it is what a 200 would have.
    ("204", ("GET", "HTTP/1.1", True, 204, [("Content-Length", "0")]), [],
     b"HTTP/1.1 204 OK\r\n\r\n", DONE),
    ("304", ("GET", "HTTP/1.1", True, 304, [L2]), [],
     b"HTTP/1.1 304 OK\r\nContent-Length: 2\r\n\r\n", DONE),
    ("204 on 1.0", ("GET", "HTTP/1.0", True, 204, []), [],
     b"HTTP/1.1 204 OK\r\nConnection: keep-alive\r\n\r\n", DONE),
    # RFC 9110, 9.3.6: no framing fields in a 2xx to CONNECT, and what follows is the tunnel's.
    ("a tunnel", ("CONNECT", "HTTP/1.1", False, 200, [L2, ("A", "b")]), [b"any", b"thing"],
     b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nanything", LAST),
    ("a tunnel refused", ("CONNECT", "HTTP/1.1", False, 403, [L2]), [b"no"],
     b"HTTP/1.1 403 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", LAST),
    ("fields keep order and case", ("GET", "HTTP/1.1", True, 200,
                                    [("set-cookie", "a"), L2, ("Set-Cookie", "b\t\xe9")]), [b"hi"],
     b"HTTP/1.1 200 OK\r\nset-cookie: a\r\nContent-Length: 2\r\nSet-Cookie: b\t\xe9\r\n\r\nhi",
     DONE),
]  # fmt: skip


@pytest.mark.parametrize("with_head", [True, False])
@pytest.mark.parametrize("row", ANSWERS, ids=[row[0] for row in ANSWERS])
def test_answers(row: Any, with_head: bool) -> None:
    """The same bytes, whether the first piece goes with the head or behind it."""
    _, (method, version, persists, code, fields), pieces, wanted, state = row
    writer = server(method, version, persists)
    rest = list(pieces)
    first = rest.pop(0) if with_head and rest else None
    data = writer.response(ResponseStartLine("", code, "OK"), headers(*fields), first)
    assert writer.state is BODY
    data += b"".join(writer.data(piece) for piece in rest) + writer.end()
    assert data == wanted
    assert writer.state is state


def test_one_answer_after_the_other() -> None:
    writer = server()
    for method in ("GET", "HEAD", "GET"):
        writer.answer(method, "HTTP/1.1", persists=True)
        data = writer.response(OK, headers(L2), b"hi") + writer.end()
        assert data.endswith(b"\r\n\r\n" if method == "HEAD" else b"hi")
        writer.next_message()
        assert writer.state is HEAD


def test_interim_answers_before_the_final_one() -> None:
    writer = server()
    hints = ResponseStartLine("", 103, "Early Hints")
    assert writer.response(hints, headers(("Link", "a")), None) == (
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
    )
    assert writer.state is HEAD
    assert writer.response(OK, headers(L2), b"hi").startswith(b"HTTP/1.1 200")


def test_no_interim_answer_to_a_1_0_client() -> None:
    """RFC 9110, 15.2: it would take it for the final one. Nothing else changes."""
    writer = server(version="HTTP/1.0")
    for code in (100, 102, 103):
        assert writer.response(ResponseStartLine("", code, "x"), headers(("A", "b")), None) == b""
    assert writer.response(OK, headers(L2), b"hi") == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi"
    )


# method, version, fields of the head, trailers -> what comes behind the head
TRAILERS: list[tuple[str, tuple[str, str, list[tuple[str, str]]], Any, bytes]] = [
    ("chunked", ("GET", "HTTP/1.1", []), [("A", "b"), ("C", "d")],
     b"2\r\nhi\r\n0\r\nA: b\r\nC: d\r\n\r\n"),
    ("twice the same", ("GET", "HTTP/1.1", [TE]), [("A", "b"), ("a", "c")],
     b"2\r\nhi\r\n0\r\nA: b\r\na: c\r\n\r\n"),
    ("none", ("GET", "HTTP/1.1", []), None, b"2\r\nhi\r\n0\r\n\r\n"),
    ("no fields", ("GET", "HTTP/1.1", []), [], b"2\r\nhi\r\n0\r\n\r\n"),
    ("length", ("GET", "HTTP/1.1", [L2]), [("A", "b")], b"hi"),
    ("until the end", ("GET", "HTTP/1.0", []), [("A", "b")], b"hi"),
    ("HEAD", ("HEAD", "HTTP/1.1", []), [("A", "b")], b""),
    # Where they are dropped, nobody asks what is in them.
    ("what must not be sent, and is not", ("GET", "HTTP/1.1", [L2]), [("Host", "b")], b"hi"),
]  # fmt: skip


@pytest.mark.parametrize("row", TRAILERS, ids=[row[0] for row in TRAILERS])
def test_trailers(row: Any) -> None:
    _, (method, version, fields), trailers, wanted = row
    writer = server(method, version)
    data = writer.response(OK, headers(*fields), b"hi")
    data += writer.end(None if trailers is None else headers(*trailers))
    assert data.partition(b"\r\n\r\n")[2] == wanted
    assert writer.state in (DONE, LAST)


@pytest.mark.parametrize("name", sorted(NOT_IN_TRAILERS))
@pytest.mark.parametrize("first", [True, False])
def test_trailers_that_must_not_be_sent(name: str, first: bool) -> None:
    """Nothing of them goes out, and what stands there is not whole."""
    writer = server()
    writer.response(OK, headers(), b"hi")
    fields = [(name.title(), "1"), ("A", "b")]
    with pytest.raises(HTTPOutputError):
        writer.end(headers(*(fields if first else fields[::-1])))
    assert writer.state is CLOSED


def test_trailers_of_a_request() -> None:
    writer = Writer()
    line = RequestStartLine("POST", "/", "HTTP/1.1")
    writer.request(line, headers(("Host", "x")), b"hi")
    assert writer.end(headers(("A", "b"))) == b"0\r\nA: b\r\n\r\n"


def test_switching_protocols() -> None:
    writer = server()
    line = ResponseStartLine("", 101, "Switching Protocols")
    assert writer.response(line, headers(("Upgrade", "x")), None) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"
    )
    assert writer.state is SWITCHED
    with pytest.raises((HTTPOutputError, IllegalTransition)):
        writer.response(OK, headers(L2), b"hi")


# -- what must not be written

BAD_HEADS: list[tuple[str, ResponseStartLine, list[tuple[str, str]], bytes | None]] = [
    ("CRLF in the reason", ResponseStartLine("", 200, "OK\r\nA: b"), [], None),
    ("LF in the reason", ResponseStartLine("", 200, "OK\nA: b"), [], None),
    ("more than Latin-1 in the reason", ResponseStartLine("", 200, "\u20ac"), [], None),
    ("a code of two digits", ResponseStartLine("", 99, "x"), [], None),
    ("a code of four digits", ResponseStartLine("", 1000, "x"), [], None),
    ("length and chunked", OK, [L2, TE], None),
    ("two codings", OK, [TE, TE], None),
    ("another coding", OK, [("Transfer-Encoding", "gzip")], None),
    ("a length that is none", OK, [("Content-Length", "+2")], None),
    ("two lengths", OK, [L2, L2], None),
    ("an empty length", OK, [("Content-Length", "")], None),
    ("a 204 with a body", ResponseStartLine("", 204, "x"), [], b"hi"),
    ("a 304 with a body", ResponseStartLine("", 304, "x"), [L2], b"hi"),
    ("a chunked 204", ResponseStartLine("", 204, "x"), [TE], None),
    ("too much at once", OK, [L2], b"hi!"),
    ("a 304 of no length", ResponseStartLine("", 304, "x"), [("Content-Length", "x")], None),
    ("a 103 with a length", ResponseStartLine("", 103, "x"), [L2], None),
    ("a chunked 103", ResponseStartLine("", 103, "x"), [TE], None),
    ("a 103 with a body", ResponseStartLine("", 103, "x"), [], b"hi"),
]


@pytest.mark.parametrize("row", BAD_HEADS, ids=[row[0] for row in BAD_HEADS])
def test_refused_and_as_before(row: Any) -> None:
    """Nothing is written, and another answer may be."""
    _, line, fields, chunk = row
    writer = server()
    for _ in range(2):  # the second time, no cache must let it through
        with pytest.raises(HTTPOutputError):
            writer.response(line, headers(*fields), chunk)
    assert (writer.state, writer.persists) == (HEAD, True)
    sorry = ResponseStartLine("", 500, "Sorry")
    assert writer.response(sorry, headers(("Content-Length", "0")), None) == (
        b"HTTP/1.1 500 Sorry\r\nContent-Length: 0\r\n\r\n"
    )
    writer.end()
    assert writer.state is DONE


def test_chunked_to_a_1_0_client() -> None:
    with pytest.raises(HTTPOutputError):
        server(version="HTTP/1.0").response(OK, headers(TE), None)


@pytest.mark.parametrize(
    "value", ["b\r\nc: d", "b\rc", "b\nc", "b\x00c", "b\x7fc", "\u20ac", "\x85\u2028"]
)
def test_no_control_reaches_the_writer_in_a_field(value: str) -> None:
    """HTTPHeaders is the gate: it takes in nothing that the writer would have to refuse."""
    for name, text in (("A", value), (value, "a")):
        fields = HTTPHeaders()
        with pytest.raises(HTTPInputError):
            fields.add(name, text)
        with pytest.raises(HTTPInputError):
            fields[name] = text
        with pytest.raises(HTTPInputError):
            HTTPHeaders({name: text})
        with pytest.raises(HTTPInputError):
            fields.update({name: text})
        with pytest.raises(HTTPInputError):
            fields.setdefault(name, text)
        assert list(fields.get_all()) == []


def test_the_reason_of_an_interim_head_is_checked_too() -> None:
    writer = server()
    with pytest.raises(HTTPOutputError):
        writer.response(ResponseStartLine("", 103, "x\r\ny"), headers(), None)
    assert writer.state is HEAD


def test_too_much_and_too_little() -> None:
    writer = server()
    writer.response(OK, headers(L2), b"h")
    with pytest.raises(HTTPOutputError):
        writer.data(b"ii")
    assert writer.data(b"i") == b"i", "what was refused was not counted"
    with pytest.raises(HTTPOutputError):
        writer.data(b"!")
    writer.end()
    assert writer.state is DONE

    writer = server()
    writer.response(OK, headers(L2), b"h")
    with pytest.raises(HTTPOutputError):
        writer.end()
    assert writer.state is CLOSED


def test_out_of_order() -> None:
    writer = server()
    with pytest.raises(HTTPOutputError):
        writer.data(b"hi")
    with pytest.raises(HTTPOutputError):
        writer.end()
    writer.response(OK, headers(L2), b"hi")
    with pytest.raises((HTTPOutputError, IllegalTransition)):
        writer.response(OK, headers(L2), b"hi")
    writer.end()
    with pytest.raises(HTTPOutputError):
        writer.data(b"")
    with pytest.raises(HTTPOutputError):
        writer.end()


# -- requests


@pytest.mark.parametrize(
    ("line", "fields", "chunk", "wanted"),
    [
        (("GET", "/"), [("Host", "x")], None, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (("POST", "/a?b"), [L2], b"hi", b"POST /a?b HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"),
        (("PUT", "/"), [], b"hi",
         b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
        (("GET", "/"), [TE], b"hi",
         b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
        (("GET", "/"), [CLOSE], None, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"),
    ],
)  # fmt: skip
def test_requests(line: tuple[str, str], fields: Any, chunk: bytes | None, wanted: bytes) -> None:
    writer = Writer()
    start = RequestStartLine(*line, "HTTP/1.1")
    assert writer.request(start, headers(*fields), chunk) + writer.end() == wanted
    assert writer.state is (LAST if CLOSE in fields else DONE)


@pytest.mark.parametrize(
    ("method", "target"),
    [("", "/"), ("G T", "/"), ("GET", ""), ("GET", "/ HTTP/1.1\r\nA: b"), ("GET", "/\u00e9"),
     ("GET", "/\x00"), ("GET", "/a b"), ("G\r\nA", "/"), ("GET", "/#a"), ("GET", "*"), ("GET", "a"),
     ("CONNECT", "/"), ("GET", "http://a@b/")],
)  # fmt: skip
def test_requests_that_are_refused(method: str, target: str) -> None:
    writer = Writer()
    with pytest.raises(HTTPOutputError):
        writer.request(RequestStartLine(method, target, "HTTP/1.1"), headers(("Host", "x")), None)
    assert writer.state is HEAD


# -- properties

TEXT = st.text(max_size=12)


@given(TEXT, TEXT, TEXT)
def test_no_line_is_ever_injected(name: str, value: str, reason: str) -> None:
    """Whatever is in them: refused, or one status line and two fields."""
    try:
        fields = HTTPHeaders({name: value})
        fields["Content-Length"] = "0"
        data = server().response(ResponseStartLine("", 200, reason), fields, None)
    except (HTTPOutputError, HTTPInputError):
        return
    assert data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n") in (3, 4)
    assert b"\x00" not in data


@given(st.lists(st.binary(max_size=20), max_size=6), st.sampled_from(["GET", "HEAD"]),
       st.sampled_from(["HTTP/1.0", "HTTP/1.1"]), st.booleans(), st.booleans())  # fmt: skip
def test_h11_reads_what_was_written(
    pieces: list[bytes], method: str, version: str, persists: bool, sized: bool
) -> None:
    body = b"".join(pieces)
    writer = server(method, version, persists)
    fields = headers(("Content-Length", str(len(body)))) if sized else headers()
    data = writer.response(OK, fields, None)
    data += b"".join(writer.data(piece) for piece in pieces) + writer.end()

    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(data)
    parser.receive_data(b"") if writer.state is LAST else None
    received = b""
    head = parser.next_event()
    assert isinstance(head, h11.Response)
    while isinstance(event := parser.next_event(), h11.Data):
        received += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert received == (b"" if method == "HEAD" else body)
    assert parser.trailing_data[0] == b""
    reusable = parser.their_state is h11.DONE
    assert reusable == (writer.state is DONE)
