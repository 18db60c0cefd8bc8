"""Sealing disks: what every capture, snapshot and clone begins with.

A disk's top layer becomes immutable and the volume goes on with a new, empty one above it. No byte is copied, however
many disks there are. With a stopped server, or none, all that changes hands does so in one transaction; so after a
crash there is either the old state or the new one.

With a running server the volumes get their new layers in a first transaction, then the machine is told to write there,
to all of them in one moment, and only then what was sealed is given to anybody. Wherever a crash falls between the
three, the new layers show what the guest has written, be they empty or not, so going on is always right.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from stillframe.blobs.layout import DiskFormat
from stillframe.db import Transaction
from stillframe.errors import ToolFailedError, UnavailableError
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job
from stillframe.jobs.resources import Resources
from stillframe.kit.ids import derived_uuid
from stillframe.layers import files
from stillframe.layers import service as layers
from stillframe.qemu import live_snapshot
from stillframe.qemu.live_snapshot import NewTop
from stillframe.servers.machines import find_machine
from stillframe.servers.service import unlock_after_capture
from stillframe.volumes import service as volumes
from stillframe.volumes.model import Volume, VolumeStatus

StoredBytes = Mapping[str, int]
"""What each sealed layer's file takes up, by the layer's id."""
Publish = Callable[[Transaction, StoredBytes], Awaitable[None]]


def sealing_args(job_id: str, disks: Iterable[Volume], *, server_id: str | None, is_running: bool) -> dict[str, Any]:
    """For the job's args: the disks to seal. They, or their server, have been locked for the job."""
    return {
        "server_id": server_id,
        "is_running": is_running,
        "disks": [
            {
                "volume_id": volume.id,
                "layer_id": volume.layer_id,
                "overlay_id": derived_uuid(job_id, volume.id),
                "device_index": volume.attachment.device_index if volume.attachment else None,
            }
            for volume in disks
        ],
    }


async def make_overlays(resources: Resources, job: Job) -> None:
    """The empty layers that the volumes will go on with; nothing refers to them until they are sealed."""
    async with resources.database.writing() as tx:
        for disk in job.args["disks"]:
            parent = await layers.get_layer(tx, disk["layer_id"])
            size_bytes = parent.virtual_size_bytes
            await layers.plan_overlay(tx, disk["overlay_id"], parent.id, size_bytes, job_id=job.id, above_writable=True)
        await jobs.report_progress(tx, job.id, "sealing")
    for disk in job.args["disks"]:
        await files.create_disk(resources, disk["overlay_id"])


async def seal_disks(resources: Resources, job: Job, publish: Publish) -> None:
    """`publish` gives the sealed layers to whoever wants them, in the transaction that unlocks the disks; it also ends
    the job, if this is the job's last step.
    """
    if job.args["is_running"]:
        async with resources.database.writing() as tx:
            await _change_hands(tx, job)
        await _switch_machine(resources, job)
    stored = {disk["layer_id"]: await files.allocated_bytes(resources, disk["layer_id"]) for disk in job.args["disks"]}
    async with resources.database.writing() as tx:
        await _change_hands(tx, job)
        for layer_id, stored_bytes in stored.items():
            await layers.seal(tx, layer_id, stored_bytes=stored_bytes)
        await unlock_disks(tx, job)
        await publish(tx, stored)


async def unlock_disks(tx: Transaction, job: Job) -> None:
    """Safe to repeat."""
    if job.args["server_id"]:
        await unlock_after_capture(tx, job.args["server_id"])
    for disk in job.args["disks"]:
        volume = await volumes.lock_volume(tx, disk["volume_id"])
        if volume is not None and volume.job_id == job.id:
            status = VolumeStatus.IN_USE if volume.attachment else VolumeStatus.AVAILABLE
            await volumes.change_volume(tx, volume, status=status, job_id=None)


async def undo_sealing(tx: Transaction, job: Job) -> None:
    """The disks are free again, and new layers that no volume has come to use go. Safe to repeat."""
    await unlock_disks(tx, job)
    for disk in job.args["disks"]:
        await layers.release(tx, disk["overlay_id"])


async def _change_hands(tx: Transaction, job: Job) -> None:
    for disk in job.args["disks"]:
        await layers.seal(tx, disk["layer_id"])
        await layers.activate(tx, disk["overlay_id"])
        await volumes.retarget_layer(tx, disk["volume_id"], disk["layer_id"], disk["overlay_id"])


async def _switch_machine(resources: Resources, job: Job) -> None:
    """A machine that has ended meanwhile has written its last; its next start has the new layers."""
    server_id = job.args["server_id"]
    machine = await find_machine(resources, server_id)
    if machine is None:
        return
    tops = [
        NewTop(
            device_index=disk["device_index"],
            overlay_id=disk["overlay_id"],
            path=resources.layout.layer(disk["overlay_id"], DiskFormat.QCOW2),
        )
        for disk in job.args["disks"]
    ]
    try:
        await live_snapshot.switch_tops(machine, tops)
    except (ToolFailedError, UnavailableError):
        if await find_machine(resources, server_id) is not None:
            raise
