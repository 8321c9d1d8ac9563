"""Behind Debian's nginx, with the configuration of docs/deployment/nginx.md."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Iterator

import pytest
from cli.supervising import until
from ports import free_ports

from .running import (
    CERTIFICATES,
    PATIENCE,
    Browser,
    Load,
    Processes,
    block,
    listens,
    replaced,
    tool,
    wait_until,
)

PAGE = "nginx.md"

# What surrounds a file of conf.d: Debian's nginx.conf in small.
MAIN = """
daemon off;
worker_processes 1;
{user}
pid {directory}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/app.conf;
}}
"""


class Proxied:
    """nginx, and our server behind it."""

    def __init__(self, processes: Processes, *options: str) -> None:
        program = tool("nginx")
        self.processes = processes
        behind, self.http, self.https = free_ports(3)
        directory = processes.directory
        words = shlex.split(block(PAGE, "sh"))
        assert words[:2] == ["tornadoish", "app:make_app"]
        named = dict(zip(words[2::2], words[3::2], strict=True))
        assert named.pop("--port") == "8888"
        workers = named.pop("--workers")
        assert workers == "auto"
        given = [word for pair in named.items() for word in pair]
        text = replaced(
            block(PAGE, "nginx"),
            {
                "    listen [::]:80;\n": "",
                "    listen [::]:443 ssl http2;\n": "",
                "listen 80;": f"listen 127.0.0.1:{self.http};",
                "listen 443 ssl http2;": f"listen 127.0.0.1:{self.https} ssl http2;",
                "127.0.0.1:8888": f"127.0.0.1:{behind}",
                "server_name example.org;": "server_name localhost;",
                "/etc/nginx/tls/example.org": str(CERTIFICATES / "localhost"),
            },
        )
        (directory / "app.conf").write_text(text)
        user = "user root;" if os.geteuid() == 0 else ""
        (directory / "nginx.conf").write_text(MAIN.format(directory=directory, user=user))
        self.server = processes.serve(behind, *given, *options)
        self.name = f"server-{behind}"
        self.nginx = processes.start("nginx", program, "-p", str(directory), "-c",
                                     str(directory / "nginx.conf"))  # fmt: skip
        wait_until(lambda: listens(self.https), self.nginx)

    def browser(self) -> Browser:
        return Browser(self.https, tls=True)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """One server, behind nginx."""
    running = Processes(tmp_path_factory.mktemp("nginx"))
    try:
        yield Proxied(running, "--limit", "body_bytes=10000")
    finally:
        running.close()


async def test_the_application_sees_the_client(proxied: Proxied) -> None:
    browser = proxied.browser()
    seen = await browser.ask(
        "GET", "/",
        Host=f"localhost:{proxied.https}",
        X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="http", X_Forwarded_Host="evil.example",
        X_Forwarded_Port="1", X_Real_IP="192.0.2.2", X_Scheme="http",
        Forwarded="for=192.0.2.3;proto=http;host=evil.example",
    )  # fmt: skip
    assert seen["client"] == "127.0.0.1"
    assert seen["protocol"] == "https"
    assert seen["host"] == f"localhost:{proxied.https}"
    assert "Forwarded" not in seen["headers"]
    browser.close()
    browser = Browser(proxied.http)
    await browser.send("POST", "/a?b", b"c")
    status, fields = await browser.head()
    assert (status, fields["location"]) == (308, "https://localhost/a?b")
    browser.close()


async def test_an_upload_is_read_as_it_comes(proxied: Proxied) -> None:
    browser, other = proxied.browser(), proxied.browser()
    await browser.send("PUT", "/upload/a", b"x" * 5000, Content_Length="8000")
    async with asyncio.timeout(PATIENCE):
        while (await other.ask("GET", "/progress/a"))["bytes"] < 5000:
            pass
    assert browser.writer is not None
    browser.writer.write(b"y" * 3000)
    assert await browser.answer() == (200, b'{"bytes": 8000}')
    browser.close()
    other.close()


async def test_an_answer_goes_out_as_it_is_written(proxied: Proxied) -> None:
    browser, other = proxied.browser(), proxied.browser()
    await browser.send("GET", "/parts/a")
    status, _ = await browser.head()
    assert (status, await browser.chunk()) == (200, b"first\n")
    await other.send("POST", "/parts/a")
    assert (await other.answer())[0] == 200
    assert await browser.chunk() == b"second\n"
    browser.close()
    other.close()


async def test_a_websocket_talks_over_tls(proxied: Proxied) -> None:
    websockets = pytest.importorskip("websockets.asyncio.client")
    tls = proxied.browser()._tls
    async with websockets.connect(f"wss://localhost:{proxied.https}/echo", ssl=tls) as socket:
        for message in ("ö", b"\0" * 100_000):
            await socket.send(message)
            assert await socket.recv() == message


async def test_a_body_too_large_is_refused_by_the_application(proxied: Proxied) -> None:
    browser = proxied.browser()
    await browser.send("POST", "/", b"x" * 20_000)
    assert (await browser.answer())[0] == 413
    browser.close()


async def test_no_request_is_lost_as_workers_are_replaced(processes: Processes) -> None:
    proxied = Proxied(processes, "--workers", "2")
    async with Load(proxied.https, tls=True) as load:
        before = set(load.pids)
        proxied.server.send_signal(signal.SIGHUP)
        drained = "has drained"
        await until(lambda: processes.said(proxied.name).count(drained) == 2)
        load.pids.clear()
        await load.goes_on()
        assert not load.pids & before
    assert load.lost == []
    assert await asyncio.to_thread(processes.end, proxied.server) == 0
