"""Images whose data a job brings.

noted with the request (`queued`) ──► `saving` ──► completed, or forgotten as if they had never been
"""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ImageNotActiveError
from stillframe.identity.model import Caller
from stillframe.images import quota, rows
from stillframe.images.model import Image, ImageStatus, OsInfo
from stillframe.images.refusals import ImageVanishedError
from stillframe.images.service import get_visible_image
from stillframe.images.visibility import require_may_change
from stillframe.kit.clock import utcnow
from stillframe.layers.model import Layer

_UNFINISHED = (ImageStatus.QUEUED, ImageStatus.SAVING)


async def note_images(tx: Transaction, settings: Settings, project_id: str, images: Iterable[Image]) -> None:
    """Counted exactly: the project's row is locked meanwhile. Their `origin` says that a job makes them.

    Raises: ImageQuotaExceededError, ImageNameTakenError.
    """
    noted = list(images)
    await quota.require_room_for_named_images(tx, project_id, settings, [image.name or "" for image in noted])
    for image in noted:
        await rows.insert_image(tx, image)


async def begin_saving(tx: Transaction, image_id: str) -> None:
    """Safe to repeat. Raises: ImageVanishedError."""
    if not await rows.update_image_columns(
        tx, image_id, only_in=_UNFINISHED, status=ImageStatus.SAVING, updated_at=utcnow()
    ):
        raise ImageVanishedError


async def take_queued_image(tx: Transaction, caller: Caller, image_id: str) -> Image:
    """For data that a job brings to an image which was described before: nobody else may bring any from now on.

    Raises: ImageNotFoundError, NotImageOwnerError; ImageNotActiveError unless it waits for its data.
    """
    image = await require_queued_image(tx, caller, image_id, lock=True)
    await begin_saving(tx, image.id)
    return image


async def require_queued_image(tx: Transaction, caller: Caller, image_id: str, *, lock: bool = False) -> Image:
    """Raises: ImageNotFoundError, NotImageOwnerError; ImageNotActiveError unless it waits for its data."""
    image = await get_visible_image(tx, caller, image_id, lock=lock)
    require_may_change(caller, image)
    if image.status is not ImageStatus.QUEUED or image.origin:
        raise ImageNotActiveError("The image does not wait for its data.")
    return image


async def set_system(tx: Transaction, image_id: str, system: OsInfo, *, firmware: str | None = None) -> None:
    """What was found to be on the disk. Raises: ImageVanishedError."""
    more = {"firmware": firmware} if firmware else {}
    if not await rows.update_image_columns(
        tx,
        image_id,
        only_in=_UNFINISHED,
        os_type=system.os_type,
        os_version=system.version,
        os_platform=system.platform,
        os_bits=system.bits,
        **more,
    ):
        raise ImageVanishedError


async def complete(tx: Transaction, image_id: str, layer: Layer, **more: Any) -> Image:
    """Gives the image its sealed layer, with whose digests it is active; `more` are other columns of its row.

    Raises: ImageVanishedError.
    """
    completed = await rows.update_image_columns(
        tx,
        image_id,
        only_in=(ImageStatus.SAVING,),
        status=ImageStatus.ACTIVE,
        layer_id=layer.id,
        disk_format=layer.disk_format,
        size_bytes=layer.stored_bytes,
        virtual_size_bytes=layer.virtual_size_bytes,
        checksum=layer.md5,
        os_hash_value=layer.sha512,
        updated_at=utcnow(),
        **more,
    )
    image = await rows.get_image(tx, image_id)
    if not completed or image is None:
        raise ImageVanishedError
    return image


async def forget(tx: Transaction, image_id: str) -> None:
    """Takes back `note_images`. Safe to repeat."""
    image = await rows.get_image(tx, image_id, lock=True)
    if image is not None and image.status in _UNFINISHED:
        await rows.delete_image_row(tx, image_id)


async def let_wait_again(tx: Transaction, image_id: str) -> None:
    """Takes back `take_queued_image`. Safe to repeat."""
    await rows.update_image_columns(
        tx, image_id, only_in=(ImageStatus.SAVING,), status=ImageStatus.QUEUED, updated_at=utcnow()
    )


def imported(image: Image) -> Image:
    """The description of an image that comes from a file, with what all of those have in common."""
    return replace(
        image, disk_format="qcow2", container_format="bare", properties={"__root_origin": "file", **image.properties}
    )
