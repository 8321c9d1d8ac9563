"""Message and Lost: what a subscription gives out; and what may be published.

No I/O; everybody in this package uses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tornadoish.escape import json_decode, json_encode

#: what may be published; a dict or list goes as JSON
Data = str | bytes | dict[Any, Any] | list[Any]

#: characters of a channel's name: names are often made of what clients say
MAX_CHANNEL_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody has published. One object for all who get it."""

    channel: str
    data: bytes

    @property
    def text(self) -> str:
        """``data`` as text.

        :raises UnicodeDecodeError: it is no UTF-8.
        """
        return self.data.decode()

    def json(self) -> Any:
        """What ``data`` is the JSON of.

        :raises ValueError: it is none.
        """
        return json_decode(self.data)


@dataclass(frozen=True, slots=True)
class Lost:
    """In the place of messages that this subscription will not get.

    ``count``: how many; None: nobody knows, for the connection to the server was down.
    """

    count: int | None


def both(one: Lost | None, other: Lost) -> Lost:
    """Two gaps that have become one."""
    if one is None:
        return other
    if one.count is None or other.count is None:
        return Lost(None)
    return Lost(one.count + other.count)


def encoded(data: Data) -> bytes:
    """``data`` as it is carried.

    :raises TypeError: it is none of :data:`Data`.
    """
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (dict, list)):  # pyright: ignore[reportUnnecessaryIsInstance]
        return json_encode(data).encode()
    raise TypeError(f"Only text, bytes, a dict or a list can be published, not {type(data)}")


def check_channel(name: str) -> None:
    """:raises ValueError: ``name`` is empty, too long, or no text that UTF-8 has."""
    if not 0 < len(name) <= MAX_CHANNEL_LENGTH:
        raise ValueError(f"A channel's name has 1 to {MAX_CHANNEL_LENGTH} characters")
    name.encode()
