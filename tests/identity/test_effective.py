"""What is kept of who holds what is always what the grants come to, whatever happened before."""

import random
from typing import Any

import sqlalchemy as sa

from stillframe.db import Transaction
from stillframe.identity import effective, groups, projects, roles
from stillframe.identity import service as identity
from stillframe.identity.model import Caller, Grant, Scope
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows.grants import Held
from stillframe.identity.tables import effective_roles, group_members, role_assignments, role_inferences
from stillframe.identity.tables import projects as project_table
from tests.identity.home import Home


async def _expected(tx: Transaction) -> set[Held]:
    """Step by step from the tables, without the code under test."""
    members = {(row.group_id, row.user_id) for row in await tx.all(sa.select(group_members))}
    implies = {(row.prior_role_id, row.implied_role_id) for row in await tx.all(sa.select(role_inferences))}
    parent = {row.id: row.parent_id or row.domain_id for row in await tx.all(sa.select(project_table))}
    held = set()
    for grant in await tx.all(sa.select(role_assignments)):
        at = grant.project_id or grant.domain_id or "system"
        users = {grant.user_id} if grant.user_id else {user for group, user in members if group == grant.group_id}
        targets = {at} if not grant.inherited else {each for each in parent if at in _ancestors(parent, each)}
        reached = {grant.role_id}
        while more := {implied for prior, implied in implies if prior in reached} - reached:
            reached |= more
        held |= {Held(user, target, role) for user in users for target in targets for role in reached}
    return held


def _ancestors(parent: dict[str, str], project_id: str) -> list[str]:
    found = []
    while project_id in parent:
        project_id = parent[project_id]
        found.append(project_id)
    return found


async def _kept(tx: Transaction) -> set[Held]:
    return {Held(row.user_id, row.target_id, row.role_id) for row in await tx.all(sa.select(effective_roles))}


async def test_any_sequence_of_changes_leaves_what_the_grants_come_to(home: Home) -> None:
    caller = await home.caller(home.admin)
    async with home.database.writing() as tx:
        world = await _furnish(tx, home, caller)
    dice = random.Random(20)
    for _ in range(60):
        async with home.database.writing() as tx:
            await _change(tx, dice, caller, world)
            assert await _kept(tx) == await _expected(tx)


async def _furnish(tx: Transaction, home: Home, caller: Caller) -> dict[str, list[Any]]:
    users = [await identity.create_user(tx, home.domain.id, f"u{n}", "p") for n in range(3)]
    made_groups = [await groups.create_group(tx, caller, {"name": f"g{n}"}, {}) for n in range(2)]
    made_roles = [await roles.create_role(tx, caller, {"name": f"r{n}"}, {}) for n in range(4)]
    top = await projects.create_project(tx, caller, {"name": "top"}, {})
    return {
        "users": [each.id for each in users],
        "groups": [each.id for each in made_groups],
        "roles": [each.id for each in made_roles],
        "projects": [top.id],
        "domains": [home.domain.id],
    }


async def _change(  # noqa: C901, PLR0912 - a table of what may happen
    tx: Transaction, dice: random.Random, caller: Caller, world: dict[str, list[Any]]
) -> None:
    pick = {name: dice.choice(ids) for name, ids in world.items()}
    match dice.choice(["grant", "grant", "grant", "withdraw", "join", "leave", "imply", "refute", "project", "delete"]):
        case "grant":
            await roles.add_grant(tx, caller, _some_grant(dice, pick))
        case "withdraw":
            found = await grant_rows.list_grants(tx, grant_rows.GrantFilter(role_id=pick["roles"]))
            if found:
                await roles.remove_grant(tx, caller, dice.choice(found))
        case "join":
            await groups.add_member(tx, caller, pick["groups"], pick["users"])
        case "leave":
            if pick["users"] in await identity_members(tx, pick["groups"]):
                await groups.remove_member(tx, caller, pick["groups"], pick["users"])
        case "imply":
            await roles.add_implication(tx, caller, pick["roles"], dice.choice(world["roles"]))
        case "refute":
            pairs = [pair for pair in await grant_rows.list_inferences(tx) if pair[0] in world["roles"]]
            if pairs:
                await roles.remove_implication(tx, caller, *dice.choice(pairs))
        case "project":
            name = f"p{len(world['projects'])}-{dice.random()}"
            if len(world["projects"]) < 5:
                fields = {"name": name, "parent_id": world["projects"][-1]}
                world["projects"].append((await projects.create_project(tx, caller, fields, {})).id)
        case "delete":
            if len(world["projects"]) > 1:
                await projects.delete_project(tx, caller, world["projects"].pop())


async def identity_members(tx: Transaction, group_id: str) -> set[str]:
    found = await tx.all(sa.select(group_members.c.user_id).where(group_members.c.group_id == group_id))
    return {row.user_id for row in found}


def _some_grant(dice: random.Random, pick: dict[str, str]) -> Grant:
    actor = dice.choice([{"user_id": pick["users"]}, {"group_id": pick["groups"]}])
    target = dice.choice([{"project_id": pick["projects"]}, {"domain_id": pick["domains"]}, {}])
    inherited = bool(target) and dice.random() < 0.5
    return Grant(role_id=pick["roles"], inherited=inherited, **actor, **target)


def test_roles_that_imply_each_other_in_a_circle_do_no_harm() -> None:
    found = effective.closure([("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")])
    assert found["a"] == {"b", "c"}
    assert found["d"] == {"a", "b", "c"}


async def test_a_grant_reaches_a_token_that_is_out_already_and_so_does_its_end(home: Home) -> None:
    user = await home.new_user()
    text = (await home.token(user)).text
    scope = Scope(project_id=home.project.id)

    async def names() -> tuple[str, ...]:
        async with home.database.reading() as tx:
            return (await identity.validate_token(tx, home.keys, text)).roles

    assert await names() == ("member", "reader")
    async with home.database.writing() as tx:
        await identity.grant_role(tx, user.id, "te_admin", scope)
    assert await names() == ("member", "reader", "te_admin")
    async with home.database.writing() as tx:
        await identity.withdraw_role(tx, user.id, "te_admin", scope)
    assert await names() == ("member", "reader")
