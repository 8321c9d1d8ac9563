"""Form bodies and parameters, next to Tornado's parser."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measuring import growth, peak_memory
from multipart_cases import part

from tornadoish.httputil import forms
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.util import ObjectDict, import_object

pytest.importorskip("tornado")
import tornado.util
from tornado import httputil as tornado_httputil

both = pytest.mark.parametrize("httputil", [forms, tornado_httputil], ids=["ours", "tornado"])
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=B"
INPUT_ERRORS = (HTTPInputError, tornado_httputil.HTTPInputError)


def parse(httputil: Any, body: bytes, content_type: str = MULTIPART, **options: Any) -> Any:
    arguments: dict[str, list[bytes]] = {}
    files: dict[str, list[Any]] = {}
    httputil.parse_body_arguments(content_type, body, arguments, files, **options)
    return arguments, files


# ------------------------------------------------------------------------------ urlencoded


@both
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"a=1&b=2&a=3", {"a": [b"1", b"3"], "b": [b"2"]}),
        (b"a=&b&=c", {"a": [b""], "b": [b""], "": [b"c"]}),
        (b"%C3%A9=%C3%A9+%2B", {"\xc3\xa9": [b"\xc3\xa9 +"]}),
        (b"", {}),
    ],
)
def test_urlencoded(httputil: Any, body: bytes, expected: Any) -> None:
    assert parse(httputil, body, URLENCODED) == (expected, {})
    assert parse(httputil, body, URLENCODED + "; charset=utf-8") == (expected, {})


@both
def test_results_are_added_to_what_is_there(httputil: Any) -> None:
    arguments = {"a": [b"0"]}
    httputil.parse_body_arguments(URLENCODED, b"a=1", arguments, {})
    httputil.parse_body_arguments(MULTIPART, part('form-data; name="a"') + b"--B--", arguments, {})
    assert arguments == {"a": [b"0", b"1", b"x"]}


@both
def test_urlencoded_limit(httputil: Any) -> None:
    body = b"&".join([b"a=1"] * 1000)
    assert len(parse(httputil, body, URLENCODED)[0]["a"]) == 1000
    with pytest.raises(INPUT_ERRORS, match="Max number of fields exceeded") as caught:
        parse(httputil, body + b"&", URLENCODED)
    assert getattr(caught.value, "status", 413) == 413
    config = httputil.ParseBodyConfig(urlencoded=httputil.ParseUrlEncodedConfig(max_arguments=1))
    with pytest.raises(INPUT_ERRORS, match="Max number of fields exceeded"):
        parse(httputil, b"a&b", URLENCODED, config=config)


def test_no_limit_is_none() -> None:
    config = forms.ParseBodyConfig(
        forms.ParseMultipartConfig(max_parts=None, max_part_header_size=None),
        forms.ParseUrlEncodedConfig(max_arguments=None),
    )
    body = b"a=1&" * 2000
    assert len(parse(forms, body, URLENCODED, config=config)[0]["a"]) == 2000
    body = part(f'form-data; name="a"; x={"y" * 20_000}') * 200 + b"--B--"
    assert len(parse(forms, body, config=config)[0]["a"]) == 200


@both
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json", "multipart/mixed"])
def test_other_bodies_are_left_alone(httputil: Any, content_type: str) -> None:
    assert parse(httputil, b"a=1", content_type) == ({}, {})


@pytest.mark.parametrize("suffix", ["xyz", "/a", "-b; boundary=B"])
def test_the_whole_media_type_counts(suffix: str) -> None:
    assert parse(forms, b"a=1", URLENCODED + suffix) == ({}, {})
    assert parse(forms, b"a=1", "multipart/form-data" + suffix) == ({}, {})


def test_media_types_have_no_case() -> None:
    assert parse(forms, b"a=1", "Application/X-WWW-form-URLencoded ;x") == ({"a": [b"1"]}, {})
    body = part("Form-Data; NAME=a") + b"--B--"
    assert parse(forms, body, "Multipart/Form-Data;BOUNDARY=B") == ({"a": [b"x"]}, {})


@pytest.mark.parametrize("content_type", [URLENCODED, MULTIPART])
@pytest.mark.parametrize("coding", ["gzip", "identity", "x"])
def test_content_encoding(content_type: str, coding: str) -> None:
    for httputil, headers in (
        (forms, HTTPHeaders({"Content-Encoding": coding})),
        (tornado_httputil, tornado_httputil.HTTPHeaders({"Content-Encoding": coding})),
    ):
        with pytest.raises(INPUT_ERRORS, match="Unsupported Content-Encoding") as caught:
            parse(httputil, b"a=1", content_type, headers=headers)
        assert getattr(caught.value, "status", 415) == 415


def test_no_content_encoding() -> None:
    for headers in (HTTPHeaders({"A": "b"}), HTTPHeaders({"Content-Encoding": ""})):
        assert parse(forms, b"a=1", URLENCODED, headers=headers) == ({"a": [b"1"]}, {})


# ------------------------------------------------------------------------------- multipart


@both
def test_fields_and_files(httputil: Any) -> None:
    body = (
        part('form-data; name="a"', "1")
        + part('form-data; name="f"; filename="é.txt"', "é", "Content-Type: text/x")
        + part("form-data; filename=b; name=f", "\r\n--C--\r\n", "X-Other: 1")
        + part('form-data; name="a"; filename=""', "")
        + b"--B--\r\nepilogue"
    )
    arguments, files = parse(httputil, body)
    assert arguments == {"a": [b"1", b""]}
    assert files == {
        "f": [
            {"filename": "é.txt", "body": "é".encode(), "content_type": "text/x"},
            {"filename": "b", "body": b"\r\n--C--\r\n", "content_type": "application/unknown"},
        ]
    }
    first = files["f"][0]
    assert isinstance(first, httputil.HTTPFile)
    assert (first.filename, first.body, first["content_type"]) == ("é.txt", "é".encode(), "text/x")


@both
@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="B"',
        "multipart/form-data;boundary=B",
        "multipart/form-data; charset=utf-8; boundary=B; x",
    ],
)
def test_where_the_boundary_stands(httputil: Any, content_type: str) -> None:
    body = part("form-data; name=a") + b"--B--"
    assert parse(httputil, body, content_type)[0] == {"a": [b"x"]}
    arguments: dict[str, list[bytes]] = {}
    httputil.parse_multipart_form_data(b'"B"', body, arguments, {})
    assert arguments == {"a": [b"x"]}


@both
def test_a_part_without_a_body(httputil: Any) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n--B--\r\n'
    assert parse(httputil, body)[1]["f"][0]["body"] == b""


@both
def test_no_parts(httputil: Any) -> None:
    assert parse(httputil, b"--B--") == parse(httputil, b"--B--\r\n") == ({}, {})


MALFORMED = {
    "nothing": b"",
    "preamble": b"preamble\r\n" + part("form-data; name=a") + b"--B--",
    "line end first": b"\r\n" + part("form-data; name=a") + b"--B--",
    "no final boundary": part("form-data; name=a"),
    "only the first boundary": b"--B\r\n",
    "final boundary not on its own line": part("form-data; name=a")[:-2] + b"--B--",
    "other boundary": part("form-data; name=a").replace(b"--B", b"--C") + b"--C--",
    "no disposition": b"--B\r\nContent-Type: a/b\r\n\r\nx\r\n--B--",
    "no headers": b"--B\r\n\r\nx\r\n--B--",
    "no headers, blank line in the body": b"--B\r\n\r\nx\r\n\r\nx\r\n--B--",
    "no end of headers": b"--B\r\nContent-Disposition: form-data; name=a\r\nx\r\n--B--",
    "other disposition": part("attachment; name=a") + b"--B--",
    "no name": part("form-data; filename=a") + b"--B--",
    "empty name": part('form-data; name=""') + b"--B--",
    "no colon": part("form-data; name=a", "x", "No-Colon") + b"--B--",
    "space before the colon": part("form-data; name=a", "x", "X-A : b") + b"--B--",
    "folded": part("form-data;\r\n name=a") + b"--B--",
    "CR in a name": part('form-data; name="a\rb"') + b"--B--",
    "NUL in a name": part('form-data; name="a\0b"') + b"--B--",
    "control in a name": part('form-data; name="a\x08b"') + b"--B--",
    "not UTF-8": part("form-data; name=a").replace(b"=a", b"=\xe9") + b"--B--",
    "open quote": part('form-data; filename="a; name="a') + b"--B--",
}


@both
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed(httputil: Any, body: bytes) -> None:
    with pytest.raises(INPUT_ERRORS) as caught:
        parse(httputil, body)
    assert getattr(caught.value, "status", 400) == 400


# What Tornado lets pass, and we do not.
STRICTER = {
    "empty part": part("form-data; name=a") + b"--B\r\n--B--",
    "empty part first": b"--B\r\n" + part("form-data; name=a") + b"--B--",
    "bare LF between headers": part("form-data; name=a\nX: y") + b"--B--",
    "no first boundary": part("form-data; name=a")[5:] + b"--B--",
    "two dispositions": part("form-data; name=a", "x", "content-disposition: form-data; name=b")
    + b"--B--",
}


@pytest.mark.parametrize("body", STRICTER.values(), ids=STRICTER)
def test_stricter_than_tornado(body: bytes) -> None:
    assert parse(tornado_httputil, body)[0]
    with pytest.raises(HTTPInputError):
        parse(forms, body)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=B; boundary=B",
        "multipart/form-data; boundary=C; Boundary=B",
        'multipart/form-data; x="; boundary=B',
        "multipart/form-data; boundary=" + "B" * 71,
        "multipart/form-data; boundary=B\x0b",
        "multipart/form-data; boundary=é",
        'multipart/form-data; boundary="B "',
    ],
)
def test_bad_boundaries_CVE_2026_34516(content_type: str) -> None:
    with pytest.raises(HTTPInputError, match="boundary"):
        parse(forms, part("form-data; name=a") + b"--B--", content_type)


@pytest.mark.parametrize("boundary", [b"", b"B" * 71, b"B\x0b", b"\xc3\xa9", b"B ", b"B\r\nC"])
def test_bad_boundaries_that_the_body_has(boundary: bytes) -> None:
    body = (part("form-data; name=a") + b"--B--").replace(b"--B", b"--" + boundary)
    with pytest.raises(HTTPInputError, match="boundary"):
        forms.parse_multipart_form_data(boundary, body, {}, {})


@pytest.mark.parametrize(
    "boundary", ["B" * 70, "a b'()+_,-./:=?", "----WebKitFormBoundary0aZ", "-"]
)
def test_good_boundaries(boundary: str) -> None:
    body = (part("form-data; name=a") + b"--B--").replace(b"--B", b"--" + boundary.encode())
    assert parse(forms, body, f'multipart/form-data; boundary="{boundary}"')[0] == {"a": [b"x"]}


@pytest.mark.parametrize(
    "inner",
    ["x--B", "x--B--", "x--B\r\n", "\n--B--\n", "\r\n", "\r"],
)
def test_a_delimiter_is_a_whole_line(inner: str) -> None:
    # RFC 2046, 5.1.1. Tornado looks for the boundary anywhere. What else begins like one: see
    # multipart_cases.
    assert parse(forms, part("form-data; name=a", inner + "y") + b"--B--")[0] == {
        "a": [inner.encode() + b"y"]
    }


def test_the_first_final_boundary_is_final() -> None:
    body = part("form-data; name=a") + b"--B--\r\n" + part("form-data; name=b") + b"--B--"
    assert parse(forms, body)[0] == {"a": [b"x"]}


def test_after_an_error_nothing_is_changed() -> None:
    arguments: Any = {"z": [b"0"]}
    files: Any = {}
    body = part("form-data; name=a") + part("form-data; name=f; filename=f") + part("x") + b"--B--"
    with pytest.raises(HTTPInputError):
        forms.parse_body_arguments(MULTIPART, body, arguments, files)
    assert (arguments, files) == ({"z": [b"0"]}, {})


def test_errors_are_not_logged_and_repeat_no_input_CVE_2025_47287_CVE_2024_53981(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "sesame"
    bodies = [
        part(f"{secret}; name=a"),
        part("form-data; name=a", "x", f"{secret}"),
        part("form-data; name=a", "x", f"X: {secret}\0"),
        part("form-data; name=a", "x", f"{secret} : a"),
        part("form-data; name=a", "x", f"X: {secret}").replace(b"X:", b"X:\xff"),
    ]
    for body in bodies:
        with pytest.raises(HTTPInputError) as caught:
            parse(forms, body * 99 + b"--B--")
        assert secret not in str(caught.value)
    assert caplog.records == []


# ------------------------------------------------------------------------ multipart limits


def test_part_limit() -> None:
    # Tornado counts what stands before the first part as one: it takes 99.
    body = part("form-data; name=a") * 100
    assert len(parse(forms, body + b"--B--")[0]["a"]) == 100
    with pytest.raises(HTTPInputError, match="too many parts"):
        parse(forms, body + part("form-data; name=a") + b"--B--")


@both
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_parts": 0}, "too many parts"),
        ({"max_parts": 1}, "too many parts"),
        ({"max_part_header_size": 0}, "header too large"),
        ({"max_part_header_size": 40}, "header too large"),
        ({"enabled": False}, "multipart/form-data parsing is disabled"),
    ],
)
def test_multipart_config(httputil: Any, limits: Any, message: str) -> None:
    # The disposition line is 41 bytes long.
    body = part("form-data; name=abcd") + part("form-data; name=b") + b"--B--"
    config = httputil.ParseMultipartConfig(**limits)
    with pytest.raises(INPUT_ERRORS, match=message):
        parse(httputil, body, config=httputil.ParseBodyConfig(multipart=config))
    with pytest.raises(INPUT_ERRORS, match=message):
        httputil.parse_multipart_form_data(b"B", body, {}, {}, config=config)
    enough = httputil.ParseMultipartConfig(max_parts=3, max_part_header_size=41)
    assert parse(httputil, body, config=httputil.ParseBodyConfig(enough))[0].keys() == {"abcd", "b"}


@pytest.fixture
def global_config() -> Iterator[None]:
    yield
    for httputil in (forms, tornado_httputil):
        httputil.set_parse_body_config(httputil.ParseBodyConfig())


@both
@pytest.mark.usefixtures("global_config")
def test_set_parse_body_config(httputil: Any) -> None:
    config = httputil.ParseBodyConfig(urlencoded=httputil.ParseUrlEncodedConfig(max_arguments=1))
    httputil.set_parse_body_config(config)
    with pytest.raises(INPUT_ERRORS):
        parse(httputil, b"a&b", URLENCODED)
    assert parse(httputil, b"a&b", URLENCODED, config=httputil.ParseBodyConfig())[0]


@pytest.mark.usefixtures("global_config")
def test_get_parse_body_config() -> None:
    config = forms.ParseBodyConfig(forms.ParseMultipartConfig(enabled=False))
    forms.set_parse_body_config(config)
    assert forms.get_parse_body_config() is config
    with pytest.raises(HTTPInputError, match="disabled"):
        forms.parse_multipart_form_data(b"B", b"--B--", {}, {})


@both
def test_defaults_are_tornados(httputil: Any) -> None:
    config = httputil.ParseBodyConfig()
    assert (config.multipart.enabled, config.multipart.max_parts) == (True, 100)
    assert config.multipart.max_part_header_size == 10_240
    assert config.urlencoded.max_arguments == 1000


def test_too_many_parts_are_not_split_CVE_2026_31958_CVE_2023_25577_CVE_2023_30798() -> None:
    body = b"--B" + b"\r\n--B\r\n" * 200_000 + b"\r\n--B--"

    def work() -> None:
        with pytest.raises(HTTPInputError):
            parse(forms, body)
        with pytest.raises(HTTPInputError, match="too many parts"):
            parse(forms, part("form-data; name=a") * 1000 + b"--B--")

    # The thousand parts themselves are 60 kB; the first body is 1.4 MB.
    assert peak_memory(work) < 200_000


HOSTILE_BODIES: dict[str, Callable[[int], bytes]] = {
    # megabytes of line ends, and of what looks like a delimiter
    "CVE-2023-46136-line-ends": lambda n: part("form-data; name=a", "\r\n" * n) + b"--B--",
    "CVE-2023-46136-CRs": lambda n: part("form-data; name=a", "\r" * n) + b"--B--",
    "almost delimiters": lambda n: part("form-data; name=a", "\r\n--" * n) + b"--B--",
    "delimiters that go on": lambda n: part("form-data; name=a", "\r\n--Bx" * n) + b"--B--",
    "no final boundary": lambda n: part("form-data; name=a", "\r\n--B" * n),
    "empty parts": lambda n: b"--B\r\n" * n + b"\r\n--B--",
    "empty headers": lambda n: b"--B\r\n" + b"\r\n" * n + b"\r\n--B--",
    "headers": lambda n: part("form-data; name=a", "x", *[f"X{i}: y" for i in range(n)]) + b"--B--",
    "CVE-2025-67726-quoted-semicolons": lambda n: (
        part(f'form-data; name=a; x="{";" * n}"') + b"--B--"
    ),
    "CVE-2025-67726-open-quote": lambda n: part(f'form-data; name=a; x="{";" * n}') + b"--B--",
    "quotes": lambda n: part(f'form-data; name=a; x={chr(34) * n};"') + b"--B--",
    "CVE-2026-28356-backslashes": lambda n: part('form-data; name=a; x="' + "\\" * n) + b"--B--",
    "CVE-2024-24762-escaped-quotes": lambda n: (
        part('form-data; name=a; x="' + '\\";' * n) + b"--B--"
    ),
    "parameters": lambda n: part("form-data; name=a" + ";x=y" * n) + b"--B--",
    "extended": lambda n: part("form-data; name=a; f*=utf-8''" + "%41%" * n) + b"--B--",
    "stars": lambda n: part("form-data; name=a; " + "*" * n + "=x") + b"--B--",
}


@pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES)
def test_multipart_is_linear(body: Callable[[int], bytes]) -> None:
    limits = forms.ParseBodyConfig(forms.ParseMultipartConfig(max_part_header_size=None))

    def work(size: int) -> None:
        with contextlib.suppress(HTTPInputError):
            parse(forms, data[size], config=limits)

    data = {size: body(size) for size in (10_000, 80_000)}
    assert growth(work, 10_000) < 24


PIECES = [b"--B", b"--B--", b"\r\n", b"\r", b"\n", b"-", b"x", b"Content-Disposition: form-data; "]
PIECES += [b"name=a", b'filename="b"', b"; ", part("form-data; name=a"), b"\r\n\r\n", b":", b"\xe9"]


@given(st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_any_body_is_parsed_or_refused(body: bytes) -> None:
    try:
        arguments, files = parse(forms, part("form-data; name=first") + body + b"\r\n--B--")
    except HTTPInputError:
        return
    assert arguments["first"][0].startswith(b"x")
    assert not any(b"\r\n--B\r\n" in value for values in arguments.values() for value in values)
    assert not any(b"\r\n--B--" in file.body for group in files.values() for file in group)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1),
            st.text(st.characters(exclude_categories=("Cc", "Cs"))),
            st.binary(),
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read(fields: list[tuple[str, str, bytes]]) -> None:
    def quote(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    body = b""
    expected: dict[str, list[Any]] = {}
    for name, filename, value in fields:
        disposition = f"form-data; name={quote(name)}; filename={quote(filename)}"
        head = f"--boundary\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
        body += head + value + b"\r\n"
        expected.setdefault(name, []).append((filename, value))
    arguments, files = parse(
        forms, body + b"--boundary--", "multipart/form-data; boundary=boundary"
    )
    got: dict[str, list[Any]] = {
        name: [(file.filename, file.body) for file in group] for name, group in files.items()
    }
    for name, values in arguments.items():
        got.setdefault(name, []).extend(("", value) for value in values)
    assert {name: sorted(group) for name, group in got.items()} == {
        name: sorted(group) for name, group in expected.items()
    }


# ------------------------------------------------------------------------------ parameters


@both
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", ("", {})),
        (";", ("", {})),
        ("a; b; c=1;; D = 2 ", ("a", {"c": "1", "d": "2"})),
        (";a=1", ("", {"a": "1"})),
        ("a; b=1; b=2", ("a", {"b": "2"})),
        (r'a; b="c\\d\"e\f"; g=h', ("a", {"b": 'c\\d"e\\f', "g": "h"})),
        (r'a; b="c;\"d;"; g=h', ("a", {"b": 'c;"d;', "g": "h"})),
        (r'a; b="C:\dir\file"', ("a", {"b": r"C:\dir\file"})),
        ('a; b="c', ("a", {"b": '"c'})),
        ('a; b="c;d=e', ("a", {"b": '"c;d=e'})),
        ('a; b="', ("a", {"b": '"'})),
        ('a; b="c"d"', ("a", {"b": 'c"d'})),
        ("a; f*=UTF-8''%C3%A1b", ("a", {"f": "áb"})),
        ("a; f*=utf-8'en'%C3%A1; f=x", ("a", {"f": "á"})),
        ("a; f=x; F*=iso-8859-1''%E9", ("a", {"f": "é"})),
        ("a; f*=\"utf-8''%41\"", ("a", {"f": "A"})),
        ("a; f*=utf-8''%ff%41", ("a", {"f": "\ufffdA"})),
        ("a; f*=''", ("a", {"f": ""})),
        ("a; f*=%41", ("a", {"f": "A"})),
        ("a; f*=utf-8'%41", ("a", {"f": "utf-8'A"})),
        ("a; f*=x-no-such''%E9", ("a", {"f": "é"})),
        ("a; f*1*=%42; f*0=a%41; f*2=c", ("a", {"f": "a%41Bc"})),
        ("a; f*0*=utf-8''%C3; f*1*=%A1", ("a", {"f": "á"})),
        ("a; f*10=k; f*9=j", ("a", {"f": "jk"})),
        ("a; f*0=é", ("a", {"f": "é"})),
        ("a; *=1; b*c=2; d**=3", ("a", {"*": "1", "b*c": "2", "d**": "3"})),
        (
            "permessage-deflate; client_max_window_bits=15; server_no_context_takeover",
            ("permessage-deflate", {"client_max_window_bits": "15"}),
        ),
    ],
)
def test_parse_header(httputil: Any, line: str, expected: Any) -> None:
    assert httputil._parse_header(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # Tornado takes the escaped backslash for the escape of the quote.
        (r'a; b="c\\"; d=e', ("a", {"b": "c\\", "d": "e"})),
        # Tornado raises TypeError, ValueError.
        ("a; f*=x; f*0=y", ("a", {"f": "y"})),
        ("a; f*" + "9" * 5000 + "=x", ("a", {"f*" + "9" * 5000: "x"})),
        # Tornado runs any codec of Python's that the peer names; NUL in the name raises.
        ("a; f*=utf-16''%00a", ("a", {"f": "\x00a"})),
        ("a; f*=\0''a", ("a", {"f": "a"})),
        # White space beyond space and tab is half of a UTF-8 character as often as not.
        ("a\xa0; b=\xa0c\x85", ("a\xa0", {"b": "\xa0c\x85"})),
    ],
)
def test_parse_header_where_tornado_differs(line: str, expected: Any) -> None:
    assert forms._parse_header(line) == expected


PARAMETER_PIECES = ["a", "é", "=", ";", '"', "\\", "*", "0", "1", "'", "%41", "%C3", "utf-8", " "]


@given(st.lists(st.sampled_from(PARAMETER_PIECES)).map("".join))
def test_parse_header_never_fails(line: str) -> None:
    value, parameters = forms._parse_header(line)
    assert value == value.strip(" ")
    assert all(name == name.strip(" ").lower() for name in parameters)


# Without escapes and extended names the two must agree.
@given(st.lists(st.sampled_from(["a", "b", "é", "=", ";", '"x;y"', "'", " "])).map("".join))
def test_parse_header_as_tornado(line: str) -> None:
    assert forms._parse_header(line) == tornado_httputil._parse_header(line)


@both
def test_encode_header(httputil: Any) -> None:
    assert httputil._encode_header("a", {}) == "a"
    assert httputil._encode_header("a", {"c": None, "b": 1, "d": "x"}) == "a; b=1; c; d=x"


# ------------------------------------------------------------------------------------ util


@pytest.mark.parametrize("kind", [ObjectDict, tornado.util.ObjectDict])
def test_object_dict(kind: Any) -> None:
    made = kind(a=1)
    made.b = 2
    made["c"] = 3
    assert (made.a, made["b"], made.c) == (1, 2, 3)
    assert made == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(AttributeError, match="missing"):
        _ = made.missing
    assert not hasattr(made, "missing")


@pytest.mark.parametrize("load", [import_object, tornado.util.import_object])
def test_import_object(load: Callable[[str], Any]) -> None:
    assert load("logging") is logging
    assert load("logging.Handler") is logging.Handler
    assert load("tornadoish.httputil.forms") is forms
    assert load("tornadoish.util.ObjectDict") is ObjectDict
    for missing in ("tornadoish.no_such", "no_such", "no_such.x", "tornadoish.util.no_such"):
        with pytest.raises(ImportError):
            load(missing)
