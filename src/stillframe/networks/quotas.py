"""How much of each kind a project may have: the defaults, and what administrators set instead."""

from collections.abc import Mapping

from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, NotFoundError
from stillframe.identity import service as identity
from stillframe.identity.model import Caller
from stillframe.networks import rows
from stillframe.networks.access import get_usage_of, quotas_of_project
from stillframe.networks.errors import NetworkQuotaExceededError
from stillframe.networks.model import Quotas

UNLIMITED = -1
_MOST = 2**31 - 1


async def get_quotas(tx: Transaction, caller: Caller, project_id: str) -> Quotas:
    """Raises: NotFoundError for a project that is neither the caller's own nor under their administration."""
    _require_sight(caller, project_id)
    return await quotas_of_project(tx, project_id)


async def get_usage(tx: Transaction, caller: Caller, project_id: str) -> dict[str, tuple[int, int]]:
    """Of each kind how many there are, and how many there may be. Raises: NotFoundError."""
    _require_sight(caller, project_id)
    return await get_usage_of(tx, project_id)


async def list_quotas(tx: Transaction, caller: Caller) -> dict[str, Quotas]:
    """Of the projects whose quotas were set: for administrators all, for others their own."""
    found = await rows.projects_with_quotas(tx)
    shown = [one for one in found if caller.is_platform_admin or one == caller.project_id]
    return {project_id: await quotas_of_project(tx, project_id) for project_id in shown}


async def set_quotas(
    tx: Transaction, caller: Caller, project_id: str, limits: Mapping[str, int], *, check_usage: bool = False
) -> Quotas:
    """What is not named stays; -1 is no limit. `check_usage` refuses less than there is.

    Raises: ForbiddenError, NotFoundError, InvalidInputError, NetworkQuotaExceededError.
    Source: OpenStack Networking API v2.0 reference, "Update quota for a project".
    """
    await _begin_administration(tx, caller, project_id, "update_quota")
    for name, most in limits.items():
        if name not in Quotas.__struct_fields__:
            raise InvalidInputError(f"Unrecognized attribute(s) '{name[:64]}'", field=name[:64])
        if not UNLIMITED <= most <= _MOST:
            raise InvalidInputError(f"The quota of {name} must be -1 (no limit) or more.", field=name)
    if check_usage:
        usage = await get_usage_of(tx, project_id)
        for name, most in limits.items():
            if UNLIMITED < most < usage[name][0]:
                raise NetworkQuotaExceededError(f"Quota limit {most} for {name} is below the {usage[name][0]} in use.")
    await rows.set_quotas(tx, project_id, {**await rows.quotas_of(tx, project_id), **limits})
    return await quotas_of_project(tx, project_id)


async def reset_quotas(tx: Transaction, caller: Caller, project_id: str) -> None:
    """Back to the defaults. Raises: ForbiddenError; NotFoundError when nothing was set."""
    await _begin_administration(tx, caller, project_id, "delete_quota")
    if not await rows.quotas_of(tx, project_id):
        raise NotFoundError(f"Quota for tenant {project_id} could not be found.")
    await rows.set_quotas(tx, project_id, {})


async def _begin_administration(tx: Transaction, caller: Caller, project_id: str, action: str) -> None:
    """The project is locked: what is being made now is counted before or after."""
    if not caller.is_platform_admin:
        raise ForbiddenError(f"rule:{action} is disallowed by policy")
    _require_sight(caller, project_id)
    await identity.lock_project(tx, project_id)


def _require_sight(caller: Caller, project_id: str) -> None:
    """No project is called what cannot be printed, and PostgreSQL cannot even look for all of that."""
    if project_id != caller.project_id and not (caller.is_platform_admin and project_id.isprintable()):
        raise NotFoundError("Quotas are shown for the project of the token.")
