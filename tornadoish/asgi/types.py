"""What ASGI is made of, as types (asgi.readthedocs.io, version 3.0): dicts, whatever their keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

#: what is known of a connection from the start
Scope = MutableMapping[str, Any]
#: something that happens; ``event["type"]`` says what
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
