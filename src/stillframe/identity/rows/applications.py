"""SQL of application credentials and their access rules."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from stillframe.db import Transaction
from stillframe.identity.model import AccessRule, AppCredential, AppCredentialView, DomainRef, Role
from stillframe.identity.rows import records
from stillframe.identity.rows.accounts import is_domain
from stillframe.identity.rows.records import equal, keeps_nothing
from stillframe.identity.tables import (
    access_rules,
    application_credential_roles,
    application_credential_rules,
    application_credentials,
    built,
    columns,
    domains,
    roles,
    users,
)

_table = application_credentials


async def insert_app_credential(
    tx: Transaction, credential: AppCredential, secret_hash: str, role_ids: Sequence[str]
) -> None:
    taken = (
        "Conflict occurred when attempting to store application_credential - Duplicate entry found with name "
        f"{credential.name} for the user."
    )
    await records.insert(tx, _table, credential, taken=taken, secret_hash=secret_hash)
    if role_ids:
        rows = [{"application_credential_id": credential.id, "role_id": role_id} for role_id in role_ids]
        await tx.execute(sa.insert(application_credential_roles), rows)


async def attach_rules(tx: Transaction, credential_id: str, rule_ids: Sequence[str]) -> None:
    if rule_ids:
        rows = [
            {"application_credential_id": credential_id, "access_rule_id": each} for each in dict.fromkeys(rule_ids)
        ]
        await tx.execute(sa.insert(application_credential_rules), rows)


async def list_app_credentials(tx: Transaction, user_id: str, name: str | None = None) -> list[AppCredentialView]:
    if keeps_nothing(name):
        return []
    where = [_table.c.user_id == user_id, *equal(_table, name=name)]
    return await _views(tx, await records.find_all(tx, _table, AppCredential, *where))


async def get_app_credential(tx: Transaction, credential_id: str) -> AppCredentialView | None:
    found = await records.get(tx, _table, AppCredential, credential_id)
    return (await _views(tx, [found]))[0] if found else None


async def delete_app_credential(tx: Transaction, credential_id: str) -> None:
    await records.delete(tx, _table, credential_id)


async def _views(tx: Transaction, found: list[AppCredential]) -> list[AppCredentialView]:
    ids = [credential.id for credential in found]
    of_roles: defaultdict[str, list[Role]] = defaultdict(list)
    of_rules: defaultdict[str, list[AccessRule]] = defaultdict(list)
    if ids:
        owned = application_credential_roles
        held = sa.select(owned.c.application_credential_id, *columns(roles, Role)).join(
            roles, roles.c.id == owned.c.role_id
        )
        for row in await tx.all(held.where(owned.c.application_credential_id.in_(ids)).order_by(roles.c.name)):
            of_roles[row[0]].append(built(Role, row[1:]))
        used = application_credential_rules
        rules = sa.select(used.c.application_credential_id, *columns(access_rules, AccessRule)).join(
            access_rules, access_rules.c.id == used.c.access_rule_id
        )
        for row in await tx.all(rules.where(used.c.application_credential_id.in_(ids)).order_by(access_rules.c.id)):
            of_rules[row[0]].append(built(AccessRule, row[1:]))
    return [
        AppCredentialView(credential=each, roles=tuple(of_roles[each.id]), access_rules=tuple(of_rules[each.id]))
        for each in found
    ]


class AppLoginRow(NamedTuple):
    credential: AppCredential
    secret_hash: str


async def find_for_login(
    tx: Transaction,
    *,
    credential_id: str | None,
    name: str | None,
    user_id: str | None,
    user_name: str | None,
    domain: DomainRef,
) -> AppLoginRow | None:
    """By id, else by name and user."""
    if keeps_nothing(credential_id, name, user_id, user_name, domain.id, domain.name):
        return None
    query = sa.select(*columns(_table, AppCredential), _table.c.secret_hash)
    if credential_id is not None:
        query = query.where(_table.c.id == credential_id)
    else:
        by_name = [users.c.name == (user_name or ""), is_domain(domain)]
        query = query.join(users, users.c.id == _table.c.user_id).join(domains, domains.c.id == users.c.domain_id)
        query = query.where(_table.c.name == (name or ""), *([users.c.id == user_id] if user_id else by_name))
    row = await tx.first(query)
    return AppLoginRow(built(AppCredential, row[:-1]), row[-1]) if row else None


# --- access rules ----------------------------------------------------------------------------------------------------


async def list_access_rules(tx: Transaction, user_id: str) -> list[AccessRule]:
    return await records.find_all(tx, access_rules, AccessRule, access_rules.c.user_id == user_id)


async def get_access_rule(tx: Transaction, user_id: str, rule_id: str) -> AccessRule | None:
    if keeps_nothing(rule_id):
        return None
    where = access_rules.c.user_id == user_id, access_rules.c.id == rule_id
    return next(iter(await records.find_all(tx, access_rules, AccessRule, *where)), None)


async def find_or_insert_rule(tx: Transaction, user_id: str, rule: AccessRule) -> AccessRule:
    where = [
        access_rules.c.user_id == user_id,
        *equal(access_rules, service=rule.service, method=rule.method, path=rule.path),
    ]
    there = await records.find_all(tx, access_rules, AccessRule, *where)
    if there:
        return there[0]
    await records.insert(tx, access_rules, rule, taken="The same access rule is being made.", user_id=user_id)
    return rule


async def is_rule_used(tx: Transaction, rule_id: str) -> bool:
    used = application_credential_rules
    return await tx.first(sa.select(used).where(used.c.access_rule_id == rule_id).limit(1)) is not None


async def delete_access_rule(tx: Transaction, rule_id: str) -> None:
    await records.delete(tx, access_rules, rule_id)
