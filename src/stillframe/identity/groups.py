"""Groups: what is granted to one, each of its members holds.

Source: OpenStack Identity API v3, "Groups".
"""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity import effective
from stillframe.identity.directory import domain_filter, require_same_domain, show_user
from stillframe.identity.model import WHOLE_LIST, Caller, Group, Json, ListQuery, User, UserFilter
from stillframe.identity.policy import missing, refusal, require_domain_admin
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import records
from stillframe.identity.tables import groups
from stillframe.identity.users import domain_for_new
from stillframe.kit.ids import is_hex_id, new_hex_id


def _taken(name: str) -> str:
    return f"Conflict occurred when attempting to store group - Duplicate entry found with name {name}."


async def list_groups(
    tx: Transaction, caller: Caller, query: ListQuery = WHOLE_LIST, *, domain_id: str | None = None
) -> list[Group]:
    """Raises: ForbiddenError for who administers nothing."""
    if not caller.is_admin:
        raise refusal("list_groups")
    wanted = await domain_filter(tx, domain_id)
    if not caller.is_platform_admin:
        if wanted not in (None, caller.at_domain_id):
            return []
        wanted = caller.at_domain_id
    where = records.equal(groups, domain_id=wanted)
    return [] if records.keeps_nothing(wanted) else await records.find_all(tx, groups, Group, *where, query=query)


async def show_group(tx: Transaction, caller: Caller, group_id: str, action: str = "get_group") -> Group:
    """Raises: NotFoundError; ForbiddenError for what the caller does not administer, be it there or not."""
    group = await records.get(tx, groups, Group, group_id) if is_hex_id(group_id) else None
    if group is None:
        raise missing(caller, "group", group_id, action, to_all=caller.is_admin and not is_hex_id(group_id))
    require_domain_admin(caller, group.domain_id, action)
    return group


async def _managed_group(tx: Transaction, caller: Caller, group_id: str, action: str) -> Group:
    """A group the caller may change: one that administers the platform is the platform's.

    Raises: NotFoundError; ForbiddenError.
    """
    group = await show_group(tx, caller, group_id, action)
    if not caller.is_platform_admin and await grant_rows.group_has_admin_role(tx, group.id):
        raise refusal(action)
    return group


async def create_group(tx: Transaction, caller: Caller, fields: Mapping[str, Any], extra: Json) -> Group:
    """Raises: ForbiddenError; NotFoundError for an unknown domain; ConflictError when the name is taken."""
    domain = await domain_for_new(tx, caller, fields.get("domain_id"), "create_group")
    group = Group(
        id=new_hex_id(),
        name=fields["name"].strip(),
        domain_id=domain.id,
        description=fields.get("description") or "",
        extra=extra,
    )
    await records.insert(tx, groups, group, taken=_taken(group.name))
    return group


async def change_group(tx: Transaction, caller: Caller, group_id: str, fields: Mapping[str, Any], extra: Json) -> Group:
    """Raises: NotFoundError; ForbiddenError; InvalidInputError; ConflictError when the name is taken."""
    before = await _managed_group(tx, caller, group_id, "update_group")
    await require_same_domain(tx, fields, before.domain_id)
    after = structs.replace(
        before,
        name=fields.get("name", before.name).strip(),
        description=fields.get("description", before.description) or "",
        extra=before.extra | extra,
    )
    values = {"name": after.name, "description": after.description, "extra": after.extra}
    await records.update(tx, groups, group_id, taken=_taken(after.name), **values)
    return after


async def delete_group(tx: Transaction, caller: Caller, group_id: str) -> None:
    """Its members lose at once what they had by it. Raises: NotFoundError; ForbiddenError."""
    await grant_rows.lock_grants(tx)
    group = await _managed_group(tx, caller, group_id, "delete_group")
    members = await account_rows.list_member_ids(tx, [group.id])
    await records.delete(tx, groups, group.id)
    await effective.refresh_users(tx, members)
    await effective.require_an_admin_left(tx)


async def list_members(tx: Transaction, caller: Caller, group_id: str, query: ListQuery = WHOLE_LIST) -> list[User]:
    group = await show_group(tx, caller, group_id, "list_users_in_group")
    return await account_rows.list_users(tx, UserFilter(group_id=group.id), query)


async def check_member(tx: Transaction, caller: Caller, group_id: str, user_id: str) -> None:
    """Raises: NotFoundError when the user is not in the group; ForbiddenError."""
    group = await show_group(tx, caller, group_id, "check_user_in_group")
    user = await show_user(tx, caller, user_id)
    if not await account_rows.is_member(tx, group.id, user.id):
        raise NotFoundError(f"User '{user_id}' not found in group '{group_id}'.")


async def add_member(tx: Transaction, caller: Caller, group_id: str, user_id: str) -> None:
    """Counts at once. Raises: NotFoundError; ForbiddenError."""
    await grant_rows.lock_grants(tx)
    group = await _managed_group(tx, caller, group_id, "add_user_to_group")
    user = await show_user(tx, caller, user_id)
    require_domain_admin(caller, user.domain_id, "add_user_to_group")
    await account_rows.add_member(tx, group.id, user.id)
    await effective.refresh_users(tx, {user.id})


async def remove_member(tx: Transaction, caller: Caller, group_id: str, user_id: str) -> None:
    """Counts at once, for tokens that are out already too. Raises: NotFoundError; ForbiddenError."""
    await grant_rows.lock_grants(tx)
    await _managed_group(tx, caller, group_id, "remove_user_from_group")
    await check_member(tx, caller, group_id, user_id)
    await account_rows.remove_member(tx, group_id, user_id)
    await effective.refresh_users(tx, {user_id})
    await effective.require_an_admin_left(tx)
