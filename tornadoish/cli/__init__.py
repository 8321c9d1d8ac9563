"""The command line: ``tornadoish APP``, ``python -m tornadoish APP``, and ``tornadoish.run``.

The way of a command: ``arguments`` reads words, ``sources`` puts them together with the environment
and a file to ``Settings`` (the table of all options is in ``options``), ``running`` carries it out
in one process or several, ``serving`` is the one that serves. What goes wrong on the way is a
``CommandError``: one line, and an exit status.
"""

from tornadoish.cli.commands import main, run
from tornadoish.cli.errors import CommandError
from tornadoish.cli.settings import Options, Settings

__all__ = ["CommandError", "Options", "Settings", "main", "run"]
