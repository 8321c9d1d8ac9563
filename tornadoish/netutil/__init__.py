"""Sockets, TLS contexts, address checks and name resolution, with Tornado's names.

Called by tcpserver and iostream, and by applications that bind their own sockets. It never reads
from or writes to a connection and knows no protocol. Nothing here blocks a running event loop,
except `bind_sockets` with a host name that has to be looked up; it is meant for start-up.
"""

from tornadoish.netutil.accepting import (
    add_accept_handler,
    is_valid_ip,
)
from tornadoish.netutil.listening import (
    bind_sockets,
    bind_unix_socket,
    bound_unsent,
)
from tornadoish.netutil.networks import (
    TrustedNetworks,
)
from tornadoish.netutil.proxy_protocol import (
    ProxyHeader,
    ProxyHeaderParser,
    ProxyProtocolError,
)
from tornadoish.netutil.resolving import (
    BlockingResolver,
    DefaultExecutorResolver,
    DefaultLoopResolver,
    ExecutorResolver,
    OverrideResolver,
    Resolver,
    ThreadedResolver,
)
from tornadoish.netutil.tls import (
    CertificateStore,
    _client_ssl_defaults,
    _server_ssl_defaults,
    ssl_options_to_context,
    ssl_wrap_socket,
)

__all__ = [
    "BlockingResolver",
    "CertificateStore",
    "DefaultExecutorResolver",
    "DefaultLoopResolver",
    "ExecutorResolver",
    "OverrideResolver",
    "ProxyHeader",
    "ProxyHeaderParser",
    "ProxyProtocolError",
    "Resolver",
    "ThreadedResolver",
    "TrustedNetworks",
    "_client_ssl_defaults",
    "_server_ssl_defaults",
    "add_accept_handler",
    "bind_sockets",
    "bind_unix_socket",
    "bound_unsent",
    "is_valid_ip",
    "ssl_options_to_context",
    "ssl_wrap_socket",
]
