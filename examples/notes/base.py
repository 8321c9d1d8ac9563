"""BaseHandler: what all pages share: who is asking, the head of every answer, error pages.

Every handler of this application derives from it. What a request needs of the application (the
database, the news) is in its settings, where app.py has put it; the properties in here say of what
type that is.
"""

from pathlib import Path
from typing import Any, cast

from db import Database
from keys import SESSION_DAYS
from news import News
from store import User, user_of_session

from tornadoish.web import HTTPError, RequestHandler

# Scripts, styles and pictures are our own files, and nobody else's; nothing is inline; no other
# site puts a page of ours into a frame, and forms go nowhere else.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

EXPLANATIONS = {
    403: "You are signed out, or this form is too old or not from this site. Go back, reload the "
    "page, and try again.",
    404: "There is no such page, or it is not yours.",
    405: "That cannot be done with this page.",
    413: "That is more than may be sent.",
    500: "Something went wrong here. It has been written down; please try again later.",
    503: "This takes too long. Please try again later.",
}


class BaseHandler(RequestHandler):
    """A handler with a current user."""

    # -- what is in the settings

    @property
    def db(self) -> Database:
        return cast(Database, self.settings["db"])

    @property
    def news(self) -> News:
        return cast(News, self.settings["news"])

    @property
    def files(self) -> Path:
        """The directory of the attachments."""
        return cast(Path, self.settings["files"])

    # -- every answer

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        # Pages are for one pair of eyes: not for caches, nor for who comes back after signing out.
        self.set_header("Cache-Control", "no-store")

    # -- who is asking

    async def prepare(self) -> None:
        """Find out who is asking: `current_user`, None for a stranger."""
        cookie = self.get_signed_cookie("session", max_age_days=SESSION_DAYS)
        if cookie is not None:
            user_id, session = map(int, cookie.split(b"."))  # ours: nobody else can sign it
            self.current_user = await self.db.run(user_of_session, user_id, session)

    @property
    def user(self) -> User:
        """The current user, in methods that are `@authenticated`."""
        return cast(User, self.current_user)

    def sign_in(self, user: User) -> None:
        """Have the browser say from now on that it is this user's."""
        self.set_signed_cookie(
            "session",
            f"{user.id}.{user.session}",
            expires_days=SESSION_DAYS,
            httponly=True,  # no script needs it
            samesite="Lax",  # sent with links from elsewhere, but not with their forms
            secure=self.request.protocol == "https",
        )

    # -- forms

    def get_number(self, name: str) -> int:
        """An argument that is a small natural number; 0 where it is missing, or none."""
        text = self.get_argument(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0

    def see_other(self, name: str, *args: object, notice: str = "") -> None:
        """Behind a form: send the browser to a page, by GET, so that it can be reloaded.

        :param notice: what that page tells the user, once.
        """
        if notice:
            self.set_signed_cookie("notice", notice, expires_days=None, httponly=True)
        self.redirect(self.reverse_url(name, *args), status=303)

    def take_notice(self) -> str:
        """What the page before has to say; it is said once."""
        if "X-Refresh" in self.request.headers:  # live.js, perhaps in another tab
            return ""
        notice = self.get_signed_cookie("notice")
        if notice is None:
            return ""
        self.clear_cookie("notice")
        return notice.decode()

    def get_template_namespace(self) -> dict[str, Any]:
        return super().get_template_namespace() | {"take_notice": self.take_notice}

    # -- errors

    def write_error_page(self, status_code: int, **kwargs: Any) -> None:
        """The page of an error. (Who likes JSON better is given the same as a problem document.)"""
        document = self.problem_document(status_code, **kwargs)
        explanation = document.get("detail") or EXPLANATIONS.get(status_code, "")
        self.render("error.html", explanation=explanation, **document)


class NotFoundHandler(BaseHandler):
    """Whatever has no route."""

    async def prepare(self) -> None:
        await super().prepare()
        raise HTTPError(404)

    def check_xsrf_cookie(self) -> None:
        """Nothing is done here, whoever asks."""
