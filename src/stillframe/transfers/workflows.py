"""The export job: wait for the stored file, convert it if another format is wanted, upload it, check what arrived.

The object shows up in the bucket only when its last part is there; until then it is a multipart upload in progress.
"""

import asyncio
import shutil
from pathlib import Path

from stillframe.errors import ImageNotExportableError, UnavailableError
from stillframe.images import consolidation
from stillframe.images import service as images
from stillframe.images.model import Image
from stillframe.images.service import EXPORT_KIND
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job
from stillframe.jobs.progress import ProgressReporter
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.layers import files
from stillframe.qemu import img
from stillframe.transfers.model import ExportFormat
from stillframe.transfers.stores import store_of_project

_POLL_S = 0.2


async def _wait_for_stored_file(resources: Resources, job: Job) -> None:
    """A captured image is flattened first; the consolidation job reports its own progress."""
    async with resources.database.writing() as tx:
        await jobs.report_progress(tx, job.id, "waiting for consolidation")
    again = True
    while (image := await _image(resources, job)).is_lazy and resources.settings.consolidate:
        if not await _is_being_consolidated(resources, image):
            if not again:
                raise ImageNotExportableError(cause="consolidation of the image has failed")
            await consolidation.try_again(resources, image.id)
            again = False
        await asyncio.sleep(_POLL_S)


async def _is_being_consolidated(resources: Resources, image: Image) -> bool:
    """Asked in this order: a job that ends between the two questions has left its image flattened."""
    async with resources.database.reading() as tx:
        return (
            await jobs.has_live_job(tx, image.id, consolidation.KIND)
            or not (await images.get_image(tx, image.id)).is_lazy
        )


async def _convert(resources: Resources, job: Job) -> None:
    image = await _image(resources, job)
    if _stored_as_wanted(image, job):
        return
    target = _converted(resources, job)
    shutil.rmtree(target.parent, ignore_errors=True)
    target.parent.mkdir(mode=0o700)
    async with (
        files.reading(resources, _layer_id(image)) as chain,
        ProgressReporter(resources.database, job.id, "converting") as progress,
    ):
        await img.export(chain, target, _wanted(job).driver, progress.update)


async def _upload(resources: Resources, job: Job) -> None:
    image = await _image(resources, job)
    if not _stored_as_wanted(image, job):
        await _upload_file(resources, job, _converted(resources, job))
        return
    async with files.reading(resources, _layer_id(image)) as chain:
        await _upload_file(resources, job, chain[0].path)


async def _upload_file(resources: Resources, job: Job, path: Path) -> None:
    store = await store_of_project(resources, job.project_id or "")
    async with ProgressReporter(resources.database, job.id, "uploading") as progress:
        await store.upload_file(path, job.args["bucket"], job.args["key"], progress.update)
    arrived = await store.head(job.args["bucket"], job.args["key"])
    size_bytes = (await asyncio.to_thread(path.stat)).st_size
    if arrived is None or arrived.size_bytes != size_bytes:
        raise UnavailableError("The object store did not keep the exported file.", cause=arrived)


async def _finish(resources: Resources, job: Job) -> None:
    await asyncio.to_thread(shutil.rmtree, _converted(resources, job).parent, ignore_errors=True)
    async with resources.database.writing() as tx:
        await jobs.succeed_job(tx, job.id, {"image_id": job.args["image_id"]})


async def _undo(resources: Resources, job: Job) -> None:
    """The upload takes its own parts back; only the converted file is left to remove."""
    await asyncio.to_thread(shutil.rmtree, _converted(resources, job).parent, ignore_errors=True)


async def _image(resources: Resources, job: Job) -> Image:
    async with resources.database.reading() as tx:
        return await images.get_image(tx, job.args["image_id"])


def _layer_id(image: Image) -> str:
    if image.layer_id is None:
        raise ImageNotExportableError
    return image.layer_id


def _wanted(job: Job) -> ExportFormat:
    return ExportFormat(job.args["file_format"])


def _stored_as_wanted(image: Image, job: Job) -> bool:
    stands_alone = not image.is_lazy
    return stands_alone and job.args["file_format"] in (None, image.disk_format)


def _converted(resources: Resources, job: Job) -> Path:
    return resources.layout.staging(job.id, 0) / "export"


RECIPE = Recipe(
    kind=EXPORT_KIND,
    steps=(
        Step("wait", _wait_for_stored_file),
        Step("convert", _convert, attempts=2),
        Step("upload", _upload, attempts=4, first_pause_s=1.0),
        Step("finish", _finish, attempts=5),
    ),
    undo=_undo,
)
