"""What the jobs of attachments do: plugging a volume into a server's machine and out of it.

A job owns its volume as long as the volume's row names it; deleting the server takes the volume away from it.
"""

from stillframe.db import Transaction
from stillframe.errors import JobCancelledError, StillframeError, ToolFailedError
from stillframe.jobs import service as jobs
from stillframe.jobs.model import FINAL, Job
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.qemu import hotplug
from stillframe.servers.attachments import ATTACH_KIND, DETACH_KIND
from stillframe.servers.machines import bound_disks, disk_spec, find_machine, retryable
from stillframe.volumes import service as volumes
from stillframe.volumes.model import Volume, VolumeStatus

_UNDO_PATIENCE_S = 10.0


async def _plug(resources: Resources, job: Job) -> None:
    async with resources.database.writing() as tx:
        volume = await _own_volume(tx, job)
        disk = await disk_spec(tx, resources.layout, volume)
        await jobs.report_progress(tx, job.id, "attaching")
    machine = await find_machine(resources, job.args["server_id"])
    if machine is not None:
        try:
            await hotplug.plug(machine, disk)
            await bound_disks(resources, machine)
        except ToolFailedError as error:
            raise retryable(error, [disk]) from error
    async with resources.database.writing() as tx:
        volume = await _own_volume(tx, job)
        await volumes.change_volume(tx, volume, status=VolumeStatus.IN_USE, job_id=None)
        await _succeed(tx, job)


async def _undo_plug(resources: Resources, job: Job) -> None:
    """Without a guest that lets go of it the disk stays, and the volume attached."""
    if job.state in FINAL:
        return
    is_out = await _is_out(resources, job, _UNDO_PATIENCE_S)
    async with resources.database.writing() as tx:
        await _settle(tx, job, is_out=is_out)


async def _unplug(resources: Resources, job: Job) -> None:
    async with resources.database.writing() as tx:
        await _own_volume(tx, job)
        await jobs.report_progress(tx, job.id, "detaching")
    machine = await find_machine(resources, job.args["server_id"])
    if machine is not None:
        await hotplug.unplug(machine, job.args["device_index"], resources.settings.machine_stop_timeout_s)
    async with resources.database.writing() as tx:
        volume = await _own_volume(tx, job)
        await volumes.change_volume(tx, volume, status=VolumeStatus.AVAILABLE, attachment=None, job_id=None)
        await _succeed(tx, job)


async def _undo_unplug(resources: Resources, job: Job) -> None:
    """The guest may have let go of it after all."""
    if job.state in FINAL:
        return
    is_out = await _is_out(resources, job, None)
    async with resources.database.writing() as tx:
        await _settle(tx, job, is_out=is_out)


async def _is_out(resources: Resources, job: Job, unplug_patience_s: float | None) -> bool:
    machine = await find_machine(resources, job.args["server_id"])
    if machine is None:
        return True
    try:
        if unplug_patience_s is not None:
            await hotplug.unplug(machine, job.args["device_index"], unplug_patience_s)
        return not await hotplug.is_plugged(machine, job.args["device_index"])
    except StillframeError:
        return await find_machine(resources, job.args["server_id"]) is None


async def _settle(tx: Transaction, job: Job, *, is_out: bool) -> None:
    try:
        volume = await _own_volume(tx, job)
    except JobCancelledError:
        return
    if is_out:
        await volumes.change_volume(tx, volume, status=VolumeStatus.AVAILABLE, attachment=None, job_id=None)
    else:
        await volumes.change_volume(tx, volume, status=VolumeStatus.IN_USE, job_id=None)


async def _own_volume(tx: Transaction, job: Job) -> Volume:
    """The volume, locked. Raises: JobCancelledError when the server, or another job, has taken it away."""
    volume = await volumes.lock_volume(tx, job.args["volume_id"])
    if volume is None or volume.job_id != job.id or volume.attachment is None:
        raise JobCancelledError
    return volume


async def _succeed(tx: Transaction, job: Job) -> None:
    await jobs.succeed_job(tx, job.id, {"server_id": job.args["server_id"], "volume_id": job.args["volume_id"]})


RECIPES = (
    Recipe(kind=ATTACH_KIND, steps=(Step("plug", _plug, attempts=4),), undo=_undo_plug),
    Recipe(kind=DETACH_KIND, steps=(Step("unplug", _unplug, attempts=4),), undo=_undo_unplug),
)
