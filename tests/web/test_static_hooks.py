"""Subclasses of StaticFileHandler, as applications have them: all hooks, in all combinations."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .serving import Serve

pytestmark = pytest.mark.in_memory

WHEN = datetime.datetime(2020, 1, 2, 3, 4, 5)


@pytest.fixture(autouse=True)
def forget(web: Any) -> None:
    """Versions are kept for all handlers of a process."""
    web.StaticFileHandler.reset()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_bytes(b"a" * 10)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b.txt").write_bytes(b"b" * 10)
    return tmp_path


@pytest.mark.parametrize("whole", [False, True], ids=["pieces", "bytes"])
@pytest.mark.parametrize("aware", [False, True], ids=["naive", "aware"])
async def test_content_from_elsewhere(serve: Serve, web: Any, whole: bool, aware: bool) -> None:
    """As Tornado documents it: a database, say."""
    table = {"one": b"first content", "two": b"x" * 200_000}

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        @classmethod
        def get_absolute_path(cls, root: str, path: str) -> str:
            return path

        def validate_absolute_path(self, root: str, absolute_path: str) -> str:
            if absolute_path not in table:
                raise web.HTTPError(404)
            return absolute_path

        @classmethod
        def get_content(cls, abspath: str, start: int | None = None, end: int | None = None) -> Any:
            data = table[abspath][start:end]
            return data if whole else iter([data[:5], data[5:]])

        def get_content_size(self) -> int:
            return len(table[self.absolute_path])

        def get_modified_time(self) -> datetime.datetime:
            return WHEN.replace(tzinfo=datetime.UTC) if aware else WHEN

        def get_content_type(self) -> str:
            return "text/x-table"

    site = await serve([(r"/(.*)", Handler, {"path": ""})])
    for name, data in table.items():
        answer = await site.get(f"/{name}")
        assert answer.content == data
        assert answer.headers["Last-Modified"] == "Thu, 02 Jan 2020 03:04:05 GMT"
        assert answer.headers["Content-Type"] == "text/x-table"
        assert answer.headers["Content-Length"] == str(len(data))
        headers = {"If-None-Match": answer.headers["Etag"]}
        assert (await site.get(f"/{name}", headers=headers)).status_code == 304
        answer = await site.get(f"/{name}", headers={"Range": "bytes=2-6"})
        assert (answer.status_code, answer.content) == (206, data[2:7])
        answer = await site.request("HEAD", f"/{name}")
        assert answer.headers["Content-Length"] == str(len(data))
    assert (await site.get("/none")).status_code == 404
    if aware or not site.framework.is_tornado:  # it compares naive with aware times: a 500
        headers = {"If-Modified-Since": "Thu, 02 Jan 2020 03:04:05 GMT"}
        assert (await site.get("/one", headers=headers)).status_code == 304


async def test_content_that_is_rewritten(serve: Serve, web: Any, root: Path) -> None:
    """jupyterlab's themes: an instance method in place of the class method."""

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        def get_content(self, abspath: str, start: Any = None, end: Any = None) -> bytes:
            with open(abspath, "rb") as file:
                return file.read().replace(b"a", b"xyz")

        def get_content_size(self) -> int:
            return len(self.get_content(self.absolute_path))

        def compute_etag(self) -> None:
            return None

    site = await serve([(r"/(.*)", Handler, {"path": str(root)})])
    answer = await site.get("/a.txt")
    assert answer.content == b"xyz" * 10
    assert "Etag" not in answer.headers


async def test_several_roots(serve: Serve, web: Any, root: Path) -> None:
    """jupyter: the first that has it; ``root`` is a tuple, ``_lock`` guards a cache."""
    found: dict[str, str] = {}

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        def initialize(self, path: list[str], no_cache_paths: Any = None) -> None:
            self.root = tuple(os.path.abspath(one) + os.sep for one in path)
            self.default_filename = None

        @classmethod
        def get_absolute_path(cls, roots: Any, path: str) -> str:
            with cls._lock:
                if path not in found:
                    names = (os.path.join(one, path) for one in roots)
                    found[path] = next(filter(os.path.exists, names), "")
                return found[path]

        def validate_absolute_path(self, root: Any, absolute_path: str) -> Any:
            if not absolute_path:
                raise web.HTTPError(404)
            for root in self.root:
                if (absolute_path + os.sep).startswith(root):
                    break
            self.allowed_symlink_directory = root
            return super().validate_absolute_path(root, absolute_path)

        def set_headers(self) -> None:
            super().set_headers()
            if "v" not in self.request.arguments:
                self.set_header("Cache-Control", "no-cache")

        def compute_etag(self) -> None:
            return None

    paths = [str(root / "other"), str(root)]
    site = await serve([(r"/(.*)", Handler, {"path": paths})])
    for name, data in (("a.txt", b"a" * 10), ("b.txt", b"b" * 10)):
        answer = await site.get(f"/{name}")
        assert answer.content == data
        assert answer.headers["Cache-Control"] == "no-cache"
        assert "Etag" not in answer.headers
    assert (await site.get("/none.txt")).status_code == 404


async def test_root_after_root(serve: Serve, web: Any, root: Path) -> None:
    """voila: the check of the base class for one root after the other; ``get_absolute_path`` an
    instance method."""

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        def initialize(self) -> None:
            super().initialize(path="/no/root")

        def get_absolute_path(self, root: str, path: str) -> str:
            return str(self.roots[0] / path)

        def parse_url_path(self, url_path: str) -> str:
            self.roots = [root / "other", root]
            return str(super().parse_url_path(url_path))

        def validate_absolute_path(self, _: str, absolute_path: str) -> Any:
            last = None
            for number, root in enumerate(self.roots):
                try:
                    path = str(root / os.path.basename(absolute_path))
                    return super().validate_absolute_path(str(root), path)
                except web.HTTPError as error:
                    last = error
                    assert number == 0 or error.status_code == 404
            raise last  # type: ignore[misc]

    site = await serve([(r"/(.*)", Handler)])
    assert (await site.get("/a.txt")).content == b"a" * 10
    assert (await site.get("/b.txt")).content == b"b" * 10
    assert (await site.get("/none")).status_code == 404


async def test_a_root_that_is_a_dict(serve: Serve, web: Any, root: Path) -> None:
    """bokeh; None of the check says that it has been answered."""

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        def initialize(self, root: dict[str, str]) -> None:
            self.root = root
            self.default_filename = None

        @classmethod
        def get_absolute_path(cls, root: dict[str, str], path: str) -> str:
            name, _, rest = path.partition("/")
            return str(super().get_absolute_path(root[name], rest))

        def validate_absolute_path(self, root: dict[str, str], absolute_path: str) -> Any:
            if absolute_path.endswith("moved.txt"):
                self.redirect("/x/b.txt")
                return None
            for one in root.values():
                if absolute_path.startswith(one):
                    return super().validate_absolute_path(one, absolute_path)
            return None

    site = await serve([(r"/(.*)", Handler, {"root": {"x": str(root / "other")}})])
    assert (await site.get("/x/b.txt")).content == b"b" * 10
    assert (await site.get("/x/../a.txt".replace("..", "%2e%2e"))).status_code == 403
    answer = await site.get("/x/moved.txt")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/x/b.txt")


@pytest.mark.parametrize("coroutine", [False, True], ids=["plain", "coroutine"])
async def test_unbound_calls(serve: Serve, web: Any, root: Path, coroutine: bool) -> None:
    """jupyter's kernel specs: the root is known in ``get`` alone; methods of the base are called by
    its name, and awaited."""
    base = web.StaticFileHandler

    class Plain(base):  # type: ignore[name-defined,misc]
        def initialize(self) -> None:
            base.initialize(self, path="")

        def get(self, name: str, path: str, include_body: bool = True) -> Any:
            self.root = self.allowed_symlink_directory = str(root / name)
            return base.get(self, path, include_body=include_body)

        def head(self, name: str, path: str) -> Any:
            return self.get(name, path, include_body=False)

    class Coroutine(Plain):
        async def get(self, name: str, path: str, include_body: bool = True) -> Any:
            self.root = self.allowed_symlink_directory = str(root / name)
            return await base.get(self, path, include_body=include_body)

        async def head(self, name: str, path: str) -> Any:
            return await self.get(name, path, include_body=False)

    site = await serve([(r"/(\w+)/(.*)", Coroutine if coroutine else Plain)])
    answer = await site.get("/other/b.txt")
    assert (answer.status_code, answer.content) == (200, b"b" * 10)
    answer = await site.request("HEAD", "/other/b.txt")
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, "10")
    assert (await site.get("/other/a.txt")).status_code == 404


async def test_never_not_modified(serve: Serve, web: Any, root: Path) -> None:
    """livereload: ``should_return_304`` says no, and ``finish`` does not know better."""

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        def should_return_304(self) -> bool:
            return False

    site = await serve([(r"/(.*)", Handler, {"path": str(root)})])
    first = await site.get("/a.txt")
    headers = {
        "If-None-Match": first.headers["Etag"],
        "If-Modified-Since": first.headers["Last-Modified"],
    }
    for asked in (headers, {"If-Modified-Since": first.headers["Last-Modified"]}):
        answer = await site.get("/a.txt", headers=asked)
        assert (answer.status_code, answer.content) == (200, b"a" * 10)


async def test_versions_of_ones_own(serve: Serve, web: Any, root: Path) -> None:
    """``get_content_version`` and ``_get_cached_version`` are the entity tag, too; also of a large
    file."""
    (root / "large").write_bytes(bytes(2 << 20))

    class ByContent(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        @classmethod
        def get_content_version(cls, abspath: str) -> str:
            return "version-" + os.path.basename(abspath)

    class Cached(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        @classmethod
        def _get_cached_version(cls, abs_path: str) -> str:
            return "cached"

    site = await serve(
        [
            (r"/content/(.*)", ByContent, {"path": str(root)}),
            (r"/cached/(.*)", Cached, {"path": str(root)}),
        ]
    )
    web.StaticFileHandler._get_cached_version(str(root / "a.txt"))
    assert (await site.get("/cached/a.txt")).headers["Etag"] == '"cached"'
    web.StaticFileHandler.reset()
    assert (await site.get("/content/a.txt")).headers["Etag"] == '"version-a.txt"'
    assert (await site.get("/content/large")).headers["Etag"] == '"version-large"'
    assert (await site.get("/cached/a.txt")).headers["Etag"] == '"cached"'


async def test_headers_and_cache_time(serve: Serve, web: Any, root: Path) -> None:
    called = []

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        def get_cache_time(self, path: str, modified: Any, mime_type: str) -> int:
            called.append((path, modified == self.modified, mime_type))
            return 60

        def set_extra_headers(self, path: str) -> None:
            self.set_header("Cache-Control", self._headers["Cache-Control"] + ", immutable")

        def get_content_type(self) -> str:
            return "text/plain; charset=UTF-8"

    site = await serve([(r"/(.*)", Handler, {"path": str(root)})])
    answer = await site.get("/a.txt")
    assert answer.headers["Cache-Control"] == "max-age=60, immutable"
    assert answer.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert called == [("a.txt", True, "text/plain; charset=UTF-8")]


async def test_another_path_than_was_asked_for(serve: Serve, web: Any, root: Path) -> None:
    """What ``validate_absolute_path`` returns is served, whatever it has looked at before."""

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        def validate_absolute_path(self, root: str, absolute_path: str) -> str:
            super().validate_absolute_path(root, absolute_path)
            return os.path.join(root, "other", "b.txt")

    site = await serve([(r"/(.*)", Handler, {"path": str(root)})])
    assert (await site.get("/a.txt")).content == b"b" * 10


async def test_an_error_in_the_content(serve: Serve, web: Any, root: Path) -> None:
    """Before anything is sent it is an error page."""

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        @classmethod
        def get_content(cls, abspath: str, start: Any = None, end: Any = None) -> Iterator[bytes]:
            raise web.HTTPError(503)
            yield b""

        @classmethod
        def get_content_version(cls, abspath: str) -> str:
            return "v"

    site = await serve([(r"/(.*)", Handler, {"path": str(root)})])
    answer = await site.get("/a.txt")
    assert answer.status_code == 503
    assert b"503" in answer.content
