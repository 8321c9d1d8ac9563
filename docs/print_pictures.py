"""Draws the pictures of docs/pictures from the state tables, so that they cannot drift from them.

python docs/print_pictures.py            # writes them all
python docs/print_pictures.py half       # prints one
"""

from __future__ import annotations

import contextvars
import sys
from pathlib import Path

from drawing import Places, grid, machine

from tornadoish.http1.states import HALF, PAIR, STATES
from tornadoish.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine
from tornadoish.testing import check_message_delegate
from tornadoish.testing.contract import ContractError
from tornadoish.ws.states import TABLE

PICTURES = Path(__file__).with_name("pictures")


# -- what a delegate hears


def calls() -> dict[str, tuple[object, ...]]:
    """Every method of a delegate, with arguments for it."""
    return {
        "headers_received": (RequestStartLine("GET", "/", "HTTP/1.1"), HTTPHeaders()),
        "data_received": (b"data",),
        "trailers_received": (HTTPHeaders({"Checksum": "1"}),),
        "finish": (),
        "on_connection_close": (),
    }


def after(ways: tuple[str, ...]) -> str | None:
    """The state in which the contract is when a delegate has heard of ``ways``; None: it may not
    hear of the last of them."""

    def hear() -> str | None:
        checked = check_message_delegate(HTTPMessageDelegate())
        try:
            for way in ways:
                getattr(checked, way)(*calls()[way])
        except ContractError:
            return None
        return checked.state

    return contextvars.copy_context().run(hear)


def delegate_table() -> dict[str, dict[str, str]]:
    """The contract of HTTPMessageDelegate, asked of the object that checks it."""
    table: dict[str, dict[str, str]] = {}
    ways: dict[str, tuple[str, ...]] = {"new": ()}
    while ways:
        state, way = ways.popitem()
        row = table.setdefault(state, {})
        for call in calls():
            target = after((*way, call))
            if target is not None:
                row[call] = target
                if target not in table:
                    ways[target] = (*way, call)
    return table


# -- the pictures


def delegate() -> str:
    table = delegate_table()
    places = Places(
        height=450,
        at={"new": (165, 70), "body": (165, 170), "whole": (350, 262), "ended": (165, 350)},
        starts="new",
    )
    ordered = {state: table[state] for state in places.at}
    return machine("delegate", "What a message delegate hears, and when", ordered, places)


def half() -> str:
    table = {
        str(state): {repr(event): repr(target) for event, target in row.items()}
        for state, row in _named(HALF)
    }
    places = Places(
        height=500,
        at={
            "HEAD": (220, 70), "BODY": (220, 180), "DONE": (110, 290), "LAST": (366, 290),
            "SWITCHED": (110, 395), "CLOSED": (366, 395),
        },
        bends={("HEAD", "DONE"): -22, ("DONE", "HEAD"): 92, ("HEAD", "LAST"): 48},
        starts="HEAD",
    )  # fmt: skip
    return machine("half", "One half of a connection", table, places)


def _named(table: object) -> list[tuple[str, dict[object, object]]]:
    return [(repr(state), row) for state, row in table.items()]  # type: ignore[attr-defined]


def websocket() -> str:
    table = {
        state.name: {step.name: target.name for step, target in row.items()}
        for state, row in TABLE.items()
    }
    places = Places(
        height=410,
        at={
            "OPEN": (220, 70), "CLOSING": (265, 190), "FAILED": (62, 330), "CLOSED": (220, 330),
            "LOST": (378, 330),
        },
        bends={("OPEN", "FAILED"): -34, ("OPEN", "CLOSED"): -62, ("OPEN", "LOST"): 62},
        loops=dict.fromkeys(["FAILED", "CLOSED", "LOST"], 0),
        starts="OPEN",
    )  # fmt: skip
    return machine("websocket", "A WebSocket connection", table, places)


TONES = {
    "WAIT": "#8b949e", "REUSE": "#2da44e", "DRAIN": "#bf8700", "FINISH": "#218bff",
    "ABANDON": "#cf222e", "HANDOVER": "#8250df", "GONE": "#57606a",
}  # fmt: skip


def pair() -> str:
    cells = {
        (repr(a), repr(b)): repr(verdict) for a, row in PAIR.items() for b, verdict in row.items()
    }
    names = [repr(state) for state in STATES]
    return grid(
        "pair", "Both halves of a server's connection", ("received", "sent"), names, cells, TONES
    )


DRAWN = {"delegate": delegate, "half": half, "pair": pair, "websocket": websocket}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(DRAWN[name](), end="")
    if not sys.argv[1:]:
        PICTURES.mkdir(exist_ok=True)
        for name, draw in DRAWN.items():
            (PICTURES / f"{name}.svg").write_text(draw(), encoding="utf-8")
