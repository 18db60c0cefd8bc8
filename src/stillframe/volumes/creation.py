"""Making volumes: the request's part, and the job that makes the disk."""

import msgspec

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.jobs import service as jobs
from stillframe.jobs.model import FINAL, Job, Lane, NewJob, Service
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_hex_id, new_uuid
from stillframe.layers import files
from stillframe.layers import service as layers
from stillframe.volumes import service, sources
from stillframe.volumes.model import DEFAULT_VOLUME_TYPE, Volume, VolumeStatus
from stillframe.volumes.sources import DiskBase

CREATE_KIND = "volume_create"


class NewVolume(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants. At most one source; `size_gib` None takes the smallest that the source fits in."""

    name: str = ""
    description: str = ""
    size_gib: int | None = None
    volume_type: str | None = None
    availability_zone: str | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    image_id: str | None = None


async def create_volume(tx: Transaction, caller: Caller, settings: Settings, new: NewVolume) -> tuple[Volume, Job]:
    """The volume as `creating`, and the job that makes its disk; that takes the same time for every size and source.

    Raises: InvalidInputError, NotFoundError, ImageNotBootableError, ForbiddenError, VolumeQuotaExceededError.
    Source: OpenStack Block Storage API v3 reference, "Create a volume".
    """
    caller.require_writer()
    project_id = caller.require_project()
    sources.require_volume_type(new.volume_type)
    require_zone(settings, new.availability_zone)
    base = await _base(tx, caller, new)
    size_bytes = sources.checked_size_bytes(base, new.size_gib)
    await service.require_room_for_volumes(tx, settings, project_id, [size_bytes])
    job_id, now = new_hex_id(), utcnow()
    volume = Volume(
        id=new_uuid(),
        project_id=project_id,
        user_id=caller.user_id,
        name=new.name,
        description=new.description,
        size_bytes=size_bytes,
        status=VolumeStatus.CREATING,
        volume_type=new.volume_type or DEFAULT_VOLUME_TYPE,
        availability_zone=settings.availability_zone,
        bootable=base.bootable,
        layer_id=await sources.plan_layer(tx, base, size_bytes, job_id),
        image_metadata=base.image_metadata,
        snapshot_id=base.snapshot_id,
        metadata=new.metadata,
        tags=new.tags,
        job_id=job_id,
        created_at=now,
        updated_at=now,
    )
    await service.insert_volume(tx, volume)
    return volume, await _submit(tx, settings, volume)


async def _base(tx: Transaction, caller: Caller, new: NewVolume) -> DiskBase:
    if new.image_id is not None:
        return await sources.base_of_image(tx, caller, new.image_id)
    return sources.BLANK


def require_zone(settings: Settings, wanted: str | None) -> None:
    """Raises: InvalidInputError."""
    if wanted not in {None, "", settings.availability_zone}:
        raise InvalidInputError(f"Availability zone '{(wanted or '')[:64]}' is invalid.", field="availability_zone")


async def _submit(tx: Transaction, settings: Settings, volume: Volume) -> Job:
    return await jobs.submit_job(
        tx,
        NewJob(
            id=volume.job_id,
            kind=CREATE_KIND,
            service=Service.EVS,
            lane=Lane.SEAL,
            subject_id=volume.id,
            project_id=volume.project_id,
            user_id=volume.user_id,
            args={"volume_id": volume.id, "layer_id": volume.layer_id},
            timeout_s=settings.job_timeout_s,
        ),
    )


async def _make_disk(resources: Resources, job: Job) -> None:
    await files.create_disk(resources, job.args["layer_id"])
    async with resources.database.writing() as tx:
        await layers.activate(tx, job.args["layer_id"])
        volume = await service.lock_volume(tx, job.args["volume_id"])
        if volume is None or volume.job_id != job.id:
            raise InvalidInputError("The volume has been removed while it was being made.")
        await service.change_volume(tx, volume, status=VolumeStatus.AVAILABLE, job_id=None)
        await jobs.succeed_job(tx, job.id, {"volume_id": volume.id})


async def _undo(resources: Resources, job: Job) -> None:
    """The volume stays, in ERROR and without a disk, for its maker to see and to delete."""
    if job.state in FINAL:
        return
    async with resources.database.writing() as tx:
        volume = await service.lock_volume(tx, job.args["volume_id"])
        if volume is not None and volume.job_id == job.id:
            await service.change_volume(tx, volume, status=VolumeStatus.ERROR, job_id=None, layer_id=None)
        await layers.release(tx, job.args["layer_id"])


RECIPES = (Recipe(kind=CREATE_KIND, steps=(Step("disk", _make_disk, attempts=4),), undo=_undo),)
