"""The same requests to one application over our own server and over ASGI: the same answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tornadoish import web
from tornadoish.asgi import ASGIApplication, ASGIContainer
from tornadoish.routing import Mount
from tornadoish.testing import check_message_delegate
from tornadoish.wsgi import WSGIContainer

from .serving import Framework, Serve
from .wsgi_apps import simple


@pytest.fixture
def framework() -> Framework:
    return Framework("tornadoish")


class Echo(web.RequestHandler):
    """Says what it was asked."""

    def check_xsrf_cookie(self) -> None:
        pass

    def answer(self, **groups: str) -> None:
        request = self.request
        self.set_cookie("seen", "yes")
        self.write(
            {
                "asked": [request.method, request.uri, request.version, request.protocol],
                "arguments": {name: self.get_arguments(name) for name in request.arguments},
                "files": {
                    name: [(file.filename, len(file.body)) for file in files]
                    for name, files in request.files.items()
                },
                "body": len(request.body),
                "cookies": dict(request.cookie_values),
                "groups": groups,
            }
        )

    get = post = put = delete = patch = options = answer


class Pieces(web.RequestHandler):
    async def get(self) -> None:
        for number in range(50):
            self.write(f"{number}\n" * 100)
            await self.flush()


@web.stream_request_body
class Streamed(Echo):
    def prepare(self) -> None:
        self.size = 0

    async def data_received(self, chunk: bytes) -> None:
        self.size += len(chunk)

    async def post(self) -> None:
        self.write(str(self.size))


@web.pull_request_body
class Pulled(Echo):
    async def post(self) -> None:
        size = 0
        async for chunk in self.request.body_chunks():
            size += len(chunk)
        self.write(str(size))


class Failing(web.RequestHandler):
    def get(self, what: str) -> None:
        if what == "http":
            raise web.HTTPError(418, "no coffee")
        if what == "finish":
            raise web.Finish("enough")
        raise ValueError("oops")


def make_application(static: Path) -> web.Application:
    (static / "file.txt").write_bytes(b"0123456789" * 100_000)
    foreign = Mount("/wsgi", WSGIContainer(simple([b"wsgi"])))
    return web.Application(
        [
            (r"/echo/(?P<group>[^/]*)", Echo),
            (r"/echo", Echo),
            (r"/pieces", Pieces),
            (r"/streamed", Streamed),
            (r"/pulled", Pulled),
            (r"/fail/(.*)", Failing),
            (r"/old", web.RedirectHandler, {"url": "/echo"}),
            foreign,
        ],
        static_path=str(static),
        compress_response=True,
        xsrf_cookies=True,
        cookie_secret="secret",
        automatic_head=True,
    )


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/echo?a=1&a=2&b=%C3%A9", {}),
    ("GET", "/echo/x%20y%2Fz?q", {"headers": {"Cookie": "a=1; b=2"}}),
    ("HEAD", "/echo", {}),
    ("POST", "/echo", {"data": {"a": "1", "ü": "é"}}),
    ("PUT", "/echo", {"content": b"x" * 200_000}),
    ("PATCH", "/echo", {"files": {"f": ("n.txt", b"y" * 100_000)}, "data": {"a": "1"}}),
    ("DELETE", "/echo", {}),
    ("OPTIONS", "/echo", {}),
    ("GET", "/pieces", {}),
    ("GET", "/pieces", {"headers": {"Accept-Encoding": "identity"}}),
    ("HEAD", "/pieces", {}),
    ("POST", "/streamed", {"content": b"x" * 1_000_000}),
    ("POST", "/streamed", {"content": b""}),
    ("POST", "/pulled", {"content": b"x" * 1_000_000}),
    ("POST", "/pulled", {"content": b""}),
    ("GET", "/fail/http", {}),
    ("GET", "/fail/finish", {}),
    ("GET", "/fail/oops", {}),
    ("POST", "/fail/oops", {}),
    ("GET", "/old?x=1", {}),
    ("GET", "/none", {}),
    ("GET", "/static/file.txt", {"headers": {"Accept-Encoding": "identity"}}),
    ("GET", "/static/file.txt", {"headers": {"Range": "bytes=5-14"}}),
    ("GET", "/static/file.txt", {"headers": {"Range": "bytes=9999999-"}}),
    ("HEAD", "/static/file.txt", {}),
    ("GET", "/static/../secret", {}),
    ("GET", "/wsgi/x", {}),
]
#: those that a host decides on
OF_HOSTS = {"date", "server", "transfer-encoding", "connection"}


def shown(answer: httpx.Response) -> Any:
    fields = [(n.lower(), v) for n, v in answer.headers.multi_items() if n.lower() not in OF_HOSTS]
    return answer.status_code, sorted(fields), answer.content


@pytest.mark.parametrize(
    ("method", "path", "options"), REQUESTS, ids=[f"{m} {p}" for m, p, _ in REQUESTS]
)
async def test_the_same_answer(
    serve: Serve, tmp_path: Path, method: str, path: str, options: dict[str, Any]
) -> None:
    application = make_application(tmp_path)
    site = await serve(application)
    checked = check_message_delegate(application)
    transport = httpx.ASGITransport(ASGIApplication(checked))  # type: ignore[arg-type]
    ours = await site.request(method, path, **options)
    async with httpx.AsyncClient(transport=transport, base_url=str(site.client.base_url)) as client:
        over_asgi = await client.request(method, path, **options)
    assert shown(over_asgi) == shown(ours)
    assert checked.violations == []
    assert [each.state for each in checked.delegates] == ["ended"]


async def test_known_already(tmp_path: Path) -> None:
    application = make_application(tmp_path)
    transport = httpx.ASGITransport(ASGIApplication(application))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        for path in ("/echo", "/static/file.txt"):
            first = await client.get(path)
            client.cookies.clear()  # which would make another page of it
            known = await client.get(path, headers={"If-None-Match": first.headers["ETag"]})
            assert (known.status_code, known.content) == (304, b"")


async def test_both_ways_at_once(tmp_path: Path) -> None:
    """Ours in a host, a foreign one in ours, and ours in that again."""
    inner = ASGIApplication(make_application(tmp_path))
    middle = web.Application([Mount("/middle", ASGIContainer(inner))])
    outer = ASGIApplication(middle)
    transport = httpx.ASGITransport(outer, root_path="/outer")  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        answer = await client.post("/outer/middle/echo/x?y=z", content=b"body")
    asked = json.loads(answer.content)
    assert asked["asked"][1] == "/outer/middle/echo/x?y=z"
    assert (asked["groups"], asked["body"]) == ({"group": "x"}, 4)
