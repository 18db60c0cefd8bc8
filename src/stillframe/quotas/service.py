"""Reading and setting the quotas of single projects, for the rooms that count by them."""

from collections.abc import Collection, Mapping

from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, NotFoundError
from stillframe.identity import service as identity
from stillframe.identity.model import Caller
from stillframe.quotas import rows
from stillframe.quotas.model import MOST, UNLIMITED, QuotaOf


async def get_limits(tx: Transaction, service: QuotaOf, project_id: str) -> dict[str, int]:
    """What was set for the project; -1 is no limit."""
    return await rows.get_limits(tx, service, project_id)


async def list_projects(tx: Transaction, service: QuotaOf) -> list[str]:
    """Those for which something was set."""
    return await rows.list_projects(tx, service)


async def begin_administration(tx: Transaction, caller: Caller, project_id: str, action: str) -> None:
    """The project is locked: what is being made now is counted before or after.

    Raises: ForbiddenError, NotFoundError.
    """
    if not caller.is_platform_admin:
        raise ForbiddenError(f"rule:{action} is disallowed by policy")
    require_sight(caller, project_id)
    await identity.lock_project(tx, project_id)


async def merge_limits(
    tx: Transaction, service: QuotaOf, project_id: str, limits: Mapping[str, int], known: Collection[str]
) -> None:
    """What is not named stays. Of a project whose administration has begun.

    Raises: InvalidInputError for a name that is not `known`, or a number that is no limit.
    """
    for name, most in limits.items():
        if name not in known:
            raise InvalidInputError(f"Unrecognized attribute(s) '{name[:64]}'", field=name[:64])
        if not UNLIMITED <= most <= MOST:
            raise InvalidInputError(f"The quota of {name} must be -1 (no limit) or more.", field=name)
    set_before = await rows.get_limits(tx, service, project_id)
    await rows.replace_limits(tx, service, project_id, {**set_before, **limits})


async def forget_limits(tx: Transaction, service: QuotaOf, project_id: str) -> None:
    """Back to the defaults. Of a project whose administration has begun."""
    await rows.replace_limits(tx, service, project_id, {})


def require_sight(caller: Caller, project_id: str) -> None:
    """No project is called what cannot be printed, and PostgreSQL cannot even look for all of that.

    Raises: NotFoundError.
    """
    if project_id != caller.project_id and not (caller.is_platform_admin and project_id.isprintable()):
        raise NotFoundError("Quotas are shown for the project of the token.")
