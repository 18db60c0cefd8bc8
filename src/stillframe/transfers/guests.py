"""What an import does to the guest on its system disk: finding out what it is, and preparing it for the cloud.

    configure ──► keep_changes

The first changes nothing but an overlay above the disk, and may start anew as often as it has to. Once it is on record,
the second writes the overlay into the disk, which can be repeated, too.
"""

from pathlib import Path

from msgspec.structs import replace

from stillframe.images import incoming, preparation
from stillframe.images.model import ImageKind
from stillframe.images.preparation import GuestReport
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job
from stillframe.jobs.resources import Resources
from stillframe.layers import service as layers
from stillframe.qemu.model import ChainLink
from stillframe.transfers.job_disks import clear_staging, disks_of, note_disks, staging_dir
from stillframe.transfers.model import Disk, GuestWishes


async def require_tools(job: Job) -> None:
    """Before anything is fetched for nothing. Raises: GuestToolsMissingError."""
    if _wishes(job).configures:
        await preparation.require_guest_tools()


async def configure(resources: Resources, job: Job) -> None:
    """The system disk alone is looked into: the others hold no system, and an ISO is nobody's to change.

    Raises: GuestToolsMissingError, GuestDiskUnreadableError, the latter of a guest that is to be prepared only.
    """
    wishes = _wishes(job)
    system_disk, *others = disks_of(job)
    if system_disk.kind not in {ImageKind.SYSTEM, ImageKind.BARE_METAL} or not (wishes.configures or wishes.detects):
        return
    report = await _look(resources, job, system_disk, wishes)
    looked_at = replace(system_disk, guest=report)
    if wishes.configures:
        looked_at = replace(looked_at, md5=None, sha512=None)
    async with resources.database.writing() as tx:
        if wishes.detects and report.system:
            firmware = report.firmware if wishes.detects_firmware else None
            await incoming.set_system(tx, system_disk.image_id, report.system, firmware=firmware)
        await note_disks(tx, job, [looked_at, *others])


async def keep_changes(resources: Resources, job: Job) -> None:
    """Safe to repeat: an overlay that is gone has been written into the disk."""
    if not _wishes(job).configures:
        return
    await _tell(resources, job, "keeping the guest's changes")
    await preparation.keep_changes(await _file(resources, disks_of(job)[0]), _overlay(resources, job))
    await clear_staging(resources, job)


def told(disk: Disk) -> dict[str, list[str]]:
    """What the job shows of it, by name."""
    if disk.guest is None:
        return {}
    shown = {"guest_changes": list(disk.guest.changes), "guest_notes": list(disk.guest.notes)}
    return {name: sentences for name, sentences in shown.items() if sentences}


async def _look(resources: Resources, job: Job, disk: Disk, wishes: GuestWishes) -> GuestReport:
    file = await _file(resources, disk)
    extra = resources.settings.extra_os_versions
    if not wishes.configures:
        await _tell(resources, job, "detecting the operating system")
        return await preparation.detect_operating_system(file, os_type=wishes.os_type, extra=extra)
    await _tell(resources, job, "preparing the guest")
    overlay = _overlay(resources, job)
    overlay.parent.mkdir(mode=0o700, exist_ok=True)
    return await preparation.prepare_above(file, overlay, os_type=wishes.os_type, extra=extra)


def _wishes(job: Job) -> GuestWishes:
    return GuestWishes.of(job.args.get("guest") or {})


def _overlay(resources: Resources, job: Job) -> Path:
    return staging_dir(resources, job) / "guest.qcow2"


async def _file(resources: Resources, disk: Disk) -> ChainLink:
    async with resources.database.reading() as tx:
        return layers.link(resources.layout, await layers.get_layer(tx, disk.layer_id))


async def _tell(resources: Resources, job: Job, phase: str) -> None:
    """Every byte has been read when it comes to the guest."""
    total = 2 * sum(disk.content_bytes for disk in disks_of(job))
    async with resources.database.writing() as tx:
        await jobs.report_progress(tx, job.id, phase, total, total)
