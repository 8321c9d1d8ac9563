"""main: runs tests from the command line (Tornado: tornado.testing.main).

``python -m tornadoish.testing package.test_module`` is unittest's own command, with the format of
our logs.
"""

from __future__ import annotations

import sys
import unittest
from typing import Any

from tornadoish.log import enable_pretty_logging


def main(**kwargs: Any) -> None:
    """Run the tests that the command line names, or what the function ``all`` of the calling script
    returns. Ends the process.

    The options are those of ``python -m unittest``.

    :param kwargs: of ``unittest.main``.
    """
    enable_pretty_logging()
    if any(not argument.startswith("-") for argument in sys.argv[1:]):
        # Without a module unittest imports what it is told to, and nothing else.
        unittest.main(module=None, **kwargs)
    else:
        unittest.main(**{"defaultTest": "all", **kwargs})
