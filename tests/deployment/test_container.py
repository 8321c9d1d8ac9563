"""The Dockerfile and the manifest of docs/deployment/container.md: their command is run as the
first process of a namespace, as a container's is; the rest is read."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ports import free_ports

from .running import Browser, Load, Processes, block, listens, tool, wait_until

PAGE = "container.md"

ROUTES = {"/livez", "/readyz"}


def dockerfile() -> dict[str, Any]:
    """The last instruction of each kind; lists as lists."""
    found: dict[str, Any] = {}
    for line in block(PAGE, "dockerfile").splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            found[word] = json.loads(rest) if rest.startswith("[") else rest
    return found


@pytest.fixture
def manifest() -> dict[str, Any]:
    """The objects, by kind."""
    yaml = pytest.importorskip("yaml")
    return {each["kind"]: each for each in yaml.safe_load_all(block(PAGE, "yaml"))}


@pytest.fixture
def container(manifest: dict[str, Any]) -> Any:
    [container] = manifest["Deployment"]["spec"]["template"]["spec"]["containers"]
    return container


def can_be_process_1(program: str) -> bool:
    done = subprocess.run(
        [program, "--pid", "--fork", "true"], stderr=subprocess.DEVNULL, check=False
    )
    return done.returncode == 0


async def probe(port: int, path: str) -> int:
    """The status that a probe gets, on a connection of its own."""
    browser = Browser(port)
    try:
        await browser.send("GET", path)
        return (await browser.answer())[0]
    finally:
        browser.close()


async def test_the_image_s_command_as_process_1(processes: Processes) -> None:
    unshare = tool("unshare")
    if not can_be_process_1(unshare):
        pytest.skip("no namespace of processes can be made here")
    image, [port] = dockerfile(), free_ports(1)
    assert image["ENTRYPOINT"] == ["tornadoish"]
    words = [str(port) if word == "8000" else word for word in image["CMD"]]
    words = ["127.0.0.1" if word == "0.0.0.0" else word for word in words]
    words += ["--no-access-log"]
    started = processes.start(
        "container", unshare, "--pid", "--fork", "--kill-child", *processes.python, "-m",
        "tornadoish", *words, ANNOUNCE="1",
    )  # fmt: skip
    wait_until(lambda: "workers serve" in processes.said("container"), started)
    for line in processes.said("container").splitlines():
        json.loads(line)
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
    supervisor = int(children.read_text())
    async with Load(port, browsers=4) as load:
        subprocess.run(["kill", "-HUP", str(supervisor)], check=True)
        while processes.said("container").count("has drained") < 2:
            # Workers that are replaced announce nothing: their server goes on.
            assert await probe(port, "/readyz") == 200
    assert load.lost == []
    assert await probe(port, "/livez") == 200
    # As the kubelet, and docker stop, end it.
    subprocess.run(["kill", f"-{signal.SIGTERM.value}", str(supervisor)], check=True)
    while (status := await probe(port, "/readyz")) == 200:
        pass
    assert status == 503
    assert await probe(port, "/livez") == 200
    assert await asyncio.to_thread(started.wait, 30) == 0
    assert not listens(port)


def test_the_image_asks_what_is_there() -> None:
    image = dockerfile()
    [asked] = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", image["HEALTHCHECK"])
    assert asked == (image["EXPOSE"], "/livez")
    assert asked[0] in image["CMD"]
    assert image["USER"].isdigit()


def test_the_manifest_s_command_can_be_used(processes: Processes, container: Any) -> None:
    [port] = free_ports(1)
    words = [word.replace("=0.0.0.0", "=127.0.0.1") for word in container["args"]]
    words = [word.replace("8000", str(port)).replace("9090", "0") for word in words]
    done = processes.run("-m", "tornadoish", *words, "--check")
    assert done.returncode == 0, done.stderr


def test_the_manifest_s_times_and_ports_fit(manifest: dict[str, Any], container: Any) -> None:
    pod = manifest["Deployment"]["spec"]["template"]["spec"]
    before = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > before + 30 + 5
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    options = dict(word.split("=") for word in container["args"][1:])
    assert options["--port"] == str(ports["http"])
    assert options["--metrics"].endswith(f":{ports['metrics']}")
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[kind]["httpGet"]
        assert asked["port"] in ports
        assert asked["path"] in ROUTES
    assert manifest["Service"]["spec"]["ports"][0]["targetPort"] in ports
    memory = int(options["--max-memory"].rstrip("M")) * int(options["--workers"])
    assert memory + 100 < 1024
    labels = [
        manifest["Deployment"]["spec"]["selector"]["matchLabels"],
        manifest["Deployment"]["spec"]["template"]["metadata"]["labels"],
        manifest["Service"]["spec"]["selector"],
        manifest["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ]
    assert all(label == labels[0] for label in labels)
