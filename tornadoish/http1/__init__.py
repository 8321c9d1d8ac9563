"""Sans-io HTTP/1.1 (RFC 9112): bytes to events and messages to bytes, in both roles.

Imports no asyncio, socket, ssl or time: whoever has bytes can use it.
"""
