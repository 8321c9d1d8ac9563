"""The table of options: one place for the command line, the environment, files, help and pages."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tornadoish import __version__
from tornadoish.cli import CommandError, Options, Settings, main
from tornadoish.cli.arguments import read_words
from tornadoish.cli.options import OPTIONS, Option, Shape, as_arguments
from tornadoish.cli.settings import DEFAULT_HOST, DEFAULT_PORT
from tornadoish.cli.sources import from_keywords, from_words, put_together
from tornadoish.compiling import is_compiled

ROOT = Path(__file__).parents[2]

#: for each option: a text, and the value that it stands for
EXAMPLES: dict[str, tuple[str, Any]] = {
    "host": ("::1", ("::1",)),
    "port": ("0", 0),
    "unix": ("/run/x.sock", "/run/x.sock"),
    "unix_mode": ("660", 0o660),
    "fd": ("3", (3,)),
    "tls_cert": ("a.pem", "a.pem"),
    "tls_key": ("a.key", "a.key"),
    "tls_password_file": ("a.txt", "a.txt"),
    "tls_client_ca": ("ca.pem", "ca.pem"),
    "proxy_trust": ("10.0.0.0/8", ("10.0.0.0/8",)),
    "proxy_protocol": ("unix", ("unix",)),
    "workers": ("3", 3),
    "max_requests": ("1000", 1000),
    "max_memory": ("1.5G", 3 * 2**29),
    "grace": ("2.5", 2.5),
    "loop": ("asyncio", "asyncio"),
    "gc_freeze": ("off", False),
    "gc_threshold": ("5000", 5000),
    "reload": ("true", True),
    "reload_dir": ("src", ("src",)),
    "limit": ("body_bytes=1K", {"body_bytes": 1024}),
    "log_level": ("debug", "debug"),
    "log_format": ('%h "%r"', '%h "%r"'),
    "access_log": ("off", False),
    "metrics": ("9100", "9100"),
    "config": ("a.toml", "a.toml"),
    "check": ("true", True),
}
#: what some options are not given without
COMPANY: dict[str, dict[str, str]] = {
    "tls_key": {"tls_cert": "a.pem"},
    "tls_password_file": {"tls_cert": "a.pem"},
    "tls_client_ca": {"tls_cert": "a.pem"},
    "max_requests": {"workers": "1"},
    "max_memory": {"workers": "1"},
    "reload_dir": {"reload": "true"},
}

each_option = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)


def words_of(name: str, text: str) -> list[str]:
    """As one would type it."""
    flag = f"--{name.replace('_', '-')}"
    if text == "true":
        return [flag]
    return [flag.replace("--", "--no-", 1)] if text == "off" else [flag, text]


def test_all_tables_have_the_same_names_in_the_same_order() -> None:
    names = [option.name for option in OPTIONS]
    assert [field.name for field in dataclasses.fields(Settings)] == names == list(EXAMPLES)
    assert list(Options.__annotations__) == [name for name in names if name != "check"]


@each_option
def test_typed(option: Option) -> None:
    text, value = EXAMPLES[option.name]
    read = read_words(["a:b", *words_of(option.name, text)])
    assert read.app == "a:b"
    assert from_words(read.options) == {option.name: value}


@each_option
def test_typed_for_another_process(option: Option) -> None:
    """What one process was told reaches the next one by its command line."""
    _, value = EXAMPLES[option.name]
    words = as_arguments({option.name: value})
    assert from_words(read_words(words).options) == {option.name: value}


@each_option
def test_in_the_environment(option: Option) -> None:
    text, value = EXAMPLES[option.name]
    environment = {option.variable: text}
    for name, other in COMPANY.get(option.name, {}).items():
        environment[f"TORNADOISH_{name.upper()}"] = other
    if option.name == "config":
        environment = {"TORNADOISH_CONFIG": "/nowhere/a.toml"}
        with pytest.raises(CommandError, match=r"cannot read /nowhere/a\.toml"):
            put_together("a:b", {}, environment)
        return
    settings = put_together("a:b", {}, environment).settings
    # --check is for people: a variable that is left over must not keep a server from serving.
    expected = False if option.name == "check" else value
    assert getattr(settings, option.name) == expected


@each_option
def test_in_a_file(option: Option, tmp_path: Path) -> None:
    text, value = EXAMPLES[option.name]
    named = {option.name: text, **COMPANY.get(option.name, {})}
    lines = [f"{name.replace('_', '-')} = {toml(name, text)}" for name, text in named.items()]
    file = tmp_path / "a.toml"
    file.write_text("\n".join(lines))
    if not option.in_file:
        with pytest.raises(CommandError, match="there is no option"):
            put_together("a:b", {"config": str(file)}, {})
        return
    settings = put_together("a:b", {"config": str(file)}, {}).settings
    if option.name.startswith("tls_"):
        value = str(tmp_path / value)
    elif option.name == "reload_dir":
        value = (str(tmp_path / "src"),)
    assert getattr(settings, option.name) == value


def toml(name: str, text: str) -> str:
    if name == "limit":
        key, _, bound = text.partition("=")
        return f'{{ {key} = "{bound}" }}'
    if name == "unix_mode":
        return f"0o{text}"
    if text in ("true", "off"):
        return {"true": "true", "off": "false"}[text]
    return text if text.isdigit() and name not in ("metrics",) else f"'{text}'"


@each_option
def test_as_an_argument_of_run(option: Option) -> None:
    text, value = EXAMPLES[option.name]
    if option.name == "check":
        with pytest.raises(TypeError, match="no argument 'check'"):
            from_keywords({"check": True})
        return
    argument = {"true": True, "off": False}.get(text, text)
    if option.shape is Shape.PAIRS:
        argument = {"body_bytes": "1K"}
    assert from_keywords({option.name: argument}) == {option.name: value}
    assert from_keywords({option.name: value}) == {option.name: value}
    assert from_keywords({option.name: None}) == {}


@each_option
def test_what_is_shown_as_the_default_is_the_default(option: Option) -> None:
    default = getattr(Settings(), option.name)
    assert option.help
    assert option.group
    if option.shown is None:
        assert option.default or not default
    elif option.name not in ("workers", "gc_threshold", "reload_dir"):
        settings = Settings()
        ours = {"host": DEFAULT_HOST, "port": str(DEFAULT_PORT), "unix_mode": "600"}
        assert option.shown == ours[option.name]
        assert settings.hosts == (DEFAULT_HOST,)
        assert settings.port_wanted == DEFAULT_PORT
        assert settings.unix_mode == 0o600


# -- what goes first


def test_what_is_typed_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        """
        app = "of_file:app"
        port = 1
        grace = 1
        log-level = "debug"
        host = ["::1", "127.0.0.1"]
        [limit]
        header_fields = 1
        idle_seconds = 1
        body_seconds = "none"
        """
    )
    environment = {
        "TORNADOISH_PORT": "2", "TORNADOISH_GRACE": "2",
        "TORNADOISH_LIMIT": "header_fields=2, idle_seconds=2",
    }  # fmt: skip
    typed = from_words(read_words(["--port=3", "--limit=header_fields=3"]).options)
    command = put_together(None, {"config": str(file), **typed}, environment)
    settings = command.settings
    assert (settings.port, settings.grace, settings.log_level) == (3, 2.0, "debug")
    assert settings.host == ("::1", "127.0.0.1")
    assert settings.limit == {"header_fields": 3, "idle_seconds": 2.0, "body_seconds": None}
    assert command.app == "of_file:app"
    environment["TORNADOISH_APP"] = "of_environment:app"
    assert put_together(None, {"config": str(file)}, environment).app == "of_environment:app"
    assert put_together("x:y", {"config": str(file)}, environment).app == "x:y"
    # Another process is told what was typed, and reads the rest for itself.
    assert command.typed == {"config": str(file), **typed}


def test_a_project_says_what_is_served_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert put_together(None, {}, {}).app is None
    project = tmp_path / "pyproject.toml"
    project.write_text("[project]\nname = 'x'\n")
    assert put_together(None, {}, {}).app is None
    project.write_text("[tool.tornadoish]\napp = 'x:app'\nport = 7\n")
    command = put_together(None, {}, {})
    assert (command.app, command.settings.port) == ("x:app", 7)
    # Who says what to serve says all of it.
    assert put_together("y:app", {}, {}).settings.port is None
    assert put_together("y:app", {"config": "pyproject.toml"}, {}).settings.port == 7


@pytest.mark.parametrize(
    ("given", "listens"),
    [
        ({}, True),
        ({"unix": "x"}, False),
        ({"fd": (3,)}, False),
        ({"unix": "x", "port": 80}, True),
        ({"fd": (3,), "host": ("::1",)}, True),
    ],
)
def test_a_port_is_taken_unless_something_else_is_named(
    given: dict[str, Any], listens: bool
) -> None:
    assert Settings(**given).listens_on_tcp is listens


# -- what cannot be used is told with its place


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "70000"], "--port 70000: expected a whole number, 0 to 65535"),
        (["--port", "٣"], "--port ٣: expected a whole number"),
        (["--port", "+1"], "--port +1: expected a whole number"),
        (["--port", ""], "--port '': expected a whole number"),
        (["--port"], "--port: expected one argument"),
        (["--prot", "1"], "there is no option --prot; did you mean --port?"),
        (["--por=1"], "there is no option --por; did you mean --port?"),
        (["--zzz"], "there is no option --zzz (see tornadoish --help)"),
        (["b:c"], "one application at a time: 'a:b' is one, 'b:c' is too much"),
        (["--workers", "many"], "expected a whole number, 0 to 1024 or auto"),
        (["--unix-mode", "rw"], "expected permissions in octal"),
        (["--max-memory", "lots"], "expected bytes, such as 65536 or 512M"),
        (["--grace", "soon"], "expected seconds, such as 30"),
        (["--loop", "uvlop"], "expected auto, uvloop or asyncio; did you mean uvloop?"),
        (["--proxy-trust", "example.org"], "--proxy-trust example.org: no IP address"),
        (["--proxy-trust", "10.1.1.1/8"], "has host bits set"),
        (["--limit", "x"], "--limit x: expected NAME=VALUE"),
        (["--limit", "body_byte=1"], "there is no limit 'body_byte'; did you mean body_bytes?"),
        (["--limit", "body_bytes=none"], "body_bytes needs a bound, it cannot be none"),
        (["--limit", "idle_seconds=1K"], "idle_seconds: expected seconds"),
        (["--limit", "header_fields=1K"], "header_fields: expected a whole number"),
        (["--log-level", "loud"], "expected debug, info, warning, error or critical"),
        (["--log-format", "jsn"], "no log format"),
        (["--log-format", "%y"], "%y"),
        (["--metrics", "x:x"], "--metrics x:x: expected PORT, HOST:PORT or unix:PATH"),
        (["--metrics", "65536"], "expected PORT"),
        (["--tls-key", "x"], "--tls-key needs --tls-cert"),
        (["--max-requests", "5"], "--max-requests replaces workers, and there are none"),
        (["--reload-dir", "x"], "--reload-dir says what is watched: add --reload"),
    ],
)
def test_typed_wrongly(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    assert main(["a:b", *words]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("tornadoish: error: ")
    assert error.count("\n") == 1
    assert said in error


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PORT", "x", "TORNADOISH_PORT=x in the environment: expected a whole number"),
        ("RELOAD", "maybe", "TORNADOISH_RELOAD=maybe in the environment: expected true or false"),
        ("LIMIT", "a=1,b", "there is no limit 'a'"),
        ("PORT", "\x1b[31m", r"TORNADOISH_PORT='\x1b[31m' in the environment"),
    ],
)
def test_wrong_in_the_environment(
    variable: str,
    value: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(f"TORNADOISH_{variable}", value)
    assert main(["a:b"]) == 78
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = ", "is no valid TOML"),
        ("prot = 1", "there is no option 'prot'; did you mean port?"),
        ("config = 'x'", "there is no option 'config'"),
        ("port = true", "port = True: expected a text or a number"),
        ("port = [1]", "expected a text or a number"),
        ("port = 1.5", "port = 1.5: expected a whole number"),
        ("reload = 1", "reload = 1: expected true or false"),
        ("limit = 1", "limit = 1: expected names and values"),
        ("[limit]\nbody_bytes = -1", "body_bytes: expected bytes"),
        ("unix-mode = 660", "unix-mode = 660: expected permissions in octal, such as 0o660"),
        ("app = 1", 'app = 1: expected "module:name"'),
    ],
)
def test_wrong_in_a_file(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text(text)
    assert main(["a:b", "--config", str(file)]) == 78
    error = capsys.readouterr().err
    assert f"tornadoish: error: {file}" in error
    assert said in error


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text("[project]\n")
    for file, said in (
        (tmp_path / "none.toml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (project, "has no table [tool.tornadoish]"),
    ):
        assert main(["a:b", "--config", str(file)]) == 78
        assert said in capsys.readouterr().err


def test_an_argument_of_run_that_there_is_not() -> None:
    with pytest.raises(TypeError, match="no argument 'prot'; did you mean port"):
        from_keywords({"prot": 1})
    with pytest.raises(CommandError, match=r"run\(port=x\): expected a whole number"):
        from_keywords({"port": "x"})
    with pytest.raises(CommandError, match="expected a text or a number"):
        from_keywords({"host": [None]})
    with pytest.raises(CommandError, match="must not hold a NUL"):
        from_keywords({"unix": "\0name"})
    path = Path("a.pem")
    assert from_keywords({"tls_cert": path, "reload_dir": [path]}) == {
        "tls_cert": "a.pem", "reload_dir": ("a.pem",)
    }  # fmt: skip


# -- help


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_help_names_everything_in_lines_that_fit(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert main(["--help"]) == main(["-h", "x:y", "--port=1"]) == 0
    text, error = capsys.readouterr()
    assert error == ""
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= min(int(columns), 100)
    for option in OPTIONS:
        assert f"\n  {option.usage}" in text
        assert " ".join(option.help.split()[:3]) in text


def test_help_in_colours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["--help"])
    assert "\x1b[1mtornadoish\x1b[0m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["--help"])
    assert "\x1b" not in capsys.readouterr().out


def test_version_says_what_it_runs_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    out = capsys.readouterr().out
    python = ".".join(map(str, sys.version_info[:3]))
    kind = "compiled" if is_compiled() else "pure Python"
    assert out.startswith(f"tornadoish {__version__} ({kind}), ")
    assert f" {python}, " in out
    assert out.rstrip().endswith("asyncio") or "uvloop" in out


def test_nothing_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([]) == 2
    assert "say what to serve: tornadoish module:name" in capsys.readouterr().err


def test_importing_the_package_loads_no_command_line() -> None:
    script = (
        "import sys, tornadoish; "
        "assert not [m for m in sys.modules if m.startswith('tornadoish.')]; "
        "tornadoish.run; assert 'tornadoish.cli' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_the_page_of_options_is_printed_from_the_table() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "print_options.py"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    page = (ROOT / "docs" / "command-line.md").read_text()
    assert done.stdout in page, "run: python docs/print_options.py, and put it into the page"
    for option in OPTIONS:
        assert done.stdout.count(f"| `{option.usage}` |") == 1
