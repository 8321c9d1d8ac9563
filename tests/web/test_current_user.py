"""Who is asking: ``current_user``, its cache, and the address for logging in."""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc,untyped-decorator"
from __future__ import annotations

import asyncio
from typing import Any

import pytest

from .serving import Framework, Serve, by_hand

ours_alone = pytest.mark.parametrize("framework", ["tornadoish"], indirect=True)


def test_nobody(framework: Framework) -> None:
    handler = by_hand(framework)
    assert handler.get_current_user() is None
    assert handler.current_user is None


@pytest.mark.parametrize("user", ["u", {"name": "u"}, None, "", 0])
def test_it_is_asked_once(framework: Framework, user: Any) -> None:
    """Also when the answer is nobody."""
    asked: list[Any] = []

    class Handler(framework.web.RequestHandler):
        def get_current_user(self) -> Any:
            asked.append(self)
            return user

    handler = by_hand(framework, handler_class=Handler)
    assert not hasattr(handler, "_current_user")  # applications look whether it is there yet
    assert [handler.current_user, handler.current_user] == [user, user]
    assert handler._current_user == user
    assert asked == [handler]


def test_it_is_assigned(framework: Framework) -> None:
    class Handler(framework.web.RequestHandler):
        def get_current_user(self) -> Any:
            raise AssertionError("asked")

    handler = by_hand(framework, handler_class=Handler)
    handler.current_user = "u"
    assert (handler.current_user, handler._current_user) == ("u", "u")
    handler.current_user = None
    assert handler.current_user is None
    del handler._current_user
    handler._current_user = "v"
    assert handler.current_user == "v"


def test_it_is_overridden(framework: Framework) -> None:
    as_attribute = type("Handler", (framework.web.RequestHandler,), {"current_user": "u"})
    assert by_hand(framework, handler_class=as_attribute).current_user == "u"
    as_property = type(
        "Handler", (framework.web.RequestHandler,), {"current_user": property(lambda self: "v")}
    )
    assert by_hand(framework, handler_class=as_property).current_user == "v"


def test_errors_are_not_hidden(framework: Framework) -> None:
    """An AttributeError in there is not a user that is not known yet."""

    class Handler(framework.web.RequestHandler):
        def get_current_user(self) -> Any:
            return self.there_is_no_such_thing

    handler = by_hand(framework, handler_class=Handler)
    for _ in range(2):
        with pytest.raises(AttributeError, match="there_is_no_such_thing"):
            _ = handler.current_user


async def test_it_is_loaded_in_prepare(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        async def prepare(self) -> None:
            await asyncio.sleep(0)
            self.current_user = self.get_cookie("user")

        @web.authenticated
        def get(self) -> None:
            self.write(self.current_user)

    site = await serve([("/", Handler)], login_url="/login")
    assert (await site.get("/", headers={"Cookie": "user=u"})).text == "u"
    assert (await site.get("/")).status_code == 302


@ours_alone
def test_a_coroutine_is_no_user(framework: Framework) -> None:
    """To theirs it is one, so that everybody is logged in."""

    class Handler(framework.web.RequestHandler):
        async def get_current_user(self) -> Any:
            return None

    handler = by_hand(framework, handler_class=Handler)
    with pytest.raises(TypeError, match="prepare"):
        _ = handler.current_user
    assert not hasattr(handler, "_current_user")


@ours_alone
async def test_a_future_is_no_user(framework: Framework) -> None:
    class Handler(framework.web.RequestHandler):
        def get_current_user(self) -> Any:
            return asyncio.get_running_loop().create_future()

    with pytest.raises(TypeError, match="prepare"):
        _ = by_hand(framework, handler_class=Handler).current_user


def test_get_login_url(framework: Framework) -> None:
    assert by_hand(framework, login_url="/login").get_login_url() == "/login"
    with pytest.raises(Exception, match="login_url"):
        by_hand(framework).get_login_url()
