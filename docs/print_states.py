"""Prints docs/states.md from the state tables, so that it cannot drift from them.

python docs/print_states.py > docs/states.md
"""

from __future__ import annotations

from tornadoish.http1.states import EVENTS, HALF, PAIR, STATES, Named
from tornadoish.http1connection.pump import TURNS


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


def diagram() -> list[str]:
    """One half as a Mermaid diagram."""
    arrows: dict[tuple[Named, Named], list[str]] = {}
    for state, row in HALF.items():
        for event, target in row.items():
            arrows.setdefault((state, target), []).append(repr(event))
    lines = [f"    {a} --> {b}: {', '.join(events)}" for (a, b), events in arrows.items()]
    return ["```mermaid", "stateDiagram-v2", "    [*] --> HEAD", *lines, "```", ""]


def page() -> str:
    """The whole page."""
    half = [
        (state, [repr(HALF[state][event]) if event in HALF[state] else "" for event in EVENTS])
        for state in STATES
    ]
    pair = [(received, [repr(PAIR[received][sent]) for sent in STATES]) for received in STATES]
    verdicts = tuple(dict.fromkeys(v for row in PAIR.values() for v in row.values()))
    lines = [
        "# The state tables of HTTP/1",
        "",
        "Printed by `docs/print_states.py` from `tornadoish/http1/states.py` and",
        "`tornadoish/http1connection/pump.py`; a test compares.",
        "",
        "## One half of a connection",
        "",
        "What is received and what is sent are two machines over one table, in both roles. An",
        "empty cell is illegal: asking for it is a bug and raises.",
        "",
        *table("state", EVENTS, half),
        *diagram(),
        *meanings("States", STATES),
        *meanings("Events", EVENTS),
        "## Both halves of a server's connection",
        "",
        "Rows: what is received; columns: what is sent.",
        "",
        *table("received", STATES, pair),
        *meanings("Verdicts", verdicts),
        "## Whose turn it is",
        "",
        *meanings("Turns of the pump", TURNS),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page())
