"""The second step of an import: what is in the files? No program has seen them before this."""

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.images import incoming
from stillframe.images import service as images
from stillframe.images.model import Image, ImageKind
from stillframe.images.operating_systems import unknown_system
from stillframe.jobs.model import Job
from stillframe.jobs.progress import ProgressReporter
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import derived_uuid
from stillframe.kit.units import GIB, bytes_to_gib_up
from stillframe.qemu.inspection import ForeignFormat, Window, inspect_image
from stillframe.transfers import ova
from stillframe.transfers.errors import DiskLargerThanImageError, ImageFileInvalidError
from stillframe.transfers.imports import OVA_KIND, layer_id_of
from stillframe.transfers.job_disks import disks_of, note_disks, staged_file
from stillframe.transfers.model import Disk, FoundDisk


async def examine(resources: Resources, job: Job) -> None:
    disks = disks_of(job)
    if disks[0].found:
        return
    read_bytes = sum(disk.staged_bytes for disk in disks)
    async with ProgressReporter(resources.database, job.id, "inspecting", done=read_bytes, total=2 * read_bytes):
        windows: Sequence[Window | None] = [None] * len(disks)
        if job.kind == OVA_KIND:
            windows = await asyncio.to_thread(ova.find_disks, staged_file(resources, job, disks[0]))
            disks = [disks[0], *(_further_disk(job, disks[0], number) for number in range(1, len(windows)))]
        examined = [
            replace(disk, found=await _inspect(resources, job, disk, window))
            for disk, window in zip(disks, windows, strict=True)
        ]
    async with resources.database.writing() as tx:
        if job.kind == OVA_KIND:
            await _note_further_images(tx, resources, examined)
        await note_disks(tx, job, examined)


async def _inspect(resources: Resources, job: Job, disk: Disk, window: Window | None) -> FoundDisk:
    try:
        found = await inspect_image(
            staged_file(resources, job, disk), max_virtual_size_bytes=disk.largest_bytes, window=window
        )
    except InvalidInputError as error:
        raise ImageFileInvalidError(f"{disk.url}: {error.message}", cause=error) from error
    if disk.min_disk_gib and found.virtual_size_bytes > disk.min_disk_gib * GIB:
        raise DiskLargerThanImageError(
            f"The disk in {disk.url} needs {bytes_to_gib_up(found.virtual_size_bytes)} GB, "
            f"more than the min_disk of {disk.min_disk_gib}."
        )
    return FoundDisk(
        format=_fitting_format(disk, found.format),
        virtual_size_bytes=found.virtual_size_bytes,
        offset=window.offset if window else 0,
        length=window.length if window else None,
    )


def _fitting_format(disk: Disk, found: ForeignFormat) -> ForeignFormat:
    """Raises: ImageFileInvalidError when the image cannot be made of this format."""
    if disk.is_quick and found is not ForeignFormat.RAW:
        raise ImageFileInvalidError(f"{disk.url} is {found}; only raw disks can be imported quickly.")
    if disk.kind is ImageKind.ISO and found is not ForeignFormat.ISO:
        raise ImageFileInvalidError(f"{disk.url} is {found} and not an ISO file.")
    if found is ForeignFormat.ISO and disk.kind is ImageKind.DATA:
        return ForeignFormat.RAW  # a data disk may hold any file system
    if found is ForeignFormat.ISO and disk.kind is not ImageKind.ISO:
        raise ImageFileInvalidError(f"{disk.url} is an ISO file: import it with the type IsoImage.")
    return found


def _further_disk(job: Job, system: Disk, number: int) -> Disk:
    """Another disk of the same archive."""
    return replace(
        system,
        image_id=derived_uuid(job.id, "image", str(number)),
        image_name=f"{system.image_name[:118]}_data_{number}",
        kind=ImageKind.DATA,
        layer_id=layer_id_of(job.id, number),
        min_disk_gib=0,
    )


async def _note_further_images(tx: Transaction, resources: Resources, disks: Sequence[Disk]) -> None:
    """Raises: ImageQuotaExceededError, ImageNameTakenError."""
    system = await images.get_image(tx, disks[0].image_id)
    further = [_further_image(system, disk) for disk in disks[1:]]
    if further:
        await incoming.note_images(tx, resources.settings, system.project_id, further)
    for image in further:
        await incoming.begin_saving(tx, image.id)


def _further_image(system: Image, disk: Disk) -> Image:
    now = utcnow()
    return replace(
        system,
        id=disk.image_id,
        name=disk.image_name,
        kind=disk.kind,
        os=unknown_system(system.os.os_type).info,
        min_disk_gib=bytes_to_gib_up(disk.found.virtual_size_bytes if disk.found else 0),
        min_ram_mib=0,
        max_ram_mib=0,
        created_at=now,
        updated_at=now,
    )
