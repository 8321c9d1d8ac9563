"""Tools for tests. So far: a check that a protocol keeps the contract with its delegates."""

from tornadoish.testing.contract import (
    CheckedMessageDelegate,
    CheckedServerDelegate,
    ContractError,
    check_message_delegate,
)

__all__ = [
    "CheckedMessageDelegate",
    "CheckedServerDelegate",
    "ContractError",
    "check_message_delegate",
]
