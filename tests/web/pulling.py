"""What the tests share of bodies that a handler reads itself; Tornado has no such thing."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

from typing import Any

import pytest

from tornadoish import web

from .serving import Framework, Peer, Serve

POST = ("POST / HTTP/1.1", "Host: a")
CHUNKED = "Transfer-Encoding: chunked"
NEXT = ("GET /next HTTP/1.1", "Host: a")
EXPECT = "Expect: 100-continue"


@pytest.fixture
def framework() -> Framework:
    """Ours alone, for ``serve``."""
    return Framework("tornadoish")


class Next(web.RequestHandler):
    """Whether the connection lives on."""

    def get(self) -> None:
        self.write("next")


async def one_handler(serve: Serve, handler: Any, **options: Any) -> Any:
    return await serve([("/next", Next), ("/.*", web.pull_request_body(handler))], **options)


async def lives_on(peer: Peer) -> bool:
    return (await peer.ask(*NEXT)).body == b"next"


class Pulling(web.RequestHandler):
    """Answers with the pieces that it is given."""

    async def post(self) -> None:
        pieces = [chunk.decode() async for chunk in self.request.body_chunks()]
        self.write({"pieces": pieces})
