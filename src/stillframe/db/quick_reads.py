"""Reads of SQLite without a thread.

Most statements that read take some microseconds, and handing one to a thread and back takes longer than that. So a
reading transaction runs in the event loop's own thread. A statement that turns out to be long is stopped after some
milliseconds and run again in a thread, in the same transaction, and so is one that would have to wait for a lock.

Source: https://www.sqlite.org/c3ref/progress_handler.html
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import sqlalchemy as sa

from stillframe.db.transaction import Transaction

STEPS = 100_000
"""Instructions of SQLite's machine, about a millisecond, after which it asks whether to go on."""
MAX_ASKED = 3
"""How often a statement may ask before it is stopped: one that has been used before starts somewhere between two."""
BUSY_TIMEOUT_MS = 30_000
_STOPPED = frozenset({sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY})

T = TypeVar("T")


class _Brake:
    """Stops the statement that is running in the event loop's thread when it takes too long."""

    def __init__(self) -> None:
        self._asked: int | None = None

    def arm(self) -> None:
        self._asked = 0

    def release(self) -> None:
        self._asked = None

    def __call__(self) -> bool:
        """SQLite asks; True stops the statement."""
        if self._asked is None:
            return False
        self._asked += 1
        return self._asked >= MAX_ASKED


class QuickReads:
    """Reading transactions on connections of their own. There is always one more: waiting would stop everything."""

    def __init__(self, url: str, **options: Any) -> None:
        self._engine = sa.create_engine(
            url,
            poolclass=sa.pool.QueuePool,
            pool_size=8,
            max_overflow=-1,
            connect_args={"check_same_thread": False},
            **options,
        )
        sa.event.listen(self._engine, "connect", _prepare)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        connection = self._engine.connect()
        try:
            # Its first statement decides what all of them see.
            connection.connection.dbapi_connection.execute("BEGIN")  # type: ignore[union-attr]
            yield _QuickReading(connection)
        finally:
            connection.close()

    def close(self) -> None:
        self._engine.dispose()


def _prepare(connection: sqlite3.Connection, record: Any) -> None:
    """Nothing here looks at the file: another's lock would be waited for."""
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=0")
    connection.execute("PRAGMA query_only=on")
    record.info["brake"] = brake = _Brake()
    connection.set_progress_handler(brake, STEPS)


class _QuickReading(Transaction):
    def __init__(self, connection: sa.Connection) -> None:
        self._sync = connection
        self.wakes_worker = False

    async def _run(self, use: Callable[[sa.Connection], T]) -> T:
        """What is fetched later from a result that `use` returns is not stopped."""
        brake: _Brake = self._sync.connection.info["brake"]
        brake.arm()
        try:
            return use(self._sync)
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", 0) not in _STOPPED:
                raise
        finally:
            brake.release()
        return await self._run_in_thread(use)

    async def _run_in_thread(self, use: Callable[[sa.Connection], T]) -> T:
        driver: sqlite3.Connection = self._sync.connection.dbapi_connection  # type: ignore[assignment]

        def run() -> T:
            driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            try:
                return use(self._sync)
            finally:
                driver.execute("PRAGMA busy_timeout=0")

        running = asyncio.ensure_future(asyncio.to_thread(run))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # The connection must not be given back while the thread uses it.
            while not running.done():
                driver.interrupt()
                await asyncio.wait([running], timeout=0.01)
            raise
