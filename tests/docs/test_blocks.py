"""Every code block of README.md and of docs/ runs, or a table says why it does not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .blocks import ROOT, Block, blocks_of, directives_of, pages
from .not_run import BEFORE, NOT_RUN, PLAYED_ELSEWHERE
from .playing import PageError, Player, commands, matches

#: Directives whose contents are no code.
OTHER_DIRECTIVES = {"eval-rst", "toctree", "raw"}
ELSEWHERE = tuple(PLAYED_ELSEWHERE)
PAGES = [page for page in pages() if blocks_of(page) and not page.startswith(ELSEWHERE)]


def why_not(block: Block) -> str | None:
    for (page, begin), why in NOT_RUN.items():
        if block.page == page and block.text.startswith(begin):
            return why
    return None


def unused(player: Player) -> list[str]:
    """Files of Python that nobody has imported or run."""
    texts = player.mentioned + "".join(block.text for block in player.written.values())
    return [
        name
        for name in player.written
        if name.endswith(".py")
        and not (Path(name).name.startswith("test_") and "pytest" in player.mentioned)
        and not re.search(rf"\b{Path(name).stem}\b", texts.replace(f"# {name}\n", ""))
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs(page: str, tmp_path: Path) -> None:
    blocks = [block for block in blocks_of(page) if why_not(block) is None]
    shell = "".join(block.text for block in blocks if block.language in ("console", "sh"))
    for program in ("bash", "curl", "openssl"):
        if program in shell and shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    player = Player(tmp_path, BEFORE.get(page, ""))
    try:
        for block in blocks:
            player.play(block)
        player.close()
    finally:
        player.kill()
    assert unused(player) == []


def test_the_table_has_no_rows_that_nobody_needs() -> None:
    for page, begin in NOT_RUN:
        assert any(block.text.startswith(begin) for block in blocks_of(page)), (page, begin)
    for page in BEFORE:
        assert any(block.language == "python" for block in blocks_of(page)), page


@pytest.mark.parametrize("page", [page for page in pages() if page.startswith(ELSEWHERE)])
def test_pages_with_tests_of_their_own_are_in_them(page: str) -> None:
    if not blocks_of(page):
        return
    (tests,) = (tests for begin, tests in PLAYED_ELSEWHERE.items() if page.startswith(begin))
    files = [ROOT / tests] if tests.endswith(".py") else sorted((ROOT / tests).glob("*.py"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    assert Path(page).name in text or Path(page).stem in text


@pytest.mark.parametrize("page", pages())
def test_code_stands_between_fences(page: str) -> None:
    """What is indented, or a directive of Sphinx's that shows code, would not be seen here."""
    text = re.sub(r"^(`{3,}).*?^\1`*$", "", (ROOT / page).read_text(), flags=re.S | re.M)
    indented = re.findall(r"^(?![ \t]*(?:[-*+]|\d+\.) )\S.*\n\n(?: {4}|\t)\S.*$", text, flags=re.M)
    assert indented == []
    assert set(directives_of(page)) <= OTHER_DIRECTIVES


# -- the tests of the player itself: it sees what is wrong


def block(language: str, text: str, *words: str) -> Block:
    return Block("page.md", 1, language, words, text)


@pytest.mark.parametrize(
    "wrong",
    [
        block("python", "1 / 0\n"),
        block("python", "import asyncio\nawait asyncio.sleep(0)\nunknown\n"),
        block("python", "raise SystemExit(1)\n"),
        block("console", "$ echo one\ntwo\n"),
        block("console", "$ false\n"),
        block("console", "$ true\n", "fails"),
        block("console", "$ echo one\none\n$ echo two\nthree\n"),
        block("console", "$ python -c 'raise SystemExit(3)'\n", "serve"),
        block("sh", "false\ntrue\n"),
        block("toml", "a = \n"),
        block("json", "{"),
        block("cobol", ""),
        block("", "text"),
        block("text", "nothing has printed that\n"),
    ],
    ids=str,
)
def test_what_is_wrong_is_seen(wrong: Block, tmp_path: Path) -> None:
    player = Player(tmp_path)
    try:
        with pytest.raises((PageError, ValueError)):
            player.play(wrong)
            player.close()
    finally:
        player.kill()


def test_what_a_page_shows(tmp_path: Path) -> None:
    player = Player(tmp_path)
    server = (
        "import http.server as s\ns.HTTPServer(('127.0.0.1', 8888), s.SimpleHTTPRequestHandler)"
    )
    try:
        for one in (
            block("python", "# app.py\nword = 'one'\n"),
            block("python", "import app\nprint(app.word)\n"),
            block("text", "one\n"),
            block("python", f"try:\n    {server.splitlines()[0]}\nexcept ImportError: pass\n"),
            block("console", "$ cat \\\n  app.py\n# app.py\n...'one'\n$ echo two\ntwo\n"),
            block("sh", "mkdir made\ntest -d made\n"),
            block("toml", "a = 1\n"),
        ):
            player.play(one)
        assert unused(player) == []
        player.play(block("python", "# other.py\nnothing = 1\n"))
        assert unused(player) == ["other.py"]
        player.close()
    finally:
        player.kill()


def test_a_server_that_ends_badly_is_seen(tmp_path: Path) -> None:
    serve = (
        "import signal, socket\n"
        "signal.signal(signal.SIGTERM, lambda *_: 1 / 0)\n"
        "listening = socket.create_server(('127.0.0.1', 8888))\n"
        "signal.pause()\n"
    )
    player = Player(tmp_path)
    try:
        player.play(block("python", f"# serve.py\n{serve}"))
        player.play(block("console", "$ python serve.py\n", "serve"))
        with pytest.raises(PageError, match="ended with status"):
            player.close()
    finally:
        player.kill()


def test_commands_and_what_they_print() -> None:
    assert list(commands("$ a \\\n  b\nc\nd\n$ e\n")) == [("a \\\n  b\n", "c\nd\n"), ("e\n", "")]
    assert matches("one\ntwo\nthree\n", "one\n...\nthree")
    assert not matches("one\ntwo\n", "one\n")
