"""Error documents: a page, or RFC 9457's JSON to who likes that better; ours alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from libraries import installed

from tornadoish import web

from .serving import Answer, Framework, Serve, getting

PROBLEM, JSON, HTML = "application/problem+json", "application/json", "text/html; charset=UTF-8"
PAGE = b"<html><title>404: Not Found</title><body>404: Not Found</body></html>"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.fixture
def framework() -> Framework:
    """Tornado has nothing of the kind."""
    return Framework(installed("tornadoish"))


def raising(error: Exception, **attributes: Any) -> type[web.RequestHandler]:
    def get(self: Any) -> None:
        raise error

    handler: type[web.RequestHandler] = getting(web, get)
    for name, value in attributes.items():
        setattr(handler, name, value)
    return handler


async def ask(
    serve: Serve, handler: type[web.RequestHandler], accept: str | None = PROBLEM, **settings: Any
) -> Answer:
    site = await serve([("/", handler)], **settings)
    peer = await site.connect()
    fields = [] if accept is None else [f"Accept: {accept}"]
    return await peer.ask("GET / HTTP/1.1", "Host: a", *fields)


def document(answer: Answer) -> Any:
    assert answer.get("Content-Type") in (PROBLEM, JSON)
    return json.loads(answer.body)


# ---- Who gets what ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "ctype"),
    [
        (None, HTML),
        ("", HTML),
        ("*/*", HTML),
        (BROWSER, HTML),
        ("text/html, application/json", HTML),
        ("image/png", HTML),
        ("nonsense;;q=,", HTML),
        (PROBLEM, PROBLEM),
        (JSON, JSON),
        ("application/*", PROBLEM),
        ("application/json, application/problem+json;q=0.1", PROBLEM),
        ("application/json, application/problem+json;q=0", JSON),
        ("application/json, text/plain, */*", PROBLEM),
        ("application/json, text/html;q=0.9", JSON),
        ("text/html;q=0, */*", PROBLEM),
    ],
)
async def test_what_the_client_likes(serve: Serve, accept: str | None, ctype: str) -> None:
    answer = await ask(serve, raising(web.HTTPError(404)), accept)
    assert (answer.status, answer.reason) == (404, "Not Found")
    assert answer.get("Content-Type") == ctype
    assert answer.get("Vary") == "Accept"
    if ctype == HTML:
        assert answer.body == PAGE
    else:
        assert document(answer) == {"status": 404, "title": "Not Found"}


@pytest.mark.parametrize("by", ["setting", "attribute"])
@pytest.mark.parametrize(
    ("types", "accept", "ctype"),
    [
        (("text/html",), PROBLEM, HTML),
        ((PROBLEM,), BROWSER, PROBLEM),
        ((PROBLEM, "text/html"), "*/*", PROBLEM),
        ((PROBLEM, "text/html"), BROWSER, HTML),
        ((PROBLEM, "text/html"), "image/png", PROBLEM),
    ],
)
async def test_what_the_server_likes(
    serve: Serve, by: str, types: tuple[str, ...], accept: str, ctype: str
) -> None:
    handler = raising(web.HTTPError(404), error_types=types if by == "attribute" else None)
    answer = await ask(serve, handler, accept, error_types=types if by == "setting" else None)
    assert answer.get("Content-Type") == ctype
    assert (answer.get("Vary") is None) == (len(types) == 1)


async def test_a_page_of_ones_own_is_asked_first(serve: Serve) -> None:
    def write_error(self: Any, status_code: int, **kwargs: Any) -> None:
        self.finish(f"own {status_code}")

    answer = await ask(serve, raising(web.HTTPError(404), write_error=write_error))
    assert (answer.body, answer.get("Vary")) == (b"own 404", None)


async def test_a_page_of_ones_own_for_who_likes_pages(serve: Serve) -> None:
    def write_error_page(self: Any, status_code: int, **kwargs: Any) -> None:
        self.finish(f"own {status_code}, {self.problem_document(status_code, **kwargs)['detail']}")

    error = web.HTTPError(404, problem={"detail": "gone"})
    handler = raising(error, write_error_page=write_error_page)
    answer = await ask(serve, handler, BROWSER)
    assert (answer.body, answer.get("Vary")) == (b"own 404, gone", "Accept")
    assert document(await ask(serve, handler, JSON))["detail"] == "gone"


async def test_a_request_without_a_route(serve: Serve) -> None:
    site = await serve([])
    response = await site.get("/", headers={"Accept": JSON})
    assert response.json() == {"status": 404, "title": "Not Found"}


# ---- What is in it ---------------------------------------------------------------------------


async def test_members(serve: Serve) -> None:
    problem = {
        "type": "https://example.com/credit",
        "title": "Not enough credit",
        "detail": "</script> 30, but it costs 50",
        "status": 200,  # the true one counts
        "balance": 30,
    }
    answer = await ask(serve, raising(web.HTTPError(403, "for the log", problem=problem)))
    assert document(answer) == {**problem, "status": 403}
    assert b"</script>" not in answer.body
    assert b"for the log" not in answer.body


async def test_send_error_with_members(serve: Serve) -> None:
    def get(self: Any) -> None:
        self.send_error(409, problem={"detail": "once only"}, reason="Twice")

    answer = await ask(serve, getting(web, get))
    assert document(answer) == {"title": "Twice", "detail": "once only", "status": 409}


async def test_more_members_for_every_error(serve: Serve) -> None:
    def problem_document(self: Any, status_code: int, **kwargs: Any) -> dict[str, Any]:
        given = web.RequestHandler.problem_document(self, status_code, **kwargs)
        return {**given, "instance": "/log/1"}

    handler = raising(KeyError("secret"), problem_document=problem_document)
    answer = await ask(serve, handler)
    assert document(answer) == {
        "title": "Internal Server Error", "status": 500, "instance": "/log/1"
    }  # fmt: skip
    assert b"secret" not in answer.body


@pytest.mark.parametrize("error", [KeyError("shown"), web.HTTPError(400, "shown")])
async def test_a_traceback_only_where_it_is_served(serve: Serve, error: Exception) -> None:
    assert b"shown" not in (await ask(serve, raising(error))).body
    answer = await ask(serve, raising(error), serve_traceback=True)
    lines = document(answer)["traceback"]
    assert lines[0] == "Traceback (most recent call last):"
    assert "shown" in lines[-1]


async def test_members_that_are_no_json(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    answer = await ask(serve, raising(web.HTTPError(404, problem={"detail": object()})))
    assert (answer.status, answer.body) == (404, b"")
    assert "write_error" in caplog.text


async def test_an_answer_without_a_body(serve: Serve) -> None:
    answer = await ask(serve, raising(web.HTTPError(304)))
    assert (answer.status, answer.body, answer.get("Content-Type")) == (304, b"", None)
