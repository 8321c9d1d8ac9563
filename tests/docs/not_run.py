"""What is not played by ``test_blocks``, and why; and what pages take for granted.

A row that no block needs any more is an error, like a block that has no row and does not run.
"""

from __future__ import annotations

#: Pages, or whole directories, whose blocks are run by tests of their own: these name them.
PLAYED_ELSEWHERE = {
    "docs/testing.md": "tests/web/test_testing_docs.py",
    "docs/first-ten-minutes.md": "tests/cli/test_first_ten_minutes.py",
    "docs/deployment": "tests/deployment",
}

#: (page, how the block begins) -> why it is not run.
NOT_RUN = {
    ("README.md", '"""The smallest application'): "tests/examples/test_hello.py runs it",
    ("README.md", "python3 -m venv .venv && .venv/bin/pip install -q . &&"): (
        "makes an environment from a package registry; tests/examples run the example"
    ),
    ("README.md", "python3 -m venv .venv && .venv/bin/pip install -q tox"): (
        "is this very suite: .ci/run runs it"
    ),
    ("README.md", "tornadoish new demo"): "serves for ever; tests/cli run each of these",
    ("docs/performance.md", "pip install '.[bench]'"): (
        "installs eight servers and measures for minutes"
    ),
    ("docs/capacity.md", "pip install '.[bench]'"): "installs servers and measures for minutes",
    ("docs/security.md", "pip install tornado aiohttp"): (
        "installs six servers; tests/examples/test_bad_input.py runs the program on ours"
    ),
    ("docs/security.md", "apt-get install slowhttptest"): "installs, and takes minutes",
    ("docs/life-of-a-request.md", "transport.data_received"): "a call stack, not code",
    ("docs/security.md", "python benchmarks/soak.py"): (
        "takes minutes; tests/examples/test_soak.py runs a short one"
    ),
    ("docs/tutorial/first.md", "python3 -m venv .venv"): "installs from a package registry",
    ("docs/tutorial/chat.md", "REDIS_URL="): (
        "wants a Redis server; tests/pubsub and tests/examples/test_chat.py have one"
    ),
    ("docs/howto/from-aiohttp.md", "# theirs.py"): "aiohttp's, which the tests need not have",
    ("docs/parsers.md", "TORNADOISH_SEEDS=200000"): "takes an hour; the suite tries fewer seeds",
}

#: Python that comes before each snippet of a page: what its reader has already.
BEFORE = {
    "docs/limits.md": "from tornadoish.web import Application\napplication = Application()\n",
}
