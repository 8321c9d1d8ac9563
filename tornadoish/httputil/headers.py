"""HTTPHeaders: header fields in wire order, as a case-insensitive multi-mapping.

Who makes them: the protocol readers (from pairs that they have validated) and applications. The
fields are a plain list of pairs; the index that answers look-ups is built by the first look-up and
thrown away by whatever would make it wrong. (Interface: Tornado, httputil.HTTPHeaders.)
"""

from __future__ import annotations

from collections.abc import (
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    MutableMapping,
    ValuesView,
)
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tornadoish.compiling import COMPILING, Text, mypyc_attr
from tornadoish.httputil.abnf import FIELD_VALUE, SHORT_TOKEN, is_token
from tornadoish.httputil.errors import HTTPInputError

OWS = " \t"  # RFC 9110, 5.6.3: all that may surround a value, whatever Unicode calls white space


def _normalize_header(name: str) -> str:
    """``Content-Type`` from any case of it; refuses what is not a field name.

    :raises HTTPInputError: ``name`` is not a token (RFC 9110, 5.1).
    """
    # Peers choose names too: a thousand long ones are not worth their memory.
    return _normalize_short(name) if len(name) <= SHORT_TOKEN else _normalize(name)


def _normalize(name: str) -> str:
    if not is_token(name):
        raise HTTPInputError(f"Invalid header name {name!r}")
    return "-".join([word.capitalize() for word in name.split("-")])


_normalize_short = lru_cache(maxsize=1024)(_normalize)


@lru_cache(maxsize=1024)
def _normalized(name: str) -> tuple[str, str]:
    """The form in which a name is shown, and the one by which it is found."""
    return _normalize_header(name), name.lower()


def _check_value(name: str, value: Text) -> None:
    if not isinstance(value, str):
        raise TypeError(f"The value of header {name} is no str but {type(value).__name__}")
    # What is printable ASCII needs no closer look, and nearly everything is.
    if not (value.isascii() and value.isprintable()) and FIELD_VALUE.fullmatch(value) is None:
        raise HTTPInputError(f"Invalid value of header {name}")


# To whoever checks types it is a mapping by birth, to everybody else by registration: what is
# compiled must not derive from a class of Python's (docs/decisions.md, Packaging).
if TYPE_CHECKING and not COMPILING:  # noqa: SIM108 - types are not chosen so
    _Base = MutableMapping[str, str]
else:
    _Base = object

_mapping: Any = MutableMapping  # what it does for every mapping, it does for ours


@mypyc_attr(allow_interpreted_subclasses=True)
class HTTPHeaders(_Base):
    """Header fields: a mapping from names (any case) to values, where a name may repeat.

    ``headers[name]`` joins the values of a repeated name with commas (RFC 9110, 5.3);
    :meth:`get_list` and :meth:`get_all` keep them apart. Iterating yields each name once, in the
    form ``Content-Type``. The order of the wire is kept.

    >>> h = HTTPHeaders({"content-type": "text/html"})
    >>> list(h.keys())
    ['Content-Type']
    >>> h.add("Set-Cookie", "A=B")
    >>> h.add("Set-Cookie", "C=D")
    >>> h["set-cookie"]
    'A=B,C=D'
    >>> h.get_list("set-cookie")
    ['A=B', 'C=D']
    """

    __slots__ = ("_index", "_pairs", "_shared")

    _pairs: list[tuple[str, str]]
    # lower-case name -> joined value, in the order of the names' first fields; None: to be built.
    # Never wrong: whoever changes the pairs changes it too or drops it.
    _index: dict[str, str] | None
    # Pairs and index belong to others too: copied before they are changed.
    _shared: bool

    def __init__(self, *args: Any, **kwargs: str) -> None:
        self._pairs = []
        self._index = None
        self._shared = False
        if len(args) == 1 and not kwargs and isinstance(args[0], HTTPHeaders):
            self._pairs = args[0]._pairs.copy()
        elif args or kwargs:
            self.update(*args, **kwargs)

    @classmethod
    def from_pairs(cls, pairs: list[tuple[str, str]], index: dict[str, str] | None = None) -> Self:
        """Headers over ``pairs`` (taken over, not copied) that the caller has validated.

        ``index`` (lower-case name to joined value) is what the caller has looked up already.
        """
        self: Self = _new(cls)
        self._pairs = pairs
        self._index = index
        self._shared = False
        return self

    @classmethod
    def sharing(cls, pairs: list[tuple[str, str]], index: dict[str, str]) -> Self:
        """The same, but copied as soon as it is changed: the caller goes on using them."""
        self: Self = _new(cls)
        self._pairs = pairs
        self._index = index
        self._shared = True
        return self

    def _own(self) -> None:
        self._shared = False
        self._pairs = self._pairs.copy()
        if self._index is not None:
            self._index = self._index.copy()

    # -- looking up

    def __getitem__(self, name: str) -> str:
        try:
            return self.index()[name.lower()]
        except KeyError:
            raise KeyError(name) from None

    def get(self, name: str, default: Any = None) -> Any:
        return self.index().get(name.lower(), default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self.index()

    def __iter__(self) -> Iterator[str]:
        return iter([_normalize_header(name) for name in self.index()])

    def __len__(self) -> int:
        return len(self.index())

    def get_list(self, name: str) -> list[str]:
        """All values of ``name``, in order; empty if there is none."""
        wanted = name.lower()
        if wanted not in self.index():
            return []
        return [value for key, value in self._pairs if key.lower() == wanted]

    def get_all(self) -> Iterable[tuple[str, str]]:
        """Every (name, value) pair, repeated names repeatedly, in the order of the wire."""
        for name, value in self._pairs:
            yield _normalize_header(name), value

    def wire_pairs(self) -> list[tuple[str, str]]:
        """The pairs as they came or were set: not a copy, for protocols to write from."""
        return self._pairs

    def pairs_and_index(self) -> tuple[list[tuple[str, str]], dict[str, str]]:
        """Both :meth:`wire_pairs` and :meth:`index`."""
        index = self._index
        return self._pairs, self.index() if index is None else index

    def index(self) -> dict[str, str]:
        """Lower-case name to joined value: not a copy, for protocols to look into."""
        index = self._index
        if index is None:
            index = self._index = build_index(self._pairs)
        return index

    # -- changing

    def set_missing(self, name: str, key: str, value: str) -> None:
        """Set a field if it is not there yet, its name in normal form (and ``key`` in lower case)
        and its value known to be valid: for whoever makes both."""
        index = self._index
        if index is None:
            index = self.index()
        if key not in index:
            if self._shared:
                self._own()
                index = self.index()
            self._pairs.append((name, value))
            index[key] = value

    def add(self, name: str, value: Text) -> None:
        """Add one more value for ``name``.

        :raises HTTPInputError: ``name`` is no field name, or ``value`` has control characters or
            more than Latin-1 (RFC 9110, 5.1 and 5.5).
        """
        name = _normalize_header(name)
        _check_value(name, value)
        if self._shared:
            self._own()
        self._pairs.append((name, value))
        index = self._index
        if index is not None:
            key = name.lower()
            if key in index:
                self._index = None
            else:
                index[key] = value

    def __setitem__(self, name: str, value: Text) -> None:
        name, key = _normalized(name)
        # Spared a call: this is the hot one.
        if type(value) is not str or not (value.isascii() and value.isprintable()):
            _check_value(name, value)
        if self._shared:
            self._own()
        index = self._index
        if index is None:
            index = self.index()
        if key in index:
            self._replace(key, (name, value))
        else:
            self._pairs.append((name, value))
        index[key] = value

    def _replace(self, key: str, new: tuple[str, str]) -> None:
        """Put ``new`` where the first field called ``key`` stands and drop its others."""
        index = self.index()
        if len(index) == len(self._pairs):  # no name repeats, so both are in the same order
            self._pairs[list(index).index(key)] = new
            return
        pairs: list[tuple[str, str]] = []
        placed = False
        for pair in self._pairs:
            if pair[0].lower() != key:
                pairs.append(pair)
            elif not placed:
                pairs.append(new)
                placed = True
        self._pairs = pairs

    def __delitem__(self, name: str) -> None:
        key = name.lower()
        if key not in self.index():
            raise KeyError(name)
        if self._shared:
            self._own()
        del self.index()[key]
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != key]

    def clear(self) -> None:
        self._pairs = []
        self._index = None
        self._shared = False

    # -- what every mapping has

    def keys(self) -> KeysView[str]:
        return KeysView(self)

    def values(self) -> ValuesView[str]:
        return ValuesView(self)

    def items(self) -> ItemsView[str, str]:
        return ItemsView(self)

    def update(self, *args: Any, **kwargs: str) -> None:
        _mapping.update(self, *args, **kwargs)

    def pop(self, name: str, *default: Any) -> Any:
        try:
            value = self[name]
        except KeyError:
            if not default:
                raise
            return default[0]
        del self[name]
        return value

    def popitem(self) -> tuple[str, str]:
        name, value = _mapping.popitem(self)
        return name, value

    def setdefault(self, name: str, default: Any = None) -> Any:
        return _mapping.setdefault(self, name, default)

    def __eq__(self, other: object) -> bool:
        return bool(_mapping.__eq__(self, other))

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    # -- text

    def parse_line(self, line: str) -> None:
        """Add the field of one line, with or without its line end.

        A line that begins with white space continues the one before it (obs-fold, RFC 9112, 5.2).

        :raises HTTPInputError: not a field line.
        """
        line = line.removesuffix("\n").removesuffix("\r")
        if not line:
            return
        if line[0] in " \t":
            if not self._pairs:
                raise HTTPInputError("First header line cannot start with whitespace")
            if self._shared:
                self._own()
            name, value = self._pairs.pop()
            self._index = None
            self.add(name, f"{value} {line.strip(OWS)}".strip(OWS))
            return
        name, colon, value = line.partition(":")
        if not colon:
            raise HTTPInputError("No colon in header line")
        self.add(name, value.strip(OWS))

    @classmethod
    def parse(cls, headers: str) -> Self:
        """Headers from a block of lines, ended by CRLF or LF.

        :raises HTTPInputError: a line that is no field line.
        """
        self = cls()
        for line in headers.split("\n"):
            self.parse_line(line)
        return self

    def __str__(self) -> str:
        return "".join([f"{name}: {value}\n" for name, value in self.get_all()])

    def __unicode__(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.get_all())!r})"

    # -- copies

    def copy(self) -> Self:
        return type(self).from_pairs(self._pairs.copy())

    def __copy__(self) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[object, ...]:
        return type(self).from_pairs, (self._pairs,)


_mapping.register(HTTPHeaders)
_new: Any = HTTPHeaders.__new__  # for those that are not made of what an application gives


def build_index(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Lower-case name to value, the values of a repeated name joined: linear, whatever repeats."""
    index = {name.lower(): value for name, value in pairs}
    if len(index) != len(pairs):
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            values.setdefault(name.lower(), []).append(value)
        for key, several in values.items():
            index[key] = ",".join(several)
    return index
