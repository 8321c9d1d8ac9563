"""``tornadoish APP`` in one process: what it serves and says, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import sys
from pathlib import Path

import httpx
import pytest

from .commanding import APP, answering, until
from .conftest import Start

CERTS = Path(__file__).parents[1] / "certs"
VERIFIED = ssl.create_default_context(cafile=str(CERTS / "localhost.pem"))
RENEWED = ssl.create_default_context(cafile=str(CERTS / "renewed.pem"))


@pytest.fixture(autouse=True)
def application(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(APP)


def test_it_serves_and_says_what_and_where_and_on_what(start: Start) -> None:
    command = start("hello:make_app", "--port=0", "--loop=asyncio")
    assert command.get().json()["word"] == "one"
    assert command.get("/none").status_code == 404
    assert command.stop() == 0
    python = ".".join(map(str, sys.version_info[:3]))
    first, second, *_, last = command.error.splitlines()
    assert re.fullmatch(
        rf"\S+Z info    tornadoish \S+, CPython {python}, asyncio, pid {command.process.pid}", first
    )
    assert second.endswith(f"info    hello:make_app (Application) at {command.url}")
    assert last.endswith("info    Stopping: requests have 30 seconds to end")
    # The access log goes to standard output, once.
    lines = command.out.splitlines()
    assert [line.split()[8] for line in lines] == ["200", "404"]
    assert '"GET /none HTTP/1.1" 404' in lines[1]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop")
def test_it_takes_uvloop_where_that_is_installed(start: Start) -> None:
    pytest.importorskip("uvloop")
    command = start("hello:make_slowly", "--port=0", "--no-access-log", "--log-format=json")
    assert command.get().status_code == 200
    assert command.stop(signal.SIGINT) == 0
    lines = [json.loads(line) for line in command.error.splitlines()]
    assert ", uvloop " in lines[0]["message"]
    assert {"time", "level", "logger", "message", "pid"} == set(lines[0])
    assert command.out == ""


def test_json_for_machines(start: Start) -> None:
    command = start("hello:make_app", "--port=0", "--log-format=json")
    url = re.escape('"message": "hello:make_app (Application) at ')
    where = command.said(url + r'(\S+)"')
    httpx.get(where + "/a%1bb", trust_env=False)
    assert command.stop() == 0
    (line,) = map(json.loads, command.out.splitlines())
    assert (line["status"], line["target"]) == (404, "/a%1bb")


def test_a_file_in_another_directory_and_options_from_everywhere(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    shutil.move(tmp_path / "hello.py", tmp_path / "sub" / "mine.py")
    (tmp_path / "sub" / "mine.toml").write_text('unix = "mine.sock"\ngrace = 7\n')
    command = start(
        "sub/mine.py", "--config=sub/mine.toml",
        environment={"TORNADOISH_GRACE": "8", "TORNADOISH_LOG_LEVEL": "info"},
    )  # fmt: skip
    command.said(r"at http\+unix:sub/mine\.sock")
    transport = httpx.HTTPTransport(uds=str(tmp_path / "sub" / "mine.sock"))
    with httpx.Client(transport=transport) as client:
        assert client.get("http://a/").json()["word"] == "one"
    assert command.stop() == 0
    assert "8 seconds" in command.error
    assert not (tmp_path / "sub" / "mine.sock").exists()


def test_another_server_s_unix_socket_is_left_alone(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        command = start("hello:make_app", "--unix=s")
        assert command.ended() == 2
        assert "--unix s: another process listens there" in command.error
        assert os.path.exists(path)
    # It is dead now, and its file a leftover.
    command = start("hello:make_app", "--unix=s", "--unix-mode=660")
    command.said("at http")
    assert os.stat(path).st_mode & 0o777 == 0o660


def test_a_socket_that_is_inherited(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        fd = sock.fileno()
        command = start("hello:make_app", f"--fd={fd}", pass_fds=[fd])
        assert command.get().status_code == 200
        assert str(sock.getsockname()[1]) in command.url


# -- TLS


def test_tls_and_certificates_that_are_read_again(start: Start, tmp_path: Path) -> None:
    for name in ("pem", "key"):
        shutil.copy(CERTS / f"localhost.{name}", tmp_path / f"a.{name}")
    command = start("hello:make_app", "--port=0", "--tls-cert=a.pem", "--tls-key=a.key",
                    "--proxy-trust=127.0.0.1")  # fmt: skip
    answer = command.get(verify=VERIFIED, headers={"X-Forwarded-For": "192.0.2.7"})
    assert answer.json()["protocol"] == "https"
    assert answer.json()["ip"] == "192.0.2.7"
    # A key that does not fit: nothing changes.
    shutil.copy(CERTS / "renewed.key", tmp_path / "a.key")
    command.process.send_signal(signal.SIGHUP)
    command.said("The certificates stay as they were: the key in a.key is not that of the cert")
    (tmp_path / "a.key").unlink()
    command.process.send_signal(signal.SIGHUP)
    command.said("The certificates stay as they were: --tls-key a.key: No such file")
    shutil.copy(CERTS / "renewed.key", tmp_path / "a.key")
    assert command.get(verify=VERIFIED).status_code == 200
    shutil.copy(CERTS / "renewed.pem", tmp_path / "a.pem")
    command.process.send_signal(signal.SIGHUP)
    command.said("The certificates have been read again")
    assert command.get(verify=RENEWED).status_code == 200


def test_clients_need_a_certificate(start: Start, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    command = start(
        "hello:make_app", "--port=0", f"--tls-cert={CERTS / 'example.pem'}",
        f"--tls-key={CERTS / 'encrypted.key'}", "--tls-password-file=secret",
        f"--tls-client-ca={CERTS / 'localhost.pem'}",
    )  # fmt: skip
    context = ssl.create_default_context(cafile=str(CERTS / "example.pem"))
    context.check_hostname = False
    with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
        command.get(verify=context)
    context.load_cert_chain(CERTS / "localhost.pem", CERTS / "localhost.key")
    assert command.get(verify=context).status_code == 200


# -- the end


def test_a_request_that_has_begun_is_answered(start: Start, tmp_path: Path) -> None:
    command = start("hello:make_app", "--port=0")
    with answering(command, tmp_path) as answer:
        command.process.send_signal(signal.SIGTERM)
        command.said("Stopping")
        (tmp_path / "go").touch()
        assert answer.result().text == "slow"
    assert command.ended() == 0


def test_a_second_signal_cuts_it(start: Start, tmp_path: Path) -> None:
    command = start("hello:make_app", "--port=0")
    with answering(command, tmp_path) as answer:
        command.process.send_signal(signal.SIGINT)
        command.said("Stopping: ")
        assert command.stop(signal.SIGINT) == 1
        with pytest.raises(httpx.RemoteProtocolError):
            answer.result()
    assert "Stopping at once: what is not answered yet is cut" in command.error
    assert "Traceback" not in command.error


def test_grace_has_an_end(start: Start, tmp_path: Path) -> None:
    command = start("hello:make_app", "--port=0", "--grace=0.1")
    with answering(command, tmp_path) as answer:
        assert command.stop() == 0
        with pytest.raises(httpx.RemoteProtocolError):
            answer.result()
    assert "1 requests or detached connections were cut" in command.error


def test_it_is_told_to_stop_before_it_has_started(start: Start, tmp_path: Path) -> None:
    (tmp_path / "slowly.py").write_text(
        APP + "\nasync def forever(app):\n    Path('begun').touch()\n"
        "    try:\n        await asyncio.sleep(1000)\n"
        "    finally:\n        Path('undone').touch()\n"
        "app = make_app()\napp.on_startup.append(forever)\n"
    )
    command = start("slowly", "--port=0")
    until((tmp_path / "begun").exists)
    assert command.stop() == 0
    assert (tmp_path / "undone").exists()
    assert "Stopped before it had started" in command.error
    assert "Traceback" not in command.error


@pytest.mark.parametrize("hook", ["on_startup", "on_cleanup"])
def test_an_application_that_fails(start: Start, tmp_path: Path, hook: str) -> None:
    (tmp_path / "failing.py").write_text(
        APP + "\ndef fail(app):\n    raise ValueError('no database')\n"
        f"app = make_app()\napp.{hook}.append(fail)\n"
    )
    command = start("failing", "--port=0")
    if hook == "on_cleanup":
        assert command.get().status_code == 200
        command.process.send_signal(signal.SIGTERM)
    assert command.ended() == 1
    # It is the application's own, so its traceback is logged; and in the end, one line.
    assert "ValueError: no database" in command.error
    assert command.error.splitlines()[-1].startswith("tornadoish: error: the application could not")


# -- logs


def test_an_application_that_sets_up_its_logs_has_its_way(start: Start, tmp_path: Path) -> None:
    (tmp_path / "logs.py").write_text(
        APP + "\nimport logging.config\n"
        "logging.config.dictConfig({'version': 1, 'disable_existing_loggers': False,\n"
        "  'formatters': {'mine': {'format': 'MINE %(message)s'}},\n"
        "  'handlers': {'mine': {'class': 'logging.StreamHandler', 'formatter': 'mine'}},\n"
        "  'loggers': {'tornadoish.access': {'level': 'INFO', 'handlers': ['mine']},\n"
        "              'tornado.access': {'level': 'INFO'}},\n"
        "  'root': {'level': 'INFO', 'handlers': ['mine']}})\n"
        "app = make_app()\n"
    )
    command = start("logs", "--port=0", "--log-format=ACCESS %s")
    assert command.get().status_code == 200
    assert command.stop() == 0
    lines = command.error.splitlines()
    assert all(line.startswith("MINE ") for line in lines)
    assert "MINE ACCESS 200" in lines
    assert any(line.startswith("MINE 200 GET / ") for line in lines)  # Tornado's way, too
    assert command.out == ""


def test_the_log_level_is_that_of_all_but_the_access_log(start: Start, tmp_path: Path) -> None:
    command = start("hello:make_app", "--port=0", "--log-level=error", "--log-format=%s %U",
                    "--unix=s")  # fmt: skip
    until((tmp_path / "s").exists)  # for nothing is said
    transport = httpx.HTTPTransport(uds=str(tmp_path / "s"))
    with httpx.Client(transport=transport) as client:
        assert client.get("http://a/").status_code == 200
    assert command.stop() == 0
    assert command.error == ""
    assert command.out == "200 /\n"
