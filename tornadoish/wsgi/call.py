"""Call: one call of a WSGI application, in its thread (PEP 3333, "The Application Side").

What the application says goes into an ``Outgoing``; from there the event loop sends it. Nothing
here touches the loop or the connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from tornadoish.httputil.abnf import DIGITS, FIELD_VALUE, is_token
from tornadoish.log import app_log
from tornadoish.web.foreign import BODYLESS
from tornadoish.wsgi.files import FileWrapper
from tornadoish.wsgi.incoming import IncomingBody
from tornadoish.wsgi.outgoing import AnswerHead, Outgoing

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

_STATUS = re.compile(r"([2-9][0-9]{2}) ([^\r\n\0]*)")


class Call:
    """One call, made in the loop. ``run`` is for a thread; it reads the body from ``incoming`` and
    leaves the answer in ``outgoing``, or in ``file`` if that is how it goes on: then :meth:`close`
    is still to be called."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self.incoming = IncomingBody()
        self.outgoing = Outgoing()
        #: descriptor, offset and number of bytes of a file that is the body
        self.file: tuple[int, int, int] | None = None
        self._is_head = False
        self._result: Iterable[bytes] | None = None
        self._head: AnswerHead | None = None
        self._left: int | None = None  # bytes of the body that may follow, if that is known

    def cut(self) -> None:
        """In the loop: nobody is there any more. May be called at any time."""
        self.outgoing.cut()
        self.incoming.cut()

    def run(self, environ: dict[str, Any]) -> None:
        """Call the application and let it make its answer. Raises nothing."""
        failure: BaseException | None = None
        self._is_head = environ["REQUEST_METHOD"] == "HEAD"
        try:
            self._result = self._application(environ, self.start_response)
            self._answer(self._result)
        except BaseException as error:  # SystemExit, too: it is not this thread's to obey
            failure = error
            # Else nobody is there any more, and that may well be why.
            if not (isinstance(error, OSError) and self.outgoing.is_cut):
                app_log.error("Uncaught exception in a WSGI application", exc_info=True)
        self.outgoing.end(failure)
        # A file is closed when it has been sent; if nobody is there to send it, now.
        if self.file is None or failure is not None or self.outgoing.is_closed:
            self.close()

    def close(self) -> None:
        """Call the ``close`` of what the application has returned, if it has one; once."""
        result, self._result = self._result, None
        self.file = None
        close = getattr(result, "close", None)
        if close is not None:
            try:
                close()
            except Exception:
                app_log.error("Uncaught exception in a WSGI application", exc_info=True)

    # -- what the application calls

    def start_response(
        self,
        status: str,
        response_headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
        /,
    ) -> Callable[[bytes], object]:
        """See PEP 3333, "The start_response() Callable".

        :raises ValueError: a status or field that must not be sent.
        :raises RuntimeError: called again, and not to tell of an error.
        """
        if exc_info is not None and exc_info[1] is not None:
            try:
                if self.outgoing.head is not None:  # too late for another answer
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no reference to this very frame
        elif self._head is not None:
            raise RuntimeError("start_response() has been called already")
        self._head = _checked_head(status, response_headers)
        return self.write

    def write(self, data: bytes) -> None:
        """See PEP 3333, "The write() Callable".

        :raises TypeError: ``data`` is not bytes.
        :raises RuntimeError: ``start_response`` has not been called; or more than the
            Content-Length says.
        :raises StreamClosedError: the client is gone.
        """
        if not isinstance(data, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"The body of an answer is made of bytes, not {type(data).__name__}")
        if not data:
            return  # nothing is there yet
        head = self._begin()
        if self._is_head or head.status in BODYLESS:
            return
        if self._left is not None:
            if len(data) > self._left:
                raise RuntimeError(f"{len(data)} bytes of body where {self._left} were announced")
            self._left -= len(data)
        self.outgoing.put(data)

    # -- the answer

    def _begin(self, length: int | None = None) -> AnswerHead:
        """The head, as it is from now on. ``length``: that of the body, if nothing says it yet."""
        begun = self.outgoing.head
        if begun is not None:
            return begun
        head = self._head
        if head is None:
            raise RuntimeError("The application did not call start_response()")
        if head.length is None and head.status not in BODYLESS:
            head = head._replace(length=length)
        self._left = head.length
        self.outgoing.head = head
        return head

    def _answer(self, result: Iterable[bytes]) -> None:
        if isinstance(result, FileWrapper) and self.outgoing.head is None:
            part = result.part_of_file()
            if part is not None and self._head is not None:
                self._answer_file(part)
                return
        if type(result) in (list, tuple):
            # All of it is there: so it has a length, and is sent at once.
            body = b"".join(cast("list[bytes]", result))
            if self.outgoing.head is None:
                self._begin(len(body))
            self.write(body)
        else:
            for piece in result:
                self.write(piece)
                if self._is_head and self.outgoing.head is not None:
                    break  # that is all that there is to be known
        head = self._begin(None if self._is_head else 0)
        if self._left and not self._is_head and head.status not in BODYLESS:
            raise RuntimeError(f"{self._left} bytes of body missing of what was announced")

    def _answer_file(self, part: tuple[int, int, int]) -> None:
        fd, offset, count = part
        head = self._begin(count)
        if head.length is not None and head.length > count:
            raise RuntimeError(f"{head.length} bytes announced, {count} in the file")
        if not self._is_head and head.status not in BODYLESS:
            self.file = fd, offset, count if head.length is None else head.length


def _checked_head(status: str, fields: list[tuple[str, str]]) -> AnswerHead:
    match = _STATUS.fullmatch(status)
    if match is None or FIELD_VALUE.fullmatch(match[2]) is None:
        raise ValueError(f"Not the status of an answer, such as '200 OK': {status!r}")
    length: int | None = None
    for name, value in fields:
        if not is_token(name):
            raise ValueError(f"Not the name of a header field: {name!r}")
        if FIELD_VALUE.fullmatch(value) is None:
            raise ValueError(f"Unsafe value of header field {name}: {value!r}")
        if name.lower() == "content-length":
            if DIGITS.fullmatch(value) is None or length is not None:
                raise ValueError(f"Not a length, or another one: {value!r}")
            length = int(value)
    return AnswerHead(int(match[1]), match[2], list(fields), length)
