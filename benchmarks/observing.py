"""What it costs to be watched: `python benchmarks/observing.py`.

Hello without any observer, and with an access log, with metrics, with traces: CPU time of the
server per request, kernel included, and the ratio to `off` in the same round, as compare.py has it.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys

import report
from cases import CASES, ROOT, Case, Server
from compare import announce, print_report, run_case, say, terminate
from load import Settings
from processes import Cpus

NOTES = {
    "off": "no observer",
    "nothing": "an observer that is told and does nothing",
    "combined": "access log, Apache's Combined format",
    "text": "access log, format text",
    "json": "access log, format json",
    "pattern": "access log, a pattern with eight fields",
    "logging": "access log, combined, through a handler of the standard library's",
    "log_request": "no observer; Application.log_request into a handler of the standard library's",
    "metrics": "Prometheus, one process",
    "metrics-workers": "Prometheus, as in one of several workers",
    "tracing": "OpenTelemetry, every request has a span (which is thrown away)",
    "tracing-unsampled": "OpenTelemetry, no request is sampled",
}
WORKS = frozenset({"hello", "browser"})


def servers(kinds: list[str]) -> list[Server]:
    return [
        Server(name=kind, module="tornadoish", script="observed.py", args=(kind,), works=WORKS,
               note=NOTES[kind], tree=ROOT)
        for kind in kinds
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", default=",".join(NOTES), help="of: %(default)s")
    parser.add_argument("--browser", action="store_true", help="with a browser's ten fields, too")
    parser.add_argument("--seconds", type=int, default=2, help="of load per round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--connections", type=int, default=32, help="of wrk (%(default)s)")
    parser.add_argument("--markdown", action="store_true", help="print tables to paste")
    options = parser.parse_args()
    if not sys.platform.startswith("linux") or shutil.which("wrk") is None:
        say("needs Linux, whose /proc the costs are read from, and wrk")
        return 2
    chosen = servers(["off", *(kind for kind in options.kinds.split(",") if kind != "off")])
    settings = Settings(
        seconds=options.seconds, connections=options.connections, mib=0, cpus=Cpus.split()
    )
    signal.signal(signal.SIGTERM, terminate)
    names = ("hello", "browser") if options.browser else ("hello",)
    cases = [case for case in CASES if isinstance(case, Case) and case.name in names]
    announce(cases, chosen, options.rounds, settings)
    results = report.Results()
    for case in cases:
        run_case(case, chosen, options.rounds, settings, results)
    print_report(cases, chosen, results, options.markdown)
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
