"""Database: SQLite, which blocks, for an event loop, which must not be blocked.

Made by app.py; handlers call `await self.db.run(function, ...)` with a function of store.py.
Nothing in here knows what is stored.

Every call of `sqlite3` may wait for the disk, or for another process that writes. So the one
connection lives in a thread of its own, and whoever wants something done hands over a function and
awaits what it returns. In that thread one function runs after the other, each in a transaction:
all that it does is kept, or, if it raises, nothing. So a function may read something, decide, and
write, and nobody comes between; none of them has to know of threads or locks.

One thread is enough for this: SQLite lets no more than one write at a time, and what a page needs
is read in well under a millisecond. What this cannot do is use several cores, or several hosts.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

BUSY_SECONDS = 5  # that another process (a backup, say) may keep the file to itself


class Database:
    """The database in the file `path`, made with `schema` if it is not there."""

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")
        self._connection: sqlite3.Connection | None = None  # of that thread alone

    async def open(self) -> None:
        """Open the file; sqlite3.Error where that cannot be, or it is no database."""
        await self._in_thread(self._open)

    async def close(self) -> None:
        """Close it, behind all that has been asked for before."""
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def run(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """What `work(connection, ...)` returns, or raises, run in a transaction of its own.

        Who is cancelled while it waits here does not know whether the work has been done.
        """
        return await self._in_thread(lambda: self._transact(lambda db: work(db, *args, **kwargs)))

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    # -- in the thread

    def _open(self) -> None:
        # isolation_level None: transactions begin where we say so, and nowhere else.
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            # A write-ahead log: to commit takes one wait for the disk, and readers are not held up.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript(self._schema)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        if connection is None:
            raise RuntimeError("The database is not open")
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
        except BaseException:
            connection.rollback()
            raise
        connection.commit()
        return result
