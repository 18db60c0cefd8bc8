"""Roles, what they imply, and who is granted them where.

A domain's administrator grants what lies within the domain, but never a role that administers the platform.

Source: OpenStack Identity API v3, "Roles", "System role assignments", "OS-INHERIT".
"""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, NotFoundError
from stillframe.identity import effective
from stillframe.identity.directory import domain_filter, show_role
from stillframe.identity.model import ROLES, Caller, DomainRef, Grant, Group, Json, Role
from stillframe.identity.policy import missing, refusal, require_domain_admin, require_platform_admin
from stillframe.identity.projects import OPTIONS, require_mutable
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import records
from stillframe.identity.rows.grants import GrantFilter
from stillframe.identity.tables import groups, roles
from stillframe.identity.users import merged_options
from stillframe.kit.ids import new_hex_id


def _taken(name: str) -> str:
    return f"Conflict occurred when attempting to store role - Duplicate entry found with name {name}."


async def create_role(tx: Transaction, caller: Caller, fields: Mapping[str, Any], extra: Json) -> Role:
    """Raises: ForbiddenError; InvalidInputError; ConflictError when the name is taken."""
    require_platform_admin(caller, "create_role")
    domain_id = fields.get("domain_id")
    if domain_id:
        domain = await account_rows.find_domain(tx, DomainRef(id=domain_id))
        if domain is None:
            raise NotFoundError(f"Could not find domain: {domain_id}.")
        domain_id = domain.id
    role = Role(
        id=new_hex_id(),
        name=fields["name"].strip(),
        domain_id=domain_id or None,
        description=fields.get("description"),
        options=merged_options({}, fields.get("options"), OPTIONS),
        extra=extra,
    )
    await grant_rows.insert_role(tx, role)
    return role


def _require_not_ours(role: Role, *, renamed: bool) -> None:
    if renamed and role.domain_id is None and role.name in ROLES:
        raise ForbiddenError(f"The role {role.name} is part of this platform: it cannot be deleted or renamed.")


async def change_role(tx: Transaction, caller: Caller, role_id: str, fields: Mapping[str, Any], extra: Json) -> Role:
    """Raises: NotFoundError; ForbiddenError; InvalidInputError; ConflictError when the name is taken."""
    require_platform_admin(caller, "update_role")
    before = await show_role(tx, role_id)
    require_mutable(before.options, fields, "role", role_id)
    if fields.get("domain_id", before.domain_id) != before.domain_id:
        raise InvalidInputError("Update of `domain_id` is not allowed.", field="domain_id")
    after = structs.replace(
        before,
        name=fields.get("name", before.name).strip(),
        description=fields.get("description", before.description),
        options=merged_options(before.options, fields.get("options"), OPTIONS),
        extra=before.extra | extra,
    )
    _require_not_ours(before, renamed=after.name != before.name)
    values = {name: getattr(after, name) for name in ("name", "description", "options", "extra")}
    await records.update(tx, roles, role_id, taken=_taken(after.name), **values)
    return after


async def delete_role(tx: Transaction, caller: Caller, role_id: str) -> None:
    """Nobody holds it, or what it implied, any more. Raises: NotFoundError; ForbiddenError."""
    require_platform_admin(caller, "delete_role")
    role = await show_role(tx, role_id)
    require_mutable(role.options, None, "role", role_id)
    _require_not_ours(role, renamed=True)
    await grant_rows.lock_grants(tx)
    await records.delete(tx, roles, role_id)
    await effective.refresh_users(tx, None)
    await effective.require_an_admin_left(tx)


# --- implications ----------------------------------------------------------------------------------------------------


async def list_implications(tx: Transaction, caller: Caller, role_id: str | None = None) -> list[tuple[Role, Role]]:
    """Pairs of a role and one it implies: of one role, or of all. Raises: NotFoundError; ForbiddenError."""
    require_platform_admin(caller, "list_implied_roles")
    if role_id is not None:
        await show_role(tx, role_id)
    pairs = [pair for pair in await grant_rows.list_inferences(tx) if role_id in (None, pair[0])]
    found = await records.find_by_ids(tx, roles, Role, [each for pair in pairs for each in pair])
    return [(found[prior], found[implied]) for prior, implied in pairs]


async def show_implication(tx: Transaction, caller: Caller, prior_id: str, implied_id: str) -> tuple[Role, Role]:
    """Raises: NotFoundError when the one does not imply the other; ForbiddenError."""
    require_platform_admin(caller, "get_implied_role")
    prior, implied = await show_role(tx, prior_id), await show_role(tx, implied_id)
    if (prior_id, implied_id) not in await grant_rows.list_inferences(tx):
        raise NotFoundError(f"{prior_id} does not imply {implied_id}.")
    return prior, implied


async def add_implication(tx: Transaction, caller: Caller, prior_id: str, implied_id: str) -> tuple[Role, Role]:
    """Repeating is harmless. Raises: NotFoundError; ForbiddenError for `admin`, which nothing may bring along."""
    require_platform_admin(caller, "create_implied_role")
    prior, implied = await show_role(tx, prior_id), await show_role(tx, implied_id)
    await grant_rows.lock_grants(tx)
    if implied_id in await grant_rows.list_admin_role_ids(tx):
        raise ForbiddenError(f"{implied_id} cannot be an implied role.")
    if implied.domain_id is not None and prior.domain_id is None:
        raise ForbiddenError("A role of a domain cannot be implied by one of none.")
    if (prior_id, implied_id) not in await grant_rows.list_inferences(tx):
        await grant_rows.insert_inference(tx, prior_id, implied_id)
        await effective.refresh_users(tx, None)
    return prior, implied


async def remove_implication(tx: Transaction, caller: Caller, prior_id: str, implied_id: str) -> None:
    """Raises: NotFoundError; ForbiddenError."""
    await show_implication(tx, caller, prior_id, implied_id)
    await grant_rows.lock_grants(tx)
    await grant_rows.delete_inference(tx, prior_id, implied_id)
    await effective.refresh_users(tx, None)


# --- grants ----------------------------------------------------------------------------------------------------------


async def _require_grantor(
    tx: Transaction, caller: Caller, grant: Grant, action: str, *, gone_too: bool = False
) -> None:
    """Whether the caller may look at, make or take back the grant. Raises: NotFoundError; ForbiddenError."""
    if grant.role_id:
        role = await show_role(tx, grant.role_id)
        if not caller.is_platform_admin and role.id in await grant_rows.list_admin_role_ids(tx):
            raise refusal(action)
    concerned = (
        await _domain_of_actor(tx, caller, grant, action, gone_too=gone_too),
        await _domain_of_target(tx, caller, grant, action),
    )
    for domain_id in concerned:
        if domain_id != _GONE:
            require_domain_admin(caller, domain_id, action)


_GONE = "gone"


async def _resolved(tx: Transaction, grant: Grant) -> Grant:
    return structs.replace(grant, domain_id=await domain_filter(tx, grant.domain_id))


async def _domain_of_actor(tx: Transaction, caller: Caller, grant: Grant, action: str, *, gone_too: bool) -> str:
    if grant.user_id is not None:
        found: Any = await account_rows.get_user(tx, grant.user_id)
    else:
        found = await records.get(tx, groups, Group, grant.group_id or "")
    if found is None:
        if gone_too and caller.is_platform_admin:
            return _GONE
        what, an_id = ("user", grant.user_id) if grant.user_id is not None else ("group", grant.group_id)
        raise missing(caller, what, an_id or "", action)
    domain_id: str = found.domain_id
    return domain_id


async def _domain_of_target(tx: Transaction, caller: Caller, grant: Grant, action: str) -> str | None:
    if grant.project_id is not None:
        project = await account_rows.get_project(tx, grant.project_id)
        if project is None:
            raise missing(caller, "project", grant.project_id, action)
        return project.domain_id
    if grant.domain_id is not None:
        domain = await account_rows.find_domain(tx, DomainRef(id=grant.domain_id))
        if domain is None:
            raise missing(caller, "domain", grant.domain_id, action)
        return domain.id
    return None


async def list_roles_granted(tx: Transaction, caller: Caller, grant: Grant) -> list[Role]:
    """All roles granted to the same one at the same place; `grant.role_id` is empty.

    Raises: NotFoundError; ForbiddenError.
    """
    grant = await _resolved(tx, grant)
    await _require_grantor(tx, caller, grant, "list_grants")
    found = await grant_rows.list_grants(
        tx,
        GrantFilter(
            user_id=grant.user_id,
            group_id=grant.group_id,
            project_id=grant.project_id,
            domain_id=grant.domain_id,
            system=grant.project_id is None and grant.domain_id is None,
            inherited=grant.inherited,
        ),
    )
    named = await records.find_by_ids(tx, roles, Role, [each.role_id for each in found])
    return sorted(named.values(), key=lambda role: (role.name, role.id))


async def check_grant(tx: Transaction, caller: Caller, grant: Grant, action: str = "check_grant") -> None:
    """Raises: NotFoundError when it is not there; ForbiddenError."""
    grant = await _resolved(tx, grant)
    await _require_grantor(tx, caller, grant, action, gone_too=action == "revoke_grant")
    if not await grant_rows.has_grant(tx, grant):
        who = grant.user_id or grant.group_id
        raise NotFoundError(
            f"Could not find role assignment with role: {grant.role_id}, user or group: {who}, project, domain, or "
            f"system: {grant.target_id}."
        )


async def add_grant(tx: Transaction, caller: Caller, grant: Grant) -> None:
    """Counts at once; repeating is harmless. Raises: NotFoundError; ForbiddenError."""
    grant = await _resolved(tx, grant)
    await _require_grantor(tx, caller, grant, "create_grant")
    role = await show_role(tx, grant.role_id)
    target_domain = await _domain_of_target(tx, caller, grant, "create_grant")
    if role.domain_id is not None and role.domain_id != target_domain:
        raise ForbiddenError(f"The role {role.id} belongs to another domain than what it would be granted on.")
    await grant_rows.lock_grants(tx)
    await grant_rows.insert_grant(tx, grant)
    await effective.refresh_grantee(tx, user_id=grant.user_id, group_id=grant.group_id)


async def remove_grant(tx: Transaction, caller: Caller, grant: Grant) -> None:
    """Counts at once, for tokens that are out already too. Raises: NotFoundError; ForbiddenError."""
    grant = await _resolved(tx, grant)
    await check_grant(tx, caller, grant, "revoke_grant")
    await grant_rows.lock_grants(tx)
    await grant_rows.delete_grant(tx, grant)
    await effective.refresh_grantee(tx, user_id=grant.user_id, group_id=grant.group_id)
    await effective.require_an_admin_left(tx)
