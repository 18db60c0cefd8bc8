"""The jobs table and all its SQL. Final states are kept final by every UPDATE's WHERE."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stillframe.db import Transaction, UtcTime, metadata
from stillframe.jobs.model import LIVE, Job, JobQuery, JobSort, JobState, Lane, Service

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("service", sa.String(10), nullable=False),
    sa.Column("lane", sa.String(16), nullable=False),
    sa.Column("project_id", sa.String(32)),
    sa.Column("user_id", sa.String(32)),
    sa.Column("subject_id", sa.String(36)),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("phase", sa.String(40), nullable=False),
    sa.Column("bytes_done", sa.BigInteger, nullable=False),
    sa.Column("bytes_total", sa.BigInteger, nullable=False),
    sa.Column("error_code", sa.String(64)),
    sa.Column("error_message", sa.Text),
    sa.Column("args", sa.JSON, nullable=False),
    sa.Column("result", sa.JSON, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("started_at", UtcTime),
    sa.Column("finished_at", UtcTime),
    sa.Column("deadline_at", UtcTime, nullable=False),
    sa.Index("ix_jobs_live", "state", "lane", "created_at"),
    sa.Index("ix_jobs_subject_id_state", "subject_id", "state"),
    sa.Index("ix_jobs_project_id_service_state", "project_id", "service", "state"),
    sa.Index("ix_jobs_service_created_at_id", "service", "created_at", "id"),
)


def _job(row: sa.Row[Any]) -> Job:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    fields["state"] = JobState(fields["state"])
    fields["service"] = Service(fields["service"])
    fields["lane"] = Lane(fields["lane"])
    return Job(**fields)


async def insert_job(tx: Transaction, job: Job) -> None:
    await tx.execute(sa.insert(jobs).values(**{name: getattr(job, name) for name in job.__struct_fields__}))


_JOB = sa.select(jobs).where(jobs.c.id == sa.bindparam("id"))
"""Built once, for whoever waits for a job asks again and again."""


async def get_job(tx: Transaction, job_id: str) -> Job | None:
    row = await tx.first(_JOB, {"id": job_id})
    return _job(row) if row else None


async def list_jobs(tx: Transaction, job_ids: Collection[str]) -> list[Job]:
    return [_job(row) for row in await tx.all(sa.select(jobs).where(jobs.c.id.in_(job_ids)))] if job_ids else []


async def update_live_job(tx: Transaction, job_id: str, **values: Any) -> bool:
    """False when the job has ended already (or never was): a final state never changes."""
    result = await tx.execute(sa.update(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(LIVE)).values(**values))
    return result.rowcount == 1


async def list_jobs_in_state(
    tx: Transaction, states: Collection[JobState], *, lane: Lane | None = None, limit: int = 500
) -> list[Job]:
    query = sa.select(jobs).where(jobs.c.state.in_(states)).order_by(jobs.c.created_at, jobs.c.id).limit(limit)
    if lane is not None:
        query = query.where(jobs.c.lane == lane)
    return [_job(row) for row in await tx.all(query)]


async def list_lanes_with_queued_jobs(tx: Transaction) -> list[Lane]:
    query = sa.select(jobs.c.lane).where(jobs.c.state == JobState.QUEUED).distinct()
    return [Lane(row.lane) for row in await tx.all(query)]


async def claim_jobs(tx: Transaction, lane: Lane, limit: int, now: datetime) -> list[Job]:
    """Turns the oldest queued jobs of a lane into running ones."""
    queued = (
        sa.select(jobs)
        .where(jobs.c.state == JobState.QUEUED, jobs.c.lane == lane)
        .order_by(jobs.c.created_at, jobs.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = [_job(row) for row in await tx.all(queued)]
    if found:
        await tx.execute(
            sa.update(jobs)
            .where(jobs.c.id.in_([job.id for job in found]), jobs.c.state == JobState.QUEUED)
            .values(state=JobState.RUNNING, started_at=now)
        )
    return found


async def cancel_overdue(tx: Transaction, now: datetime, code: str, message: str) -> None:
    """Running jobs will end as failed with that error once they are undone."""
    await _cancel(tx, jobs.c.deadline_at < now, code, message)


async def cancel_running(tx: Transaction, job_id: str, code: str, message: str) -> None:
    """As `cancel_overdue`, for one job; one that is being cancelled already keeps its reason."""
    await _cancel(tx, jobs.c.id == job_id, code, message)


async def _cancel(tx: Transaction, which: sa.ColumnElement[bool], code: str, message: str) -> None:
    running = sa.update(jobs).where(which, jobs.c.state == JobState.RUNNING)
    await tx.execute(running.values(state=JobState.CANCELLING, error_code=code, error_message=message))


async def count_live_jobs(tx: Transaction, project_id: str, service: Service, kind: str | None = None) -> int:
    query = sa.select(sa.func.count()).where(
        jobs.c.project_id == project_id, jobs.c.service == service, jobs.c.state.in_(LIVE)
    )
    if kind is not None:
        query = query.where(jobs.c.kind == kind)
    return int(await tx.scalar(query))


async def list_live_jobs(tx: Transaction, project_id: str, service: Service, kind: str) -> list[Job]:
    query = sa.select(jobs).where(
        jobs.c.project_id == project_id, jobs.c.service == service, jobs.c.state.in_(LIVE), jobs.c.kind == kind
    )
    return [_job(row) for row in await tx.all(query)]


async def live_kinds_of_subject(tx: Transaction, subject_id: str) -> Sequence[str]:
    query = sa.select(jobs.c.kind).where(jobs.c.subject_id == subject_id, jobs.c.state.in_(LIVE))
    return [row.kind for row in await tx.all(query)]


_CHANGED_AT = sa.func.coalesce(jobs.c.finished_at, jobs.c.started_at, jobs.c.created_at, type_=UtcTime)
_SORTS: dict[JobSort, sa.ColumnElement[Any]] = {
    JobSort.CREATED: jobs.c.created_at,
    JobSort.CHANGED: _CHANGED_AT,
    # The databases disagree on where nulls go, and what is not finished has nothing else to be compared.
    JobSort.FINISHED: sa.func.coalesce(jobs.c.finished_at, jobs.c.deadline_at, type_=UtcTime),
    JobSort.ID: jobs.c.id,
    JobSort.KIND: jobs.c.kind,
    JobSort.STATE: jobs.c.state,
}


async def list_jobs_of_service(tx: Transaction, service: Service, query: JobQuery) -> list[Job]:
    """By creation along an index; by anything else the service's jobs are sorted, which are as many as are kept."""
    key = _SORTS[query.sort]
    order = [column.desc() if query.descending else column.asc() for column in (key, jobs.c.id)]
    statement = sa.select(jobs).where(jobs.c.service == service).order_by(*order).limit(query.limit)
    if query.states:
        statement = statement.where(jobs.c.state.in_(query.states))
    if query.kinds:
        statement = statement.where(jobs.c.kind.in_(query.kinds))
    if query.after_id is not None:
        last_key = await tx.scalar(sa.select(key).where(jobs.c.id == query.after_id))
        place, last = sa.tuple_(key, jobs.c.id), sa.tuple_(sa.literal(last_key, key.type), sa.literal(query.after_id))
        statement = statement.where(place < last if query.descending else place > last)
    return [_job(row) for row in await tx.all(statement)]


async def list_jobs_of_subject(tx: Transaction, subject_id: str, service: Service) -> list[Job]:
    query = sa.select(jobs).where(jobs.c.subject_id == subject_id, jobs.c.service == service)
    return [_job(row) for row in await tx.all(query.order_by(jobs.c.created_at, jobs.c.id))]


async def delete_jobs_finished_before(tx: Transaction, moment: datetime) -> int:
    result = await tx.execute(sa.delete(jobs).where(jobs.c.finished_at < moment))
    return int(result.rowcount)
