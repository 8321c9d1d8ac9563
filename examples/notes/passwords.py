"""Passwords: kept so that who steals the database has nothing, and guessing is slow.

Called by handlers_accounts.py. A password is stored as `scrypt$N$r$p$salt$hash`: with what it was
made with, so that these can be raised for passwords to come.

To hash one takes a tenth of a second or more of a processor, on purpose: so it is done in a thread
(OpenSSL lets go of the interpreter meanwhile), and no more than two at a time: others want to be
served while somebody tries a thousand passwords.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

# As OWASP asks for: 16 MiB for as long as it takes, five times over.
N, R, P = 2**14, 8, 5
MAX_MEMORY = 64 * 1024 * 1024  # bytes

_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")


async def hash_password(password: str) -> str:
    """What to store of a password."""
    salt = secrets.token_bytes(16)
    digest = await _in_thread(password, salt, N, R, P)
    return f"scrypt${N}${R}${P}${salt.hex()}${digest.hex()}"


async def is_password(password: str, stored: str | None) -> bool:
    """Whether this is the password of which `stored` was kept. None: there is no such user, which
    takes as long to find out, so that nobody can tell."""
    if stored is None:
        await hash_password(password)
        return False
    _, n, r, p, salt, expected = stored.split("$")
    digest = await _in_thread(password, bytes.fromhex(salt), int(n), int(r), int(p))
    return hmac.compare_digest(digest, bytes.fromhex(expected))


async def _in_thread(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    def digest() -> bytes:
        return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=MAX_MEMORY)

    return await asyncio.get_running_loop().run_in_executor(_threads, digest)


class Attempts:
    """Who has given wrong passwords lately, and must wait now.

    Counted by name and address together: nobody can lock another out from elsewhere.
    """

    ALLOWED = 10
    SECONDS = 15 * 60
    REMEMBERED = 10_000  # pairs; of more the oldest are forgotten

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}

    def is_allowed(self, name: str, address: str) -> bool:
        """Whether a password may be tried."""
        count, until = self._failures.get((name.lower(), address), (0, 0.0))
        return count < self.ALLOWED or until < time.monotonic()

    def failed(self, name: str, address: str) -> None:
        """It was wrong."""
        now = time.monotonic()
        count, until = self._failures.pop((name.lower(), address), (0, 0.0))
        while len(self._failures) >= self.REMEMBERED:
            del self._failures[next(iter(self._failures))]
        count = 1 if until < now else count + 1
        self._failures[name.lower(), address] = (count, now + self.SECONDS)

    def succeeded(self, name: str, address: str) -> None:
        """It was right."""
        self._failures.pop((name.lower(), address), None)
