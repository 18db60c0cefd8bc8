"""Runs recipes durably, on DBOS.

The job row is the queue: the worker claims queued rows when it is woken (a datagram from the API right after the
commit) and, as the safety net, every two seconds. A claimed job becomes a DBOS workflow under the job's id, so every
finished step is on record and a worker that died goes on with the step it was in.

One worker runs per data directory, which a file lock makes sure of: the kernel drops the lock with the process, however
it dies. So the executor id is constant and DBOS itself recovers at launch whatever the last worker left; two executors
under one id, the one thing DBOS cannot stand, cannot happen.

A step's error is recorded as its *result* ({code, message}), because DBOS's portable JSON keeps an exception's text but
not its class; that way a recovered workflow fails with exactly the error the first run saw.
"""

import asyncio
import contextlib
from typing import Any

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID

from stillframe.db.engine import prepare_sqlite
from stillframe.errors import (
    JobCancelledError,
    StillframeError,
    UnavailableError,
)
from stillframe.jobs import rows, service
from stillframe.jobs.model import LANE_LIMITS, Job, JobState
from stillframe.jobs.recipes import Recipe, RecipeBook, Step, StepFunction
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow

log = structlog.get_logger("stillframe.jobs")

SWEEP_S = 2.0
_EXECUTOR = "stillframe-worker"
_VERSION = "1"
"""Pinned: DBOS recovers only workflows of its own application version."""


class RecordedError(StillframeError):
    """A step's error as it was recorded; carries the original code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]


class JobEngine:
    """Claims, starts, cancels and recovers jobs. Made and run inside the worker's event loop, once per process."""

    def __init__(self, resources: Resources, book: RecipeBook) -> None:
        self._resources = resources
        self._book = book
        self._wake = asyncio.Event()
        self._running: dict[str, Job] = {}
        self._step_tasks: dict[str, asyncio.Task[None]] = {}

    def wake(self) -> None:
        self._wake.set()

    def launch(self) -> None:
        """Starts DBOS, which at once goes on with the workflows the last worker left. Blocks for its migrations."""
        global _engine  # noqa: PLW0603 - DBOS knows workflows as module-level functions, which need a way to us
        _engine = self
        DBOS(
            config={
                "name": "stillframe",
                "system_database_url": _sync_url(self._resources),
                "system_database_engine": _sync_engine(self._resources),
                "executor_id": _EXECUTOR,
                "application_version": _VERSION,
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "ERROR",
                "notification_listener_polling_interval_sec": 30.0,
                "scheduler_polling_interval_sec": 3600.0,
            }
        )
        DBOS.listen_queues([])
        DBOS.launch()

    def shut_down(self) -> None:
        """Leaves running workflows as they are, for the next worker to go on with."""
        DBOS.destroy(workflow_completion_timeout_sec=0)

    async def run(self) -> None:
        """Serves until cancelled."""
        await self._restart_lost()
        while True:
            self._wake.clear()
            try:
                await self._serve_once()
            except sa.exc.SQLAlchemyError as error:
                log.warning("jobs.database_unavailable", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), SWEEP_S)

    async def _serve_once(self) -> None:
        await self._stop_cancelled()
        for job in await self._claim():
            await self._start(job)

    async def _claim(self) -> list[Job]:
        database = self._resources.database
        free = {
            lane: limit - sum(job.lane is lane for job in self._running.values()) for lane, limit in LANE_LIMITS.items()
        }
        async with database.reading() as tx:
            waiting = {job.lane for job in await rows.list_jobs_in_state(tx, [JobState.QUEUED])}
        claimable = [lane for lane in waiting if free[lane] > 0]
        if not claimable:
            return []
        async with database.writing() as tx:
            return [job for lane in claimable for job in await rows.claim_jobs(tx, lane, free[lane], utcnow())]

    async def _start(self, job: Job) -> None:
        self._running[job.id] = job
        with SetWorkflowID(job.id):
            await DBOS.start_workflow_async(_run_job, job.id, job.kind)

    async def _stop_cancelled(self) -> None:
        """Interrupts the step of jobs that are cancelled or overdue; queued ones start only to be undone."""
        async with self._resources.database.reading() as tx:
            overdue = [j for j in await rows.list_jobs_in_state(tx, [JobState.RUNNING]) if j.deadline_at < utcnow()]
            cancelling = await rows.list_jobs_in_state(tx, [JobState.CANCELLING])
        if overdue:
            async with self._resources.database.writing() as tx:
                await rows.cancel_overdue(tx, utcnow(), "job_timeout", "The job took longer than its deadline.")
        for job in (*cancelling, *overdue):
            if job.id not in self._running:
                await self._start(job)
            elif task := self._step_tasks.get(job.id):
                task.cancel()

    async def _restart_lost(self) -> None:
        """Starts jobs that were claimed by a worker which died before DBOS knew of them."""
        async with self._resources.database.reading() as tx:
            claimed = await rows.list_jobs_in_state(tx, [JobState.RUNNING, JobState.CANCELLING], limit=10_000)
        for job in claimed:
            self._running.setdefault(job.id, job)
            if await DBOS.get_workflow_status_async(job.id) is None:
                await self._start(job)

    # The workflow's parts, called by _run_job below.

    async def carry_out(self, job_id: str, kind: str) -> None:
        recipe = self._book[kind]
        try:
            for step in recipe.steps:
                failure = await self._recorded(job_id, recipe, step)
                if failure is not None:
                    await self._recorded(job_id, recipe, Step("undo", self._undoing(recipe, failure), attempts=20))
                    return
        finally:
            self._running.pop(job_id, None)
            self.wake()

    async def _recorded(self, job_id: str, recipe: Recipe, step: Step) -> dict[str, str] | None:
        """Runs a step unless its outcome is on record; None when it went well, else {code, message}."""
        return await DBOS.run_step_async(
            {
                "name": f"{recipe.kind}.{step.name}",
                "retries_allowed": step.attempts > 1,
                "max_attempts": max(step.attempts, 2),
                "interval_seconds": step.first_pause_s,
                "backoff_rate": 2.0,
            },
            self._attempt,
            job_id,
            step,
        )

    async def _attempt(self, job_id: str, step: Step) -> dict[str, str] | None:
        is_undo = step.name == "undo"
        async with self._resources.database.reading() as tx:
            job = await rows.get_job(tx, job_id)
        if job is None:
            return {"code": "job_lost", "message": "The job's row is gone."}
        if job.state is JobState.CANCELLING and not is_undo:
            return _failure(_why_cancelled(job))
        try:
            await self._interruptible(job, step)
        except UnavailableError as error:
            log.warning(
                "jobs.step_unavailable", job=job.id, step=step.name, error=error.message, cause=str(error.cause)
            )
            if _is_last_attempt(step):
                return _failure(error)
            raise
        except StillframeError as error:
            log.warning("jobs.step_failed", job=job.id, step=step.name, code=error.code, cause=str(error.cause))
            return _failure(error)
        except sa.exc.DBAPIError as error:
            raise UnavailableError("The database is not available.", cause=error) from error
        except Exception:
            log.exception("jobs.step_broke", job=job.id, step=step.name)
            return _failure(StillframeError())
        return None

    async def _interruptible(self, job: Job, step: Step) -> None:
        task = asyncio.ensure_future(step.run(self._resources, job))
        if step.name == "undo":
            return await task
        self._step_tasks[job.id] = task
        try:
            return await task
        except asyncio.CancelledError:
            if asyncio.current_task() and not task.cancelled():
                raise
            async with self._resources.database.reading() as tx:
                now = await rows.get_job(tx, job.id)
            if now is None or now.state is not JobState.CANCELLING:
                raise
            raise _why_cancelled(now) from None
        finally:
            self._step_tasks.pop(job.id, None)

    def _undoing(self, recipe: Recipe, failure: dict[str, str]) -> StepFunction:
        async def undo(resources: Resources, job: Job) -> None:
            await recipe.undo(resources, job)
            error = RecordedError(**failure)
            async with resources.database.writing() as tx:
                cancelled = error.code == JobCancelledError.code
                await service.fail_job(tx, job.id, error, cancelled=cancelled)

        return undo


_engine: JobEngine


@DBOS.workflow(name="job", max_recovery_attempts=20)
async def _run_job(job_id: str, kind: str) -> None:
    await _engine.carry_out(job_id, kind)


def _failure(error: StillframeError) -> dict[str, str]:
    return {"code": error.code, "message": error.message}


def _why_cancelled(job: Job) -> StillframeError:
    return RecordedError(job.error_code, job.error_message or "") if job.error_code else JobCancelledError()


def _is_last_attempt(step: Step) -> bool:
    status: Any = DBOS.step_status
    attempt = status.current_attempt if status is not None else None
    return step.attempts == 1 or attempt is None or attempt + 1 >= step.attempts


def _sync_url(resources: Resources) -> str:
    """DBOS keeps its own SQLite file, so that its writes and ours do not wait for one lock; on PostgreSQL a schema."""
    settings = resources.settings
    if settings.db_url.startswith("sqlite"):
        return f"sqlite:///{settings.data_dir / 'workflows.db'}"
    return settings.db_url


def _sync_engine(resources: Resources) -> sa.Engine:
    url = _sync_url(resources)
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_size=5, max_overflow=10, pool_pre_ping=True)
    engine = sa.create_engine(url, connect_args={"check_same_thread": False})
    sa.event.listen(engine, "connect", _prepare_for_dbos)
    return engine


def _prepare_for_dbos(connection: Any, record: object) -> None:
    """DBOS says BEGIN itself in its migrations and leaves it to the driver everywhere else."""
    prepare_sqlite(connection, record)
    connection.isolation_level = "IMMEDIATE"
