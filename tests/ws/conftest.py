"""Choices are made by what the tests of the wire make theirs with."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "wire"))
