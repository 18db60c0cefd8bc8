"""Domains: each has its own users, groups and projects.

Source: OpenStack Identity API v3, "Domains".
"""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, NotFoundError
from stillframe.identity import effective
from stillframe.identity.model import FIRST_DOMAIN, Caller, Domain, DomainRef, Json
from stillframe.identity.policy import require_platform_admin
from stillframe.identity.projects import OPTIONS, require_mutable
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import records
from stillframe.identity.tables import domains
from stillframe.identity.users import merged_options
from stillframe.kit.ids import is_hex_id, new_hex_id


async def create_domain(tx: Transaction, caller: Caller, fields: Mapping[str, Any], extra: Json) -> Domain:
    """Raises: ForbiddenError; InvalidInputError; ConflictError when the name is taken."""
    require_platform_admin(caller, "create_domain")
    domain_id = fields.get("explicit_domain_id", new_hex_id())
    if not is_hex_id(domain_id):
        raise InvalidInputError("explicit_domain_id is a UUID without dashes.", field="explicit_domain_id")
    domain = Domain(
        id=domain_id,
        name=fields["name"].strip(),
        enabled=fields.get("enabled", True),
        description=fields.get("description") or "",
        tags=fields.get("tags", []),
        options=merged_options({}, fields.get("options"), OPTIONS),
        extra=extra,
    )
    await account_rows.insert_domain(tx, domain)
    return domain


async def _managed(tx: Transaction, caller: Caller, domain_id: str, action: str) -> Domain:
    require_platform_admin(caller, action)
    domain = await account_rows.find_domain(tx, DomainRef(id=domain_id))
    if domain is None:
        raise NotFoundError(f"Could not find domain: {domain_id}.")
    return domain


async def change_domain(
    tx: Transaction, caller: Caller, domain_id: str, fields: Mapping[str, Any], extra: Json
) -> Domain:
    """Everybody in a disabled domain is locked out at once.

    Raises: NotFoundError; ForbiddenError; InvalidInputError; ConflictError when the name is taken.
    """
    before = await _managed(tx, caller, domain_id, "update_domain")
    require_mutable(before.options, fields, "domain", before.id)
    after = structs.replace(
        before,
        name=fields.get("name", before.name).strip(),
        enabled=fields.get("enabled", before.enabled),
        description=fields.get("description", before.description) or "",
        tags=fields.get("tags", before.tags),
        options=merged_options(before.options, fields.get("options"), OPTIONS),
        extra=before.extra | extra,
    )
    if before.name == FIRST_DOMAIN and (not after.enabled or after.name != before.name):
        raise ForbiddenError("The first domain can neither be disabled nor renamed: everything starts from it.")
    taken = f"Conflict occurred when attempting to store domain - there is one named {after.name} already."
    values = structs.asdict(after)
    del values["id"]
    await records.update(tx, domains, before.id, taken=taken, **values)
    if not after.enabled:
        await effective.require_an_admin_left(tx)
    return after


async def delete_domain(tx: Transaction, caller: Caller, domain_id: str) -> None:
    """With everything in it. It has to be disabled first. Raises: NotFoundError; ForbiddenError."""
    domain = await _managed(tx, caller, domain_id, "delete_domain")
    require_mutable(domain.options, None, "domain", domain.id)
    if domain.enabled:
        raise ForbiddenError("Cannot delete a domain that is enabled, please disable it first.")
    await grant_rows.lock_grants(tx)
    users = await account_rows.delete_content_of_domain(tx, domain.id)
    await records.delete(tx, domains, domain.id)
    await effective.refresh_users(tx, users)
    await effective.require_an_admin_left(tx)
