"""MultipartStream: the parts of a multipart/form-data body, one after the other as they arrive.

Made by ``RequestHandler.multipart`` in handlers that read their body themselves. It holds no more
than the piece that has come: files may have any size, and the client waits for who reads them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from tornadoish.httputil import HTTPHeaders, HTTPInputError, ParseMultipartConfig
from tornadoish.httputil.forms import check_form_coding
from tornadoish.httputil.multipart import MultipartEvent, MultipartParser, PartHead
from tornadoish.web.bodies.storing import Upload, save, spool

MIB = 1024 * 1024


class BodyRequest(Protocol):
    """What is asked of a request."""

    headers: HTTPHeaders

    def body_chunks(self) -> AsyncIterator[bytes]: ...


class MultipartStream:
    """The parts of ``request``'s body, to be iterated over once::

        async for part in self.multipart():
            if part.is_file:
                await part.save(directory / new_name())
            else:
                fields[part.name] = await part.text()

    A part is read before the next one is asked for; what has not been read of it is skipped then.

    :param config: the limits; default those of :func:`httputil.set_parse_body_config`. Fields are
        counted as they are read: whoever keeps them all has no more than ``max_fields_size`` bytes.
    :raises HTTPInputError: (415) the body is no multipart/form-data, or coded; (400) no boundary.

    Iterating, and reading a part, raises HTTPInputError where the body turns out malformed (400) or
    beyond a limit (413), and StreamClosedError where the client is gone or has been refused.
    """

    def __init__(self, request: BodyRequest, config: ParseMultipartConfig | None = None) -> None:
        headers = request.headers
        check_form_coding(headers)
        content_type: str = headers.get("Content-Type", "")
        self._parser = MultipartParser.for_content_type(content_type, config)
        self._chunks = request.body_chunks()
        self._events: Iterator[MultipartEvent] = iter(())
        self._part: Part | None = None  # the one that is being read
        self._ended = False

    def __aiter__(self) -> AsyncIterator[Part]:
        return self

    async def __anext__(self) -> Part:
        """The next part, at its begin."""
        part = self._part
        if part is not None:
            await part.skip()
            part._is_passed = True
        if not self._ended:
            event = await self._next_event()
            if isinstance(event, PartHead):
                self._part = Part(self, event)
                return self._part
            # The final delimiter. What comes behind it is read too: then the client has sent all,
            # and the connection is as good as before.
            while event is not None:
                event = await self._next_event()
            self._ended = True
        raise StopAsyncIteration

    async def _next_event(self) -> MultipartEvent | None:
        """What comes next, or None at the end of the body."""
        while True:
            try:
                event = next(self._events, None)
                if event is not None:
                    return event
                chunk = await anext(self._chunks, b"")
                if not chunk:
                    self._parser.close()
                    return None
                self._events = self._parser.feed(chunk)
            except HTTPInputError as error:
                error.survives = True  # the message was framed well; only its content is not
                raise


class Part:
    """One field or file of a form.

    ``name`` (never empty), ``filename``, ``content_type`` and ``headers`` are what the client says;
    never use ``filename`` as a path. Its data is there once, for whoever asks first: iterate over
    it, or use one of the methods. All of them raise what :class:`MultipartStream` raises.
    """

    def __init__(self, stream: MultipartStream, head: PartHead) -> None:
        self._stream = stream
        self._head = head
        self.name: str = head.name
        self.filename: str | None = head.filename
        self.content_type: str | None = head.content_type
        self.headers: HTTPHeaders = head.headers
        self._is_passed = False

    @property
    def is_file(self) -> bool:
        """Whether this is a file: a part with a file name that is not empty."""
        return self._head.is_file

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next piece of the data, never empty.

        :raises RuntimeError: the next part has been asked for already.
        """
        stream = self._stream
        if stream._part is not self:
            if self._is_passed:
                raise RuntimeError("This part has been passed: the next one has been asked for")
            raise StopAsyncIteration
        event = await stream._next_event()
        if type(event) is bytes:
            return event
        stream._part = None
        raise StopAsyncIteration

    async def skip(self) -> None:
        """Drop what has not been read."""
        async for _ in self:
            pass

    async def read(self, limit: int | None = MIB) -> bytes:
        """What has not been read.

        :param limit: bytes; None: as many as there are (of a field, as the limits allow).
        :raises HTTPInputError: (413) there are more.
        """
        size = 0
        pieces: list[bytes] = []
        async for piece in self:
            size += len(piece)
            if limit is not None and size > limit:
                raise HTTPInputError("Part of a form too large", 413, survives=True)
            pieces.append(piece)
        return b"".join(pieces)

    async def text(self, limit: int | None = MIB) -> str:
        """The same as text (RFC 7578, 5.1.2: UTF-8).

        :raises HTTPInputError: (400) it is not UTF-8.
        """
        try:
            return (await self.read(limit)).decode()
        except UnicodeDecodeError:
            raise HTTPInputError("A field of a form is not UTF-8", survives=True) from None

    async def save(self, path: str | os.PathLike[str], *, limit: int | None = None) -> int:
        """Write the data to the file ``path``, in threads. It gets that name when it is whole,
        replacing what has it; until then, and if the upload fails, nothing is there.

        :param limit: bytes that it may have; None: any number.
        :returns: the size, in bytes.
        :raises OSError: it cannot be written.
        :raises HTTPInputError: (413) more than ``limit``.
        """
        return await save(self, path, limit)

    async def spool(
        self,
        max_memory: int = MIB,
        *,
        limit: int | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> Upload:
        """Read the data into memory and, as soon as it is more than ``max_memory`` bytes, into a
        temporary file without a name, in threads (CVE-2025-54121).

        :param limit: bytes that it may have; None: any number.
        :param directory: for the file; None: the system's for temporary ones.
        :raises OSError: it cannot be written.
        :raises HTTPInputError: (413) more than ``limit``.
        """
        return await spool(self._head, self, max_memory, limit, directory)

    def __repr__(self) -> str:
        return f"<Part {self.name!r} {self.filename!r}>"
