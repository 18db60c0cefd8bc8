"""Making volumes: the request's part, and the jobs that make the disk.

volume_create   disk                       blank, from an image, from a snapshot
volume_clone    make_overlay ──► seal      of another volume, which is sealed as for a snapshot
"""

import msgspec

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, JobCancelledError
from stillframe.identity.model import Caller
from stillframe.jobs import service as jobs
from stillframe.jobs.model import FINAL, Job, Lane, NewJob, Service
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_hex_id, new_uuid
from stillframe.layers import files
from stillframe.layers import service as layers
from stillframe.servers import captures
from stillframe.servers.captures import LockedDisks
from stillframe.servers.sealing import StoredBytes, make_overlays, seal_disks, sealing_args, undo_sealing
from stillframe.volumes import service, sources
from stillframe.volumes.model import DEFAULT_VOLUME_TYPE, Volume, VolumeStatus
from stillframe.volumes.sources import DiskBase

CREATE_KIND = "volume_create"
CLONE_KIND = "volume_clone"


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
    snapshot_id: str | None = None
    source_volume_id: str | None = None


async def create_volume(tx: Transaction, caller: Caller, settings: Settings, new: NewVolume) -> tuple[Volume, Job]:
    """The volume as `creating`, and the job that makes its disk; that takes the same time for every size and source.

    Raises: InvalidInputError, NotFoundError, ImageNotBootableError, SnapshotStateError, VolumeStateError,
    ServerBusyError, ForbiddenError, VolumeQuotaExceededError, HostDiskError.
    Source: OpenStack Block Storage API v3 reference, "Create a volume".
    """
    caller.require_writer()
    project_id, job_id = caller.require_project(), new_hex_id()
    sources.require_volume_type(new.volume_type)
    require_zone(settings, new.availability_zone)
    locked = await _lock_source(tx, caller, new, job_id)
    base = _base_of_volume(locked.volumes[0]) if locked else await _base(tx, caller, new)
    size_bytes = sources.checked_size_bytes(base, new.size_gib)
    await service.require_room_for_volumes(tx, settings, project_id, [size_bytes])
    now = utcnow()
    volume = Volume(
        id=new_uuid(),
        project_id=project_id,
        user_id=caller.user_id,
        name=new.name,
        description=new.description,
        size_bytes=size_bytes,
        status=VolumeStatus.CREATING,
        volume_type=new.volume_type or base.volume_type or DEFAULT_VOLUME_TYPE,
        availability_zone=settings.availability_zone,
        bootable=base.bootable,
        layer_id=await sources.plan_layer(tx, base, size_bytes, job_id, above_writable=locked is not None),
        image_metadata=base.image_metadata,
        snapshot_id=base.snapshot_id,
        source_volume_id=new.source_volume_id,
        metadata=new.metadata,
        tags=new.tags,
        job_id=job_id,
        created_at=now,
        updated_at=now,
    )
    await service.insert_volume(tx, volume)
    return volume, await _submit(tx, settings, volume, locked)


async def _lock_source(tx: Transaction, caller: Caller, new: NewVolume, job_id: str) -> LockedDisks | None:
    if new.source_volume_id is None:
        return None
    source = await service.get_volume(tx, caller, new.source_volume_id)
    return await captures.lock_volumes(tx, source.project_id, [source.id], job_id, allow_running=True)


def _base_of_volume(source: Volume) -> DiskBase:
    return DiskBase(
        parent_layer_id=source.layer_id,
        least_gib=source.size_gib,
        bootable=source.bootable,
        image_metadata=source.image_metadata,
        volume_type=source.volume_type,
    )


async def _base(tx: Transaction, caller: Caller, new: NewVolume) -> DiskBase:
    if new.image_id is not None:
        return await sources.base_of_image(tx, caller, new.image_id)
    if new.snapshot_id is not None:
        return await sources.base_of_snapshot(tx, caller, new.snapshot_id)
    return sources.BLANK


def require_zone(settings: Settings, wanted: str | None) -> None:
    """Raises: InvalidInputError."""
    if wanted not in {None, "", settings.availability_zone}:
        raise InvalidInputError(f"Availability zone '{(wanted or '')[:64]}' is invalid.", field="availability_zone")


async def _submit(tx: Transaction, settings: Settings, volume: Volume, source: LockedDisks | None) -> Job:
    args = {"volume_id": volume.id, "layer_id": volume.layer_id}
    if source is not None:
        server_id = source.server.id if source.server else None
        args |= sealing_args(volume.job_id or "", source.volumes, server_id=server_id, is_running=source.is_running)
    return await jobs.submit_job(
        tx,
        NewJob(
            id=volume.job_id,
            kind=CLONE_KIND if source else CREATE_KIND,
            service=Service.EVS,
            lane=Lane.SEAL,
            subject_id=volume.id,
            project_id=volume.project_id,
            user_id=volume.user_id,
            args=args,
            timeout_s=settings.job_timeout_s,
        ),
    )


async def _make_disk(resources: Resources, job: Job) -> None:
    await files.create_disk(resources, job.args["layer_id"])
    async with resources.database.writing() as tx:
        await _finish(tx, job)


async def _finish(tx: Transaction, job: Job) -> None:
    await layers.activate(tx, job.args["layer_id"])
    volume = await service.lock_volume(tx, job.args["volume_id"])
    if volume is None or volume.job_id != job.id:
        raise JobCancelledError
    volume = await service.change_volume(tx, volume, status=VolumeStatus.AVAILABLE, job_id=None)
    await jobs.succeed_job(tx, job.id, service.about(volume))


async def _undo(resources: Resources, job: Job) -> None:
    """The volume stays, in ERROR and without a disk, for its maker to see and to delete."""
    if job.state in FINAL:
        return
    async with resources.database.writing() as tx:
        await _fail(tx, job)


async def _fail(tx: Transaction, job: Job) -> None:
    volume = await service.lock_volume(tx, job.args["volume_id"])
    if volume is not None and volume.job_id == job.id:
        await service.change_volume(tx, volume, status=VolumeStatus.ERROR, job_id=None, layer_id=None)
    await layers.release(tx, job.args["layer_id"])


async def _make_overlays(resources: Resources, job: Job) -> None:
    await make_overlays(resources, job)
    await files.create_disk(resources, job.args["layer_id"])


async def _seal_source(resources: Resources, job: Job) -> None:
    async def finish(tx: Transaction, _stored: StoredBytes) -> None:
        await _finish(tx, job)

    await seal_disks(resources, job, finish)


async def _undo_clone(resources: Resources, job: Job) -> None:
    if job.state in FINAL:
        return
    async with resources.database.writing() as tx:
        await undo_sealing(tx, job)
        await _fail(tx, job)


RECIPES = (
    Recipe(kind=CREATE_KIND, steps=(Step("disk", _make_disk, attempts=4),), undo=_undo),
    Recipe(
        kind=CLONE_KIND,
        steps=(Step("make_overlay", _make_overlays, attempts=4), Step("seal", _seal_source, attempts=5)),
        undo=_undo_clone,
    ),
)
