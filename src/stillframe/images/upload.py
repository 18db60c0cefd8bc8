"""Uploading an image's data: received into a layer of its own, looked at, and only then given to the image.

queued ──► saving ──► active        one transaction makes the layer sealed and the image active
  ▲ ▲         │
  │ └─────────┘                     whatever goes wrong, also the death of the process: nothing of the try remains
  └────── uploading                 staged: the image has the sealed layer, and waits for its import (imports.py)
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, NamedTuple

import structlog

from stillframe.blobs.digests import Digests
from stillframe.blobs.layout import DataLayout, DiskFormat
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError, UnavailableError
from stillframe.identity.model import Caller
from stillframe.images import intake, rows, service
from stillframe.images.errors import (
    ImageGoneError,
    UploadConflictError,
    UploadSizeMismatchError,
    UploadTooLargeError,
)
from stillframe.images.model import Image, ImageStatus, Upload
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_uuid
from stillframe.kit.units import GIB
from stillframe.layers import service as layers
from stillframe.layers.model import LayerState
from stillframe.qemu.inspection import ForeignFormat, inspect_image

log = structlog.get_logger("stillframe.images")

TOUCH_INTERVAL_S = 30.0
"""How often a long upload says that it lives; a layer that is silent for minutes is swept away."""

_WHILE_RECEIVING = (ImageStatus.SAVING, ImageStatus.UPLOADING)

START_GRACE = timedelta(seconds=10)
"""Time between noting an upload and locking its file."""


async def upload_data(
    resources: Resources, caller: Caller, image_id: str, chunks: AsyncIterator[bytes], *, announced_bytes: int | None
) -> None:
    """Stores the data and makes the image active; returns when both are durable.

    Raises: ImageNotFoundError, NotImageOwnerError, UploadConflictError unless the image waits for data,
    InvalidInputError without formats or for harmful data; UploadTooLargeError, UploadSizeMismatchError;
    ImageGoneError when it was deleted meanwhile; UnavailableError when the disk is full; whatever `chunks` raises.
    """
    async with _taken_in(resources, caller, image_id, chunks, announced_bytes, ImageStatus.SAVING) as received:
        size_bytes = await inspected_size_bytes(resources, received.path, received.image)
        await _finish(resources, received, size_bytes)


async def stage_data(
    resources: Resources, caller: Caller, image_id: str, chunks: AsyncIterator[bytes], *, announced_bytes: int | None
) -> None:
    """Stores the data for an import that is asked for later, which also looks at it; durable when it returns.

    Raises: as `upload_data`, but the formats need not be set and nothing is harmful yet.
    """
    async with _taken_in(resources, caller, image_id, chunks, announced_bytes, ImageStatus.UPLOADING) as received:
        await _keep_staged(resources, received)


class _Received(NamedTuple):
    image: Image
    upload: Upload
    path: Path
    digests: Digests


@contextlib.asynccontextmanager
async def _taken_in(
    resources: Resources,
    caller: Caller,
    image_id: str,
    chunks: AsyncIterator[bytes],
    announced_bytes: int | None,
    status: ImageStatus,
) -> AsyncIterator[_Received]:
    """The data, written and digested, under the status that the image has meanwhile."""
    limit_bytes = resources.settings.upload_limit_bytes
    if announced_bytes is not None and announced_bytes > limit_bytes:
        raise UploadTooLargeError
    image, upload = await _begin(resources, caller, image_id, status)
    path = _path(resources.layout, image, upload)
    try:
        # The lock is held until the image has the data: without it, an upload counts as dead.
        async with _kept_alive(resources, upload), _locked_file(path) as file:
            digests = await _receive(file, _measured(intake.blocks(chunks), limit_bytes, announced_bytes))
            yield _Received(image, upload, path, digests)
    except BaseException as error:
        log.info("images.upload_failed", image=image_id, error=type(error).__name__)
        await asyncio.shield(_take_back(resources, upload, path))
        raise


def stored_format(disk_format: str | None) -> DiskFormat:
    """What the bytes are kept as: formats no server can start from are kept as they are, and called raw."""
    return DiskFormat(disk_format) if disk_format in set(DiskFormat) else DiskFormat.RAW


def _path(layout: DataLayout, image: Image, upload: Upload) -> Path:
    return layout.layer(upload.layer_id, stored_format(image.disk_format))


async def _begin(resources: Resources, caller: Caller, image_id: str, status: ImageStatus) -> tuple[Image, Upload]:
    async with resources.database.writing() as tx:
        image = await service.get_own_image(tx, caller, image_id)
        if image.status in _WHILE_RECEIVING and await _take_back_if_dead(resources, tx, image):
            image = await service.get_own_image(tx, caller, image_id)
        if image.status is not ImageStatus.QUEUED or image.origin:
            raise UploadConflictError(f"Image {image.id} is {image.status} and takes no data.")
        has_formats = image.disk_format is not None and image.container_format is not None
        if status is ImageStatus.SAVING and not has_formats:
            raise InvalidInputError("Properties disk_format and container_format must be set before data is uploaded.")
        upload = Upload(image_id=image.id, layer_id=new_uuid(), started_at=utcnow())
        await layers.plan_blob(tx, upload.layer_id, stored_format(image.disk_format))
        await rows.insert_upload(tx, upload)
        await rows.update_image_columns(tx, image.id, status=status, updated_at=upload.started_at)
        return image, upload


async def _measured(
    pieces: AsyncIterator[bytes], limit_bytes: int, announced_bytes: int | None
) -> AsyncIterator[bytes]:
    seen_bytes = 0
    async for piece in pieces:
        seen_bytes += len(piece)
        if seen_bytes > limit_bytes:
            raise UploadTooLargeError
        if announced_bytes is not None and seen_bytes > announced_bytes:
            break
        yield piece
    if announced_bytes is not None and seen_bytes != announced_bytes:
        raise UploadSizeMismatchError


@contextlib.asynccontextmanager
async def _kept_alive(resources: Resources, upload: Upload) -> AsyncIterator[None]:
    """Says for as long as it takes that the layer still has a maker."""
    task = asyncio.create_task(_touch_forever(resources, upload))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _touch_forever(resources: Resources, upload: Upload) -> None:
    while True:
        await asyncio.sleep(TOUCH_INTERVAL_S)
        async with resources.database.writing() as tx:
            await layers.touch(tx, upload.layer_id)


@contextlib.asynccontextmanager
async def _locked_file(path: Path) -> AsyncIterator[BinaryIO]:
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(intake.new_locked_file(path))
        except OSError as error:
            raise _not_stored(error) from error
        yield file


async def _receive(file: BinaryIO, pieces: AsyncIterator[bytes]) -> Digests:
    try:
        return await intake.write_all(file, pieces)
    except OSError as error:
        raise _not_stored(error) from error


def _not_stored(error: OSError) -> UnavailableError:
    return UnavailableError("The data could not be stored.", cause=error)


async def inspected_size_bytes(resources: Resources, path: Path, image: Image) -> int | None:
    """The virtual size of the data; None for formats that nobody can look into, and that are only kept, and for no data
    at all, which is legal where a format demands none: no disk is made of it.

    Raises: InvalidInputError when the data is something else than was declared, is damaged, or could harm.
    """
    if image.disk_format not in set(ForeignFormat):
        return None
    if image.disk_format == ForeignFormat.RAW and (await asyncio.to_thread(path.stat)).st_size == 0:
        return None
    inspected = await inspect_image(
        path,
        max_virtual_size_bytes=resources.settings.volume_quota_gib * GIB,
        declared_format=ForeignFormat(image.disk_format),
    )
    return inspected.virtual_size_bytes


async def _finish(resources: Resources, received: _Received, virtual_size_bytes: int | None) -> None:
    digests = received.digests
    async with resources.database.writing() as tx:
        await _hand_over(tx, received, virtual_size_bytes)
        await rows.update_image_columns(
            tx,
            received.image.id,
            status=ImageStatus.ACTIVE,
            layer_id=received.upload.layer_id,
            size_bytes=digests.size_bytes,
            virtual_size_bytes=virtual_size_bytes,
            checksum=digests.md5,
            os_hash_value=digests.sha512,
            updated_at=utcnow(),
        )


async def _keep_staged(resources: Resources, received: _Received) -> None:
    """The digests stay with the layer until the import has looked at the data."""
    async with resources.database.writing() as tx:
        await _hand_over(tx, received, None)
        await rows.update_image_columns(
            tx,
            received.image.id,
            layer_id=received.upload.layer_id,
            size_bytes=received.digests.size_bytes,
            updated_at=utcnow(),
        )


async def _hand_over(tx: Transaction, received: _Received, virtual_size_bytes: int | None) -> None:
    """Ends the upload: from now on the layer is there for the image.

    Raises: ImageGoneError, UploadConflictError when the upload was given up meanwhile.
    """
    upload, digests = received.upload, received.digests
    if await rows.get_image(tx, upload.image_id, lock=True) is None:
        raise ImageGoneError
    if await rows.get_upload(tx, upload.image_id) != upload or not await _has_layer(tx, upload):
        raise UploadConflictError("The upload was given up by the service before it was complete.")
    await layers.seal(
        tx,
        upload.layer_id,
        stored_bytes=digests.size_bytes,
        virtual_size_bytes=virtual_size_bytes,
        md5=digests.md5,
        sha512=digests.sha512,
    )
    await rows.delete_upload(tx, upload.image_id)


async def _has_layer(tx: Transaction, upload: Upload, state: LayerState = LayerState.CREATING) -> bool:
    """False when the layer was swept away, because its maker had been silent for minutes."""
    try:
        layer = await layers.get_layer(tx, upload.layer_id)
    except NotFoundError:
        return False
    return layer.state is state


async def _take_back(resources: Resources, upload: Upload, path: Path) -> None:
    """Safe to repeat, and harmless once the image has the data.

    What the file takes up goes first, for a full disk has no room for the rows; then the rows, for a file without one
    would be found by nobody.
    """
    async with resources.database.reading() as tx:
        is_unfinished = not await _has_layer(tx, upload, LayerState.SEALED)
    if is_unfinished:
        await asyncio.to_thread(_empty, path)
    async with resources.database.writing() as tx:
        await _take_back_rows(tx, upload)
    if is_unfinished:
        await asyncio.to_thread(path.unlink, missing_ok=True)


def _empty(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.truncate(path, 0)


async def _take_back_rows(tx: Transaction, upload: Upload) -> None:
    if await rows.get_upload(tx, upload.image_id) == upload:
        await rows.delete_upload(tx, upload.image_id)
        await rows.update_image_columns(
            tx, upload.image_id, only_in=_WHILE_RECEIVING, status=ImageStatus.QUEUED, updated_at=utcnow()
        )
    await layers.release(tx, upload.layer_id)


async def take_back_dead_uploads(resources: Resources) -> None:
    """Lets images whose upload died with its process wait for data again. Safe at any time, in any process."""
    async with resources.database.reading() as tx:
        uploads = await rows.list_uploads(tx)
    for upload in uploads:
        async with resources.database.writing() as tx:
            image = await rows.get_image(tx, upload.image_id, lock=True)
            if image is not None:
                await _take_back_if_dead(resources, tx, image)


async def _take_back_if_dead(resources: Resources, tx: Transaction, image: Image) -> bool:
    upload = await rows.get_upload(tx, image.id)
    if upload is None or utcnow() - upload.started_at < START_GRACE:
        return False
    path = _path(resources.layout, image, upload)
    if intake.is_being_written(path):
        return False
    log.warning("images.dead_upload_taken_back", image=image.id, layer=upload.layer_id)
    if await _has_layer(tx, upload):
        await asyncio.to_thread(_empty, path)
    await _take_back_rows(tx, upload)
    return True
