"""SQL of roles, of who holds them where, and of what that comes to for every user."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import sqlalchemy as sa
from msgspec import structs

from stillframe.db import Transaction
from stillframe.identity.model import PLATFORM_ADMIN, WHOLE_LIST, Grant, ListQuery, Role
from stillframe.identity.rows import records
from stillframe.identity.rows.records import CHUNK, equal, keeps_nothing
from stillframe.identity.tables import (
    built,
    columns,
    domains,
    effective_roles,
    group_members,
    projects,
    role_assignments,
    role_inferences,
    roles,
    users,
)

# --- roles -----------------------------------------------------------------------------------------------------------


async def insert_role(tx: Transaction, role: Role) -> None:
    taken = f"Conflict occurred when attempting to store role - Duplicate entry found with name {role.name}."
    await records.insert(tx, roles, role, taken=taken)


async def list_roles(tx: Transaction, *, name: str | None = None, query: ListQuery = WHOLE_LIST) -> list[Role]:
    """Those of no domain."""
    if keeps_nothing(name):
        return []
    return await records.find_all(tx, roles, Role, roles.c.domain_id.is_(None), *equal(roles, name=name), query=query)


async def list_domain_roles(tx: Transaction, domain_id: str, query: ListQuery = WHOLE_LIST) -> list[Role]:
    if keeps_nothing(domain_id):
        return []
    return await records.find_all(tx, roles, Role, roles.c.domain_id == domain_id, query=query)


async def list_all_domain_roles(tx: Transaction) -> list[Role]:
    return await records.find_all(tx, roles, Role, roles.c.domain_id.is_not(None))


async def lock_grants(tx: Transaction) -> None:
    """One transaction at a time changes who holds what: each sees all that the others have done.

    The rows of the roles stand for it, since every such change is about one of them.
    """
    await tx.all(sa.select(roles.c.id).order_by(roles.c.id).with_for_update(key_share=True))


async def list_inferences(tx: Transaction) -> list[tuple[str, str]]:
    """Pairs of the id of a role and of one it implies."""
    found = await tx.all(
        sa.select(role_inferences).order_by(role_inferences.c.prior_role_id, role_inferences.c.implied_role_id)
    )
    return [(row.prior_role_id, row.implied_role_id) for row in found]


async def insert_inference(tx: Transaction, prior_id: str, implied_id: str) -> None:
    await tx.execute(sa.insert(role_inferences).values(prior_role_id=prior_id, implied_role_id=implied_id))


async def delete_inference(tx: Transaction, prior_id: str, implied_id: str) -> None:
    await tx.execute(
        sa.delete(role_inferences).where(
            role_inferences.c.prior_role_id == prior_id, role_inferences.c.implied_role_id == implied_id
        )
    )


# --- grants ----------------------------------------------------------------------------------------------------------


async def has_grant(tx: Transaction, grant: Grant) -> bool:
    return await tx.first(sa.select(role_assignments.c.id).where(role_assignments.c.id == grant.id)) is not None


async def insert_grant(tx: Transaction, grant: Grant) -> None:
    """Repeating is harmless."""
    if not await has_grant(tx, grant):
        await tx.execute(sa.insert(role_assignments).values(id=grant.id, **structs.asdict(grant)))


async def delete_grant(tx: Transaction, grant: Grant) -> None:
    await tx.execute(sa.delete(role_assignments).where(role_assignments.c.id == grant.id))


class GrantFilter(NamedTuple):
    """What is None does not narrow the list."""

    role_id: str | None = None
    user_id: str | None = None
    group_id: str | None = None
    project_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    inherited: bool | None = None


async def list_grants(tx: Transaction, wanted: GrantFilter) -> list[Grant]:
    values = {name: value for name, value in wanted._asdict().items() if name != "system"}
    if keeps_nothing(*(value for value in values.values() if isinstance(value, str))):
        return []
    where = equal(role_assignments, **values)
    if wanted.system:
        where += [role_assignments.c.project_id.is_(None), role_assignments.c.domain_id.is_(None)]
    return await records.find_all(tx, role_assignments, Grant, *where)


async def list_grants_of_users(tx: Transaction, user_ids: Collection[str] | None) -> list[tuple[str, Grant]]:
    """(user, grant) for all that is granted to the users (None: everybody) themselves or by their groups."""
    fields = columns(role_assignments, Grant)
    own = sa.select(role_assignments.c.user_id, *fields).where(role_assignments.c.user_id.is_not(None))
    by_group = sa.select(group_members.c.user_id, *fields).join(
        group_members, group_members.c.group_id == role_assignments.c.group_id
    )
    found: list[tuple[str, Grant]] = []
    for chunk in _chunks(user_ids):
        first = own if chunk is None else own.where(role_assignments.c.user_id.in_(chunk))
        second = by_group if chunk is None else by_group.where(group_members.c.user_id.in_(chunk))
        for statement in (first, second):
            found += [(row[0], built(Grant, row[1:])) for row in await tx.all(statement)]
    return found


async def list_users_with_inherited_grants(tx: Transaction) -> set[str]:
    inherited = role_assignments.c.inherited.is_(sa.true())
    own = sa.select(role_assignments.c.user_id).where(inherited, role_assignments.c.user_id.is_not(None))
    by_group = (
        sa.select(group_members.c.user_id)
        .join(role_assignments, role_assignments.c.group_id == group_members.c.group_id)
        .where(inherited)
    )
    return {row.user_id for statement in (own, by_group) for row in await tx.all(statement)}


def _chunks(ids: Collection[str] | None) -> Iterable[list[str] | None]:
    if ids is None:
        return [None]
    ordered = sorted(ids)
    return [ordered[at : at + CHUNK] for at in range(0, len(ordered), CHUNK)]


# --- what grants come to ---------------------------------------------------------------------------------------------


class Held(NamedTuple):
    user_id: str
    target_id: str
    role_id: str


async def list_held(tx: Transaction, user_ids: Collection[str] | None) -> set[Held]:
    statement = sa.select(effective_roles.c.user_id, effective_roles.c.target_id, effective_roles.c.role_id)
    found: set[Held] = set()
    for chunk in _chunks(user_ids):
        wanted = statement if chunk is None else statement.where(effective_roles.c.user_id.in_(chunk))
        found |= {Held(*row) for row in await tx.all(wanted)}
    return found


async def change_held(tx: Transaction, *, gone: Iterable[Held], added: Iterable[Held]) -> None:
    for each in gone:
        await tx.execute(
            sa.delete(effective_roles).where(
                effective_roles.c.user_id == each.user_id,
                effective_roles.c.target_id == each.target_id,
                effective_roles.c.role_id == each.role_id,
            )
        )
    rows = [each._asdict() for each in added]
    if rows:
        await tx.execute(sa.insert(effective_roles), rows)


async def forget_target(tx: Transaction, target_id: str) -> None:
    await tx.execute(sa.delete(effective_roles).where(effective_roles.c.target_id == target_id))


async def list_role_ids_held(tx: Transaction, user_id: str, target_id: str) -> set[str]:
    found = await tx.all(
        sa.select(effective_roles.c.role_id).where(
            effective_roles.c.user_id == user_id, effective_roles.c.target_id == target_id
        )
    )
    return {row.role_id for row in found}


async def has_role(tx: Transaction, user_id: str, role_name: str) -> bool:
    """Anywhere."""
    held = sa.select(effective_roles.c.role_id).join(roles, roles.c.id == effective_roles.c.role_id)
    return await tx.first(held.where(effective_roles.c.user_id == user_id, roles.c.name == role_name)) is not None


async def group_has_admin_role(tx: Transaction, group_id: str) -> bool:
    """Whether a member would administer the platform somewhere."""
    granted = await list_grants(tx, GrantFilter(group_id=group_id))
    return bool({grant.role_id for grant in granted} & await list_admin_role_ids(tx))


async def list_admin_role_ids(tx: Transaction) -> set[str]:
    """The role that administers the platform, and all that bring it along."""
    found = {role.id for role in await list_roles(tx, name=PLATFORM_ADMIN)}
    inferences = await list_inferences(tx)
    while more := {prior for prior, implied in inferences if implied in found} - found:
        found |= more
    return found


async def has_working_admin(tx: Transaction) -> bool:
    """Whether anybody who administers the platform can still log in for something."""
    target_domain = domains.alias("target_domain")
    statement = (
        sa.select(users.c.id)
        .join(effective_roles, effective_roles.c.user_id == users.c.id)
        .join(roles, roles.c.id == effective_roles.c.role_id)
        .join(domains, domains.c.id == users.c.domain_id)
        .outerjoin(projects, projects.c.id == effective_roles.c.target_id)
        .outerjoin(
            target_domain,
            target_domain.c.id == sa.func.coalesce(projects.c.domain_id, effective_roles.c.target_id),
        )
        .where(
            roles.c.name == PLATFORM_ADMIN,
            roles.c.domain_id.is_(None),
            users.c.enabled,
            domains.c.enabled,
            users.c.password_hash != "",
            sa.or_(projects.c.id.is_(None), projects.c.enabled),
            sa.or_(target_domain.c.id.is_(None), target_domain.c.enabled),
        )
        .limit(1)
    )
    return await tx.first(statement) is not None
