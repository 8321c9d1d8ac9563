"""Rendering: pages from templates (Tornado: web.RequestHandler, ``render``)."""

from __future__ import annotations

from tornadoish.web.localization import Localization


class Rendering(Localization):
    """Localization, and answers made from templates."""
