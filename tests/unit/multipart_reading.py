"""What comes out of our parser of multipart/form-data, in a form that can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from multipart_cases import Part

from tornadoish.httputil import HTTPInputError, ParseMultipartConfig
from tornadoish.httputil.multipart import END, PART_END, MultipartParser, PartHead

#: limits that a small body is beyond
SMALL = {"max_parts": 3, "max_fields": 2, "max_field_size": 6, "max_fields_size": 9}
SMALL |= {"max_part_header_size": 60, "max_part_headers": 2}


def read(pieces: Iterable[bytes], **limits: Any) -> list[Any]:
    """Every event, the data of a part in one piece; at the end a fault, as status and message."""
    events: list[Any] = []
    try:
        parser = MultipartParser(b"B", ParseMultipartConfig(**limits))
        for piece in pieces:
            for event in parser.feed(piece):
                if event == b"":
                    raise AssertionError("an empty piece")
                if type(event) is bytes and type(events[-1]) is bytes:
                    events[-1] += event
                else:
                    events.append(event)
        parser.close()
    except HTTPInputError as error:
        events.append((error.status, str(error)))
    return events


def parts_of(events: list[Any]) -> tuple[list[Part], int | None]:
    """The parts that have come to their end, and the status of the fault, if there is one."""
    parts: list[Part] = []
    head, data = None, b""
    for event in events:
        if isinstance(event, PartHead):
            head, data = event, b""
        elif type(event) is bytes:
            data = event
        elif event is PART_END:
            if head is None:
                raise AssertionError("the end of no part")
            parts.append((head.name, head.filename, data))
            head = None
        elif event is not END:
            return parts, event[0]
    if head is not None or events[-1] is not END:
        raise AssertionError("no end")
    return parts, None


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]
