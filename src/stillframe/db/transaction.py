"""One unit of work: a connection inside a transaction, and what shall happen once it is committed."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")


class Transaction:
    """Handed from the door through the services to the rows; committed by whoever opened it, never in between."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.wakes_worker = False

    async def execute(
        self, statement: sa.Executable, parameters: Sequence[Mapping[str, Any]] | None = None
    ) -> sa.CursorResult[Any]:
        return await self._run(lambda connection: connection.execute(statement, parameters))

    async def all(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[sa.Row[Any]]:
        return await self._run(lambda connection: connection.execute(statement, parameters).all())

    async def first(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> sa.Row[Any] | None:
        return await self._run(lambda connection: connection.execute(statement, parameters).first())

    async def scalar(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Any:
        return await self._run(lambda connection: connection.execute(statement, parameters).scalar())

    async def _run(self, use: Callable[[sa.Connection], T]) -> T:
        return await self._connection.run_sync(use)

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        """What happens inside is undone at the end, whether it went well or not."""
        wakes_worker = self.wakes_worker
        savepoint = await self._connection.begin_nested()
        try:
            yield
        finally:
            await savepoint.rollback()
            self.wakes_worker = wakes_worker

    def wake_worker_on_commit(self) -> None:
        """Tell the worker right after the commit that there is a job to start."""
        self.wakes_worker = True
