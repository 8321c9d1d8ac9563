"""tornadoish: a Tornado-style HTTP server and web framework on asyncio.

``tornadoish.run(app)`` serves an application; all else is in the modules.
"""

import importlib

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # On demand: whoever wants a module alone should not load all of them.
    if name == "run":
        return importlib.import_module("tornadoish.cli").run
    raise AttributeError(f"module 'tornadoish' has no attribute {name!r}")
