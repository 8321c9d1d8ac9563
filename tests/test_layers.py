"""The house: which file may import which, how large things are, and what is said where.

The table is the one of the design: a file imports from lower layers or from its own package, and
nothing goes round in a circle. Imports in functions and under TYPE_CHECKING count like all others.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import tornadoish

PACKAGE = Path(tornadoish.__file__).parent
MAX_LINES, MAX_FUNCTION = 600, 60

# Module or package of tornadoish -> its layer.
LAYERS = {
    "__init__": 0, "buffer": 0, "compiling": 0, "escape": 0, "garbage": 0, "log": 0, "util": 0,
    "httputil": 1, "locale": 1, "template": 1,
    "http1": 2, "netutil": 2, "process": 2, "routing": 2, "ws": 2,
    "iostream": 3,
    "http1connection": 4, "tcpserver": 4,
    "httpserver": 5,
    "web": 6,
    "accesslog": 7, "health": 7, "metrics": 7, "pubsub": 7, "supervisor": 7, "tracing": 7,
    "websocket": 7, "wsgi": 7,
    "asgi": 8,
    "cli": 9, "testing": 9,
    "__main__": 10, "pytest_plugin": 10,
}  # fmt: skip
# Interfaces of Tornado that are as old as it, under names of their own; each with its layer too.
SANS_IO = ("http1", "ws", "httputil", "buffer")
NO_IO = {"asyncio", "socket", "ssl", "time", "select", "selectors", "threading", "os"}
# The contract names asyncio's classes in annotations, a request knows when it came, and an upload
# is a file: nothing of these is io.
ALLOWED = {
    ("httputil/delegates.py", "asyncio"),
    ("httputil/message.py", "asyncio"),
    ("httputil/request.py", "time"),
    ("httputil/request_head.py", "time"),
    ("httputil/urls.py", "time"),
}

FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """The module's name below tornadoish: "http1.reader", "web", "log"."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(path): path for path in FILES}


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, wherever, as (line, absolute name)."""
    package = ["tornadoish", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module.split(".") if node.module else [])])
            for alias in node.names:
                full = f"{module}.{alias.name}"
                yield node.lineno, full if full.removeprefix("tornadoish.") in MODULES else module


def ours(path: Path) -> Iterator[tuple[int, str]]:
    """Every module of ours that a file imports, as (line, name below tornadoish)."""
    for line, name in imported(path):
        if name == "tornadoish":
            yield line, "__init__"
        elif name.startswith("tornadoish."):
            yield line, name.removeprefix("tornadoish.")


def layer(module: str) -> int:
    return LAYERS[module.partition(".")[0]]


@pytest.mark.parametrize("module", MODULES)
def test_a_file_imports_from_below(module: str) -> None:
    package = module.partition(".")[0]
    assert package in LAYERS, "a new module has no layer yet: say in the table where it belongs"
    wrong = [
        f"{MODULES[module]}:{line} imports {other} of layer {layer(other)}"
        for line, other in ours(MODULES[module])
        if other.partition(".")[0] != package and layer(other) >= layer(module)
    ]
    assert wrong == []


def test_nothing_goes_round_in_a_circle() -> None:
    graph = {module: {other for _, other in ours(path)} for module, path in MODULES.items()}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join([*way, module])
        if module not in done:
            for other in sorted(graph[module]):
                visit(other, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())
    assert done == set(MODULES)


@pytest.mark.parametrize("package", SANS_IO)
def test_sans_io(package: str) -> None:
    wrong = []
    for module, path in MODULES.items():
        if module.partition(".")[0] != package:
            continue
        where = path.relative_to(PACKAGE).as_posix()
        for line, name in imported(path):
            root = name.partition(".")[0]
            if root in NO_IO and (where, root) not in ALLOWED:
                wrong.append(f"{where}:{line} imports {name}")
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(PACKAGE)) for p in FILES])
def test_sizes(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    large = [
        f"{path}:{node.lineno} {node.name}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.body[0].lineno + 1 > MAX_FUNCTION
    ]
    assert large == []


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(PACKAGE)) for p in FILES])
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def words(path: Path) -> Iterator[tuple[int, str]]:
    """All that a file says: names and texts, docstrings too."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in (tokenize.NAME, tokenize.STRING, tokenize.COMMENT):
            yield token.start[0], token.string


# What iostream says of HTTP is that it does not say it.
VOW = 'never says "HTTP"'


@pytest.mark.parametrize(
    "path", [p for m, p in MODULES.items() if m.partition(".")[0] in ("iostream", "buffer")]
)
def test_streams_never_say_http(path: Path) -> None:
    said = [
        f"{path}:{line}"
        for line, text in words(path)
        if "http" in " ".join(text.split()).replace(VOW, "").lower()
    ]
    assert said == []


def test_nothing_relies_on_assert() -> None:
    """Under -O they are gone: none decides anything."""
    wrong = [
        f"{path}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert wrong == []


def test_the_table_has_no_other_names() -> None:
    assert {module.partition(".")[0] for module in MODULES} == set(LAYERS)
