"""Which fields may stand behind a body (RFC 9110, 6.5.1).

Asked by whoever receives trailers, which drops what must not be there, and by whoever sends some.
"""

from __future__ import annotations

#: Fields, in lower case, that must be known before the body: they frame the message or route it,
#: change what is asked, authenticate, or say how to deal with the content.
NOT_IN_TRAILERS = frozenset(
    [
        "transfer-encoding",
        "content-length",
        "host",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "proxy-connection",
        "expect",
        "max-forwards",
        "cache-control",
        "pragma",
        "range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "content-encoding",
        "content-type",
        "content-range",
        "age",
        "date",
        "expires",
        "location",
        "retry-after",
        "vary",
        "warning",
        "www-authenticate",
        "proxy-authenticate",
    ]
)
