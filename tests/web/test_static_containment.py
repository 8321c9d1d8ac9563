"""No path leads out of a static directory; and what is no file is not served."""

from __future__ import annotations

import ntpath
import os
import posixpath
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tornadoish.web import HTTPError
from tornadoish.web.static import containment
from tornadoish.web.static.containment import (
    OpenFile,
    is_below,
    is_really_below,
    join_below,
    open_below,
)

from .serving import Answer, Framework, Serve

Ask = Callable[..., Awaitable[Answer]]
SECRET = b"secret"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to be served, with a secret beside it and links that lead to it."""
    root = tmp_path / "static"
    (root / "dir").mkdir(parents=True)
    (root / "file.txt").write_bytes(b"file")
    (root / "dir" / "index.html").write_bytes(b"index")
    (root / "dir" / "in.txt").symlink_to("../file.txt")
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (tmp_path / "static_disallowed").mkdir()
    (tmp_path / "static_disallowed" / "secret.txt").write_bytes(SECRET)
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "outdir").symlink_to(tmp_path / "static_disallowed")
    (root / "dangling").symlink_to("nowhere")
    (root / "loop").symlink_to("loop")
    return root


@pytest.fixture
async def ask(serve: Serve, framework: Framework, root: Path) -> Ask:
    """``ask(path, **arguments)`` gets a path exactly as it is written."""

    async def ask(path: str, **arguments: Any) -> Answer:
        handler = framework.web.StaticFileHandler
        site = await serve([(r"/static/(.*)", handler, {"path": str(root), **arguments})])
        peer = await site.connect()
        return await peer.ask(f"GET {path} HTTP/1.1", "Host: x")

    return ask


def pairs(*cases: tuple[str, int]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("path", "status"), cases, ids=[case[0] for case in cases])


@pairs(
    ("/static/file.txt", 200),
    ("/static/./file.txt", 200),
    ("/static/dir/../file.txt", 200),
    ("/static/dir/in.txt", 200),  # a link that stays inside
    ("/static/none", 404),
    ("/static/file.txt/more", 404),
    ("/static/dangling", 404),
    ("/static/loop", 404),
    ("/static/" + "a" * 300, 404),  # longer than a name may be
    ("/static/" + "a/" * 3000, 404),
    ("/static/dir", 403),
    ("/static/dir/", 403),
    ("/static/", 403),
    ("/static/%ff", 400),
)
async def test_inside(ask: Ask, path: str, status: int) -> None:
    answer = await ask(path)
    assert answer.status == status
    assert status != 200 or answer.body == b"file"


@pairs(
    ("/static/../secret.txt", 403),
    ("/static/dir/../../secret.txt", 403),
    ("/static/..", 403),
    ("/static/%2e%2e/secret.txt", 403),
    ("/static/%2e%2e%2fsecret.txt", 403),
    ("/static/..%2fsecret.txt", 403),  # sanic CVE-2017-16762
    ("/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd", 403),
    ("/static/..%252fsecret.txt", 404),  # decoded once
    ("/static/..%5csecret.txt", 404),  # sanic CVE-2022-35920; here a name like any other
    ("/static//etc/passwd", 403),
    ("/static/%2fetc/passwd", 403),
    ("/static/%2f%2fetc/passwd", 403),
    ("/static/../static_disallowed/secret.txt", 403),  # Starlette CVE-2023-29159
    ("/static/..%2fstatic_disallowed%2fsecret.txt", 403),
)
async def test_cve_2017_16762_and_others_outside_as_written(
    ask: Ask, path: str, status: int
) -> None:
    answer = await ask(path)
    assert answer.status == status
    assert SECRET not in answer.body


@pairs(
    ("/static/out.txt", 403),
    ("/static/outdir/secret.txt", 403),
    ("/static/outdir", 403),
)
async def test_cve_2024_23334_links_that_lead_out(ask: Ask, path: str, status: int) -> None:
    """Also Tornado 6.5.9."""
    answer = await ask(path)
    assert answer.status == status
    assert SECRET not in answer.body


async def test_cve_2025_69226_it_is_not_told_what_there_is_outside(
    ask: Ask, framework: Framework
) -> None:
    """Neither by the status nor, with a default, by a redirect to a directory."""
    if framework.is_tornado:
        pytest.skip("it tells")
    for arguments in ({}, {"default_filename": "index.html"}):
        told = {
            (answer.status, answer.body)
            for name in ("secret.txt", "none", "secret.txt/more", "", ".")
            for answer in [await ask(f"/static/outdir/{name}", **arguments)]
        }
        assert len(told) == 1, told


async def test_a_nul(ask: Ask, framework: Framework) -> None:
    """There is no such file; Tornado answers with a 500."""
    for path in ("/static/file.txt%00", "/static/%00", "/static/file.txt%00.html"):
        assert (await ask(path)).status == (500 if framework.is_tornado else 404)


async def test_ghsa_6_6_1_streams_of_files_and_other_names_of_windows(ask: Ask) -> None:
    """Here they are names like any other, of no file."""
    for path in ("file.txt::$DATA", "file.txt:stream", "C:/secret.txt", "C:secret.txt", "NUL"):
        assert (await ask(f"/static/{path}")).status == 404


async def test_a_fifo_is_never_opened(ask: Ask, root: Path) -> None:
    """It would wait for a writer."""
    os.mkfifo(root / "fifo")
    (root / "link").symlink_to("fifo")
    for name in ("fifo", "link"):
        assert (await ask(f"/static/{name}")).status == 403


async def test_a_socket_and_a_device(ask: Ask, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # a socket's name must be short
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("socket")
        assert (await ask("/static/socket")).status == 403
    (root / "zero").symlink_to("/dev/zero")
    answer = await ask("/static/zero", allowed_symlink_directory=["/dev"])
    assert answer.status == 403


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_what_must_not_be_read(ask: Ask, root: Path, framework: Framework) -> None:
    (root / "file.txt").chmod(0)
    assert (await ask("/static/file.txt")).status == (500 if framework.is_tornado else 403)


# -- links that may lead out (FIELD: the fix of Tornado 6.5.9 broke Jupyter)


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
async def test_tornado_6_5_10_links_that_may_lead_out(ask: Ask, root: Path, several: bool) -> None:
    allowed = str(root.parent / "static_disallowed")
    arguments: Any = {"allowed_symlink_directory": ["/none", allowed] if several else allowed}
    assert (await ask("/static/outdir/secret.txt", **arguments)).body == SECRET
    assert (await ask("/static/out.txt", **arguments)).status == 403
    # Instead of the root, not beside it.
    assert (await ask("/static/file.txt", **arguments)).status == 403
    arguments = {"allowed_symlink_directory": [str(root), allowed]}
    assert (await ask("/static/file.txt", **arguments)).body == b"file"


async def test_jupyter_sets_it_on_the_instance(serve: Serve, web: Any, root: Path) -> None:
    """As soon as it knows under which of several roots a file is."""

    class Handler(web.StaticFileHandler):  # type: ignore[name-defined,misc]
        def validate_absolute_path(self, root: str, absolute_path: str) -> Any:
            self.allowed_symlink_directory = os.path.dirname(root)
            return super().validate_absolute_path(root, absolute_path)

    site = await serve([(r"/(.*)", Handler, {"path": str(root)})])
    assert (await site.get("/out.txt")).content == SECRET


async def test_a_root_that_is_a_link(serve: Serve, web: Any, root: Path) -> None:
    """A deployment's "current" that is changed while we run."""
    current = root.parent / "current"
    current.symlink_to(root)
    site = await serve([(r"/(.*)", web.StaticFileHandler, {"path": str(current)})])
    assert (await site.get("/file.txt")).content == b"file"
    assert (await site.get("/out.txt")).status_code == 403
    new = root.parent / "new"
    new.mkdir()
    (new / "file.txt").write_bytes(b"new")
    current.unlink()
    current.symlink_to(new)
    assert (await site.get("/file.txt")).content == b"new"


async def test_a_root_that_is_relative(
    serve: Serve, web: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    site = await serve([(r"/(.*)", web.StaticFileHandler, {"path": "static/../static/"})])
    assert (await site.get("/file.txt")).content == b"file"
    assert (await site.get("/out.txt")).status_code == 403


# -- the rest is ours


def test_what_is_served_is_what_was_checked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that takes the place of the file between the check of its kind and its opening."""
    path = root / "file.txt"
    opened = os.open

    def swapped(name: Any, *arguments: Any, **options: Any) -> int:
        if name == str(path):
            path.unlink()
            path.symlink_to(root.parent / "secret.txt")
        return opened(name, *arguments, **options)

    monkeypatch.setattr(containment.os, "open", swapped)
    with pytest.raises(HTTPError) as caught:
        open_below(str(path), [str(root)])
    assert caught.value.status_code == 403


@pytest.mark.parametrize("swap", [True, False])
def test_where_the_system_does_not_tell_where_a_file_is(
    root: Path, monkeypatch: pytest.MonkeyPatch, swap: bool
) -> None:
    """Without /proc its name is followed, and must lead to the very file that is open."""

    def untold(path: str) -> str:
        raise FileNotFoundError(path)

    readlink = os.readlink
    monkeypatch.setattr(
        containment.os,
        "readlink",
        lambda path, **kw: untold(path) if str(path).startswith("/proc") else readlink(path, **kw),
    )
    if not swap:
        assert open_below(str(root / "file.txt"), [str(root)]).stat.st_size == 4
        with pytest.raises(HTTPError):
            open_below(str(root / "out.txt"), [str(root)])
        return
    realpath = os.path.realpath

    def swapped(path: str) -> str:
        real = realpath(path)
        if real.endswith("secret.txt"):
            return str(root / "file.txt")  # as if it had been another one just now
        return real

    monkeypatch.setattr(containment.os.path, "realpath", swapped)
    with pytest.raises(HTTPError):
        open_below(str(root / "out.txt"), [str(root)])


def test_a_file_that_is_removed_can_still_be_sent(root: Path) -> None:
    """As long as it is open."""
    file = OpenFile(str(root / "file.txt"))
    (root / "file.txt").unlink()
    real = containment._real_path(file)
    assert real is not None
    assert is_really_below(str(root / "file.txt"), real, [str(root)])
    file.close()
    file.close()


def test_a_file_is_closed_when_nobody_has_it(root: Path) -> None:
    file = OpenFile(str(root / "file.txt"))
    number = file.fd
    os.fstat(number)
    del file
    with pytest.raises(OSError):
        os.fstat(number)


@pytest.mark.parametrize(
    ("root", "path", "wanted"),
    [
        ("/a", "/a", True),
        ("/a", "/a/b", True),
        ("/a", "/ab", False),
        ("/a/", "/a/b", True),
        ("/", "/a", True),
        ("/a", "/A/b", False),
        ("/a", "/", False),
    ],
)
def test_below(root: str, path: str, wanted: bool) -> None:
    assert is_below(root, path, posixpath) is wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a.txt", "C:\\www\\a.txt"),
        ("a\\b.txt", "C:\\www\\a\\b.txt"),
        ("a/../b.txt", "C:\\www\\b.txt"),
        ("a.b.c", "C:\\www\\a.b.c"),
        ("console.txt", "C:\\www\\console.txt"),
        ("", "C:\\www"),
        (".", "C:\\www"),
        ("..\\secret.txt", 403),  # sanic CVE-2022-35920
        ("a\\..\\..\\www2\\secret.txt", 403),
        ("\\secret.txt", 403),
        ("/secret.txt", 403),
        ("\\\\host\\share\\secret.txt", 403),  # aiohttp CVE-2026-34515
        ("//host/share/secret.txt", 403),
        ("\\\\?\\UNC\\host\\share", 403),
        ("\\\\.\\pipe\\x", 403),
        ("C:\\www\\a.txt", 404),
        ("D:secret.txt", 404),
        ("a.txt::$DATA", 404),  # Tornado 6.6.1
        ("a.txt:stream", 404),
        ("dir::$INDEX_ALLOCATION/a.txt", 404),
        ("a.txt.", 404),
        ("a.txt ", 404),
        ("... /a", 404),
        ("NUL", 404),
        ("con.txt", 404),
        ("dir\\AUX", 404),
        ("lpt1 .txt", 404),
        ("COM\xb9", 404),
        ("a\0.txt", 404),
    ],
)
def test_names_of_windows(path: str, wanted: str | int) -> None:
    """Looked at as text alone, on any system: nothing is asked of the file system before."""
    if isinstance(wanted, str):
        assert join_below("C:\\www", path, ntpath) == wanted
    else:
        with pytest.raises(HTTPError) as caught:
            join_below("C:\\www", path, ntpath)
        assert caught.value.status_code == wanted


def test_names_of_windows_have_no_case() -> None:
    assert is_below("C:\\WWW", "c:\\www\\a.txt", ntpath)
    assert not is_below("C:\\WWW", "c:\\www2\\a.txt", ntpath)
