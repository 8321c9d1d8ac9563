"""Ranges of static files: what a field asks for, and what comes (RFC 9110, 13.1.5 and 14)."""

from __future__ import annotations

import datetime
import email
import email.policy
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornadoish.httputil import format_timestamp
from tornadoish.web.static.ranges import MAX_RANGES, SMALL_GAP, Range, may_send_part, parse_ranges

from .serving import Framework, Serve, Site

pytestmark = pytest.mark.in_memory

CONTENT = random.Random(2).randbytes(1_000)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("bytes=0-4", [(0, 5)]),
        ("bytes=5-5", [(5, 6)]),
        ("bytes=990-", [(990, 1000)]),
        ("bytes=990-5000", [(990, 1000)]),
        ("bytes=990-18446744073709551615", [(990, 1000)]),
        ("bytes=-10", [(990, 1000)]),
        ("bytes=-5000", [(0, 1000)]),
        ("bytes=0-", [(0, 1000)]),
        ("BYTES=0-4", [(0, 5)]),
        ("bytes= 0-4 ,\t-1", [(0, 5), (999, 1000)]),
        ("bytes=,,0-4,, ,", [(0, 5)]),
        # as they were asked for, those that are not there left out
        ("bytes=500-509,0-9,2000-3000", [(500, 510), (0, 10)]),
        # what overlaps, touches or nearly does is one, in the place of the first
        ("bytes=500-599,0-9,550-650", [(500, 651), (0, 10)]),
        ("bytes=550-650,0-9,500-599", [(500, 651), (0, 10)]),
        ("bytes=0-9,10-19", [(0, 20)]),
        (f"bytes=0-9,{10 + SMALL_GAP}-999", [(0, 1000)]),
        (f"bytes=0-9,{11 + SMALL_GAP}-999", [(0, 10), (11 + SMALL_GAP, 1000)]),
        ("bytes=0-999,5-6,7-8", [(0, 1000)]),
        # nothing of it is there
        ("bytes=1000-", []),
        ("bytes=1000-2000", []),
        ("bytes=-0", []),
        ("bytes=20-10", []),
        ("bytes=1000-,2000-,-0", []),
        # to be ignored
        ("", None),
        ("bytes", None),
        ("bytes=", None),
        ("bytes=,", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=0-4,x", None),
        ("bytes=0 - 4", None),
        ("bytes=0-4-5", None),
        ("bytes=+0-4", None),
        ("bytes=-+4", None),
        ("bytes=0_0-4", None),
        ("bytes=0x0-4", None),
        ("bytes=1.0-4", None),
        ("items=0-4", None),
        ("bytes 0-4", None),
        ("bytes=0-" + "9" * 33, None),
    ],
)
def test_what_is_asked_for(text: str, wanted: list[tuple[int, int]] | None) -> None:
    assert parse_ranges(text, 1000) == wanted


@pytest.mark.parametrize("text", ["bytes=٠-٤", "bytes=-٥", "bytes=²-", "bytes=0-４"])
def test_cve_2025_69225_digits_are_ascii(text: str) -> None:
    assert parse_ranges(text, 1000) is None


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_of_nothing(size: int) -> None:
    assert parse_ranges("bytes=0-,-1", size) == ([(0, size)] if size else [])


def test_cve_2025_62727_many_ranges_are_ignored() -> None:
    """Neither sorted nor even looked at: only counted."""
    assert parse_ranges("bytes=" + ",".join(["0-"] * MAX_RANGES), 1000) == [(0, 1000)]
    assert parse_ranges("bytes=" + ",".join(["0-"] * (MAX_RANGES + 1)), 1000) is None
    assert parse_ranges("bytes=" + "," * 60_000, 1000) is None


ranges = st.lists(
    st.tuples(st.integers(0, 1100), st.one_of(st.none(), st.integers(0, 1100))), max_size=20
)


@given(ranges, st.integers(0, 1000))
def test_each_byte_is_sent_once(asked: list[tuple[int, int | None]], size: int) -> None:
    """The ranges hold all that was asked for, little more, and nothing twice."""
    text = ",".join(f"{first}-{'' if last is None else last}" for first, last in asked)
    found = parse_ranges(f"bytes={text}", size)
    if not asked:
        assert found is None
        return
    assert found is not None
    wanted = {
        place
        for first, last in asked
        for place in range(first, size if last is None else min(size, last + 1))
    }
    sent = [place for one in found for place in range(*one)]
    assert len(sent) == len(set(sent)), "twice"
    assert wanted <= set(sent)
    assert len(found) <= len(asked)
    for place in set(sent) - wanted:  # in a gap
        assert {*range(place - SMALL_GAP, place)} & wanted
        assert {*range(place + 1, place + SMALL_GAP + 1)} & wanted


@given(st.text(alphabet="bytes=0123456789-, \t", max_size=40))
def test_nothing_raises(text: str) -> None:
    for one in parse_ranges(text, 100) or []:
        assert 0 <= one.start < one.end <= 100


LONG_AGO = datetime.datetime(2020, 1, 2, 3, 4, 5, 678, tzinfo=datetime.UTC)
DATE = "Thu, 02 Jan 2020 03:04:05 GMT"


@pytest.mark.parametrize(
    ("condition", "etag", "wanted"),
    [
        ('"a"', '"a"', True),
        (' "a"\t', '"a"', True),
        ('"a"', '"b"', False),
        ('"a"', "", False),
        ('W/"a"', 'W/"a"', False),  # compared strongly
        ('"a"', 'W/"a"', False),
        ('W/"a"', '"a"', False),
        ('"a", "b"', '"a"', False),
        (DATE, "", True),
        ("Thursday, 02-Jan-20 03:04:05 GMT", "", True),
        ("Thu Jan  2 03:04:05 2020", "", True),
        ("Thu, 02 Jan 2020 03:04:04 GMT", "", False),
        ("Thu, 02 Jan 2020 03:04:06 GMT", "", False),  # the very one, not a later one
        ("", '"a"', False),
        ("a", '"a"', False),
        ("*", '"a"', False),
        ("Thu, 99 Jan 2020 03:04:05 GMT", "", False),
        ("x" * 10_000, "", False),
    ],
)
def test_if_range(condition: str, etag: str, wanted: bool) -> None:
    assert may_send_part(condition, etag, LONG_AGO) is wanted
    assert may_send_part(condition, etag, LONG_AGO.replace(tzinfo=None)) is wanted, "naive is UTC"


def test_if_range_with_a_date_that_says_too_little() -> None:
    """RFC 9110, 8.8.2.2: within this second the file may change again."""
    now = datetime.datetime.now(datetime.UTC)
    assert not may_send_part(format_timestamp(now), "", now)
    assert not may_send_part(DATE, "", None)


# -- over the wire


@pytest.fixture
async def site(serve: Serve, web: Any, tmp_path: Path) -> Site:
    (tmp_path / "file.bin").write_bytes(CONTENT)
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "large.txt").write_bytes(CONTENT * 300)
    return await serve([(r"/(.*)", web.StaticFileHandler, {"path": str(tmp_path)})])


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [("bytes=0-4", 0, 5), ("bytes=990-", 990, 1000), ("bytes=-3", 997, 1000)],
)
async def test_one_range(site: Site, text: str, start: int, end: int) -> None:
    whole = await site.get("/file.bin")
    answer = await site.get("/file.bin", headers={"Range": text})
    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/1000"
    assert answer.headers["Content-Length"] == str(end - start)
    for name in ("Etag", "Last-Modified", "Content-Type", "Accept-Ranges"):
        assert answer.headers[name] == whole.headers[name]


@pytest.mark.parametrize("text", ["bytes=0-", "bytes=-5000", "bytes=0-5000", "items=0-4", "x"])
async def test_all_of_it(site: Site, text: str) -> None:
    """A range that is all is none: some browsers play nothing then."""
    answer = await site.get("/file.bin", headers={"Range": text})
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize(
    ("path", "text", "size"),
    [
        ("/file.bin", "bytes=1000-", 1000),
        ("/file.bin", "bytes=-0", 1000),
        ("/file.bin", "bytes=20-10", 1000),
        ("/empty.txt", "bytes=0-", 0),
        ("/empty.txt", "bytes=-5", 0),
    ],
)
async def test_what_is_not_there(site: Site, path: str, text: str, size: int) -> None:
    answer = await site.get(path + "?v=1", headers={"Range": text})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["Content-Range"] == f"bytes */{size}"
    if not site.framework.is_tornado:  # who keeps it has an error for ten years
        assert "Cache-Control" not in answer.headers
        assert "Expires" not in answer.headers


async def test_a_large_range(site: Site) -> None:
    """One that is not sent at once."""
    answer = await site.get("/large.txt", headers={"Range": "bytes=7-250006"})
    assert (answer.status_code, answer.content) == (206, (CONTENT * 300)[7:250_007])


async def test_a_head_has_no_ranges(site: Site) -> None:
    """RFC 9110, 14.2: GET alone. (Tornado answers with the part's head.)"""
    answer = await site.request("HEAD", "/file.bin", headers={"Range": "bytes=0-4"})
    assert answer.status_code == (206 if site.framework.is_tornado else 200)
    if not site.framework.is_tornado:
        assert answer.headers["Content-Length"] == "1000"


async def test_if_range_of_a_file(site: Site) -> None:
    if site.framework.is_tornado:
        pytest.skip("it does not look at If-Range")
    etag = (await site.get("/file.bin")).headers["Etag"]
    for condition, status in ((etag, 206), ('"other"', 200), (f"W/{etag}", 200), (DATE, 200)):
        headers = {"Range": "bytes=0-4", "If-Range": condition}
        answer = await site.get("/file.bin", headers=headers)
        assert answer.status_code == status, condition
        assert answer.content == (CONTENT[:5] if status == 206 else CONTENT)


async def test_what_the_client_has_comes_first(site: Site) -> None:
    """13.2.2: a 304 says more than a part."""
    etag = (await site.get("/file.bin")).headers["Etag"]
    answer = await site.get("/file.bin", headers={"Range": "bytes=0-4", "If-None-Match": etag})
    assert answer.status_code == 304


def parts_of(answer: Any) -> list[tuple[Range, str, bytes]]:
    """The parts of a multipart/byteranges, as the standard library reads them."""
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    policy = email.policy.HTTP.clone(raise_on_defect=True)
    message = email.message_from_bytes(head + answer.content, policy=policy)
    found = []
    for part in message.iter_parts():  # type: ignore[attr-defined]
        first, _, last = part["Content-Range"].removeprefix("bytes ").split("/")[0].partition("-")
        found.append(
            (Range(int(first), int(last) + 1), part["Content-Type"], part.get_payload(decode=True))
        )
    return found


@pytest.fixture
async def ours(site: Site) -> Site:
    if site.framework.is_tornado:
        pytest.skip("it has single ranges alone")
    return site


async def test_several_ranges(ours: Site) -> None:
    text = "".join(map(chr, range(32, 127))) * 10_000
    path = Path(ours.application.wildcard_router.rules[0].target_kwargs["path"]) / "text.txt"
    path.write_text(text)
    headers = {"Range": "bytes=900000-900009,0-4,100000-399999,-3"}
    answer = await ours.get("/text.txt", headers=headers)
    assert answer.status_code == 206
    assert "Content-Range" not in answer.headers  # 15.3.7.2
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
    wanted = [(900_000, 900_010), (0, 5), (100_000, 400_000), (len(text) - 3, len(text))]
    assert parts_of(answer) == [(one, "text/plain", text[slice(*one)].encode()) for one in wanted]


async def test_several_ranges_that_are_one(ours: Site) -> None:
    answer = await ours.get("/file.bin", headers={"Range": "bytes=0-4,3-9,2000-"})
    assert (answer.status_code, answer.content) == (206, CONTENT[:10])
    assert answer.headers["Content-Range"] == "bytes 0-9/1000"


async def test_cve_2025_62727_many_ranges(ours: Site) -> None:
    """The whole, once, at the cost of the whole."""
    many = "bytes=" + ",".join(f"{place}-{place}" for place in range(0, 1000, 2))
    for text in (many, "bytes=" + "0-," * 10_000):
        answer = await ours.get("/file.bin", headers={"Range": text})
        assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_several_ranges_of_other_content(serve: Serve, framework: Framework) -> None:
    """What a subclass has instead of files is asked for each of them."""
    if framework.is_tornado:
        pytest.skip("it has single ranges alone")
    asked = []

    class Handler(framework.web.StaticFileHandler):  # type: ignore[name-defined,misc]
        def initialize(self) -> None:
            self.root = ""

        @classmethod
        def get_absolute_path(cls, root: str, path: str) -> str:
            return path

        def validate_absolute_path(self, root: str, absolute_path: str) -> str:
            return absolute_path

        @classmethod
        def get_content(cls, abspath: str, start: int | None = None, end: int | None = None) -> Any:
            asked.append((start, end))
            yield CONTENT[start:end]

        def get_content_size(self) -> int:
            return len(CONTENT)

        def get_modified_time(self) -> None:
            return None

    site = await serve([(r"/(.*)", Handler)])
    answer = await site.get("/x.bin", headers={"Range": "bytes=0-4,500-599"})
    assert [(one, data) for one, _, data in parts_of(answer)] == [
        ((0, 5), CONTENT[:5]),
        ((500, 600), CONTENT[500:600]),
    ]
    assert asked[-2:] == [(0, 5), (500, 600)]
    answer = await site.get("/x.bin")
    assert answer.content == CONTENT
    assert asked[-1] == (None, None)
