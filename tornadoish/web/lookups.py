"""Lookups: what a handler asks of its application by name (Tornado: web.RequestHandler)."""

from __future__ import annotations

from typing import Any

from tornadoish.web.running import Running


class Lookups(Running):
    """What runs, the groups of its route, and the routes and settings of its application."""

    # Not in Arguments: the setter of a compiled property takes anything, and then trusts it.
    @property
    def path_args(self) -> list[Any]:
        """The groups of the route's pattern that have no names, decoded: what the method gets."""
        if self._path_args is None:
            self._path_args = []
        args: list[Any] = self._path_args
        return args

    @path_args.setter
    def path_args(self, value: list[Any]) -> None:
        self._path_args = value

    @property
    def path_kwargs(self) -> dict[str, Any]:
        """The groups of the route's pattern that have names, decoded: what the method gets."""
        if self._path_kwargs is None:
            self._path_kwargs = {}
        kwargs: dict[str, Any] = self._path_kwargs
        return kwargs

    @path_kwargs.setter
    def path_kwargs(self, value: dict[str, Any]) -> None:
        self._path_kwargs = value

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
