"""SQL of domains, projects, users and groups beyond reading and writing single rows."""

import operator
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity.model import (
    DEFAULT_DOMAIN_ID,
    FIRST_DOMAIN,
    WHOLE_LIST,
    Domain,
    DomainRef,
    Group,
    ListQuery,
    Project,
    ProjectFilter,
    TagFilter,
    User,
    UserFilter,
)
from stillframe.identity.rows import records
from stillframe.identity.rows.records import equal, keeps_nothing
from stillframe.identity.tables import (
    built,
    columns,
    credentials,
    domains,
    effective_roles,
    group_members,
    groups,
    project_tags,
    projects,
    role_assignments,
    roles,
    users,
)

# --- domains ---------------------------------------------------------------------------------------------------------


async def insert_domain(tx: Transaction, domain: Domain) -> None:
    taken = f"Conflict occurred when attempting to store domain - there is one named {domain.name} already."
    await records.insert(tx, domains, domain, taken=taken)


async def find_domain(tx: Transaction, ref: DomainRef) -> Domain | None:
    """By id, or by the exact name."""
    if ref.id:
        found = await records.get(tx, domains, Domain, ref.id)
        return found or (await find_domain(tx, DomainRef(name=FIRST_DOMAIN)) if ref.id == DEFAULT_DOMAIN_ID else None)
    return next(iter(await list_domains(tx, name=ref.name)), None) if ref.name else None


def is_domain(ref: DomainRef) -> sa.ColumnElement[bool]:
    """The condition for the one domain that `find_domain` finds."""
    if ref.id == DEFAULT_DOMAIN_ID:
        return domains.c.name == FIRST_DOMAIN
    return domains.c.id == ref.id if ref.id is not None else domains.c.name == (ref.name or "")


async def list_domains(
    tx: Transaction,
    *,
    domain_id: str | None = None,
    name: str | None = None,
    enabled: bool | None = None,
    query: ListQuery = WHOLE_LIST,
) -> list[Domain]:
    if keeps_nothing(domain_id, name):
        return []
    return await records.find_all(
        tx, domains, Domain, *equal(domains, id=domain_id, name=name, enabled=enabled), query=query
    )


async def list_domains_of_user(tx: Transaction, user_id: str, *, name: str | None = None) -> list[Domain]:
    """Enabled domains on which the user has a role."""
    if keeps_nothing(name):
        return []
    mine = sa.select(effective_roles.c.target_id).where(effective_roles.c.user_id == user_id)
    where = (domains.c.id.in_(mine), domains.c.enabled, *equal(domains, name=name))
    return await records.find_all(tx, domains, Domain, *where)


async def delete_content_of_domain(tx: Transaction, domain_id: str) -> set[str]:
    """Projects, groups, users and roles. Returns the others who were in its groups or held its roles."""
    group_ids = sa.select(groups.c.id).where(groups.c.domain_id == domain_id)
    role_ids = sa.select(roles.c.id).where(roles.c.domain_id == domain_id)
    members = sa.select(group_members.c.user_id).where(group_members.c.group_id.in_(group_ids))
    holders = sa.select(role_assignments.c.user_id).where(
        role_assignments.c.role_id.in_(role_ids), role_assignments.c.user_id.is_not(None)
    )
    in_groups = sa.select(group_members.c.user_id).join(
        role_assignments, role_assignments.c.group_id == group_members.c.group_id
    )
    in_groups = in_groups.where(role_assignments.c.role_id.in_(role_ids))
    touched = {row.user_id for statement in (members, holders, in_groups) for row in await tx.all(statement)}
    tree = await list_domain_tree(tx, domain_id)
    targets = [domain_id, *(project.id for project in tree)]
    for target_id in targets:
        await tx.execute(sa.delete(effective_roles).where(effective_roles.c.target_id == target_id))
        await forget_credentials(tx, target_id)
    await tx.execute(sa.update(projects).where(projects.c.domain_id == domain_id).values(parent_id=None))
    for table in (projects, users, groups, roles):
        await tx.execute(sa.delete(table).where(table.c.domain_id == domain_id))
    return {user_id for user_id in touched if await get_user(tx, user_id)}


async def forget_credentials(tx: Transaction, project_id: str) -> None:
    await tx.execute(sa.delete(credentials).where(credentials.c.project_id == project_id))


# --- projects --------------------------------------------------------------------------------------------------------


async def insert_project(tx: Transaction, project: Project) -> None:
    taken = (
        "Conflict occurred when attempting to store project - it is not permitted to have two projects with the same "
        f"name in the same domain: name is {project.name}."
    )
    await records.insert(tx, projects, project, taken=taken)
    await _insert_tags(tx, project.id, project.tags)


async def get_project(tx: Transaction, project_id: str) -> Project | None:
    return await records.get(tx, projects, Project, project_id)


async def list_projects(tx: Transaction, wanted: ProjectFilter, query: ListQuery = WHOLE_LIST) -> list[Project]:
    if keeps_nothing(wanted.domain_id, wanted.name, wanted.parent_id):
        return []
    where = equal(projects, domain_id=wanted.domain_id, name=wanted.name, enabled=wanted.enabled)
    if wanted.user_id is not None:
        mine = sa.select(effective_roles.c.target_id).where(effective_roles.c.user_id == wanted.user_id)
        where.append(projects.c.id.in_(mine))
    if wanted.parent_id is not None:
        below_domain = sa.and_(projects.c.domain_id == wanted.parent_id, projects.c.parent_id.is_(None))
        where.append(sa.or_(projects.c.parent_id == wanted.parent_id, below_domain))
    return await records.find_all(tx, projects, Project, *where, *_tagged(wanted.tags), query=query)


def _tagged(wanted: TagFilter) -> list[sa.ColumnElement[bool]]:
    def all_of(names: tuple[str, ...]) -> sa.ColumnElement[bool]:
        return sa.and_(*(_has_any((name,)) for name in names))

    conditions = []
    if wanted.every:
        conditions.append(all_of(wanted.every))
    if wanted.some:
        conditions.append(_has_any(wanted.some))
    if wanted.not_every:
        conditions.append(~all_of(wanted.not_every))
    if wanted.none_of:
        conditions.append(~_has_any(wanted.none_of))
    return conditions


def _has_any(names: tuple[str, ...]) -> sa.ColumnElement[bool]:
    possible = [name for name in names if "\0" not in name]
    return sa.exists().where(project_tags.c.project_id == projects.c.id, project_tags.c.name.in_(possible))


async def set_tags(tx: Transaction, project_id: str, tags: list[str]) -> None:
    await tx.execute(sa.update(projects).where(projects.c.id == project_id).values(tags=tags))
    await tx.execute(sa.delete(project_tags).where(project_tags.c.project_id == project_id))
    await _insert_tags(tx, project_id, tags)


async def _insert_tags(tx: Transaction, project_id: str, tags: list[str]) -> None:
    if tags:
        await tx.execute(sa.insert(project_tags), [{"project_id": project_id, "name": tag} for tag in tags])


async def list_domain_tree(tx: Transaction, domain_id: str) -> list[Project]:
    return await records.find_all(tx, projects, Project, projects.c.domain_id == domain_id)


async def lock_project(tx: Transaction, project_id: str) -> None:
    """Raises: NotFoundError."""
    row = await tx.first(sa.select(projects.c.id).where(projects.c.id == project_id).with_for_update())
    if row is None:
        raise NotFoundError(f"No project with id {project_id} was found.")


async def set_project_enabled(tx: Transaction, project_id: str, *, enabled: bool) -> None:
    await tx.execute(sa.update(projects).where(projects.c.id == project_id).values(enabled=enabled))


# --- users -----------------------------------------------------------------------------------------------------------


async def insert_user(tx: Transaction, user: User, password_hash: str) -> None:
    taken = (
        f"Conflict occurred when attempting to store user - Duplicate entry found with name {user.name} at domain ID "
        f"{user.domain_id}."
    )
    await records.insert(tx, users, user, taken=taken, password_hash=password_hash, failed_logins=0)


class LoginRow(NamedTuple):
    """What is asked of the database to check a password."""

    user: User
    password_hash: str
    failed_logins: int
    last_failed_at: datetime | None


async def find_user(tx: Transaction, *, user_id: str | None, name: str | None, domain: DomainRef) -> LoginRow | None:
    """By id, else by name within a domain."""
    if keeps_nothing(user_id, name, domain.id, domain.name):
        return None
    query = sa.select(*columns(users, User), users.c.password_hash, users.c.failed_logins, users.c.last_failed_at)
    if user_id is not None:
        query = query.where(users.c.id == user_id)
    else:
        query = query.join(domains, domains.c.id == users.c.domain_id).where(users.c.name == name, is_domain(domain))
    row = await tx.first(query)
    return LoginRow(built(User, row[:-3]), *row[-3:]) if row else None


async def get_user(tx: Transaction, user_id: str) -> User | None:
    return await records.get(tx, users, User, user_id)


_COMPARED = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}


async def list_users(
    tx: Transaction,
    wanted: UserFilter,
    query: ListQuery = WHOLE_LIST,
    *,
    expiry: tuple[str, datetime] | None = None,
) -> list[User]:
    if keeps_nothing(wanted.domain_id, wanted.name):
        return []
    where = equal(users, domain_id=wanted.domain_id, name=wanted.name, enabled=wanted.enabled, id=wanted.id)
    if wanted.group_id is not None:
        members = sa.select(group_members.c.user_id).where(group_members.c.group_id == wanted.group_id)
        where.append(users.c.id.in_(members))
    if expiry is not None:
        where.append(_COMPARED[expiry[0]](users.c.password_expires_at, expiry[1]))
    return await records.find_all(tx, users, User, *where, query=query)


async def lock_user(tx: Transaction, user_id: str) -> None:
    await tx.first(sa.select(users.c.id).where(users.c.id == user_id).with_for_update())


async def update_user(tx: Transaction, user_id: str, *, new_epoch: bool, **values: Any) -> None:
    """With `new_epoch` every token issued to the user so far stops working."""
    epoch = users.c.epoch + 1 if new_epoch else users.c.epoch
    taken = f"Conflict occurred when attempting to store user - Duplicate entry found with name {values.get('name')}."
    await records.update(tx, users, user_id, taken=taken, **values, epoch=epoch)


async def count_failed_login(tx: Transaction, user_id: str, now: datetime, *, starts_anew_before: datetime) -> None:
    """One more; the first of a new series when the last one was earlier than that."""
    old = sa.or_(users.c.last_failed_at.is_(None), users.c.last_failed_at < starts_anew_before)
    counted = sa.case((old, 1), else_=users.c.failed_logins + 1)
    await tx.execute(sa.update(users).where(users.c.id == user_id).values(failed_logins=counted, last_failed_at=now))


async def count_nothing(tx: Transaction) -> None:
    """The same work as `count_failed_login` and no change."""
    somebody = sa.select(sa.func.min(users.c.id)).scalar_subquery()
    await tx.execute(sa.update(users).where(users.c.id == somebody).values(failed_logins=users.c.failed_logins))


async def forget_failed_logins(tx: Transaction, user_id: str) -> None:
    await tx.execute(sa.update(users).where(users.c.id == user_id).values(failed_logins=0, last_failed_at=None))


# --- groups ----------------------------------------------------------------------------------------------------------


async def list_groups_of_user(tx: Transaction, user_id: str, query: ListQuery = WHOLE_LIST) -> list[Group]:
    mine = sa.select(group_members.c.group_id).where(group_members.c.user_id == user_id)
    return await records.find_all(tx, groups, Group, groups.c.id.in_(mine), query=query)


async def is_member(tx: Transaction, group_id: str, user_id: str) -> bool:
    return await tx.first(sa.select(group_members).where(*_membership(group_id, user_id))) is not None


async def add_member(tx: Transaction, group_id: str, user_id: str) -> None:
    """Repeating is harmless."""
    if not await is_member(tx, group_id, user_id):
        await tx.execute(sa.insert(group_members).values(group_id=group_id, user_id=user_id))


async def remove_member(tx: Transaction, group_id: str, user_id: str) -> None:
    await tx.execute(sa.delete(group_members).where(*_membership(group_id, user_id)))


async def list_member_ids(tx: Transaction, group_ids: Sequence[str]) -> set[str]:
    if not group_ids:
        return set()
    found = await tx.all(sa.select(group_members.c.user_id).where(group_members.c.group_id.in_(group_ids)))
    return {row.user_id for row in found}


def _membership(group_id: str, user_id: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return group_members.c.group_id == group_id, group_members.c.user_id == user_id
