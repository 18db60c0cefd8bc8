"""Unified limits: how much of a resource a project or domain may have, kept here for services that ask.

Ours have their own settings; these numbers are for whatever else is in the catalog. The model is flat.

Source: OpenStack Identity API v3, "Unified limits".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, NotFoundError
from stillframe.identity import catalog
from stillframe.identity.directory import domain_filter
from stillframe.identity.model import Caller, DomainRef, Json
from stillframe.identity.policy import refusal, require_platform_admin
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import limits as limit_rows
from stillframe.identity.rows import records
from stillframe.identity.tables import limits, registered_limits
from stillframe.kit.ids import new_hex_id


class RegisteredLimit(Struct, frozen=True, kw_only=True):
    id: str
    service_id: str
    region_id: str
    """Empty for every region."""
    resource_name: str
    default_limit: int
    description: str | None = None


class Limit(Struct, frozen=True, kw_only=True):
    """Of a project or of a domain, in place of the default of what is registered."""

    id: str
    registered_limit_id: str
    project_id: str | None = None
    domain_id: str | None = None
    resource_limit: int
    description: str | None = None


class LimitView(Struct, frozen=True, kw_only=True):
    limit: Limit
    registered: RegisteredLimit


# --- registered limits -----------------------------------------------------------------------------------------------


async def list_registered(tx: Transaction, wanted: Mapping[str, str]) -> list[RegisteredLimit]:
    if records.keeps_nothing(*wanted.values()):
        return []
    return await records.find_all(tx, registered_limits, RegisteredLimit, *records.equal(registered_limits, **wanted))


async def show_registered(tx: Transaction, an_id: str) -> RegisteredLimit:
    """Raises: NotFoundError."""
    found = await records.get(tx, registered_limits, RegisteredLimit, an_id)
    if found is None:
        raise NotFoundError(f"Could not find registered limit for {an_id}.")
    return found


async def create_registered(
    tx: Transaction, settings: Settings, caller: Caller, wanted: Sequence[Mapping[str, Any]]
) -> list[RegisteredLimit]:
    """All or none. Raises: ForbiddenError; InvalidInputError; ConflictError when one is there."""
    require_platform_admin(caller, "create_registered_limits")
    made = []
    for fields in wanted:
        new = RegisteredLimit(id=new_hex_id(), **{**fields, "region_id": fields.get("region_id") or ""})
        await _check_place(tx, settings, new)
        await records.insert(tx, registered_limits, new, taken=_taken("registered limit", new.resource_name))
        made.append(new)
    return made


def _taken(what: str, name: str) -> str:
    return f"Conflict occurred when attempting to store {what} - Duplicate entry for {name}."


async def _check_place(tx: Transaction, settings: Settings, new: RegisteredLimit) -> None:
    try:
        await catalog.show_service(tx, new.service_id)
        if new.region_id:
            await catalog.show_region(tx, settings, new.region_id)
    except NotFoundError as error:
        raise InvalidInputError(error.message) from None


async def change_registered(
    tx: Transaction, settings: Settings, caller: Caller, an_id: str, fields: Mapping[str, Any]
) -> RegisteredLimit:
    """What limits rest on keeps its place and name. Raises: NotFoundError; ForbiddenError; ConflictError."""
    require_platform_admin(caller, "update_registered_limit")
    before = await show_registered(tx, an_id)
    given = dict(fields)
    if "region_id" in given:
        given["region_id"] = given["region_id"] or ""
    after = structs.replace(before, **given)
    moved = {"service_id", "region_id", "resource_name"} & {k for k in given if given[k] != getattr(before, k)}
    if moved and await limit_rows.is_used(tx, an_id):
        raise ForbiddenError(f"Unable to update or delete registered limit {an_id} because there are project limits.")
    await _check_place(tx, settings, after)
    values = structs.asdict(after)
    del values["id"]
    await records.update(tx, registered_limits, an_id, taken=_taken("registered limit", after.resource_name), **values)
    return after


async def delete_registered(tx: Transaction, caller: Caller, an_id: str) -> None:
    """Raises: NotFoundError; ForbiddenError, also while a limit rests on it."""
    require_platform_admin(caller, "delete_registered_limit")
    await show_registered(tx, an_id)
    if await limit_rows.is_used(tx, an_id):
        raise ForbiddenError(f"Unable to update or delete registered limit {an_id} because there are project limits.")
    await records.delete(tx, registered_limits, an_id)


# --- limits ----------------------------------------------------------------------------------------------------------


async def list_limits(tx: Transaction, caller: Caller, wanted: Mapping[str, str]) -> list[LimitView]:
    """An administrator's of everything, others' of their own project or domain."""
    found = await _views(tx, await records.find_all(tx, limits, Limit))
    domain_id = await domain_filter(tx, wanted.get("domain_id"))
    asked = {**wanted, "domain_id": domain_id} if domain_id else wanted
    matching = [each for each in found if all(_field(each, name) == value for name, value in asked.items())]
    return [each for each in matching if await _may_see(tx, caller, each.limit)]


def _field(view: LimitView, name: str) -> Any:
    source: Struct = view.registered if name in ("service_id", "region_id", "resource_name") else view.limit
    return getattr(source, name)


async def _may_see(tx: Transaction, caller: Caller, limit: Limit) -> bool:
    if caller.is_platform_admin or caller.is_system:
        return True
    if limit.project_id is None:
        return limit.domain_id == caller.at_domain_id
    if limit.project_id == caller.project_id:
        return True
    project = await account_rows.get_project(tx, limit.project_id) if caller.scope_domain_id else None
    return project is not None and project.domain_id == caller.scope_domain_id


async def _views(tx: Transaction, found: list[Limit]) -> list[LimitView]:
    named = await records.find_by_ids(
        tx, registered_limits, RegisteredLimit, (each.registered_limit_id for each in found)
    )
    return [LimitView(limit=each, registered=named[each.registered_limit_id]) for each in found]


async def list_limits_of_project(tx: Transaction, project_id: str) -> list[LimitView]:
    return await _views(tx, await records.find_all(tx, limits, Limit, limits.c.project_id == project_id))


async def show_limit(tx: Transaction, caller: Caller, an_id: str) -> LimitView:
    """Raises: NotFoundError; ForbiddenError for the limits of others."""
    found = await records.get(tx, limits, Limit, an_id)
    if found is None:
        raise NotFoundError(f"Could not find limit for {an_id}.")
    if not await _may_see(tx, caller, found):
        raise refusal("get_limit")
    return (await _views(tx, [found]))[0]


async def create_limits(tx: Transaction, caller: Caller, wanted: Sequence[Mapping[str, Any]]) -> list[LimitView]:
    """All or none. Raises: ForbiddenError; InvalidInputError; ConflictError when one is there."""
    require_platform_admin(caller, "create_limits")
    made = []
    for fields in wanted:
        registered = await list_registered(
            tx,
            {
                "service_id": fields["service_id"],
                "region_id": fields.get("region_id") or "",
                "resource_name": fields["resource_name"],
            },
        )
        if not registered:
            raise ForbiddenError(f"There is no registered limit for {fields['resource_name']} there.")
        new = Limit(
            id=new_hex_id(),
            registered_limit_id=registered[0].id,
            project_id=fields.get("project_id"),
            domain_id=await domain_filter(tx, fields.get("domain_id")),
            resource_limit=fields["resource_limit"],
            description=fields.get("description"),
        )
        await _check_target(tx, new)
        await records.insert(tx, limits, new, taken=_taken("limit", fields["resource_name"]))
        made.append(new)
    return await _views(tx, made)


async def _check_target(tx: Transaction, new: Limit) -> None:
    if (new.project_id is None) == (new.domain_id is None):
        raise InvalidInputError("A limit is of a project or of a domain.", field="project_id")
    if new.project_id is not None and await account_rows.get_project(tx, new.project_id) is None:
        raise InvalidInputError(f"Could not find project: {new.project_id}.", field="project_id")
    if new.domain_id is not None and await account_rows.find_domain(tx, DomainRef(id=new.domain_id)) is None:
        raise InvalidInputError(f"Could not find domain: {new.domain_id}.", field="domain_id")


async def change_limit(tx: Transaction, caller: Caller, an_id: str, fields: Json) -> LimitView:
    """Raises: NotFoundError; ForbiddenError."""
    require_platform_admin(caller, "update_limit")
    await show_limit(tx, caller, an_id)
    await records.update(tx, limits, an_id, taken="It is there already.", **fields)
    return await show_limit(tx, caller, an_id)


async def delete_limit(tx: Transaction, caller: Caller, an_id: str) -> None:
    """Raises: NotFoundError; ForbiddenError."""
    require_platform_admin(caller, "delete_limit")
    await show_limit(tx, caller, an_id)
    await records.delete(tx, limits, an_id)
