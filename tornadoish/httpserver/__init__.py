"""The HTTP server (Tornado: tornado.httpserver)."""

from tornadoish.httpserver.context import HTTPRequestContext as HTTPRequestContext
from tornadoish.httpserver.context import _ProxyAdapter as _ProxyAdapter
from tornadoish.httpserver.server import HTTPServer as HTTPServer
from tornadoish.httputil import HTTPServerRequest

#: Tornado's old name for it, still imported by applications.
HTTPRequest = HTTPServerRequest

__all__ = ["HTTPRequest", "HTTPRequestContext", "HTTPServer"]
