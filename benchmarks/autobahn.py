"""The Autobahn Test Suite against our servers and Tornado's: `python benchmarks/autobahn.py`.

    virtualenv --python python2.7 /tmp/autobahn
    /tmp/autobahn/bin/pip install -r benchmarks/autobahn-requirements.txt
    python benchmarks/autobahn.py --wstest /tmp/autobahn/bin/wstest        # all cases, long
    python benchmarks/autobahn.py --wstest ... --cases '6.*,7.9.*' --servers core,tornado

Each server (servers/websocket_echo.py) is a process of its own; the suite's fuzzing client opens a
connection for each case, does what it should not, and judges what it gets. OK is right; NON-STRICT
is allowed, but not what should be done (bad text that is noticed late, say); INFORMATIONAL is a
case that has no right answer. The exit status is 0 only if ours have nothing but OK and
INFORMATIONAL.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import HOST, ServerError, free_port, running

HERE = Path(__file__).resolve().parent
SERVERS = ["core", "tornadoish", "tornado"]
OURS = {"core", "tornadoish"}
#: all of the suite but 8 (empty) and 11 (of no use): 9, 12 and 13 are the ones that take long
CASES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.*", "13.*"]
VERDICTS = ["OK", "NON-STRICT", "INFORMATIONAL", "WRONG CODE", "UNCLEAN", "FAILED"]
GOOD = {"OK", "INFORMATIONAL"}


@dataclass(frozen=True)
class Judged:
    """One case of one server, as the suite has judged it."""

    case: str
    behavior: str
    closing: str

    @property
    def worst(self) -> str:
        """Of how the case went and how the connection ended, what is worse."""
        return max(self.behavior, self.closing, key=VERDICTS.index)

    @classmethod
    def of(cls, case: str, result: dict[str, Any]) -> Judged:
        """From an entry of the suite's index.json."""
        return cls(case, _known(result["behavior"]), _known(result["behaviorClose"]))


def _known(verdict: str) -> str:
    return verdict if verdict in VERDICTS else "FAILED"


def run_suite(
    wstest: str, server: str, cases: list[str], seconds: float, reports: Path
) -> list[Judged]:
    """All ``cases`` against one server.

    :raises ServerError: the server or the suite failed, or did not end in ``seconds``.
    """
    port = free_port()
    spec = reports / f"{server}.json"
    spec.write_text(
        json.dumps(
            {
                "outdir": str(reports / server),
                "servers": [{"agent": server, "url": f"ws://{HOST}:{port}"}],
                "cases": cases,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
        )
    )
    command = [wstest, "--mode", "fuzzingclient", "--spec", str(spec)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    script = str(HERE / "servers" / "websocket_echo.py")
    with running([script, server, str(port)], port, None, HERE.parent):
        try:
            done = subprocess.run(
                command,
                cwd=reports,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ServerError(f"{server}: not done in {seconds:g} s") from None
    index = reports / server / "index.json"
    if done.returncode or not index.exists():
        tail = done.stdout.decode(errors="replace")[-2000:]
        raise ServerError(f"{server}: wstest ended with {done.returncode}\n{tail}")
    found = json.loads(index.read_text())[server]
    return [Judged.of(case, found[case]) for case in sorted(found, key=_numbers)]


def _numbers(case: str) -> list[int]:
    return [int(number) for number in case.split(".")]


def show(server: str, judged: list[Judged], seconds: float) -> None:
    """One row of the table, and below it what is not OK."""
    counts = Counter(one.worst for one in judged)
    cells = [str(counts[verdict]) for verdict in VERDICTS]
    print(f"| {server} | {len(judged)} | {' | '.join(cells)} | {seconds:.0f} |", flush=True)


def show_faults(server: str, judged: list[Judged]) -> None:
    for one in judged:
        if one.worst not in GOOD:
            print(f"{server}: {one.case} {one.behavior}, closing {one.closing}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--wstest", default=shutil.which("wstest"), help="of the test suite")
    parser.add_argument("--servers", default=",".join(SERVERS))
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--seconds", type=float, default=3600.0, help="for one server")
    parser.add_argument("--reports", type=Path, help="where the suite's own reports are kept")
    chosen = parser.parse_args()
    if chosen.wstest is None:
        parser.error("no wstest: see above how it is installed")
    reports = chosen.reports or Path(tempfile.mkdtemp(prefix="autobahn-"))
    reports.mkdir(parents=True, exist_ok=True)
    print(f"Python {platform.python_version()}, cases {chosen.cases}; reports in {reports}\n")
    print(f"| server | cases | {' | '.join(VERDICTS)} | seconds |")
    print("|---" + "|--:" * (len(VERDICTS) + 2) + "|", flush=True)
    results: dict[str, list[Judged]] = {}
    failed = False
    for server in chosen.servers.split(","):
        start = time.monotonic()
        try:
            results[server] = run_suite(
                chosen.wstest, server, chosen.cases.split(","), chosen.seconds, reports.absolute()
            )
        except ServerError as error:
            print(error)
            failed = True
        else:
            show(server, results[server], time.monotonic() - start)
    print()
    for server, judged in results.items():
        show_faults(server, judged)
    ours = [one for server in OURS & results.keys() for one in results[server]]
    return int(failed or not ours or any(one.worst not in GOOD for one in ours))


if __name__ == "__main__":
    sys.exit(main())
