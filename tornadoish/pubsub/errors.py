"""What can go wrong with publish/subscribe."""

from __future__ import annotations


class PubSubError(Exception):
    """A channel cannot be subscribed to: the server refuses it."""


class PublishError(PubSubError):
    """A message has not been published, as far as is known.

    ``uncertain``: whether it may have been all the same, for it was on its way to the server when
    the connection, or somebody's patience, came to an end. Who publishes it again may publish it
    twice.
    """

    def __init__(self, message: str, *, uncertain: bool = False) -> None:
        super().__init__(message)
        self.uncertain = uncertain
