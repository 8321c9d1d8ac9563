"""What the documents say is what the code does."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tornadoish.http1.limits import Limits
from tornadoish.httpserver import HTTPServer

ROOT = Path(__file__).parent.parent


def printed(script: str) -> str:
    """What one of the scripts in docs/ prints."""
    return subprocess.run(
        [sys.executable, ROOT / "docs" / script],
        capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
    ).stdout  # fmt: skip


def test_the_page_of_states_is_printed_from_the_tables() -> None:
    assert printed("print_states.py") == (ROOT / "docs" / "states.md").read_text(), (
        "run: python docs/print_states.py > docs/states.md"
    )


def test_the_tables_of_limits_are_printed_from_the_dataclass() -> None:
    tables = printed("print_limits.py")
    assert tables in (ROOT / "docs" / "limits.md").read_text(), "run: python docs/print_limits.py"
    for field in fields(Limits):
        assert tables.count(f"| `{field.name}` | ") == 1


def test_the_tables_of_tornado_s_names_are_printed_from_both() -> None:
    tornado = pytest.importorskip("tornado")
    if not tornado.version.startswith("6.6"):
        pytest.skip(f"the page is about Tornado 6.6, and {tornado.version} is installed")
    tables = printed("print_tornado.py")
    assert tables in (ROOT / "docs" / "tornado.md").read_text(), "run: python docs/print_tornado.py"


def test_every_bound_says_what_it_counts_and_what_happens_above() -> None:
    for line in printed("print_limits.py").splitlines():
        name, _, text = line.removeprefix("| `").partition("` | ")
        if not line.startswith("| `") or name == "piece_bytes":  # nothing is above that
            continue
        assert re.search(r"\b(above|below|at the bound)\b", text), name


@pytest.mark.parametrize(
    ("field", "option"),
    re.findall(r"^\| `(\w+)` \|.*\(Tornado: `(\w+)`\) \|$",
               (ROOT / "docs" / "limits.md").read_text(), re.MULTILINE),
)  # fmt: skip
def test_tornado_s_options_are_what_the_tables_say(field: str, option: str) -> None:
    options: dict[str, Any] = {option: 7}
    server = HTTPServer(lambda request: None, **options)
    assert getattr(server.limits, field) == 7 != getattr(Limits(), field)


def test_every_option_of_tornado_s_that_bounds_something_is_in_the_tables() -> None:
    bounds = {"max_header_size", "max_body_size", "chunk_size", "idle_connection_timeout",
              "body_timeout"}  # fmt: skip
    assert bounds < set(inspect.signature(HTTPServer).parameters)
    page = (ROOT / "docs" / "limits.md").read_text()
    assert set(re.findall(r"\(Tornado: `(\w+)`\)", page)) == bounds


def test_the_readme_shows_the_example() -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    assert (ROOT / "examples" / "hello.py").read_text() in blocks


def test_every_python_block_of_the_readme_compiles() -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 2
    for number, block in enumerate(blocks):
        compile(block, f"README.md, block {number}", "exec")


def test_ci_calls_the_readme_s_test_command() -> None:
    command = re.findall(
        r"^python3 -m venv .*tox.*$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert len(command) == 1
    script = (ROOT / ".ci" / "run").read_text()
    assert "README.md" in script and 'eval "$command"' in script
