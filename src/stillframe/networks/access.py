"""What every change and every look has in common: whose it is, what a project is born with, how much it may have."""

from typing import TypeVar, cast

from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import NetworkNotFoundError
from stillframe.identity import service as identity
from stillframe.identity.model import Caller
from stillframe.kit.ids import is_uuid
from stillframe.networks import rows
from stillframe.networks.errors import NetworkQuotaExceededError
from stillframe.networks.model import (
    AddressGroup,
    FloatingIp,
    Network,
    Port,
    Quotas,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Thing,
    defaults_of,
)
from stillframe.quotas import service as project_quotas
from stillframe.quotas.model import QuotaOf, fits

ThingType = TypeVar("ThingType", bound=Thing)

_NAMES: dict[type[Thing], str] = {
    Network: "network",
    Subnet: "subnet",
    Router: "router",
    Port: "port",
    SecurityGroup: "security_group",
    SecurityGroupRule: "security_group_rule",
    FloatingIp: "floatingip",
}
_SPOKEN: dict[type[Thing], str] = {
    SecurityGroup: "Security group",
    SecurityGroupRule: "Security group rule",
    FloatingIp: "Floating IP",
    AddressGroup: "Address group",
}


async def begin_change(tx: Transaction, caller: Caller) -> str:
    """The caller's project, locked until the transaction ends: quotas and addresses are counted exactly.

    Raises: ForbiddenError for a reader, or when the request is for no project.
    """
    caller.require_writer()
    project_id = caller.require_project()
    await prepare_project(tx, project_id)
    tx.wake_worker_on_commit()
    return project_id


async def prepare_project(tx: Transaction, project_id: str) -> None:
    """Makes the rows of what the project was born with, once, and locks the project. Safe to repeat."""
    await identity.lock_project(tx, project_id)
    if not await rows.is_prepared(tx, project_id):
        await rows.note_prepared(tx, project_id)
        for thing in defaults_of(project_id).in_order:
            await rows.insert(tx, thing)


async def list_things(tx: Transaction, caller: Caller, kind: type[ThingType]) -> list[ThingType]:
    """All that the caller's project has. Raises: ForbiddenError when the request is for no project."""
    return await list_of_project(tx, caller.require_project(), kind)


async def list_of_project(tx: Transaction, project_id: str, kind: type[ThingType]) -> list[ThingType]:
    found = await rows.find(tx, kind, project_id=project_id)
    if found or await rows.is_prepared(tx, project_id):
        return found
    return cast("list[ThingType]", defaults_of(project_id).of_kind(kind))


async def get_thing(tx: Transaction, caller: Caller, kind: type[ThingType], thing_id: str) -> ThingType:
    """`thing_id` may be any text. Raises: NetworkNotFoundError, also for another project's."""
    project_id = caller.require_project()
    if is_uuid(thing_id):
        for thing in await rows.find(tx, kind, id=thing_id):
            if thing.project_id == project_id:
                return thing
        if not await rows.is_prepared(tx, project_id):
            for thing in cast("list[ThingType]", defaults_of(project_id).of_kind(kind)):
                if thing.id == thing_id:
                    return thing
    raise not_found(kind, thing_id)


def not_found(kind: type[Thing], thing_id: str) -> NetworkNotFoundError:
    return NetworkNotFoundError(f"{_SPOKEN.get(kind, kind.__name__)} {thing_id[:255]} could not be found.")


async def quotas_of_project(tx: Transaction, project_id: str) -> Quotas:
    return replace(Quotas(), **await project_quotas.get_limits(tx, QuotaOf.NETWORKS, project_id))


async def require_quota(tx: Transaction, project_id: str, kind: type[Thing], more: int = 1) -> None:
    """The project is locked already. Raises: NetworkQuotaExceededError."""
    name = _NAMES[kind]
    limit: int = getattr(await quotas_of_project(tx, project_id), name)
    if not fits(limit, await rows.count(tx, kind, project_id) + more):
        raise NetworkQuotaExceededError(f"Quota exceeded for resources: ['{name}']. At most {limit} are allowed.")


async def get_usage_of(tx: Transaction, project_id: str) -> dict[str, tuple[int, int]]:
    """Of each kind how many there are, and how many there may be."""
    quotas = await quotas_of_project(tx, project_id)
    return {
        name: (len(await list_of_project(tx, project_id, kind)), getattr(quotas, name)) for kind, name in _NAMES.items()
    }
