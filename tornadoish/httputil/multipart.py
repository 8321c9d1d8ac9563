"""MultipartParser: multipart/form-data (RFC 7578; RFC 2046, 5.1.1), pushed piece by piece.

The one reader of such bodies: ``parse_multipart_form_data`` gives it a whole one, streams give it
what has arrived. Sans-io, and the security boundary of uploads:

- what comes out never depends on how the bytes were cut, an error and what came before it included;
- time is linear in bytes: all searching is ``bytes.find`` for the delimiter, left to right, and
  nothing is searched twice (CVE-2023-46136);
- it holds one header section at the most, and every limit is counted before anything is kept;
- what is in a file is handed on as it came, or sliced out of it: copied once at the most.

A delimiter is a line of ``--``, the boundary and nothing more. RFC 2046 says that no other line of
the body may begin like that; some take one that does for a delimiter, some for data, so it is
refused. Nothing is logged, and no error message repeats what the peer sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple, NoReturn

from tornadoish.httputil.abnf import CONTROL, TOKEN
from tornadoish.httputil.errors import HTTPInputError
from tornadoish.httputil.form_limits import ParseMultipartConfig, get_parse_body_config
from tornadoish.httputil.headers import HTTPHeaders
from tornadoish.httputil.parameters import _parse_header, _split_parameters, _unquote

_BLANK = b"\r\n\r\n"
_NO_LIMIT = 1 << 62  # more bytes and parts than there are
_new_tuple = tuple.__new__  # what a NamedTuple's own constructor calls, without its frame
# RFC 2046, 5.1.1: 1 to 70 characters, no space at the end. Any visible one is taken: real clients
# use more than the grammar's few.
_BOUNDARY = re.compile(rb"[ -~]{0,69}[!-~]")
# A header section as nearly every client writes it (WHATWG HTML, 4.10.21.8), where nothing in it
# has to be undone: read in one pass, with the same result as by its lines.
_TEXT = r'[^"\\\x00-\x1f\x7f]'
_PLAIN_HEAD = re.compile(
    rf'Content-Disposition: (form-data; name="({_TEXT}++)"(?:; filename="({_TEXT}*+)")?)'
    r"(?:\r\nContent-Type: ([!-~]++(?: [!-~]++)*+))?"
)


class PartHead(NamedTuple):
    """How a part begins: its header fields, and what they say.

    All of it is the peer's word. Never use ``filename`` as a path.
    """

    #: the field's name, never empty
    name: str
    #: the file's name; empty in a form where no file was chosen, None for other fields
    filename: str | None
    #: the value of Content-Type, None without one
    content_type: str | None
    #: all header fields; their text is UTF-8 (RFC 7578, 5.1), not Latin-1 as elsewhere
    headers: HTTPHeaders

    @property
    def is_file(self) -> bool:
        """Whether this is a file: a part with a file name that is not empty, as in Tornado."""
        return bool(self.filename)


class PartEvent(Enum):
    """What has come to its end."""

    PART_END = "the part has been read"
    END = "the final delimiter has been read"


PART_END: Final = PartEvent.PART_END
END: Final = PartEvent.END
#: A part is its head, any number of pieces of its data (never empty) and PART_END.
MultipartEvent = PartHead | bytes | PartEvent


class _State(Enum):
    BEGIN = "the first delimiter is due"
    DELIMITED = "what a delimiter ends in is due: a line end, or two hyphens"
    HEADERS = "header fields of a part are due"
    DATA = "data of a part, or a delimiter, is due"
    ENDING = "END is due"
    BEHIND = "a line end, or nothing, is due behind the final delimiter"
    EPILOGUE = "whatever comes is ignored"
    FAILED = "an error has been raised"


_BEGIN: Final = _State.BEGIN
_DELIMITED: Final = _State.DELIMITED
_HEADERS: Final = _State.HEADERS
_DATA: Final = _State.DATA
_ENDING: Final = _State.ENDING
_BEHIND: Final = _State.BEHIND
_EPILOGUE: Final = _State.EPILOGUE
_FAILED: Final = _State.FAILED


class MultipartParser:
    """Reads one body; made for its boundary, fed with its pieces, closed at its end.

    :param boundary: as in the Content-Type, without quotes.
    :param config: the limits; default those of :func:`set_parse_body_config`.
    :raises HTTPInputError: a boundary that is none (400), or multipart is disabled (415).
    """

    __slots__ = (
        "_allowed",
        "_data",
        "_delimiter",
        "_failure",
        "_field_bytes_left",
        "_fields_left",
        "_half",
        "_head",
        "_matched",
        "_most_field",
        "_most_head",
        "_most_headers",
        "_part",
        "_parts_left",
        "_pos",
        "_searched",
        "_state",
        "_unsent",
    )

    def __init__(self, boundary: bytes, config: ParseMultipartConfig | None = None) -> None:
        if config is None:
            config = get_parse_body_config().multipart
        if not config.enabled:
            raise HTTPInputError("multipart/form-data parsing is disabled", 415)
        if not _BOUNDARY.fullmatch(boundary):
            raise HTTPInputError("Invalid multipart/form-data boundary")
        self._delimiter = b"\r\n--" + boundary
        # What may yet come, and how large each of it may be.
        self._parts_left = _bound(config.max_parts)
        self._fields_left = _bound(config.max_fields)
        self._field_bytes_left = _bound(config.max_fields_size)
        self._most_field = _bound(config.max_field_size)
        self._most_head = _bound(config.max_part_header_size)
        self._most_headers = _bound(config.max_part_headers)
        self._data = b""  # the piece that is being read,
        self._pos = 0  # up to here
        self._state = _BEGIN
        # A delimiter of which so many bytes have come. The line end of what stands before the
        # data counts as the first two; the others (from _unsent on) are data if it turns out none.
        self._matched = 2
        self._unsent = 2
        self._half = b""  # the first of the two bytes behind a delimiter
        self._head = bytearray()  # a header section of which not all has come
        self._searched = 0  # bytes of it in which its end does not begin
        self._part: PartHead | None = None
        self._allowed = 0  # bytes that the part may yet have
        self._failure: HTTPInputError | None = None

    @classmethod
    def for_content_type(
        cls, content_type: str, config: ParseMultipartConfig | None = None
    ) -> MultipartParser:
        """A parser for a body with this Content-Type.

        :raises HTTPInputError: not multipart/form-data (415), or without one boundary (400).
        """
        if content_type.partition(";")[0].strip(" \t").lower() != "multipart/form-data":
            raise HTTPInputError("Not multipart/form-data", 415)
        return cls(find_boundary(content_type), config)

    def feed(self, data: bytes) -> Iterator[MultipartEvent]:
        """Take the next piece of the body: the events that it completes, read as they are asked
        for. All of them must be taken before the next piece.

        :raises HTTPInputError: from the iterator, where it comes upon the fault: malformed (400)
            or beyond a limit (413). It is raised again by whatever is asked afterwards.
        """
        self._data = data
        self._pos = 0
        return iter(self._next_event, None)

    def close(self) -> None:
        """The body has ended.

        :raises HTTPInputError: it must not end here (400), or it has failed before.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        state = self._state
        if self._half or state not in (_ENDING, _BEHIND, _EPILOGUE):
            self._fail("Invalid multipart/form-data: no final boundary found")

    # -- events

    def _next_event(self) -> MultipartEvent | None:
        """The next event, or None if more has to come first."""
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        while True:
            state = self._state
            event: MultipartEvent | None = None
            if state is _DATA:
                event = self._take_data()
            elif state is _HEADERS:
                event = self._take_headers()
            elif state is _DELIMITED:
                event = self._take_delimiter_end()
            elif state is _BEGIN:
                self._take_first_delimiter()
            elif state is _ENDING:
                event = END
                self._state = _BEHIND
            elif state is _BEHIND:
                self._take_line_end()
            if event is not None:
                return event
            if self._state is state:  # nothing more in this piece: let go of it
                self._data = b""
                self._pos = 0
                return None

    def _fail(self, message: str, status: int = 400) -> NoReturn:
        """Refuse the body, now and whenever more of it is asked for."""
        self._give_up(HTTPInputError(message, status))
        raise HTTPInputError(message, status)

    def _give_up(self, failure: HTTPInputError) -> None:
        self._failure = failure
        self._state = _FAILED
        self._data = b""
        self._head.clear()

    # -- delimiters

    def _take_first_delimiter(self) -> None:
        """The body begins with one, and what would be before it (RFC 2046: a preamble that nobody
        reads) is refused: no client sends it."""
        if not self._match_delimiter():
            self._fail("multipart/form-data does not begin with the boundary")

    def _match_delimiter(self) -> bool:
        """Go on with a delimiter that has begun: False if it is none after all."""
        rest = self._delimiter[self._matched :]
        there = self._data[self._pos : self._pos + len(rest)]
        if not rest.startswith(there):
            return False
        self._pos += len(there)
        if len(there) < len(rest):
            self._matched += len(there)
        else:
            self._matched = self._unsent = 0
            self._state = _DELIMITED
        return True

    def _take_two(self) -> bytes | None:
        """The two bytes behind a delimiter, or None if they have not come."""
        half, pos = self._half, self._pos
        two = half + self._data[pos : pos + 2 - len(half)]
        self._pos = pos + len(two) - len(half)
        self._half = two if len(two) < 2 else b""
        return two if len(two) == 2 else None

    def _take_delimiter_end(self) -> PartEvent | None:
        two = self._take_two()
        if two is None:
            return None
        if two == b"\r\n":
            # Counted before any of it is read (CVE-2026-31958, CVE-2023-25577).
            self._parts_left -= 1
            if self._parts_left < 0:
                self._fail("multipart/form-data has too many parts", 413)
            self._state = _HEADERS
        elif two == b"--":
            self._state = _ENDING
        else:
            self._fail("multipart/form-data has a line that is no delimiter but begins like one")
        ended, self._part = self._part, None
        return None if ended is None else PART_END

    def _take_line_end(self) -> None:
        """RFC 2046: behind the final delimiter another line may begin, whose text nobody reads."""
        two = self._take_two()
        if two == b"\r\n":
            self._state = _EPILOGUE
        elif two is not None:
            self._fail("multipart/form-data goes on behind its final boundary")

    # -- headers

    def _take_headers(self) -> PartHead | None:
        block = self._take_header_block()
        if block is None:
            return None
        try:
            part = _parse_part_head(block, self._delimiter, self._most_headers)
        except HTTPInputError as error:
            self._give_up(error)
            raise
        self._part = part
        if part.filename:
            self._allowed = _NO_LIMIT
        else:
            # It will be held in memory, so it is counted and bounded (CVE-2024-47874).
            self._fields_left -= 1
            if self._fields_left < 0:
                self._fail("multipart/form-data has too many fields", 413)
            self._allowed = min(self._most_field, self._field_bytes_left)
        self._state = _DATA
        # A part without data shares the blank line's end with the delimiter behind it.
        self._matched = self._unsent = 2
        return part

    def _take_header_block(self) -> bytes | None:
        """Header fields up to the blank line, which is taken too; None if it has not come."""
        head, data, pos = self._head, self._data, self._pos
        if not head:
            end = data.find(_BLANK, pos, pos + self._most_head + 4)
            if end >= 0:
                self._pos = end + 4
                return data[pos:end]
        before = len(head)
        head += data[pos : pos + self._most_head + 4 - before]
        # What has come is not looked at again, so the end may lie in both pieces.
        end = head.find(_BLANK, self._searched)
        if end >= 0:
            self._pos = pos + end + 4 - before
            block = bytes(head[:end])
            head.clear()
            self._searched = 0
            return block
        if len(head) >= self._most_head + 4:
            self._fail("multipart/form-data part header too large", 413)
        self._pos = len(data)
        self._searched = max(0, len(head) - 3)
        return None

    # -- data

    def _take_data(self) -> bytes | None:
        """The next data of the part; None, in another state, at its delimiter."""
        data, pos = self._data, self._pos
        if self._matched:
            if self._match_delimiter():
                return None
            # It was none, so what seemed to be its begin is data. That has but one line end, at
            # its start: no other delimiter begins in it.
            none = self._delimiter[self._unsent : self._matched]
            self._matched = self._unsent = 0
            if none:
                return self._hand_on(none, 0, len(none))
        end = data.find(self._delimiter, pos)
        if end >= 0:
            self._state = _DELIMITED
            self._pos = end + len(self._delimiter)
        else:
            # The last bytes may be those that a delimiter begins with.
            end = len(data)
            begin = data.rfind(b"\r", max(pos, end - len(self._delimiter) + 1))
            if begin >= 0 and self._delimiter.startswith(data[begin:]):
                self._matched = end - begin
                end = begin
            self._pos = len(data)
        return self._hand_on(data, pos, end) if end > pos else None

    def _hand_on(self, data: bytes, start: int, end: int) -> bytes:
        """``data[start:end]``, or as much of it as the field may have: the rest is an error."""
        size = end - start
        if size > self._allowed:
            failure = HTTPInputError("multipart/form-data field too large", 413)
            self._give_up(failure)
            if self._allowed == 0:
                raise failure
            size = self._allowed
            end = start + size
        self._allowed -= size
        if self._part is not None and not self._part.filename:
            self._field_bytes_left -= size
        return data[start:end]


def _bound(limit: int | None) -> int:
    return _NO_LIMIT if limit is None else limit


# ------------------------------------------------------------------------------- text


def find_boundary(content_type: str) -> bytes:
    """The boundary parameter of a multipart Content-Type (RFC 2046 section 5.1.1).

    :raises HTTPInputError: there is none, or more than one.
    """
    pairs = list(_split_parameters(content_type))[1:]
    values = [_unquote(value) for name, value in pairs if name == "boundary"]
    if len(values) != 1 or not values[0]:
        # Of two boundaries, another program on the way may have believed the other one.
        raise HTTPInputError("multipart boundary not found, or more than one")
    return values[0].encode("utf-8")


def _parse_part_head(block: bytes, delimiter: bytes, most: int) -> PartHead:
    """The header section of one part (RFC 7578 section 4), of at most ``most`` fields.

    Its text is UTF-8 (section 5.1), so the fields go into HTTPHeaders as they are.
    """
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError:
        raise HTTPInputError("multipart/form-data part header is not UTF-8") from None
    plain = _PLAIN_HEAD.fullmatch(text) if most >= 2 else None
    if plain is None:
        if block.startswith(delimiter[2:]) or delimiter in block:
            raise HTTPInputError("multipart/form-data missing headers")
        if block.count(b"\r\n") >= most:
            raise HTTPInputError("multipart/form-data part has too many headers", 413)
        return _parse_part_lines(text)
    disposition, name, filename, content_type = plain.groups()
    pairs = [("Content-Disposition", disposition)]
    if content_type is not None:
        pairs.append(("Content-Type", content_type))
    return _new_tuple(PartHead, (name, filename, content_type, HTTPHeaders.from_pairs(pairs)))


def _parse_part_lines(text: str) -> PartHead:
    """The same line by line, whatever they are."""
    pairs: list[tuple[str, str]] = []
    index: dict[str, str] = {}
    for line in text.split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.fullmatch(name):
            raise HTTPInputError("Invalid header name in multipart/form-data")
        if CONTROL.search(value):
            raise HTTPInputError("Invalid header value in multipart/form-data")
        key = name.lower()
        if key in index:
            raise HTTPInputError("multipart/form-data part repeats a header")
        value = value.strip(" \t")
        pairs.append((name, value))
        index[key] = value
    name, filename = _parse_disposition(index.get("content-disposition", ""))
    headers = HTTPHeaders.from_pairs(pairs, index)
    return PartHead(name, filename, index.get("content-type"), headers)


def _parse_disposition(value: str) -> tuple[str, str | None]:
    """The name of a field, and that of a file (RFC 7578, 4.2)."""
    disposition, parameters = _parse_header(value)
    if disposition.lower() != "form-data":
        raise HTTPInputError("Invalid multipart/form-data: no Content-Disposition: form-data")
    name = parameters.get("name")
    if not name:
        raise HTTPInputError("multipart/form-data missing name")
    names = [key for key, _ in _split_parameters(value)][1:]
    if names.count("name") > 1 or names.count("filename") > 1:
        # Others believe the other one.
        raise HTTPInputError("multipart/form-data part has two names")
    return name, parameters.get("filename")
