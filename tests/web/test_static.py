"""Static files: what is said of them, conditions, settings, and the hooks of subclasses."""

from __future__ import annotations

import datetime
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from .serving import Framework, Serve, Site

CONTENT = b"User-agent: *\nDisallow: /\n"
VERSION = hashlib.sha512(CONTENT).hexdigest()
LONG_AGO = 1_577_934_245  # DATE
DATE = "Thu, 02 Jan 2020 03:04:05 GMT"
BEFORE, AFTER = "Thu, 02 Jan 2020 03:04:04 GMT", "Fri, 03 Jan 2020 03:04:05 GMT"


def write(path: Path, data: bytes, when: int = LONG_AGO) -> None:
    path.write_bytes(data)
    os.utime(path, (when, when))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "robots.txt", CONTENT)
    write(tmp_path / "favicon.ico", b"icon")
    (tmp_path / "dir").mkdir()
    write(tmp_path / "dir" / "index.html", b"<p>index")
    return tmp_path


@pytest.fixture(autouse=True)
def forget(web: Any) -> None:
    """Versions are kept for all handlers of a process."""
    web.StaticFileHandler.reset()


@pytest.fixture
async def site(serve: Serve, root: Path) -> Site:
    return await serve([], static_path=str(root))


async def test_a_file(site: Site) -> None:
    answer = await site.get("/static/robots.txt")
    assert (answer.status_code, answer.content) == (200, CONTENT)
    del answer.headers["Server"], answer.headers["Date"]
    assert dict(answer.headers) == {
        "content-type": "text/plain",
        "content-length": str(len(CONTENT)),
        "accept-ranges": "bytes",
        "etag": f'"{VERSION}"',
        "last-modified": DATE,
    }


async def test_a_head(site: Site) -> None:
    whole = await site.get("/static/robots.txt")
    answer = await site.request("HEAD", "/static/robots.txt")
    assert (answer.status_code, answer.content) == (200, b"")
    for headers in (whole.headers, answer.headers):
        del headers["Date"]
    assert answer.headers == whole.headers
    assert (await site.request("HEAD", "/static/none")).status_code == 404


async def test_an_empty_file(site: Site, root: Path) -> None:
    write(root / "empty", b"")
    for method in ("GET", "HEAD"):
        answer = await site.request(method, "/static/empty")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["Content-Length"] == "0"


async def test_other_methods(site: Site) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert (await site.request(method, "/static/robots.txt")).status_code == 405


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.html", "text/html"),
        ("a.css", "text/css"),
        ("a.PNG", "image/png"),
        ("a.tar.gz", "application/gzip"),
        ("a.tar.bz2", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
async def test_types(site: Site, root: Path, name: str, wanted: str) -> None:
    write(root / name, b"x")
    assert (await site.get(f"/static/{name}")).headers["Content-Type"] == wanted


async def test_a_version_in_the_url_is_kept_for_years(site: Site) -> None:
    answer = await site.get(f"/static/robots.txt?v={VERSION}")
    assert answer.headers["Cache-Control"] == "max-age=315360000"
    expires = datetime.datetime.strptime(answer.headers["Expires"], "%a, %d %b %Y %H:%M:%S GMT")
    years = expires - datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    assert abs(years - datetime.timedelta(days=3650)) < datetime.timedelta(minutes=1)


async def test_dates_that_no_field_can_say(
    serve: Serve, web: Any, root: Path, framework: Framework
) -> None:
    """File systems may have them."""
    if framework.is_tornado:
        pytest.skip("it answers with a 500")

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        def _stat(self) -> os.stat_result:
            found = list(super()._stat())
            found[8] = 1 << 50
            return os.stat_result(found)

    site = await serve([(r"/(.*)", Handler, {"path": str(root)})])
    answer = await site.get("/robots.txt")
    assert answer.content == CONTENT
    assert "Last-Modified" not in answer.headers


# -- conditions (RFC 9110, 13)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (304, {"If-None-Match": f'"{VERSION}"'}),
        (304, {"If-None-Match": f'W/"{VERSION}"'}),
        (304, {"If-None-Match": f'"x", "{VERSION}"'}),
        (304, {"If-None-Match": "*"}),
        (200, {"If-None-Match": '"x"'}),
        (304, {"If-Modified-Since": DATE}),
        (304, {"If-Modified-Since": AFTER}),
        (200, {"If-Modified-Since": BEFORE}),
        (200, {"If-Modified-Since": "yesterday"}),
        # 13.2.2: where there are tags the date does not count
        (200, {"If-None-Match": '"x"', "If-Modified-Since": AFTER}),
        (304, {"If-None-Match": f'"{VERSION}"', "If-Modified-Since": BEFORE}),
    ],
)
async def test_what_the_client_has(site: Site, status: int, fields: dict[str, str]) -> None:
    for method in ("GET", "HEAD"):
        answer = await site.request(method, "/static/robots.txt?v=1", headers=fields)
        assert answer.status_code == status
        assert answer.content == (CONTENT if (method, status) == ("GET", 200) else b"")
        # 15.4.5: what a cache needs of it
        for name in ("Etag", "Last-Modified", "Expires", "Cache-Control"):
            assert name in answer.headers
        if status == 304:
            assert "Content-Length" not in answer.headers
            assert "Content-Type" not in answer.headers


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (200, {"If-Match": f'"{VERSION}"'}),
        (200, {"If-Match": "*"}),
        (412, {"If-Match": '"x"'}),
        (200, {"If-Unmodified-Since": DATE}),
        (412, {"If-Unmodified-Since": BEFORE}),
        (200, {"If-Unmodified-Since": "yesterday"}),
        (200, {"If-Match": "*", "If-Unmodified-Since": BEFORE}),
        (412, {"If-Match": '"x"', "If-None-Match": "*"}),
        (304, {"If-Match": "*", "If-None-Match": "*"}),
    ],
)
async def test_what_the_client_wants_the_rest_of(
    site: Site, status: int, fields: dict[str, str]
) -> None:
    """13.1.1 and 13.1.4; Tornado does not look at them."""
    if site.framework.is_tornado:
        status = 304 if "If-None-Match" in fields else 200
    answer = await site.get("/static/robots.txt", headers=fields)
    assert answer.status_code == status


async def test_a_file_that_changes_has_another_tag(site: Site, root: Path) -> None:
    """Also if its time and its size stay as they are, as tools for reproducible builds have it.
    Tornado knows the tag of the first content for as long as it runs."""
    before = await site.get("/static/robots.txt")
    write(root / "robots.txt", CONTENT[::-1])
    headers = {"If-None-Match": before.headers["Etag"]}
    answer = await site.get("/static/robots.txt", headers=headers)
    if site.framework.is_tornado:
        assert answer.status_code == 304
    else:
        assert (answer.status_code, answer.content) == (200, CONTENT[::-1])
        assert answer.headers["Etag"] == f'"{hashlib.sha512(CONTENT[::-1]).hexdigest()}"'


async def test_the_tag_of_a_large_file(site: Site, root: Path, framework: Framework) -> None:
    """It is not read for it. As long as it is new the tag is weak: it could change again."""
    if framework.is_tornado:
        pytest.skip("it reads all")
    write(root / "large", bytes(2 << 20))
    tag = (await site.get("/static/large")).headers["Etag"]
    assert tag.startswith('W/"')
    headers = {"If-None-Match": tag}
    assert (await site.get("/static/large", headers=headers)).status_code == 304
    write(root / "large", bytes(2 << 20) + b"x")
    assert (await site.get("/static/large", headers=headers)).status_code == 200


async def test_the_tag_is_that_of_what_is_sent(
    serve: Serve, web: Any, root: Path, framework: Framework
) -> None:
    """A deployment puts another file in its place while it is being answered."""
    if framework.is_tornado:
        pytest.skip("it sends the new content with the tag of either")

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        def validate_absolute_path(self, root: str, absolute_path: str) -> Any:
            path = super().validate_absolute_path(root, absolute_path)
            write(Path(root) / "new", b"new content")
            os.replace(Path(root) / "new", absolute_path)
            return path

    site = await serve([(r"/(.*)", Handler, {"path": str(root)})])
    answer = await site.get("/robots.txt")
    assert answer.content == CONTENT
    assert answer.headers["Etag"] not in (
        f'"{hashlib.sha512(b"new content").hexdigest()}"',
        f'"{VERSION}"',
    )


# -- directories


@pytest.fixture
async def with_default(serve: Serve, web: Any, root: Path) -> Site:
    arguments = {"path": str(root), "default_filename": "index.html"}
    return await serve([(r"/files/(.*)", web.StaticFileHandler, arguments)])


async def test_a_directory(site: Site, with_default: Site) -> None:
    assert (await site.get("/static/dir/")).status_code == 403
    answer = await with_default.get("/files/dir/")
    assert (answer.status_code, answer.content) == (200, b"<p>index")
    assert answer.headers["Content-Type"] == "text/html"
    assert (await with_default.get("/files/")).status_code == 404


async def test_a_directory_has_a_slash(with_default: Site) -> None:
    answer = await with_default.get("/files/dir?a=b")
    assert answer.status_code == 301
    query = "" if with_default.framework.is_tornado else "?a=b"  # it forgets that
    assert answer.headers["Location"] == "/files/dir/" + query


async def test_cve_2023_28370_a_redirect_stays_here(
    serve: Serve, web: Any, root: Path, framework: Framework
) -> None:
    """A path that begins with two slashes would be another host. (Tornado: 6.5.x.)"""
    arguments = {"path": str(root), "default_filename": "index.html"}
    site = await serve([(r"[/\\]+(.*)", web.StaticFileHandler, arguments)])
    peer = await site.connect()
    for path in ("//dir", "///dir", "/%5cdir"):
        answer = await peer.ask(f"GET {path} HTTP/1.1", "Host: x")
        if answer.status == 301 and not framework.is_tornado:
            assert answer.get("Location") == "/dir/"


# -- settings and URLs


async def test_files_at_the_top(serve: Serve, web: Any, root: Path) -> None:
    """Before all other routes."""
    site = await serve([(r"/(.*)", web.ErrorHandler, {"status_code": 418})], static_path=str(root))
    assert (await site.get("/robots.txt")).content == CONTENT
    assert (await site.get("/favicon.ico")).content == b"icon"
    assert (await site.get("/static/dir/index.html")).content == b"<p>index"
    assert (await site.get("/index.html")).status_code == 418


async def test_settings_of_static_files(serve: Serve, web: Any, root: Path) -> None:
    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        def set_extra_headers(self, path: str) -> None:
            self.set_header("X-Path", path)

    site = await serve(
        [],
        static_path=str(root),
        static_url_prefix="/s.f/",
        static_handler_class=Handler,
        static_handler_args={"default_filename": "index.html"},
    )
    answer = await site.get("/s.f/dir/")
    assert (answer.content, answer.headers["X-Path"]) == (b"<p>index", "dir/")
    assert (await site.get("/sxf/robots.txt")).status_code == 404
    assert (await site.get("/robots.txt")).headers["X-Path"] == "robots.txt"


def url_handler(web: Any) -> Any:
    class Handler(web.RequestHandler):  # type: ignore[name-defined,misc]
        include_host = False

        def get(self) -> None:
            path = self.get_argument("path")
            self.include_host = self.get_argument("own", "") == "yes"
            kwargs: dict[str, Any] = {}
            if self.get_argument("host", None) is not None:
                kwargs["include_host"] = self.get_argument("host") == "yes"
            if self.get_argument("version", None) is not None:
                kwargs["include_version"] = self.get_argument("version") == "yes"
            self.write(self.static_url(path, **kwargs))

    return Handler


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("path=robots.txt", f"/static/robots.txt?v={VERSION}"),
        ("path=none.txt", "/static/none.txt"),
        ("path=dir", "/static/dir"),
        ("path=robots.txt&version=no", "/static/robots.txt"),
        ("path=robots.txt&version=no&host=yes", "HOST/static/robots.txt"),
        ("path=robots.txt&version=no&own=yes", "HOST/static/robots.txt"),
        ("path=robots.txt&version=no&own=yes&host=no", "/static/robots.txt"),
    ],
)
async def test_static_url(serve: Serve, web: Any, root: Path, query: str, wanted: str) -> None:
    """The same URLs as Tornado's: what clients keep is good for both."""
    site = await serve([(r"/url", url_handler(web))], static_path=str(root))
    answer = await site.get(f"/url?{query}")
    assert answer.text == wanted.replace("HOST", f"http://127.0.0.1:{site.port}")


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "dir/../../secret"])
async def test_static_url_stays_inside(serve: Serve, web: Any, root: Path, path: str) -> None:
    site = await serve([(r"/url", url_handler(web))], static_path=str(root))
    assert (await site.get("/url", params={"path": path})).status_code == 403


async def test_static_url_needs_the_setting(serve: Serve, web: Any) -> None:
    site = await serve([(r"/url", url_handler(web))])
    assert (await site.get("/url?path=robots.txt")).status_code == 500


async def test_static_url_of_a_class_of_ones_own(serve: Serve, web: Any, root: Path) -> None:
    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        @classmethod
        def make_static_url(cls, settings: Any, path: str, include_version: bool = True) -> str:
            name, _, ending = path.rpartition(".")
            return f"/static/{name}.{cls.get_version(settings, path)[:8]}.{ending}"

        def parse_url_path(self, url_path: str) -> str:
            name, _, ending = url_path.split(".")
            return f"{name}.{ending}"

    site = await serve(
        [(r"/url", url_handler(web))], static_path=str(root), static_handler_class=Handler
    )
    url = (await site.get("/url?path=robots.txt")).text
    assert url == f"/static/robots.{VERSION[:8]}.txt"
    assert (await site.get(url)).content == CONTENT


async def test_static_url_of_a_file_that_changes(
    serve: Serve, web: Any, root: Path, framework: Framework
) -> None:
    """``static_hash_cache=False`` (as ``debug`` has it): nothing is remembered."""
    for settings in ({"static_hash_cache": False}, {"debug": True, "autoreload": False}, {}):
        write(root / "robots.txt", CONTENT)
        web.StaticFileHandler.reset()
        site = await serve([(r"/url", url_handler(web))], static_path=str(root), **settings)
        first = (await site.get("/url?path=robots.txt")).text
        write(root / "robots.txt", b"changed")
        second = (await site.get("/url?path=robots.txt")).text
        if framework.is_tornado and not settings:
            assert first == second
        else:
            assert first != second


def test_versions(web: Any, root: Path, framework: Framework) -> None:
    """As class methods, with the names that applications use."""
    handler = web.StaticFileHandler
    settings = {"static_path": str(root)}
    assert handler.get_version(settings, "robots.txt") == VERSION
    assert handler.get_content_version(str(root / "robots.txt")) == VERSION
    assert handler._get_cached_version(str(root / "robots.txt")) == VERSION
    assert handler.make_static_url(settings, "robots.txt") == f"/static/robots.txt?v={VERSION}"
    assert handler.make_static_url(settings, "robots.txt", include_version=False) == (
        "/static/robots.txt"
    )
    assert b"".join(handler.get_content(str(root / "robots.txt"))) == CONTENT
    assert b"".join(handler.get_content(str(root / "robots.txt"), 5, 10)) == CONTENT[5:10]
    assert b"".join(handler.get_content(str(root / "robots.txt"), 5)) == CONTENT[5:]
    assert b"".join(handler.get_content(str(root / "robots.txt"), None, 5)) == CONTENT[:5]
    with handler._lock:
        assert isinstance(handler._static_hashes, dict)
    for missing in ("none", "dir"):
        assert handler.get_version(settings, missing) is None
        with pytest.raises(web.HTTPError):
            list(handler.get_content(str(root / missing)))


def test_versions_have_bounds(
    web: Any, root: Path, framework: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is a very large file read, nor are versions kept without end."""
    handler = web.StaticFileHandler
    monkeypatch.setattr(handler, "MAX_VERSION_CONTENT_SIZE", 10)
    monkeypatch.setattr(handler, "MAX_CACHED_VERSIONS", 3)
    settings = {"static_path": str(root)}
    assert handler.make_static_url(settings, "robots.txt") == "/static/robots.txt"
    with pytest.raises(ValueError):
        handler.get_content_version(str(root / "robots.txt"))
    for number in range(5):
        handler._get_cached_version(f"no file {number}")
        assert len(handler._static_hashes) <= 3


def test_a_version_is_kept(web: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tornadoish.web.static import content

    monkeypatch.setattr(content, "FRESH_SECONDS", 0.0)  # else nothing of a test is old enough
    calls = []

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        @classmethod
        def get_content_version(cls, abspath: str) -> str:
            calls.append(abspath)
            return "v"

    settings = {"static_path": str(root)}
    for _ in range(3):
        assert Handler.get_version(settings, "robots.txt") == "v"
    assert len(calls) == 1
    Handler.reset()
    Handler.get_version(settings, "robots.txt")
    assert len(calls) == 2
    if Handler.__mro__[1].__module__.startswith("tornadoish"):  # Tornado keeps it for ever
        write(root / "robots.txt", CONTENT[::-1])
        Handler.get_version(settings, "robots.txt")
        assert len(calls) == 3


def test_a_version_is_not_kept_of_what_is_new(
    web: Any, root: Path, framework: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the grain of a file system's times a file may change again, and they stay the same."""
    if framework.is_tornado:
        pytest.skip("it keeps every version")
    from tornadoish.web.static import content

    settings = {"static_path": str(root)}
    stamp = content.stamp_at(str(root / "robots.txt"))
    monkeypatch.setattr(content, "stamp_at", lambda path: stamp)
    assert web.StaticFileHandler.get_version(settings, "robots.txt") == VERSION
    write(root / "robots.txt", CONTENT[::-1])
    assert web.StaticFileHandler.get_version(settings, "robots.txt") != VERSION
