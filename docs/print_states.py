"""Prints docs/states.md from the state tables, so that it cannot drift from them.

python docs/print_states.py > docs/states.md
"""

from __future__ import annotations

from tornadoish.http1.states import EVENTS, HALF, PAIR, STATES, Named
from tornadoish.http1connection.pump import TURNS
from tornadoish.ws.states import TABLE, State, Step


def meanings(title: str, names: tuple[Named, ...]) -> list[str]:
    """A list of names with what they mean."""
    return [f"### {title}", "", *[f"- `{n}`: {n.meaning}" for n in names], ""]


def table(
    corner: str, columns: tuple[Named, ...], rows: list[tuple[Named, list[str]]]
) -> list[str]:
    """A Markdown table."""
    head = "| " + " | ".join([corner, *map(repr, columns)]) + " |"
    rule = "|" + "---|" * (len(columns) + 1)
    body = ["| " + " | ".join([f"**{name}**", *cells]) + " |" for name, cells in rows]
    return [head, rule, *body, ""]


def picture(name: str, title: str) -> list[str]:
    """One of those that docs/print_pictures.py draws from the same tables."""
    return [f"![{title}](pictures/{name}.svg)", ""]


def websocket() -> list[str]:
    """The table of a WebSocket, whose states and steps are enumerations."""
    rows = [
        f"| **{state.name}** | "
        + " | ".join(TABLE[state][step].name if step in TABLE[state] else "" for step in Step)
        + " |"
        for state in State
    ]
    return [
        "| state | " + " | ".join(step.name for step in Step) + " |",
        "|---|" + "---|" * len(Step),
        *rows,
        "",
        *picture("websocket", "A WebSocket connection"),
        "### Its states",
        "",
        *[f"- `{state.name}`: {state.value}" for state in State],
        "",
        "### Its steps",
        "",
        *[f"- `{step.name}`: {step.value}" for step in Step],
        "",
    ]


def page() -> str:
    """The whole page."""
    half = [
        (state, [repr(HALF[state][event]) if event in HALF[state] else "" for event in EVENTS])
        for state in STATES
    ]
    pair = [(received, [repr(PAIR[received][sent]) for sent in STATES]) for received in STATES]
    verdicts = tuple(dict.fromkeys(v for row in PAIR.values() for v in row.values()))
    lines = [
        "# The state tables",
        "",
        "Printed by `docs/print_states.py` from `tornadoish/http1/states.py`,",
        "`tornadoish/http1connection/pump.py` and `tornadoish/ws/states.py`, and drawn by",
        "`docs/print_pictures.py`; a test compares. In the pictures, an event that is possible in",
        "nearly every state, and always leads to the same one, is drawn once.",
        "",
        "## One half of a connection",
        "",
        "What is received and what is sent are two machines over one table, in both roles. An",
        "empty cell is illegal: asking for it is a bug and raises.",
        "",
        *table("state", EVENTS, half),
        *picture("half", "One half of a connection"),
        *meanings("States", STATES),
        *meanings("Events", EVENTS),
        "## Both halves of a server's connection",
        "",
        "Rows: what is received; columns: what is sent.",
        "",
        *table("received", STATES, pair),
        *picture("pair", "Both halves of a server's connection"),
        *meanings("Verdicts", verdicts),
        "## Whose turn it is",
        "",
        *meanings("Turns of the pump", TURNS),
        "## A WebSocket",
        "",
        "One table for both ends of a connection.",
        "",
        *websocket(),
    ]
    return "\n".join(lines).rstrip()


if __name__ == "__main__":
    print(page())
