"""Settings: all that a command says about a server, as it holds.

Made by ``sources`` from the command line, the environment and a file, or by an application for
itself; read by whoever serves. What each option means and how it is written is said in ``options``,
its type and default here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypedDict

#: where a server listens that is told nothing else
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8888

NO_LIMITS: Mapping[str, float | None] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One for each process; frozen. None and 0 mean what ``tornadoish --help`` says of them."""

    # -- where
    host: tuple[str, ...] = ()
    port: int | None = None
    unix: str | None = None
    unix_mode: int = 0o600
    fd: tuple[int, ...] = ()

    # -- TLS
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_password_file: str | None = None
    tls_client_ca: str | None = None

    # -- proxies
    proxy_trust: tuple[str, ...] = ()
    proxy_protocol: tuple[str, ...] = ()

    # -- processes
    workers: int = 0
    max_requests: int = 0
    max_memory: int = 0
    grace: float = 30.0
    loop: str = "auto"
    gc_freeze: bool = True
    gc_threshold: int | None = None

    # -- development
    reload: bool = False
    reload_dir: tuple[str, ...] = ()

    # -- bounds
    limit: Mapping[str, float | None] = field(default_factory=lambda: NO_LIMITS)

    # -- what is seen of it
    log_level: str = "info"
    log_format: str = "text"
    access_log: bool = True
    metrics: str | None = None

    # -- this command
    config: str | None = None
    check: bool = False

    @property
    def listens_on_tcp(self) -> bool:
        """Whether it takes a port: one is named, or nothing else is."""
        return bool(self.host) or self.port is not None or not (self.unix or self.fd)

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.host or (DEFAULT_HOST,)

    @property
    def port_wanted(self) -> int:
        return DEFAULT_PORT if self.port is None else self.port


class Options(TypedDict, total=False):
    """The same as arguments of ``tornadoish.run``: each as one would write it in Python, or as on
    the command line. None: not given."""

    host: str | Sequence[str] | None
    port: int | str | None
    unix: str | os.PathLike[str] | None
    unix_mode: int | str | None
    fd: int | Sequence[int] | None
    tls_cert: str | os.PathLike[str] | None
    tls_key: str | os.PathLike[str] | None
    tls_password_file: str | os.PathLike[str] | None
    tls_client_ca: str | os.PathLike[str] | None
    proxy_trust: str | Sequence[str] | None
    proxy_protocol: str | Sequence[str] | None
    workers: int | str | None
    max_requests: int | None
    max_memory: int | str | None
    grace: float | str | None
    loop: str | None
    gc_freeze: bool | None
    gc_threshold: int | None
    reload: bool | None
    reload_dir: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None
    limit: Mapping[str, float | str | None] | None
    log_level: str | None
    log_format: str | None
    access_log: bool | None
    metrics: int | str | None
    config: str | os.PathLike[str] | None
