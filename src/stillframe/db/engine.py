"""Opens the database and its transactions.

SQLite runs in WAL mode with full durability. Writers say BEGIN IMMEDIATE, so two of them queue at the start instead of
failing with "database is locked" in the middle; readers never wait.
"""

from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from stillframe.db.quick_reads import QuickReads
from stillframe.db.transaction import Transaction
from stillframe.db.version import versions_of

_WRITES = "stillframe_writes"


def _nothing() -> None:
    """No worker to wake."""


class Database:
    """`reading()` and `writing()` give transactions; `wake_worker` is called after a commit that submitted a job."""

    def __init__(
        self, engine: AsyncEngine, wake_worker: Callable[[], None] = _nothing, quick_reads: QuickReads | None = None
    ) -> None:
        self.engine = engine
        self._quick_reads = quick_reads
        self._wake_worker = wake_worker
        self._versions = versions_of(engine)
        self.version_is_cheap = self._versions.is_cheap

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """A snapshot to read from; writing through it is a mistake that SQLite may answer with "locked"."""
        if self._quick_reads is not None:
            async with self._quick_reads.reading() as tx:
                yield tx
            return
        async with self.engine.connect() as connection:
            yield Transaction(connection)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """Committed when the block ends, rolled back when it raises."""
        async with self.engine.connect() as connection:
            await connection.execution_options(**{_WRITES: True})
            transaction = Transaction(connection)
            async with connection.begin():
                yield transaction
        if transaction.wakes_worker:
            self._wake_worker()

    async def version(self) -> Hashable:
        """The same as before while nothing was committed, by this process or any other: see `version.py`."""
        return await self._versions.current()

    async def close(self) -> None:
        await self._versions.close()
        if self._quick_reads is not None:
            self._quick_reads.close()
        await self.engine.dispose()


def open_database(url: str, wake_worker: Callable[[], None] = _nothing, *, pool_size: int = 8) -> Database:
    json: dict[str, Any] = {"json_deserializer": msgspec.json.decode, "json_serializer": _to_json}
    if url.startswith("sqlite"):
        engine = create_async_engine(url, pool_size=pool_size, max_overflow=16, pool_timeout=60, **json)
        sa.event.listen(engine.sync_engine, "connect", prepare_sqlite)
        sa.event.listen(engine.sync_engine, "begin", _begin_sqlite)
        quick_reads = QuickReads(f"sqlite:///{engine.url.database}", **json)
        return Database(engine, wake_worker, quick_reads)
    engine = create_async_engine(url, pool_size=pool_size, max_overflow=16, pool_timeout=60, pool_pre_ping=True, **json)
    return Database(engine, wake_worker)


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def prepare_sqlite(connection: Any, _record: object) -> None:
    """Pragmas of a new connection. `isolation_level = None` leaves BEGIN to us: the driver's own is deferred."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("busy_timeout=30000", "journal_mode=wal", "synchronous=full", "foreign_keys=on"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
