"""Accounts: /sign-up, /sign-in, /sign-out and /account, where the password is changed.

A form that is not taken is shown again, with what is wrong, and with the status 422 (or 429). Where
one is, the browser is sent on by a 303.
"""

import re

from base import BaseHandler
from passwords import Attempts, hash_password, is_password
from store import NameTakenError, add_user, end_sessions, user_and_password

from tornadoish.httputil.urls import is_protocol_relative
from tornadoish.web import authenticated

NAME = re.compile(r"[A-Za-z0-9._-]{3,32}")
PASSWORD_LENGTHS = range(8, 201)  # characters

WRONG = "This name and this password do not belong together."
TOO_OFTEN = "Too many wrong passwords. Please wait for a quarter of an hour."


def objection_to_password(password: str) -> str:
    """What is wrong with a new password; "" if nothing is."""
    if len(password) in PASSWORD_LENGTHS:
        return ""
    return f"A password has {PASSWORD_LENGTHS.start} to {PASSWORD_LENGTHS.stop - 1} characters."


class SignUpHandler(BaseHandler):
    """/sign-up: the form for a new account."""

    def get(self) -> None:
        self.render("sign_up.html", name="", errors={})

    async def post(self) -> None:
        name = self.get_body_argument("name", "")
        password = self.get_body_argument("password", "", strip=False)
        errors = {}
        if not NAME.fullmatch(name):
            errors["name"] = "3 to 32 letters, digits, dots, dashes and underscores, please."
        if objection := objection_to_password(password):
            errors["password"] = objection
        if not errors:
            try:
                user = await self.db.run(add_user, name, await hash_password(password))
            except NameTakenError:
                errors["name"] = "This name is taken."
        if errors:
            self.set_status(422)
            self.render("sign_up.html", name=name, errors=errors)
            return
        self.sign_in(user)
        self.see_other("notes", notice=f"Welcome, {user.name}!")


class SignInHandler(BaseHandler):
    """/sign-in: also where `@authenticated` sends strangers, with `next` for the way back."""

    def initialize(self, attempts: Attempts) -> None:
        self.attempts = attempts

    def get(self) -> None:
        self.render("sign_in.html", name="", next=self.next_url(), error="")

    async def post(self) -> None:
        name = self.get_body_argument("name", "")
        password = self.get_body_argument("password", "", strip=False)
        address = self.request.remote_ip
        if not self.attempts.is_allowed(name, address):
            self.refuse(429, name, TOO_OFTEN)
            return
        found = await self.db.run(user_and_password, name)
        is_right = await is_password(password, found and found[1])
        if found is None or not is_right:
            self.attempts.failed(name, address)
            self.refuse(422, name, WRONG)
            return
        self.attempts.succeeded(name, address)
        self.sign_in(found[0])
        self.redirect(self.next_url(), status=303)

    def refuse(self, status: int, name: str, error: str) -> None:
        self.set_status(status)
        self.render("sign_in.html", name=name, next=self.next_url(), error=error)

    def next_url(self) -> str:
        """Where to go when signed in: a place on this site, whatever a link has said."""
        url = self.get_argument("next", "")
        if not url.startswith("/") or is_protocol_relative(url):
            return self.reverse_url("notes")
        return url


class SignOutHandler(BaseHandler):
    """POST /sign-out: on this browser, or with `everywhere` on all."""

    async def post(self) -> None:
        if self.current_user and self.get_body_argument("everywhere", ""):
            await self.db.run(end_sessions, self.user.id)
            self.news.tell(self.user.id)  # so that open streams look whether they may go on
        self.clear_cookie("session", httponly=True, samesite="Lax")
        self.see_other("sign-in", notice="You are signed out.")


class AccountHandler(BaseHandler):
    """/account: a new password, which also ends all other sessions."""

    @authenticated
    def get(self) -> None:
        self.render("account.html", errors={})

    @authenticated
    async def post(self) -> None:
        old = self.get_body_argument("old", "", strip=False)
        new = self.get_body_argument("new", "", strip=False)
        errors = {}
        found = await self.db.run(user_and_password, self.user.name)
        if not await is_password(old, found and found[1]):
            errors["old"] = "This is not your password."
        elif objection := objection_to_password(new):
            errors["new"] = objection
        if errors:
            self.set_status(422)
            self.render("account.html", errors=errors)
            return
        user = await self.db.run(end_sessions, self.user.id, await hash_password(new))
        self.news.tell(user.id)
        self.sign_in(user)
        self.see_other("account", notice="Your password is changed. Other browsers are signed out.")
