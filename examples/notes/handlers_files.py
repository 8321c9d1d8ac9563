"""Attachments: uploads that may be larger than memory, downloads with ranges, and deleting."""

import asyncio
from collections.abc import Awaitable

from base import BaseHandler
from files import disposition, human_size, media_type, new_stored_name, remove, shown_name
from handlers_notes import NoteBaseHandler
from store import (
    MAX_FILES,
    ConflictError,
    File,
    FullError,
    add_file,
    bytes_of,
    delete_file,
    get_file,
)

from tornadoish.httputil import HTTPInputError
from tornadoish.web import HTTPError, Part, StaticFileHandler, authenticated, pull_request_body

QUOTA = 1024 * 1024 * 1024  # bytes of one user's files
FORM_BYTES = 64 * 1024  # of a form beside its files
TOKEN_BYTES = 1024


@pull_request_body
class UploadHandler(NoteBaseHandler):
    """POST /notes/ID/files: a form with files, each of which goes to disk as it arrives.

    The method runs when the head of the request is there. So who is not signed in, or has no such
    note, has sent nothing yet that is kept; and of a file no more is in memory than a piece.
    """

    handler_timeout = None  # files may take as long as they do

    def check_xsrf_cookie(self) -> None:
        """Not now: the token is the first part of the body."""

    @authenticated
    async def post(self, note_id: int) -> None:
        note = await self.find(note_id)
        room = QUOTA - await self.db.run(bytes_of, self.user.id)
        limit = max(0, min(self.settings["max_file"], room))
        self.allow_body(MAX_FILES * limit + FORM_BYTES)
        is_ours = False
        count = 0
        async for part in self.multipart():
            if part.name == "_xsrf":
                self.check_xsrf_token(await part.text(TOKEN_BYTES))
                is_ours = True
            elif part.is_file and is_ours:
                await self.keep(note.id, part, limit)
                count += 1
            elif part.is_file:
                raise HTTPError(403, "A file without a token before it")
        self.news.tell(self.user.id)
        notice = "1 file is attached." if count == 1 else f"{count} files are attached."
        self.see_other("note", note_id, notice=notice if count else "No file was chosen.")

    def allow_body(self, size: int) -> None:
        """Take a body of so many bytes; what says that it is larger is refused in our own words."""
        length = self.request.headers.get("Content-Length", "0")  # digits: the server has checked
        if int(length) > size:
            raise self.too_large()
        self.request.connection.set_max_body_size(size)

    def too_large(self) -> HTTPError:
        most = human_size(self.settings["max_file"])
        detail = f"A file may have {most}, all of yours together {human_size(QUOTA)}."
        return HTTPError(413, problem={"detail": detail})

    async def keep(self, note_id: int, part: Part, limit: int) -> None:
        """One file: to disk, and then into the database. Not the other way round: a name in the
        database is always that of a whole file."""
        stored = new_stored_name()
        path = self.files / stored
        try:
            size = await part.save(path, limit=limit)
        except HTTPInputError as error:
            raise self.too_large() if error.status == 413 else error from None
        file = (shown_name(part.filename or ""), size, stored)
        try:
            await self.db.run(add_file, self.user.id, note_id, file, QUOTA)
        except (FullError, ConflictError) as error:
            await asyncio.to_thread(remove, self.files, [stored])
            if isinstance(error, ConflictError):  # it was deleted meanwhile
                raise HTTPError(404) from None
            detail = f"A note has at most {MAX_FILES} files."
            raise HTTPError(409, problem={"detail": detail}) from None
        # Where we are cancelled while we wait for the database, nobody knows whether it has the
        # file: if not, app.py removes it at the next start.


class DownloadHandler(StaticFileHandler, BaseHandler):
    """GET /files/ID/NAME: a file, or ranges of it. NAME is for who saves it, and not looked at."""

    handler_timeout = None  # as above
    file: File

    @authenticated
    async def get(self, file_id: int, name: str, include_body: bool = True) -> None:  # type: ignore[override]
        file = await self.db.run(get_file, self.user.id, file_id)
        if file is None:
            raise HTTPError(404, problem={"detail": "There is no such file, or it is not yours."})
        self.file = file
        await super().get(file.stored, include_body)

    def head(self, file_id: int, name: str) -> Awaitable[None] | None:  # type: ignore[override]
        return self.get(file_id, name, include_body=False)

    def get_content_type(self) -> str:
        return media_type(self.file.name)

    def set_extra_headers(self, path: str) -> None:
        """Whatever somebody has uploaded: it is stored, not opened, and if it is opened all the
        same, it is nothing but itself: it runs nothing and loads nothing."""
        self.set_header("Content-Disposition", disposition(self.file.name))
        self.set_header("Content-Security-Policy", "default-src 'none'; sandbox")
        # What a cache has of it must be asked for again: may this user still see it?
        self.set_header("Cache-Control", "private, no-cache")


class DeleteFileHandler(BaseHandler):
    """POST /notes/ID/files/ID/delete"""

    @authenticated
    async def post(self, note_id: int, file_id: int) -> None:
        file = await self.db.run(delete_file, self.user.id, file_id)
        if file is None:
            raise HTTPError(404, problem={"detail": "There is no such file, or it is not yours."})
        await asyncio.to_thread(remove, self.files, [file.stored])
        self.news.tell(self.user.id)
        self.see_other("note", note_id, notice=f"“{file.name}” is deleted.")
