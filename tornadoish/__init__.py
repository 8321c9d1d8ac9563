"""tornadoish: a Tornado-style HTTP server and web framework on asyncio."""

__version__ = "0.1.0"
