"""Hello for the command line, which runs it in so many workers: `tornadoish scale_workers.py`."""

from __future__ import annotations

from tornadoish.web import Application, RequestHandler


class Hello(RequestHandler):
    def get(self) -> None:
        self.write(b"Hello, world!")


app = Application([("/", Hello)])
