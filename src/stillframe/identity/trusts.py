"""Trusts: a user lets another one act with some roles on a project, as themselves or (impersonation) as the trustor.

What a trust gives can never be more than what the trustor holds at that moment, and ends with the trust. It cannot be
passed on, nor be turned into a lasting credential.

Source: OpenStack Identity API v3, "OS-TRUST API".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, NotFoundError
from stillframe.identity.access_keys import require_whole_user
from stillframe.identity.model import Caller, Role, Trust, TrustView
from stillframe.identity.policy import refusal
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import records
from stillframe.identity.rows import trusts as rows
from stillframe.identity.tables import roles
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import is_hex_id, new_hex_id


async def create_trust(
    tx: Transaction,
    caller: Caller,
    fields: Mapping[str, Any],
    wanted_roles: Sequence[tuple[str | None, str | None]],
) -> TrustView:
    """By the trustor, who names roles by id or by name. Raises: ForbiddenError; NotFoundError; InvalidInputError."""
    require_whole_user(caller)
    if fields["trustor_user_id"] != caller.user_id:
        raise ForbiddenError("The authenticated user should match the trustor.")
    if not wanted_roles:
        raise ForbiddenError("At least one role should be specified.")
    if fields.get("allow_redelegation"):
        raise ForbiddenError("Trusts cannot be passed on here.")
    if fields.get("expires_at") is not None and fields["expires_at"] <= utcnow():
        raise InvalidInputError("expires_at must be in the future.", field="expires_at")
    await _require_there(tx, fields["trustee_user_id"], fields["project_id"])
    trust = Trust(
        id=new_hex_id(),
        trustor_user_id=caller.user_id,
        trustee_user_id=fields["trustee_user_id"],
        project_id=fields["project_id"],
        impersonation=fields["impersonation"],
        expires_at=fields.get("expires_at"),
        remaining_uses=fields.get("remaining_uses"),
    )
    chosen = await _choose(tx, trust, wanted_roles)
    await rows.delete_trusts(tx, before=utcnow())
    await rows.insert_trust(tx, trust, [role.id for role in chosen])
    return TrustView(trust=trust, roles=tuple(chosen))


async def _require_there(tx: Transaction, user_id: str, project_id: str) -> None:
    if not is_hex_id(user_id) or await account_rows.get_user(tx, user_id) is None:
        raise NotFoundError(f"Could not find user: {user_id}.")
    if not is_hex_id(project_id) or await account_rows.get_project(tx, project_id) is None:
        raise NotFoundError(f"Could not find project: {project_id}.")


async def _choose(tx: Transaction, trust: Trust, wanted: Sequence[tuple[str | None, str | None]]) -> list[Role]:
    held = await grant_rows.list_role_ids_held(tx, trust.trustor_user_id, trust.project_id)
    by_id = await records.find_by_ids(tx, roles, Role, held)
    by_name = {role.name: role for role in by_id.values()}
    chosen: dict[str, Role] = {}
    for an_id, name in wanted:
        role = by_id.get(an_id) if an_id else by_name.get(name or "")
        if role is None:
            raise NotFoundError(f"Could not find role: {an_id or name}.")
        chosen[role.id] = role
    return sorted(chosen.values(), key=lambda role: role.name)


async def list_trusts(
    tx: Transaction, caller: Caller, *, trustor_user_id: str | None = None, trustee_user_id: str | None = None
) -> list[Trust]:
    """An administrator's of everybody, others' those they are part of. Raises: ForbiddenError."""
    require_whole_user(caller)
    asked = {trustor_user_id, trustee_user_id} - {None}
    if asked and caller.user_id not in asked and not caller.is_platform_admin:
        raise refusal("list_trusts")
    found = await rows.list_trusts(tx, trustor_user_id=trustor_user_id, trustee_user_id=trustee_user_id)
    return [each for each in found if is_usable(each) and (caller.is_platform_admin or _is_part(caller, each))]


def is_usable(trust: Trust) -> bool:
    """Whether another token can be got with it."""
    over = trust.expires_at is not None and trust.expires_at <= utcnow()
    return not over and trust.remaining_uses != 0


def _is_part(caller: Caller, trust: Trust) -> bool:
    return caller.user_id in (trust.trustor_user_id, trust.trustee_user_id)


async def show_trust(tx: Transaction, caller: Caller, trust_id: str) -> TrustView:
    """Raises: NotFoundError, also for one that is over; ForbiddenError for those of others."""
    require_whole_user(caller)
    found = await rows.get_trust(tx, trust_id) if is_hex_id(trust_id) else None
    if found is None or not is_usable(found.trust):
        raise NotFoundError(f"Could not find trust: {trust_id}.")
    if not (caller.is_platform_admin or _is_part(caller, found.trust)):
        raise refusal("get_trust")
    return found


async def show_role_of_trust(tx: Transaction, caller: Caller, trust_id: str, role_id: str) -> Role:
    """Raises: NotFoundError; ForbiddenError."""
    found = await show_trust(tx, caller, trust_id)
    for role in found.roles:
        if role.id == role_id:
            return role
    raise NotFoundError(f"Could not find role: {role_id}.")


async def delete_trust(tx: Transaction, caller: Caller, trust_id: str) -> None:
    """Tokens that were got with it are refused at once. Raises: NotFoundError; ForbiddenError for the trustee."""
    found = await show_trust(tx, caller, trust_id)
    if not caller.is_platform_admin and caller.user_id != found.trust.trustor_user_id:
        raise refusal("delete_trust")
    await rows.delete_trust(tx, trust_id)
