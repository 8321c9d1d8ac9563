"""Close codes, and the payload of a Close (RFC 6455, 5.5.1 and 7.4). Pure functions."""

from __future__ import annotations

from typing import Final

from tornadoish.ws.events import ProtocolError

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
NO_STATUS: Final = 1005  # never sent: a Close without a code
ABNORMAL: Final = 1006  # never sent: no Close at all
INVALID_DATA: Final = 1007
POLICY_VIOLATION: Final = 1008
TOO_LARGE: Final = 1009
MANDATORY_EXTENSION: Final = 1010
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013
BAD_GATEWAY: Final = 1014

MAX_CONTROL = 125  # bytes of a control frame's payload (RFC 6455, 5.5)
MAX_REASON = MAX_CONTROL - 2


def may_be_sent(code: int) -> bool:
    """Whether ``code`` may stand in a Close.

    Those that RFC 6455, 7.4.1 and IANA's registry define, but 1004 (no meaning), 1005, 1006 and
    1015 (never sent); 3000 to 3999 for libraries, 4000 to 4999 for applications (7.4.2).
    """
    return (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999


def parse_close(payload: bytes) -> tuple[int | None, str]:
    """The code (None: none) and the reason of a Close.

    :raises ProtocolError: 1002, a code that may not be sent, or half of one; 1007, a reason that is
        no UTF-8.
    """
    if not payload:
        return None, ""
    if len(payload) == 1:
        raise ProtocolError(PROTOCOL_ERROR, "Close with half a code")
    code = int.from_bytes(payload[:2], "big")
    if not may_be_sent(code):
        raise ProtocolError(PROTOCOL_ERROR, "Close with an invalid code")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolError(INVALID_DATA, "Invalid UTF-8 in a Close") from None


def close_payload(code: int | None, reason: str) -> bytes:
    """The payload of a Close.

    :raises ValueError: a code that may not be sent, a reason without a code, of more than 123 bytes
        in UTF-8, or with half a surrogate pair.
    """
    if code is None:
        if reason:
            raise ValueError("A reason needs a close code")
        return b""
    if not may_be_sent(code):
        raise ValueError(f"{code} is no close code that may be sent")
    text = reason.encode()
    if len(text) > MAX_REASON:
        raise ValueError(f"The reason has {len(text)} bytes, {MAX_REASON} are allowed")
    return code.to_bytes(2, "big") + text
