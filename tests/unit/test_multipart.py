"""MultipartParser: what comes out, whatever the cuts, and what it may cost."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measuring import growth, peak_memory
from multipart_cases import CASES, LAST, REFUSED, Case, part
from multipart_reading import SMALL, bytewise, parts_of, read

from tornadoish.httputil import HTTPFile, HTTPInputError, ParseMultipartConfig, forms
from tornadoish.httputil.multipart import (
    END,
    PART_END,
    MultipartParser,
    PartHead,
    _parse_part_head,
    _parse_part_lines,
)

all_cases = pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])


# -- what is read


@all_cases
def test_whole(case: Case) -> None:
    assert parts_of(read([case.data], **case.limits)) == (case.parts, case.status)


@all_cases
def test_cut_anywhere(case: Case) -> None:
    whole = read([case.data], **case.limits)
    assert read(bytewise(case.data), **case.limits) == whole
    for cut in range(1, len(case.data)):
        assert read([case.data[:cut], case.data[cut:]], **case.limits) == whole, cut
    assert read([b"", case.data, b""], **case.limits) == whole


@all_cases
def test_the_function_for_whole_bodies_says_the_same(case: Case) -> None:
    arguments: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    config = ParseMultipartConfig(**case.limits)  # type: ignore[arg-type]
    try:
        forms.parse_multipart_form_data(b"B", case.data, arguments, files, config=config)
    except HTTPInputError as error:
        assert (error.status, arguments, files) == (case.status, {}, {})
        return
    assert case.status is None
    expected: dict[str, list[Any]] = {}
    for name, filename, data in case.parts:
        expected.setdefault(name, []).append((filename or None, data))
    found: dict[str, list[Any]] = {}
    for name, values in arguments.items():
        found.setdefault(name, []).extend((None, value) for value in values)
    for name, uploads in files.items():
        found.setdefault(name, []).extend((file.filename, file.body) for file in uploads)
    assert found == expected


def test_the_head_of_a_part() -> None:
    body = part('form-data; name="f"; filename="a.b"', "x", "Content-Type: text/x", "X-Y:  z ")
    head, data, *rest = read([body + LAST])
    assert (head.name, head.filename, head.content_type) == ("f", "a.b", "text/x")
    assert head.is_file
    assert list(head.headers.get_all()) == [
        ("Content-Disposition", 'form-data; name="f"; filename="a.b"'),
        ("Content-Type", "text/x"),
        ("X-Y", "z"),
    ]
    assert head.headers["x-y"] == "z"
    assert (data, rest) == (b"x", [PART_END, END])
    assert not read([part('form-data; name=a; filename=""') + LAST])[0].is_file
    assert read([part("form-data; name=a") + LAST])[0].content_type is None


TEXTS = st.text(st.sampled_from('ab"\\;= é:%\x85/'), max_size=6)


@given(TEXTS, st.none() | TEXTS, st.none() | TEXTS)
def test_what_most_clients_write_is_read_at_once_with_the_same_result(
    name: str, filename: str | None, content_type: str | None
) -> None:
    text = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        text += f'; filename="{filename}"'
    if content_type is not None:
        text += f"\r\nContent-Type: {content_type}"

    def outcome(parse: Callable[[], PartHead]) -> Any:
        try:
            head = parse()
        except HTTPInputError as error:
            return str(error)
        return (*head[:3], list(head.headers.get_all()))

    at_once = outcome(lambda: _parse_part_head(text.encode(), b"\r\n--B", 9))
    assert at_once == outcome(lambda: _parse_part_lines(text))


PIECES = [b"--B", b"--B--", b"\r\n", b"\r", b"\n", b"-", b"x", b"Content-Disposition: form-data; "]
PIECES += [b"name=a", b'filename="b"', b"; ", part("form-data; name=a"), b"\r\n\r\n", b":", b"\xe9"]


@given(
    st.lists(st.sampled_from(PIECES)).map(b"".join),
    st.lists(st.integers(0, 300)),
    st.sampled_from([{}, SMALL]),
)
def test_cuts_change_nothing(rest: bytes, cuts: list[int], limits: dict[str, int]) -> None:
    body = part("form-data; name=first") + rest + b"\r\n--B--"
    whole = read([body], **limits)
    edges = [0, *sorted(cuts), len(body)]
    assert read((body[a:b] for a, b in itertools.pairwise(edges)), **limits) == whole
    assert read(bytewise(body), **limits) == whole
    data = [event for event in whole if type(event) is bytes]
    assert sum(map(len, data)) <= len(body)
    assert not any(b"\r\n--B" in b"\r\n" + piece for piece in data)


def test_a_fault_stays() -> None:
    parser = MultipartParser(b"B")
    for again in (lambda: list(parser.feed(b"--C")), lambda: list(parser.feed(b"x")), parser.close):
        with pytest.raises(HTTPInputError, match="does not begin"):
            again()


def test_events_are_made_as_they_are_asked_for() -> None:
    """Who does not take any more has read no further, and hears of no fault beyond."""
    events = MultipartParser(b"B").feed(part("form-data; name=a") + b"--B no delimiter")
    assert isinstance(next(events), PartHead)
    assert next(events) == b"x"
    with pytest.raises(HTTPInputError):
        next(events)
    assert list(MultipartParser(b"B").feed(b"")) == []


def test_the_boundary() -> None:
    for good in (b"B" * 70, b"a b'()+_,-./:=?", b"-"):
        MultipartParser(good)
    for bad in (b"", b"B" * 71, b"B\x0b", b"\xc3\xa9", b"B ", b"B\r\nC"):
        with pytest.raises(HTTPInputError, match="boundary"):
            MultipartParser(bad)
    for content_type in ("multipart/form-data; boundary=B", 'Multipart/Form-Data ;boundary="B"'):
        parser = MultipartParser.for_content_type(content_type)
        assert isinstance(next(parser.feed(part("form-data; name=a"))), PartHead)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("", 415),
        ("multipart/mixed; boundary=B", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=B; boundary=C", 400),
        ("multipart/form-data; boundary=" + "B" * 71, 400),
    ],
)
def test_other_content_types(content_type: str, status: int) -> None:
    with pytest.raises(HTTPInputError) as caught:
        MultipartParser.for_content_type(content_type)
    assert caught.value.status == status


def test_the_limits_of_the_process_count() -> None:
    with pytest.raises(HTTPInputError, match="disabled") as caught:
        MultipartParser(b"B", ParseMultipartConfig(enabled=False))
    assert caught.value.status == 415
    forms.set_parse_body_config(forms.ParseBodyConfig(ParseMultipartConfig(max_parts=0)))
    try:
        with pytest.raises(HTTPInputError, match="too many parts"):
            list(MultipartParser(b"B").feed(b"--B\r\n"))
    finally:
        forms.set_parse_body_config(forms.ParseBodyConfig())


# -- what it costs


def file_of(data: bytes) -> bytes:
    return part("form-data; name=f; filename=f", data) + LAST


def test_data_is_handed_on_as_it_came() -> None:
    """Not copied at all where a piece is nothing but data, and once where it is not."""
    parser = MultipartParser(b"B")
    list(parser.feed(file_of(b"")[:-7]))
    for data in (os.urandom(1000).replace(b"\r", b"x"), b"\r" * 99 + b"x"):
        (event,) = parser.feed(data)
        assert event is data
    assert list(parser.feed(b"data\r\n-")) == [b"data"]
    data = b"x" * 1000
    seam, event = parser.feed(data)
    assert seam == b"\r\n-"
    assert event is data


def test_a_file_is_read_in_constant_memory() -> None:
    piece = os.urandom(65536)
    parser = MultipartParser(b"B")

    def work() -> None:
        total = 0
        for data in [file_of(b"")[:-7], *[piece] * 500, b"\r\n--B--"]:
            total += sum(len(event) for event in parser.feed(data) if type(event) is bytes)
        parser.close()
        assert total == 500 * 65536

    assert peak_memory(work) < 200_000


def test_nothing_is_kept_of_what_was_read() -> None:
    parser = MultipartParser(b"B")
    list(parser.feed(file_of(b"x" * 100_000)[:-20]))
    assert parser._data == b""


HOSTILE: dict[str, Callable[[int], Iterator[bytes]]] = {
    "CVE-2023-46136 line ends": lambda n: cut(file_of(b"\r\n" * n * 8)),
    "CVE-2023-46136 a line end and megabytes": lambda n: cut(file_of(b"\r" + b"x" * n * 8)),
    "CRs": lambda n: cut(file_of(b"\r" * n * 8)),
    "almost delimiters": lambda n: cut(file_of(b"\r\n--" * n * 4)),
    "almost delimiters in small pieces": lambda n: cut(file_of(b"\r\n--A" * n), 3),
    "byte by byte": lambda n: cut(file_of(b"\r\n--" * n), 1),
    "a header byte by byte": lambda n: cut(b"--B\r\nA: " + b"x" * n * 4, 1),
    "line ends in a header byte by byte": lambda n: cut(b"--B\r\nA: " + b"\r\n\r" * n, 1),
    "headers": lambda n: cut(part("form-data; name=a", "x", *[f"X{i}: y" for i in range(n)])),
    "fields": lambda n: cut(part("form-data; name=a") * (n // 4) + LAST),
    "CVE-2025-67726 quoted semicolons": lambda n: cut(part(f'form-data; name=a; x="{";" * n}"')),
    "CVE-2026-28356 backslashes": lambda n: cut(part('form-data; name=a; x="' + "\\" * n)),
    "CVE-2024-24762 escaped quotes": lambda n: cut(part('form-data; name=a; x="' + '\\";' * n)),
    "the slow way to a name": lambda n: cut(part('form-data; name="' + "a" * n + '"; filename="')),
}
NO_LIMITS = dict.fromkeys(["max_parts", "max_part_header_size", "max_part_headers"])


def cut(data: bytes, size: int = 65536) -> Iterator[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_time_is_linear(make: Callable[[int], Iterator[bytes]]) -> None:
    pieces = {size: list(make(size)) for size in (2_500, 20_000)}

    def work(size: int) -> None:
        parser = MultipartParser(b"B", ParseMultipartConfig(**NO_LIMITS))  # type: ignore[arg-type]
        try:
            for piece in pieces[size]:
                for _ in parser.feed(piece):
                    pass
        except HTTPInputError:
            pass

    assert growth(work, 2_500) < 24


def test_no_error_repeats_the_body() -> None:
    for case in REFUSED:
        (*_, (_, message)) = read([case.data.replace(b"=a", b"=sesame")], **case.limits)
        assert "sesame" not in message
