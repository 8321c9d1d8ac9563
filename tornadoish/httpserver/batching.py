"""BatchObserver: an observer that looks at exchanges a round of the event loop at a time.

The code for it need not be brought into the processor's caches for each exchange, and what can be
added up is: that halves the cost. Nothing waits longer than that, so no more can be lost than one
round's. Made for ``tornadoish.accesslog`` and ``tornadoish.metrics``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tornadoish.httputil import Exchange, Observer
from tornadoish.log import app_log

#: exchanges that are looked at together at the most
_MOST = 256


class BatchObserver(Observer):
    """Subclasses write :meth:`take`. If they want the route of an exchange, they set
    ``wants_request``, and it will be there."""

    def __init__(self) -> None:
        self._exchanges: list[Exchange] = []

    def ended(self, exchange: Exchange) -> None:
        if self.wants_request:
            exchange.route  # noqa: B018 - it will not be known any more
        exchanges = self._exchanges
        if not exchanges:
            asyncio.get_running_loop().call_soon(self.flush)
        elif len(exchanges) >= _MOST:
            self.flush()
            exchanges = self._exchanges
        exchanges.append(exchange)

    def flush(self) -> None:
        """Look at what has not been looked at yet."""
        exchanges, self._exchanges = self._exchanges, []
        if exchanges:
            try:
                self.take(exchanges)
            except Exception:
                app_log.error("Uncaught exception in an observer", exc_info=True)

    def take(self, exchanges: Sequence[Exchange]) -> None:
        """These have ended, in this order; at least one."""
        raise NotImplementedError
