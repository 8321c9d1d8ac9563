"""ASGI both ways: foreign applications on our server, ours on foreign servers."""

from tornadoish.asgi.application import ASGIApplication
from tornadoish.asgi.container import ASGIContainer
from tornadoish.asgi.lifespan import LifespanError
from tornadoish.asgi.types import ASGIApp, Event, Receive, Scope, Send

__all__ = [
    "ASGIApp",
    "ASGIApplication",
    "ASGIContainer",
    "Event",
    "LifespanError",
    "Receive",
    "Scope",
    "Send",
]
