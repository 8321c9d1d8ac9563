"""TLS contexts from Tornado's options (Tornado: tornado.netutil)."""

from __future__ import annotations

import functools
import socket
import ssl
from typing import Any

_SSL_OPTIONS = frozenset(["ssl_version", "certfile", "keyfile", "cert_reqs", "ca_certs", "ciphers"])


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
    ssl_options: dict[str, Any] | ssl.SSLContext, server_side: bool | None = None
) -> ssl.SSLContext:
    """Make an SSLContext from a dict of options; an SSLContext is returned as it is.

    The options, all optional, where None is the same as absence:

    - ``certfile``, ``keyfile``: paths of our certificate chain and its key, PEM;
    - ``ca_certs``: path of the authorities to trust, PEM; default: the system's for a client, none
      for a server;
    - ``cert_reqs``: whether the peer needs a certificate, ``ssl.CERT_*``; default CERT_REQUIRED for
      a client (which then also checks the host name), CERT_NONE for a server;
    - ``ciphers``: in OpenSSL's notation;
    - ``ssl_version``: a ``ssl.PROTOCOL_*`` constant; default: whatever is considered secure today.

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
    if not isinstance(ssl_options, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"ssl_options: dict or SSLContext, not {type(ssl_options).__name__}")
    unknown = ssl_options.keys() - _SSL_OPTIONS
    if unknown:
        raise ValueError(f"unknown ssl_options: {', '.join(sorted(map(str, unknown)))}")
    options = {name: value for name, value in ssl_options.items() if value is not None}
    if "keyfile" in options and "certfile" not in options:
        raise ValueError("ssl_options: keyfile without certfile")
    if server_side is None:
        server_side = "certfile" in options
    default_version = ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT
    context = ssl.SSLContext(options.get("ssl_version", default_version))
    if "certfile" in options:
        context.load_cert_chain(options["certfile"], options.get("keyfile"))
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
    return context


def ssl_wrap_socket(
    socket: socket.socket,
    ssl_options: dict[str, Any] | ssl.SSLContext,
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
