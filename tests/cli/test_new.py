"""``tornadoish new NAME``: a project that runs. (Its own test passes in test_first_ten_minutes.)"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

from tornadoish.cli import main

from .conftest import Start

FILES = {
    ".gitignore", "README.md", "pyproject.toml", "PACKAGE/__init__.py", "PACKAGE/app.py",
    "PACKAGE/handlers.py", "PACKAGE/templates/home.html", "PACKAGE/static/style.css",
    "tests/test_app.py",
}  # fmt: skip


def files_of(directory: Path) -> set[str]:
    return {
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    }


def test_it_runs(
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("jinja2")
    monkeypatch.chdir(tmp_path)
    assert main(["new", "sub/My-Site"]) == 0
    project = tmp_path / "sub" / "My-Site"
    assert files_of(project) == {name.replace("PACKAGE", "my_site") for name in FILES}
    told = capsys.readouterr().out
    for name in files_of(project):
        assert f"  sub/My-Site/{name}\n" in told
    assert "tornadoish --reload" in told

    described = tomllib.loads((project / "pyproject.toml").read_text())
    assert described["project"]["name"] == "My-Site"
    assert described["tool"]["tornadoish"] == {"app": "my_site.app:make_app"}
    for path in project.rglob("*.py"):
        compile(path.read_text(), path, "exec")
        assert not re.search(r"@\w+@", path.read_text())

    # `tornadoish` alone serves it.
    command = start(program=["env", "-C", str(project), sys.executable, "-m", "tornadoish"],
                    environment={"TORNADOISH_PORT": "0"})  # fmt: skip
    with httpx.Client(base_url=command.url, trust_env=False, follow_redirects=True) as client:
        page = client.get("/").text
        assert "<h1>Hello, world</h1>" in page
        token = re.search(r'name="_xsrf" value="([^"]+)"', page)
        assert token is not None
        page = client.post("/", data={"name": "<you>", "_xsrf": token[1]}).text
        assert "<h1>Hello, &lt;you&gt;</h1>" in page
        style = re.search(r'href="(/static/style[^"]+)"', page)
        assert style is not None
        assert client.get(style[1]).status_code == 200
        assert client.post("/", data={"name": "x"}).status_code == 403
    assert command.stop() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say how the project is called"),
        (["a", "b"], "say how the project is called"),
        (["--name"], "say how the project is called"),
        (["1x"], "'1x' is no name for a project"),
        (["a b"], "'a b' is no name for a project"),
        (["naïve"], "is no name for a project"),
        ([".."], "'..' is no name for a project"),
        (["class"], "'class' is a word of Python's"),
        (["json"], "there is a module 'json' already"),
        (["tests"], "there is a module 'tests' already"),
        (["tornadoish"], "there is a module 'tornadoish' already"),
        (["pytest"], "a package 'pytest' is installed here"),
        (["there"], "there is there, and not empty"),
        (["a-file"], "a-file is there, and not empty"),
        (["a-file/x"], "cannot be written: "),
    ],
)
def test_what_cannot_be_a_project(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x").touch()
    (tmp_path / "a-file").touch()
    before = files_of(tmp_path)
    assert main(["new", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("tornadoish: error: ")
    assert error.count("\n") == 1
    assert said in error
    assert files_of(tmp_path) == before


def test_an_empty_directory_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert main(["new", "mine"]) == 0
    assert (tmp_path / "mine" / "mine" / "app.py").exists()


def test_help_of_new(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "--help"]) == 0
    assert "Usage: tornadoish new NAME" in capsys.readouterr().out
