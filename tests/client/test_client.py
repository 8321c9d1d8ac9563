"""A client that others wrote, on our streams and connections: Tornado's simple_httpclient.

It runs in a process of its own, in which our modules stand under Tornado's names before it is
imported; and once more in another one, as it is. Both fetch the same from our server, Tornado's and
one on h11. What it is that they fetch, and what has to come of it, is in ``cases`` and ``acts``.
"""

from __future__ import annotations

from typing import Any

import pytest

from .cases import Case
from .scenarios import CASES

Report = dict[str, Any]

COMPARED = {name: case for name, case in CASES.items() if case.compared}


def of(report: Report, library: str, case: Case) -> dict[str, Any]:
    """What became of a case, by the server."""
    told = {server: report[library][server].get(case.name) for server in case.servers}
    if None in told.values():
        pytest.skip("no IPv6 here")
    return told


def lacks(expected: Any, told: Any) -> list[str]:
    """What is expected and was not told. Of a dict there may be more, and of fields."""
    if isinstance(expected, dict) and isinstance(told, dict):
        found = []
        for key, value in expected.items():
            if key == "fields":
                names = [name for name, _ in value]
                there = [[n, v] for n, v in told.get(key, []) if n.title() in names]
                there.sort(key=lambda pair: names.index(pair[0].title()))
                if [[name.title(), text] for name, text in there] != sorted(
                    value, key=lambda pair: names.index(pair[0])
                ):
                    found.append(f"fields {value}, but {there}")
            else:
                found += [f"{key}: {lack}" for lack in lacks(value, told.get(key))]
        return found
    return [] if expected == told else [f"{expected!r}, but {told!r}"]


def essence(result: Any) -> Any:
    """What both clients must agree in: not the words of an error."""
    if isinstance(result, dict) and "raised" in result:
        return {"raised": result["raised"]}
    return result


@pytest.mark.parametrize("name", CASES)
async def test_ours(report: Report, name: str) -> None:
    """What is expected is what comes, and nothing is left of it: no task, descriptor or stream.

    Asynchronous although nothing is waited for: what comes may depend on the kind of event loop.
    """
    case = CASES[name]
    for server, ours in of(report, "tornadoish", case).items():
        assert lacks(case.expected, ours["result"]) == [], server
        assert ours["left"] == [], server
        assert len(ours["heard"]) == case.logged, (server, ours["heard"])


@pytest.mark.parametrize("name", COMPARED)
def test_the_same_as_tornado(report: Report, name: str) -> None:
    case = COMPARED[name]
    theirs = of(report, "tornado", case)
    for server, ours in of(report, "tornadoish", case).items():
        one, other = essence(ours["result"]), essence(theirs[server]["result"])
        if case.tornado is None:
            assert one == other, server
        else:
            assert case.why
            assert lacks(case.tornado, other) == [], server
            assert one != other, "no difference any more"


def test_it_was_our_modules(report: Report) -> None:
    """All that the client has imported from them is ours, and what it made of it, too."""
    ours, theirs = report["tornadoish"], report["tornado"]
    assert set(ours["stands"]) == set(theirs["stands"])
    for name, module in ours["stands"].items():
        package = "tornado" if name == "SimpleAsyncHTTPClient" else "tornadoish"
        assert module.partition(".")[0] == package, name
    assert {module.partition(".")[0] for module in ours["used"]} == {"tornadoish"}
    assert {module.partition(".")[0] for module in theirs["used"]} == {"tornado"}


def test_nothing_is_left_at_the_end(report: Report) -> None:
    """No warning of an unclosed resource, nothing unheard."""
    assert report["tornadoish"]["at the end"] == []
    assert report["said"]["client-tornadoish"] == ""


def test_our_server_saw_no_fault_of_its_own(report: Report) -> None:
    for word in ("Traceback", "Error", "Warning", "never"):
        assert word not in report["said"]["tornadoish"]
