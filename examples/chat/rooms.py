"""Room: one room, as one process knows it.

Messages are in the history, which all processes share, in one order. What goes over the PubSub
says only that there is something new, and each process then looks. So nothing is missed where such
a note is lost: a `Lost` is one more reason to look, and so is a report of another process that has
come further.
"""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any, Protocol

from history import History, HistoryError
from people import People

from tornadoish.pubsub import Lost, PublishError, PubSub
from tornadoish.websocket import broadcast

MOST_MEMBERS = 2000  # pages in one room, in this process

REPORT_SECONDS = 10.0  # between two reports of who is here, if nothing changes
BREATH_SECONDS = 0.3  # between two of them if much does

log = logging.getLogger("chat")


class RoomIsFull(Exception):
    """A page has to try again later."""


class Member(Protocol):
    """The handler of a page that is in a room, here."""

    name: str
    ws_connection: Any

    def write_message(self, message: dict[str, Any]) -> object: ...


class Room:
    """See the module."""

    def __init__(self, name: str, title: str, pubsub: PubSub, history: History) -> None:
        """`name` is for URLs, `title` for people."""
        self.name = name
        self.title = title
        self._pubsub = pubsub
        self._history = history
        self._members: set[Member] = set()
        self._people = People()
        self._report_due = asyncio.Event()
        self._last = ""  # the id of the last message that the members have been told
        # Held while messages are handed out: who joins comes before or behind them, not in between.
        self._lock = asyncio.Lock()

    # -- what handlers do

    async def join(self, member: Member, name: str, after: str) -> None:
        """Tell a page what was said since `after`, and from then on everything.

        :raises HistoryError: that cannot be known at this time.
        :raises RoomIsFull: there are too many.
        """
        if len(self._members) >= MOST_MEMBERS:
            raise RoomIsFull("This room is full")
        async with self._lock:
            await self._hand_out_news()
            messages, complete = await self._history.since(self.name, after)
            if member.ws_connection is None:
                return  # it has gone meanwhile
            member.name = name
            self._members.add(member)
            member.write_message(told(messages, complete))
            member.write_message(self._people.told())
        self._report_due.set()

    def leave(self, member: Member) -> None:
        """The page has gone."""
        self._members.discard(member)
        self._report_due.set()

    async def say(self, name: str, text: str, nonce: str) -> None:
        """Somebody says something.

        :raises HistoryError: it could not be stored.
        """
        message = {"nonce": nonce, "name": name, "text": text, "time": int(time.time() * 1000)}
        await self._history.add(self.name, message)
        await self._look()
        await self.tell({"kind": "news"})  # and the other processes look

    async def tell(self, what: dict[str, Any]) -> None:
        """Tell the room in all processes, this one too.

        What cannot be told now need not be told later: a report is due then, and says what counts.
        """
        if not self._pubsub.connected:
            self._report_due.set()
            return
        try:
            await self._pubsub.publish(self.name, what)
        except PublishError as error:
            self._report_due.set()
            log.warning("%s: nobody was told of %s: %s", self.title, what["kind"], error)

    # -- what a room does as long as it lives

    async def listen(self) -> None:
        """Tell the members what happens in the room."""
        async with self._pubsub.subscribe(self.name) as subscription:
            await self.tell({"kind": "who"})
            async for item in subscription:
                if isinstance(item, Lost):
                    await self._look()  # it may have been anything
                    await self.tell({"kind": "who"})
                else:
                    try:
                        await self._hear(item.json())
                    except Exception:  # one note must not end the room
                        log.exception("%s cannot make sense of %r", self.title, item)

    async def _hear(self, what: dict[str, Any]) -> None:
        match what["kind"]:
            case "news":
                await self._look()
            case "typing":
                broadcast(self._members, {"type": "typing", "name": what["name"]})
            case "who":
                self._report_due.set()
            case "here":
                self._people.heard(what["process"], what["names"])
                self._show_people()
                if what["last"] != self._last:
                    await self._look()

    async def _look(self) -> None:
        try:
            async with self._lock:
                await self._hand_out_news()
        except HistoryError as error:
            log.warning("%s: what was said cannot be shown: %s", self.title, error)

    async def _hand_out_news(self) -> None:
        """Tell the members what is new in the history. Hold the lock."""
        messages, complete = await self._history.since(self.name, self._last)
        if messages:
            self._last = messages[-1]["id"]
            broadcast(self._members, told(messages, complete))

    async def report(self) -> None:
        """Say who is here, and how far the room has come, whenever that is due, and now and then,
        so that others know that this process is still alive."""
        try:
            while True:
                self._report_due.clear()
                self._people.forget_the_silent(3 * REPORT_SECONDS)
                names = [member.name for member in self._members]
                await self._tell_who_is_here(names)
                self._show_people()
                await asyncio.sleep(BREATH_SECONDS)
                with suppress(TimeoutError):
                    async with asyncio.timeout(REPORT_SECONDS):
                        await self._report_due.wait()
        finally:
            await self._tell_who_is_here([])

    async def _tell_who_is_here(self, names: list[str]) -> None:
        await self.tell({"kind": "here", "last": self._last, **self._people.here(names)})

    def _show_people(self) -> None:
        if self._people.have_changed():
            broadcast(self._members, self._people.told())


def told(messages: list[dict[str, Any]], complete: bool) -> dict[str, Any]:
    return {"type": "messages", "messages": messages, "complete": complete}
