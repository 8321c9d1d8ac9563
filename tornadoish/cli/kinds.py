"""How the values of options are written: text from the command line and the environment, or what
TOML has types for, to the value that ``Settings`` holds, and back.

Each function takes one text and raises ValueError with what is expected. Used by ``options``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from tornadoish.accesslog import formatter
from tornadoish.cli.errors import did_you_mean
from tornadoish.http1.limits import KIB, MIB, Limits
from tornadoish.netutil import TrustedNetworks
from tornadoish.process import cpu_count

_UNITS = {"": 1, "k": KIB, "m": MIB, "g": 1024 * MIB}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?) ?([kmg]?)(?:i?b)?", re.IGNORECASE)
_SECONDS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0}
_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(s|ms|m|min|h|)")
LEVELS = ("debug", "info", "warning", "error", "critical")


def text(value: str) -> str:
    """Anything, but not nothing."""
    if not value:
        raise ValueError("must not be empty")
    if "\0" in value:
        raise ValueError("must not hold a NUL")
    return value


def host(value: str) -> str:
    """``*`` is every interface; brackets around an IPv6 address are taken off."""
    if value == "*":
        return ""
    if value.startswith("[") and value.endswith("]"):
        value = value[1:-1]
    return text(value)


def path(value: str) -> str:
    """A path; ``~`` is the user's home."""
    return str(Path(text(value)).expanduser())


def port(value: str) -> int:
    return _number(value, 0, 65535)


def address(value: str) -> str:
    """``PORT``, ``HOST:PORT`` or ``unix:PATH``."""
    if not re.fullmatch(r"unix:.+|(.*:)?[0-9]{1,5}", value) or (
        not value.startswith("unix:") and int(value.rpartition(":")[2]) > 65535
    ):
        raise ValueError("expected PORT, HOST:PORT or unix:PATH")
    return text(value)


def descriptor(value: str) -> int:
    return _number(value, 0, 1 << 20)


def count(value: str) -> int:
    return _number(value, 0, 10**12)


def threshold(value: str) -> int:
    """What `gc.set_threshold` takes, which is an int of C."""
    return _number(value, 0, 2**31 - 1)


def workers(value: str) -> int:
    """A number, or ``auto`` for one per processor that this process may use."""
    if value == "auto":
        return cpu_count()
    try:
        return _number(value, 0, 1024)
    except ValueError as error:
        raise ValueError(f"{error} or auto") from None


def mode(value: str) -> int:
    """Permissions in octal digits."""
    if not re.fullmatch(r"(0o)?[0-7]{3}", value):
        raise ValueError("expected permissions in octal, such as 0o660")
    return int(value.removeprefix("0o"), 8)


def size(value: str) -> int:
    """Bytes; K, M and G (KiB, MiB, GiB) behind a number are powers of 1024."""
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError("expected bytes, such as 65536 or 512M")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def seconds(value: str) -> float:
    """Seconds; ms, s, m and h may stand behind the number."""
    match = _TIME.fullmatch(value)
    if match is None:
        raise ValueError("expected seconds, such as 30 or 2.5 or 5m")
    return float(match[1]) * _SECONDS[match[2]]


def network(value: str) -> str:
    """An address, a network or ``unix``, as `TrustedNetworks` takes it."""
    TrustedNetworks([value])
    return value


def switch(value: str) -> bool:
    """What people write for yes and no."""
    word = value.lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError("expected true or false")


def log_format(value: str) -> str:
    """A name of a format, or a pattern."""
    formatter(value)
    return value


def one_of(*words: str) -> Callable[[str], str]:
    """One of these words, in whatever case."""

    def parse(value: str) -> str:
        if value.lower() not in words:
            known = f"{', '.join(words[:-1])} or {words[-1]}"
            raise ValueError(f"expected {known}{did_you_mean(value.lower(), words)}")
        return value.lower()

    return parse


def _number(value: str, least: int, most: int) -> int:
    # int() takes spaces, underscores, signs and digits of other scripts.
    if not re.fullmatch(r"[0-9]{1,12}", value) or not least <= int(value) <= most:
        upper = f" to {most}" if most < 10**9 else " or more"
        raise ValueError(f"expected a whole number, {least}{upper}")
    return int(value)


# -- limits: NAME=VALUE

_LIMITS = {item.name: str(item.type) for item in fields(Limits)}


def limit(value: str) -> tuple[str, float | None]:
    """One bound of `Limits` by its name; ``none`` is no bound, where there may be none."""
    name, equals, bound = value.partition("=")
    name = name.strip().replace("-", "_")
    if not equals:
        raise ValueError("expected NAME=VALUE, such as body_bytes=1G")
    return name, bound_of(name, bound.strip())


def bound_of(name: str, value: str) -> float | None:
    """The bound ``name``, as it is written: bytes may have K, M, G, times s, m, h."""
    if name not in _LIMITS:
        raise ValueError(f"there is no limit {name!r}{did_you_mean(name, _LIMITS)}")
    if value.lower() == "none":
        if "None" not in _LIMITS[name]:
            raise ValueError(f"{name} needs a bound, it cannot be none")
        return None
    try:
        if name.endswith("_seconds"):
            return seconds(value)
        return size(value) if "bytes" in name else count(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def limit_as_text(name: str, bound: float | None) -> str:
    return f"{name}={'none' if bound is None else format(bound, '.15g')}"
