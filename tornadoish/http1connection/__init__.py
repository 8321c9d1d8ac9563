"""HTTP/1 connections over streams (Tornado: tornado.http1connection)."""

from tornadoish.http1connection.connection import HTTP1Connection
from tornadoish.http1connection.keeper import ConnectionState
from tornadoish.http1connection.parameters import HTTP1ConnectionParameters
from tornadoish.http1connection.server import HTTP1ServerConnection

__all__ = [
    "ConnectionState",
    "HTTP1Connection",
    "HTTP1ConnectionParameters",
    "HTTP1ServerConnection",
]
