"""The error classes: whose fault, which status, may the connection live on."""

from __future__ import annotations

import copy
import pickle

import pytest

from tornadoish.httputil import HTTPInputError, HTTPMessageError, HTTPOutputError


@pytest.mark.parametrize(
    ("error", "fault", "status", "survives"),
    [
        (HTTPInputError(), "peer", 400, False),
        (HTTPInputError("why"), "peer", 400, False),
        (HTTPInputError("why", 413), "peer", 413, False),
        (HTTPInputError("why", survives=True), "peer", 400, True),
        (HTTPOutputError("why"), "ours", 500, False),
        (HTTPOutputError("why", 502, survives=True), "ours", 502, True),
    ],
)
def test_what_an_error_knows(
    error: HTTPMessageError, fault: str, status: int, survives: bool
) -> None:
    assert (error.fault, error.status, error.survives) == (fault, status, survives)
    assert error.message == str(error) == ("why" if error.args[0] else "")
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is type(error)
        assert (twin.message, twin.status, twin.survives) == (error.message, status, survives)


def test_they_are_told_apart() -> None:
    assert issubclass(HTTPInputError, HTTPMessageError)
    assert issubclass(HTTPOutputError, HTTPMessageError)
    assert not issubclass(HTTPInputError, HTTPOutputError)
    assert not issubclass(HTTPMessageError, (OSError, ValueError))


def test_a_subclass_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(_OwnError("x", 418)))
    assert (type(error), error.status, error.fault) == (_OwnError, 418, "peer")


class _OwnError(HTTPInputError):
    pass
