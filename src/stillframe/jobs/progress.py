"""Writes a running step's progress into the job's row, at most twice a second, without making the step wait."""

import asyncio
from types import TracebackType
from typing import Self

import sqlalchemy as sa
import structlog

from stillframe.db import Database
from stillframe.jobs import service

log = structlog.get_logger("stillframe.jobs")

INTERVAL_S = 0.5


class ProgressReporter:
    """`async with ProgressReporter(database, job.id, "flattening") as progress:` ... `progress.update(done, total)`."""

    def __init__(self, database: Database, job_id: str, phase: str, *, done: int = 0, total: int = 0) -> None:
        self._database = database
        self._job_id = job_id
        self._phase = phase
        self._seen = (done, total)
        self._task: asyncio.Task[None] | None = None

    def update(self, done_bytes: int, total_bytes: int) -> None:
        self._seen = (done_bytes, total_bytes)

    async def __aenter__(self) -> Self:
        await self._write()
        self._task = asyncio.create_task(self._write_often())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _write_often(self) -> None:
        written = self._seen
        while True:
            await asyncio.sleep(INTERVAL_S)
            seen = self._seen
            if seen == written:
                continue
            try:
                await self._write()
                written = seen
            except sa.exc.SQLAlchemyError as error:
                # The work goes on without being watched; it must not start anew for that.
                log.warning("jobs.progress_not_written", job=self._job_id, error=str(error))

    async def _write(self) -> None:
        async with self._database.writing() as tx:
            await service.report_progress(tx, self._job_id, self._phase, *self._seen)
