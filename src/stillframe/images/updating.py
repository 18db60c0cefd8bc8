"""Changing what is known of an image, under the conditions IMS has for it."""

from stillframe.db import Transaction
from stillframe.errors import ExportRunningError, ImageNotActiveError
from stillframe.identity.model import Caller
from stillframe.images.model import Image, ImageStatus
from stillframe.images.service import EXPORT_KIND, get_own_image, update_image
from stillframe.jobs import service as jobs


async def get_changeable_image(tx: Transaction, caller: Caller, image_id: str) -> Image:
    """The image, locked. A protected one may be changed.

    Raises, in this order: as `get_own_image`; ImageNotActiveError, ExportRunningError.
    Source: Open Telekom Cloud, IMS API reference, "Updating Image Information".
    """
    image = await get_own_image(tx, caller, image_id)
    if image.status is not ImageStatus.ACTIVE:
        raise ImageNotActiveError
    if await jobs.has_live_job(tx, image.id, EXPORT_KIND):
        raise ExportRunningError
    return image


async def change_image(tx: Transaction, caller: Caller, before: Image, after: Image) -> Image:
    """Nothing is written when nothing differs. Raises: as `service.update_image`."""
    return before if after == before else await update_image(tx, caller, before, after)
