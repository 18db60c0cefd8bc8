"""What grants come to: which roles each user really holds on each project, on each domain and on the system.

A grant reaches a user directly or through a group, holds where it was made or (inherited) on everything below, and a
role brings along the roles it implies. All of that is worked out here when it changes, which is seldom, and kept in
`effective_roles`, so that the one query of every request finds its answer by an index.

Whoever changes a grant, a membership, an implication or the tree of projects calls `lock_grants` first and one of
the functions here afterwards, in the same transaction.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from stillframe.db import Transaction
from stillframe.errors import ForbiddenError
from stillframe.identity.model import Grant, Project
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import records
from stillframe.identity.rows.grants import Held
from stillframe.identity.tables import projects

LAST_ADMIN = "This would leave the platform without an administrator who can log in."


async def refresh_users(tx: Transaction, user_ids: Collection[str] | None) -> None:
    """Works out anew what these users hold; None means everybody."""
    if user_ids is not None and not user_ids:
        return
    granted = await grant_rows.list_grants_of_users(tx, user_ids)
    implied = closure(await grant_rows.list_inferences(tx))
    nowhere = await _domain_role_ids(tx)
    trees = await trees_of(tx, [grant for _, grant in granted if grant.inherited])
    wanted = {
        Held(user_id, target_id, role_id)
        for user_id, grant in granted
        for target_id in targets(grant, trees)
        for role_id in implied[grant.role_id] | {grant.role_id}
        if role_id not in nowhere
    }
    there = await grant_rows.list_held(tx, user_ids)
    await grant_rows.change_held(tx, gone=there - wanted, added=wanted - there)


async def refresh_heirs(tx: Transaction) -> None:
    """After a project was made: whoever holds something inherited may now hold it there too."""
    await refresh_users(tx, await grant_rows.list_users_with_inherited_grants(tx))


async def refresh_grantee(tx: Transaction, *, user_id: str | None, group_id: str | None) -> None:
    """After a grant to a user or a group has changed."""
    users = {user_id} if user_id else await account_rows.list_member_ids(tx, [group_id] if group_id else [])
    await refresh_users(tx, users)


async def require_an_admin_left(tx: Transaction) -> None:
    """Raises: ForbiddenError, which takes back what the transaction has done."""
    if not await grant_rows.has_working_admin(tx):
        raise ForbiddenError(LAST_ADMIN)


def closure(inferences: Iterable[tuple[str, str]]) -> defaultdict[str, set[str]]:
    """For every role all that it implies, however far: cycles do no harm."""
    direct: defaultdict[str, set[str]] = defaultdict(set)
    for prior, implied in inferences:
        direct[prior].add(implied)
    whole: defaultdict[str, set[str]] = defaultdict(set)
    for prior in list(direct):
        todo = list(direct[prior])
        while todo:
            role = todo.pop()
            if role not in whole[prior] and role != prior:
                whole[prior].add(role)
                todo += direct.get(role, ())
    return whole


async def _domain_role_ids(tx: Transaction) -> set[str]:
    return {role.id for role in await grant_rows.list_all_domain_roles(tx)}


Trees = dict[str, list[Project]]
"""The projects of each domain that inherited grants reach."""


async def trees_of(tx: Transaction, inherited: list[Grant]) -> Trees:
    domain_ids = {grant.domain_id for grant in inherited if grant.domain_id}
    roots = await records.find_by_ids(
        tx, projects, Project, [grant.project_id for grant in inherited if grant.project_id]
    )
    domain_ids |= {project.domain_id for project in roots.values()}
    return {each: await account_rows.list_domain_tree(tx, each) for each in domain_ids}


def targets(grant: Grant, trees: Trees) -> Iterator[str]:
    if not grant.inherited:
        yield grant.target_id
    elif grant.domain_id:
        yield from (project.id for project in trees[grant.domain_id])
    elif grant.project_id:
        tree = next((each for each in trees.values() if any(p.id == grant.project_id for p in each)), [])
        yield from (project.id for project in below(grant.project_id, tree))


def below(project_id: str, tree: Iterable[Project]) -> list[Project]:
    """Everything under a project, parents before children."""
    children: defaultdict[str | None, list[Project]] = defaultdict(list)
    for project in tree:
        children[project.parent_id].append(project)
    found: list[Project] = []
    todo = list(children[project_id])
    while todo:
        project = todo.pop(0)
        found.append(project)
        todo += children[project.id]
    return found


def above(project: Project, tree: Iterable[Project]) -> list[Project]:
    """Its parents, the nearest first."""
    by_id = {each.id: each for each in tree}
    found = []
    while project.parent_id is not None and project.parent_id in by_id:
        project = by_id[project.parent_id]
        found.append(project)
    return found
