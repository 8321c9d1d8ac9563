"""The state tables: complete, closed, and saying what RFC 9112, 9 says of reuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornadoish.http1 import states
from tornadoish.http1.states import (
    BODY,
    CLOSE,
    CLOSED,
    DATA,
    DONE,
    END,
    END_LAST,
    EVENTS,
    HALF,
    HEAD,
    INFORM,
    LAST,
    NEXT,
    OPEN,
    PAIR,
    STATES,
    SWITCH,
    SWITCHED,
    WHOLE,
    WHOLE_LAST,
    Event,
    IllegalTransition,
    State,
)

# The whole table, told a second time; what is not here is illegal.
TABLE: dict[tuple[State, Event], State] = {
    (HEAD, INFORM): HEAD,
    (HEAD, OPEN): BODY,
    (HEAD, WHOLE): DONE,
    (HEAD, WHOLE_LAST): LAST,
    (BODY, DATA): BODY,
    (BODY, END): DONE,
    (BODY, END_LAST): LAST,
    (DONE, NEXT): HEAD,
    (HEAD, SWITCH): SWITCHED,
    (BODY, SWITCH): SWITCHED,
    (DONE, SWITCH): SWITCHED,
    (LAST, SWITCH): SWITCHED,
    (SWITCHED, SWITCH): SWITCHED,
    **{(state, CLOSE): CLOSED for state in STATES},
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_every_state_and_event(state: State, event: Event) -> None:
    wanted = TABLE.get((state, event))
    if wanted is not None:
        assert state.after[event] is wanted
        return
    with pytest.raises(IllegalTransition, match=event.name):
        state.after[event]


def test_the_table_is_the_rows() -> None:
    assert {(s, e): after for s, row in HALF.items() for e, after in row.items()} == TABLE
    assert all(state.after == HALF[state] for state in STATES)


def test_a_row_does_not_learn_what_is_asked() -> None:
    with pytest.raises(IllegalTransition):
        CLOSED.after[NEXT]
    assert NEXT not in CLOSED.after


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_nothing_comes_back_from_the_end(events: list[Event]) -> None:
    """From LAST, SWITCHED and CLOSED no walk leads to another message."""
    for start in (LAST, SWITCHED, CLOSED):
        state = start
        for event in events:
            if event in state.after:
                state = state.after[event]
        assert state in (LAST, SWITCHED, CLOSED)


def test_every_pair_has_a_verdict() -> None:
    for received in STATES:
        assert set(PAIR[received]) == set(STATES)
        for sent in STATES:
            assert received.with_sent[sent] is PAIR[received][sent]


def test_only_two_whole_messages_are_followed_by_another() -> None:
    reused = [(r, s) for r in STATES for s in STATES if PAIR[r][s] is states.REUSE]
    assert reused == [(DONE, DONE)]


@pytest.mark.parametrize(
    ("received", "sent", "wanted"),
    [
        (HEAD, HEAD, states.WAIT),
        (BODY, HEAD, states.WAIT),
        (BODY, BODY, states.WAIT),
        (DONE, HEAD, states.WAIT),
        (LAST, BODY, states.WAIT),
        (BODY, DONE, states.DRAIN),
        (BODY, LAST, states.ABANDON),
        (BODY, CLOSED, states.ABANDON),
        (DONE, LAST, states.FINISH),
        (LAST, DONE, states.FINISH),
        (LAST, LAST, states.FINISH),
        (DONE, CLOSED, states.FINISH),
        (CLOSED, HEAD, states.WAIT),
        (CLOSED, LAST, states.ABANDON),
        (SWITCHED, HEAD, states.GONE),
        (HEAD, SWITCHED, states.GONE),
        (DONE, SWITCHED, states.HANDOVER),
    ],
)
def test_verdicts(received: State, sent: State, wanted: states.Verdict) -> None:
    assert received.with_sent[sent] is wanted


def test_states_show_their_names() -> None:
    assert [repr(state) for state in STATES] == [
        "HEAD", "BODY", "DONE", "LAST", "SWITCHED", "CLOSED",
    ]  # fmt: skip
    assert all(named.meaning for named in (*STATES, *EVENTS))
