"""WSGI applications on our server (Tornado: tornado.wsgi)."""

from tornadoish.httputil import HTTPServerRequest
from tornadoish.wsgi.container import WSGIContainer
from tornadoish.wsgi.environ import to_wsgi_str
from tornadoish.wsgi.files import FileWrapper

#: Tornado's old name for it, still imported by applications.
HTTPRequest = HTTPServerRequest

__all__ = ["FileWrapper", "HTTPRequest", "WSGIContainer", "to_wsgi_str"]
