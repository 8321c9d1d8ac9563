"""benchmarks/bad_input.py: its verdicts, and a run of a part of it against us."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hostile import CASES, Case

from .running import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import judging


def answer(status: int, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def entry(id: str) -> Case:
    return next(case for case in CASES if case.id == id)


BAD = "RFC9112-3.2-no-Host"
BOTH = "CVE-2023-47641-CL-and-TE-CL-covers-all"
FOLD = "RFC9112-5.2-obs-fold"
LONG = "gunicorn-27-long-request-line"
HUGE = "RFC9110-8.6-23-digits"
LATE = "RFC9112-9.3.2-text"
GOOD = "RFC9112-7.1-chunks"
LAST = "RFC9112-9.6-request-behind-the-last"
OK = answer(200, b"GET / ")
HELLO = answer(200, b"POST / hello")
CHUNKED = b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("id", "data", "ended", "verdict"),
    [
        (BAD, answer(400), True, judging.RIGHT),
        (BAD, answer(400), False, judging.LIVES),
        (BAD, b"HTTP/1.0 400 Bad Request\r\n\r\nbecause", True, judging.RIGHT),
        (BAD, answer(501), True, judging.RIGHT),
        (BAD, answer(500), True, judging.STATUS),
        (BAD, answer(302), True, judging.STATUS),
        (BAD, OK, True, judging.TAKEN),
        (BAD, b"", True, judging.CLOSED),
        (BAD, b"", False, judging.SILENT),
        (BAD, b"no HTTP", True, judging.CLOSED),
        (BAD, answer(400, b"x")[:-1], True, judging.CLOSED),
        (BAD, answer(400) + answer(200, b"GET /smuggled "), True, judging.SMUGGLED),
        (BOTH, answer(400), True, judging.RIGHT),
        (BOTH, answer(200, b"POST / "), True, judging.RIGHT),
        (BOTH, answer(200, b"POST / "), False, judging.LIVES),
        (BOTH, answer(200, b"POST / ") * 2, True, judging.LIVES),
        (BOTH, answer(200, b"POST / ") + answer(200, b"GET /smuggled "), True, judging.SMUGGLED),
        # What a body says is not what is served.
        (BOTH, answer(200, b"POST / GET /smuggled "), True, judging.RIGHT),
        (FOLD, answer(400), False, judging.RIGHT),
        (FOLD, OK, False, judging.RIGHT),
        (FOLD, answer(500), True, judging.STATUS),
        (LONG, b"", True, judging.RIGHT),
        (LONG, b"", False, judging.SILENT),
        (LONG, OK, True, judging.TAKEN),
        (HUGE, b"", False, judging.RIGHT),
        (HUGE, b"", True, judging.CLOSED),
        (HUGE, answer(413), True, judging.RIGHT),
        (LATE, answer(200, b"GET /first ") + answer(400), True, judging.RIGHT),
        (LATE, answer(200, b"GET /first "), True, judging.CLOSED),
        (LATE, answer(400), True, judging.LOST),
        (GOOD, HELLO, False, judging.RIGHT),
        (GOOD, CHUNKED % (12, b"POST / hello"), False, judging.RIGHT),
        (GOOD, answer(100)[:-2].replace(b"Content-Length: 0\r\n", b"") + b"\r\n" + HELLO, False,
         judging.RIGHT),
        (GOOD, answer(200, b"POST / hell"), False, judging.LOST),
        (GOOD, answer(400), True, judging.LOST),
        (GOOD, b"", False, judging.SILENT),
        (LAST, OK, True, judging.RIGHT),
        (LAST, OK + answer(400), True, judging.RIGHT),
        (LAST, OK + answer(200, b"GET /smuggled "), True, judging.SMUGGLED),
        (LAST, answer(400), True, judging.LOST),
    ],
)  # fmt: skip
def test_verdicts(id: str, data: bytes, ended: bool, verdict: str) -> None:
    assert judging.judge(entry(id), judging.Outcome(data, ended), False) == verdict


def test_ours_is_right() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "bad_input.py"), "--servers=tornadoish"]
    done = subprocess.run(
        [*command, "--groups=pipelining,trailers", "--faults", "--markdown"],
        capture_output=True, text=True, check=False, timeout=60, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| right, share | 100 % |" in done.stdout
