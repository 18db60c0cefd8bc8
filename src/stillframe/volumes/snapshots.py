"""Snapshots of volumes: the request's part, and the job that seals the disk."""

from typing import Any

import msgspec
from msgspec.structs import replace

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import (
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    SnapshotNotFoundError,
    SnapshotStateError,
)
from stillframe.identity.model import Caller
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import is_uuid, new_hex_id, new_uuid
from stillframe.layers import service as layers
from stillframe.servers import captures
from stillframe.servers.sealing import StoredBytes, make_overlays, seal_disks, sealing_args, undo_sealing
from stillframe.volumes import service as volumes
from stillframe.volumes import snapshot_rows
from stillframe.volumes.model import Snapshot, SnapshotQuery, SnapshotStatus, VolumeStatus

KIND = "volume_snapshot"
_DELETABLE = frozenset({SnapshotStatus.AVAILABLE, SnapshotStatus.ERROR})


class NewSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """`force` takes a snapshot of a volume that is attached, too."""

    volume_id: str
    name: str = ""
    description: str = ""
    force: bool = False
    metadata: dict[str, str] = msgspec.field(default_factory=dict)


async def create_snapshot(tx: Transaction, caller: Caller, settings: Settings, new: NewSnapshot) -> Snapshot:
    """The snapshot as `creating`, and the job that seals the volume's disk; that takes the same time for every size.

    Of a running server's volume it is as after a power cut.

    Raises: VolumeNotFoundError, VolumeStateError, ServerBusyError, ServerNotStoppedError, VolumeQuotaExceededError.
    Source: OpenStack Block Storage API v3 reference, "Create a snapshot".
    """
    caller.require_writer()
    volume = await volumes.get_volume(tx, caller, new.volume_id)
    fit = (VolumeStatus.AVAILABLE, VolumeStatus.IN_USE) if new.force else (VolumeStatus.AVAILABLE,)
    volumes.require_status(volume, *fit)
    job_id, now = new_hex_id(), utcnow()
    locked = await captures.lock_volumes(tx, volume.project_id, [volume.id], job_id, allow_running=True)
    await volumes.require_room_for_snapshot(tx, settings, volume.project_id, volume.size_bytes)
    snapshot = Snapshot(
        id=new_uuid(),
        project_id=volume.project_id,
        user_id=caller.user_id,
        volume_id=volume.id,
        name=new.name,
        description=new.description,
        size_bytes=volume.size_bytes,
        status=SnapshotStatus.CREATING,
        metadata=new.metadata,
        created_at=now,
        updated_at=now,
    )
    await snapshot_rows.insert_snapshot(tx, snapshot)
    server_id = locked.server.id if locked.server else None
    args = sealing_args(job_id, locked.volumes, server_id=server_id, is_running=locked.is_running)
    await jobs.submit_job(
        tx,
        NewJob(
            id=job_id,
            kind=KIND,
            service=Service.EVS,
            lane=Lane.SEAL,
            subject_id=snapshot.id,
            project_id=volume.project_id,
            user_id=caller.user_id,
            args={"snapshot_id": snapshot.id, **args},
            timeout_s=settings.job_timeout_s,
        ),
    )
    return snapshot


async def get_snapshot(tx: Transaction, caller: Caller, snapshot_id: str, *, lock: bool = False) -> Snapshot:
    """`snapshot_id` may be any text. Raises: SnapshotNotFoundError, also for a snapshot of another project."""
    project_id = caller.require_project()
    snapshot = await snapshot_rows.get_snapshot(tx, snapshot_id, lock=lock) if is_uuid(snapshot_id) else None
    if snapshot is None or (snapshot.project_id != project_id and not caller.is_platform_admin):
        raise SnapshotNotFoundError(f"Snapshot {snapshot_id[:255]} could not be found.")
    return snapshot


async def list_snapshots(tx: Transaction, caller: Caller, query: SnapshotQuery) -> list[Snapshot]:
    """One page. Raises: ForbiddenError; InvalidInputError when the marker is no snapshot that the caller sees."""
    if query.every_project and not caller.is_platform_admin:
        raise ForbiddenError("Only an administrator of the platform can list the snapshots of every project.")
    try:
        after = await get_snapshot(tx, caller, query.marker) if query.marker is not None else None
    except SnapshotNotFoundError as error:
        raise InvalidInputError(f"The marker is not a snapshot: {error.message}", field="marker") from None
    return await snapshot_rows.list_snapshots(tx, caller.require_project(), query, after)


async def count_snapshots(tx: Transaction, caller: Caller, query: SnapshotQuery) -> int:
    """On all pages together."""
    return await snapshot_rows.count_snapshots(tx, caller.require_project(), query)


async def update_snapshot(tx: Transaction, caller: Caller, snapshot_id: str, **changes: Any) -> Snapshot:
    """Of name, description and metadata, what is given. Raises: SnapshotNotFoundError, ForbiddenError."""
    caller.require_writer()
    snapshot = await get_snapshot(tx, caller, snapshot_id, lock=True)
    changed = replace(snapshot, **changes, updated_at=utcnow())
    await snapshot_rows.replace_snapshot(tx, changed)
    return changed


async def delete_snapshot(tx: Transaction, caller: Caller, snapshot_id: str) -> None:
    """Its bytes go when nothing made from it needs them any more.

    Raises: SnapshotNotFoundError, ForbiddenError, SnapshotStateError while it is being taken.
    """
    caller.require_writer()
    snapshot = await get_snapshot(tx, caller, snapshot_id, lock=True)
    if snapshot.status not in _DELETABLE:
        raise SnapshotStateError(
            f"Invalid snapshot: Snapshot status must be available or error, but is {snapshot.status}."
        )
    await snapshot_rows.delete_snapshot(tx, snapshot.id)
    await layers.release(tx, snapshot.layer_id)


async def _seal(resources: Resources, job: Job) -> None:
    async def finish(tx: Transaction, _stored: StoredBytes) -> None:
        snapshot = await snapshot_rows.get_snapshot(tx, job.args["snapshot_id"], lock=True)
        if snapshot is None:
            raise NotFoundError("The snapshot was removed while it was being taken.")
        layer_id = job.args["disks"][0]["layer_id"]
        done = replace(snapshot, status=SnapshotStatus.AVAILABLE, layer_id=layer_id, updated_at=utcnow())
        await snapshot_rows.replace_snapshot(tx, done)
        await jobs.succeed_job(tx, job.id, {"snapshot_id": snapshot.id, "volume_id": snapshot.volume_id})

    await seal_disks(resources, job, finish)


async def _undo(resources: Resources, job: Job) -> None:
    """The snapshot stays, in ERROR, for its maker to see and to delete."""
    async with resources.database.writing() as tx:
        await undo_sealing(tx, job)
        snapshot = await snapshot_rows.get_snapshot(tx, job.args["snapshot_id"], lock=True)
        if snapshot is not None and snapshot.status is SnapshotStatus.CREATING:
            await snapshot_rows.replace_snapshot(tx, replace(snapshot, status=SnapshotStatus.ERROR))


RECIPE = Recipe(kind=KIND, steps=(Step("make_overlay", make_overlays), Step("seal", _seal, attempts=5)), undo=_undo)
