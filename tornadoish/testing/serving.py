"""The end of a server behind a test: nothing of it stays, and its application may be served again.

Called by test cases, fixtures and connections in memory.
"""

from __future__ import annotations

from tornadoish.httpserver import HTTPServer
from tornadoish.httputil import HTTPServerConnectionDelegate


async def end_server(server: HTTPServer) -> None:
    """Stop ``server`` and close all its connections, whatever they are doing; before and behind
    that its application hears of its ``shutdown`` and ``cleanup``.

    Unlike ``drain`` this waits for no request, and says nothing (``on_drain``) that would be true
    for good: an application without hooks can be used by the next test.

    Raises what the application raises.
    """
    application = server.request_callback
    server.stop()
    try:
        if isinstance(application, HTTPServerConnectionDelegate):
            await application.shutdown()
    finally:
        await server.close_all_connections()
        if isinstance(application, HTTPServerConnectionDelegate):
            await application.cleanup()
