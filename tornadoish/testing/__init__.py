"""What applications test themselves with (Tornado: tornado.testing, and more).

For unittest there are Tornado's classes, for pytest the fixtures of ``tornadoish.pytest_plugin``;
for both a server to talk to without a socket (``memory_connection`` and, for httpx,
``MemoryTransport``), and a check that a protocol keeps the contract with its delegates
(``check_message_delegate``). Nothing else in the package imports this.
"""

from typing import TYPE_CHECKING, Any

from tornadoish.testing.cases import (
    AsyncHTTPSTestCase,
    AsyncHTTPTestCase,
    AsyncTestCase,
    bind_unused_port,
    setup_with_context_manager,
)
from tornadoish.testing.client import HTTPTestClient
from tornadoish.testing.contract import (
    CheckedMessageDelegate,
    CheckedServerDelegate,
    ContractError,
    check_message_delegate,
)
from tornadoish.testing.logs import ExpectLog
from tornadoish.testing.memory import MemoryConnection, memory_connection
from tornadoish.testing.messages import (
    HTTPClientError,
    HTTPRequest,
    HTTPResponse,
    HTTPStreamClosedError,
    HTTPTimeoutError,
)
from tornadoish.testing.runner import main
from tornadoish.testing.running import LoopAdapter, gen_test, get_async_test_timeout
from tornadoish.util import import_extra

if TYPE_CHECKING:
    from tornadoish.testing.transport import MemoryTransport

__all__ = [
    "AsyncHTTPSTestCase",
    "AsyncHTTPTestCase",
    "AsyncTestCase",
    "CheckedMessageDelegate",
    "CheckedServerDelegate",
    "ContractError",
    "ExpectLog",
    "HTTPClientError",
    "HTTPRequest",
    "HTTPResponse",
    "HTTPStreamClosedError",
    "HTTPTestClient",
    "HTTPTimeoutError",
    "LoopAdapter",
    "MemoryConnection",
    "MemoryTransport",
    "bind_unused_port",
    "check_message_delegate",
    "gen_test",
    "get_async_test_timeout",
    "main",
    "memory_connection",
    "setup_with_context_manager",
]


def __getattr__(name: str) -> Any:
    """``MemoryTransport`` is a class of httpx's kind, so it is there where httpx is."""
    if name == "MemoryTransport":
        import_extra("httpx", "test-client")
        return import_extra("tornadoish.testing.transport", "test-client").MemoryTransport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
