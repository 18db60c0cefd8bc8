"""Whether anything was committed since: the same version means the same contents, whoever writes, in any process.

What was worked out of the database at one version holds as long as the version stays; nothing has to be told to anybody
when something changes. Asking takes some microseconds on SQLite and one short question on PostgreSQL.
"""

import asyncio
import sqlite3
from collections.abc import Hashable
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

_DATA_VERSION = "PRAGMA data_version"


class Versions(Protocol):
    is_cheap: bool
    """Whether asking costs much less than any query."""

    async def current(self) -> Hashable:
        """Of all that is committed now. Asked before reading, it never names something newer than what is read.

        Raises: SQLAlchemyError, as a query does.
        """

    async def close(self) -> None: ...


class SqliteVersions:
    """`PRAGMA data_version` of a connection that itself never writes.

    It looks at the header of the write-ahead log, which is shared memory: never waits, and needs no thread. What is
    handled in one turn of the event loop had all arrived before the first of it asks, so it asks for all of it.

    Source: https://www.sqlite.org/pragma.html#pragma_data_version
    """

    is_cheap = True

    def __init__(self, path: str) -> None:
        self._path = path
        self._cursor: sqlite3.Cursor | None = None
        self._of_this_turn: int | None = None

    async def current(self) -> Hashable:
        if self._of_this_turn is None:
            self._of_this_turn = self._ask()
            asyncio.get_running_loop().call_soon(self._forget)
        return self._of_this_turn

    def _forget(self) -> None:
        self._of_this_turn = None

    def _ask(self) -> int:
        try:
            if self._cursor is None:
                self._cursor = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False).cursor()
            version: int = self._cursor.execute(_DATA_VERSION).fetchone()[0]
        except sqlite3.Error as error:
            raise sa.exc.OperationalError(_DATA_VERSION, None, error) from error
        return version

    async def close(self) -> None:
        if self._cursor is not None:
            self._cursor.connection.close()
            self._cursor = None


class PostgresVersions:
    """The snapshot a transaction would get: it names every transaction whose work is to be seen.

    Source: PostgreSQL, "Transaction ID and Snapshot Information Functions".
    """

    is_cheap = False
    _SNAPSHOT = sa.text("SELECT pg_current_snapshot()::text")

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def current(self) -> Hashable:
        async with self._engine.connect() as connection:
            snapshot: str = (await connection.execute(self._SNAPSHOT)).scalar_one()
        return snapshot

    async def close(self) -> None:
        """The engine belongs to somebody else."""


def versions_of(engine: AsyncEngine) -> Versions:
    if engine.dialect.name == "sqlite":
        return SqliteVersions(engine.url.database or "")
    return PostgresVersions(engine)
