"""How many servers, cores and MiB of memory a project may have, as administrators set it for single ones."""

from collections.abc import Mapping

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.quotas import service as project_quotas
from stillframe.quotas.model import QuotaOf, fits
from stillframe.servers.creation import get_usage
from stillframe.servers.model import ServerUsage

NAMES = frozenset({"instances", "cores", "ram"})


async def get_quotas(tx: Transaction, caller: Caller, settings: Settings, project_id: str) -> ServerUsage:
    """Raises: NotFoundError for a project that is neither the caller's own nor under their administration."""
    project_quotas.require_sight(caller, project_id)
    return await get_usage(tx, settings, project_id)


async def set_quotas(
    tx: Transaction, caller: Caller, settings: Settings, project_id: str, limits: Mapping[str, int], *, force: bool
) -> ServerUsage:
    """What is not named stays; -1 is no limit. `force` also sets less than there is.

    Raises: ForbiddenError, NotFoundError, InvalidInputError.
    Source: OpenStack Compute API reference, "Update Quotas".
    """
    await project_quotas.begin_administration(tx, caller, project_id, "os_compute_api:os-quota-sets:update")
    await project_quotas.merge_limits(tx, QuotaOf.SERVERS, project_id, limits, NAMES)
    usage = await get_usage(tx, settings, project_id)
    used = {"instances": usage.servers, "cores": usage.cores, "ram": usage.ram_mib}
    for name, most in limits.items():
        if not force and not fits(most, used[name]):
            raise InvalidInputError(
                f"Quota limit {most} for {name} must be greater than or equal to already used and reserved "
                f"{used[name]}.",
                field=name,
            )
    return usage


async def reset_quotas(tx: Transaction, caller: Caller, project_id: str) -> None:
    """Back to the settings. Raises: ForbiddenError, NotFoundError."""
    await project_quotas.begin_administration(tx, caller, project_id, "os_compute_api:os-quota-sets:delete")
    await project_quotas.forget_limits(tx, QuotaOf.SERVERS, project_id)
