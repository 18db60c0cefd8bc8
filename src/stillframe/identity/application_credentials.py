"""Application credentials: programs log in with one as their user, on one project, with some of the user's roles.

Users make and delete their own; administrators see them and can delete them. What was got with one can make no other
unless it is unrestricted.

Source: OpenStack Identity API v3, "Application credentials".
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from stillframe.db import Database, Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, NotFoundError
from stillframe.identity.directory import show_user
from stillframe.identity.model import AccessRule, AppCredential, AppCredentialView, Caller, Role
from stillframe.identity.passwords import hash_password
from stillframe.identity.policy import refusal
from stillframe.identity.rows import applications as rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import records
from stillframe.identity.tables import roles
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import is_hex_id, new_hex_id


class NewAppCredential(NamedTuple):
    view: AppCredentialView
    secret: str
    """Only shown now."""


def _require_own(caller: Caller, user_id: str, action: str) -> None:
    if caller.user_id != user_id:
        raise refusal(action)
    if caller.is_restricted:
        raise ForbiddenError("What you authenticated with may not be used for managing application credentials.")


async def create_app_credential(
    database: Database,
    caller: Caller,
    user_id: str,
    fields: Mapping[str, Any],
    wanted_roles: Sequence[tuple[str | None, str | None]] | None,
    wanted_rules: Sequence[Mapping[str, str]],
) -> NewAppCredential:
    """For the caller's project; with all the caller's roles there when none is named (by id or by name).

    Takes the database: no transaction is held while the secret is hashed.

    Raises: ForbiddenError; InvalidInputError; NotFoundError for an unknown access rule; ConflictError when the name is
    taken.
    """
    _require_own(caller, user_id, "create_application_credential")
    project_id = caller.require_project()
    secret = fields.get("secret") or secrets.token_urlsafe(64)
    secret_hash = await hash_password(secret)
    async with database.writing() as tx:
        held = await grant_rows.list_role_ids_held(tx, user_id, project_id)
        credential = AppCredential(
            id=new_hex_id(),
            name=fields["name"].strip(),
            user_id=user_id,
            project_id=project_id,
            description=fields.get("description"),
            expires_at=_future(fields.get("expires_at")),
            unrestricted=bool(fields.get("unrestricted")),
        )
        chosen = await _choose(tx, caller, held, wanted_roles)
        await rows.insert_app_credential(tx, credential, secret_hash, [role.id for role in chosen])
        rules = [await _rule(tx, user_id, each) for each in wanted_rules]
        await rows.attach_rules(tx, credential.id, [rule.id for rule in rules])
        view = AppCredentialView(credential=credential, roles=tuple(chosen), access_rules=tuple(rules))
    return NewAppCredential(view, secret)


def _future(moment: datetime | None) -> datetime | None:
    if moment is not None and moment <= utcnow():
        raise InvalidInputError("expires_at must be in the future.", field="expires_at")
    return moment


async def _choose(
    tx: Transaction,
    caller: Caller,
    held: set[str],
    wanted: Sequence[tuple[str | None, str | None]] | None,
) -> list[Role]:
    known = await records.find_by_ids(tx, roles, Role, held)
    mine = {role.name: role for role in known.values() if role.name in caller.roles}
    if wanted is None:
        return sorted(mine.values(), key=lambda role: role.name)
    by_id = {role.id: role for role in mine.values()}
    found = [by_id.get(an_id or "") or mine.get(name or "") for an_id, name in wanted]
    if None in found:
        raise InvalidInputError("Could not find role assignment for one of the roles.", field="roles")
    chosen = {role.id: role for role in found if role is not None}
    return sorted(chosen.values(), key=lambda role: role.name)


async def _rule(tx: Transaction, user_id: str, wanted: Mapping[str, str]) -> AccessRule:
    if "id" in wanted:
        rule = await rows.get_access_rule(tx, user_id, wanted["id"])
        if rule is None:
            raise NotFoundError(f"Could not find Access Rule: {wanted['id']}.")
        return rule
    new = AccessRule(id=new_hex_id(), service=wanted["service"], method=wanted["method"], path=wanted["path"])
    return await rows.find_or_insert_rule(tx, user_id, new)


async def list_app_credentials(
    tx: Transaction, caller: Caller, user_id: str, name: str | None = None
) -> list[AppCredentialView]:
    """Raises: NotFoundError; ForbiddenError."""
    user = await show_user(tx, caller, user_id)
    return await rows.list_app_credentials(tx, user.id, name)


async def show_app_credential(tx: Transaction, caller: Caller, user_id: str, an_id: str) -> AppCredentialView:
    """Raises: NotFoundError; ForbiddenError."""
    user = await show_user(tx, caller, user_id)
    found = await rows.get_app_credential(tx, an_id) if is_hex_id(an_id) else None
    if found is None or found.credential.user_id != user.id:
        raise NotFoundError(f"Could not find Application Credential: {an_id}.")
    return found


async def delete_app_credential(tx: Transaction, caller: Caller, user_id: str, an_id: str) -> None:
    """Tokens that were got with it are refused at once. Raises: NotFoundError; ForbiddenError."""
    if not caller.is_platform_admin or caller.is_restricted:
        _require_own(caller, user_id, "delete_application_credential")
    found = await show_app_credential(tx, caller, user_id, an_id)
    await rows.delete_app_credential(tx, found.credential.id)


async def list_access_rules(tx: Transaction, caller: Caller, user_id: str) -> list[AccessRule]:
    """Raises: NotFoundError; ForbiddenError."""
    user = await show_user(tx, caller, user_id)
    return await rows.list_access_rules(tx, user.id)


async def show_access_rule(tx: Transaction, caller: Caller, user_id: str, rule_id: str) -> AccessRule:
    """Raises: NotFoundError; ForbiddenError."""
    user = await show_user(tx, caller, user_id)
    rule = await rows.get_access_rule(tx, user.id, rule_id)
    if rule is None:
        raise NotFoundError(f"Could not find Access Rule: {rule_id}.")
    return rule


async def delete_access_rule(tx: Transaction, caller: Caller, user_id: str, rule_id: str) -> None:
    """Raises: NotFoundError; ForbiddenError, also while an application credential has it."""
    if not caller.is_platform_admin:
        _require_own(caller, user_id, "delete_access_rule")
    rule = await show_access_rule(tx, caller, user_id, rule_id)
    if await rows.is_rule_used(tx, rule.id):
        raise ForbiddenError(f"Access rule {rule_id} is in use by one or more application credentials.")
    await rows.delete_access_rule(tx, rule.id)
