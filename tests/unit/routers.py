"""Requests, routers and targets that the tests of routing put together."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

from tornadoish.routing import PathMatches, Rule


def asking(path: str, host: str = "example.com", **headers: str) -> Any:
    """As much of a request as matchers look at."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(
        path=path, host_name=host, headers=fields, connection=object(), server_connection=None
    )


def recording(module: ModuleType) -> Any:
    """A router class whose delegates are the pair of a target and its parameters."""

    class Recorder(module.RuleRouter):  # type: ignore[misc,name-defined]
        def get_target_delegate(self, target: Any, request: Any, **params: Any) -> Any:
            if isinstance(target, module.Router):
                return super().get_target_delegate(target, request, **params)
            return None if target == "pass" else (target, params)

        def process_rule(self, rule: Any) -> Any:
            if isinstance(rule.target, list):
                rule.target = type(self)(rule.target)
            return super().process_rule(rule)

    return Recorder


class T:
    """Stands for a target: a string would be imported."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


A, B, C, D, E = (T(name) for name in "ABCDE")


def rule(path: str, target: object) -> Rule:
    return Rule(PathMatches(path), target)
