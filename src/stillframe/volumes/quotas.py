"""How many volumes, snapshots and GiB a project may have, as administrators set it for single ones."""

from collections.abc import Mapping

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.identity.model import Caller
from stillframe.quotas import service as project_quotas
from stillframe.quotas.model import QuotaOf
from stillframe.volumes.service import VolumeUsage, get_usage

NAMES = frozenset({"volumes", "snapshots", "gigabytes"})


async def get_quotas(tx: Transaction, caller: Caller, settings: Settings, project_id: str) -> VolumeUsage:
    """Raises: NotFoundError for a project that is neither the caller's own nor under their administration."""
    project_quotas.require_sight(caller, project_id)
    return await get_usage(tx, settings, project_id)


async def set_quotas(
    tx: Transaction, caller: Caller, settings: Settings, project_id: str, limits: Mapping[str, int]
) -> VolumeUsage:
    """What is not named stays; -1 is no limit. Less than there is only keeps more from being made.

    Raises: ForbiddenError, NotFoundError, InvalidInputError.
    Source: OpenStack Block Storage API v3 reference, "Update quotas for a project".
    """
    await project_quotas.begin_administration(tx, caller, project_id, "volume_extension:quotas:update")
    await project_quotas.merge_limits(tx, QuotaOf.VOLUMES, project_id, limits, NAMES)
    return await get_usage(tx, settings, project_id)


async def reset_quotas(tx: Transaction, caller: Caller, project_id: str) -> None:
    """Back to the settings. Raises: ForbiddenError, NotFoundError."""
    await project_quotas.begin_administration(tx, caller, project_id, "volume_extension:quotas:delete")
    await project_quotas.forget_limits(tx, QuotaOf.VOLUMES, project_id)
