"""Events: GET /events, a stream by which an open page hears of what has changed elsewhere.

An event says which note, and no more: the page (static/live.js) then asks for itself again, and
gets what its user may see at that time.
"""

from base import BaseHandler
from store import KEPT_CHANGES, changes_since, user_of_session

from tornadoish.web import HTTPError

RETRY = 1000  # milliseconds, after which a browser comes back


class EventsHandler(BaseHandler):
    """The changes behind `after`, or behind the last one that the browser has had, as they come.

    When the server stops, the stream ends, and the browser tries again until there is one.
    """

    automatic_head = False  # get() goes on for ever
    handler_timeout = None

    async def get(self) -> None:
        user = self.current_user
        if user is None:
            self.set_status(204)  # the browser need not come again
            return
        if self.news.is_full(user.id):
            raise HTTPError(429, problem={"detail": "Too many pages of this user are open."})
        after = self.position()
        with self.news.subscription(user.id) as news:
            async with self.event_stream():
                await self.send_event(None, retry=RETRY)
                while await self.db.run(user_of_session, user.id, user.session):
                    news.clear()  # before looking: what comes from now on is looked for again
                    changes = await self.db.run(changes_since, user.id, after)
                    if len(changes) >= KEPT_CHANGES:  # there may have been more
                        after = changes[-1].id
                        await self.send_event({"note": None}, event="note", id=after)
                        continue
                    for change in changes:
                        after = change.id
                        await self.send_event({"note": change.note_id}, event="note", id=after)
                    await news.wait()

    def position(self) -> int:
        """The last change that the browser knows of."""
        last = self.last_event_id or ""
        if last.isascii() and last.isdigit() and len(last) < 16:
            return int(last)
        return self.get_number("after")
