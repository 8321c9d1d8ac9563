"""TLS contexts from Tornado's options, and certificates that can change while a server runs.

Used by tcpserver and iostream, and by applications. It shakes no hands and reads no socket.
(Interface of the functions: Tornado, tornado.netutil.)
"""

from __future__ import annotations

import functools
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

_SSL_OPTIONS = frozenset(
    ["ssl_version", "certfile", "keyfile", "cert_reqs", "ca_certs", "ciphers",
     "password", "alpn_protocols"]
)  # fmt: skip


@functools.cache
def _client_ssl_defaults() -> ssl.SSLContext:
    """The context of a client that asks for nothing special: `ssl.create_default_context`.

    Made on first use: loading the system's certificates is slow, and on some systems starts
    threads, which do not survive a fork.
    """
    return ssl.create_default_context(ssl.Purpose.SERVER_AUTH)


@functools.cache
def _server_ssl_defaults() -> ssl.SSLContext:
    """The same for a server; it has no certificate yet."""
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


def ssl_options_to_context(
    ssl_options: dict[str, Any] | ssl.SSLContext | CertificateStore,
    server_side: bool | None = None,
) -> ssl.SSLContext:
    """Make an SSLContext from a dict of options; an SSLContext is returned as it is, and a
    `CertificateStore` has one.

    The options, all optional, where None is the same as absence:

    - ``certfile``, ``keyfile``: paths of our certificate chain and its key, PEM;
    - ``ca_certs``: path of the authorities to trust, PEM; default: the system's for a client, none
      for a server;
    - ``cert_reqs``: whether the peer needs a certificate, ``ssl.CERT_*``; default CERT_REQUIRED for
      a client (which then also checks the host name), CERT_NONE for a server;
    - ``ciphers``: in OpenSSL's notation;
    - ``ssl_version``: a ``ssl.PROTOCOL_*`` constant; default: whatever is considered secure today.

    And two that Tornado does not have:

    - ``password``: of the key, as in :meth:`ssl.SSLContext.load_cert_chain`; without it, OpenSSL
      asks on the terminal where a key needs one;
    - ``alpn_protocols``: names of protocols, the best first (ALPN, RFC 7301).

    :param server_side: which end of the connection it is for; None: a server if there is a
        certfile, else a client.
    :raises TypeError: `ssl_options` is neither a dict nor an SSLContext.
    :raises ValueError: an unknown option, or a keyfile without a certfile.
    :raises OSError: a file cannot be read.
    :raises ssl.SSLError: a file, or the ciphers, cannot be used.

    Source: Tornado: tornado.netutil.ssl_options_to_context.
    """
    if isinstance(ssl_options, ssl.SSLContext):
        return ssl_options
    if isinstance(ssl_options, CertificateStore):
        return ssl_options.context
    options = _checked(ssl_options)
    if server_side is None:
        server_side = "certfile" in options
    default_version = ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT
    context = ssl.SSLContext(options.get("ssl_version", default_version))
    if "certfile" in options:
        context.load_cert_chain(
            options["certfile"], options.get("keyfile"), options.get("password")
        )
    # A ssl_version of the caller's must not switch a client's checks off: only cert_reqs may.
    checked = options.get("cert_reqs", ssl.CERT_NONE if server_side else ssl.CERT_REQUIRED)
    context.check_hostname = not server_side and checked != ssl.CERT_NONE
    context.verify_mode = checked
    if "ca_certs" in options:
        context.load_verify_locations(options["ca_certs"])
    elif not server_side and checked != ssl.CERT_NONE:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if "ciphers" in options:
        context.set_ciphers(options["ciphers"])
    if "alpn_protocols" in options:
        context.set_alpn_protocols(options["alpn_protocols"])
    return context


def _checked(ssl_options: dict[str, Any]) -> dict[str, Any]:
    """The options that are not None."""
    if not isinstance(ssl_options, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"ssl_options: dict or SSLContext, not {type(ssl_options).__name__}")
    unknown = ssl_options.keys() - _SSL_OPTIONS
    if unknown:
        raise ValueError(f"unknown ssl_options: {', '.join(sorted(map(str, unknown)))}")
    options = {name: value for name, value in ssl_options.items() if value is not None}
    if "keyfile" in options and "certfile" not in options:
        raise ValueError("ssl_options: keyfile without certfile")
    return options


def ssl_wrap_socket(
    socket: socket.socket,
    ssl_options: dict[str, Any] | ssl.SSLContext | CertificateStore,
    server_hostname: str | None = None,
    server_side: bool | None = None,
    **kwargs: Any,
) -> ssl.SSLSocket:
    """Wrap a socket in TLS; a connected one does its handshake at once unless told otherwise.

    :param ssl_options: as in `ssl_options_to_context`.
    :param server_hostname: the name that the server's certificate must have, and SNI.
    :param server_side: which end this is; None means the client.
    :param kwargs: for `ssl.SSLContext.wrap_socket`, such as ``do_handshake_on_connect``.
    :raises ValueError: as `ssl_options_to_context`; or a client that checks host names has none.
    :raises ssl.SSLError: the context is for the other end, or the handshake failed.

    Source: Tornado: tornado.netutil.ssl_wrap_socket.
    """
    server_side = bool(server_side)
    context = ssl_options_to_context(ssl_options, server_side=server_side)
    return context.wrap_socket(
        socket, server_side=server_side, server_hostname=server_hostname, **kwargs
    )


# -- certificates for several names, which can change

# A host name, or a wildcard for the whole of its first label (RFC 9525, 6.3). "_" is no letter of a
# host name, but is found in those that people have.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_PATTERN = re.compile(rf"(\*\.)?({_LABEL}(?:\.{_LABEL})*+)")


class _Loaded(NamedTuple):
    """What was in the files at one time."""

    default: ssl.SSLContext
    exact: dict[str, ssl.SSLContext]
    wildcards: dict[str, ssl.SSLContext]  # by what is behind "*."


class CertificateStore:
    """A server's certificates: one for each host name that a client may ask for (SNI, RFC 6066, 3),
    and a default one; :meth:`reload` puts new ones in their place while connections go on.

    Give it as ``ssl_options`` to a server or to ``start_tls``, or its ``context`` to whoever takes
    an SSLContext.

    :param ssl_options: what holds for all names, as in :func:`ssl_options_to_context`. Its
        ``certfile`` is the default certificate: for clients that ask for no name, or for one that
        is not listed. Without a ``certfile`` their handshakes fail (alert ``unrecognized_name``).
    :param names: certificates of host names, as (certfile, keyfile); the key may be None if it is
        in the certfile. A name may be a wildcard for one whole label, ``*.example.org``; an exact
        name goes first. Names in other scripts: in their ASCII form (``xn--...``).
    :param configure: called with every SSLContext that is made, to set what the options do not
        have, such as ``minimum_version``.
    :raises ValueError: a name is none, or an option is unknown, or a key needs a password and the
        options have none.
    :raises OSError: a file cannot be read.
    :raises ssl.SSLError: a file cannot be used.
    """

    def __init__(
        self,
        ssl_options: dict[str, Any],
        names: Mapping[str, tuple[str, str | None]] | None = None,
        configure: Callable[[ssl.SSLContext], object] | None = None,
    ) -> None:
        # A forgotten password must not make a running server wait for its terminal.
        self._options = {"password": _no_password, **ssl_options}
        self._names = dict(names or {})
        self._configure = configure
        self._loaded = self._load()
        #: the context to shake hands with; always the same one
        self.context = self._make({})
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """Read all files anew. Handshakes that begin from now on get the new certificates;
        connections go on with theirs, and clients may resume their TLS sessions.

        Reads files, so it blocks for a moment. Raises what the constructor raises, and then nothing
        has changed.
        """
        self._loaded = self._load()

    def _load(self) -> _Loaded:
        made: dict[tuple[str, str | None], ssl.SSLContext] = {}
        exact: dict[str, ssl.SSLContext] = {}
        wildcards: dict[str, ssl.SSLContext] = {}
        for pattern, files in self._names.items():
            match = _PATTERN.fullmatch(pattern.lower())
            if match is None:
                raise ValueError(f"no host name and no wildcard for one: {pattern!r}")
            if files not in made:
                made[files] = self._make({"certfile": files[0], "keyfile": files[1]})
            (wildcards if match[1] else exact)[match[2]] = made[files]
        return _Loaded(self._make({}), exact, wildcards)

    def _make(self, files: dict[str, str | None]) -> ssl.SSLContext:
        context = ssl_options_to_context({**self._options, **files}, server_side=True)
        if self._configure is not None:
            self._configure(context)
        return context

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
    ) -> int | None:
        """Called in every handshake, whether the client has asked for a name or not."""
        loaded = self._loaded
        chosen = None
        if name is not None:
            name = name.lower().rstrip(".")
            chosen = loaded.exact.get(name) or loaded.wildcards.get(name.partition(".")[2])
        if chosen is None:
            if not self._options.get("certfile"):
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            chosen = loaded.default
        connection.context = chosen
        return None


def _no_password() -> NoReturn:
    raise ValueError("the key needs a password, and there is none among the options")
