"""Signed cookies of handlers: set, read, keys replaced. (The formats: unit/test_signed_values.)"""

# Classes here have bases that only the test knows (ruff still sees undefined names).
# mypy: allow-subclassing-any, disable-error-code="name-defined,misc"
from __future__ import annotations

from typing import Any

import pytest
from libraries import LIBRARIES, installed

from .serving import Framework, Serve, by_hand, getting

KEY = "the key"


async def test_set_and_get(web: Any, serve: Serve) -> None:
    class Handler(web.RequestHandler):
        def get(self) -> None:
            self.write(repr(self.get_signed_cookie("c")))

        def post(self) -> None:
            self.set_signed_cookie("c", b"\x00\xff value", httponly=True, samesite="Lax")

    site = await serve([("/", Handler)], cookie_secret=KEY)
    assert (await site.get("/")).text == "None"
    answer = await site.post("/")
    field = answer.headers["Set-Cookie"]
    assert field.startswith('c="2|1:0|10:')
    assert "; HttpOnly; Path=/; SameSite=Lax" in field
    assert "; expires=" in field  # 30 days unless told otherwise
    assert (await site.get("/")).text == repr(b"\x00\xff value")


@pytest.mark.parametrize("reader", LIBRARIES)
def test_a_cookie_is_read_by_the_other(framework: Framework, reader: str) -> None:
    write = by_hand(framework, cookie_secret=KEY)
    write.set_signed_cookie("c", "value", expires_days=None)
    (morsel,) = write._new_cookie.values()
    headers = {"Cookie": f"{morsel.key}={morsel.coded_value}"}
    read = by_hand(Framework(installed(reader)), headers=headers, cookie_secret=KEY)
    assert read.get_signed_cookie("c") == b"value"
    assert read.get_signed_cookie("d") is None
    assert read.get_signed_cookie_key_version("c") == 0
    assert read.get_signed_cookie_key_version("d") is None


def test_the_old_names(framework: Framework) -> None:
    handler = by_hand(framework, cookie_secret=KEY)
    for old, new in [
        ("set_secure_cookie", "set_signed_cookie"),
        ("get_secure_cookie", "get_signed_cookie"),
        ("get_secure_cookie_key_version", "get_signed_cookie_key_version"),
    ]:
        assert getattr(type(handler), old) is getattr(type(handler), new)


def test_a_value_instead_of_a_cookie(framework: Framework) -> None:
    handler = by_hand(framework, cookie_secret={0: "old", 7: KEY}, key_version=7)
    signed = handler.create_signed_value("n", "v")
    assert handler.get_signed_cookie("n", signed) == b"v"
    assert handler.get_signed_cookie("n", value=signed, max_age_days=-1) is None
    assert handler.get_signed_cookie_key_version("n", signed) == 7


def test_keys_are_replaced(framework: Framework) -> None:
    """A new key signs, the old one is still good, until it is taken away."""
    old = by_hand(framework, cookie_secret={1: "first"}, key_version=1)
    both_keys = {1: "first", 2: "second"}
    mid = by_hand(framework, cookie_secret=both_keys, key_version=2)
    new = by_hand(framework, cookie_secret={2: "second"}, key_version=2)
    first = old.create_signed_value("n", "v")
    second = mid.create_signed_value("n", "v")
    assert [h.get_signed_cookie("n", first) for h in (old, mid, new)] == [b"v", b"v", None]
    assert [h.get_signed_cookie("n", second) for h in (old, mid, new)] == [None, b"v", b"v"]


def test_versions_of_a_handler(framework: Framework) -> None:
    handler = by_hand(framework, cookie_secret=KEY)
    old = handler.create_signed_value("n", "v", version=1)
    assert old.count(b"|") == 2
    assert handler.get_signed_cookie("n", old) == b"v"
    assert handler.get_signed_cookie("n", old, min_version=2) is None
    assert handler.get_signed_cookie_key_version("n", old) is None
    handler.set_signed_cookie("n", "v", version=1)
    assert handler._new_cookie["n"].value.count("|") == 2


@pytest.mark.parametrize(
    "settings",
    [{}, {"cookie_secret": ""}, {"cookie_secret": None}],
)
def test_without_a_secret(framework: Framework, settings: dict[str, Any]) -> None:
    handler = by_hand(framework, **settings)
    for method, arguments in [
        ("set_signed_cookie", ("n", "v")),
        ("create_signed_value", ("n", "v")),
        ("get_signed_cookie", ("n",)),
        ("get_signed_cookie_key_version", ("n",)),
    ]:
        with pytest.raises(Exception, match="cookie_secret"):
            getattr(handler, method)(*arguments)


def test_several_keys_without_a_version(framework: Framework) -> None:
    handler = by_hand(framework, cookie_secret={1: KEY})
    with pytest.raises(Exception, match="key_version"):
        handler.create_signed_value("n", "v")


async def test_a_forged_cookie_is_no_error(framework: Framework, serve: Serve) -> None:
    """Not even where there are several keys and the cookie is of the format without versions."""
    handler = getting(framework.web, lambda self: self.write(repr(self.get_signed_cookie("c"))))
    site = await serve([("/", handler)], cookie_secret={1: KEY}, key_version=1)
    answer = await site.get("/", headers={"Cookie": "c=a|1|b"})
    if framework.is_tornado:
        assert answer.status_code == 500
    else:
        assert (answer.status_code, answer.text) == (200, "None")
