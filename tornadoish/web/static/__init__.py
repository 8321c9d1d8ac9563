"""Static files: which file a path means, what of it a client wants, and how it is sent.

``handler`` tells it in the order of a request. What it is made of stands alone and can be tested
without a server: ``containment`` (no path leads out of the root), ``content`` (the half of
``StaticFileHandler`` that is needed without a request, for versioned URLs), ``conditions`` and
``ranges`` (RFC 9110, 13 and 14) and ``sending``. ``urls`` is ``RequestHandler.static_url``.
"""
