"""Events: server-sent events (WHATWG HTML, 9.2), ours alone, not Tornado's."""

from __future__ import annotations

from tornadoish.web.failures import Failures


class Events(Failures):
    """Failures, and answers that are streams of events."""
