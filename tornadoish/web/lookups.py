"""Lookups: what a handler asks of its application by name (Tornado: web.RequestHandler)."""

from __future__ import annotations

from typing import Any

from tornadoish.web.running import Running


class Lookups(Running):
    """What runs, and the routes and settings of its application."""

    def reverse_url(self, name: str, /, *args: Any, **named: Any) -> str:
        """The path of the application's route called ``name``, with ``args`` in its groups; below
        where the application is mounted, if it is.

        :param named: values by the names of the pattern's placeholders (ours alone).
        :raises KeyError: there is no such route.
        :raises ValueError: a placeholder cannot take its value.
        """
        return self.request.root_path + self.application.reverse_url(name, *args, **named)

    def require_setting(self, name: str, feature: str = "this feature") -> None:
        """Raise unless the application has the setting ``name``, which ``feature`` needs."""
        if not self.application.settings.get(name):
            raise RuntimeError(f"You must define the {name!r} setting to use {feature}")
