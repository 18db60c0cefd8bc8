"""Locking disks for a job that seals them: until it is done, nothing else happens to them or to their server."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import (
    DisksOfSeveralServersError,
    ServerBusyError,
    ServerHasNoSystemDiskError,
    ServerNotCapturableError,
    ServerNotFoundError,
    ServerNotStoppedError,
    SystemDiskTooLargeError,
    SystemDiskUnavailableError,
    VolumeNotFoundError,
    VolumeStateError,
    WholeCaptureRunningError,
    WholeCaptureStateError,
)
from stillframe.jobs import service as jobs
from stillframe.kit.ids import is_uuid
from stillframe.kit.units import TIB
from stillframe.servers import rows
from stillframe.servers.model import RULES, WITH_MACHINE, Action, Server, VmState
from stillframe.volumes import service as volumes
from stillframe.volumes.model import USABLE, Volume, VolumeStatus

WHOLE_KIND = "image_capture_whole"
_CAPTURABLE = WITH_MACHINE | {VmState.STOPPED}


class LockedDisks(msgspec.Struct, frozen=True, kw_only=True):
    """`server` is that of the disks which are attached, if any is."""

    server: Server | None
    volumes: tuple[Volume, ...]

    @property
    def is_running(self) -> bool:
        return self.server is not None and self.server.vm_state in WITH_MACHINE


async def lock_volumes(
    tx: Transaction,
    project_id: str,
    volume_ids: Sequence[str],
    job_id: str,
    *,
    allow_running: bool,
    data_only: bool = False,
    busy: type[ServerBusyError] = ServerBusyError,
    status: VolumeStatus | None = None,
) -> LockedDisks:
    """Volumes that are attached to one server, or to none, for that job. `status` is what they show meanwhile.

    Raises, in this order: VolumeNotFoundError for one that is not there or, with `data_only`, a system disk;
    VolumeStateError, DisksOfSeveralServersError, ServerNotStoppedError; `busy` when the server has another task.
    """
    seen = [await _find(tx, project_id, volume_id, data_only=data_only) for volume_id in volume_ids]
    server_ids = {volume.attachment.server_id for volume in seen if volume.attachment}
    if len(server_ids) > 1:
        raise DisksOfSeveralServersError
    server = await _lock_server(tx, server_ids.pop(), allow_running=allow_running, busy=busy) if server_ids else None
    locked = []
    for before in seen:
        volume = await volumes.lock_volume(tx, before.id)
        if volume is None or _place(volume) != _place(before):
            raise busy
        _require_usable(volume)
        locked.append(volume)
        if volume.attachment is None or status is not None:
            await volumes.change_volume(tx, volume, job_id=job_id, status=status or volume.status)
    return LockedDisks(server=server, volumes=tuple(locked))


async def _find(tx: Transaction, project_id: str, volume_id: str, *, data_only: bool) -> Volume:
    volume = await volumes.find_volume(tx, volume_id) if is_uuid(volume_id) else None
    if volume is None or volume.project_id != project_id:
        raise VolumeNotFoundError
    if data_only and volume.attachment is not None and volume.attachment.boot_index == 0:
        raise VolumeNotFoundError(f"Volume {volume.id} is a system disk.")
    _require_usable(volume)
    return volume


def _require_usable(volume: Volume) -> None:
    volumes.require_status(volume, VolumeStatus.AVAILABLE, VolumeStatus.IN_USE)
    if volume.layer_id is None:
        raise VolumeStateError(f"Invalid volume: Volume {volume.id} has no data.")


def _place(volume: Volume) -> str | None:
    return volume.attachment.id if volume.attachment else None


async def _lock_server(tx: Transaction, server_id: str, *, allow_running: bool, busy: type[ServerBusyError]) -> Server:
    server = await rows.get_server(tx, server_id, lock=True)
    if server is None:
        raise busy
    if server.vm_state not in (_CAPTURABLE if allow_running else RULES[Action.CAPTURE].legal_in):
        raise ServerNotStoppedError
    if server.task_state is not None:
        raise busy
    await rows.replace_server(tx, replace(server, task_state=RULES[Action.CAPTURE].task))
    return server


async def lock_whole(tx: Transaction, project_id: str, server_id: str) -> LockedDisks:
    """All disks of a server that runs or is stopped, its system disk first.

    Raises, in this order: ServerNotFoundError, ServerNotCapturableError, WholeCaptureRunningError, ServerBusyError,
    WholeCaptureStateError, ServerHasNoSystemDiskError, SystemDiskUnavailableError, SystemDiskTooLargeError.
    """
    server = await rows.get_server(tx, server_id, lock=True) if is_uuid(server_id) else None
    if server is None or server.project_id != project_id:
        raise ServerNotFoundError
    attached = (await volumes.list_attached(tx, [server.id]))[server.id]
    if any((volume.image_metadata or {}).get("disk_format") == "iso" for volume in attached):
        raise ServerNotCapturableError
    if await jobs.has_live_job(tx, server.id, WHOLE_KIND):
        raise WholeCaptureRunningError
    if server.task_state is not None:
        raise ServerBusyError
    if server.vm_state not in _CAPTURABLE:
        raise WholeCaptureStateError
    if not attached or attached[0].attachment is None or attached[0].attachment.boot_index != 0:
        raise ServerHasNoSystemDiskError
    if any(volume.status not in USABLE or volume.job_id or volume.layer_id is None for volume in attached):
        raise SystemDiskUnavailableError
    if attached[0].size_bytes > TIB:
        raise SystemDiskTooLargeError
    await rows.replace_server(tx, replace(server, task_state=RULES[Action.CAPTURE].task))
    return LockedDisks(server=server, volumes=attached)
