"""Runs recipes durably, on DBOS.

The job row is the queue: the worker claims queued rows when it is woken (a datagram from the API right after the
commit) and, as the safety net, every two seconds. A claimed job becomes a DBOS workflow under the job's id, so every
finished step is on record and a worker that died goes on with the step it was in.

One worker runs per data directory, which a file lock makes sure of: the kernel drops the lock with the process, however
it dies. So the executor id is constant and DBOS itself recovers at launch whatever the last worker left; two executors
under one id, the one thing DBOS cannot stand, cannot happen.

A step's error is recorded as its *result* ({code, message}), because DBOS's portable JSON keeps an exception's text but
not its class; that way a recovered workflow fails with exactly the error the first run saw.

Our row is the truth. What DBOS has on record only saves work: a job whose row has ended is left alone whatever step
comes again, and one whose workflow is over without having ended it is undone and failed.
"""

import asyncio
import contextlib
import time
from collections.abc import Collection, Coroutine
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from dbos import DBOS, SetWorkflowID

from stillframe.db.outages import is_outage
from stillframe.errors import (
    JobCancelledError,
    StillframeError,
    UnavailableError,
)
from stillframe.jobs import rows, service
from stillframe.jobs.checkpoints import dbos_config, forget_workflows_ended_before
from stillframe.jobs.model import FINAL, LANE_LIMITS, Job, JobState, Lane
from stillframe.jobs.recipes import Recipe, RecipeBook, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow

log = structlog.get_logger("stillframe.jobs")

SWEEP_S = 2.0
OUTAGE_PAUSE_S = 1.0
"""Between two tries of a step while the database is away."""
RESUME_AFTER_S = 30.0
_UNDO = "undo"
_FORGET_INTERVAL_S = 3600.0
_FORGET_AFTER = timedelta(hours=1)


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
        self._running: dict[str, Recipe] = {}
        """Jobs that a workflow of this process works on, or is about to, by id."""
        self._left_to_dbos: dict[str, float] = {}
        """Jobs that DBOS has on record as begun, but that nobody works on; and since when."""
        self._step_tasks: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def wake(self) -> None:
        self._wake.set()

    def launch(self) -> None:
        """Starts DBOS, which at once goes on with the workflows the last worker left. Blocks for its migrations."""
        global _engine  # noqa: PLW0603 - DBOS knows workflows as module-level functions, which need a way to us
        _engine = self
        DBOS(config=dbos_config(self._resources.settings))
        DBOS.listen_queues([])
        DBOS.launch()

    def shut_down(self) -> None:
        """Leaves running workflows as they are, for the next worker to go on with."""
        for task in self._tasks:
            task.cancel()
        DBOS.destroy(workflow_completion_timeout_sec=0)

    async def run(self) -> None:
        """Serves until cancelled."""
        forgetting = self._in_background(self._forget_workflows_forever())
        try:
            while True:
                self._wake.clear()
                try:
                    await self._serve_once()
                except sa.exc.SQLAlchemyError as error:
                    log.warning("jobs.database_unavailable", error=str(error))
                # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the event.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SWEEP_S):
                        await self._wake.wait()
        finally:
            forgetting.cancel()

    async def _serve_once(self) -> None:
        async with self._resources.database.reading() as tx:
            started = await rows.list_jobs_in_state(tx, [JobState.RUNNING, JobState.CANCELLING], limit=10_000)
            waiting = await rows.list_lanes_with_queued_jobs(tx)
        await self._look_after(started)
        for job in await self._claim(waiting, started):
            await self._start(job)

    async def _claim(self, waiting: Collection[Lane], started: Collection[Job]) -> list[Job]:
        """Limits are counted by rows: a job that was started by the last worker takes its place, too."""
        free = {lane: LANE_LIMITS[lane] - sum(job.lane is lane for job in started) for lane in waiting}
        claimable = [lane for lane in waiting if free[lane] > 0]
        if not claimable:
            return []
        async with self._resources.database.writing() as tx:
            return [job for lane in claimable for job in await rows.claim_jobs(tx, lane, free[lane], utcnow())]

    async def _start(self, job: Job) -> None:
        self._running[job.id] = self._book.find(job.kind)
        try:
            with SetWorkflowID(job.id):
                await DBOS.start_workflow_async(_run_job, job.id, job.kind)
        except BaseException:
            self._running.pop(job.id, None)
            raise

    async def _look_after(self, started: Collection[Job]) -> None:
        """Interrupts the step of jobs that are cancelled or overdue, and takes up jobs that nobody works on."""
        overdue = {job.id for job in started if job.state is JobState.RUNNING and job.deadline_at < utcnow()}
        if overdue:
            async with self._resources.database.writing() as tx:
                await rows.cancel_overdue(tx, utcnow(), "job_timeout", "The job took longer than its deadline.")
        for job in started:
            if job.id not in self._running:
                await self._take_up(job.id)
            elif job.state is JobState.CANCELLING or job.id in overdue:
                self._interrupt(job.id)

    def _interrupt(self, job_id: str) -> None:
        """Once: a second time would disturb the step while it cleans up."""
        task = self._step_tasks.get(job_id)
        if task is not None and not task.cancelling():
            task.cancel()

    async def _take_up(self, job_id: str) -> None:
        """For a job that has been started, but by no workflow of this process."""
        job = await self._read(job_id)
        if job is None or job.state in FINAL:
            return
        status = await DBOS.get_workflow_status_async(job.id)
        if job.id in self._running:
            return
        if status is None:
            # Cancelled in the queue, or claimed by a worker which died before DBOS knew of it.
            await self._start(job)
        elif status.status in {"ENQUEUED", "PENDING"}:
            await self._leave_to_dbos(job.id)
        else:
            await self._give_up(job)

    async def _leave_to_dbos(self, job_id: str) -> None:
        """Within a second or two of its launch DBOS goes on with what the last worker left.

        If it does not, the workflow is one of our own that could not write down how it ended: its disk was full.
        """
        now = time.monotonic()
        if now - self._left_to_dbos.setdefault(job_id, now) > RESUME_AFTER_S:
            self._left_to_dbos[job_id] = now
            await DBOS.resume_workflow_async(job_id)

    async def _give_up(self, job: Job) -> None:
        """For a job whose workflow is over without having ended it: it broke, or took too many workers with it."""
        log.error("jobs.workflow_lost", job=job.id, kind=job.kind)
        async with self._resources.database.writing() as tx:
            await rows.cancel_running(tx, job.id, StillframeError.code, StillframeError.default_message)
        recipe = self._running[job.id] = self._book.find(job.kind)
        self._in_background(self._undo_lost(job, recipe))

    async def _undo_lost(self, job: Job, recipe: Recipe) -> None:
        now = await self._read(job.id)
        undo = self._undo_step(recipe, _failure(_why_cancelled(now or job)))
        try:
            await self._attempt(job.id, undo)
        finally:
            self._running.pop(job.id, None)

    async def _forget_workflows_forever(self) -> None:
        while True:
            await asyncio.sleep(_FORGET_INTERVAL_S)
            try:
                await forget_workflows_ended_before(utcnow() - _FORGET_AFTER)
            except sa.exc.SQLAlchemyError as error:
                log.warning("jobs.workflows_not_forgotten", error=str(error))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._keep(task)
        return task

    def _keep(self, task: "asyncio.Task[Any] | None") -> None:
        """Until it is done; `shut_down` ends it."""
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # The workflow's parts, called by _run_job below.

    async def carry_out(self, job_id: str, kind: str) -> None:
        recipe = self._running[job_id] = self._book.find(kind)
        self._left_to_dbos.pop(job_id, None)
        self._keep(asyncio.current_task())
        try:
            for step in recipe.steps:
                failure = await self._recorded(job_id, recipe, step)
                if failure is not None:
                    await self._recorded(job_id, recipe, self._undo_step(recipe, failure))
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
        """One try of a step. A database that is away is waited for: that is no failure of the step's."""
        while True:
            try:
                return await self._attempt_now(job_id, step)
            except sa.exc.SQLAlchemyError as error:
                if not is_outage(error):
                    raise
                log.warning("jobs.waiting_for_database", job=job_id, step=step.name, error=str(error))
            await asyncio.sleep(OUTAGE_PAUSE_S)

    async def _attempt_now(self, job_id: str, step: Step) -> dict[str, str] | None:
        job = await self._read(job_id)
        if job is None or job.state in FINAL:
            # The worker died after the step's last commit and before that was on record. Going on would fail on a world
            # that has moved on since, and the undo would take back what the caller has been told is there.
            return None
        if job.state is JobState.CANCELLING and step.name != _UNDO:
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
        except Exception as error:
            if is_outage(error):
                raise
            log.exception("jobs.step_broke", job=job.id, step=step.name)
            return _failure(StillframeError())
        return None

    async def _interruptible(self, job: Job, step: Step) -> None:
        if step.name == _UNDO:
            await step.run(self._resources, job)
            return
        task = self._step_tasks[job.id] = asyncio.ensure_future(step.run(self._resources, job))
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:  # the worker stops; the next one goes on with this step
            task.cancel()
            await asyncio.wait([task])
            raise
        finally:
            self._step_tasks.pop(job.id, None)
        if not task.cancelled():
            task.result()
            return
        now = await self._read(job.id)
        if now is not None and now.state is JobState.CANCELLING:
            raise _why_cancelled(now)
        if now is None or now.state not in FINAL:  # else its last commit was quicker
            raise StillframeError(cause="the step has cancelled itself")

    def _undo_step(self, recipe: Recipe, failure: dict[str, str]) -> Step:
        async def undo(resources: Resources, job: Job) -> None:
            try:
                await recipe.undo(resources, job)
            except Exception as error:
                if isinstance(error, UnavailableError) or is_outage(error):
                    raise
                # What it has not taken back stays; a job that never ends would be worse.
                log.exception("jobs.undo_broke", job=job.id, kind=job.kind)
            async with resources.database.writing() as tx:
                cancelled = failure["code"] == JobCancelledError.code
                await service.fail_job(tx, job.id, RecordedError(**failure), cancelled=cancelled)

        return Step(_UNDO, undo, attempts=20)

    async def _read(self, job_id: str) -> Job | None:
        async with self._resources.database.reading() as tx:
            return await rows.get_job(tx, job_id)


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
