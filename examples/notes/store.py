"""What is stored, and every question that is asked of it: users, notes, files, and what changed.

Plain functions that take a connection; handlers run them by `Database.run`, each in a transaction.
Nothing in here knows HTTP.

Whatever belongs to somebody is asked for with the user's id: what is another's is not there. So no
handler can forget to look whose it is.
"""

import sqlite3
import time
import unicodedata
from dataclasses import dataclass

MAX_NOTES = 10_000  # of one user
MAX_FILES = 20  # of one note
NOTES_ON_PAGE = 10
MAX_WORDS = 8  # that are searched for
KEPT_CHANGES = 100  # of one user

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password TEXT NOT NULL,               -- see passwords.py
    session INTEGER NOT NULL DEFAULT 1    -- only cookies with this number count
);
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- an id that was deleted does not come again
    user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    folded TEXT NOT NULL,                 -- both, in the form in which they are searched
    created REAL NOT NULL,                -- seconds since 1970
    changed REAL NOT NULL,
    revision INTEGER NOT NULL DEFAULT 1   -- so that nobody overwrites what he has not seen
);
CREATE INDEX IF NOT EXISTS notes_by_time ON notes (user_id, changed DESC, id DESC);
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    note_id INTEGER NOT NULL REFERENCES notes ON DELETE CASCADE,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    stored TEXT NOT NULL UNIQUE           -- its name on disk, see files.py
);
CREATE INDEX IF NOT EXISTS files_by_note ON files (note_id);
CREATE TABLE IF NOT EXISTS changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- what Last-Event-ID says
    user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    note_id INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS changes_by_user ON changes (user_id, id);
"""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who is signed in."""

    id: int
    name: str
    session: int
    last_change: int
    """The id of the last change of his notes: a page that is made now has all up to this one."""


@dataclass(frozen=True, slots=True)
class File:
    """An attachment."""

    id: int
    note_id: int
    name: str
    size: int
    stored: str


@dataclass(frozen=True, slots=True)
class Note:
    id: int
    title: str
    text: str
    created: float
    changed: float
    revision: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A note as it stands in the list: the begin of its text, and how many files it has."""

    id: int
    title: str
    begin: str
    changed: float
    files: int


@dataclass(frozen=True, slots=True)
class Found:
    """One page of the list."""

    entries: list[Entry]
    page: int
    pages: int
    total: int


@dataclass(frozen=True, slots=True)
class Change:
    """That a note was added, changed or deleted, or one of its files was."""

    id: int
    note_id: int


class NameTakenError(Exception):
    """There is a user of this name already."""


class FullError(Exception):
    """There are as many notes, files or bytes as there may be."""


class ConflictError(Exception):
    """The note is not the one any more that the user has seen."""


# -- users

_USER = """
SELECT id, name, session,
       (SELECT coalesce(max(id), 0) FROM changes WHERE user_id = users.id)
FROM users
"""


def add_user(db: sqlite3.Connection, name: str, password: str) -> User:
    """A new user; NameTakenError where letters differ in nothing but their case, too."""
    try:
        added = db.execute("INSERT INTO users (name, password) VALUES (?, ?)", (name, password))
    except sqlite3.IntegrityError:
        raise NameTakenError(name) from None
    return User(*db.execute(_USER + "WHERE id = ?", (added.lastrowid,)).fetchone())


def user_and_password(db: sqlite3.Connection, name: str) -> tuple[User, str] | None:
    """The user of this name, with the password as it is stored."""
    row = db.execute(_USER + "WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    user = User(*row)
    (password,) = db.execute("SELECT password FROM users WHERE id = ?", (user.id,)).fetchone()
    return user, password


def user_of_session(db: sqlite3.Connection, user_id: int, session: int) -> User | None:
    """The user, if cookies of this session still count."""
    row = db.execute(_USER + "WHERE id = ? AND session = ?", (user_id, session)).fetchone()
    return User(*row) if row else None


def end_sessions(db: sqlite3.Connection, user_id: int, password: str | None = None) -> User:
    """Have no cookie count any more that was given until now; with a new password, perhaps."""
    db.execute(
        "UPDATE users SET session = session + 1, password = coalesce(?, password) WHERE id = ?",
        (password, user_id),
    )
    return User(*db.execute(_USER + "WHERE id = ?", (user_id,)).fetchone())


# -- notes


def fold(text: str) -> str:
    """Text in the form in which it is searched: whoever looks for "strasse" finds "Straße"."""
    return unicodedata.normalize("NFKC", text).casefold()


def find_notes(db: sqlite3.Connection, user_id: int, query: str, page: int) -> Found:
    """The notes that have all words of `query`, those that changed last first; the nearest page
    that there is."""
    words = fold(query).split()[:MAX_WORDS]
    where = "WHERE user_id = ?" + " AND instr(folded, ?) > 0" * len(words)
    (total,) = db.execute(f"SELECT count(*) FROM notes {where}", (user_id, *words)).fetchone()
    pages = max(1, -(-total // NOTES_ON_PAGE))
    page = min(max(page, 1), pages)
    rows = db.execute(
        f"""SELECT id, title, substr(text, 1, 200), changed,
                   (SELECT count(*) FROM files WHERE note_id = notes.id)
            FROM notes {where} ORDER BY changed DESC, id DESC LIMIT ? OFFSET ?""",
        (user_id, *words, NOTES_ON_PAGE, (page - 1) * NOTES_ON_PAGE),
    )
    return Found([Entry(*row) for row in rows], page, pages, total)


def get_note(db: sqlite3.Connection, user_id: int, note_id: int) -> Note | None:
    row = db.execute(
        """SELECT id, title, text, created, changed, revision
           FROM notes WHERE user_id = ? AND id = ?""",
        (user_id, note_id),
    ).fetchone()
    return Note(*row) if row else None


def add_note(db: sqlite3.Connection, user_id: int, title: str, text: str) -> int:
    """The id of a new note; FullError."""
    (count,) = db.execute("SELECT count(*) FROM notes WHERE user_id = ?", (user_id,)).fetchone()
    if count >= MAX_NOTES:
        raise FullError
    now = time.time()
    added = db.execute(
        """INSERT INTO notes (user_id, title, text, folded, created, changed)
           VALUES (?, ?, ?, ?, ?, ?)""",
        (user_id, title, text, fold(f"{title}\n{text}"), now, now),
    )
    note_id = added.lastrowid or 0
    _note_change(db, user_id, note_id)
    return note_id


def change_note(
    db: sqlite3.Connection, user_id: int, note_id: int, revision: int, title: str, text: str
) -> None:
    """Give a note other words; ConflictError unless it still is the `revision` that was shown."""
    changed = db.execute(
        """UPDATE notes SET title = ?, text = ?, folded = ?, changed = ?, revision = revision + 1
           WHERE user_id = ? AND id = ? AND revision = ?""",
        (title, text, fold(f"{title}\n{text}"), time.time(), user_id, note_id, revision),
    )
    if not changed.rowcount:
        raise ConflictError
    _note_change(db, user_id, note_id)


def delete_note(db: sqlite3.Connection, user_id: int, note_id: int) -> list[File] | None:
    """Delete a note; its files, which are to be removed from the disk. None: there was no note."""
    files = files_of(db, user_id, note_id)
    found = db.execute("DELETE FROM notes WHERE user_id = ? AND id = ?", (user_id, note_id))
    if not found.rowcount:
        return None
    _note_change(db, user_id, note_id)
    return files


# -- files

_FILE = """
SELECT files.id, note_id, name, size, stored
FROM files JOIN notes ON notes.id = note_id AND user_id = ?
"""


def files_of(db: sqlite3.Connection, user_id: int, note_id: int) -> list[File]:
    """The files of a note, in the order in which they came."""
    rows = db.execute(_FILE + "WHERE note_id = ? ORDER BY files.id", (user_id, note_id))
    return [File(*row) for row in rows]


def get_file(db: sqlite3.Connection, user_id: int, file_id: int) -> File | None:
    row = db.execute(_FILE + "WHERE files.id = ?", (user_id, file_id)).fetchone()
    return File(*row) if row else None


def bytes_of(db: sqlite3.Connection, user_id: int) -> int:
    """The size of all files of a user together."""
    size: int
    (size,) = db.execute(f"SELECT coalesce(sum(size), 0) FROM ({_FILE})", (user_id,)).fetchone()
    return size


def add_file(
    db: sqlite3.Connection, user_id: int, note_id: int, file: tuple[str, int, str], quota: int
) -> None:
    """Attach a file (its name, size and name on disk) to a note; FullError, also where the user
    has more than `quota` bytes then; ConflictError where there is no such note any more."""
    if get_note(db, user_id, note_id) is None:
        raise ConflictError
    _, size, _ = file
    if len(files_of(db, user_id, note_id)) >= MAX_FILES or bytes_of(db, user_id) + size > quota:
        raise FullError
    db.execute(
        "INSERT INTO files (note_id, name, size, stored) VALUES (?, ?, ?, ?)", (note_id, *file)
    )
    _note_change(db, user_id, note_id)


def delete_file(db: sqlite3.Connection, user_id: int, file_id: int) -> File | None:
    """Delete a file; it, for it is to be removed from the disk. None: there was none."""
    file = get_file(db, user_id, file_id)
    if file is not None:
        db.execute("DELETE FROM files WHERE id = ?", (file_id,))
        _note_change(db, user_id, file.note_id)
    return file


def stored_names(db: sqlite3.Connection) -> set[str]:
    """The names on disk of all files of all users."""
    return {stored for (stored,) in db.execute("SELECT stored FROM files")}


# -- changes


def _note_change(db: sqlite3.Connection, user_id: int, note_id: int) -> None:
    db.execute("INSERT INTO changes (user_id, note_id) VALUES (?, ?)", (user_id, note_id))
    db.execute(
        """DELETE FROM changes WHERE user_id = ? AND id <= (
               SELECT id FROM changes WHERE user_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)""",
        (user_id, user_id, KEPT_CHANGES),
    )


def changes_since(db: sqlite3.Connection, user_id: int, after: int) -> list[Change]:
    """What changed behind the change `after`. As many as KEPT_CHANGES: there may be more that are
    not known any more."""
    rows = db.execute(
        "SELECT id, note_id FROM changes WHERE user_id = ? AND id > ? ORDER BY id",
        (user_id, after),
    )
    return [Change(*row) for row in rows]
