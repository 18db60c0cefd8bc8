"""What the EVS API does by jobs where Cinder does it at once: several volumes in one request, and deletion."""

import asyncio
from typing import Any

from msgspec.structs import replace

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, JobCancelledError, UnavailableError
from stillframe.identity.model import Caller
from stillframe.jobs import service as jobs
from stillframe.jobs.model import FINAL, Job, JobState, Lane, NewJob, Service
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.ids import new_hex_id
from stillframe.volumes import creation, service
from stillframe.volumes.creation import NewVolume
from stillframe.volumes.model import Volume, VolumeStatus

BATCH_KIND = "volume_create_batch"
DELETE_KIND = "volume_delete"
MAX_VOLUMES = 100

_SETTLE_TIMEOUT_S = 90.0
_SETTLE_PAUSE_S = 0.05


async def create_volumes(
    tx: Transaction, caller: Caller, settings: Settings, new: NewVolume, count: int
) -> tuple[list[Volume], Job]:
    """All of them or none, called `name-0001` and so on when there are several; the job ends with the last of theirs.

    Raises: as `creation.create_volume`.
    """
    if count == 1:
        volume, job = await creation.create_volume(tx, caller, settings, new)
        return [volume], job
    if not 1 < count <= MAX_VOLUMES:
        raise InvalidInputError(f"Between 1 and {MAX_VOLUMES} volumes can be made at once.", field="count")
    made = [
        await creation.create_volume(tx, caller, settings, replace(new, name=f"{new.name}-{number:04d}"))
        for number in range(1, count + 1)
    ]
    args = {"job_ids": [job.id for _, job in made], "volume_ids": [volume.id for volume, _ in made]}
    return [volume for volume, _ in made], await _submit(tx, caller, settings, BATCH_KIND, None, args)


async def delete_volume(tx: Transaction, caller: Caller, settings: Settings, volume_id: str) -> Job:
    """The volume is `deleting` until the job has removed it. Raises: as `service.delete_volume`."""
    volume = await service.lock_own_volume(tx, caller, volume_id)
    await service.require_deletable(tx, volume)
    args = {"volume_id": volume.id, "before": str(volume.status), "about": service.about(volume)}
    job = await _submit(tx, caller, settings, DELETE_KIND, volume.id, args)
    await service.change_volume(tx, volume, status=VolumeStatus.DELETING, job_id=job.id)
    return job


async def _submit(
    tx: Transaction, caller: Caller, settings: Settings, kind: str, subject_id: str | None, args: dict[str, Any]
) -> Job:
    return await jobs.submit_job(
        tx,
        NewJob(
            id=new_hex_id(),
            kind=kind,
            service=Service.EVS,
            lane=Lane.MACHINE,
            subject_id=subject_id,
            project_id=caller.require_project(),
            user_id=caller.user_id,
            args=args,
            timeout_s=settings.job_timeout_s,
        ),
    )


async def _await_parts(resources: Resources, job: Job) -> None:
    for _ in range(int(_SETTLE_TIMEOUT_S / _SETTLE_PAUSE_S)):
        async with resources.database.reading() as tx:
            parts = [
                await jobs.get_job(tx, part_id, project_id=job.project_id or "", service=Service.EVS)
                for part_id in job.args["job_ids"]
            ]
        if all(part.state in FINAL for part in parts):
            if any(part.state is not JobState.SUCCEEDED for part in parts):
                raise UnavailableError("Some of the volumes could not be made.")
            async with resources.database.writing() as tx:
                await jobs.succeed_job(tx, job.id, {"volume_ids": job.args["volume_ids"]})
            return
        await asyncio.sleep(_SETTLE_PAUSE_S)
    raise UnavailableError("The volumes are not ready yet.")


async def _remove(resources: Resources, job: Job) -> None:
    async with resources.database.writing() as tx:
        volume = await service.lock_volume(tx, job.args["volume_id"])
        if volume is not None:
            if volume.job_id != job.id:
                raise JobCancelledError
            await service.discard_volume(tx, volume)
        await jobs.succeed_job(tx, job.id, job.args["about"])


async def _undo_remove(resources: Resources, job: Job) -> None:
    async with resources.database.writing() as tx:
        volume = await service.lock_volume(tx, job.args["volume_id"])
        if volume is not None and volume.job_id == job.id:
            await service.change_volume(tx, volume, status=VolumeStatus(job.args["before"]), job_id=None)


async def _nothing(resources: Resources, job: Job) -> None:
    """The volumes are what their own jobs have made of them."""


RECIPES = (
    Recipe(kind=BATCH_KIND, steps=(Step("wait", _await_parts, attempts=4),), undo=_nothing),
    Recipe(kind=DELETE_KIND, steps=(Step("remove", _remove, attempts=4),), undo=_undo_remove),
)
