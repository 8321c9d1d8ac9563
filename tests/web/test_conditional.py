"""Conditional requests: dates, preconditions, and when a body is hashed (RFC 9110, 13)."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornadoish import web
from tornadoish.web import conditional, exchange

from .serving import Answer, Framework, Serve, Site, getting

pytestmark = pytest.mark.in_memory

MODIFIED = datetime.datetime(2026, 11, 20, 1, 2, 3, tzinfo=datetime.UTC)
DATE = "Fri, 20 Nov 2026 01:02:03 GMT"
LATER, EARLIER = "Fri, 20 Nov 2026 01:02:04 GMT", "Fri, 20 Nov 2026 01:02:02 GMT"
BODY = b"an answer"


@pytest.fixture
def ours(framework: Framework) -> Framework:
    """The framework, where Tornado has nothing of the kind."""
    if framework.is_tornado:
        pytest.skip("ours alone")
    return framework


async def ask(site: Site, *fields: str, method: str = "GET", path: str = "/") -> Answer:
    peer = await site.connect()
    return await peer.ask(f"{method} {path} HTTP/1.1", "Host: a", *fields)


def dated(web: Any, **attributes: Any) -> Any:
    def get(self: Any) -> None:
        self.set_header("Last-Modified", MODIFIED)
        self.write(BODY)

    handler = getting(web, get)
    handler.head = handler.post = get
    for name, value in attributes.items():
        setattr(handler, name, value)
    return handler


# ---- If-Modified-Since -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "known"),
    [
        (DATE, True),
        (LATER, True),
        (EARLIER, False),
        ("Friday, 20-Nov-26 01:02:03 GMT", True),
        ("Fri Nov 20 01:02:03 2026", True),
        ("", False),
        ("yesterday", False),
        ("20 Nov 2026", False),
        ("Fri, 20 Nov 2026 01:02:03 GMT, Fri, 20 Nov 2026 01:02:03 GMT", False),
        ("Fri, 99 Nov 2026 99:99:99 GMT", False),
        ("Fri, 20 Nov 999999 01:02:03 GMT", False),
        ("Fri, 20 Nov 99999999999 01:02:03 GMT", False),
        ("Fri, 20 Nov 2026 01:02:03 +9999999", False),
        ("x" * 5000, False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_if_modified_since(
    framework: Framework, serve: Serve, method: str, since: str, known: bool
) -> None:
    """Tornado looks at it for files only."""
    site = await serve([("/", dated(framework.web))])
    answer = await ask(site, f"If-Modified-Since: {since}", method=method)
    assert answer.status == (304 if known and not framework.is_tornado else 200)
    assert answer.get("Last-Modified") == DATE
    if answer.status == 304:
        assert (answer.get("Content-Length"), answer.get("Content-Type")) == (None, None)
    elif method == "GET":
        assert answer.body == BODY


async def test_a_tag_comes_before_a_date(web: Any, serve: Serve) -> None:
    """RFC 9110, 13.2.2: who asks by a tag is not answered by a date."""
    site = await serve([("/", dated(web))])
    etag = (await ask(site)).get("Etag")
    for condition, status in (('"other"', 200), (f"{etag}", 304)):
        for since in (EARLIER, DATE, LATER):
            answer = await ask(site, f"If-None-Match: {condition}", f"If-Modified-Since: {since}")
            assert answer.status == status


async def test_the_date_of_other_answers_says_nothing(web: Any, serve: Serve) -> None:
    class Missing(dated(web)):
        def prepare(self) -> None:
            self.set_status(404)

    site = await serve([("/", dated(web)), ("/missing", Missing)])
    since = f"If-Modified-Since: {LATER}"
    assert (await ask(site, since, method="POST")).status == 200
    assert (await ask(site, since, path="/missing")).status == 404


async def test_an_answer_without_a_date(web: Any, serve: Serve) -> None:
    site = await serve([("/", getting(web, lambda self: self.write(BODY)))])
    assert (await ask(site, f"If-Modified-Since: {LATER}")).status == 200


# ---- Preconditions of what changes something -------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "there", "fails"),
    [
        ([], {}, False),
        (['If-Match: "x"'], {"etag": '"x"'}, False),
        (['If-Match: "a", "x"'], {"etag": '"x"'}, False),
        (['If-Match: W/"x"'], {"etag": '"x"'}, False),  # as a content coding has left it
        (['If-Match: W/"x"'], {"etag": 'W/"x"'}, True),
        (['If-Match: "y"'], {"etag": '"x"'}, True),
        (['If-Match: "x"'], {"etag": None}, True),
        (["If-Match: x"], {"etag": '"x"'}, True),
        (["If-Match: "], {"etag": '"x"'}, True),
        (["If-Match: *"], {"etag": '"x"'}, False),
        (["If-Match: *"], {}, False),
        (["If-Match: *"], {"exists": False}, True),
        (['If-Match: "x"'], {"exists": False}, True),
        ([f"If-Unmodified-Since: {DATE}"], {"last_modified": MODIFIED}, False),
        ([f"If-Unmodified-Since: {LATER}"], {"last_modified": MODIFIED}, False),
        ([f"If-Unmodified-Since: {EARLIER}"], {"last_modified": MODIFIED}, True),
        (["If-Unmodified-Since: soon"], {"last_modified": MODIFIED}, False),
        ([f"If-Unmodified-Since: {EARLIER}"], {}, False),
        ([f"If-Unmodified-Since: {EARLIER}"], {"exists": False}, False),
        # A tag comes before a date.
        (
            ['If-Match: "x"', f"If-Unmodified-Since: {EARLIER}"],
            {"etag": '"x"', "last_modified": MODIFIED},
            False,
        ),
        (["If-None-Match: *"], {}, True),
        (["If-None-Match: *"], {"exists": False}, False),
        (['If-None-Match: W/"x"'], {"etag": '"x"'}, True),
        (['If-None-Match: "y"'], {"etag": '"x"'}, False),
        (['If-Match: "x"', 'If-None-Match: "x"'], {"etag": '"x"'}, True),
    ],
)
async def test_check_preconditions(
    ours: Framework, serve: Serve, fields: list[str], there: dict[str, Any], fails: bool
) -> None:
    done: list[str] = []

    class Handler(web.RequestHandler):
        def put(self) -> None:
            self.check_preconditions(**there)
            done.append("put")

    site = await serve([("/", Handler)])
    answer = await ask(site, *fields, "Content-Length: 0", method="PUT")
    assert (answer.status, done) == ((412, []) if fails else (200, ["put"]))


@pytest.mark.parametrize(
    "modified",
    [
        MODIFIED.replace(microsecond=999_999),
        MODIFIED.replace(tzinfo=None),
        MODIFIED.astimezone(datetime.timezone(datetime.timedelta(hours=5))),
        DATE,
    ],
    ids=str,
)
def test_times_are_compared_in_whole_seconds_of_utc(modified: Any) -> None:
    assert conditional.unmodified_since(modified, DATE) is True
    assert conditional.unmodified_since(modified, EARLIER) is False
    assert conditional.unmodified_since(modified, "never") is None


@settings(max_examples=50)
@given(st.text(alphabet='W/"*x,\\ \t\x80', max_size=40), st.text(max_size=40))
def test_nothing_that_is_sent_raises(tags: str, date: str) -> None:
    conditional.matches_weakly('"x"', tags)
    conditional.matches_strongly('"x"', tags)
    conditional.parse_http_date(date)
    assert conditional.unmodified_since(date, DATE) in (True, False, None)


# ---- When a body is hashed -------------------------------------------------------------------


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies that were."""
    bodies: list[bytes] = []
    etag_of = conditional.etag_of

    def note(body: bytes) -> str:
        bodies.append(body)
        return etag_of(body)

    monkeypatch.setattr(exchange, "etag_of", note)
    monkeypatch.setattr(exchange, "short_etag", note)
    return bodies


@pytest.mark.parametrize(
    ("attribute", "setting", "wanted"),
    [
        (None, None, True),
        (None, True, True),
        (None, False, False),
        (True, False, True),
        (False, True, False),
        (False, None, False),
    ],
)
async def test_a_switch_for_tags(
    ours: Framework, serve: Serve, hashed: list[bytes],
    attribute: bool | None, setting: bool | None, wanted: bool,
) -> None:  # fmt: skip
    settings = {} if setting is None else {"automatic_etag": setting}
    site = await serve([("/", dated(web, automatic_etag=attribute))], **settings)
    answer = await ask(site, 'If-None-Match: "x"')
    assert (answer.get("Etag") is not None) == wanted
    assert hashed == [BODY] * wanted
    assert (await ask(site, "If-None-Match: *")).status == (304 if wanted else 200)


async def test_a_tag_of_ones_own_does_not_mind_the_switch(ours: Framework, serve: Serve) -> None:
    handler = dated(web, compute_etag=lambda self: '"own"', automatic_etag=False)
    site = await serve([("/", handler)])
    assert (await ask(site, 'If-None-Match: W/"own"')).status == 304


@pytest.mark.parametrize(
    ("control", "fields", "wanted"),
    [
        ("no-store", [], False),
        ("private, No-Store", [], False),
        ("no-store", ['If-None-Match: "x"'], True),  # somebody has stored it all the same
        ("no-cache", [], True),
        ("max-age=60", [], True),
    ],
)
async def test_what_nobody_stores_needs_no_tag(
    ours: Framework, serve: Serve, hashed: list[bytes],
    control: str, fields: list[str], wanted: bool,
) -> None:  # fmt: skip
    def get(self: Any) -> None:
        self.set_header("Cache-Control", control)
        self.write(BODY)

    site = await serve([("/", getting(web, get))])
    answer = await ask(site, *fields)
    assert (answer.get("Etag") is not None) == wanted
    assert hashed == [BODY] * wanted


async def test_a_tag_that_is_there_stays(web: Any, serve: Serve) -> None:
    """Set by hand, or computed of what was there then."""

    class Handler(web.RequestHandler):
        def get(self, how: str) -> None:
            if how == "by_hand":
                self.set_header("Etag", '"mine"')
            else:
                self.set_etag_header()
            self.write(BODY)

    site = await serve([("/", getting(web, lambda self: None)), ("/(.*)", Handler)])
    assert (await ask(site, path="/by_hand")).get("Etag") == '"mine"'
    early, empty = await ask(site, path="/early"), await ask(site, path="/")
    assert early.get("Etag") == empty.get("Etag")


async def test_a_tag_set_by_hand_is_not_hashed(
    ours: Framework, serve: Serve, hashed: list[bytes]
) -> None:
    def get(self: Any) -> None:
        self.set_header("Etag", '"mine"')
        self.write(BODY)

    site = await serve([("/", getting(web, get))])
    assert (await ask(site, 'If-None-Match: "mine"')).status == 304
    assert hashed == []
