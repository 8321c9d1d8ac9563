"""Localization: the language of the answer (Tornado: web.RequestHandler, ``locale``)."""

from __future__ import annotations

from tornadoish.web.security import Security


class Localization(Security):
    """Security, and the language in which the answer is written."""
