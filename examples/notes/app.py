"""Notes: an application with accounts, pages, uploads and live updates, small enough to be read.

    pip install '.[jinja2]'
    python examples/notes/app.py [PORT] [--data DIRECTORY]

PORT is 8888 by default; 0 takes any free one. The address is in its log. What users write is
kept in DIRECTORY (./notes-data). Ctrl-C or SIGTERM ends it: what is under way is finished.

Read on in this order:

    app.py                what there is: routes, settings, and the life from start to end
    base.py               what all pages share: who is asking, headers, error pages
    handlers_accounts.py  signing up, in and out        (passwords.py, keys.py)
    handlers_notes.py     list, search, write, edit, delete
    handlers_files.py     attachments, both ways        (files.py)
    handlers_events.py    what tells open pages of changes  (news.py, static/live.js)
    store.py              what is stored                (db.py: how it does not block)
    templates/, ui.py     the pages
"""

import argparse
import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ui
from base import NotFoundHandler
from db import Database
from files import remove_others
from handlers_accounts import AccountHandler, SignInHandler, SignOutHandler, SignUpHandler
from handlers_events import EventsHandler
from handlers_files import DeleteFileHandler, DownloadHandler, UploadHandler
from handlers_notes import (
    DeleteNoteHandler,
    EditHandler,
    NewNoteHandler,
    NoteHandler,
    NotesHandler,
)
from keys import current_keys
from news import News
from passwords import Attempts
from store import SCHEMA, stored_names

import tornadoish
from tornadoish.web import Application, url

HERE = Path(__file__).parent

BODY_BYTES = 2 * 1024 * 1024  # of any request but an upload: the longest note, percent-encoded
KEYS_SECONDS = 3600  # between two looks at whether a new key is due

log = logging.getLogger("notes")


def routes(files: Path) -> list[Any]:
    """Every address, its handler, and the name by which pages link to it."""
    return [
        url("/", NotesHandler, name="notes"),
        url("/notes/new", NewNoteHandler, name="new"),
        url("/notes/{note_id:int}", NoteHandler, name="note"),
        url("/notes/{note_id:int}/edit", EditHandler, name="edit"),
        url("/notes/{note_id:int}/delete", DeleteNoteHandler, name="delete"),
        url("/notes/{note_id:int}/files", UploadHandler, name="upload"),
        url(
            "/notes/{note_id:int}/files/{file_id:int}/delete", DeleteFileHandler, name="delete-file"
        ),
        url("/files/{file_id:int}/{name}", DownloadHandler, {"path": files}, name="file"),
        url("/events", EventsHandler, name="events"),
        url("/account", AccountHandler, name="account"),
        url("/sign-up", SignUpHandler, name="sign-up"),
        url("/sign-in", SignInHandler, {"attempts": Attempts()}, name="sign-in"),
        url("/sign-out", SignOutHandler, name="sign-out"),
    ]


def make_application(data: Path, max_file: int) -> Application:
    """The application on a directory that is there.

    :param max_file: bytes that an attachment may have.
    """
    files = data / "files"
    keys, newest = current_keys(data / "keys.json")
    application = Application(
        routes(files),
        # What the handlers use.
        db=Database(data / "notes.sqlite3", SCHEMA),
        news=News(),
        files=files,
        max_file=max_file,
        keys_file=data / "keys.json",
        # Pages.
        template_engine="jinja2",
        template_path=str(HERE / "templates"),
        static_path=str(HERE / "static"),
        ui_methods=ui,
        default_handler_class=NotFoundHandler,
        compress_response=True,
        automatic_head=True,
        handler_timeout=30,  # seconds; what may take longer says so in its class
        # Who is asking, and from where.
        cookie_secret=keys,
        key_version=newest,
        login_url="/sign-in",
        xsrf_cookies=True,
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Lax"},
        cross_origin_protection=True,
    )
    application.cleanup_ctx.append(with_database)
    application.cleanup_ctx.append(with_fresh_keys)
    return application


async def with_database(application: Application) -> AsyncIterator[None]:
    """The database is open as long as there are requests; before the first one the disk is rid of
    files of which the database does not know."""
    db: Database = application.settings["db"]
    files: Path = application.settings["files"]
    await asyncio.to_thread(files.mkdir, mode=0o700, exist_ok=True)
    await db.open()
    try:
        await asyncio.to_thread(remove_others, files, await db.run(stored_names))
        yield
    finally:
        await db.close()


async def with_fresh_keys(application: Application) -> AsyncIterator[None]:
    """Once in a while a new key signs cookies, without a restart."""

    async def renew() -> None:
        settings = application.settings
        while True:
            await asyncio.sleep(KEYS_SECONDS)
            try:
                keys, newest = await asyncio.to_thread(current_keys, settings["keys_file"])
            except OSError as error:
                log.error("No new key: %s", error)  # the old one goes on
            else:
                settings["cookie_secret"], settings["key_version"] = keys, newest

    task = asyncio.create_task(renew())
    yield
    task.cancel()


def main(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    options.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Starts the application; at the end everybody is answered, and it is closed.
    tornadoish.run(
        make_application(options.data, options.max_file * 1024 * 1024),
        host=options.address,
        port=options.port,
        proxy_trust=options.trusted_proxy,
        limit={"body_bytes": BODY_BYTES},
    )


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A place for notes and files, for many users.")
    parser.add_argument(
        "port", metavar="PORT", type=int, nargs="?", default=8888,
        help="default 8888; 0: any free one",
    )  # fmt: skip
    parser.add_argument("--address", default="127.0.0.1", help="default 127.0.0.1: this host only")
    parser.add_argument("--data", type=Path, default=Path("notes-data"), metavar="DIRECTORY",
                        help="default ./notes-data")  # fmt: skip
    parser.add_argument("--max-file", type=int, default=100, metavar="MIB",
                        help="how large an attachment may be; default 100")  # fmt: skip
    parser.add_argument("--trusted-proxy", action="append", default=[], metavar="NETWORK",
                        help="of a proxy that is believed about who is asking")  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_options())
