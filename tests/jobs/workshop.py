"""A job engine with recipes of the test's own, run inside the test's event loop the way the worker runs it."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.db import Database
from stillframe.identity.tokens import TokenKeys
from stillframe.jobs import rows, service
from stillframe.jobs.engine import JobEngine
from stillframe.jobs.model import FINAL, Job, JobState, Lane, NewJob, Service
from stillframe.jobs.recipes import Recipe, RecipeBook, Step, StepFunction
from stillframe.jobs.resources import Resources

PROJECT = "a" * 32


class Diary:
    """What the steps did, in order."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def writes(self, entry: str) -> StepFunction:
        async def step(resources: Resources, job: Job) -> None:
            self.entries.append(entry)

        return step

    def fails(self, entry: str, *errors: Exception) -> StepFunction:
        """Raises the errors one after the other, then goes well."""
        left = list(errors)

        async def step(resources: Resources, job: Job) -> None:
            self.entries.append(entry)
            if left:
                raise left.pop(0)

        return step

    def has(self, entry: str) -> Callable[[], Awaitable[bool]]:
        async def has() -> bool:
            return entry in self.entries

        return has


async def succeed(resources: Resources, job: Job) -> None:
    """The last step of a recipe."""
    async with resources.database.writing() as tx:
        await service.succeed_job(tx, job.id, {"by": "test"})


async def nothing(resources: Resources, job: Job) -> None:
    """An undo with nothing to take back."""


def recipe(kind: str, *steps: Step | StepFunction, undo: StepFunction = nothing) -> Recipe:
    """Steps given as functions are tried once."""
    named = tuple(step if isinstance(step, Step) else Step(f"step{n}", step) for n, step in enumerate(steps))
    return Recipe(kind=kind, steps=named, undo=undo)


def _is_workflow(task: "asyncio.Task[Any]") -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and Path(code.co_filename).parent.name == "dbos"


class Workshop:
    """One engine at a time; starting another one is what a restart of the worker is."""

    def __init__(self, database: Database, data_dir: Path) -> None:
        self.database = database
        url = database.engine.url.render_as_string(hide_password=False)
        self.settings = Settings(data_dir=data_dir, database_url=url)
        layout = DataLayout(data_dir)
        layout.create()
        self.resources = Resources(
            settings=self.settings, layout=layout, database=database, token_keys=TokenKeys.open(layout)
        )
        self.engine: JobEngine | None = None
        self._loop: asyncio.Task[None] | None = None

    def launch(self, *recipes: Recipe) -> JobEngine:
        """As the worker does it: it is woken by whatever is committed through `database`."""
        self.engine = JobEngine(self.resources, RecipeBook(*recipes))
        self.database._wake_worker = self.engine.wake
        self.engine.launch()
        self._loop = asyncio.create_task(self.engine.run())
        return self.engine

    async def stop(self) -> None:
        """Afterwards the event loop has threads of its own again; DBOS took the ones it had lent with it."""
        if self._loop and self.engine:
            self._loop.cancel()
            _, still_running = await asyncio.wait([self._loop], timeout=10)
            assert not still_running
            self.engine.shut_down()
            # Workflows that were started and have not begun yet: with a process they would be gone.
            left = [task for task in asyncio.all_tasks() if _is_workflow(task)]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        self.engine = self._loop = None

    async def forget_workflows(self) -> None:
        """The schema of DBOS outlives a test where the databases of all tests are one."""
        if not self.database.is_sqlite:
            async with self.database.engine.begin() as connection:
                await connection.execute(sa.text("DROP SCHEMA IF EXISTS dbos CASCADE"))

    def new_job(self, kind: str, *, lane: Lane = Lane.SEAL, **fields: Any) -> NewJob:
        known = {"service": Service.IMS, "subject_id": None, "project_id": PROJECT}
        return NewJob(kind=kind, lane=lane, **(known | fields))

    async def submit(self, kind: str, *, lane: Lane = Lane.SEAL, **fields: Any) -> str:
        async with self.database.writing() as tx:
            return (await service.submit_job(tx, self.new_job(kind, lane=lane, **fields))).id

    async def cancel(self, job_id: str) -> None:
        async with self.database.writing() as tx:
            await service.cancel_job(tx, job_id, project_id=PROJECT, service=Service.IMS)

    async def job(self, job_id: str) -> Job:
        async with self.database.reading() as tx:
            found = await rows.get_job(tx, job_id)
        assert found is not None
        return found

    async def ended(self, job_id: str, timeout_s: float = 60.0) -> Job:
        deadline = time.monotonic() + timeout_s
        while (job := await self.job(job_id)).state not in FINAL:
            assert time.monotonic() < deadline, job
            await asyncio.sleep(0.01)
        return job

    async def idle(self) -> None:
        """Until the engine has nothing in its hands."""

        async def is_idle() -> bool:
            return self.engine is not None and not self.engine._running

        await eventually(is_idle)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """SQLite is locked by somebody else; every connection to PostgreSQL breaks, and new ones are refused."""
        if self.database.is_sqlite:
            await self._make_impatient()
            with closing(sqlite3.connect(str(self.database.engine.url.database), isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                yield
        else:
            with self._postgres_refusing():
                yield

    async def _make_impatient(self) -> None:
        """Connections made from now on wait for a lock a tenth of a second, not half a minute."""

        def prepare(connection: Any, record: object) -> None:
            connection.execute("PRAGMA busy_timeout=100")

        await self.database.engine.dispose()
        sa.event.listen(self.database.engine.sync_engine, "connect", prepare)

    @contextmanager
    def _postgres_refusing(self) -> Iterator[None]:
        url = self.database.engine.url
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        with psycopg.connect(host=str(url.query["host"]), user="postgres", dbname="template1", autocommit=True) as own:
            own.execute(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS false')
            try:
                own.execute(end, [url.database])
                yield
            finally:
                own.execute(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS true')

    async def in_checkpoints(self, *statements: str) -> int:
        """Runs SQL where DBOS keeps its records, and says how many rows the last one has changed."""
        changed = 0
        if self.database.is_sqlite:
            with closing(sqlite3.connect(self.settings.data_dir / "workflows.db")) as records, records:
                for statement in statements:
                    changed = records.execute(statement.format(schema="")).rowcount
        else:
            async with self.database.engine.begin() as records:
                for statement in statements:
                    changed = (await records.exec_driver_sql(statement.format(schema="dbos."))).rowcount
        return changed

    @property
    def kind(self) -> str:
        return self.database.engine.dialect.name

    async def reaches(self, job_id: str, state: JobState, timeout_s: float = 60.0) -> None:
        async def is_there() -> bool:
            return (await self.job(job_id)).state is state

        await eventually(is_there, timeout_s)


async def eventually(is_so: Callable[[], Awaitable[bool]], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not await is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
