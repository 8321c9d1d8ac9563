"""The state table of a WebSocket connection: the one place where a state becomes another.

One attribute, ``Protocol.state``, is in one of these states; only ``after`` moves it. Knows no
frames and no bytes.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a connection stands (RFC 6455, 7)."""

    OPEN = "messages go both ways"
    CLOSING = "our Close is sent, the peer's has not come: messages may still arrive"
    CLOSED = "both have sent a Close: nothing follows"
    FAILED = "the peer broke the rules and was told: what it sends is not looked at"
    LOST = "the connection ended without a Close from the peer"


class Step(Enum):
    """What moves a connection."""

    SEND_CLOSE = "we send a Close first"
    RECEIVE_CLOSE = "a Close arrives; if it is the first one, ours answers it at once"
    FAULT = "the peer breaks the rules"
    END = "the connection under us ends"


class WrongState(RuntimeError):
    """What was asked for is not possible now: behind a Close, or within a message in parts."""


OPEN, CLOSING, CLOSED, FAILED, LOST = State
SEND_CLOSE, RECEIVE_CLOSE, FAULT, END = Step

TABLE: dict[State, dict[Step, State]] = {
    OPEN: {SEND_CLOSE: CLOSING, RECEIVE_CLOSE: CLOSED, FAULT: FAILED, END: LOST},
    CLOSING: {RECEIVE_CLOSE: CLOSED, FAULT: FAILED, END: LOST},
    CLOSED: {END: CLOSED},
    FAILED: {END: FAILED},
    LOST: {END: LOST},
}


def after(state: State, step: Step) -> State:
    """Where ``step`` leads.

    :raises WrongState: nowhere.
    """
    try:
        return TABLE[state][step]
    except KeyError:
        raise WrongState(f"{step.name} is not possible in {state.name}") from None
