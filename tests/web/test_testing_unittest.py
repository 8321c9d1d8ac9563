"""The test cases for unittest: what is documented of Tornado's comes to the same over ours."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

import pytest
from libraries import LIBRARIES, installed

from tornadoish import testing
from tornadoish.httputil import HTTPHeaders
from tornadoish.testing.certificate import certificate_files
from tornadoish.web import Application, RequestHandler

CASES = Path(__file__).with_name("testing_cases.py")

#: what those tests come to that are not to succeed
NOT_LOGGED = "AssertionError: did not get expected log message"
UNDECORATED = "TypeError: Generator and coroutine test methods should be decorated"
FAILURES = {
    "Loops.test_timeout": "TimeoutError: Operation timed out after 0.02 seconds",
    "Loops.test_timeout_of_a_generator": "TimeoutError: Operation timed out after 0.02 seconds",
    "Loops.test_error": "KeyError: 'x'",
    "Loops.test_undecorated": UNDECORATED,
    "Loops.test_undecorated_generator": UNDECORATED,
    "Loops.test_with_a_result": "ValueError: Return value from test method ignored: 5",
    "Loops.test_what_is_left_and_fails": "KeyError: 'left'",
    "Loops.test_wait_for_nothing": "AssertionError: Async operation timed out after 0.02 seconds",
    "NoApp.test_nothing": "NotImplementedError: ",
    "Logs.test_another_level": NOT_LOGGED,
    "Logs.test_required": NOT_LOGGED,
    "Logs.test_an_error_is_not_hidden": "KeyError: 'x'",
}


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own."""
    return subprocess.run(
        [sys.executable, *arguments], check=False, timeout=100,
        capture_output=True, text=True, cwd=CASES.parent, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_same_cases(library: str) -> None:
    warned = () if library == "tornado" else ("-W", "error")
    done = run(*warned, CASES, TESTING_CASES=installed(library))
    results: dict[str, list[str]] = json.loads(done.stdout)
    assert len(results) > 50
    wrong = {}
    for name, found in results.items():
        expected = FAILURES.get(name, "")
        if library == "tornado" and expected is NOT_LOGGED:
            expected = expected.replace("AssertionError", "Exception")
        if len(found) != bool(expected) or not "".join(found).startswith(expected):
            wrong[name] = found
    assert wrong == {}
    if library == "tornadoish":
        assert done.stderr == ""  # no ResourceWarning either


@pytest.mark.parametrize("module", ["unittest", "tornadoish.testing", "pytest"])
def test_every_runner_runs_them(module: str, tmp_path: Path) -> None:
    arguments = ["testing_cases.Fetching.test_response"]
    if module == "pytest":  # without this project's conftest.py and options
        shutil.copy(CASES, tmp_path)
        arguments = ["-p", "no:asyncio", f"{tmp_path / CASES.name}::Fetching::test_response"]
    done = run("-W", "error", "-m", module, *arguments, TESTING_CASES="tornadoish")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 1 test" in done.stderr or "1 passed" in done.stdout


def test_the_command_needs_to_be_told_what() -> None:
    done = run("-m", "tornadoish.testing")
    assert (done.returncode, done.stderr) == (1, "No tests specified\n")


def test_main_runs_all(tmp_path: Path) -> None:
    script = tmp_path / "runtests.py"
    script.write_text(
        "import unittest\n"
        "from tornadoish.testing import main\n"
        "def all():\n"
        "    return unittest.TestSuite([unittest.FunctionTestCase(lambda: None)])\n"
        "main(verbosity=2)\n"
    )
    done = run(script)
    assert done.returncode == 0 and "Ran 1 test" in done.stderr, done.stderr


# -- ours alone


def outcome(case: type[unittest.TestCase], name: str = "runTest") -> list[str]:
    """What came out of a test: the last lines of its errors."""
    result = unittest.TestResult()
    case(name).run(result)
    return [text.strip().splitlines()[-1] for _, text in result.errors + result.failures]


class Main(RequestHandler):
    def get(self) -> None:
        self.write(self.request.protocol)


class Case(testing.AsyncHTTPTestCase):
    app: Any = None

    def get_app(self) -> Any:
        if self.app is None:
            type(self).app = Application([("/", Main)])
        return self.app


def test_the_application_s_hooks_are_called() -> None:
    heard: list[str] = []

    class Hooked(Case):
        def get_app(self) -> Any:
            app = Application([("/", Main)])
            app.on_startup.append(lambda _: heard.append("startup"))
            app.on_shutdown.append(lambda _: heard.append("shutdown"))
            app.on_cleanup.append(lambda _: heard.append("cleanup"))
            return app

        def runTest(self) -> None:
            heard.append(str(self.fetch("/").code))

    assert outcome(Hooked) == []
    assert heard == ["startup", "200", "shutdown", "cleanup"]


def test_one_application_for_many_tests() -> None:
    class Twice(Case):
        def runTest(self) -> None:
            self.assertEqual(self.fetch("/").code, 200)

    assert outcome(Twice) == outcome(Twice) == []


def test_a_loop_of_another_kind() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    class Loop(asyncio.SelectorEventLoop):
        pass

    class Other(Case):
        def get_new_ioloop(self) -> testing.LoopAdapter:
            loops.append(Loop())
            return testing.LoopAdapter(loops[-1])

        @testing.gen_test
        async def runTest(self) -> None:
            assert asyncio.get_running_loop() is self.asyncio_loop is loops[-1]
            assert (await self.http_client.fetch(self.get_url("/"))).code == 200

    assert outcome(Other) == []
    assert loops[0].is_closed()


@pytest.mark.parametrize("library", ["tornado"])
def test_tornado_s_client_may_ask(library: str) -> None:
    installed(library)
    from tornado.httpclient import AsyncHTTPClient, HTTPRequest

    class WithTornado(Case):
        def get_http_client(self) -> Any:
            return AsyncHTTPClient()

        def runTest(self) -> None:
            self.assertEqual(self.fetch("/").body, b"http")

    class WithItsRequests(Case):
        @testing.gen_test
        async def runTest(self) -> None:
            request = HTTPRequest(self.get_url("/"), headers={"A": "b"}, follow_redirects=False)
            assert (await self.http_client.fetch(request)).body == b"http"

    assert outcome(WithTornado) == outcome(WithItsRequests) == []


@pytest.mark.parametrize("setting", ["proxy_host", "prepare_curl_callback", "body_producer"])
def test_what_the_client_cannot_do_is_an_error_that_says_so(setting: str) -> None:
    class Cannot(Case):
        def runTest(self) -> None:
            self.fetch("/", **{setting: None})
            with self.assertRaisesRegex(TypeError, f"no '{setting}'; httpx has it perhaps"):
                self.fetch("/", **{setting: "x"})

    assert outcome(Cannot) == []


def test_what_cannot_be_sent() -> None:
    class Cannot(Case):
        def runTest(self) -> None:
            with self.assertRaisesRegex(ValueError, "cannot be sent"):
                self.fetch("/a b")
            with self.assertRaises(ValueError):
                self.fetch("/", auth_username="a", auth_mode="digest")

    assert outcome(Cannot) == []


def test_the_certificate_that_was_made_is_one() -> None:
    class Looking(testing.AsyncHTTPSTestCase):
        def get_app(self) -> Any:
            return Application([("/", Main)])

        def runTest(self) -> None:
            file = self.get_ssl_options()["certfile"]
            self.assertEqual(self.fetch("/", validate_cert=True, ca_certs=file).body, b"https")
            url = self.get_url("/").replace("127.0.0.1", "localhost")
            self.assertEqual(self.fetch(url, validate_cert=True, ca_certs=file).body, b"https")
            context = ssl.create_default_context(cafile=file)
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            self.assertEqual(self.fetch("/", ssl_options=context).body, b"https")
            self.assertEqual(self.fetch("/", ssl_options={"ca_certs": file}).body, b"https")

    assert outcome(Looking) == []


def test_each_process_has_a_certificate_of_its_own_and_leaves_none() -> None:
    script = (
        "from tornadoish.testing import AsyncHTTPSTestCase as Case; import os; "
        "options = Case.default_ssl_options(); assert options == Case.default_ssl_options(); "
        "assert not os.stat(os.path.dirname(options['keyfile'])).st_mode & 0o077; "
        "from pathlib import Path; "
        "print(Path(options['certfile']).read_text(), options['keyfile'])"
    )
    done = run("-W", "error", "-c", script)
    assert done.stderr == ""
    certificate, _, key = done.stdout.strip().rpartition(" ")
    assert not Path(key).exists() and not Path(key).parent.exists()
    assert Path(certificate_files()[0]).read_text() not in certificate


def test_setup_that_fails_leaves_nothing_open(recwarn: pytest.WarningsRecorder) -> None:
    class Broken(testing.AsyncHTTPTestCase):
        def get_app(self) -> Any:
            raise KeyError("no app")

        def runTest(self) -> None:
            raise AssertionError("never run")

    assert outcome(Broken) == ["KeyError: 'no app'"]
    assert list(recwarn) == []


def test_messages() -> None:
    request = testing.HTTPRequest("http://a/")
    response = testing.HTTPResponse(request, 599)
    assert repr(response) == "<HTTPResponse 599 Unknown of http://a/>"
    assert response.headers == HTTPHeaders() and response.body == b""
    error = testing.HTTPClientError(404, response=response)
    assert (str(error), repr(error)) == (
        "HTTP 404: Not Found",
        "HTTPClientError(HTTP 404: Not Found)",
    )
    assert response.error is not None and str(response.error) == "HTTP 599: Unknown"


def test_an_expectation_says_what_was_logged_instead() -> None:
    import logging

    log = logging.getLogger("tornadoish.tests")
    with pytest.raises(AssertionError) as caught:
        with testing.ExpectLog(log, "a"):
            for number in range(30):
                log.error("b%d", number)
    text = str(caught.value)
    assert text.startswith("did not get expected log message 'a' on 'tornadoish.tests'; logged")
    assert "ERROR b0" in text and "ERROR b19" in text and "b20" not in text


def test_without_httpx() -> None:
    script = (
        "import sys; sys.modules['httpx'] = None; from tornadoish import testing\n"
        "for name in ('HTTPTestClient', 'MemoryTransport'):\n"
        "    try: getattr(testing, name)()\n"
        "    except ImportError as error: print(error)"
    )
    assert run("-c", script).stdout.count("pip install 'tornadoish[test-client]'") == 2
