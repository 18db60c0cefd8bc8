"""SQL of access keys and revoked tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec import structs

from stillframe.db import Transaction
from stillframe.identity.model import AccessKey, AccessKeyKind
from stillframe.identity.rows.records import keeps_nothing
from stillframe.identity.tables import access_keys, built, columns, projects, revoked_tokens, users

KEY_COLUMNS = (
    *columns(access_keys, AccessKey),
    access_keys.c.secret_encrypted,
    access_keys.c.security_token_hash,
)
KEY_PROJECT = sa.func.coalesce(access_keys.c.project_id, users.c.default_project_id)
"""The project a key opens: its own, else the default project of its user."""


class KeyRow(NamedTuple):
    key: AccessKey
    secret_encrypted: str
    security_token_hash: str | None
    """SHA-256 of the text that must come with every request signed with a temporary key."""


def key_row(values: Sequence[Any]) -> KeyRow:
    *columns, secret_encrypted, security_token_hash = values
    key = built(AccessKey, columns)
    return KeyRow(structs.replace(key, kind=AccessKeyKind(key.kind)), secret_encrypted, security_token_hash)


async def find_key_and_project(tx: Transaction, access: str) -> tuple[KeyRow, str | None, bool] | None:
    """A key of any kind, the project whose buckets it opens, and whether its user and that project are enabled."""
    statement = (
        sa.select(*KEY_COLUMNS, projects.c.id, projects.c.enabled, users.c.enabled)
        .select_from(
            access_keys.outerjoin(users, users.c.id == access_keys.c.user_id).outerjoin(
                projects, projects.c.id == KEY_PROJECT
            )
        )
        .where(access_keys.c.access == access)
    )
    row = await tx.first(statement)
    if row is None:
        return None
    *key, project_id, project_enabled, user_enabled = row
    return key_row(key), project_id, bool(project_enabled) and user_enabled is not False


async def find_service_key(tx: Transaction, project_id: str) -> KeyRow | None:
    row = await tx.first(
        sa.select(*KEY_COLUMNS).where(
            access_keys.c.project_id == project_id, access_keys.c.kind == AccessKeyKind.SERVICE
        )
    )
    return key_row(row) if row else None


async def insert_access_key(tx: Transaction, row: KeyRow) -> None:
    values = structs.asdict(row.key) | {
        "secret_encrypted": row.secret_encrypted,
        "security_token_hash": row.security_token_hash,
    }
    await tx.execute(sa.insert(access_keys).values(**values))


async def list_access_keys(tx: Transaction, user_id: str, kind: AccessKeyKind) -> list[KeyRow]:
    found = await tx.all(
        sa.select(*KEY_COLUMNS)
        .where(access_keys.c.user_id == user_id, access_keys.c.kind == kind)
        .order_by(access_keys.c.created_at, access_keys.c.access)
    )
    return [key_row(row) for row in found]


async def get_access_key(tx: Transaction, access: str) -> AccessKey | None:
    if keeps_nothing(access):
        return None
    row = await tx.first(sa.select(*KEY_COLUMNS).where(access_keys.c.access == access))
    return key_row(row).key if row else None


async def update_access_key(tx: Transaction, access: str, **values: Any) -> None:
    await tx.execute(sa.update(access_keys).where(access_keys.c.access == access).values(**values))


async def delete_access_key(tx: Transaction, access: str) -> None:
    await tx.execute(sa.delete(access_keys).where(access_keys.c.access == access))


async def delete_temporary_keys(tx: Transaction, *, user_id: str | None = None, before: datetime | None = None) -> None:
    """Those of a user, or those which ended before a moment."""
    which = access_keys.c.user_id == user_id if before is None else access_keys.c.expires_at < before
    await tx.execute(sa.delete(access_keys).where(access_keys.c.kind == AccessKeyKind.TEMPORARY, which))


async def insert_revoked_token(tx: Transaction, token_id: str, expires_at: datetime) -> None:
    await tx.execute(sa.insert(revoked_tokens).values(token_id=token_id, expires_at=expires_at))


async def delete_revoked_tokens(tx: Transaction, before: datetime) -> None:
    await tx.execute(sa.delete(revoked_tokens).where(revoked_tokens.c.expires_at < before))
