"""A server of streams: it listens, accepts and hands over (Tornado: tornado.tcpserver)."""

from tornadoish.tcpserver.server import TCPServer

__all__ = ["TCPServer"]
