"""Text: HTML, JSON, URL and UTF-8 conversions with Tornado's names.

Called by every layer above and by applications. Pure functions over `str` and `bytes`: nothing here
does I/O, logs, or keeps state. The work of each function is linear in the length of its input.
"""

from __future__ import annotations

import html
import json
import re
import urllib.parse
from binascii import a2b_qp
from collections.abc import Callable, Container
from typing import Any, overload

# ------------------------------------------------------------------------- str and bytes


@overload
def utf8(value: bytes) -> bytes: ...
@overload
def utf8(value: str) -> bytes: ...
@overload
def utf8(value: None) -> None: ...
def utf8(value: str | bytes | None) -> bytes | None:
    """Encode a `str` as UTF-8; `bytes` and None are returned as they are.

    :raises TypeError: for any other type.

    Source: Tornado: tornado.escape.utf8.
    """
    if value is None or isinstance(value, bytes):
        return value
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"expected str, bytes or None, not {type(value).__name__}")
    return value.encode("utf-8")


@overload
def to_unicode(value: str) -> str: ...
@overload
def to_unicode(value: bytes) -> str: ...
@overload
def to_unicode(value: None) -> None: ...
def to_unicode(value: str | bytes | None) -> str | None:
    """Decode UTF-8 `bytes`; `str` and None are returned as they are.

    :raises TypeError: for any other type.
    :raises UnicodeDecodeError: the bytes are not UTF-8.

    Source: Tornado: tornado.escape.to_unicode.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if value is None or isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        return value
    raise TypeError(f"expected str, bytes or None, not {type(value).__name__}")


# Three more names that Tornado 6 still documents or that applications still import.
_unicode = to_unicode
native_str = to_unicode
to_basestring = to_unicode


def recursive_unicode(obj: Any) -> Any:
    """Decode every `bytes` inside nested dicts (keys too), lists and tuples as UTF-8.

    Containers are rebuilt, other objects are returned as they are.

    :raises UnicodeDecodeError: some bytes are not UTF-8.

    Source: Tornado: tornado.escape.recursive_unicode.
    """
    if isinstance(obj, bytes):
        return to_unicode(obj)
    if isinstance(obj, dict):
        mapping: dict[Any, Any] = obj
        return {recursive_unicode(key): recursive_unicode(mapping[key]) for key in mapping}
    if isinstance(obj, (list, tuple)):
        sequence: list[Any] | tuple[Any, ...] = obj
        decoded = [recursive_unicode(item) for item in sequence]
        return decoded if isinstance(obj, list) else tuple(decoded)
    return obj


def squeeze(value: str) -> str:
    """Turn each run of ASCII control characters and spaces into one space, and strip the ends.

    Source: Tornado: tornado.escape.squeeze.
    """
    return re.sub(r"[\x00-\x20]+", " ", value).strip()


# -------------------------------------------------------------------------- HTML and JSON


def xhtml_escape(value: str | bytes) -> str:
    """Escape ``& < > " '`` so that the text may stand in HTML content or a quoted attribute.

    Source: Tornado: tornado.escape.xhtml_escape.
    """
    return html.escape(to_unicode(value))


def xhtml_unescape(value: str | bytes) -> str:
    """Replace HTML character references by their characters (HTML 5 rules).

    Source: Tornado: tornado.escape.xhtml_unescape.
    """
    return html.unescape(to_unicode(value))


_encoder = json.JSONEncoder()


def _make_dumps() -> Callable[[Any], str]:
    """What ``json.dumps`` does, without what it does for arguments that it is not given here:
    that took more time than the encoding of a small dict (CPython 3.11)."""
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return _encoder.encode

    def dumps(value: Any) -> str:
        if isinstance(value, str):
            return _encoder.encode(value)
        # The first argument is where containers are noted that the encoder is within.
        encode = make({}, _encoder.default, quote, None, ": ", ", ", False, False, True)
        return "".join(encode(value, 0))

    quote = json.encoder.encode_basestring_ascii
    try:
        dumps({})
    except TypeError:  # it is nobody's interface: another Python may want other arguments
        return _encoder.encode
    return dumps


_dumps = _make_dumps()


def json_encode(value: Any) -> str:
    """Encode as JSON in which ``</`` never occurs, so it may stand inside a script element.

    :raises TypeError: the value has no JSON form.

    Source: Tornado: tornado.escape.json_encode.
    """
    # RFC 8259 section 7 lets a solidus be written with a backslash before it.
    return _dumps(value).replace("</", r"<\/")


def json_decode(value: str | bytes) -> Any:
    """Decode a JSON text (bytes: UTF-8, UTF-16 or UTF-32).

    :raises ValueError: not JSON (`json.JSONDecodeError`), or not decodable.

    Source: Tornado: tornado.escape.json_decode.
    """
    return json.loads(value)


# ----------------------------------------------------------------------------------- URLs

# For a codec to which the one is what the other is to URLs.
_SWAP = bytes.maketrans(b"%=", b"=%")


def _unquote_to_bytes(data: bytes) -> bytes:
    """Percent-decode (RFC 3986 section 2.1); a ``%`` without two hex digits stands for itself.

    urllib's function makes an object for every ``%``, so a body full of escapes costs many times
    its size (Tornado 6.6.1). The C codec for quoted-printable text decodes ``=41`` just so: it is
    given the data with the two signs swapped, and they are swapped back in what it returns.
    """
    if b"%" not in data:
        return data
    # What is decoded is swapped back, too: so the two signs' own escapes change places.
    data = data.replace(b"%3D", b"%3d").replace(b"%25", b"%3D").replace(b"%3d", b"%25")
    # A sign before another one, a line end or the end is the only one of which the codec makes
    # something else. (Twice, for signs that stood in a row.)
    data = data.replace(b"%%", b"%3D%").replace(b"%%", b"%3D%")
    data = data.replace(b"%\n", b"%3D\n").replace(b"%\r", b"%3D\r")
    if data.endswith(b"%"):
        data += b"3D"
    return a2b_qp(data.translate(_SWAP)).translate(_SWAP)


def url_escape(value: str | bytes, plus: bool = True) -> str:
    """Percent-encode; text is encoded as UTF-8 first.

    :param plus: true for a query string (space is ``+``, slash is ``%2F``), false for a path
        (space is ``%20``, slash stays).

    Source: Tornado: tornado.escape.url_escape.
    """
    return urllib.parse.quote_plus(value) if plus else urllib.parse.quote(value)


@overload
def url_unescape(value: str | bytes, encoding: None, plus: bool = True) -> bytes: ...
@overload
def url_unescape(value: str | bytes, encoding: str = "utf-8", plus: bool = True) -> str: ...
def url_unescape(
    value: str | bytes, encoding: str | None = "utf-8", plus: bool = True
) -> str | bytes:
    """Percent-decode.

    :param encoding: how to read the decoded bytes (what does not fit becomes U+FFFD); None returns
        them as bytes.
    :param plus: true for a query string (``+`` is a space), false for a path.
    :raises UnicodeDecodeError: `value` is bytes, not UTF-8, and an encoding is wanted.

    Source: Tornado: tornado.escape.url_unescape.
    """
    if encoding is None:
        data = utf8(value)
        return _unquote_to_bytes(data.replace(b"+", b" ") if plus else data)
    unquote = urllib.parse.unquote_plus if plus else urllib.parse.unquote
    return unquote(to_unicode(value), encoding=encoding)


def parse_qs_bytes(
    qs: str | bytes,
    keep_blank_values: bool = False,
    strict_parsing: bool = False,
    *,
    max_num_fields: int | None = None,
) -> dict[str, list[bytes]]:
    """Parse ``a=1&b=2`` (application/x-www-form-urlencoded) into name -> values.

    Names are decoded as Latin-1, values stay bytes: only the application knows their charset.

    :param qs: the query string; text is taken as Latin-1.
    :param keep_blank_values: keep fields with no value, as empty bytes.
    :param strict_parsing: a field without ``=`` is an error.
    :param max_num_fields: limit of ``&``-separated fields, empty ones counted; None: no limit.
    :raises ValueError: too many fields, a field without ``=`` under `strict_parsing`, or text
        beyond Latin-1.

    Source: Tornado: tornado.escape.parse_qs_bytes; WHATWG URL section 5.1.
    """
    if isinstance(qs, str):
        qs = qs.encode("latin-1")
    result: dict[str, list[bytes]] = {}
    if not qs:
        return result
    # Counted before anything is split: a megabyte of "&" must cost no more than reading it.
    if max_num_fields is not None and qs.count(b"&") >= max_num_fields:
        raise ValueError("Max number of fields exceeded")
    for field in qs.replace(b"+", b" ").split(b"&"):
        name, equals, value = field.partition(b"=")
        if strict_parsing and not equals:
            raise ValueError("query field without '='")
        if field and (value or keep_blank_values):
            key = _unquote_to_bytes(name).decode("latin-1")
            result.setdefault(key, []).append(_unquote_to_bytes(value))
    return result


# -------------------------------------------------------------------------------- linkify

# A link never ends in one of these, nor in a character entity: "see http://x.org/." links no dot.
_TRAILING = r"""[!"#$%'*+,.:;<=>?@\[\]^`{|}~]"""
_SOLID = r"""[^!"#$%&'()*+,.:;<=>?@\[\]^`{|}~\s]"""
_ENTITY = r"&(?:amp|quot);"
# Each class below excludes the first character of whatever may follow it, so there is one way to
# read any text and the quantifiers can be possessive: no backtracking, linear time.
_URL = re.compile(
    rf"""
    (?: (?<![\w-]) (?P<dashes>-*+) (?=\w) | \b (?=www[.]) )
    (?P<url>
        (?: (?P<protocol>[\w-]++) : (?P<slashes>/{{1,3}}) | www[.] )
        (?:
            (?: {_TRAILING} | {_ENTITY} )*+ {_SOLID}++
          | \( (?: [^\s&()]++ | {_ENTITY} )*+ \)
        )++
    )
    """,
    re.VERBOSE,
)
_MAX_LINK_TEXT = 30
"""Length in characters to which `shorten` aims to cut the text of a link."""


def linkify(
    text: str | bytes,
    shorten: bool = False,
    extra_params: str | Callable[[str], str] = "",
    require_protocol: bool = False,
    permitted_protocols: Container[str] = ("http", "https"),
) -> str:
    """Escape plain text as HTML and make a link of each URL in it.

    :param shorten: show long URLs shortened, with the whole one as the link's title.
    :param extra_params: attributes for the ``<a>`` tag, or a function from href to them. They are
        inserted as they stand: escaping is the caller's.
    :param require_protocol: if false, ``www.example.com`` becomes a link too.
    :param permitted_protocols: other protocols are left as text. Never add ``javascript``.

    Source: Tornado: tornado.escape.linkify.
    """

    def make_link(match: re.Match[str]) -> str:
        dashes, url = match["dashes"] or "", match["url"]
        protocol: str | None = match["protocol"]
        if protocol is None and require_protocol:
            return dashes + url
        if protocol is not None and protocol not in permitted_protocols:
            return dashes + url
        href = url if protocol else "http://" + url
        attributes = extra_params(href) if callable(extra_params) else extra_params
        # A function's result always gets its space, as in Tornado.
        if attributes or callable(extra_params):
            attributes = " " + attributes.strip()
        if shorten:
            prefix_length = len(protocol) + 1 + len(match["slashes"]) if protocol else 0
            short = _shorten_url(url, prefix_length)
            if short != url:
                attributes += f' title="{href}"'
                url = short
        return f'{dashes}<a href="{href}"{attributes}>{url}</a>'

    # Escaped first: whatever the pattern then finds is safe inside an attribute.
    return _URL.sub(make_link, xhtml_escape(text))


def _shorten_url(url: str, prefix_length: int) -> str:
    """The host and the beginning of the path, or `url` itself where that saves nothing."""
    if len(url) <= _MAX_LINK_TEXT:
        return url
    prefix, rest = url[:prefix_length], url[prefix_length:]
    short = url
    host, slash, path = rest.partition("/")
    if slash:
        first_segment = path.partition("/")[0]
        short = f"{prefix}{host}/{re.split('[?.]', first_segment[:8], maxsplit=1)[0]}"
    if len(short) > _MAX_LINK_TEXT * 1.5:
        short = short[:_MAX_LINK_TEXT]
    if short == url:
        return url
    entity = short.rfind("&")
    if entity > _MAX_LINK_TEXT - 5:
        short = short[:entity]  # the cut may have gone through a character entity
    short += "..."
    return short if len(short) < len(url) else url
