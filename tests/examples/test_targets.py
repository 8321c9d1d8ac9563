"""benchmarks/targets.py: its table and its verdicts, and a run of a part of what it measures."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from .running import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import compare
import crowd
import targets
from cases import CASES, PIPELINED, SERVERS
from load import Sample
from report import Key, Results, disturbance

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="costs are read from /proc"
)

HELLO, CORO, GRANIAN = ("hello", "tornadoish"), ("hello-coro", "tornadoish"), ("hello", "granian")


def sample(key: Key, cpu: float = 0.0, growth: int = 0, p50: int = 0, p99: int = 0) -> Sample:
    """A second of 1000 requests."""
    return Sample(
        case=key[0], server=key[1], loop="a loop", amount=1000, cpu_seconds=cpu, wall_seconds=1.0,
        others=0.0, memory_growth=growth, p50_us=p50, p99_us=p99,
    )  # fmt: skip


def measured(**costs: list[float]) -> Results:
    """Rounds of us and, for the same work, of another."""
    results = Results()
    for name, rounds in costs.items():
        for cpu in rounds:
            results.add(sample({"ours": HELLO, "theirs": GRANIAN, "coro": CORO}[name], cpu))
    return results


def target(bound: float = 0.75, over: Key | None = GRANIAN, case: str = "hello") -> targets.Target:
    return targets.Target(work="w", case=case, bound=bound, than="of granian's", over=over)


def test_every_target_can_be_measured() -> None:
    planned = {
        (case.name, server.name)
        for group in targets.plan(SERVERS, [key for each in targets.TARGETS for key in each.keys])
        for case, server in group
    }
    for each in targets.TARGETS:
        assert planned.issuperset(each.keys), each
    assert len({(each.work, each.words) for each in targets.TARGETS}) == len(targets.TARGETS)


def test_what_is_compared_is_interleaved() -> None:
    places = {
        (case.name, server.name): number
        for number, group in enumerate(compare.groups(CASES, SERVERS))
        for case, server in group
    }
    for each in targets.TARGETS:
        assert len({places[key] for key in each.keys}) == 1, each


def test_each_round_starts_with_another_server() -> None:
    cases = [case for case in CASES if case.work in ("hello", "hello-coro")]
    [group] = compare.groups(cases, SERVERS)
    firsts = []
    for number in range(len(SERVERS)):
        order = compare.in_turn(group, number)
        assert sorted(order, key=group.index) == group
        names = [server.name for _, server in order]
        assert len(list(groupby(names))) == len(set(names))  # a server's cases in a row
        firsts.append(names[0])
    assert sorted(firsts) == sorted(server.name for server in SERVERS)
    assert compare.in_turn([], 0) == []


def test_a_case_alone_is_a_group_of_its_own() -> None:
    alone = [case for case in CASES if case.name == "hello-coro"]
    [group] = compare.groups(alone, SERVERS)
    assert {case.name for case, _ in group} == {"hello-coro"}
    assert len(group) == len({server.name for _, server in group}) > 1


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    # The machine is twice as slow in the second round: the quotient of the medians would be 1.
    results = measured(ours=[1.0, 4.0, 2.0], theirs=[2.0, 2.0, 2.5])
    assert targets.evaluate(target(), results) == targets.Measured(0.8, 0.5, 2.0)


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ([0.7, 0.75, 0.74], "held"),
        ([0.7, 0.74, 0.8], "held, not in every round"),
        ([0.7, 0.76, 0.8], "MISSED, not in every round"),
        ([0.76, 0.8, 0.9], "MISSED"),
        ([], "not measured"),
    ],
)
def test_verdicts(ours: list[float], verdict: str) -> None:
    results = measured(ours=ours, theirs=[1.0, 1.0, 1.0])
    assert targets.verdict(target(), targets.evaluate(target(), results)) == verdict


def test_the_others_row_may_be_missing() -> None:
    assert targets.evaluate(target(), measured(ours=[1.0])) is None
    results = measured(ours=[1.0], theirs=[1.0])
    results.fail(*GRANIAN, "no answer")
    assert targets.evaluate(target(), results) is None


def test_two_cases_of_ours() -> None:
    each = targets.Target(work="w", case="hello-coro", bound=1.2, than="", over=HELLO)
    result = targets.evaluate(each, measured(ours=[1.0, 2.0], coro=[1.5, 2.0]))
    assert result == targets.Measured(1.25, 1.0, 1.5)


def test_memory_is_that_of_the_worst_round() -> None:
    [each] = [one for one in targets.TARGETS if one.than == "KiB"]
    results, key = Results(), each.keys[0]
    for kib in (20_000, 90_000, 40_000):
        results.add(sample(key, growth=kib * 1024))
    assert targets.evaluate(each, results) == targets.Measured(9.0, 2.0, 9.0)


def test_latencies() -> None:
    results = Results()
    for name, p50, p99 in (("idle-none", 100, 1000), ("idle-many", 120, 2000)):
        results.add(sample((name, "tornadoish"), p50=p50, p99=p99))
    found = [
        result.value
        for one in targets.TARGETS
        if one.case == "idle-many" and (result := targets.evaluate(one, results)) and one.over
    ]
    assert found == [1.2, 2.0]


@pytest.mark.parametrize(("others", "quiet"), [([0.0, 0.04, 0.9], True), ([0.1], False)])
def test_a_busy_machine_is_named(others: list[float], quiet: bool) -> None:
    results = Results()
    for share in others:
        results.add(replace(sample(HELLO), others=share))
    assert ("mean anything" not in disturbance(results)) is quiet


def test_the_table_has_a_line_for_each() -> None:
    results = measured(ours=[0.7], theirs=[1.0])
    [line] = [line for line in targets.table(results, False).splitlines() if "held" in line][:1]
    assert line.split("  ")[0] == "hello, plain handler"
    assert "<= 0.75 of granian's" in line
    text = targets.table(results, True)
    assert text.count("\n| ") == 1 + len(targets.TARGETS)
    assert text.endswith(f"1 of {len(targets.TARGETS)} targets held")


@pytest.mark.parametrize(("idle", "active"), [(9900, 100), (0, 7), (3, 2), (5, 0)])
def test_the_active_ones_are_among_the_idle(idle: int, active: int) -> None:
    chosen = crowd.spread(idle, active)
    assert (chosen.count(False), chosen.count(True)) == (idle, active)
    if active:
        most = -(-(idle + active) // active)
        places = [-1, *(place for place, one in enumerate(chosen) if one)]
        assert max(after - before for before, after in pairwise(places)) <= most


def test_percentiles() -> None:
    hundred = [float(number) for number in range(1, 101)]
    assert [crowd.percentile(hundred, p) for p in (50, 99, 100)] == [50.0, 99.0, 100.0]
    assert crowd.percentile([3.0], 1) == 3.0


@needs_wrk
def test_wrk_sends_sixteen_in_one_write() -> None:
    """Were it to send one at a time, every answer would be right and every count, too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        script = str(ROOT / "benchmarks" / "wrk.lua")
        with subprocess.Popen(
            ["wrk", "-t1", "-c1", "-d1s", "-s", script, url, "--", "0", str(PIPELINED)],
            stdout=subprocess.DEVNULL,
        ):
            received = b""
            while not received:  # it also looks whether the address can be reached at all
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(10)
                    received = connection.recv(1 << 16)
    assert received.startswith(b"GET / HTTP/1.1\r\n")
    assert received.endswith(b"\r\n\r\n")
    assert received.count(b"GET / HTTP/1.1\r\n") == PIPELINED


@needs_proc
@needs_wrk
@pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="bare runs on uvloop")
def test_a_run_of_what_is_new() -> None:
    """Sixteen in one write, and TLS: each answer is checked, and so is the number of bytes."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "compare.py"), "--servers=tornadoish,bare",
         "--work=pipelined,tls", "--rounds=1", "--seconds=1", "--connections=4"],
        capture_output=True, text=True, check=False, timeout=60, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    pipelined, tls = done.stdout.split("\n\n")[1:]
    assert "tornadoish" in pipelined
    assert "bare" in pipelined
    assert "tornadoish" in tls


@needs_proc
def test_a_small_crowd() -> None:
    """The client of crowd.py, with connections by the dozen."""
    from cases import Crowd
    from load import Settings, measure_crowd
    from processes import Cpus

    [ours] = [server for server in SERVERS if server.name == "tornadoish"]
    few = Crowd(name="few", work="idle", active=4, idle=60, about="a few")
    settings = Settings(seconds=1, connections=1, mib=1, cpus=Cpus.split())
    seen = measure_crowd(ours, few, settings)
    assert seen.amount == 80
    assert 0 < seen.p50_us <= seen.p99_us
    assert seen.cpu_seconds > 0
