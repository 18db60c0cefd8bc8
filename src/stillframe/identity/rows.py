"""All SQL of the identity room but the one big query, which is in standings.py."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec import structs

from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity.model import (
    WHOLE_LIST,
    AccessKey,
    AccessKeyKind,
    Domain,
    DomainRef,
    Page,
    Project,
    ProjectFilter,
    Role,
    Scope,
    User,
    UserFilter,
)
from stillframe.identity.tables import (
    access_keys,
    built,
    columns,
    domains,
    projects,
    revoked_tokens,
    role_assignments,
    roles,
    users,
)
from stillframe.kit.ids import new_hex_id


def _keeps_nothing(*texts: str | None) -> bool:
    """Whether no row can match: PostgreSQL cannot hold a NUL character in a text, and refuses to be asked for one."""
    return any(text is not None and "\0" in text for text in texts)


def _equal(table: sa.Table, **wanted: Any) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


# --- domains ---------------------------------------------------------------------------------------------------------


async def insert_domain(tx: Transaction, domain: Domain) -> None:
    await tx.execute(sa.insert(domains).values(**structs.asdict(domain)))


async def find_domain(tx: Transaction, ref: DomainRef) -> Domain | None:
    """By id, or by the exact name."""
    found = await list_domains(tx, domain_id=ref.id, name=None if ref.id else ref.name) if ref.id or ref.name else []
    return found[0] if found else None


async def list_domains(
    tx: Transaction, *, domain_id: str | None = None, name: str | None = None, enabled: bool | None = None
) -> list[Domain]:
    if _keeps_nothing(domain_id, name):
        return []
    matching = _equal(domains, id=domain_id, name=name, enabled=enabled)
    found = await tx.all(sa.select(*columns(domains, Domain)).where(*matching).order_by(domains.c.name))
    return [built(Domain, row) for row in found]


async def list_domains_of_user(tx: Transaction, user_id: str, *, name: str | None = None) -> list[Domain]:
    """Enabled domains on which the user has a role."""
    if _keeps_nothing(name):
        return []
    mine = sa.select(role_assignments.c.domain_id).where(role_assignments.c.user_id == user_id)
    found = await tx.all(
        sa.select(*columns(domains, Domain))
        .where(domains.c.id.in_(mine), domains.c.enabled, *_equal(domains, name=name))
        .order_by(domains.c.name)
    )
    return [built(Domain, row) for row in found]


# --- projects --------------------------------------------------------------------------------------------------------


async def insert_project(tx: Transaction, project: Project) -> None:
    await tx.execute(sa.insert(projects).values(**structs.asdict(project)))


async def get_project(tx: Transaction, project_id: str) -> Project | None:
    if _keeps_nothing(project_id):
        return None
    row = await tx.first(sa.select(*columns(projects, Project)).where(projects.c.id == project_id))
    return built(Project, row) if row else None


async def list_projects(tx: Transaction, wanted: ProjectFilter, page: Page = WHOLE_LIST) -> list[Project]:
    if _keeps_nothing(wanted.domain_id, wanted.name):
        return []
    matching = _equal(projects, domain_id=wanted.domain_id, name=wanted.name, enabled=wanted.enabled)
    if wanted.user_id is not None:
        mine = sa.select(role_assignments.c.project_id).where(role_assignments.c.user_id == wanted.user_id)
        matching.append(projects.c.id.in_(mine))
    found = await tx.all(
        sa.select(*columns(projects, Project))
        .where(*matching)
        .order_by(projects.c.name, projects.c.id)
        .limit(page.limit)
        .offset(page.offset)
    )
    return [built(Project, row) for row in found]


async def lock_project(tx: Transaction, project_id: str) -> None:
    """Raises: NotFoundError."""
    row = await tx.first(sa.select(projects.c.id).where(projects.c.id == project_id).with_for_update())
    if row is None:
        raise NotFoundError(f"No project with id {project_id} was found.")


async def set_project_enabled(tx: Transaction, project_id: str, *, enabled: bool) -> None:
    await tx.execute(sa.update(projects).where(projects.c.id == project_id).values(enabled=enabled))


# --- users and roles -------------------------------------------------------------------------------------------------


async def insert_user(tx: Transaction, user: User, password_hash: str) -> None:
    await tx.execute(sa.insert(users).values(**structs.asdict(user), password_hash=password_hash))


async def find_user(
    tx: Transaction, *, user_id: str | None, name: str | None, domain: DomainRef
) -> tuple[User, str] | None:
    """The user and the hash of the password: by id, else by name within a domain."""
    if _keeps_nothing(user_id, name, domain.id, domain.name):
        return None
    query = sa.select(*columns(users, User), users.c.password_hash)
    if user_id is not None:
        query = query.where(users.c.id == user_id)
    else:
        named = _equal(domains, id=domain.id) if domain.id is not None else _equal(domains, name=domain.name or "")
        query = query.join(domains, domains.c.id == users.c.domain_id).where(users.c.name == name, *named)
    row = await tx.first(query)
    return (built(User, row[:-1]), row[-1]) if row else None


async def get_user(tx: Transaction, user_id: str) -> User | None:
    found = await find_user(tx, user_id=user_id, name=None, domain=DomainRef())
    return found[0] if found else None


async def list_users(tx: Transaction, wanted: UserFilter, page: Page = WHOLE_LIST) -> list[User]:
    if _keeps_nothing(wanted.domain_id, wanted.name):
        return []
    matching = _equal(users, **wanted._asdict())
    found = await tx.all(
        sa.select(*columns(users, User))
        .where(*matching)
        .order_by(users.c.name, users.c.id)
        .limit(page.limit)
        .offset(page.offset)
    )
    return [built(User, row) for row in found]


async def lock_user(tx: Transaction, user_id: str) -> None:
    await tx.first(sa.select(users.c.id).where(users.c.id == user_id).with_for_update())


async def update_user(tx: Transaction, user_id: str, *, new_epoch: bool, **values: Any) -> None:
    """With `new_epoch` every token issued to the user so far stops working."""
    epoch = users.c.epoch + 1 if new_epoch else users.c.epoch
    await tx.execute(sa.update(users).where(users.c.id == user_id).values(**values, epoch=epoch))


async def insert_role(tx: Transaction, role: Role) -> None:
    await tx.execute(sa.insert(roles).values(**structs.asdict(role)))


async def list_roles(tx: Transaction, *, name: str | None = None) -> list[Role]:
    if _keeps_nothing(name):
        return []
    found = await tx.all(sa.select(*columns(roles, Role)).where(*_equal(roles, name=name)).order_by(roles.c.name))
    return [built(Role, row) for row in found]


def _assigned(user_id: str, role_id: str, scope: Scope) -> sa.ColumnElement[bool]:
    return sa.and_(
        role_assignments.c.user_id == user_id,
        role_assignments.c.role_id == role_id,
        *_equal(role_assignments, project_id=scope.project_id, domain_id=scope.domain_id),
    )


async def insert_role_assignment(tx: Transaction, user_id: str, role_id: str, scope: Scope) -> None:
    """Repeating is harmless."""
    if await tx.first(sa.select(role_assignments.c.id).where(_assigned(user_id, role_id, scope))):
        return
    await tx.execute(
        sa.insert(role_assignments).values(
            id=new_hex_id(),
            user_id=user_id,
            role_id=role_id,
            project_id=scope.project_id,
            domain_id=scope.domain_id,
        )
    )


async def has_role(tx: Transaction, user_id: str, role_name: str) -> bool:
    """Anywhere."""
    held = sa.select(role_assignments.c.id).join(roles, roles.c.id == role_assignments.c.role_id)
    return await tx.first(held.where(role_assignments.c.user_id == user_id, roles.c.name == role_name)) is not None


async def delete_role_assignment(tx: Transaction, user_id: str, role_id: str, scope: Scope) -> None:
    await tx.execute(sa.delete(role_assignments).where(_assigned(user_id, role_id, scope)))


# --- access keys and revoked tokens ----------------------------------------------------------------------------------

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
    if _keeps_nothing(access):
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
