"""A Flask application within one of ours."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tornadoish.routing import Mount
from tornadoish.wsgi import WSGIContainer

from .serving import Framework, Serve, getting

flask = pytest.importorskip("flask")


@pytest.fixture
def framework() -> Framework:
    return Framework("tornadoish")


def make_application(directory: Path) -> Any:
    application = flask.Flask("flask_site", root_path=str(directory), static_folder=None)
    application.secret_key = "secret"

    @application.get("/user/<name>")  # type: ignore[untyped-decorator, unused-ignore]
    def user(name: str) -> Any:
        seen = flask.session.get("seen", 0)
        flask.session["seen"] = seen + 1
        return {"name": name, "url": flask.url_for("user", name=name), "seen": seen}

    @application.post("/upload")  # type: ignore[untyped-decorator, unused-ignore]
    def upload() -> Any:
        file = flask.request.files["file"]
        return {"size": len(file.read()), "name": file.filename, "field": flask.request.form["a"]}

    @application.post("/raw")  # type: ignore[untyped-decorator, unused-ignore]
    def raw() -> Any:
        size = 0
        while piece := flask.request.stream.read(16384):
            size += len(piece)
        return str(size)

    @application.get("/rows")  # type: ignore[untyped-decorator, unused-ignore]
    def rows() -> Any:
        def make() -> Any:
            for number in range(1000):
                yield f"{number} {flask.request.args['x']}\n"

        return flask.Response(flask.stream_with_context(make()), mimetype="text/plain")

    @application.get("/file")  # type: ignore[untyped-decorator, unused-ignore]
    def file() -> Any:
        return flask.send_file(directory / "file.bin", conditional=True)

    return application


async def test_flask_below_a_prefix(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(bytes(range(256)) * 4096)
    container = WSGIContainer(make_application(tmp_path))
    hello = getting(Framework("tornadoish").web, lambda self: self.write("ours"))
    site = await serve([("/", hello), Mount("/flask", container)])
    assert (await site.get("/")).text == "ours"

    answer = await site.get("/flask/user/J%C3%BCrgen")
    assert answer.json() == {"name": "Jürgen", "url": "/flask/user/J%C3%BCrgen", "seen": 0}
    assert (await site.get("/flask/user/x")).json()["seen"] == 1

    files = {"file": ("ä.bin", io.BytesIO(bytes(1 << 20)), "application/x")}
    answer = await site.post("/flask/upload", files=files, data={"a": "é"})
    assert answer.json() == {"size": 1 << 20, "name": "ä.bin", "field": "é"}

    async def pieces() -> Any:
        for _ in range(100):
            yield bytes(10_000)

    assert (await site.post("/flask/raw", content=pieces())).text == "1000000"
    assert (await site.post("/flask/raw", content=bytes(1_000_000))).text == "1000000"

    answer = await site.get("/flask/rows?x=%C3%A9")
    assert answer.text.splitlines()[-1] == "999 é"

    answer = await site.get("/flask/file")
    assert answer.content == bytes(range(256)) * 4096
    answer = await site.get("/flask/file", headers={"Range": "bytes=256-257"})
    assert (answer.status_code, answer.content) == (206, b"\0\1")
    etag = answer.headers["ETag"]
    answer = await site.get("/flask/file", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")

    answer = await site.get("/flask/none")
    assert answer.status_code == 404
    answer = await site.request("OPTIONS", "/flask/raw")
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
