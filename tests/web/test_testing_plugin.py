"""The pytest plugin, in pytest runs of its own."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent.parent
ENTRY = "tornadoish.pytest_plugin"
#: where the package is installed as it is now, pytest finds the plugin by itself
INSTALLED = any(entry.value == ENTRY for entry in importlib.metadata.entry_points(group="pytest11"))

Run = Callable[..., Any]

APP = """
import asyncio, httpx, pytest
from tornadoish.web import Application, RequestHandler

class Main(RequestHandler):
    def get(self):
        self.write(f"{self.request.protocol} {self.request.host}")

    def post(self):
        self.write(self.request.body)

class Fails(RequestHandler):
    def get(self):
        raise ValueError("as it must")

def make_app():
    return Application([("/", Main), ("/fails", Fails)])

@pytest.fixture
def app():
    return make_app()
"""


@pytest.fixture
def run(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> Run:
    """A function that runs the tests in a source, and says how many came to what."""

    def run_source(source: str, *arguments: str, ini: str = "", mode: str = "auto") -> Any:
        pytester.makeini(
            f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n"
            "filterwarnings =\n    error\n"
            "    ignore:assertions not in test modules:pytest.PytestConfigWarning\n"  # with -O
            f"{ini}"
        )
        pytester.makepyfile(APP + textwrap.dedent(source))
        plugins = [] if INSTALLED else [importlib.import_module(ENTRY)]
        return pytester.runpytest_inprocess(
            "-p", "no:xdist", "-p", "no:timeout", *arguments, plugins=plugins
        )

    return run_source


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_served_and_in_memory(run: Run, mode: str) -> None:
    result = run(
        """
        pytestmark = pytest.mark.asyncio

        async def test_served(tornadoish_client, tornadoish_server, app):
            response = await tornadoish_client.get("/")
            port = tornadoish_server.port
            assert response.text == f"http 127.0.0.1:{port}"
            assert tornadoish_server.base_url == f"http://127.0.0.1:{port}"
            assert tornadoish_server.url("/a") == f"http://127.0.0.1:{port}/a"
            assert tornadoish_server.app is app is tornadoish_server.server.request_callback
            async with httpx.AsyncClient() as other:
                assert (await other.get(tornadoish_server.url("/"))).status_code == 200

        async def test_in_memory(tornadoish_memory_client):
            assert (await tornadoish_memory_client.get("/")).text == "http localhost"
        """,
        mode=mode,
    )
    result.assert_outcomes(passed=2)


def test_both_at_once_and_options(run: Run) -> None:
    result = run(
        """
        @pytest.fixture
        def tornadoish_server_options():
            return {"max_body_size": 3}

        async def test_options(tornadoish_client, tornadoish_memory_client):
            for client in (tornadoish_client, tornadoish_memory_client):
                assert (await client.post("/", content=b"abc")).text == "abc"
                assert (await client.post("/", content=b"abcd")).status_code == 413
        """
    )
    result.assert_outcomes(passed=1)


def test_https(run: Run) -> None:
    result = run(
        """
        from tornadoish.testing import AsyncHTTPSTestCase

        @pytest.fixture
        def tornadoish_server_options():
            return {"ssl_options": AsyncHTTPSTestCase.default_ssl_options()}

        async def test_https(tornadoish_client, tornadoish_memory_client):
            for client in (tornadoish_client, tornadoish_memory_client):
                assert (await client.get("/")).text.startswith("https ")
        """
    )
    result.assert_outcomes(passed=1)


def test_the_application_may_be_overridden_and_has_its_hooks(run: Run) -> None:
    result = run(
        """
        heard = []

        @pytest.fixture
        async def tornadoish_app():
            app = make_app()
            app.on_startup.append(lambda _: heard.append("startup"))
            app.on_shutdown.append(lambda _: heard.append("shutdown"))
            app.on_cleanup.append(lambda _: heard.append("cleanup"))
            return app

        async def test_served(tornadoish_client):
            assert (await tornadoish_client.get("/")).status_code == 200
            assert heard == ["startup"]

        async def test_in_memory(tornadoish_memory_client):
            assert heard == ["startup", "shutdown", "cleanup"]
            heard.clear()
            assert (await tornadoish_memory_client.get("/")).status_code == 200

        def test_it_was_ended():
            assert heard == ["startup", "shutdown", "cleanup"]
        """
    )
    result.assert_outcomes(passed=3)


def test_no_application(run: Run) -> None:
    result = run(
        """
        del app

        async def test_nothing(tornadoish_client):
            raise AssertionError("never run")
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'app' not found*"])


def test_expected_logs(run: Run) -> None:
    result = run(
        """
        async def test_expected(tornadoish_memory_client, tornadoish_expect_log, caplog):
            expected = tornadoish_expect_log("tornado.application", "Uncaught exception")
            assert (await tornadoish_memory_client.get("/fails")).status_code == 500
            assert expected.matched == 1 and expected.logged_stack
            assert [record.name for record in caplog.records] != ["tornado.application"]

        def test_not_logged(tornadoish_expect_log):
            tornadoish_expect_log("tornado.application", "nonsense")
            tornadoish_expect_log("tornado.application", "nothing", required=False)
        """
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*did not get expected log message 'nonsense'*"])


LEAVING = """
    import socket
    import tornadoish.pytest_plugin.served

    tornadoish.pytest_plugin.served._PATIENCE = 0.1
    sockets = []

    async def some_rounds():
        for _ in range(10):
            await asyncio.sleep(0)

    class Leaving(RequestHandler):
        def get(self):
            what = self.get_query_argument("what", "")
            if what == "task":
                self.application.left = asyncio.create_task(asyncio.Event().wait(), name="left")
            elif what == "ending":
                self.application.left = asyncio.create_task(some_rounds())
            elif what == "error":
                asyncio.get_running_loop().call_soon(lambda: 1 / 0)

    @pytest.fixture
    def app():
        return Application([("/", Leaving)])

    @pytest.mark.parametrize("what", ["", "ending", "task", "error"])
    async def test_served(what, tornadoish_client):
        assert (await tornadoish_client.get("/", params={"what": what})).status_code == 200

    @pytest.mark.parametrize("what", ["", "ending", "task", "error"])
    async def test_in_memory(what, tornadoish_memory_client):
        assert (await tornadoish_memory_client.get("/", params={"what": what})).status_code == 200

    async def test_connected(tornadoish_server):
        sockets.append(socket.create_connection(("127.0.0.1", tornadoish_server.port)))
        async with httpx.AsyncClient() as client:
            await client.get(tornadoish_server.url("/"))

    def test_the_end():
        for sock in sockets:
            sock.close()
"""


@pytest.mark.parametrize(
    ("ini", "arguments"), [("tornadoish_strict = true", ()), ("", ("--tornadoish-strict",))]
)
def test_leftovers(run: Run, ini: str, arguments: tuple[str, ...]) -> None:
    result = run(LEAVING, *arguments, ini=ini)
    result.assert_outcomes(passed=10, errors=5)
    result.stdout.fnmatch_lines_random(
        [
            "*ERROR at teardown of test_served*task*",
            "*ERROR at teardown of test_in_memory*task*",
            "*ERROR at teardown of test_served*error*",
            "*ERROR at teardown of test_in_memory*error*",
            "*ERROR at teardown of test_connected*",
            "*left behind by the test:*",
            "*task: <Task pending name='left'*",
            "*connection: <IOStream open*> of 127.0.0.1*",
            "*error: Exception in callback*ZeroDivisionError*",
        ]
    )


def test_leftovers_are_let_go_by_default(run: Run) -> None:
    result = run(LEAVING, "-W", "ignore")
    result.assert_outcomes(passed=10)


def test_anyio_s_plugin_will_do(run: Run) -> None:
    pytest.importorskip("anyio")
    result = run(
        """
        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_served(tornadoish_client, tornadoish_memory_client):
            for client in (tornadoish_client, tornadoish_memory_client):
                assert (await client.get("/")).status_code == 200
        """,
        *("-p", "no:asyncio", "-W", "ignore::pytest.PytestConfigWarning"),
    )
    result.assert_outcomes(passed=1)


def test_whoever_does_not_use_it_imports_nothing(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(
        "import sys\n"
        "def test_it():\n"
        "    ours = {name for name in sys.modules if name.partition('.')[0] == 'tornadoish'}\n"
        "    assert ours == {'tornadoish', 'tornadoish.pytest_plugin',\n"
        "                    'tornadoish.pytest_plugin.fixtures'}\n"
        "    assert 'httpx' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", ENTRY, str(test)], check=False,
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"tornadoish": ENTRY}
