"""The table of hostile input. It is the tests' own and knows no server: see tests/hostile."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from hostile import CASES, GROUPS, NEXT, Case, Others

__all__ = ["CASES", "GROUPS", "NEXT", "Case", "Others"]
