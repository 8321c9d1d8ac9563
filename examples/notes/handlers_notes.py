"""Notes: the list with search and pages, one note, and the forms that write, change and delete."""

import asyncio

from base import BaseHandler
from files import remove
from store import (
    ConflictError,
    FullError,
    Note,
    add_note,
    change_note,
    delete_note,
    files_of,
    find_notes,
    get_note,
)

from tornadoish.web import HTTPError, authenticated

MAX_TITLE = 200  # characters
MAX_TEXT = 100_000
MAX_QUERY = 200


class NotesHandler(BaseHandler):
    """GET /: the notes that changed last; `q` for those with certain words, `page` for others."""

    @authenticated
    async def get(self) -> None:
        query = self.get_query_argument("q", "")[:MAX_QUERY]
        found = await self.db.run(find_notes, self.user.id, query, self.get_number("page"))
        self.render("notes.html", query=query, found=found)


class NoteBaseHandler(BaseHandler):
    """What is of one note."""

    async def find(self, note_id: int) -> Note:
        """The note, if it is this user's; else 404, so that nobody learns which ones there are."""
        note = await self.db.run(get_note, self.user.id, note_id)
        if note is None:
            raise HTTPError(404, problem={"detail": "There is no such note, or it is not yours."})
        return note

    def take_words(self) -> tuple[str, str, dict[str, str]]:
        """Title and text from a form, and what is wrong with them, by field."""
        title = " ".join(self.get_body_argument("title", "").split())
        text = self.get_body_argument("text", "", strip=False).replace("\r\n", "\n").rstrip()
        errors = {}
        if not title:
            errors["title"] = "A note needs a title."
        elif len(title) > MAX_TITLE:
            errors["title"] = f"A title has at most {MAX_TITLE} characters."
        if len(text) > MAX_TEXT:
            errors["text"] = f"A note has at most {MAX_TEXT:,} characters, this has {len(text):,}."
        return title, text, errors

    def show_form(self, note: Note | None, title: str, text: str, **more: object) -> None:
        """The form: of a new note, or of one that is there; `more` as the template says."""
        limits = (MAX_TITLE, MAX_TEXT)
        self.render("edit.html", note=note, title=title, text=text, limits=limits, **more)


class NewNoteHandler(NoteBaseHandler):
    """/notes/new"""

    @authenticated
    def get(self) -> None:
        self.show_form(None, "", "")

    @authenticated
    async def post(self) -> None:
        title, text, errors = self.take_words()
        if errors:
            self.set_status(422)
            self.show_form(None, title, text, errors=errors)
            return
        try:
            note_id = await self.db.run(add_note, self.user.id, title, text)
        except FullError:
            raise HTTPError(409, problem={"detail": "You have as many notes as you can."}) from None
        self.news.tell(self.user.id)
        self.see_other("note", note_id, notice="Saved.")


class NoteHandler(NoteBaseHandler):
    """GET /notes/ID: a note and its files."""

    @authenticated
    async def get(self, note_id: int) -> None:
        note = await self.find(note_id)
        files = await self.db.run(files_of, self.user.id, note_id)
        self.render("note.html", note=note, files=files, max_file=self.settings["max_file"])


class EditHandler(NoteBaseHandler):
    """/notes/ID/edit"""

    @authenticated
    async def get(self, note_id: int) -> None:
        note = await self.find(note_id)
        self.show_form(note, note.title, note.text)

    @authenticated
    async def post(self, note_id: int) -> None:
        note = await self.find(note_id)
        title, text, errors = self.take_words()
        if errors:
            self.set_status(422)
            self.show_form(note, title, text, errors=errors)
            return
        revision = self.get_number("revision")
        try:
            await self.db.run(change_note, self.user.id, note_id, revision, title, text)
        except ConflictError:
            # Changed in another tab since this form was shown: show both, lose neither.
            note = await self.find(note_id)
            self.set_status(409)
            self.show_form(note, title, text, theirs=note)
            return
        self.news.tell(self.user.id)
        self.see_other("note", note_id, notice="Saved.")


class DeleteNoteHandler(NoteBaseHandler):
    """POST /notes/ID/delete"""

    @authenticated
    async def post(self, note_id: int) -> None:
        note = await self.find(note_id)
        files = await self.db.run(delete_note, self.user.id, note_id)
        await asyncio.to_thread(remove, self.files, [file.stored for file in files or ()])
        self.news.tell(self.user.id)
        self.see_other("notes", notice=f"“{note.title}” is deleted.")
