"""Message: what whoever moves a message has to know of it.

Connections are made of it (``HTTP1Connection``, for one): what an application sees of a message is
there. It knows no protocol; who moves it, and calls its methods, does.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from tornadoish.compiling import mypyc_attr
from tornadoish.httputil.delegates import HTTPMessageDelegate
from tornadoish.log import app_log

if TYPE_CHECKING:
    from asyncio import Task


@mypyc_attr(allow_interpreted_subclasses=True)
class Message:
    """What whoever moves a message has to know of it; any ``HTTPConnection`` that is moved derives
    from it, too."""

    #: an object that describes the connection to whoever asks
    context: Any = None

    #: who moves it, as long as somebody does
    pump: Any = None
    #: who hears of what is received, until it has heard its last
    delegate: HTTPMessageDelegate | None = None
    variables: Context
    _close_callback: Callable[[], None] | None = None
    _body_callback: Callable[[], None] | None = None
    #: what the answer is the work of, as long as it is not finished, if that is a task
    task: Task[Any] | None = None
    #: whether that is cancelled when the peer goes away
    cancel_on_close = False
    #: bytes that the body may have, where that is not what the limits say
    max_body_size: int | None = None

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Call ``callback`` if the connection is closed before ``finish``."""
        self._close_callback = callback

    def set_body_callback(self, callback: Callable[[], None] | None) -> None:
        """See :meth:`HTTPConnection.set_body_callback`."""
        self._body_callback = callback

    def worked_on_by(self, task: Task[Any], *, cancel_on_close: bool = False) -> None:
        """See :meth:`HTTPConnection.worked_on_by`."""
        self.task = task
        self.cancel_on_close = cancel_on_close

    def end_delegate(self) -> None:
        """The delegate hears its last, if it has not; what it does wrong then is only logged."""
        delegate, self.delegate = self.delegate, None
        if delegate is not None:
            _guarded(delegate.on_connection_close)

    def cancel_task(self) -> None:
        """Nobody waits for the answer any more."""
        task, self.task = self.task, None
        if task is not None:
            task.cancel()

    def run_close_callback(self) -> None:
        """The connection is gone: tell whoever asked for it, once."""
        callback, self._close_callback = self._close_callback, None
        if callback is not None:
            # Only then: where the answer has been finished, that may have been in this context.
            self.variables.run(_guarded, callback)

    def file_sent(self, count: int) -> None:
        """So many bytes of a file have gone out as body, not by :meth:`write`."""

    def let_body_go(self) -> None:
        """Nobody needs what may come of the body any more: tell whoever asked for it, once."""
        callback, self._body_callback = self._body_callback, None
        if callback is not None:
            self.variables.run(_guarded, callback)


def _guarded(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:
        app_log.error("Uncaught exception as a message ended", exc_info=True)
