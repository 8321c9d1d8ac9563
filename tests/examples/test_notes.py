"""examples/notes/: who may see and do what, and what is kept, over a running server."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import Start
from .noting import data, server
from .running import Example, until

__all__ = ["data", "server"]  # fixtures

KIB = 1024
MIB = 1024 * KIB
PASSWORD = "correct horse"

Visit = Callable[..., "Visitor"]

_numbers = itertools.count()


class Visitor:
    """Somebody with a browser of his own: it keeps cookies, and sends forms with their tokens."""

    def __init__(self, url: str) -> None:
        self.name = ""
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=20)

    def sign_up(self, name: str) -> None:
        self.name = name
        answer = self.send("/sign-up", name=name, password=PASSWORD)
        assert answer.status_code == 303, answer.text

    def get(self, path: str, **headers: str) -> httpx.Response:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.get(path, headers=fields)

    def token(self) -> str:
        """The token of a form that was asked for now."""
        found = re.search(r'name="_xsrf" value="([^"]+)"', self.get("/sign-in").text)
        assert found is not None
        return found[1]

    def send(self, path: str, files: Any = None, **fields: str) -> httpx.Response:
        data = {"_xsrf": self.token(), **fields}
        return self.http.post(path, data=data, files=files)

    def sign_in(self, name: str, password: str = PASSWORD) -> int:
        """The status of an attempt to."""
        return self.send("/sign-in", name=name, password=password).status_code

    def note(self, title: str, text: str = "") -> int:
        """Write a note; its number."""
        answer = self.send("/notes/new", title=title, text=text)
        assert answer.status_code == 303, answer.text
        return int(answer.headers["Location"].rpartition("/")[2])

    def attach(self, note: int, name: str, content: bytes) -> str:
        """Attach a file; the path by which it is downloaded."""
        answer = self.send(f"/notes/{note}/files", files={"files": (name, content)})
        assert answer.status_code == 303, answer.text
        found = re.findall(r'<a class="name" href="([^"]+)"', self.get(f"/notes/{note}").text)
        assert found
        return str(found[-1])


def without_tokens(answer: httpx.Response) -> str:
    """The page, without what is another in each."""
    return re.sub('name="_xsrf" value="[^"]*"', "", answer.text)


@pytest.fixture
def visit(server: Example) -> Iterator[Visit]:
    """A function that makes visitors of the server; with a name, they have signed up, under that
    name and a number."""
    visitors: list[Visitor] = []

    def visit_as(name: str = "") -> Visitor:
        visitors.append(Visitor(server.url))
        if name:
            visitors[-1].sign_up(f"{name}.{next(_numbers)}")
        return visitors[-1]

    yield visit_as
    for visitor in visitors:
        visitor.http.close()


# ---- Who may see what ------------------------------------------------------------------------


def test_strangers(visit: Visit) -> None:
    owner, other, stranger = visit("ann"), visit("bob"), visit()
    note = owner.note("mine")
    file = owner.attach(note, "a.txt", b"secret")
    for path in ("/", f"/notes/{note}", f"/notes/{note}/edit", file, "/notes/new", "/account"):
        assert owner.get(path).status_code == 200
        answer = stranger.get(path)
        assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (
            302, "/sign-in",
        )  # fmt: skip
    other.get("/")  # where he is welcomed
    for path in (f"/notes/{note}", f"/notes/{note}/edit", file):
        answer = other.get(path)
        assert answer.status_code == 404
        assert "or it is not yours" in answer.text
        missing = other.get(re.sub("[0-9]+", "999999", path, count=1))
        assert without_tokens(answer) == without_tokens(missing)
    assert "mine" not in other.get("/?q=mine").text.replace("“mine”", "").replace('"mine"', "")
    number = file.split("/")[2]
    changes = [
        f"/notes/{note}/edit", f"/notes/{note}/delete", f"/notes/{note}/files",
        f"/notes/{note}/files/{number}/delete",
    ]  # fmt: skip
    for path in changes:
        multipart = {"files": ("a", b"x")} if path.endswith("files") else None
        fields = {"title": "theirs", "text": "", "revision": "1"}
        assert other.send(path, multipart, **fields).status_code == 404
        assert stranger.send(path, multipart, **fields).status_code == 403
    assert owner.get(file).content == b"secret"
    assert "mine" in owner.get(f"/notes/{note}").text


def test_forms_of_other_sites(visit: Visit) -> None:
    visitor = visit("ann")
    note = visitor.note("n")
    for path in ("/notes/new", "/sign-out", "/sign-in", f"/notes/{note}/delete", "/account"):
        answer = visitor.http.post(path, data={"title": "x"})
        assert answer.status_code == 403
        assert "too old" in answer.text
    token = visitor.token()
    for field in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
        data = {"_xsrf": token, "title": "x"}
        assert visitor.http.post("/notes/new", data=data, headers=field).status_code == 403
    files = {"files": ("a", b"x")}
    assert visitor.http.post(f"/notes/{note}/files", files=files).status_code == 403
    wrong = {"_xsrf": (None, "0" * 32), **files}
    behind = {**files, "_xsrf": (None, token)}  # too late
    for form in (wrong, behind):
        assert visitor.http.post(f"/notes/{note}/files", files=form).status_code == 403
    assert 'class="name"' not in visitor.get(f"/notes/{note}").text
    assert visitor.get("/").text.count('class="card"') == 1


def test_cookies(visit: Visit) -> None:
    visitor = visit()
    answer = visitor.send("/sign-up", name="cookie-monster", password=PASSWORD)
    cookies = {cookie.partition("=")[0]: cookie for cookie in answer.headers.get_list("Set-Cookie")}
    for attribute in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert attribute in cookies["session"]
    assert "Secure" not in cookies["session"]
    assert "HttpOnly" in visit().get("/sign-in").headers["Set-Cookie"]
    visitor = visit()
    visitor.http.headers["X-Forwarded-Proto"] = "https"
    answer = visitor.send("/sign-in", name="cookie-monster", password=PASSWORD)
    assert "Secure" in answer.headers["Set-Cookie"]
    # One that nobody has signed is none; nor is one that was signed for something else.
    value = visitor.http.cookies["session"]
    notice = cookies["notice"].partition("=")[2].partition(";")[0]
    for forged in (value[:-1] + ("0" if value[-1] != "0" else "1"), "1.1", notice):
        answer = httpx.get(f"{visitor.http.base_url}", headers={"Cookie": f"session={forged}"})
        assert answer.status_code == 302


def test_sessions_end(visit: Visit) -> None:
    here, there = visit("ann"), visit()
    session = here.http.cookies["session"]
    assert there.sign_in(here.name.upper()) == 303
    fields = {"old": PASSWORD, "new": "battery staple"}
    assert here.send("/account", **(fields | {"old": "wrong"})).status_code == 422
    assert here.send("/account", **(fields | {"new": "short"})).status_code == 422
    assert here.send("/account", **fields).status_code == 303
    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 302  # whoever else knew the password is out
    stolen = visit()
    stolen.http.cookies.set("session", session)
    assert stolen.get("/").status_code == 302
    assert there.sign_in(here.name) == 422
    assert there.sign_in(here.name, "battery staple") == 303
    assert there.send("/sign-out").status_code == 303
    assert (here.get("/").status_code, there.get("/").status_code) == (200, 302)
    assert here.send("/sign-out", everywhere="1").status_code == 303
    there.http.cookies.set("session", session)
    assert (here.get("/").status_code, there.get("/").status_code) == (302, 302)


def test_wrong_passwords(visit: Visit) -> None:
    name = visit("ann").name
    visitor = visit()
    pages = [
        without_tokens(visitor.send("/sign-in", name=who, password="wrong")).replace(who, "")
        for who in (name, "nobody")
    ]
    assert pages[0] == pages[1]  # nobody learns who there is
    with ThreadPoolExecutor(3) as threads:
        tries = threads.map(lambda _: visit().sign_in(name, "wrong"), range(9))
        assert list(tries) == [422] * 9
    assert visitor.sign_in(name.upper()) == 429
    assert visitor.sign_in("nobody") == 422  # another name is another matter


def test_names(visit: Visit) -> None:
    visitor = visit("ann")
    for name in ("ab", "a" * 33, "a b", "ä" * 5, "<b>", ""):
        assert visitor.send("/sign-up", name=name, password=PASSWORD).status_code == 422
    answer = visitor.send("/sign-up", name=visitor.name.upper(), password=PASSWORD)
    assert answer.status_code == 422
    assert "is taken" in answer.text
    for password in ("x" * 7, "x" * 201):
        assert visitor.send("/sign-up", name="someone", password=password).status_code == 422


def test_the_way_back(visit: Visit) -> None:
    visitor = visit("ann")
    ways = {
        "/notes/new?x=1": "/notes/new?x=1",
        "//evil.example/": "/",
        "/\\evil.example": "/",
        "/\t/evil.example": "/",
        "https://evil.example/": "/",
        "javascript:alert(1)": "/",
        "": "/",
    }
    for way, place in ways.items():
        page = visitor.http.get("/sign-in", params={"next": way}).text
        assert f'name="next" value="{place}"' in page
    answer = visitor.send("/sign-in", name=visitor.name, password=PASSWORD, next="/notes/new")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/notes/new")


# ---- What is kept ----------------------------------------------------------------------------


def test_what_is_on_disk(visit: Visit, data: Path) -> None:
    visitor = visit("ann")
    visitor.attach(visitor.note("n"), "../../etc/passwd", b"x")
    database = sqlite3.connect(data / "notes.sqlite3")
    (password,) = database.execute(
        "SELECT password FROM users WHERE name = ?", (visitor.name,)
    ).fetchone()
    (stored,) = database.execute("SELECT stored FROM files WHERE name = 'passwd'").fetchone()
    database.close()
    assert password.startswith("scrypt$16384$8$5$")
    assert PASSWORD not in password
    assert re.fullmatch("[0-9a-f]{32}", stored)
    assert (data / "files" / stored).read_bytes() == b"x"
    assert stat.S_IMODE((data / "keys.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_a_restart(start: Start, tmp_path: Path) -> None:
    """Sessions and notes are still there, and what an upload has left behind is not. A new key
    signs, the old one is still believed."""
    data = tmp_path / "data"
    server = start("notes/app.py", "0", "--data", str(data))
    visitor, again = Visitor(server.url), Visitor(server.url)
    with visitor.http, again.http:
        visitor.sign_up("ann")
        file = visitor.attach(visitor.note("kept"), "a", b"abc")
        with Events(visitor) as events:
            assert events.next() == ("1", {"note": 1})
            assert events.next() == ("2", {"note": 1})
            server.check_clean_end()
            assert events.next() is None  # nobody waits for who waits
        (data / "files" / ".upload-123").write_bytes(b"half of it")
        keys = json.loads((data / "keys.json").read_text())
        keys["1"][1] -= 31 * 24 * 3600
        (data / "keys.json").write_text(json.dumps(keys))

        start("notes/app.py", str(server.port), "--data", str(data))
        assert "kept" in visitor.get("/").text
        assert visitor.get(file).content == b"abc"
        assert len(list((data / "files").iterdir())) == 1
        assert again.sign_in("ann") == 303
        versions = [one.http.cookies["session"].split("|")[1] for one in (visitor, again)]
        assert versions == ["1:1", "1:2"]


def test_search_and_pages(visit: Visit) -> None:
    visitor = visit("ann")
    for number in range(12):
        visitor.note(f"Note {number}", "in der Großen Straße 50%_" if number % 4 == 0 else "")
    titles = re.compile("<h2><a[^>]+>([^<]+)</a>")
    found = titles.findall(visitor.get("/").text)
    assert found == [f"Note {number}" for number in range(11, 1, -1)]
    for page in ("2", "99"):
        assert titles.findall(visitor.get(f"/?page={page}").text) == ["Note 1", "Note 0"]
    for page in ("0", "-1", "x", "9" * 30):
        assert titles.findall(visitor.get(f"/?page={page}").text) == found
    for query in ("STRASSE note", "große", "50%_"):
        answer = visitor.http.get("/", params={"q": query})
        assert titles.findall(answer.text) == ["Note 8", "Note 4", "Note 0"]
    assert not titles.findall(visitor.http.get("/", params={"q": "' OR 1=1 --"}).text)


def test_words_are_words(visit: Visit) -> None:
    visitor = visit("ann")
    title, text = "<script>alert(1)</script>", '\n&amp; "</textarea><b>\r\nlast'
    note = visitor.note(title, text)
    for path in ("/", f"/notes/{note}", f"/notes/{note}/edit", "/?q=%3Cscript%3E"):
        page = visitor.get(path).text
        assert "<script>alert" not in page
        assert "<b>" not in page
    shown = visitor.get(f"/notes/{note}/edit").text
    assert ">\n\n&amp;amp; &#34;&lt;/textarea&gt;&lt;b&gt;\nlast</textarea>" in shown
    assert visitor.send("/notes/new", title=" ", text="x").status_code == 422
    assert visitor.send("/notes/new", title="x", text="y" * 100_001).status_code == 422
    assert visitor.send("/notes/new", title="x" * 201).status_code == 422
    assert visitor.send("/notes/new", title="x", text="y" * 3 * MIB).status_code == 413


def test_a_notice_is_for_the_page_that_was_sent_for(visit: Visit) -> None:
    visitor = visit("ann")
    assert "Welcome" not in visitor.get("/", X_Refresh="1").text  # another tab is being refreshed
    assert "Welcome" in visitor.get("/").text
    assert "Welcome" not in visitor.get("/").text


def test_two_who_edit_one_note(visit: Visit) -> None:
    visitor = visit("ann")
    note = visitor.note("n", "first")
    for text, status in [("second", 303), ("third", 409)]:
        answer = visitor.send(f"/notes/{note}/edit", title="n", text=text, revision="1")
        assert answer.status_code == status
    assert "second" in answer.text and "third" in answer.text
    assert 'name="revision" value="2"' in answer.text
    assert "third" not in visitor.get(f"/notes/{note}").text
    visitor.send(f"/notes/{note}/edit", title="n", text="third", revision="2")
    assert "third" in visitor.get(f"/notes/{note}").text


# ---- Attachments -----------------------------------------------------------------------------


def test_downloads(visit: Visit) -> None:
    visitor = visit("ann")
    note = visitor.note("n")
    name = 'a "quoted" ü/€.html'
    file = visitor.attach(note, name, b"<script>alert(1)</script>")
    answer = visitor.get(file)
    assert answer.content == b"<script>alert(1)</script>"
    headers = answer.headers
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"] == (
        "attachment; filename=\"_.html\"; filename*=UTF-8''%E2%82%AC.html"
    )
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Cache-Control"] == "private, no-cache"
    part = visitor.get(file, Range="bytes=8-12")
    assert (part.status_code, part.content) == (206, b"alert"[:0] + b"alert")
    assert visitor.get(file, If_None_Match=headers["Etag"]).status_code == 304
    head = visitor.http.head(file)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", "25")
    picture = visitor.attach(note, "A.PNG", b"\x89PNG")
    assert visitor.get(picture).headers["Content-Type"] == "image/png"
    assert visitor.get(picture).headers["Content-Disposition"].startswith("attachment")
    drawing = visitor.attach(note, "a.svg", b"<svg/>")
    assert visitor.get(drawing).headers["Content-Type"] == "application/octet-stream"


def test_bounds_of_uploads(visit: Visit, data: Path) -> None:
    visitor = visit("ann")
    note = visitor.note("n")
    path = f"/notes/{note}/files"
    before = set((data / "files").iterdir())
    visitor.attach(note, "whole", b"x" * MIB)
    for size in (MIB + 1, 3 * MIB, 30 * MIB):  # the last one is refused by its head
        answer = visitor.send(path, files={"files": ("large", b"x" * size)})
        assert answer.status_code == 413
        assert "A file may have 1 MiB" in answer.text
    many = [("files", (f"{number}", b"x")) for number in range(20)]
    answer = visitor.send(path, files=many)
    assert answer.status_code == 409
    assert "at most 20 files" in answer.text
    assert visitor.get(f"/notes/{note}").text.count('class="name"') == 20
    assert len(set((data / "files").iterdir()) - before) == 20
    assert visitor.send(path).status_code == 415  # no such form
    answer = visitor.send(path, files={"other": (None, "x")})
    assert answer.status_code == 303
    assert "No file was chosen." in visitor.get(f"/notes/{note}").text


def test_deleting(visit: Visit, data: Path) -> None:
    visitor = visit("ann")
    note = visitor.note("n")
    before = set((data / "files").iterdir())
    files = [visitor.attach(note, name, b"x") for name in "ab"]
    number = files[0].split("/")[2]
    assert visitor.send(f"/notes/{note}/files/{number}/delete").status_code == 303
    assert visitor.get(files[0]).status_code == 404
    assert visitor.send(f"/notes/{note}/delete").status_code == 303
    assert visitor.get(files[1]).status_code == visitor.get(f"/notes/{note}").status_code == 404
    assert set((data / "files").iterdir()) == before
    assert visitor.note("another") > note  # no link leads to another note than it did


# ---- Pages of errors, and what is no page ----------------------------------------------------


def test_error_pages(visit: Visit) -> None:
    visitor = visit("ann")
    page = visitor.get("/nowhere")
    assert (page.status_code, "<h1>Not Found</h1>" in page.text) == (404, True)
    problem = visitor.get("/notes/999", Accept="application/json, application/problem+json")
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert problem.json() == {
        "status": 404,
        "title": "Not Found",
        "detail": "There is no such note, or it is not yours.",
    }
    for answer in (page, problem, visitor.get("/"), visitor.http.put("/")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert visitor.http.put("/").status_code in (403, 405)


def test_static_files(visit: Visit) -> None:
    visitor = visit()
    page = visitor.get("/sign-in").text
    found = re.search(r'href="(/static/style\.css\?v=[0-9a-f]+)"', page)
    assert found is not None
    answer = visitor.get(found[1])
    assert answer.headers["Content-Type"] == "text/css"
    assert answer.headers["Cache-Control"].startswith("max-age=")
    for path in ("/static/../app.py", "/static/%2e%2e/keys.py", "/static//etc/passwd"):
        assert visitor.get(path).status_code in (403, 404)


# ---- Events ----------------------------------------------------------------------------------


class Events:
    """A stream of events, read one after the other."""

    def __init__(self, visitor: Visitor, after: int = 0, **headers: str) -> None:
        self._http = httpx.Client(base_url=visitor.http.base_url, trust_env=False, timeout=20)
        self._http.cookies = visitor.http.cookies
        request = self._http.build_request("GET", f"/events?after={after}", headers=headers)
        self.answer = self._http.send(request, stream=True)
        self._lines = self.answer.iter_lines()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._http.close()

    def next(self) -> tuple[str, Any] | None:
        """Id and data of the next event; None at the end of the stream."""
        number = ""
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "id":
                number = value
            elif name == "data":
                return number, json.loads(value)
        return None

    def next_of(self, note: int | None) -> int:
        """The id of the next event, which is of this note."""
        event = self.next()
        assert event is not None
        assert event[1] == {"note": note}
        return int(event[0])


def test_events(visit: Visit) -> None:
    visitor, other = visit("ann"), visit("bob")
    first = visitor.note("first")
    with Events(visitor) as events:
        assert events.answer.headers["Content-Type"] == "text/event-stream"
        assert events.next_of(first)
        other.note("of somebody else")
        seen = events.next_of(visitor.note("second"))
        visitor.send(f"/notes/{first}/delete")
        last = events.next_of(first)
    # A browser that comes back says what it has had.
    with Events(visitor, **{"Last-Event-ID": str(seen)}) as events:
        assert events.next_of(first) == last
        visitor.send("/sign-out", everywhere="1")
        assert events.next() is None
    with Events(visitor) as events:
        assert events.answer.status_code == 204


def test_events_that_are_not_known_any_more(visit: Visit, data: Path) -> None:
    visitor = visit("ann")
    note = visitor.note("n")
    database = sqlite3.connect(data / "notes.sqlite3")
    with database:
        database.execute(
            """WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 150)
               INSERT INTO changes (user_id, note_id) SELECT users.id, ? FROM users, n
               WHERE name = ?""",
            (note, visitor.name),
        )
    database.close()
    last = visitor.note("last")
    with Events(visitor) as events:
        newest = events.next_of(None)
    with Events(visitor, after=newest - 1) as events:
        assert events.next_of(last) == newest


def test_streams_of_one_user_are_bounded(visit: Visit) -> None:
    visitor = visit("ann")

    def status() -> int:
        with Events(visitor) as stream:
            return stream.answer.status_code

    with ExitStack() as stack:
        streams = [stack.enter_context(Events(visitor)) for _ in range(20)]
        assert [stream.answer.status_code for stream in streams] == [200] * 20
        assert status() == 429
    until(lambda: status() == 200)
