"""How many images a project may have, counted exactly: the project's row is locked while it is asked."""

from typing import NamedTuple

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.identity import service as identity
from stillframe.images import rows
from stillframe.images.errors import ImageQuotaExceededError
from stillframe.images.model import MAX_MEMBERS


async def require_room_for_image(tx: Transaction, project_id: str, settings: Settings, count: int = 1) -> None:
    """Counts images of every status but deleted, also those still being made; public ones are nobody's burden.

    Raises: ImageQuotaExceededError.
    """
    await identity.lock_project(tx, project_id)
    if await rows.count_images_of_project(tx, project_id) + count > settings.image_quota:
        raise ImageQuotaExceededError


class Usage(NamedTuple):
    type: str
    used: int
    quota: int


async def get_usage(tx: Transaction, project_id: str, settings: Settings) -> list[Usage]:
    """Every image may be shared, so the quota of shared ones is that of images."""
    counts = await rows.count_for_quota(tx, project_id)
    return [
        Usage("image", counts.images, settings.image_quota),
        Usage("image_shared", counts.shared, settings.image_quota),
        Usage("image_member", counts.members, MAX_MEMBERS),
    ]
