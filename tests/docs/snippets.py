"""A process that runs one snippet after the other, each as a program of its own.

Started by ``playing``; reads one JSON object a line, ``{"name", "line", "text", "before"}``, and
answers with one, ``{"printed", "error"}``. ``await`` is allowed at the top level of a snippet,
which runs within a loop, unless it starts one itself. Servers that it leaves behind are stopped;
errors that nobody would hear of, and warnings, are errors.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import gc
import inspect
import io
import json
import re
import sys
import traceback
from types import CodeType
from typing import Any

from tornadoish.tcpserver import TCPServer

PATIENCE = 20.0  # seconds for one snippet


def compiled(text: str, name: str, line: int) -> CodeType:
    """Its lines are those of the page."""
    tree = ast.parse(text, name)
    ast.increment_lineno(tree, line)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(tree, name, "exec", flags, dont_inherit=True)


async def execute(code: CodeType, names: dict[str, Any]) -> None:
    result = eval(code, names)
    if inspect.iscoroutine(result):
        await result
    for server in [found for found in gc.get_objects() if isinstance(found, TCPServer)]:
        server.stop()
        await server.stop_accepting()


def run(order: dict[str, Any]) -> str | None:
    """Run one; what went wrong."""
    names: dict[str, Any] = {"__name__": "__main__"}
    unheard: list[str] = []
    sys.unraisablehook = lambda found: unheard.append(f"{found.err_msg}: {found.exc_value!r}")
    try:
        exec(compiled(order["before"], "what comes before", 0), names)
        code = compiled(order["text"], order["name"], order["line"])
        if re.search(r"\basyncio\.(run|Runner)\(", order["text"]):
            exec(code, names)
        else:
            with asyncio.Runner() as runner:
                runner.run(asyncio.wait_for(execute(code, names), PATIENCE))
    except (Exception, SystemExit):
        return traceback.format_exc()
    finally:
        names.clear()
        gc.collect()
    return "\n".join(unheard) or None


def main() -> None:
    answers = sys.stdout
    sys.path.insert(0, "")
    for line in sys.stdin:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            error = run(json.loads(line))
        json.dump({"printed": printed.getvalue(), "error": error}, answers)
        print(file=answers, flush=True)


if __name__ == "__main__":
    main()
