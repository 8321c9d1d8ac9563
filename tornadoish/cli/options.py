"""OPTIONS: the one table of what a command can be told.

It drives the command line, its help, the environment, the TOML file and the page in the
documentation; ``Settings`` has the defaults. Adding an option is a line here and a field there.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from dataclasses import fields as fields_of
from typing import Any

from tornadoish.cli import kinds
from tornadoish.cli.settings import Settings


class Shape(enum.Enum):
    """How often an option is given, and with what."""

    ONE = "a value; the last one counts"
    MANY = "a value each time"
    PAIRS = "a name and its value each time"
    FLAG = "no value: it is there or not"


@dataclass(frozen=True, kw_only=True)
class Option:
    """One line of the table.

    :param name: of the field of ``Settings``; the option, the variable and the key follow from it.
    :param parse: one text -> value; raises ValueError with what is expected.
    :param shown: the default, as people read it, where that is not the field's.
    :param only_typed: it makes no sense in a file or in the environment.
    """

    name: str
    group: str
    help: str
    parse: Callable[[str], Any]
    metavar: str = ""
    shape: Shape = Shape.ONE
    shown: str | None = None
    off: bool = False  # there is --no-NAME, too
    only_typed: bool = False
    in_file: bool = True

    @property
    def key(self) -> str:
        """As it is written in a TOML file; as an option with two dashes before it."""
        return self.name.replace("_", "-")

    @property
    def flag(self) -> str:
        return f"--{self.key}"

    @property
    def flags(self) -> tuple[str, ...]:
        """The words that it is given by: what says yes, and what says no where there is that."""
        return (self.flag, f"--no-{self.key}") if self.off else (self.flag,)

    @property
    def usage(self) -> str:
        if self.off:
            return f"--[no-]{self.key}"
        return f"{self.flag} {self.metavar}".rstrip()

    @property
    def variable(self) -> str:
        return f"TORNADOISH_{self.name.upper()}"

    @property
    def default(self) -> str:
        """The default for people to read; empty where there is nothing to say."""
        if self.shown is not None:
            return self.shown
        value = _DEFAULTS[self.name]
        if isinstance(value, bool):
            return "on" if value else ""
        if not value:
            return ""
        return format(value, "g") if isinstance(value, float) else str(value)

    def arguments(self, value: Any) -> Iterator[str]:
        """The words of a command line that stand for ``value``."""
        if self.shape is Shape.FLAG:
            yield from self.flags[:1] if value else self.flags[1:]
        elif self.shape is Shape.PAIRS:
            for name, bound in value.items():
                yield f"{self.flag}={kinds.limit_as_text(name, bound)}"
        elif self.shape is Shape.MANY:
            for one in value:
                yield f"{self.flag}={self.as_text(one)}"
        elif value is not None:
            yield f"{self.flag}={self.as_text(value)}"

    def as_text(self, value: Any) -> str:
        """The text of which ``parse`` makes ``value``."""
        if self.name == "unix_mode":
            return f"{value:o}"
        if self.name == "host" and value == "":
            return "*"
        return format(value, ".15g") if isinstance(value, float) else str(value)


WHERE = "Where it listens"
TLS = "TLS"
PROXIES = "Proxies in front"
PROCESSES = "Processes"
DEVELOPMENT = "Development"
BOUNDS = "Bounds"
SEEN = "Logs and metrics"
COMMAND = "This command"

OPTIONS: tuple[Option, ...] = (
    Option(
        name="host", group=WHERE, metavar="ADDRESS", shape=Shape.MANY, parse=kinds.host,
        shown="127.0.0.1",
        help="an IP address or a host name; * is every interface; may be repeated",
    ),
    Option(
        name="port", group=WHERE, metavar="PORT", parse=kinds.port, shown="8888",
        help="0 takes any free one, and the log says which",
    ),
    Option(
        name="unix", group=WHERE, metavar="PATH", parse=kinds.path,
        help="a Unix socket, in place of a port or beside it",
    ),
    Option(
        name="unix_mode", group=WHERE, metavar="MODE", parse=kinds.mode, shown="600",
        help="permissions of the Unix socket, octal; 660 lets a proxy of its group in",
    ),
    Option(
        name="fd", group=WHERE, metavar="NUMBER", shape=Shape.MANY, parse=kinds.descriptor,
        help="a descriptor of a socket that listens already; may be repeated",
    ),
    Option(
        name="tls_cert", group=TLS, metavar="FILE", parse=kinds.path,
        help="the certificate and its chain, PEM; read again on SIGHUP",
    ),
    Option(
        name="tls_key", group=TLS, metavar="FILE", parse=kinds.path,
        help="its private key, if that is not in the same file",
    ),
    Option(
        name="tls_password_file", group=TLS, metavar="FILE", parse=kinds.path,
        help="a file with the password of the key",
    ),
    Option(
        name="tls_client_ca", group=TLS, metavar="FILE", parse=kinds.path,
        help="clients must have a certificate of one of these authorities",
    ),
    Option(
        name="proxy_trust", group=PROXIES, metavar="NETWORK", shape=Shape.MANY,
        parse=kinds.network,
        help="proxies that are believed in Forwarded and X-Forwarded-*: an address, a network "
        "such as 10.0.0.0/8, or unix; may be repeated",
    ),
    Option(
        name="proxy_protocol", group=PROXIES, metavar="NETWORK", shape=Shape.MANY,
        parse=kinds.network,
        help="proxies whose connections begin with a PROXY header, version 1 or 2; may be repeated",
    ),
    Option(
        name="workers", group=PROCESSES, metavar="N", parse=kinds.workers,
        shown="none, this process serves",
        help="serve from N processes under a supervisor, or one per processor: auto",
    ),
    Option(
        name="max_requests", group=PROCESSES, metavar="N", parse=kinds.count,
        help="replace a worker after about N requests; 0: never",
    ),
    Option(
        name="max_memory", group=PROCESSES, metavar="BYTES", parse=kinds.size,
        help="replace a worker that holds more, such as 512M; 0: never",
    ),
    Option(
        name="grace", group=PROCESSES, metavar="SECONDS", parse=kinds.seconds,
        help="for requests to end when the server stops; then they are cut",
    ),
    Option(
        name="loop", group=PROCESSES, metavar="NAME",
        parse=kinds.one_of("auto", "uvloop", "asyncio"),
        help="auto is uvloop where that is installed, else asyncio",
    ),
    Option(
        name="gc_freeze", group=PROCESSES, shape=Shape.FLAG, parse=kinds.switch, off=True,
        help="keep what is there before the first request out of garbage collections",
    ),
    Option(
        name="gc_threshold", group=PROCESSES, metavar="N", parse=kinds.threshold,
        shown="as Python has it",
        help="collect garbage when N more objects have been made than freed; 0: never",
    ),
    Option(
        name="reload", group=DEVELOPMENT, shape=Shape.FLAG, parse=kinds.switch,
        help="start again when code or templates change; one process",
    ),
    Option(
        name="reload_dir", group=DEVELOPMENT, metavar="DIRECTORY", shape=Shape.MANY,
        parse=kinds.path, shown="where it was started",
        help="what is watched; may be repeated",
    ),
    Option(
        name="limit", group=BOUNDS, metavar="NAME=VALUE", shape=Shape.PAIRS, parse=kinds.limit,
        help="one bound, such as body_bytes=1G or idle_seconds=20 or requests=none; may be "
        "repeated; docs/limits.md has their names",
    ),
    Option(
        name="log_level", group=SEEN, metavar="LEVEL", parse=kinds.one_of(*kinds.LEVELS),
        help="debug, info, warning, error or critical; of all but the access log",
    ),
    Option(
        name="log_format", group=SEEN, metavar="FORMAT", parse=kinds.log_format,
        help="text; json, an object per line; or for the access log alone common, combined or a "
        "pattern of Apache's, such as '%h \"%r\" %s %D'",
    ),
    Option(
        name="access_log", group=SEEN, shape=Shape.FLAG, parse=kinds.switch, off=True,
        help="a line for each request, on standard output",
    ),
    Option(
        name="metrics", group=SEEN, metavar="ADDRESS", parse=kinds.address,
        help="serve Prometheus metrics there: PORT, HOST:PORT or unix:PATH",
    ),
    Option(
        name="config", group=COMMAND, metavar="FILE", parse=kinds.path, in_file=False,
        help="a TOML file with options; of a pyproject.toml, [tool.tornadoish]",
    ),
    Option(
        name="check", group=COMMAND, shape=Shape.FLAG, parse=kinds.switch, only_typed=True,
        in_file=False,
        help="look whether all this can be used, say so, and serve nothing",
    ),
)  # fmt: skip

_DEFAULTS: dict[str, Any] = {
    item.name: getattr(Settings(), item.name) for item in fields_of(Settings)
}
BY_NAME = {option.name: option for option in OPTIONS}


def as_arguments(given: dict[str, Any]) -> list[str]:
    """The words of a command line that say what ``given`` (names of fields and values) says."""
    return [word for name, value in given.items() for word in BY_NAME[name].arguments(value)]
