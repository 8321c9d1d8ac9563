"""The garbage collector of processes that serve: fitted once the application has started.

Each in a process of its own: this one's collector is shared by all tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .commanding import Command
from .conftest import Start

APP = """
import gc, weakref
from tornadoish.web import Application, RequestHandler


class Kept(list):
    pass


async def start(app):
    app.settings["kept"] = Kept()
    garbage = Kept()
    garbage.append(garbage)
    app.settings["garbage"] = weakref.ref(garbage)


class Main(RequestHandler):
    made = Kept()

    def get(self):
        searched = [found for found in gc.get_objects() if type(found) is Kept]
        self.write({
            "searched": any(found is self.settings["kept"] for found in searched),
            "of_a_request": any(found is self.made for found in searched),
            "garbage": self.settings["garbage"]() is not None,
            "frozen": gc.get_freeze_count() > 5000,
            "threshold": gc.get_threshold()[0],
        })
        Main.made = Kept()


app = Application([("/", Main)])
app.on_startup.append(start)
gc.disable()  # nothing but what is asked for
"""
OURS = """
if __name__ == "__main__":
    import tornadoish

    tornadoish.run(app, port=0, gc_threshold=5000)
    print("behind:", gc.get_freeze_count(), gc.get_threshold()[0])
"""
ALONE = """
import gc
from tornadoish.garbage import fitted_collector


class Broken(Exception):
    pass


def state():
    return [gc.get_freeze_count() > 5000, list(gc.get_threshold())]


python = gc.get_threshold()
seen = [state()]
try:
    with fitted_collector(threshold=0):
        seen.append(state())
        raise Broken
except Broken:
    seen.append(state())
with fitted_collector(freeze=False):
    seen.append(state())
with fitted_collector():
    seen.append(state())
seen.append(state())
assert seen[1][1] == [0, *python[1:]], seen
assert [frozen for frozen, _ in seen] == [False, True, False, False, True, False], seen
assert all(limits == list(python) for _, limits in seen[:1] + seen[2:]), seen
"""
PYTHONS: int = json.loads(
    subprocess.run(
        [sys.executable, "-c", "import gc; print(gc.get_threshold()[0])"],
        capture_output=True,
        check=True,
    ).stdout
)


@pytest.fixture(autouse=True)
def application(tmp_path: Path) -> None:
    (tmp_path / "kept.py").write_text(APP + OURS)


def second_answer(command: Command) -> dict[str, object]:
    """What is so at the second request, when there has been one."""
    command.get()
    answer: dict[str, object] = command.get().json()
    return answer


@pytest.mark.parametrize("words", [(), ("--workers=1", "--gc-threshold=0")])
def test_what_is_there_before_the_first_request_is_not_searched(
    start: Start, words: tuple[str, ...]
) -> None:
    command = start("kept.py", "--port=0", *words)
    assert second_answer(command) == {
        "searched": False,
        "of_a_request": True,
        "garbage": False,  # what start-up has left behind is not kept for good
        "frozen": True,
        "threshold": 0 if words else PYTHONS,
    }
    assert command.stop() == 0


def test_or_it_is_as_python_has_it(start: Start) -> None:
    command = start("kept.py", "--port=0", "--no-gc-freeze")
    assert second_answer(command) == {
        "searched": True,
        "of_a_request": True,
        "garbage": True,
        "frozen": False,
        "threshold": PYTHONS,
    }
    assert command.stop() == 0


def test_behind_run_it_is_as_it_was(start: Start) -> None:
    command = start(program=[sys.executable, "kept.py"])
    answer = second_answer(command)
    assert (answer["frozen"], answer["threshold"]) == (True, 5000)
    assert command.stop() == 0
    assert f"behind: 0 {PYTHONS}" in command.out.splitlines()


def test_by_a_program_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text(ALONE)
    done = subprocess.run(
        [sys.executable, "alone.py"], cwd=tmp_path, env=Command.environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
