"""What it costs to be watched: `python benchmarks/observing.py`.

Hello without any observer, and with an access log, with metrics, with traces: CPU time of the
server per request, kernel included, and the ratio to `off` in the same round, as compare.py has it.
"""

from __future__ import annotations

import argparse
import sys

from cases import CASES, ROOT, Case, Server
from compare import able_to_measure, carry_out, groups, print_facts, print_tables
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
    names = ("hello", "browser") if options.browser else ("hello",)
    cases = [case for case in CASES if isinstance(case, Case) and case.name in names]
    if not able_to_measure(cases):
        return 2
    chosen = servers(["off", *(kind for kind in options.kinds.split(",") if kind != "off")])
    settings = Settings(
        seconds=options.seconds, connections=options.connections, mib=0, cpus=Cpus.split()
    )
    results, status = carry_out(groups(cases, chosen), options.rounds, settings)
    print_facts(chosen, results)
    print_tables(cases, chosen, results, options.markdown)
    return status


if __name__ == "__main__":
    sys.exit(main())
