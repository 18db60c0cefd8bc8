"""The job behind an import: fetch the data if it is not there yet, look at it, and give it to the image.

Until the last transaction the data is a layer that belongs to the job, or, staged, to an image that is `importing`; so
whatever happens, `undo` releases it and the image waits for data again.
"""

import contextlib
from collections.abc import AsyncIterator

from msgspec.structs import replace

from stillframe.blobs.web import WebFile, open_file
from stillframe.blobs.web_rules import WebRules
from stillframe.db import Transaction
from stillframe.errors import UnavailableError
from stillframe.images import intake, rows
from stillframe.images.errors import ImageGoneError, UploadTooLargeError
from stillframe.images.imports import KIND, LEGACY_KIND, marked
from stillframe.images.model import IMPORT_TASK_PROPERTY, Image, ImageStatus
from stillframe.images.service import bury
from stillframe.images.upload import inspected_size_bytes, stored_format
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job
from stillframe.jobs.progress import ProgressReporter
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.layers import files
from stillframe.layers import service as layers
from stillframe.layers.model import Layer, LayerState


async def _download(resources: Resources, job: Job) -> None:
    """Nothing to do for staged data; a repeated run starts the file anew, unless it was complete."""
    if not job.args["url"]:
        return
    layer = await _planned_layer(resources, job)
    if layer.state is LayerState.SEALED:
        return
    path = files.layer_path(resources.layout, layer)
    rules = WebRules.of(resources.settings)
    try:
        path.unlink(missing_ok=True)
        async with (
            ProgressReporter(resources.database, job.id, "downloading") as progress,
            open_file(job.args["url"], rules) as source,
        ):
            with intake.new_locked_file(path) as file:
                pieces = _counted(source, resources.settings.upload_limit_bytes, progress)
                digests = await intake.write_all(file, intake.blocks(pieces))
    except OSError as error:
        raise UnavailableError("The data could not be stored.", cause=error) from error
    async with resources.database.writing() as tx:
        await layers.seal(tx, layer.id, stored_bytes=digests.size_bytes, md5=digests.md5, sha512=digests.sha512)


async def _planned_layer(resources: Resources, job: Job) -> Layer:
    async with resources.database.writing() as tx:
        image = _importing(await rows.get_image(tx, job.args["image_id"]), job)
        await layers.plan_blob(tx, job.args["layer_id"], stored_format(image.disk_format), job_id=job.id)
        return await layers.get_layer(tx, job.args["layer_id"])


async def _counted(source: WebFile, limit_bytes: int, progress: ProgressReporter) -> AsyncIterator[bytes]:
    """Raises: UploadTooLargeError, before the first byte where the server says how many there are."""
    if source.size_bytes is not None and source.size_bytes > limit_bytes:
        raise UploadTooLargeError
    seen_bytes = 0
    async with contextlib.aclosing(source.chunks) as chunks:
        async for chunk in chunks:
            seen_bytes += len(chunk)
            if seen_bytes > limit_bytes:
                raise UploadTooLargeError
            progress.update(seen_bytes, source.size_bytes or seen_bytes)
            yield chunk


async def _activate(resources: Resources, job: Job) -> None:
    """One transaction for the image and the task; what does not pass the inspection never becomes the image's."""
    async with resources.database.reading() as tx:
        image = _importing(await rows.get_image(tx, job.args["image_id"]), job)
        layer = await layers.get_layer(tx, job.args["layer_id"])
    path = files.layer_path(resources.layout, layer)
    virtual_size_bytes = await inspected_size_bytes(resources, path, image)
    async with resources.database.writing() as tx:
        image = _importing(await rows.get_image(tx, job.args["image_id"], lock=True), job)
        await layers.seal(tx, layer.id, virtual_size_bytes=virtual_size_bytes)
        active = replace(
            image,
            status=ImageStatus.ACTIVE,
            layer_id=layer.id,
            size_bytes=layer.stored_bytes,
            virtual_size_bytes=virtual_size_bytes,
            checksum=layer.md5,
            os_hash_value=layer.sha512,
            properties=marked(image, task_id=None),
            updated_at=utcnow(),
        )
        await rows.replace_image(tx, active)
        await jobs.succeed_job(tx, job.id, {"image_id": image.id})


def _importing(image: Image | None, job: Job) -> Image:
    """Raises: ImageGoneError when it was deleted, which also ends its import."""
    if image is None or not _is_ours(image, job):
        raise ImageGoneError("The image was deleted while it was imported.")
    return image


def _is_ours(image: Image, job: Job) -> bool:
    return image.status is ImageStatus.IMPORTING and image.properties.get(IMPORT_TASK_PROPERTY) == job.id


async def _undo(resources: Resources, job: Job) -> None:
    """The image waits for data again; one that the task had made is gone."""
    async with resources.database.writing() as tx:
        image = await rows.get_image(tx, job.args["image_id"], lock=True)
        if image is not None and _is_ours(image, job):
            if job.kind == LEGACY_KIND:
                await bury(tx, image)
            else:
                await _back_to_queued(tx, image)
        await layers.release(tx, job.args["layer_id"])


async def _back_to_queued(tx: Transaction, image: Image) -> None:
    waiting = replace(
        image,
        status=ImageStatus.QUEUED,
        layer_id=None,
        size_bytes=None,
        properties=marked(image, task_id=None, failed=True),
        updated_at=utcnow(),
    )
    await rows.replace_image(tx, waiting)


_STEPS = (Step("download", _download), Step("activate", _activate, attempts=3))

RECIPES = (
    Recipe(kind=KIND, steps=_STEPS, undo=_undo),
    Recipe(kind=LEGACY_KIND, steps=_STEPS, undo=_undo),
)
