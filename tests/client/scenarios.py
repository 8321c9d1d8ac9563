"""All scenarios of these tests."""

from __future__ import annotations

from client.acts import ACTS
from client.cases import REQUEST_CASES, Case

CASES: dict[str, Case] = {}
for _case in (*REQUEST_CASES, *ACTS):
    if CASES.setdefault(_case.name, _case) is not _case:
        raise RuntimeError(f"There are two cases {_case.name!r}")
