"""Attaching volumes to servers and detaching them: the request's part. What the jobs do is in attachment_jobs.py.

The volume's row says at once which place it has; the job plugs it into the machine, if there is one. A machine that is
started meanwhile has the disk from its start, so neither has to wait for the other.
"""

import re
from typing import Any

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import (
    DevicePlaceTakenError,
    InvalidInputError,
    ServerBusyError,
    ServerStateError,
    TooManyDisksError,
    VolumeNotFoundError,
)
from stillframe.identity.model import Caller
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.kit.ids import new_hex_id
from stillframe.servers.model import MAX_DISKS, Server, VmState, require_unlocked
from stillframe.servers.service import lock_own_server
from stillframe.volumes import service as volumes
from stillframe.volumes.model import Attachment, Volume, VolumeStatus, new_attachment

ATTACH_KIND = "volume_attach"
DETACH_KIND = "volume_detach"

_LEGAL_STATES = frozenset({VmState.ACTIVE, VmState.STOPPED})
_DEVICE = re.compile(r"/dev/(?:s|v|xv)d([a-z])")


async def attach_volume(
    tx: Transaction,
    caller: Caller,
    settings: Settings,
    server_id: str,
    volume_id: str,
    *,
    device: str | None = None,
    ends_with_server: bool = False,
) -> tuple[Volume, Job]:
    """The volume as `attaching`, with its place, and the job that plugs it in.

    `device` such as /dev/vdc chooses the place; None takes the first that is free.

    Raises: ServerNotFoundError, VolumeNotFoundError, InvalidInputError, ServerBusyError, ServerStateError,
    VolumeStateError, DevicePlaceTakenError, TooManyDisksError.
    Source: OpenStack Compute API reference, "Attach a volume to an instance".
    """
    server, volume, index = await check_attachment(tx, caller, server_id, volume_id, device=device)
    attachment = new_attachment(server.id, index, None, ends_with_server=ends_with_server)
    job = await _submit(tx, caller, settings, ATTACH_KIND, volume, attachment)
    status = VolumeStatus.ATTACHING
    return await volumes.change_volume(tx, volume, status=status, attachment=attachment, job_id=job.id), job


async def check_attachment(
    tx: Transaction, caller: Caller, server_id: str, volume_id: str, *, device: str | None = None
) -> tuple[Server, Volume, int]:
    """The two, locked, and the place that the volume would get. Raises: as `attach_volume`."""
    wanted = None if device is None else device_index(device)
    server = await _lock_idle_server(tx, caller, server_id)
    volume = await volumes.lock_own_volume(tx, caller, volume_id)
    if volume.project_id != server.project_id:
        raise VolumeNotFoundError(f"Volume {volume.id} could not be found.")
    volumes.require_status(volume, VolumeStatus.AVAILABLE)
    return server, volume, await _free_place(tx, server.id, wanted)


async def detach_volume(tx: Transaction, caller: Caller, settings: Settings, server_id: str, volume_id: str) -> Job:
    """The volume is `detaching` until the guest has let go of it.

    Raises: ServerNotFoundError, VolumeNotFoundError, ServerBusyError, ServerStateError, VolumeStateError;
    InvalidInputError for the system disk.
    Source: OpenStack Compute API reference, "Detach a volume from an instance".
    """
    server = await _lock_idle_server(tx, caller, server_id)
    volume, attachment = await _lock_attached(tx, caller, server, volume_id)
    if attachment.boot_index == 0:
        raise InvalidInputError("Cannot detach a root device volume")
    volumes.require_status(volume, VolumeStatus.IN_USE)
    job = await _submit(tx, caller, settings, DETACH_KIND, volume, attachment)
    await volumes.change_volume(tx, volume, status=VolumeStatus.DETACHING, job_id=job.id)
    return job


async def set_termination(
    tx: Transaction, caller: Caller, server_id: str, volume_id: str, *, ends_with_server: bool
) -> None:
    """Whether the volume goes when its server is deleted. Raises: ServerNotFoundError, VolumeNotFoundError."""
    caller.require_writer()
    server = await lock_own_server(tx, caller, server_id)
    volume, attachment = await _lock_attached(tx, caller, server, volume_id)
    changed = {name: getattr(attachment, name) for name in attachment.__struct_fields__}
    changed["delete_on_termination"] = ends_with_server
    await volumes.change_volume(tx, volume, attachment=Attachment(**changed))


def device_index(device: str) -> int:
    """0 for /dev/vda, 1 for /dev/vdb ... Raises: InvalidInputError."""
    found = _DEVICE.fullmatch(device)
    index = ord(found[1]) - ord("a") if found else 0
    if not 0 < index < MAX_DISKS:
        last = chr(ord("a") + MAX_DISKS - 1)
        raise InvalidInputError(
            f"The supplied device path ({device[:64]}) is invalid: /dev/vdb to /dev/vd{last} can be chosen.",
            field="device",
        )
    return index


async def _lock_idle_server(tx: Transaction, caller: Caller, server_id: str) -> Server:
    caller.require_writer()
    server = await lock_own_server(tx, caller, server_id)
    require_unlocked(server, caller)
    if server.task_state is not None:
        raise ServerBusyError(
            f"Cannot change the disks of instance {server.id} while it is in task_state {server.task_state}"
        )
    if server.vm_state not in _LEGAL_STATES:
        raise ServerStateError(
            f"Cannot change the disks of instance {server.id} while it is in vm_state {server.vm_state}"
        )
    return server


async def _lock_attached(tx: Transaction, caller: Caller, server: Server, volume_id: str) -> tuple[Volume, Attachment]:
    volume = await volumes.lock_own_volume(tx, caller, volume_id)
    if volume.attachment is None or volume.attachment.server_id != server.id:
        raise VolumeNotFoundError(f"Instance {server.id} is not attached to volume {volume.id}")
    return volume, volume.attachment


async def _free_place(tx: Transaction, server_id: str, wanted: int | None) -> int:
    attached = (await volumes.list_attached(tx, [server_id]))[server_id]
    taken = {volume.attachment.device_index for volume in attached if volume.attachment}
    free = [index for index in range(1, MAX_DISKS) if index not in taken]
    if not free:
        raise TooManyDisksError(f"The maximum allowed number of disk devices ({MAX_DISKS}) to attach is reached.")
    if wanted is not None and wanted not in free:
        raise DevicePlaceTakenError(f"The supplied device path (/dev/vd{chr(ord('a') + wanted)}) is in use.")
    return free[0] if wanted is None else wanted


async def _submit(
    tx: Transaction, caller: Caller, settings: Settings, kind: str, volume: Volume, attachment: Attachment
) -> Job:
    args: dict[str, Any] = {
        "server_id": attachment.server_id,
        "volume_id": volume.id,
        "attachment_id": attachment.id,
        "device_index": attachment.device_index,
    }
    return await jobs.submit_job(
        tx,
        NewJob(
            id=new_hex_id(),
            kind=kind,
            service=Service.ECS,
            lane=Lane.MACHINE,
            subject_id=volume.id,
            project_id=volume.project_id,
            user_id=caller.user_id,
            args=args,
            timeout_s=settings.job_timeout_s,
        ),
    )
