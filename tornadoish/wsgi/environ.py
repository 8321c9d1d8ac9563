"""environ: a request as a WSGI application sees it (PEP 3333, "environ Variables").

Made by ``WSGIContainer``. The values of a client never become anything but what the client may say:
each ``HTTP_`` variable is of exactly one field, and none of them is one that others believe.
"""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from tornadoish.httputil import HTTPServerRequest, split_host_and_port

#: Not passed on: `HTTP_PROXY` is what libraries take for the proxy of this host's own requests
#: ("httpoxy", CVE-2016-5385 and others). The other two have variables of their own.
_NOT_AS_HTTP = frozenset(["proxy", "content-type", "content-length"])


def to_wsgi_str(data: bytes) -> str:
    """Bytes as WSGI has them in text: a character for each (PEP 3333, "Unicode Issues")."""
    return data.decode("latin-1")


def environ_of(request: HTTPServerRequest) -> dict[str, Any]:
    """The environment for ``request``, with what is there of its body as ``wsgi.input``.

    ``SCRIPT_NAME`` is what the request's ``root_path`` says (where a ``Mount`` has led it here),
    never what a client says. Fields with an underscore in their names are left out, for their
    variables could not be told from those of other fields. A field that repeats has its values
    joined (RFC 9110, 5.3; cookies by "; ").
    """
    host, port = split_host_and_port(request.host)
    root = request.root_path
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": _decoded(root),
        "PATH_INFO": _decoded(request.path[len(root) :]),
        "QUERY_STRING": request.query,
        "REQUEST_URI": request.uri,
        "REMOTE_ADDR": request.remote_ip,
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or (443 if request.protocol == "https" else 80)),
        "SERVER_PROTOCOL": request.version,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.protocol,
        "wsgi.input": BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    fields = request.headers.index()
    if "content-type" in fields:
        environ["CONTENT_TYPE"] = fields["content-type"]
    # Of a body that has been decompressed on its way nobody knows the length.
    if "content-length" in fields and "x-consumed-content-encoding" not in fields:
        environ["CONTENT_LENGTH"] = fields["content-length"]
    for name, value in fields.items():
        if name not in _NOT_AS_HTTP and "_" not in name:
            environ["HTTP_" + name.replace("-", "_").upper()] = value
    if "," in fields.get("cookie", ""):
        environ["HTTP_COOKIE"] = "; ".join(request.headers.get_list("Cookie"))
    return environ


def _decoded(path: str) -> str:
    return to_wsgi_str(unquote_to_bytes(path)) if "%" in path else path
