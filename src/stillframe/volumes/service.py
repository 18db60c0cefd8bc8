"""What a caller, a server or a capture can do with volumes."""

import os
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import (
    ConflictError,
    ForbiddenError,
    HostDiskError,
    InvalidInputError,
    VolumeNotFoundError,
    VolumeQuotaExceededError,
    VolumeStateError,
)
from stillframe.identity import service as identity
from stillframe.identity.model import Caller
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import is_uuid, new_uuid
from stillframe.kit.units import GIB, bytes_to_gib_up
from stillframe.layers import service as layers
from stillframe.quotas import service as project_quotas
from stillframe.quotas.model import QuotaOf, fits
from stillframe.volumes import rows, snapshot_rows
from stillframe.volumes.model import (
    NewDisk,
    Snapshot,
    SnapshotStatus,
    Volume,
    VolumeQuery,
    VolumeStatus,
    new_attachment,
)


class VolumeUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What a project has and may have; the bytes are those of volumes and snapshots together."""

    volumes: int
    volumes_limit: int
    snapshots: int
    snapshots_limit: int
    size_bytes: int
    size_limit_gib: int

    @property
    def size_gib(self) -> int:
        return bytes_to_gib_up(self.size_bytes)


async def get_volume(tx: Transaction, caller: Caller, volume_id: str) -> Volume:
    """`volume_id` may be any text. Raises: VolumeNotFoundError, also for a volume of another project."""
    project_id = caller.require_project()
    volume = await rows.get_volume(tx, volume_id) if is_uuid(volume_id) else None
    if volume is None or (volume.project_id != project_id and not caller.is_platform_admin):
        raise _not_found(volume_id)
    return volume


async def list_volumes(tx: Transaction, caller: Caller, query: VolumeQuery) -> list[Volume]:
    """One page. Raises: ForbiddenError; InvalidInputError when the marker is no volume that the caller sees."""
    if query.every_project and not caller.is_platform_admin:
        raise ForbiddenError("Only an administrator of the platform can list the volumes of every project.")
    try:
        after = await get_volume(tx, caller, query.marker) if query.marker is not None else None
    except VolumeNotFoundError as error:
        raise InvalidInputError(f"The marker is not a volume: {error.message}", field="marker") from None
    return await rows.list_volumes(tx, caller.require_project(), query, after)


async def count_volumes(tx: Transaction, caller: Caller, query: VolumeQuery) -> int:
    """On all pages together."""
    return await rows.count_volumes(tx, caller.require_project(), query)


async def create_disk(tx: Transaction, settings: Settings, new: NewDisk) -> Volume:
    """The volume of a server that is being made, `creating` until its layer is there.

    Raises: VolumeQuotaExceededError.
    """
    await require_room_for_volumes(tx, settings, new.project_id, [new.size_bytes])
    now = utcnow()
    volume = Volume(
        id=new_uuid(),
        project_id=new.project_id,
        user_id=new.user_id,
        name=new.name,
        size_bytes=new.size_bytes,
        status=VolumeStatus.CREATING,
        volume_type=new.volume_type,
        availability_zone=new.availability_zone,
        bootable=new.bootable,
        layer_id=new.layer_id,
        image_metadata=new.image_metadata,
        snapshot_id=new.snapshot_id,
        metadata=new.metadata,
        attachment=new_attachment(
            new.server_id, new.device_index, new.boot_index, ends_with_server=new.delete_on_termination
        ),
        created_at=now,
        updated_at=now,
    )
    await rows.insert_volume(tx, volume)
    return volume


async def insert_volume(tx: Transaction, volume: Volume) -> None:
    """A volume of its own, whose layer is planned. Room for it has been made sure of."""
    await rows.insert_volume(tx, volume)


async def lock_own_volume(tx: Transaction, caller: Caller, volume_id: str) -> Volume:
    """The volume, unchanged until the transaction ends, for a caller who may change it.

    Raises: VolumeNotFoundError, ForbiddenError.
    """
    caller.require_writer()
    await get_volume(tx, caller, volume_id)
    volume = await rows.get_volume(tx, volume_id, lock=True)
    if volume is None:
        raise _not_found(volume_id)
    return volume


async def find_volume(tx: Transaction, volume_id: str) -> Volume | None:
    """Of any project; for rooms that look themselves whose it is."""
    return await rows.get_volume(tx, volume_id)


async def lock_volume(tx: Transaction, volume_id: str) -> Volume | None:
    """For jobs, which act for nobody."""
    return await rows.get_volume(tx, volume_id, lock=True)


async def change_volume(tx: Transaction, volume: Volume, **changes: Any) -> Volume:
    """Of a volume that was locked in the same transaction."""
    changed = replace(volume, **{"updated_at": utcnow(), **changes})
    await rows.replace_volume(tx, changed)
    return changed


async def update_volume(tx: Transaction, caller: Caller, volume_id: str, **changes: Any) -> Volume:
    """Of name, description, metadata and tags, what is given. Raises: VolumeNotFoundError, ForbiddenError."""
    return await change_volume(tx, await lock_own_volume(tx, caller, volume_id), **changes)


def about(volume: Volume) -> dict[str, Any]:
    """What the jobs of volumes say of theirs when they are done."""
    return {"name": volume.name, "size": volume.size_gib, "volume_id": volume.id, "volume_type": volume.volume_type}


def require_status(volume: Volume, *allowed: VolumeStatus) -> None:
    """Raises: VolumeStateError in any other, and while a job works on it."""
    if volume.status not in allowed or volume.job_id is not None:
        now = f"{volume.status} and being worked on" if volume.status in allowed else str(volume.status)
        raise VolumeStateError(
            f"Invalid volume: Volume {volume.id} status must be {' or '.join(allowed)}, but current status is: {now}."
        )


async def require_room_for_volumes(
    tx: Transaction, settings: Settings, project_id: str, sizes_bytes: Sequence[int]
) -> None:
    """Counted exactly: the project's row is locked meanwhile. Raises: VolumeQuotaExceededError, HostDiskError."""
    used = await _lock_usage(tx, settings, project_id)
    if not fits(used.volumes_limit, used.volumes + len(sizes_bytes)):
        raise VolumeQuotaExceededError(
            f"Quota exceeded for volumes: {used.volumes} of {used.volumes_limit} are in use."
        )
    _require_gigabytes(used, sum(sizes_bytes))


async def require_room_to_grow(tx: Transaction, settings: Settings, project_id: str, more_bytes: int) -> None:
    """As `require_room_for_volumes`, of a volume that there is."""
    _require_gigabytes(await _lock_usage(tx, settings, project_id), more_bytes)


async def require_room_for_snapshot(tx: Transaction, settings: Settings, project_id: str, size_bytes: int) -> None:
    """As `require_room_for_volumes`."""
    used = await _lock_usage(tx, settings, project_id)
    if not fits(used.snapshots_limit, used.snapshots + 1):
        raise VolumeQuotaExceededError(
            f"Quota exceeded for snapshots: {used.snapshots} of {used.snapshots_limit} are in use."
        )
    _require_gigabytes(used, size_bytes)


async def _lock_usage(tx: Transaction, settings: Settings, project_id: str) -> VolumeUsage:
    _require_host_disk(settings)
    await identity.lock_project(tx, project_id)
    return await get_usage(tx, settings, project_id)


def _require_host_disk(settings: Settings) -> None:
    """Disks grow as they are written to; what can be refused in time is new ones."""
    found = os.statvfs(settings.data_dir)
    if found.f_bavail * found.f_frsize < settings.host_disk_reserve_bytes:
        raise HostDiskError


def _require_gigabytes(used: VolumeUsage, more_bytes: int) -> None:
    if not fits(used.size_limit_gib, bytes_to_gib_up(used.size_bytes + more_bytes)):
        raise VolumeQuotaExceededError(
            f"Quota exceeded for gigabytes: Requested {-(-more_bytes // GIB)}, but already used {used.size_gib} "
            f"of {used.size_limit_gib} are in use."
        )


async def get_usage(tx: Transaction, settings: Settings, project_id: str) -> VolumeUsage:
    """By what was set for the project, else by the settings."""
    count, volume_bytes = await rows.count_and_size_of_project(tx, project_id)
    snapshots, snapshot_bytes = await snapshot_rows.count_and_size_of_project(tx, project_id)
    limits = await project_quotas.get_limits(tx, QuotaOf.VOLUMES, project_id)
    return VolumeUsage(
        volumes=count,
        volumes_limit=limits.get("volumes", settings.volume_quota),
        snapshots=snapshots,
        snapshots_limit=limits.get("snapshots", settings.snapshot_quota),
        size_bytes=volume_bytes + snapshot_bytes,
        size_limit_gib=limits.get("gigabytes", settings.volume_quota_gib),
    )


async def list_attached(tx: Transaction, server_ids: Collection[str]) -> dict[str, tuple[Volume, ...]]:
    """The disks of each server, system disk first."""
    attached: dict[str, tuple[Volume, ...]] = dict.fromkeys(server_ids, ())
    for volume in await rows.list_attached(tx, server_ids) if server_ids else []:
        if volume.attachment:
            attached[volume.attachment.server_id] += (volume,)
    return attached


async def get_root_volume(tx: Transaction, server_id: str) -> Volume | None:
    """The server's system disk: the one with boot index 0."""
    for volume in await rows.list_attached(tx, [server_id]):
        if volume.attachment and volume.attachment.boot_index == 0:
            return volume
    return None


async def set_status(tx: Transaction, volume_id: str, status: VolumeStatus) -> None:
    """And whatever job worked on it has done so. Nothing happens when the volume is gone."""
    volume = await rows.get_volume(tx, volume_id, lock=True)
    if volume is not None and (volume.status is not status or volume.job_id is not None):
        await change_volume(tx, volume, status=status, job_id=None)


async def retarget_layer(tx: Transaction, volume_id: str, old_layer_id: str, new_layer_id: str) -> None:
    """Puts another writable layer under the volume. Safe to repeat.

    Raises: ConflictError when the volume's disk is neither of the two.
    """
    if await rows.set_layer(tx, volume_id, old_layer_id=old_layer_id, new_layer_id=new_layer_id):
        return
    volume = await rows.get_volume(tx, volume_id)
    if volume is None or volume.layer_id != new_layer_id:
        raise ConflictError("The disk of the server has changed meanwhile.", cause=f"volume {volume_id}")


async def detach_from_deleted_server(tx: Transaction, server_id: str, *, with_volumes: bool = False) -> None:
    """Volumes that end with their server go, or all of them, but for those with snapshots; the others stay behind.

    Safe to repeat.
    """
    for volume in await rows.list_attached(tx, [server_id]):
        ends_with_server = with_volumes or (volume.attachment and volume.attachment.delete_on_termination)
        has_snapshots = bool(await snapshot_rows.list_of_volume(tx, volume.id))
        if volume.status is VolumeStatus.CREATING or (ends_with_server and not has_snapshots):
            await discard_volume(tx, volume)
        else:
            status = VolumeStatus.ERROR if volume.status is VolumeStatus.ERROR else VolumeStatus.AVAILABLE
            await change_volume(tx, volume, attachment=None, status=status, job_id=None)


async def delete_volume(tx: Transaction, caller: Caller, volume_id: str, *, cascade: bool = False) -> None:
    """Its bytes go when nothing made from it needs them any more. `cascade` deletes its snapshots with it.

    Raises: VolumeNotFoundError, ForbiddenError, VolumeStateError while it is attached, being worked on, or has
    snapshots.
    """
    volume = await lock_own_volume(tx, caller, volume_id)
    snapshots = await require_deletable(tx, volume, cascade=cascade)
    for snapshot in snapshots:
        await snapshot_rows.delete_snapshot(tx, snapshot.id)
        await layers.release(tx, snapshot.layer_id)
    await discard_volume(tx, volume)


async def require_deletable(tx: Transaction, volume: Volume, *, cascade: bool = False) -> list[Snapshot]:
    """The snapshots that go with it. Raises: VolumeStateError."""
    is_free = volume.attachment is None and volume.job_id is None
    if not is_free or volume.status not in {VolumeStatus.AVAILABLE, VolumeStatus.ERROR}:
        raise VolumeStateError(
            "Invalid volume: Volume status must be available or error and must not be attached to a server, "
            f"but is {volume.status}."
        )
    snapshots = await snapshot_rows.list_of_volume(tx, volume.id)
    if snapshots and (not cascade or any(one.status is SnapshotStatus.CREATING for one in snapshots)):
        raise VolumeStateError(
            f"Invalid volume: Volume {volume.id} has {len(snapshots)} snapshots: delete them first, or use cascade."
        )
    return snapshots


async def discard_volume(tx: Transaction, volume: Volume) -> None:
    """Without asking whether it may go: for servers and jobs that have made it."""
    await rows.delete_volume(tx, volume.id)
    await layers.release(tx, volume.layer_id)


def _not_found(volume_id: str) -> VolumeNotFoundError:
    return VolumeNotFoundError(f"Volume {volume_id[:255]} could not be found.")
