"""Who holds which role where, as one list: as it was granted, or (effective) as it comes out for every user.

Source: OpenStack Identity API v3, "List role assignments".
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from msgspec import Struct

from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity import effective
from stillframe.identity.directory import domain_filter
from stillframe.identity.model import Caller, Domain, Grant, Group, Project, Role, User
from stillframe.identity.policy import refusal
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import records
from stillframe.identity.rows.grants import GrantFilter
from stillframe.identity.tables import StructT, domains, groups, projects, roles, users


class Asked(NamedTuple):
    """What is None does not narrow the list."""

    role_id: str | None = None
    user_id: str | None = None
    group_id: str | None = None
    project_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    inherited: bool | None = None
    effective: bool = False
    subtree: bool = False
    """Of the project and of all below it."""


class Assignment(Struct, frozen=True, kw_only=True):
    """`grant` tells who, what and where; the rest, in an effective list, by which grant that came about."""

    grant: Grant
    by_group_id: str | None = None
    from_project_id: str | None = None
    from_domain_id: str | None = None
    by_role_id: str | None = None


class Names(NamedTuple):
    """Everything an assignment can name, by id."""

    users: dict[str, User]
    groups: dict[str, Group]
    projects: dict[str, Project]
    domains: dict[str, Domain]
    roles: dict[str, Role]


async def list_assignments(tx: Transaction, caller: Caller, asked: Asked) -> list[Assignment]:
    """A domain's administrator sees what is granted within the domain.

    Raises: ForbiddenError; InvalidInputError for filters that exclude each other.
    """
    if not caller.is_admin:
        raise refusal("list_role_assignments")
    _check(asked)
    asked = asked._replace(domain_id=await domain_filter(tx, asked.domain_id))
    wanted_projects = await _projects(tx, asked)
    found = await (_expanded(tx, asked) if asked.effective else _granted(tx, asked, wanted_projects))
    kept = [each for each in found if _is_wanted(each.grant, asked, wanted_projects)]
    return kept if caller.is_platform_admin else await _within(tx, caller.at_domain_id or "", kept)


def _check(asked: Asked) -> None:
    for first, second in (("project_id", "domain_id"), ("system", "domain_id"), ("system", "project_id")):
        if getattr(asked, first) and getattr(asked, second):
            raise InvalidInputError("Specify a domain, a project or the system, not several of them.", field="scope")
    if asked.user_id and asked.group_id:
        raise InvalidInputError("Specify a user or group, not both.", field="user.id")
    if asked.effective and asked.group_id:
        raise InvalidInputError("Combining effective and group filter will always result in an empty list.")
    if asked.effective and asked.inherited and asked.domain_id:
        raise InvalidInputError(
            "Combining effective, domain and inherited filters will always result in an empty list."
        )
    if asked.subtree and not asked.project_id:
        raise InvalidInputError(
            "scope.project.id must be specified if include_subtree is also specified.", field="scope.project.id"
        )


async def _projects(tx: Transaction, asked: Asked) -> set[str] | None:
    if asked.project_id is None:
        return None
    if not asked.subtree:
        return {asked.project_id}
    root = await account_rows.get_project(tx, asked.project_id)
    if root is None:
        raise NotFoundError(f"Could not find project: {asked.project_id}.")
    tree = await account_rows.list_domain_tree(tx, root.domain_id)
    return {root.id, *(each.id for each in effective.below(root.id, tree))}


async def _granted(tx: Transaction, asked: Asked, project_ids: set[str] | None) -> list[Assignment]:
    base = GrantFilter(
        role_id=asked.role_id,
        user_id=asked.user_id,
        group_id=asked.group_id,
        domain_id=asked.domain_id,
        system=asked.system,
        inherited=asked.inherited,
    )
    filters = [base] if project_ids is None else [base._replace(project_id=each) for each in sorted(project_ids)]
    return [Assignment(grant=grant) for each in filters for grant in await grant_rows.list_grants(tx, each)]


async def _expanded(tx: Transaction, asked: Asked) -> list[Assignment]:
    granted = await grant_rows.list_grants_of_users(tx, None if asked.user_id is None else {asked.user_id})
    implied = effective.closure(await grant_rows.list_inferences(tx))
    nowhere = {role.id for role in await grant_rows.list_all_domain_roles(tx)}
    trees = await effective.trees_of(tx, [grant for _, grant in granted if grant.inherited])
    found = {
        assignment: None
        for user_id, grant in granted
        if asked.inherited in (None, grant.inherited)
        for target_id in effective.targets(grant, trees)
        for assignment in _with_implied(user_id, grant, target_id, implied[grant.role_id])
        if assignment.grant.role_id not in nowhere
    }
    return list(found)


def _with_implied(user_id: str, grant: Grant, target_id: str, implied: Iterable[str]) -> Iterator[Assignment]:
    project_id = target_id if grant.inherited else grant.project_id
    domain_id = None if grant.inherited else grant.domain_id
    for role_id in (grant.role_id, *sorted(implied)):
        yield Assignment(
            grant=Grant(role_id=role_id, user_id=user_id, project_id=project_id, domain_id=domain_id),
            by_group_id=grant.group_id,
            from_project_id=grant.project_id if grant.inherited else None,
            from_domain_id=grant.domain_id if grant.inherited else None,
            by_role_id=None if role_id == grant.role_id else grant.role_id,
        )


def _is_wanted(grant: Grant, asked: Asked, project_ids: set[str] | None) -> bool:
    return (
        asked.role_id in (None, grant.role_id)
        and asked.user_id in (None, grant.user_id)
        and asked.domain_id in (None, grant.domain_id)
        and (project_ids is None or grant.project_id in project_ids)
        and (not asked.system or (grant.project_id is None and grant.domain_id is None))
    )


async def _within(tx: Transaction, domain_id: str, found: list[Assignment]) -> list[Assignment]:
    named = await records.find_by_ids(tx, projects, Project, _some(each.grant.project_id for each in found))
    return [
        each
        for each in found
        if each.grant.domain_id == domain_id
        or (each.grant.project_id in named and named[each.grant.project_id].domain_id == domain_id)
    ]


def _some(ids: Iterable[str | None]) -> list[str]:
    return [each for each in ids if each is not None]


async def names_of(tx: Transaction, found: list[Assignment]) -> Names:
    grants = [each.grant for each in found]

    async def named(table: Any, kind: type[StructT], *ids: Iterable[str | None]) -> dict[str, StructT]:
        return await records.find_by_ids(tx, table, kind, _some(an_id for each in ids for an_id in each))

    of_users = await named(users, User, (grant.user_id for grant in grants))
    of_groups = await named(groups, Group, (grant.group_id for grant in grants))
    of_projects = await named(projects, Project, (grant.project_id for grant in grants))
    of_roles = await named(roles, Role, (grant.role_id for grant in grants))
    domain_ids = [
        *(user.domain_id for user in of_users.values()),
        *(group.domain_id for group in of_groups.values()),
        *(project.domain_id for project in of_projects.values()),
        *(role.domain_id for role in of_roles.values()),
        *(grant.domain_id for grant in grants),
    ]
    return Names(of_users, of_groups, of_projects, await named(domains, Domain, domain_ids), of_roles)
