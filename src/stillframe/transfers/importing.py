"""The import jobs: objects become disks of ours, and those become images.

    receive ──► examine ──► convert ──► configure ──► keep_changes ──► digest ──► finish

An object is written to the disk once; converting reads it from there, and what is a disk of ours already is only given
its place. What a step has found out is in the job's row and every file has a name that follows from it, so a step that
runs again finds or replaces what its first run made.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from stillframe.blobs.digests import Digests, file_digests
from stillframe.blobs.layout import DiskFormat
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, ToolFailedError
from stillframe.images import incoming
from stillframe.images.model import ImageKind
from stillframe.images.service import REGISTER_KIND
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job
from stillframe.jobs.progress import ProgressReporter
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.layers import files
from stillframe.layers import service as layers
from stillframe.qemu import img
from stillframe.qemu.inspection import ForeignFormat
from stillframe.qemu.model import ChainLink
from stillframe.transfers import guests
from stillframe.transfers.errors import ImageFileInvalidError, RegistrationFailedError
from stillframe.transfers.examining import examine
from stillframe.transfers.imports import DATA_KIND, OVA_KIND, SYSTEM_KIND
from stillframe.transfers.job_disks import clear_staging, disks_of, note_disks, staged_file
from stillframe.transfers.model import Disk, FoundDisk
from stillframe.transfers.receiving import receive

_AS_IT_IS = {ForeignFormat.QCOW2: DiskFormat.QCOW2, ForeignFormat.ISO: DiskFormat.ISO}


# --- convert ---------------------------------------------------------------------------------------------------------


async def _convert(resources: Resources, job: Job) -> None:
    disks = disks_of(job)
    sizes = [disk.content_bytes for disk in disks]
    total = sum(sizes)
    async with ProgressReporter(resources.database, job.id, "converting", done=total, total=2 * total) as progress:
        for number, disk in enumerate(disks):
            if disk.is_converted:
                continue
            before, size = total + sum(sizes[:number]), sizes[number]

            def on_progress(done: int, of: int, before: int = before, size: int = size) -> None:
                progress.update(before + (size * done // of if of else 0), 2 * total)

            disks[number] = await _convert_one(resources, job, disk, on_progress)
            async with resources.database.writing() as tx:
                await note_disks(tx, job, disks)
    await clear_staging(resources, job)


async def _convert_one(resources: Resources, job: Job, disk: Disk, on_progress: img.OnProgress) -> Disk:
    """The layer's file is complete then, and durable; digests are those of the file, where they are known already."""
    found = _found(disk)
    source = staged_file(resources, job, disk)
    kept_as = await _format_to_keep(disk, found, source)
    async with resources.database.writing() as tx:
        await layers.plan_blob(
            tx,
            disk.layer_id,
            kept_as or DiskFormat.QCOW2,
            virtual_size_bytes=found.virtual_size_bytes,
            job_id=job.id,
        )
        path = files.layer_path(resources.layout, await layers.get_layer(tx, disk.layer_id))
    await asyncio.to_thread(path.unlink, missing_ok=True)
    if kept_as:
        # Both names are in one file system; the other one goes with the staging directory.
        await asyncio.to_thread(os.link, source, path)
        await files.sync(path)
        return replace(disk, is_converted=True)
    try:
        await img.import_disk(source, found.format, path, on_progress, window=found.window)
    except ToolFailedError as error:
        raise ImageFileInvalidError(f"{disk.url}: The disk in the file cannot be read.", cause=error.cause) from error
    return replace(disk, is_converted=True, md5=None, sha512=None)


async def _format_to_keep(disk: Disk, found: FoundDisk, source: Path) -> DiskFormat | None:
    """The format a file is stored in as it came; None when it has to be converted.

    Raises: ImageFileInvalidError for a qcow2 file whose tables contradict each other.
    """
    if found.window is not None:
        return None
    if disk.is_quick:
        return DiskFormat.RAW
    kept_as = _AS_IT_IS.get(found.format)
    if kept_as is DiskFormat.QCOW2:
        try:
            report = await img.check(ChainLink(source, "qcow2"))
        except ToolFailedError as error:
            raise ImageFileInvalidError(f"{disk.url}: The image file is damaged.", cause=error.cause) from error
        if not report.is_sound:
            raise ImageFileInvalidError(f"{disk.url}: The image file is damaged; qemu-img check -r all may repair it.")
    return kept_as


def _found(disk: Disk) -> FoundDisk:
    if disk.found is None:
        raise ValueError("the step before has looked into every file")
    return disk.found


def _all_read(disks: Sequence[Disk]) -> tuple[int, int]:
    total = 2 * sum(disk.content_bytes for disk in disks)
    return total, total


# --- digest and finish -----------------------------------------------------------------------------------------------


async def _digest(resources: Resources, job: Job) -> None:
    disks = disks_of(job)
    done, total = _all_read(disks)
    async with ProgressReporter(resources.database, job.id, "digesting", done=done, total=total):
        for disk in disks:
            async with resources.database.reading() as tx:
                layer = await layers.get_layer(tx, disk.layer_id)
            path = files.layer_path(resources.layout, layer)
            await files.sync(path)
            digests = await _digests(disk, path)
            async with resources.database.writing() as tx:
                await layers.seal(tx, layer.id, stored_bytes=digests.size_bytes, md5=digests.md5, sha512=digests.sha512)


async def _digests(disk: Disk, path: Path) -> Digests:
    if disk.md5 and disk.sha512:
        size_bytes = (await asyncio.to_thread(path.stat)).st_size
        return Digests(md5=disk.md5, sha512=disk.sha512, size_bytes=size_bytes)
    return await file_digests(path)


async def _finish(resources: Resources, job: Job) -> None:
    """All images of the job become active at once."""
    disks = disks_of(job)
    async with resources.database.writing() as tx:
        for disk in disks:
            layer = await layers.get_layer(tx, disk.layer_id)
            await incoming.complete(tx, disk.image_id, layer)
        await jobs.succeed_job(tx, job.id, await _result(tx, job, disks))


async def _result(tx: Transaction, job: Job, disks: Sequence[Disk]) -> dict[str, Any]:
    made = [{"image_id": disk.image_id, "image_name": disk.image_name} for disk in disks]
    if job.kind == REGISTER_KIND:
        return {"image_id": disks[0].image_id}
    system = {**made[0], **guests.told(disks[0])}
    if job.kind == SYSTEM_KIND and len(disks) == 1:
        return system
    kinds = [DATA_KIND if disk.kind is ImageKind.DATA else SYSTEM_KIND for disk in disks]
    return {**system, **await jobs.record_sub_jobs(tx, job, list(zip(kinds, made, strict=True)))}


async def _undo(resources: Resources, job: Job) -> None:
    """Nothing of the import remains but, of a registration, the image that waits for data again."""
    await clear_staging(resources, job)
    async with resources.database.writing() as tx:
        for disk in disks_of(job):
            if job.kind == REGISTER_KIND:
                await incoming.let_wait_again(tx, disk.image_id)
            else:
                await incoming.forget(tx, disk.image_id)
            await layers.release(tx, disk.layer_id)


# --- recipes ---------------------------------------------------------------------------------------------------------

StepFunction = Callable[[Resources, Job], Awaitable[None]]


def _registering(run: StepFunction) -> StepFunction:
    """Whatever is wrong with the file, registering it is what has failed."""

    async def run_or_tell(resources: Resources, job: Job) -> None:
        try:
            await run(resources, job)
        except InvalidInputError as error:
            raise RegistrationFailedError(error.message, cause=error.cause) from error

    return run_or_tell


def _recipe(kind: str) -> Recipe:
    steps = (
        ("examine", examine),
        ("convert", _convert),
        ("configure", guests.configure),
        ("keep_changes", guests.keep_changes),
        ("digest", _digest),
    )
    wrap = _registering if kind == REGISTER_KIND else _unchanged
    return Recipe(
        kind=kind,
        steps=(
            Step("receive", wrap(receive), attempts=4, first_pause_s=1.0),
            *(Step(name, wrap(run), attempts=3) for name, run in steps),
            Step("finish", _finish, attempts=5),
        ),
        undo=_undo,
    )


def _unchanged(run: StepFunction) -> StepFunction:
    return run


RECIPES = tuple(_recipe(kind) for kind in (SYSTEM_KIND, DATA_KIND, OVA_KIND, REGISTER_KIND))
