"""Handing out an image's stored bytes, exactly as they came in or as they were flattened."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import BinaryIO, NamedTuple

from stillframe.blobs.layout import DiskFormat
from stillframe.errors import UnavailableError
from stillframe.identity.model import Caller
from stillframe.images import consolidation, service
from stillframe.images.errors import ImageDeactivatedError, ImageNotFlattenedError
from stillframe.images.model import Image, ImageStatus
from stillframe.jobs import service as jobs
from stillframe.jobs.resources import Resources
from stillframe.layers import service as layers
from stillframe.layers.model import Layer

CHUNK_BYTES = 1024 * 1024
FLATTENING_WAIT_S = 30.0
_POLL_S = 0.2
_OPEN_ATTEMPTS = 3
_STAGED = (ImageStatus.UPLOADING, ImageStatus.IMPORTING)
"""With data that nobody has looked at yet."""


class StoredData(NamedTuple):
    """An open file stays readable when the image is deleted meanwhile. Who reads it closes it."""

    file: BinaryIO
    size_bytes: int
    checksum: str | None
    modified_at: datetime
    """When the data was written; it never changes."""


async def open_data(resources: Resources, caller: Caller, image_id: str) -> StoredData | None:
    """The image's bytes, or None for an image without data.

    A captured image is waited for until it is flattened.

    Raises: ImageNotFoundError, ImageDeactivatedError, ImageNotFlattenedError when the waiting was in vain.
    """
    for _ in range(_OPEN_ATTEMPTS):
        image, layer = await _flattened_image(resources, caller, image_id)
        if layer is None:
            return None
        path = resources.layout.layer(layer.id, DiskFormat(layer.disk_format))
        try:
            file = await asyncio.to_thread(path.open, "rb", buffering=0)
        except FileNotFoundError:
            # Between reading the row and opening the file the image got another layer, or was deleted.
            continue
        about = os.fstat(file.fileno())
        return StoredData(file, about.st_size, image.checksum, datetime.fromtimestamp(about.st_mtime, UTC))
    raise UnavailableError("The image's data cannot be read.", cause=f"no file of image {image_id}")


async def _flattened_image(resources: Resources, caller: Caller, image_id: str) -> tuple[Image, Layer | None]:
    may_try_again = resources.settings.consolidate
    deadline = time.monotonic() + (FLATTENING_WAIT_S if may_try_again else 0)
    while True:
        async with resources.database.reading() as tx:
            image = await service.get_visible_image(tx, caller, image_id)
            if image.status is ImageStatus.DEACTIVATED and not caller.is_platform_admin:
                raise ImageDeactivatedError
            if image.layer_id is None or image.status in _STAGED:
                return image, None
            if image.os_hash_value is not None:
                return image, await layers.get_layer(tx, image.layer_id)
            is_under_way = await jobs.has_live_job(tx, image.id, consolidation.KIND)
        if may_try_again and not is_under_way:
            await consolidation.try_again(resources, image.id)
            may_try_again = False
        if time.monotonic() > deadline:
            raise ImageNotFlattenedError
        await asyncio.sleep(_POLL_S)


async def read_range(file: BinaryIO, start: int, length: int) -> AsyncIterator[bytes]:
    """`length` bytes from `start` in large chunks; closes the file at the end, also when the reader goes away.

    Raises: OSError when the file ends before.
    """
    try:
        end = start + length
        while start < end:
            chunk = await asyncio.to_thread(os.pread, file.fileno(), min(CHUNK_BYTES, end - start), start)
            if not chunk:
                raise OSError(f"{file.name} ended at byte {start}")
            start += len(chunk)
            yield chunk
    finally:
        file.close()
