"""Consolidation: flattening a captured image into one compressed file of its own, after the capture has succeeded.

The image is bootable all the while. When the file and its digests are complete, the image is pointed at it in one
transaction; layers above the old one move over when their disk is not in use, and the old one goes with its last user.

A copy made of an image before that is consolidated by a job of its own, which finds the work done: only one job of this
kind runs at a time, and the old layer says which file took its place.
"""

from stillframe.blobs.digests import file_digests
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.images import disk_rows, rows
from stillframe.images.model import ImageStatus
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.jobs.progress import ProgressReporter
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import derived_uuid, new_hex_id
from stillframe.layers import files
from stillframe.layers import service as layers
from stillframe.layers.model import Layer
from stillframe.qemu import img

KIND = "image_consolidate"


async def submit(tx: Transaction, image_id: str, layer_id: str, settings: Settings, *, device_index: int = 0) -> None:
    """Of the image itself or, in a full-ECS image, of the data disk in another place than 0."""
    job_id = new_hex_id()
    await jobs.submit_job(
        tx,
        NewJob(
            id=job_id,
            kind=KIND,
            service=Service.INTERNAL,
            lane=Lane.CONSOLIDATE,
            subject_id=image_id,
            args={
                "image_id": image_id,
                "layer_id": layer_id,
                "device_index": device_index,
                "blob_id": derived_uuid(job_id, "blob"),
            },
            timeout_s=settings.job_timeout_s,
        ),
    )


async def _done_before(tx: Transaction, job: Job) -> Layer | None:
    """The file another job has made of the same layer; none of a layer that went with the last image on it."""
    try:
        source = await layers.get_layer(tx, job.args["layer_id"])
    except NotFoundError:
        return None
    return await layers.get_layer(tx, source.superseded_by) if source.superseded_by else None


async def try_again(resources: Resources, image_id: str) -> None:
    """For whoever needs the file of an image whose consolidation has failed: the disk was full, say, and is no more."""
    async with resources.database.writing() as tx:
        image = await rows.get_image(tx, image_id, lock=True)
        if image and image.is_lazy and image.layer_id and not await jobs.has_live_job(tx, image_id, KIND):
            await submit(tx, image_id, image.layer_id, resources.settings)


async def _flatten(resources: Resources, job: Job) -> None:
    """Writes the standalone file; a repeated run starts it anew."""
    args = job.args
    async with resources.database.writing() as tx:
        if await _done_before(tx, job):
            return
        source = await layers.get_layer(tx, args["layer_id"])
        await layers.plan_blob(
            tx, args["blob_id"], "qcow2", virtual_size_bytes=source.virtual_size_bytes, job_id=job.id
        )
        blob = await layers.get_layer(tx, args["blob_id"])
    path = files.layer_path(resources.layout, blob)
    path.unlink(missing_ok=True)
    async with (
        files.reading(resources, source.id) as chain,
        ProgressReporter(resources.database, job.id, "flattening") as progress,
    ):
        await img.consolidate(chain, path, progress.update)


async def _digest(resources: Resources, job: Job) -> None:
    async with resources.database.reading() as tx:
        if await _done_before(tx, job):
            return
        blob = await layers.get_layer(tx, job.args["blob_id"])
    path = files.layer_path(resources.layout, blob)
    await files.sync(path)
    async with ProgressReporter(resources.database, job.id, "digesting"):
        digests = await file_digests(path)
    async with resources.database.writing() as tx:
        await layers.seal(tx, blob.id, stored_bytes=digests.size_bytes, md5=digests.md5, sha512=digests.sha512)


async def _swap(resources: Resources, job: Job) -> None:
    """Points the image at its own file; an image deleted meanwhile needs it no more."""
    args = job.args
    async with resources.database.writing() as tx:
        blob = await _done_before(tx, job) or await layers.get_layer(tx, args["blob_id"])
        swapped = await _point_at(tx, args["image_id"], args["device_index"], blob)
        if swapped:
            await layers.supersede(tx, args["layer_id"], blob.id)
        await layers.release(tx, args["layer_id"])
        await layers.release(tx, blob.id)
        await jobs.succeed_job(tx, job.id, {})
        tx.wake_worker_on_commit()


async def _point_at(tx: Transaction, image_id: str, device_index: int, blob: Layer) -> bool:
    if device_index:
        return await disk_rows.set_layer(tx, image_id, device_index, blob.id)
    return await rows.update_image_columns(
        tx,
        image_id,
        only_in=(ImageStatus.ACTIVE, ImageStatus.DEACTIVATED),
        layer_id=blob.id,
        size_bytes=blob.stored_bytes,
        checksum=blob.md5,
        os_hash_value=blob.sha512,
        updated_at=utcnow(),
    )


async def _undo(resources: Resources, job: Job) -> None:
    """The image stays as it was: bootable, only not yet flattened."""
    async with resources.database.writing() as tx:
        await layers.release(tx, job.args["blob_id"])


RECIPE = Recipe(
    kind=KIND,
    steps=(
        Step("flatten", _flatten, attempts=3),
        Step("digest", _digest, attempts=3),
        Step("swap", _swap, attempts=5),
    ),
    undo=_undo,
)
