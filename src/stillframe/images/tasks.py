"""Imports as the image API's tasks: the jobs of this room, in Glance's words. They are forgotten as all jobs are.

Source: OpenStack Image API v2, "Tasks"; openstack/glance glance/policies/tasks.py (administrators only).
"""

import enum
from datetime import datetime, timedelta
from typing import Any

import msgspec

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.images import service
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, JobQuery, JobSort, JobState, Service
from stillframe.kit.ids import is_uuid
from stillframe.kit.units import MIB


class TaskStatus(enum.StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILURE = "failure"


_STATES: dict[TaskStatus, tuple[JobState, ...]] = {
    TaskStatus.PENDING: (JobState.QUEUED,),
    TaskStatus.PROCESSING: (JobState.RUNNING, JobState.CANCELLING),
    TaskStatus.SUCCESS: (JobState.SUCCEEDED,),
    TaskStatus.FAILURE: (JobState.FAILED, JobState.CANCELLED),
}
SORTS = {
    "created_at": JobSort.CREATED,
    "updated_at": JobSort.CHANGED,
    "expires_at": JobSort.FINISHED,
    "id": JobSort.ID,
    "type": JobSort.KIND,
    "status": JobSort.STATE,
}
_STATUSES = {state: status for status, states in _STATES.items() for state in states}


class Task(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: str
    status: TaskStatus
    project_id: str | None
    user_id: str | None
    request_id: str
    image_id: str
    input: dict[str, Any]
    result: dict[str, Any] | None
    message: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    """When it will be forgotten; None as long as it is not finished."""


class TaskQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: int
    marker: str | None = None
    sort_key: str = "created_at"
    descending: bool = True
    status: TaskStatus | None = None
    type: str | None = None


def require_tasks_access(caller: Caller) -> None:
    """Raises: ForbiddenError for everybody but administrators of the platform."""
    if not caller.is_platform_admin:
        raise ForbiddenError("Only an administrator of the platform may use the tasks API.")


async def get_task(tx: Transaction, caller: Caller, settings: Settings, task_id: str) -> Task:
    """Raises: ForbiddenError, NotFoundError; `task_id` may be any text."""
    require_tasks_access(caller)
    return task_of_job(await _find_job(tx, task_id), settings)


async def _find_job(tx: Transaction, task_id: str) -> Job:
    if not is_uuid(task_id):
        raise NotFoundError(f"No task found with ID {task_id[:255]}")
    return await jobs.find_job(tx, task_id, Service.GLANCE)


async def list_tasks(tx: Transaction, caller: Caller, settings: Settings, query: TaskQuery) -> list[Task]:
    """Everybody's. Raises: ForbiddenError; InvalidInputError when the marker is no task."""
    require_tasks_access(caller)
    found = await jobs.list_jobs_of_service(
        tx,
        Service.GLANCE,
        JobQuery(
            limit=query.limit,
            after_id=(await _marked_job(tx, query.marker)).id if query.marker is not None else None,
            sort=SORTS[query.sort_key],
            descending=query.descending,
            states=_STATES[query.status] if query.status else (),
            kinds=(query.type,) if query.type else (),
        ),
    )
    return [task_of_job(job, settings) for job in found]


async def _marked_job(tx: Transaction, marker: str) -> Job:
    try:
        return await _find_job(tx, marker)
    except NotFoundError:
        raise InvalidInputError(f"The marker {marker[:255]} is not a task.", field="marker") from None


async def list_tasks_of_image(tx: Transaction, caller: Caller, settings: Settings, image_id: str) -> list[Task]:
    """Those of the caller's project, oldest first: what others have imported, and from where, is not for everybody
    who sees the image.

    Raises: ImageNotFoundError.
    """
    image = await service.get_visible_image(tx, caller, image_id)
    found = await jobs.list_jobs_of_subject(tx, image.id, Service.GLANCE)
    return [
        task_of_job(job, settings) for job in found if caller.is_platform_admin or job.project_id == caller.project_id
    ]


def task_of_job(job: Job, settings: Settings) -> Task:
    forgotten_after = timedelta(days=settings.job_retention_days)
    return Task(
        id=job.id,
        type=job.kind,
        status=_STATUSES[job.state],
        project_id=job.project_id,
        user_id=job.user_id,
        request_id=job.args["request_id"],
        image_id=job.args["image_id"],
        input=job.args["input"],
        result=job.result if job.state is JobState.SUCCEEDED else None,
        message=_message(job),
        created_at=job.created_at,
        updated_at=job.finished_at or job.started_at or job.created_at,
        expires_at=job.finished_at + forgotten_after if job.finished_at else None,
    )


def _message(job: Job) -> str:
    if job.error_message and job.state in _STATES[TaskStatus.FAILURE]:
        return job.error_message
    return f"Copied {job.bytes_done // MIB} MiB" if job.state is JobState.RUNNING and job.bytes_done else ""
