"""Targets: what is asked for, as ASGI tells it, and as a request has it.

Asked by ``ASGIApplication`` for each request.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from tornadoish.asgi.types import Scope

# What may stand in a target besides letters and digits: all that is visible but "#" (RFC 9112, 3).
_AS_SENT = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "#")
# And in a path that is made of text, where these two would be taken for something else.
_AS_TEXT = _AS_SENT.replace("%", "").replace("?", "")


def target_of(scope: Scope) -> tuple[str, str]:
    """The request target, whole and as far as possible as it was sent; and what of it leads to the
    application (``root_path``), without a slash at its end.

    Hosts do not agree whether the path begins with ``root_path``: where it does not, that is put in
    front of it.
    """
    raw = scope.get("raw_path")
    if raw is None:
        path = quote(scope["path"], safe=_AS_TEXT)
    else:
        path = quote(bytes(raw).partition(b"?")[0], safe=_AS_SENT)
    prefix = ""
    root: str = (scope.get("root_path") or "").rstrip("/")
    if root:
        begin = path.split("/", root.count("/") + 1)[: root.count("/") + 1]
        prefix = "/".join(begin)
        if unquote(prefix) != root:
            prefix = quote(root, safe=_AS_TEXT)
            path = prefix + path
    query = bytes(scope.get("query_string") or b"")
    return f"{path}?{quote(query, safe=_AS_SENT)}" if query else path, prefix
