"""What a caller or a workflow can do with jobs. Everything happens inside the transaction handed in."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.db.outages import is_outage
from stillframe.errors import ConflictError, JobNotStoredError, NotFoundError, StillframeError
from stillframe.jobs import rows
from stillframe.jobs.model import LIVE, Job, JobQuery, JobState, NewJob, Service
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import derived_uuid, is_hex_id, is_uuid, new_hex_id


async def submit_job(tx: Transaction, new: NewJob) -> Job:
    """Stores the job and has the worker told after the commit; no commit, no job.

    Raises: JobNotStoredError.
    """
    now = utcnow()
    job = Job(
        id=new.id or new_hex_id(),
        kind=new.kind,
        service=new.service,
        lane=new.lane,
        project_id=new.project_id,
        user_id=new.user_id,
        subject_id=new.subject_id,
        state=JobState.QUEUED,
        phase="queued",
        bytes_done=0,
        bytes_total=0,
        error_code=None,
        error_message=None,
        args=new.args,
        result={},
        created_at=now,
        started_at=None,
        finished_at=None,
        deadline_at=now + timedelta(seconds=new.timeout_s),
    )
    try:
        await rows.insert_job(tx, job)
    except sa.exc.SQLAlchemyError as error:
        if is_outage(error):  # a step that submits another job waits for it to end
            raise
        raise JobNotStoredError(cause=error) from error
    tx.wake_worker_on_commit()
    return job


async def record_job(tx: Transaction, new: NewJob, result: dict[str, Any]) -> Job:
    """A job that no worker carries out: the request has done it, or it is nothing but its parts, which are jobs
    themselves, in `args["job_ids"]`. Raises: JobNotStoredError.
    """
    job = await submit_job(tx, new)
    await succeed_job(tx, job.id, result)
    return replace(job, state=JobState.SUCCEEDED, result=result)


async def record_sub_jobs(
    tx: Transaction, job: Job, parts: Sequence[tuple[str, dict[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """Parts of a job that callers can ask for by themselves, each a kind and a result, as finished as the job will be
    in the same transaction. The answer belongs into the job's own result.
    """
    now = utcnow()
    sub_jobs = [
        replace(
            job,
            id=derived_uuid(job.id, "sub job", str(number)).replace("-", ""),
            kind=kind,
            state=JobState.SUCCEEDED,
            phase="done",
            args={"parent_id": job.id},
            result=result,
            finished_at=now,
        )
        for number, (kind, result) in enumerate(parts)
    ]
    for sub_job in sub_jobs:
        await rows.insert_job(tx, sub_job)
    return {"sub_jobs": [{"id": one.id, "kind": one.kind, "result": one.result} for one in sub_jobs]}


async def get_job(tx: Transaction, job_id: str, *, project_id: str, service: Service) -> Job:
    """`job_id` may be any text. Raises: NotFoundError also for another project's job and for one of another service."""
    job = await rows.get_job(tx, job_id) if is_hex_id(job_id) or is_uuid(job_id) else None
    if job is None or job.project_id != project_id or job.service is not service:
        raise NotFoundError(f"No job with id {job_id} was found.")
    return job


async def cancel_job(tx: Transaction, job_id: str, *, project_id: str, service: Service) -> Job:
    """Asks a live job to stop; it ends as `cancelled` once its effects are undone. Repeating is harmless.

    Raises: NotFoundError; ConflictError when it has ended already.
    """
    await get_job(tx, job_id, project_id=project_id, service=service)
    is_live = await rows.update_live_job(tx, job_id, state=JobState.CANCELLING)
    job = await get_job(tx, job_id, project_id=project_id, service=service)
    if not is_live:
        raise ConflictError(f"Job {job_id} has already ended ({job.state}).")
    tx.wake_worker_on_commit()
    return job


async def stop_job(tx: Transaction, job_id: str) -> None:
    """As `cancel_job`, on behalf of the service itself; harmless for a job that has ended or never was."""
    if await rows.update_live_job(tx, job_id, state=JobState.CANCELLING):
        tx.wake_worker_on_commit()


async def find_job(tx: Transaction, job_id: str, service: Service) -> Job:
    """A job of whichever project. Raises: NotFoundError also for one of another service."""
    job = await rows.get_job(tx, job_id)
    if job is None or job.service is not service:
        raise NotFoundError(f"No job with id {job_id[:64]} was found.")
    return job


async def list_jobs(tx: Transaction, job_ids: Sequence[str]) -> list[Job]:
    """In that order, those that are not forgotten yet."""
    found = {job.id: job for job in await rows.list_jobs(tx, job_ids)}
    return [found[job_id] for job_id in job_ids if job_id in found]


async def list_jobs_of_service(tx: Transaction, service: Service, query: JobQuery) -> list[Job]:
    """Jobs of all projects, one page of them."""
    return await rows.list_jobs_of_service(tx, service, query)


async def list_jobs_of_subject(tx: Transaction, subject_id: str, service: Service) -> list[Job]:
    """Oldest first."""
    return await rows.list_jobs_of_subject(tx, subject_id, service)


async def succeed_job(tx: Transaction, job_id: str, result: dict[str, Any]) -> None:
    """Part of the transaction that makes the job's effect visible, so that both are seen or neither."""
    await rows.update_live_job(tx, job_id, state=JobState.SUCCEEDED, phase="done", result=result, finished_at=utcnow())


async def fail_job(tx: Transaction, job_id: str, error: StillframeError, *, cancelled: bool = False) -> None:
    await rows.update_live_job(
        tx,
        job_id,
        state=JobState.CANCELLED if cancelled else JobState.FAILED,
        phase="cancelled" if cancelled else "failed",
        error_code=error.code,
        error_message=error.message,
        finished_at=utcnow(),
    )


async def report_progress(tx: Transaction, job_id: str, phase: str, done: int = 0, total: int = 0) -> None:
    await rows.update_live_job(tx, job_id, phase=phase, bytes_done=done, bytes_total=total)


async def report_result(tx: Transaction, job_id: str, result: dict[str, Any]) -> None:
    """What is known so far; it stays readable when the job fails."""
    await rows.update_live_job(tx, job_id, result=result)


async def count_live_jobs(tx: Transaction, project_id: str, service: Service) -> int:
    return await rows.count_live_jobs(tx, project_id, service)


async def count_live_jobs_of_kind(tx: Transaction, project_id: str, service: Service, kind: str) -> int:
    return await rows.count_live_jobs(tx, project_id, service, kind)


async def list_live_jobs_of_kind(tx: Transaction, project_id: str, service: Service, kind: str) -> list[Job]:
    return await rows.list_live_jobs(tx, project_id, service, kind)


async def forget_jobs_finished_before(tx: Transaction, moment: datetime) -> int:
    return await rows.delete_jobs_finished_before(tx, moment)


async def has_live_job(tx: Transaction, subject_id: str, *kinds: str) -> bool:
    """Whether a job of one of the kinds (any kind when none is named) is not finished for the subject."""
    live = await rows.live_kinds_of_subject(tx, subject_id)
    return any(not kinds or kind in kinds for kind in live)


async def is_live(tx: Transaction, job_id: str) -> bool:
    """Whether it has not ended; one that was forgotten since has."""
    job = await rows.get_job(tx, job_id)
    return job is not None and job.state in LIVE
