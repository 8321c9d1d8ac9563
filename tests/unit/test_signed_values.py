"""Signed values, next to the library whose formats they have: each reads the other's."""

from __future__ import annotations

import base64
import importlib
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measuring import growth

from tornadoish import web as ours
from tornadoish.web import signing

pytest.importorskip("tornado")
theirs = importlib.import_module("tornado.web")

NOW = 1_800_000_000
DAY = 86400
KEY = "the key"
#: (name of the library that signs, of the one that reads)
ways = pytest.mark.parametrize(
    ("signer", "reader"),
    [(ours, theirs), (theirs, ours), (ours, ours)],
    ids=["ours-to-theirs", "theirs-to-ours", "ours"],
)
both = pytest.mark.parametrize("web", [ours, theirs], ids=["ours", "theirs"])
formats = pytest.mark.parametrize("version", [1, 2])


def at(seconds: float) -> Callable[[], float]:
    return lambda: seconds


#: names of cookies, and of other things that are signed; theirs counts characters, not bytes
names = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1)
keys = st.one_of(st.text(st.characters(codec="utf-8"), min_size=1), st.binary(min_size=1))
values = st.one_of(st.text(st.characters(codec="utf-8")), st.binary())
versioned = st.dictionaries(st.integers(0, 10**6), keys, min_size=1, max_size=4)


def as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


# ---- Both ways -------------------------------------------------------------------------------


@formats
@given(key=keys, name=names, value=values, seconds=st.integers(1_000_000_000, 10**11))
def test_both_sign_alike(
    version: int, key: str | bytes, name: str, value: str | bytes, seconds: int
) -> None:
    signed = [
        web.create_signed_value(key, name, value, version=version, clock=at(seconds))
        for web in (ours, theirs)
    ]
    assert signed[0] == signed[1]
    for web in (ours, theirs):
        read = web.decode_signed_value(key, name, signed[0], clock=at(seconds))
        assert read == as_bytes(value)


@given(secret=versioned, name=names, value=values, data=st.data())
def test_both_sign_alike_with_several_keys(
    secret: dict[int, str | bytes], name: str, value: str | bytes, data: st.DataObject
) -> None:
    version = data.draw(st.sampled_from(sorted(secret)))
    signed = [
        web.create_signed_value(secret, name, value, clock=at(NOW), key_version=version)
        for web in (ours, theirs)
    ]
    assert signed[0] == signed[1]
    for web in (ours, theirs):
        assert web.get_signature_key_version(signed[0]) == version
        assert web.decode_signed_value(secret, name, signed[0], clock=at(NOW)) == as_bytes(value)
        assert web.decode_signed_value({}, name, signed[0], clock=at(NOW)) is None


def test_the_two_formats_to_the_byte() -> None:
    """Signed with openssl, not with either library."""
    first = b"dmFsdWU=|1800000000|c4c74bf4a6fd5c8a95c0a5ef62b5c3b71c593643"
    second = (
        b"2|1:0|10:1800000000|4:name|8:dmFsdWU=|"
        b"4332fdbcda7ecb8d3d6af3336551f33fbeda09d697dcc4aaa01790e1b03d5110"
    )
    assert ours.create_signed_value(KEY, "name", "value", version=1, clock=at(NOW)) == first
    assert ours.create_signed_value(KEY, "name", "value", version=2, clock=at(NOW)) == second
    assert ours.create_signed_value(KEY, "name", "value", clock=at(NOW)) == second


@ways
@formats
@pytest.mark.parametrize(
    ("age", "days", "good"),
    [
        (0, 31, True),
        (31 * DAY, 31, True),
        (31 * DAY + 1, 31, False),
        (DAY, 1, True),
        (DAY + 1, 1, False),
        (DAY // 2 + 1, 0.5, False),
        (10 * 365 * DAY, 10**6, True),
        (10 * 365 * DAY, float("inf"), True),
        (1, 0, False),
        (-31 * DAY, 31, True),
    ],
)
def test_the_age_of_a_value(
    signer: Any, reader: Any, version: int, age: int, days: float, good: bool
) -> None:
    signed = signer.create_signed_value(KEY, "n", "v", version=version, clock=at(NOW))
    read = reader.decode_signed_value(KEY, "n", signed, max_age_days=days, clock=at(NOW + age))
    assert (read == b"v") is good


@ways
def test_a_value_of_the_future(signer: Any, reader: Any) -> None:
    """In format 1 it may be digits that were moved from the value: see below."""
    read = []
    for version in (1, 2):
        signed = signer.create_signed_value(
            KEY, "n", "v", version=version, clock=at(NOW + 31 * DAY + 1)
        )
        read.append(reader.decode_signed_value(KEY, "n", signed, clock=at(NOW)))
    assert read == [None, b"v"]


@ways
@formats
def test_text_and_bytes_are_read_alike(signer: Any, reader: Any, version: int) -> None:
    signed = signer.create_signed_value(KEY, "n", "é\0;", version=version)
    assert reader.decode_signed_value(KEY, "n", signed) == "é\0;".encode()
    assert reader.decode_signed_value(KEY, "n", signed.decode()) == "é\0;".encode()


def test_names_beyond_ascii() -> None:
    """Theirs counts the characters of a name as it signs, and its bytes as it reads."""
    signed = ours.create_signed_value(KEY, "é", "v")
    assert ours.decode_signed_value(KEY, "é", signed) == b"v"
    assert theirs.decode_signed_value(KEY, "é", signed) == b"v"
    assert theirs.decode_signed_value(KEY, "é", theirs.create_signed_value(KEY, "é", "v")) is None


# ---- What is not ours ------------------------------------------------------------------------


@both
@formats
@pytest.mark.parametrize(("key", "name"), [("another", "n"), (KEY, "m"), (KEY, "nn")])
def test_another_key_or_name(web: Any, version: int, key: str, name: str) -> None:
    signed = ours.create_signed_value(KEY, "n", "v", version=version)
    assert web.decode_signed_value(key, name, signed) is None


@both
@pytest.mark.parametrize("value", [None, "", b""])
def test_no_value(web: Any, value: Any) -> None:
    assert web.decode_signed_value(KEY, "n", value) is None


@formats
def test_every_byte_counts(version: int) -> None:
    """Changed, left out or put in, anywhere: no value any more."""
    signed = ours.create_signed_value(KEY, "n", "value", version=version)
    for place in range(len(signed) + 1):
        for piece in (b"", b"0", b"|", b":", b"=", b" ", b"\n", b"\x00", b"\xff"):
            for rest in (signed[place:], signed[place + 1 :]):
                changed = signed[:place] + piece + rest
                if changed != signed:
                    assert ours.decode_signed_value(KEY, "n", changed) is None, changed


def signed_by_hand(*fields: bytes, between: bytes = b"|") -> bytes:
    """What the holder of the key could sign, but neither library does."""
    start = b"2|" + b"".join([field + between for field in fields])
    return start + signing._sign(KEY, "sha256", start)


TIME = b"10:%d" % NOW
VALUE = b"8:dmFsdWU="


@both
def test_signed_by_hand(web: Any) -> None:
    good = signed_by_hand(b"1:0", TIME, b"1:n", VALUE)
    assert web.decode_signed_value(KEY, "n", good, clock=at(NOW)) == b"value"
    bad = signed_by_hand(b"1:0", TIME, b"1:n", VALUE, between=b":")
    assert web.decode_signed_value(KEY, "n", bad, clock=at(NOW)) is None


@pytest.mark.parametrize(
    "fields",
    [
        (b"+1:0", TIME, b"1:n", VALUE),
        (b" 1:0", TIME, b"1:n", VALUE),
        (b"01:0", TIME, b"1:n", VALUE),
        (b"-1:0", TIME, b"1:n", VALUE),
        (b"1_0:0000000000", TIME, b"1:n", VALUE),
        (b"2:+0", TIME, b"1:n", VALUE),
        (b"2:-1", TIME, b"1:n", VALUE),
        (b"2:00", TIME, b"1:n", VALUE),
        (b"2:1x", TIME, b"1:n", VALUE),
        (b"0:", TIME, b"1:n", VALUE),
        ("2:٣".encode(), TIME, b"1:n", VALUE),
        ("٣:123".encode(), TIME, b"1:n", VALUE),
        (b":0", TIME, b"1:n", VALUE),
        (b"1:0", b"11:+%d" % NOW, b"1:n", VALUE),
        (b"1:0", b"11:0%d" % NOW, b"1:n", VALUE),
        (b"1:0", b"19:" + b"9" * 19, b"1:n", VALUE),
        (b"1:0", b"1800000000", b"1:n", VALUE),
        (b"1:0", TIME, b"2:n", VALUE),
        (b"1:0", TIME, b"0:n", VALUE),
        (b"1:0", TIME, b"99999999999999999999:n", VALUE),
        (b"1:0", TIME, b"1" * 5000 + b":n", VALUE),
        (b"1:0", TIME, b"1:n", b"7:dmFsdWU"),
        (b"1:0", TIME, b"1:n", b"9:dmFs dWU="),
        (b"1:0", TIME, b"1:n", b"4:!!!!"),
        (b"1:0", TIME, b"1:n"),
        (b"1:0", TIME, b"1:n", VALUE, b"1:x"),
        (),
    ],
)  # fmt: skip
def test_only_the_form_that_is_written_is_read(fields: tuple[bytes, ...]) -> None:
    signed = signed_by_hand(*fields)
    assert ours.decode_signed_value(KEY, "n", signed, clock=at(NOW)) is None


@pytest.mark.parametrize("head", [b"3", b"4", b"10", b"999"])
@both
def test_formats_to_come_are_none(web: Any, head: bytes) -> None:
    signed = ours.create_signed_value(KEY, "n", "v")
    assert web.decode_signed_value(KEY, "n", head + signed[1:]) is None
    assert web.get_signature_key_version(signed) == 0


@given(
    st.lists(st.sampled_from([b"1", b"2", b"0", b":", b"|", b"12", b"n", b"=", b"\xff", b"\xc3"]))
)
def test_any_text_is_none_to_both(pieces: list[bytes]) -> None:
    text = b"2|" + b"".join(pieces)
    for web in (ours, theirs):
        assert web.decode_signed_value(KEY, "n", text) is None
    version = ours.get_signature_key_version(text)
    # Theirs also takes numbers with zeros before them.
    assert version is None or version == theirs.get_signature_key_version(text)


@pytest.mark.parametrize("half", ["\ud800", "2|1:0|10:1800000000|1:n|4:dg==|\udc00"])
def test_half_a_surrogate_pair_is_none(half: str) -> None:
    assert ours.decode_signed_value(KEY, "n", half) is None
    assert ours.get_signature_key_version(half) in (None, 0)


@both
@pytest.mark.parametrize("last", ["4", "0"])
def test_format_1_digits_moved_from_value_to_time(web: Any, last: str) -> None:
    """Nothing in its signature says where one ends and the other begins."""
    value = base64.b64decode("123" + last)
    signed = ours.create_signed_value(KEY, "n", value, version=1, clock=at(NOW))
    assert web.decode_signed_value(KEY, "n", signed, clock=at(NOW)) == value
    encoded, seconds, signature = signed.split(b"|")
    moved = b"|".join([encoded[:-1], last.encode() + seconds, signature])
    assert web.decode_signed_value(KEY, "n", moved, clock=at(NOW)) is None


def test_format_1_digits_moved_from_time_to_value() -> None:
    signed = ours.create_signed_value(KEY, "n", "v", version=1, clock=at(NOW))
    value, seconds, signature = signed.split(b"|")
    for count in range(1, len(seconds)):
        moved = b"|".join([value + seconds[:count], seconds[count:], signature])
        assert ours.decode_signed_value(KEY, "n", moved, max_age_days=1e9, clock=at(NOW)) is None


def test_format_1_needs_its_one_key() -> None:
    """Theirs asserts it, and a client that sends ``a|1|b`` gets a 500."""
    signed = ours.create_signed_value(KEY, "n", "v", version=1)
    assert ours.decode_signed_value({0: KEY, 1: KEY}, "n", signed) is None
    with pytest.raises(ValueError, match="no key versions"):
        ours.create_signed_value({0: KEY}, "n", "v", version=1, key_version=0)
    if not sys.flags.optimize:
        with pytest.raises(AssertionError):
            theirs.decode_signed_value({0: KEY}, "n", signed)


@both
def test_min_version(web: Any) -> None:
    old = ours.create_signed_value(KEY, "n", "v", version=1)
    new = ours.create_signed_value(KEY, "n", "v", version=2)
    assert web.DEFAULT_SIGNED_VALUE_MIN_VERSION == 1
    assert web.DEFAULT_SIGNED_VALUE_VERSION == 2
    assert web.decode_signed_value(KEY, "n", old, min_version=2) is None
    assert web.decode_signed_value(KEY, "n", new, min_version=2) == b"v"
    with pytest.raises(ValueError, match="min_version"):
        web.decode_signed_value(KEY, "n", new, min_version=3)


@both
def test_versions_that_there_are_not(web: Any) -> None:
    with pytest.raises(ValueError, match="version"):
        web.create_signed_value(KEY, "n", "v", version=3)
    with pytest.raises(KeyError):
        web.create_signed_value({1: KEY}, "n", "v", key_version=2)


@pytest.mark.parametrize(
    ("secret", "key_version"),
    [({1: KEY}, None), ("", None), ({1: ""}, 1), (KEY, -1), (KEY, 10**18), (b"", None)],
)
def test_keys_that_are_refused(secret: Any, key_version: int | None) -> None:
    with pytest.raises(ValueError, match="key"):
        ours.create_signed_value(secret, "n", "v", key_version=key_version)


def test_an_empty_key_verifies_nothing() -> None:
    signed = theirs.create_signed_value("", "n", "v")
    with pytest.raises(ValueError, match="empty"):
        ours.decode_signed_value("", "n", signed)


def test_what_is_invalid_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A peer can send any number of it; theirs logs whole values of format 1."""
    caplog.set_level(logging.DEBUG)
    for text in ("a|1|b", "2|1:0|", "x" * 5000, "dg==|1|" + "0" * 40):
        assert ours.decode_signed_value(KEY, "n", text) is None
    assert caplog.records == []


# ---- Cost ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unit", ["|", "1|", "2|", "2|1:", "9", ":", "2|1:0|10:1800000000|1:n|", "\xff"]
)
@pytest.mark.parametrize("start", ["", "2|", "2|1:0|", "1|"])
def test_reading_is_linear(start: str, unit: str) -> None:
    texts = {size: start + unit * (size // len(unit)) for size in (60_000, 480_000)}
    assert growth(lambda size: ours.decode_signed_value(KEY, "n", texts[size]), 60_000) < 24
