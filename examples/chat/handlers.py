"""Handlers: the page, the list of rooms, and the WebSocket of a page that is in a room.

A page and its handler say JSON objects to each other, each with a `type`. The page:

    join      name, after: who it is, and the id of the last message that it has ("" for none)
    say       text, nonce: nonce is the page's own name for the message
    typing

and the handler:

    messages  messages (id, nonce, name, text, time), complete: what was said since; some may come
              twice, which shows by their nonce; complete is False if some are missing before them
    failed    nonce, why: that message was not stored
    people    names, count: who is in the room
    typing    name
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from history import HistoryError
from rooms import Room, RoomIsFull

from tornadoish.web import HTTPError, RequestHandler
from tornadoish.websocket import WebSocketClosedError, WebSocketHandler

# Characters at the most.
NAME_LENGTH = 24
TEXT_LENGTH = 2000
NONCE_LENGTH = 40

# Close codes (RFC 6455, 7.4.1; 1013 is registered with IANA).
POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013


PAGE = Path(__file__).parent / "page"
PAGE_FILES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "chat.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class PageHandler(RequestHandler):
    """GET / and what the page needs."""

    def get(self, name: str = "index.html") -> None:
        if name not in PAGE_FILES:
            raise HTTPError(404)
        self.set_header("Content-Type", PAGE_FILES[name])
        self.set_header("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
        self.set_header("Cache-Control", "no-cache")  # a browser asks whether there is a newer one
        self.write((PAGE / name).read_bytes())


class RoomsHandler(RequestHandler):
    """GET /rooms: which rooms there are."""

    def get(self) -> None:
        rooms: dict[str, Room] = self.settings["rooms"]
        self.write({"rooms": [{"name": room.name, "title": room.title} for room in rooms.values()]})


class RoomHandler(WebSocketHandler):
    """GET /rooms/NAME: a page in a room.

    When the server stops, the framework closes the WebSocket (1001), and the page tries again.
    """

    # Bytes that wait for a slow page; above, it is cut. It will be back, and ask for what it lacks.
    max_unsent_bytes = 1024 * 1024

    name = ""  # of the person, once the page has said it

    def prepare(self) -> None:
        room = self.settings["rooms"].get(self.path_kwargs["name"])
        if room is None:
            raise HTTPError(404)
        self.room: Room = room

    async def on_message(self, message: str | bytes) -> None:
        """One at a time: while this is at work, the framework takes no other from the page."""
        try:
            request = json.loads(message)
            await self.answer(request["type"], request)
        except WebSocketClosedError:
            return  # it has gone
        except (ValueError, KeyError, TypeError):
            self.close(POLICY_VIOLATION, "A page of ours would not say that")
        await asyncio.sleep(0.05)  # so nobody can flood a room

    def on_close(self) -> None:
        self.room.leave(self)

    async def answer(self, kind: str, request: dict[str, Any]) -> None:
        """:raises ValueError, KeyError, TypeError: this makes no sense."""
        if kind == "join" and not self.name:
            await self.join(text_of(request, "name", NAME_LENGTH), str(request["after"]))
        elif kind == "say" and self.name:
            text = text_of(request, "text", TEXT_LENGTH)
            await self.say(text, text_of(request, "nonce", NONCE_LENGTH))
        elif kind == "typing" and self.name:
            await self.room.tell({"kind": "typing", "name": self.name})
        else:
            raise ValueError(kind)

    async def join(self, name: str, after: str) -> None:
        try:
            await self.room.join(self, name, after)
        except (HistoryError, RoomIsFull) as error:
            self.close(TRY_AGAIN_LATER, str(error))

    async def say(self, text: str, nonce: str) -> None:
        try:
            await self.room.say(self.name, text, nonce)
        except HistoryError as error:
            await self.send({"type": "failed", "nonce": nonce, "why": str(error)})


def text_of(request: dict[str, Any], key: str, length: int) -> str:
    """Text that the page has sent, without the space around it.

    :raises ValueError: there is none, or it is too long.
    """
    text = str(request[key]).strip()
    if not 0 < len(text) <= length:
        raise ValueError(f"{key} has {len(text)} characters")
    text.encode()  # JSON may bring half a surrogate pair, which is no text
    return text
