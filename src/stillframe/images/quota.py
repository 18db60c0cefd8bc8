"""How many images and image jobs a project may have, counted exactly: its row is locked while it is asked."""

from collections.abc import Sequence
from typing import NamedTuple

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ImageJobLimitError, ImageNameTakenError
from stillframe.identity import service as identity
from stillframe.images import rows
from stillframe.images.errors import ImageQuotaExceededError
from stillframe.images.model import MAX_MEMBERS
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Service


async def require_room_for_image(tx: Transaction, project_id: str, settings: Settings, count: int = 1) -> None:
    """Counts images of every status but deleted, also those still being made; public ones are nobody's burden.

    Raises: ImageQuotaExceededError.
    """
    await identity.lock_project(tx, project_id)
    if await rows.count_images_of_project(tx, project_id) + count > settings.image_quota:
        raise ImageQuotaExceededError


async def require_room_for_named_images(
    tx: Transaction, project_id: str, settings: Settings, names: Sequence[str]
) -> None:
    """The calls of IMS also ask for names of one's own, where the settings say so.

    Raises: ImageQuotaExceededError, then ImageNameTakenError.
    """
    await require_room_for_image(tx, project_id, settings, len(names))
    if not settings.unique_image_names:
        return
    if len(set(names)) < len(names):
        raise ImageNameTakenError
    for name in names:
        if await rows.is_name_taken(tx, project_id, name):
            raise ImageNameTakenError


async def require_room_for_job(tx: Transaction, project_id: str, settings: Settings) -> None:
    """Raises: ImageJobLimitError for too many unfinished image jobs."""
    await identity.lock_project(tx, project_id)
    if await jobs.count_live_jobs(tx, project_id, Service.IMS) >= settings.image_jobs_limit:
        raise ImageJobLimitError


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
