"""Making a server anew from an image. It keeps its id, its addresses and its other disks; its system disk keeps its id
and its size, and loses what was on it.

    server_rebuild   power_off ──► disk ──► start, if it was not stopped

Source: OpenStack Compute API reference, "Rebuild Server".
"""

import asyncio
from typing import Any

import msgspec
from msgspec.structs import replace

from stillframe.blobs.layout import DiskFormat
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import (
    InvalidInputError,
    JobCancelledError,
    ServerHasNoSystemDiskError,
    SystemDiskUnavailableError,
)
from stillframe.identity.model import Caller
from stillframe.images import service as images
from stillframe.images.model import Image
from stillframe.jobs.model import FINAL, Job
from stillframe.jobs.resources import Resources
from stillframe.kit.ids import derived_uuid
from stillframe.layers import files
from stillframe.layers import service as layers
from stillframe.servers import keypairs, rows
from stillframe.servers.birth_disks import require_memory
from stillframe.servers.creation import as_invalid_input
from stillframe.servers.hosts import require_host_memory
from stillframe.servers.machines import find_machine, start_machine
from stillframe.servers.model import WITH_MACHINE, Action, Server, VmState
from stillframe.servers.service import JOB_KINDS, begin, lock_for_action
from stillframe.servers.workflows import finish, give_up, own_server, power_off_first, recipe
from stillframe.volumes import service as volumes
from stillframe.volumes import sources
from stillframe.volumes.model import Volume, VolumeStatus
from stillframe.volumes.sources import DiskBase


class Rebuild(msgspec.Struct, frozen=True, kw_only=True):
    """What is UNSET stays. The key pair is named; None takes it, or the user data, away."""

    image_id: str
    name: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    key_name: str | msgspec.UnsetType | None = msgspec.UNSET
    user_data: str | msgspec.UnsetType | None = msgspec.UNSET


async def rebuild_server(
    tx: Transaction, caller: Caller, settings: Settings, server_id: str, wanted: Rebuild
) -> Server:
    """The server with its new looks, and the job submitted that makes its system disk.

    Raises: ServerNotFoundError, ServerLockedError, ServerBusyError, ServerStateError; InvalidInputError for an image
    or a key pair that is not there or does not fit; ServerHasNoSystemDiskError, SystemDiskUnavailableError;
    HostMemoryError.
    """
    server = await lock_for_action(tx, caller, server_id, Action.REBUILD)
    with as_invalid_input():
        image = await images.get_bootable_image(tx, caller, wanted.image_id)
    root = await _lock_root(tx, server)
    is_iso = image.disk_format == DiskFormat.ISO
    base = await sources.installation_base(tx, image) if is_iso else sources.base_of(image)
    _require_fit(image, base, root)
    require_memory(base.image_metadata or {}, server.flavor)
    runs = server.vm_state is not VmState.STOPPED
    if runs and server.vm_state not in WITH_MACHINE:
        await require_host_memory(tx, settings, server.flavor.ram_mib)
    looks = await _looks(tx, caller, wanted)
    changed = replace(server, image_id=image.id, cdrom_layer_id=base.cdrom_layer_id, **looks)
    args = {"volume_id": root.id, "image_metadata": base.image_metadata, "runs": runs}
    job = await begin(tx, caller, settings, changed, Action.REBUILD, args)
    if server.cdrom_layer_id != base.cdrom_layer_id:
        await layers.release(tx, server.cdrom_layer_id)
    await _plan_disk(tx, base, root, job)
    return await rows.get_server(tx, server.id) or changed


async def _lock_root(tx: Transaction, server: Server) -> Volume:
    root = await volumes.get_root_volume(tx, server.id)
    root = await volumes.lock_volume(tx, root.id) if root else None
    if root is None:
        raise ServerHasNoSystemDiskError
    if root.status is not VolumeStatus.IN_USE or root.job_id is not None:
        raise SystemDiskUnavailableError
    return root


def _require_fit(image: Image, base: DiskBase, root: Volume) -> None:
    if base.least_gib > root.size_gib:
        raise InvalidInputError(
            f"The system disk of {root.size_gib} GiB is smaller than the {base.least_gib} GiB that image {image.id} "
            "needs.",
            field="imageRef",
        )


async def _looks(tx: Transaction, caller: Caller, wanted: Rebuild) -> dict[str, Any]:
    given = {
        name: value
        for name in ("name", "description", "metadata", "user_data")
        if (value := getattr(wanted, name)) is not msgspec.UNSET
    }
    if wanted.key_name is msgspec.UNSET:
        return given
    with as_invalid_input():
        keypair = await keypairs.get_keypair(tx, caller, wanted.key_name) if wanted.key_name else None
    key_name, public_key = (keypair.name, keypair.public_key) if keypair else (None, None)
    return given | {"key_name": key_name, "public_key": public_key}


async def _plan_disk(tx: Transaction, base: DiskBase, root: Volume, job: Job) -> None:
    """Named by the job's id, so that the job finds it."""
    if base.parent_layer_id is None:
        await layers.plan_blob(tx, _layer_id(job), "qcow2", virtual_size_bytes=root.size_bytes, job_id=job.id)
    else:
        await layers.plan_overlay(tx, _layer_id(job), base.parent_layer_id, root.size_bytes, job_id=job.id)
    await volumes.change_volume(tx, root, job_id=job.id)


def _layer_id(job: Job) -> str:
    return derived_uuid(job.id, job.args["volume_id"])


# --- what the job does -----------------------------------------------------------------------------------------------


async def _replace_disk(resources: Resources, job: Job) -> None:
    """The old disk goes in the transaction that puts the new one in its place. The config drive is made anew, since a
    new system reads it as if for the first time.
    """
    layer_id = _layer_id(job)
    await files.create_disk(resources, layer_id)
    drive = resources.layout.config_drive(job.args["server_id"])
    await asyncio.to_thread(drive.unlink, missing_ok=True)
    async with resources.database.writing() as tx:
        await own_server(tx, job)
        root = await volumes.lock_volume(tx, job.args["volume_id"])
        if root is None or root.job_id != job.id:
            raise JobCancelledError
        await layers.activate(tx, layer_id)
        old_layer_id = root.layer_id
        metadata = job.args["image_metadata"]
        await volumes.change_volume(tx, root, layer_id=layer_id, image_metadata=metadata, snapshot_id=None)
        if old_layer_id != layer_id:
            await layers.release(tx, old_layer_id)


async def _start(resources: Resources, job: Job) -> None:
    async with resources.database.reading() as tx:
        await own_server(tx, job)
    if job.args["runs"]:
        await start_machine(resources, job.args["server_id"])
    async with resources.database.writing() as tx:
        await _unlock_root(tx, job)
        await finish(tx, job, vm_state=VmState.ACTIVE if job.args["runs"] else VmState.STOPPED)


async def _unlock_root(tx: Transaction, job: Job) -> None:
    root = await volumes.lock_volume(tx, job.args["volume_id"])
    if root is not None and root.job_id == job.id:
        await volumes.change_volume(tx, root, job_id=None)


async def _undo(resources: Resources, job: Job) -> None:
    """The server has its old disk or its new one, and has to be rebuilt again or started by hand."""
    if job.state in FINAL:
        return
    runs = await find_machine(resources, job.args["server_id"]) is not None
    async with resources.database.writing() as tx:
        await _unlock_root(tx, job)
        await layers.release(tx, _layer_id(job))
        try:
            await give_up(tx, await own_server(tx, job), vm_state=VmState.ACTIVE if runs else VmState.ERROR)
        except JobCancelledError:
            return


RECIPES = (
    recipe(
        JOB_KINDS[Action.REBUILD],
        ("power_off", power_off_first),
        ("disk", _replace_disk),
        ("start", _start),
        undo=_undo,
    ),
)
