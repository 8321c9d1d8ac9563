"""What the documents say is what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_of_states_is_printed_from_the_tables() -> None:
    printed = subprocess.run(
        [sys.executable, ROOT / "docs" / "print_states.py"],
        capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert printed.stdout == (ROOT / "docs" / "states.md").read_text(), (
        "run: python docs/print_states.py > docs/states.md"
    )


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
