"""How much of each kind a project may have: the defaults, and what administrators set instead."""

from collections.abc import Mapping

from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity.model import Caller
from stillframe.networks.access import get_usage_of, quotas_of_project
from stillframe.networks.errors import NetworkQuotaExceededError
from stillframe.networks.model import Quotas
from stillframe.quotas import service as project_quotas
from stillframe.quotas.model import QuotaOf, fits


async def get_quotas(tx: Transaction, caller: Caller, project_id: str) -> Quotas:
    """Raises: NotFoundError for a project that is neither the caller's own nor under their administration."""
    project_quotas.require_sight(caller, project_id)
    return await quotas_of_project(tx, project_id)


async def get_usage(tx: Transaction, caller: Caller, project_id: str) -> dict[str, tuple[int, int]]:
    """Of each kind how many there are, and how many there may be. Raises: NotFoundError."""
    project_quotas.require_sight(caller, project_id)
    return await get_usage_of(tx, project_id)


async def list_quotas(tx: Transaction, caller: Caller) -> dict[str, Quotas]:
    """Of the projects whose quotas were set: for administrators all, for others their own."""
    found = await project_quotas.list_projects(tx, QuotaOf.NETWORKS)
    shown = [one for one in found if caller.is_platform_admin or one == caller.project_id]
    return {project_id: await quotas_of_project(tx, project_id) for project_id in shown}


async def set_quotas(
    tx: Transaction, caller: Caller, project_id: str, limits: Mapping[str, int], *, check_usage: bool = False
) -> Quotas:
    """What is not named stays; -1 is no limit. `check_usage` refuses less than there is.

    Raises: ForbiddenError, NotFoundError, InvalidInputError, NetworkQuotaExceededError.
    Source: OpenStack Networking API v2.0 reference, "Update quota for a project".
    """
    await project_quotas.begin_administration(tx, caller, project_id, "update_quota")
    await project_quotas.merge_limits(tx, QuotaOf.NETWORKS, project_id, limits, Quotas.__struct_fields__)
    if check_usage:
        usage = await get_usage_of(tx, project_id)
        for name, most in limits.items():
            if not fits(most, usage[name][0]):
                raise NetworkQuotaExceededError(f"Quota limit {most} for {name} is below the {usage[name][0]} in use.")
    return await quotas_of_project(tx, project_id)


async def reset_quotas(tx: Transaction, caller: Caller, project_id: str) -> None:
    """Back to the defaults. Raises: ForbiddenError; NotFoundError when nothing was set."""
    await project_quotas.begin_administration(tx, caller, project_id, "delete_quota")
    if not await project_quotas.get_limits(tx, QuotaOf.NETWORKS, project_id):
        raise NotFoundError(f"Quota for tenant {project_id} could not be found.")
    await project_quotas.forget_limits(tx, QuotaOf.NETWORKS, project_id)
