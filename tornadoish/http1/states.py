"""The state tables of HTTP/1: the one place where a state becomes another.

A connection has two halves, what is received and what is sent. Each half is a machine over the
same states and the same table, whichever side of the connection we are. Where a pair of halves
leads is the second table. ``docs/states.md`` is printed from here by ``docs/print_states.py``.
"""

from __future__ import annotations

from typing import Final

from tornadoish.compiling import mypyc_attr


class Named:
    """A state, event or verdict: compared by identity, shown by its name."""

    __slots__ = ("meaning", "name")

    def __init__(self, name: str, meaning: str) -> None:
        self.name = name
        self.meaning = meaning

    def __repr__(self) -> str:
        return self.name


class State(Named):
    """Where one half of a connection stands.

    ``state.after[event]`` is where it stands next; ``received.with_sent[sent]`` is the verdict on
    both halves.
    """

    __slots__ = ("after", "with_sent")

    after: dict[Event, State]
    with_sent: dict[State, Verdict]


class Event(Named):
    """What happens to one half of a connection."""

    __slots__ = ()


class Verdict(Named):
    """Where both halves together lead."""

    __slots__ = ()


class IllegalTransition(Exception):
    """An event that its half's state does not allow: a bug of the caller."""


@mypyc_attr(native_class=False)
class _Row(dict[Event, State]):
    """One state's row of the table; what it does not have is illegal."""

    def __missing__(self, event: Event) -> State:
        raise IllegalTransition(f"{event} is not possible here")


HEAD: Final = State("HEAD", "a start line comes next")
BODY: Final = State("BODY", "the head is through, the body is not")
DONE: Final = State("DONE", "one message is through, another may follow")
LAST: Final = State("LAST", "one message is through, none may follow")
SWITCHED: Final = State("SWITCHED", "what follows belongs to another protocol")
CLOSED: Final = State("CLOSED", "nothing follows: the end, or an error")
STATES = (HEAD, BODY, DONE, LAST, SWITCHED, CLOSED)

INFORM: Final = Event("INFORM", "an interim (1xx) head")
OPEN: Final = Event("OPEN", "a head, with a body to come")
WHOLE: Final = Event("WHOLE", "a head that is a whole message, another may follow")
WHOLE_LAST: Final = Event("WHOLE_LAST", "a head that is a whole message, none may follow")
DATA: Final = Event("DATA", "bytes of the body")
END: Final = Event("END", "the end of the body, another message may follow")
END_LAST: Final = Event("END_LAST", "the end of the body, no message may follow")
NEXT: Final = Event("NEXT", "the connection is used for another message")
SWITCH: Final = Event("SWITCH", "the connection is handed to another protocol")
CLOSE: Final = Event("CLOSE", "the end of the bytes, or an error")
EVENTS = (INFORM, OPEN, WHOLE, WHOLE_LAST, DATA, END, END_LAST, NEXT, SWITCH, CLOSE)

HALF: dict[State, dict[Event, State]] = {
    HEAD: {
        INFORM: HEAD,
        OPEN: BODY,
        WHOLE: DONE,
        WHOLE_LAST: LAST,
        SWITCH: SWITCHED,
        CLOSE: CLOSED,
    },
    BODY: {DATA: BODY, END: DONE, END_LAST: LAST, SWITCH: SWITCHED, CLOSE: CLOSED},
    DONE: {NEXT: HEAD, SWITCH: SWITCHED, CLOSE: CLOSED},
    LAST: {SWITCH: SWITCHED, CLOSE: CLOSED},
    SWITCHED: {SWITCH: SWITCHED, CLOSE: CLOSED},
    CLOSED: {CLOSE: CLOSED},
}

WAIT: Final = Verdict("WAIT", "at least one half goes on")
REUSE: Final = Verdict("REUSE", "both are through: the next message may come")
DRAIN: Final = Verdict("DRAIN", "the answer is through, the request is not: read it, to nobody")
FINISH: Final = Verdict("FINISH", "both are through for good: close")
ABANDON: Final = Verdict("ABANDON", "nothing more will be sent, the peer may still send: linger")
HANDOVER: Final = Verdict("HANDOVER", "a 101 has been sent: the stream is about to be handed over")
GONE: Final = Verdict("GONE", "another protocol has the connection, or nobody")

# (what is received, what is sent), as a server sees it.
PAIR: dict[State, dict[State, Verdict]] = {
    HEAD: {HEAD: WAIT, BODY: WAIT, DONE: WAIT, LAST: ABANDON, SWITCHED: GONE, CLOSED: ABANDON},
    BODY: {HEAD: WAIT, BODY: WAIT, DONE: DRAIN, LAST: ABANDON, SWITCHED: HANDOVER, CLOSED: ABANDON},
    DONE: {HEAD: WAIT, BODY: WAIT, DONE: REUSE, LAST: FINISH, SWITCHED: HANDOVER, CLOSED: FINISH},
    LAST: {HEAD: WAIT, BODY: WAIT, DONE: FINISH, LAST: FINISH, SWITCHED: HANDOVER, CLOSED: FINISH},
    SWITCHED: dict.fromkeys(STATES, GONE),
    CLOSED: {HEAD: WAIT, BODY: WAIT, DONE: ABANDON, LAST: ABANDON, SWITCHED: GONE, CLOSED: FINISH},
}


for _state, _row in HALF.items():
    _state.after = _Row(_row)
    _state.with_sent = PAIR[_state]
