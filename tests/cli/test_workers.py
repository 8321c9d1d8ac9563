"""``--workers`` and ``tornadoish.run``: the same program, started again in other processes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

import tornadoish
from tornadoish.cli import CommandError, again
from tornadoish.cli.options import as_arguments
from tornadoish.cli.serving import Service, Task
from tornadoish.cli.settings import Settings
from tornadoish.cli.sources import from_keywords

from .commanding import APP, Command, answering, until
from .conftest import Start

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no workers without fork")

RUN = (
    APP
    + """
if __name__ == "__main__":
    import sys, tornadoish
    tornadoish.run(make_slowly, port=0, **eval(sys.argv[1]))
"""
)


@pytest.fixture(autouse=True)
def application(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(APP)


def pids(command: Command) -> set[int]:
    """Who answers, asked until there are two."""
    found: set[int] = set()

    def enough() -> bool:
        found.add(command.get().json()["pid"])
        return len(found) >= 2

    until(enough)
    return found


def test_workers_serve_and_are_replaced_by_new_code_and_configuration(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "hello.toml").write_text("[limit]\nheader_fields = 50\n")
    command = start("hello:make_app", "--port=0", "--workers=2", "--config=hello.toml")
    before = pids(command)
    assert command.process.pid not in before
    (tmp_path / "hello.py").write_text(APP.replace('"one"', '"two"'))
    (tmp_path / "hello.toml").write_text("[limit]\nheader_fields = 8\n")
    command.process.send_signal(signal.SIGHUP)
    until(lambda: command.get().json()["word"] == "two" and not pids(command) & before)
    fields = {f"x-{number}": "1" for number in range(10)}
    assert command.get(headers=fields).status_code == 431
    assert command.stop() == 0
    assert "hello:make_app at http://" in command.error
    assert "Traceback" not in command.error
    # Workers say who they are; the access log of all goes to one place.
    assert "\nhello:make_app" not in command.error
    assert '"GET / HTTP/1.1" 200' in command.out


def test_a_worker_that_is_replaced_is_ready_to_the_last(start: Start, tmp_path: Path) -> None:
    """Who asks on a connection that it keeps hears nothing of it: the server goes on."""
    (tmp_path / "ready.py").write_text(
        "from tornadoish.health import HealthHandlers\n"
        "from tornadoish.web import Application\n"
        "health = HealthHandlers()\n"
        "app = Application([*health])\n"
        "app.on_shutdown.append(health.announce(seconds=1))\n"
    )
    command = start("ready:app", "--port=0", "--workers=1")
    with httpx.Client(base_url=command.url, trust_env=False) as client:
        assert client.get("/readyz").status_code == 200
        command.process.send_signal(signal.SIGHUP)
        while "has drained" not in command.error:
            assert client.get("/readyz").status_code == 200
    assert command.stop() == 0


def test_a_worker_that_has_answered_enough_is_replaced(start: Start) -> None:
    command = start("hello:make_app", "--port=0", "--workers=1", "--max-requests=3")
    first = command.get().json()["pid"]
    until(lambda: command.get().json()["pid"] != first)
    assert command.stop() == 0


def test_no_time_at_all_to_end(start: Start, tmp_path: Path) -> None:
    command = start("hello:make_app", "--port=0", "--workers=1", "--grace=0")
    with answering(command, tmp_path) as answer:
        assert command.stop() == 0
        with pytest.raises(httpx.RemoteProtocolError):
            answer.result()


@pytest.mark.parametrize(
    ("app", "said", "status"),
    [
        ("hello:none", "there is no 'none' in hello", 2),
        ("broken:app", "broken cannot be imported: broken.py, line 1: ZeroDivisionError", 2),
        ("failing:make", "failing:make() has failed: failing.py, line ", 2),
        ("failing:app", "the application could not start: ValueError('no database')", 1),
    ],
)
def test_workers_that_cannot_start(
    start: Start, tmp_path: Path, app: str, said: str, status: int
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "failing.py").write_text(
        APP + "\ndef fail(app):\n    raise ValueError('no database')\n"
        "app = make_app()\napp.on_startup.append(fail)\ndef make(): fail(None)\n"
    )
    command = start(app, "--port=0", "--workers=1")
    assert command.ended() == status
    assert said in command.error
    # Told by the worker, so it is not tried again; the application's own traceback is logged.
    assert command.error.count(" is lost: ") == command.error.count("Giving up") == 1
    assert command.error.count("Traceback") == (status == 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_metrics_of_one_process_and_of_all(start: Start, tmp_path: Path, workers: int) -> None:
    pytest.importorskip("prometheus_client")
    words = [f"--workers={workers}"] if workers else []
    command = start("hello:make_app", "--port=0", "--metrics=unix:metrics", *words)
    if workers:
        assert len(pids(command)) == 2
        command.process.send_signal(signal.SIGHUP)
        command.said("All workers are replaced")
        command.said("2 workers serve", times=2)  # what the first have counted is still counted
    else:
        command.get()
    asked = command.out.count if workers else None
    transport = httpx.HTTPTransport(uds=str(tmp_path / "metrics"))

    def counted() -> bool:
        with httpx.Client(transport=transport) as client:
            text = client.get("http://a/metrics").text
        line = re.search(r'^tornadoish_requests_total\{.*status="200"\} (\S+)$', text, re.M)
        return line is not None and float(line[1]) == (asked("GET /") if asked else 1)

    until(counted)
    assert command.stop() == 0
    assert not (tmp_path / "metrics").exists()


METERED = (
    APP
    + """
from tornadoish.metrics import Metrics
metrics = Metrics()
app = Application([("/", Main)], observers=[metrics])
other = Application([("/", Main)])
"""
)


def test_metrics_that_the_application_has_already(start: Start, tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    (tmp_path / "metered.py").write_text(METERED)
    command = start("metered:other", "--port=0", "--metrics=0")
    assert command.ended() == 2
    assert command.error.splitlines()[-1].startswith(
        "tornadoish: error: --metrics: this process has Metrics already"
    )
    assert "Traceback" not in command.error
    command = start("metered:app", "--port=0", "--metrics=0")
    command.get()
    where = command.said(r"Metrics at (\S+)")

    def counted() -> object:
        page = httpx.get(where, trust_env=False).text
        return re.search(r'requests_total\{.*status="200"\} 1.0$', page, re.M)

    until(counted)


def test_metrics_at_an_address_in_use(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        command = start("hello:make_app", "--port=0", f"--metrics={port}")
        assert command.ended() == 2
    assert f"127.0.0.1:{port} is in use" in command.error
    assert "take another port with --metrics" in command.error
    assert command.error.count("\n") == 1


async def test_the_same_order_twice_is_no_hurry() -> None:
    """A service manager may tell all processes; and the supervisor tells its workers, too."""
    service = Service(Task(found=None, name="x", settings=Settings(), sockets=[]))
    drain: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    service._draining = drain
    service._drain_as_told(5)
    service._on_stop()
    assert service._stop.is_set()
    assert not drain.cancelled()
    service._on_stop()
    assert drain.cancelled()


# -- run()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("{}", ["hello.py"]),
        ("{'workers': 2}", ["hello.py"]),
        ("{'workers': 1}", ["-m", "hello"]),
        ("{'reload': True}", ["hello.py"]),
    ],
)
def test_run_is_the_same_as_a_function(
    start: Start, tmp_path: Path, options: str, words: list[str]
) -> None:
    (tmp_path / "hello.py").write_text(RUN)
    command = start(program=[sys.executable, *words, options],
                    environment={"TORNADOISH_LOG_FORMAT": "SEEN %U"})  # fmt: skip
    assert command.get().json()["word"] == "one"
    assert command.stop(signal.SIGINT) == 0
    assert command.error.count("make_slowly ") == 1
    assert "SEEN /\n" in command.out


def test_run_by_name(start: Start, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import tornadoish\n"
        "tornadoish.run('hello:make_app', port=0, workers=2, limit={'header_fields': 8})\n"
    )
    command = start(program=[sys.executable, "main.py"])
    assert len(pids(command)) == 2
    assert command.get(headers={f"x-{n}": "1" for n in range(9)}).status_code == 431
    assert command.stop() == 0


def test_run_says_what_cannot_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        tornadoish.run("hello:make_app", port="x")
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "tornadoish: error: run(port=x): expected a whole number, 0 to 65535\n"
    )


async def test_run_within_a_loop() -> None:
    with pytest.raises(RuntimeError, match="makes an event loop, and one runs here"):
        tornadoish.run("hello:make_app")


# -- the words that start a program again


def test_the_same_command() -> None:
    typed = from_keywords({"workers": 2, "limit": {"idle_seconds": None, "body_bytes": 5}})
    words = again.of_command("a:b", typed)
    assert words[0] == sys.executable
    assert words[words.index("-m") :] == [
        "-m", "tornadoish", "--workers=2", "--limit=idle_seconds=none", "--limit=body_bytes=5",
        "--", "a:b",
    ]  # fmt: skip
    assert again.of_command(None, {})[-2:] == ["-m", "tornadoish"]
    assert as_arguments({"access_log": False, "host": ("", "::1")}) == [
        "--no-access-log", "--host=*", "--host=::1"
    ]  # fmt: skip


def test_flags_of_the_interpreter_are_passed_on(start: Start, tmp_path: Path) -> None:
    (tmp_path / "flags.py").write_text(
        "import sys\nfrom tornadoish.cli import again\n"
        "print(again.of_program()[1:-1])\nprint(again.of_command('x', {})[1:-4])\n"
    )
    command = start(
        program=[sys.executable, "-O", "-bb", "-Xdev", "-Xutf8=1", "flags.py", "arg"],
        environment={"PYTHONWARNINGS": ""},
    )
    assert command.ended() == 0, command.error
    program, words = map(eval, command.out.splitlines())
    assert words[:5] == ["-bb", "-B", "-O", "-Xdev", "-Xutf8=1"]
    assert program[-1] == str(tmp_path / "flags.py")


def test_a_program_that_is_no_file_cannot_be_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    main = type(sys)("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(CommandError, match=r'name the application instead, run\("module:name"\)'):
        again.of_program()
