"""Links from page to page, and from pages to the repository, lead somewhere."""

from __future__ import annotations

import re

import pytest

from .blocks import ROOT, pages

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^(`{3,}).*?^\1`*$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", pages())
def test_every_link_leads_somewhere(page: str) -> None:
    text = _FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))
    lost = []
    for link in _LINK.findall(text):
        path = link.partition("#")[0]
        if path and ":" not in path and not ((ROOT / page).parent / path).exists():
            lost.append(link)
    assert lost == []


def test_every_page_is_in_the_site() -> None:
    """In one of the tables of contents, and so in the navigation."""
    entries = {"docs/index.md"}
    for page in pages():
        folder = page.rpartition("/")[0]
        text = (ROOT / page).read_text(encoding="utf-8")
        for contents in re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            names = [line for line in contents.split() if not line.startswith(":")]
            entries |= {f"{folder}/{name}.md" for name in names}
    assert entries >= {page for page in pages() if page.startswith("docs/")}
