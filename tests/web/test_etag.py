"""Entity tags and conditional requests (RFC 9110, 8.8.3 and 13.1.2)."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

import re
from typing import Any

import pytest

from .serving import Framework, Serve

BODY = b"an answer"
# Not an ETag of BODY but what stands for it: the two frameworks use different hashes.
ETAG = '"THE-ETAG"'


@pytest.fixture
def handler(web: Any) -> Any:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.write(BODY)

        head = post = get

    return Handler


async def test_a_body_has_an_etag(handler: Any, serve: Serve) -> None:
    site = await serve([("/", handler)])
    etag = (await site.get("/")).headers["Etag"]
    assert re.fullmatch(r'"[0-9a-f]{32,40}"', etag)
    assert (await site.get("/")).headers["Etag"] == etag
    assert (await site.request("HEAD", "/")).headers["Etag"] == etag
    assert "Etag" not in (await site.post("/")).headers


async def test_another_body_has_another_etag(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def get(self, body: str) -> None:
            for letter in body:
                self.write(letter)

    site = await serve([("/(.*)", Handler)])
    etags = [(await site.get(f"/{body}")).headers["Etag"] for body in ("", "a", "ab", "ba")]
    assert len(set(etags)) == 4


@pytest.mark.parametrize(
    ("condition", "known"),
    [
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f'"other", {ETAG}', True),
        (f'"a","b",W/"c",{ETAG},"d"', True),
        ("*", True),
        ('"other"', False),
        (ETAG.strip('"'), False),
        (ETAG.lower(), False),
        ("", False),
        (",,", False),
        ('"unbalanced', False),
        (f'"a"b{ETAG}', True),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_if_none_match(
    handler: Any, serve: Serve, method: str, condition: str, known: bool
) -> None:
    site = await serve([("/", handler)])
    peer = await site.connect()
    etag = (await peer.ask("GET / HTTP/1.1", "Host: a")).get("Etag") or ""
    condition = condition.replace(ETAG, etag).replace(ETAG.strip('"'), etag.strip('"'))
    answer = await peer.ask(f"{method} / HTTP/1.1", "Host: a", f"If-None-Match: {condition}")
    if not known:
        assert answer.status == 200
        return
    assert answer.status == 304
    assert answer.reason == "Not Modified"
    assert answer.get("Etag") == etag
    assert answer.get("Content-Type") is None
    assert answer.get("Content-Length") is None
    assert (await peer.ask("GET / HTTP/1.1", "Host: a")).body == BODY


async def test_if_none_match_of_other_methods_is_left_alone(handler: Any, serve: Serve) -> None:
    site = await serve([("/", handler)])
    response = await site.post("/", headers={"If-None-Match": "*"})
    assert (response.status_code, response.content) == (200, BODY)


@pytest.mark.parametrize("status", [201, 404])
async def test_only_200_has_an_etag(web: Any, serve: Serve, status: int) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.set_status(status)
            self.write(BODY)

    site = await serve([("/", Handler)])
    response = await site.get("/", headers={"If-None-Match": "*"})
    assert (response.status_code, response.content) == (status, BODY)
    assert "Etag" not in response.headers


async def test_compute_etag_may_say_none(framework: Framework, serve: Serve) -> None:
    class Handler(framework.web.RequestHandler):
        def compute_etag(self) -> None:
            return None

        def get(self) -> None:
            self.write(BODY)

    site = await serve([("/", Handler)])
    response = await site.get("/", headers={"If-None-Match": ETAG})
    assert response.status_code == 200
    assert "Etag" not in response.headers


@pytest.mark.parametrize("own", ['"own"', 'W/"own"'])
async def test_compute_etag_may_be_overridden(web: Any, serve: Serve, own: str) -> None:
    class Handler(web.RequestHandler):
        def compute_etag(self) -> str:
            return own

        def get(self) -> None:
            self.write(BODY)

    site = await serve([("/", Handler)])
    assert (await site.get("/")).headers["Etag"] == own
    for condition in ('"own"', 'W/"own"'):
        response = await site.get("/", headers={"If-None-Match": condition})
        assert response.status_code == 304


async def test_a_streamed_answer_has_no_etag(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def get(self) -> None:
            self.write(BODY)
            await self.flush()

    site = await serve([("/", Handler)])
    response = await site.get("/", headers={"If-None-Match": "*"})
    assert (response.status_code, response.content) == (200, BODY)
    assert "Etag" not in response.headers


async def test_a_handler_may_ask_before_it_works(web: Any, serve: Serve) -> None:
    """As documented: set the tag, check it, and save the work."""
    worked: list[str] = []

    class Handler(web.RequestHandler):
        def compute_etag(self) -> str:
            return '"v1"'

        def get(self) -> None:
            self.set_etag_header()
            if self.check_etag_header():
                self.set_status(304)
                return
            worked.append("x")
            self.write(BODY)

    site = await serve([("/", Handler)])
    assert (await site.get("/")).content == BODY
    assert (await site.get("/", headers={"If-None-Match": '"v1"'})).status_code == 304
    assert worked == ["x"]


async def test_an_etag_set_by_hand(framework: Framework, serve: Serve) -> None:
    class Handler(framework.web.RequestHandler):
        def compute_etag(self) -> None:
            return None

        def get(self) -> None:
            self.set_header("Etag", '"mine"')
            self.write(BODY)

    site = await serve([("/", Handler)])
    assert (await site.get("/")).headers["Etag"] == '"mine"'
    response = await site.get("/", headers={"If-None-Match": '"mine"'})
    # Tornado compares none but those it has computed.
    assert response.status_code == (200 if framework.is_tornado else 304)
