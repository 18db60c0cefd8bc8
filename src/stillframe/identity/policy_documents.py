"""Policy documents that services may keep here. Ours does not read them: what is allowed is in policy.py.

Source: OpenStack Identity API v3, "Policies".
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, structs

from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity.model import Caller, Json, ListQuery
from stillframe.identity.policy import require_platform_admin
from stillframe.identity.rows import records
from stillframe.identity.tables import policies
from stillframe.kit.ids import new_hex_id


class PolicyDocument(Struct, frozen=True, kw_only=True):
    id: str
    type: str
    blob: str
    extra: Json = {}


async def list_policies(tx: Transaction, caller: Caller, query: ListQuery) -> list[PolicyDocument]:
    """Raises: ForbiddenError."""
    require_platform_admin(caller, "list_policies")
    return await records.find_all(tx, policies, PolicyDocument, query=query)


async def show_policy(tx: Transaction, caller: Caller, an_id: str) -> PolicyDocument:
    """Raises: NotFoundError; ForbiddenError."""
    require_platform_admin(caller, "get_policy")
    found = await records.get(tx, policies, PolicyDocument, an_id)
    if found is None:
        raise NotFoundError(f"Could not find policy: {an_id}.")
    return found


async def create_policy(tx: Transaction, caller: Caller, fields: Mapping[str, Any], extra: Json) -> PolicyDocument:
    """Raises: ForbiddenError."""
    require_platform_admin(caller, "create_policy")
    new = PolicyDocument(id=new_hex_id(), type=fields["type"], blob=fields["blob"], extra=extra)
    await records.insert(tx, policies, new, taken="It is there already.")
    return new


async def change_policy(
    tx: Transaction, caller: Caller, an_id: str, fields: Mapping[str, Any], extra: Json
) -> PolicyDocument:
    """Raises: NotFoundError; ForbiddenError."""
    require_platform_admin(caller, "update_policy")
    before = await show_policy(tx, caller, an_id)
    after = structs.replace(before, **fields, extra=before.extra | extra)
    values = {"type": after.type, "blob": after.blob, "extra": after.extra}
    await records.update(tx, policies, an_id, taken="It is there already.", **values)
    return after


async def delete_policy(tx: Transaction, caller: Caller, an_id: str) -> None:
    """Raises: NotFoundError; ForbiddenError."""
    require_platform_admin(caller, "delete_policy")
    found = await show_policy(tx, caller, an_id)
    await records.delete(tx, policies, found.id)
