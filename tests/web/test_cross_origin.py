"""Cross-origin protection: the browser's own word on where a request came from."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import logging
from typing import Any

import pytest

from .serving import Framework, Serve, Site, by_hand
from .test_xsrf import form_handler

ours_alone = pytest.mark.parametrize("framework", ["tornadoish"], indirect=True)
OURS = "http://a.example:8080"


async def allowed(site: Site, headers: dict[str, str], **options: Any) -> bool:
    fields = {"Host": "a.example:8080", **headers}
    answer = await site.post("/", headers=fields, **options)
    assert answer.status_code in (200, 403)
    return answer.status_code == 200


@pytest.mark.parametrize(
    ("site_field", "origin", "expected"),
    [
        (None, None, True),  # no browser
        ("same-origin", None, True),
        ("same-origin", "http://evil.example", True),
        ("none", None, True),
        ("cross-site", None, False),
        ("same-site", None, False),
        ("cross-site", OURS, False),  # the browser knows better
        ("same-site", "https://trusted.example", True),
        ("cross-site", "https://trusted.example", True),
        ("cross-site", "https://evil.example", False),
        ("cross-site", "null", False),
        ("", None, False),
        ("Same-Origin", None, False),
        ("same-origin, cross-site", None, False),
        ("something-new", "https://evil.example", False),
        (None, OURS, True),
        (None, OURS.upper(), True),
        (None, "https://a.example:8080", True),  # whether it was TLS, a proxy may not tell us
        (None, "http://a.example", False),
        (None, "http://a.example:8081", False),
        (None, "http://sub.a.example:8080", False),
        (None, "http://a.example:8080.evil.example", False),
        (None, "http://evil.example", False),
        (None, "https://trusted.example", True),
        (None, "https://trusted.example:1", False),
        (None, "https://trusted.exampl", False),
        (None, "http://trusted.example", False),
        (None, "null", False),
        (None, "", False),
        (None, "://", False),
        (None, "a.example:8080", False),
    ],
)
async def test_cross_origin_protection(
    web: Any, serve: Serve, site_field: str | None, origin: str | None, expected: bool
) -> None:
    site = await serve(
        [("/", form_handler(web))],
        cross_origin_protection=True,
        trusted_origins=["https://trusted.example"],
    )
    headers = {"Sec-Fetch-Site": site_field, "Origin": origin}
    sent = {name: value for name, value in headers.items() if value is not None}
    assert await allowed(site, sent) is expected


async def test_it_is_a_setting(web: Any, serve: Serve) -> None:
    site = await serve([("/", form_handler(web))], trusted_origins=[])
    assert await allowed(site, {"Sec-Fetch-Site": "cross-site"})


async def test_both_defences(web: Any, serve: Serve) -> None:
    site = await serve([("/", form_handler(web))], xsrf_cookies=True, cross_origin_protection=True)
    token = (await site.get("/")).text
    cookies = {"Cookie": f"_xsrf={token}"}
    right, wrong = {"X-XSRFToken": token}, {"X-XSRFToken": "0"}
    here, there = {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "cross-site"}
    answers = [
        await allowed(site, {**cookies, **token_field, **site_field})
        for token_field in (right, wrong)
        for site_field in (here, there)
    ]
    assert answers == [True, False, False, False]


async def test_origins_are_trusted_otherwise(web: Any, serve: Serve) -> None:
    asked: list[str] = []

    class Handler(form_handler(web)):
        def check_trusted_origin(self, origin: str) -> bool:
            asked.append(origin)
            return origin.endswith(".good.example")

    site = await serve([("/", Handler)], cross_origin_protection=True)
    assert await allowed(site, {"Origin": "https://x.good.example"})
    assert not await allowed(site, {"Origin": "https://x.evil.example"})
    assert await allowed(site, {"Sec-Fetch-Site": "same-origin"})
    assert await allowed(site, {"Origin": OURS})
    assert await allowed(site, {})
    assert asked == ["https://x.good.example", "https://x.evil.example"]


@ours_alone
async def test_an_origin_that_is_no_url(web: Any, serve: Serve) -> None:
    """A 500 of theirs."""
    site = await serve([("/", form_handler(web))], cross_origin_protection=True)
    assert not await allowed(site, {"Origin": "http://[::1"})


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [
        ("https://good.example.com", False),
        (("https://good.example",), True),
        ({"https://good.example"}, True),
        ("https://good.example", True),
    ],
)
def test_one_origin_alone(trusted: Any, expected: bool) -> None:
    """To theirs, half of a text is in it, too."""
    handler = by_hand(Framework("tornadoish"), trusted_origins=trusted)
    assert handler.check_trusted_origin("https://good.example") is expected


@ours_alone
@pytest.mark.parametrize(
    ("origin", "expected"), [("https://public.example", True), ("http://a", False)]
)
async def test_behind_a_proxy(web: Any, serve: Serve, origin: str, expected: bool) -> None:
    """The host is the one that the client asked, as a trusted proxy tells."""
    site = await serve(
        [("/", form_handler(web))],
        cross_origin_protection=True,
        server={"trusted_proxies": ["127.0.0.1"]},
    )
    headers = {"Host": "a", "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "public.example"}
    assert await allowed(site, {**headers, "Origin": origin}) is expected


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://e.example/%s%d" + "x" * 5000}, {"Sec-Fetch-Site": "y" * 5000}],
    ids=["Origin", "Sec-Fetch-Site"],
)
async def test_one_short_line_is_logged(
    serve: Serve, framework: Framework, caplog: pytest.LogCaptureFixture, headers: dict[str, str]
) -> None:
    caplog.set_level(logging.DEBUG)
    site = await serve([("/", form_handler(framework.web))], cross_origin_protection=True)
    assert not await allowed(site, headers)
    lines = [r.getMessage() for r in caplog.records if r.name == "tornado.general"]
    assert len(lines) == 1
    if not framework.is_tornado:
        assert len(lines[0]) < 500


def test_the_names_that_websockets_use(framework: Framework) -> None:
    """A WebSocket begins with a GET: its handler asks by itself."""
    handler = by_hand(framework, headers={"Origin": "http://evil.example"})
    handler._cross_origin_protection()
    asked: list[str] = []

    def check(origin: str) -> bool:
        asked.append(origin)
        return False

    assert "evil.example" in handler._check_cross_origin(check)
    assert asked == ["http://evil.example"]
    assert handler._check_cross_origin(lambda origin: True) is None
    assert handler._origin_matches_host("http://a") is True
    assert handler._origin_matches_host("http://b") is False
