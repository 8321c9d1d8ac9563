"""What templates can call beside the framework's own: the setting `ui_methods` of app.py.

Each is called with the handler whose page it is, and then as the template says.
"""

from datetime import UTC, datetime

from files import human_size, is_picture

from tornadoish.web import RequestHandler


def iso_time(handler: RequestHandler, seconds: float) -> str:
    """A time for `<time datetime=...>`, by which live.js shows the reader's own."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def when(handler: RequestHandler, seconds: float) -> str:
    """A time for people: "27 Nov 2026, 13:24 UTC"."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %Y, %H:%M UTC").lstrip("0")


def size(handler: RequestHandler, count: int) -> str:
    """A number of bytes for people: "10 MiB"."""
    return human_size(count)


def picture(handler: RequestHandler, name: str) -> bool:
    """Whether a file is shown on the page."""
    return is_picture(name)
