"""Where other parsers read a request otherwise, by name.

A disagreement begins at the first message that two readings do not share. It belongs to a rule if
the rule is about that parser and that kind of disagreement, and its predicate finds the reason in
the bytes of that message. ``docs/parsers.md`` says of each rule what the RFC says.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

from parsers import CLOSES, OTHERS, REFUSES, WAITS, Message, Reading, read_by_us

# Kinds of disagreement:
WE_REFUSE = "we refuse the head, they take it"
WE_REFUSE_LATE = "we refuse the body, they take it"
THEY_REFUSE = "they refuse the head, we take it"
THEY_REFUSE_LATE = "they refuse the body, we take it"
WE_CLOSE = "we close where they go on"
THEY_CLOSE = "they close where we go on"
OTHERWISE = "both take it, as different messages"


class Disagreement(NamedTuple):
    """Which kind it is, at which message, and what each of the two has there."""

    kind: str
    index: int
    ours: Message | str
    theirs: Message | str


def compare(ours: Reading, theirs: Reading) -> Disagreement | None:
    """The first disagreement of two readings, if there is one."""
    k = 0
    while k < min(len(ours.messages), len(theirs.messages)):
        if ours.messages[k] != theirs.messages[k]:
            return Disagreement(OTHERWISE, k, ours.messages[k], theirs.messages[k])
        k += 1
    we: Message | str = ours.messages[k] if len(ours.messages) > k else ours.fate
    they: Message | str = theirs.messages[k] if len(theirs.messages) > k else theirs.fate
    if we == they and (we != WAITS or _agree(ours.begun, theirs.begun)):
        return None
    if we == CLOSES:
        return Disagreement(WE_CLOSE, k - 1, we, they)
    if they == CLOSES:
        return Disagreement(THEY_CLOSE, k - 1, we, they)
    if we == REFUSES:
        return Disagreement(WE_REFUSE_LATE if ours.begun else WE_REFUSE, k, we, they)
    if they == REFUSES:
        return Disagreement(THEY_REFUSE_LATE if theirs.begun else THEY_REFUSE, k, we, they)
    return Disagreement(OTHERWISE, k, we, they)


def _agree(ours: Message | None, theirs: Message | None) -> bool:
    """Whether two unfinished readings are the same; one may take a head later than the other."""
    return ours is None or theirs is None or ours == theirs


#: what may come behind an unfinished message
TAILS = [
    b"\r\n\r\n", b"\n\n", b"0\r\n\r\n", b"\r\n0\r\n\r\n", b"\r\nHost: x\r\n\r\n", b"x" * 300,
    b" HTTP/1.1\r\n\r\n", b" / HTTP/1.1\r\nHost: x\r\n\r\n", b"0" * 50 + b"\r\n\r\n",
]  # fmt: skip


def only_later(data: bytes, found: Disagreement, read: Callable[[bytes], Reading]) -> bool:
    """Whether one refuses at once what the other one refuses as well, as soon as more is there."""
    if found.theirs == WAITS and found.ours == REFUSES:
        late = [read(data + tail) for tail in TAILS]
    elif found.ours == WAITS and found.theirs == REFUSES:
        late = [read_by_us(data + tail)[0] for tail in TAILS]
    else:
        return False
    none_takes_it = all(len(reading.messages) <= found.index for reading in late)
    return none_takes_it and any(reading.fate == REFUSES for reading in late)


# -- the bytes of a message


class Part:
    """The bytes from a message on, taken apart as the most lenient of parsers would."""

    def __init__(self, data: bytes) -> None:
        stripped = data.lstrip(b"\r\n")
        self.blank = data[: len(data) - len(stripped)]
        found = re.search(rb"\n\r?\n", stripped)
        end = found.end() if found else len(stripped)
        self.head = stripped[:end]
        self.body = stripped[end:]
        self.line, _, self.field_lines = self.head.partition(b"\n")
        self.line = self.line.removesuffix(b"\r")
        self.method, _, rest = self.line.partition(b" ")
        self.target, _, self.version = rest.rpartition(b" ")

    def values(self, name: bytes, where: bytes | None = None) -> list[bytes]:
        """The values of all lines that could be fields of this name."""
        lines = self.field_lines if where is None else where
        found = re.findall(rb"(?im)^%b[ \t]*:([^\n]*)" % re.escape(name), lines)
        return [value.strip(b" \t\r") for value in found]

    def members(self, name: bytes, where: bytes | None = None) -> list[bytes]:
        """The members of a list, in lower case."""
        joined = b",".join(self.values(name, where)).lower()
        return [member.strip(b" \t") for member in joined.split(b",")]

    def chunks(self) -> tuple[list[bytes], bytes]:
        """The size lines of a chunked body without their ends, and what follows the last one."""
        lines, rest = [], self.body
        while True:
            line, _, rest = rest.partition(b"\r\n")
            lines.append(line)
            size = re.match(rb"[0-9A-Fa-f]{1,40}", line)
            length = int(size[0], 16) if size else 0
            if length == 0:
                return lines, rest
            if length >= len(rest):
                return lines, b""
            rest = rest[length:].removeprefix(b"\r\n")

    def some_size_line(self, pattern: bytes) -> bool:
        return any(re.search(pattern, line) for line in self.chunks()[0])

    def trailers(self) -> bytes:
        """The trailer section, up to the first empty line that somebody may take for one."""
        rest = self.chunks()[1]
        found = re.search(rb"(?:\A|\n)\r?\n", rest)
        return rest[: found.end()] if found else rest


# -- predicates

_HOST = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]+)\]|\[[vV][0-9A-Fa-f]+\.[!$&-.0-;=A-Z_a-z~]+\]"
    rb"|(?:[!$&-.0-9;=A-Z_a-z~]|%[0-9A-Fa-f]{2})*)(?::[0-9]{0,5})?"
)
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)(?:[/?][!\"$-~]*)?")
#: llhttp's extension: a name and perhaps a value, without white space
_PLAIN_EXTENSIONS = re.compile(
    rb"(?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]*|"
    rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*'
)
#: the methods of HTTP that llhttp knows
METHODS = frozenset(
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH"
    b" UNLOCK BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE"
    b" UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK SOURCE QUERY".split()
)


def _is_authority(text: bytes) -> bool:
    found = _HOST.fullmatch(text) if len(text) <= 512 else None
    try:
        return found is not None and bool(not found[1] or ipaddress.IPv6Address(found[1].decode()))
    except ValueError:
        return False


def _bad_host(part: Part) -> bool:
    return not all(_is_authority(value) for value in part.values(b"host"))


def _bad_target(part: Part) -> bool:
    target = part.target
    if part.method == b"CONNECT":
        host, _, port = target.rpartition(b":")
        return not (host and port.isdigit() and _is_authority(target))
    if target.startswith(b"/"):
        return re.fullmatch(rb"[!\"$-~]+", target) is None
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        return (part.method, target) != (b"OPTIONS", b"*")
    return found[1][:1] in (b"", b":") or not _is_authority(found[1])


def _many_lengths(part: Part) -> bool:
    values = part.values(b"content-length")
    return len(values) > 1 or any(b"," in value for value in values)


def _tunnel(part: Part) -> bool:
    """What llhttp takes for the last thing said in HTTP."""
    upgrade = b"upgrade" in part.members(b"connection") and part.values(b"upgrade") != []
    return part.method == b"CONNECT" or upgrade


def _odd_extension(part: Part) -> bool:
    return any(
        _PLAIN_EXTENSIONS.fullmatch(line.lstrip(b"0123456789abcdefABCDEF")) is None
        for line in part.chunks()[0]
    )


def _close_and_keep_alive(part: Part) -> bool:
    said = part.members(b"connection")
    return part.version == b"HTTP/1.0" and b"close" in said and b"keep-alive" in said


class Rule(NamedTuple):
    """A name, the kinds of disagreement, and how the reason is found in the message."""

    name: str
    kinds: tuple[str, ...]
    h11: bool
    httptools: bool
    explains: Callable[[Part], object]


H11, LLHTTP, BOTH = (True, False), (False, True), (True, True)
LAX, LAX_BODY = (WE_REFUSE,), (WE_REFUSE_LATE,)
STRICT, STRICT_BODY = (THEY_REFUSE,), (THEY_REFUSE_LATE,)

RULES = [
    # start lines
    Rule("a bare LF", LAX, *H11, lambda p: re.search(rb"(?<!\r)\n", p.head)),
    Rule("empty lines", LAX, *LLHTTP, lambda p: p.blank not in (b"", b"\r\n")),
    Rule("one empty line", STRICT, *H11, lambda p: p.blank),
    Rule("spaces", LAX, *LLHTTP, lambda p: b"  " in p.line),
    Rule("no version", LAX, *LLHTTP, lambda p: p.line.count(b" ") < 2),
    Rule("a request target", LAX, *BOTH, _bad_target),
    Rule("another version", LAX, *BOTH, lambda p: re.fullmatch(rb"HTTP/[02-9]\.\d", p.version)),
    Rule("another protocol", LAX, *LLHTTP, lambda p: re.match(rb"RTSP/|ICE/", p.version)),
    Rule("HTTP/1.2", STRICT, *LLHTTP, lambda p: re.fullmatch(rb"HTTP/1\.[2-9]", p.version)),
    Rule("a method", STRICT, *LLHTTP, lambda p: p.method not in METHODS),
    # fields
    Rule("a folded line", LAX, *H11, lambda p: re.search(rb"\n[ \t]", p.head)),
    Rule("a control", LAX, *H11, lambda p: re.search(rb"[\x01-\x08\x0e-\x1f\x7f]", p.head)),
    Rule("no Host", LAX, *BOTH,
         lambda p: p.version != b"HTTP/1.0" and not p.values(b"host")),
    Rule("two Hosts", LAX, *LLHTTP, lambda p: len(p.values(b"host")) > 1),
    Rule("an invalid Host", LAX, *BOTH, _bad_host),
    Rule("two Content-Types", LAX, *BOTH, lambda p: len(p.values(b"content-type")) > 1),
    Rule("an expectation", LAX, *BOTH,
         lambda p: any(v.lower() != b"100-continue" for v in p.values(b"expect"))),
    # framing
    Rule("length and chunked", LAX, *H11,
         lambda p: p.values(b"content-length") and p.values(b"transfer-encoding")),
    Rule("the same length again", LAX, *H11, _many_lengths),
    Rule("a long length", LAX, *BOTH,
         lambda p: any(re.fullmatch(rb"[0-9]{19,}", v) for v in p.values(b"content-length"))),
    Rule("chunked in 1.0", LAX, *BOTH,
         lambda p: p.version == b"HTTP/1.0" and p.values(b"transfer-encoding")),
    Rule("other codings", LAX, *LLHTTP,
         lambda p: any(v.lower() != b"chunked" for v in p.values(b"transfer-encoding"))),
    Rule("a tab behind chunked", (THEY_REFUSE_LATE, WE_REFUSE), *LLHTTP,
         lambda p: re.search(rb"(?im)^transfer-encoding:.*chunked[ \t]*\t[ \t]*\r$", p.head)),
    # chunks
    Rule("space behind a size", LAX_BODY, *H11, lambda p: p.some_size_line(rb"^[^;]+[ \t]$")),
    Rule("a long size", LAX_BODY, *BOTH, lambda p: p.some_size_line(rb"^[0-9A-Fa-f]{16}")),
    Rule("a control in an extension", LAX_BODY, *H11,
         lambda p: p.some_size_line(rb";.*[\x00-\x08\x0b-\x1f\x7f]")),
    Rule("trailers", LAX_BODY, *H11,
         lambda p: re.search(rb"(?<!\r)\n|\n[ \t]|[\x01-\x08\x0e-\x1f\x7f]", p.trailers())),
    Rule("space before an extension", STRICT_BODY, *BOTH,
         lambda p: p.some_size_line(rb"^[0-9A-Fa-f]+[ \t]+;")),
    Rule("an extension", STRICT_BODY, *LLHTTP, _odd_extension),
    Rule("framing in trailers", STRICT_BODY, *BOTH,
         lambda p: re.search(rb"(?im)^(content-length|transfer-encoding):", p.trailers())),
    # the connection
    Rule("CONNECT", (WE_CLOSE,), *H11, lambda p: p.method == b"CONNECT"),
    Rule("a body before a tunnel", (OTHERWISE, WE_REFUSE_LATE), *LLHTTP, _tunnel),
    Rule("an upgrade", (THEY_CLOSE,), *LLHTTP, _tunnel),
    Rule("keep-alive in 1.0", (THEY_CLOSE,), *H11,
         lambda p: p.version == b"HTTP/1.0" and b"keep-alive" in p.members(b"connection")),
    Rule("close and keep-alive", (WE_CLOSE,), *LLHTTP, _close_and_keep_alive),
    Rule("Proxy-Connection", (WE_CLOSE, THEY_CLOSE), *LLHTTP,
         lambda p: p.values(b"proxy-connection")),
    Rule("Connection in trailers", (THEY_CLOSE,), *LLHTTP,
         lambda p: b"close" in p.members(b"connection", p.trailers())),
]  # fmt: skip


#: what is no disagreement, or soon will be none
SAME, LATER = "the same", "later"


def explain(parser: str, data: bytes) -> str | Disagreement:
    """The name of the first rule that the two readings of ``data`` disagree by, SAME or LATER; or
    the disagreement itself if there is no rule for it."""
    ours, starts = read_by_us(data)
    found = compare(ours, OTHERS[parser](data))
    if found is None:
        return SAME
    if only_later(data, found, OTHERS[parser]):
        return LATER
    part = Part(data[starts[found.index] :])
    for rule in RULES:
        about = rule.h11 if parser == "h11" else rule.httptools
        if about and found.kind in rule.kinds and rule.explains(part):
            return rule.name
    return found
