"""Making a volume larger: one that nobody uses, one of a stopped server, and one that a guest is using."""

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, JobCancelledError, ServerBusyError, ToolFailedError
from stillframe.identity.model import Caller
from stillframe.jobs import service as jobs
from stillframe.jobs.model import FINAL, Job, Lane, NewJob, Service
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.ids import new_hex_id
from stillframe.kit.units import GIB
from stillframe.layers import files
from stillframe.layers import service as layers
from stillframe.qemu import hotplug
from stillframe.servers import rows
from stillframe.servers.machines import find_machine, retryable
from stillframe.servers.model import TaskState
from stillframe.volumes import service as volumes
from stillframe.volumes.model import MAX_VOLUME_GIB, Volume, VolumeStatus

EXTEND_KIND = "volume_extend"
MAX_SYSTEM_DISK_GIB = 1024


async def extend_volume(
    tx: Transaction, caller: Caller, settings: Settings, volume_id: str, size_gib: int
) -> tuple[Volume, Job]:
    """The volume as `extending`, and the job that does so; a file system in it is the guest's to grow.

    Raises: VolumeNotFoundError, ForbiddenError, VolumeStateError, InvalidInputError, VolumeQuotaExceededError.
    Source: OpenStack Block Storage API v3 reference, "Extend a volume size".
    """
    await _require_no_capture(tx, await volumes.get_volume(tx, caller, volume_id))
    volume = await volumes.lock_own_volume(tx, caller, volume_id)
    volumes.require_status(volume, VolumeStatus.AVAILABLE, VolumeStatus.IN_USE)
    is_system_disk = volume.attachment is not None and volume.attachment.boot_index == 0
    most_gib = MAX_SYSTEM_DISK_GIB if is_system_disk else MAX_VOLUME_GIB
    if not volume.size_gib < size_gib <= most_gib:
        raise InvalidInputError(
            f"Invalid input received: New size for extend must be greater than current size (current: "
            f"{volume.size_gib}, extended: {size_gib}) and at most {most_gib}.",
            field="new_size",
        )
    await volumes.require_room_to_grow(tx, settings, volume.project_id, size_gib * GIB - volume.size_bytes)
    job = await jobs.submit_job(
        tx,
        NewJob(
            id=new_hex_id(),
            kind=EXTEND_KIND,
            service=Service.EVS,
            lane=Lane.MACHINE,
            subject_id=volume.id,
            project_id=volume.project_id,
            user_id=caller.user_id,
            args={"volume_id": volume.id, "size_bytes": size_gib * GIB, "was_bytes": volume.size_bytes},
            timeout_s=settings.job_timeout_s,
        ),
    )
    # It counts with its new size from now on, so that nobody else is given the same room.
    changes = {"status": VolumeStatus.EXTENDING, "job_id": job.id, "size_bytes": size_gib * GIB}
    return await volumes.change_volume(tx, volume, **changes), job


async def _require_no_capture(tx: Transaction, volume: Volume) -> None:
    """A disk that is being sealed must not grow. The server's row is locked before the volume's, as everywhere."""
    if volume.attachment is None:
        return
    server = await rows.get_server(tx, volume.attachment.server_id, lock=True)
    if server is not None and server.task_state is TaskState.IMAGE_SNAPSHOT:
        raise ServerBusyError(f"Cannot extend volume {volume.id} while its server is in task_state {server.task_state}")


async def _grow(resources: Resources, job: Job) -> None:
    async with resources.database.reading() as tx:
        volume = await _own_volume(tx, job)
    await _grow_disk(resources, volume, job.args["size_bytes"])
    async with resources.database.writing() as tx:
        volume = await _own_volume(tx, job)
        await layers.grow(tx, volume.layer_id or "", job.args["size_bytes"])
        await volumes.change_volume(tx, volume, status=_status_of(volume), job_id=None)
        about = {
            "name": volume.name,
            "size": volume.size_gib,
            "volume_id": volume.id,
            "volume_type": volume.volume_type,
        }
        await jobs.succeed_job(tx, job.id, about)


async def _grow_disk(resources: Resources, volume: Volume, size_bytes: int) -> None:
    """By the machine that has it open, or by a tool when there is none.

    Raises: UnavailableError when a machine takes or leaves it at this moment.
    """
    attachment = volume.attachment
    machine = await find_machine(resources, attachment.server_id) if attachment else None
    if machine is not None and attachment and await hotplug.is_plugged(machine, attachment.device_index):
        await hotplug.resize(machine, attachment.device_index, size_bytes)
        return
    try:
        await files.grow(resources, volume.layer_id or "", size_bytes)
    except ToolFailedError as error:
        raise retryable(error, []) from error


async def _undo(resources: Resources, job: Job) -> None:
    """A disk never shrinks; one that has grown already without our knowing shows its guest more than its volume says,
    until it is extended again.
    """
    if job.state in FINAL:
        return
    async with resources.database.writing() as tx:
        try:
            volume = await _own_volume(tx, job)
        except JobCancelledError:
            return
        was_bytes = job.args["was_bytes"]
        await volumes.change_volume(tx, volume, status=_status_of(volume), job_id=None, size_bytes=was_bytes)


async def _own_volume(tx: Transaction, job: Job) -> Volume:
    volume = await volumes.lock_volume(tx, job.args["volume_id"])
    if volume is None or volume.job_id != job.id:
        raise JobCancelledError
    return volume


def _status_of(volume: Volume) -> VolumeStatus:
    return VolumeStatus.IN_USE if volume.attachment else VolumeStatus.AVAILABLE


RECIPES = (Recipe(kind=EXTEND_KIND, steps=(Step("grow", _grow, attempts=5),), undo=_undo),)
