"""The clients' reports, made once for all tests of this directory."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from libraries import LIBRARIES, installed

from .cases import SERVERS
from .processes import end, start, told


def make_report(logs: Path) -> dict[str, Any]:
    """Start the servers, let both clients run all scenarios on them, and end everything.

    :returns: what each client tells, by its library, and under "servers" what each server said.
    """
    with contextlib.ExitStack() as stack:

        def run(name: str, module: str, *arguments: str) -> Any:
            process = start(module, *arguments, log=logs / name)
            stack.callback(end, process)
            return process

        servers = {
            name: run(name, "h11_server") if name == "h11" else run(name, "framework_server", name)
            for name in SERVERS
        }
        ports = {name: told(process, logs / name) for name, process in servers.items()}
        clients = {
            name: run(f"client-{name}", "fetcher", name, json.dumps(ports)) for name in LIBRARIES
        }
        report = {name: told(client, logs / f"client-{name}") for name, client in clients.items()}
    report["said"] = {log.name: log.read_text(encoding="utf-8") for log in logs.iterdir()}
    return report


@contextlib.contextmanager
def shared(name: str) -> Iterator[Path | None]:
    """A file that the processes of pytest-xdist share, for one at a time; None: it is but one."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        yield None
        return
    path = Path(tempfile.gettempdir(), f"{name}-{os.getuid()}-{run}.json")
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield path


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """See ``make_report``."""
    installed("tornado")
    logs = tmp_path_factory.mktemp("client")
    with shared("tornadoish-client") as path:
        if path is None:
            made = make_report(logs)
        elif path.stat().st_size:
            made = json.loads(path.read_text())
        else:
            made = make_report(logs)
            path.write_text(json.dumps(made))
    yield made
    if path is not None:
        path.unlink(missing_ok=True)
