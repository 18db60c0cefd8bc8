"""The identity room's tables, and how a row of one becomes a struct."""

from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from msgspec import Struct

from stillframe.db import UtcTime, metadata

domains = sa.Table(
    "domains",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
)

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("domain_id", sa.ForeignKey("domains.id"), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.UniqueConstraint("domain_id", "name"),
    sa.Index("ix_projects_name", "name"),
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("domain_id", sa.ForeignKey("domains.id"), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("email", sa.String(255), nullable=False),
    sa.Column("default_project_id", sa.ForeignKey("projects.id")),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.UniqueConstraint("domain_id", "name"),
    sa.Index("ix_users_default_project_id", "default_project_id"),
)

roles = sa.Table(
    "roles",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
)

role_assignments = sa.Table(
    "role_assignments",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("role_id", sa.ForeignKey("roles.id"), nullable=False, index=True),
    sa.Column("project_id", sa.ForeignKey("projects.id", ondelete="CASCADE"), index=True),
    sa.Column("domain_id", sa.ForeignKey("domains.id", ondelete="CASCADE"), index=True),
    sa.CheckConstraint("(project_id IS NULL) <> (domain_id IS NULL)", name="one_scope"),
    sa.Index("ix_role_assignments_user_id_project_id", "user_id", "project_id", "role_id", unique=True),
    sa.Index("ix_role_assignments_user_id_domain_id", "user_id", "domain_id", "role_id", unique=True),
)

access_keys = sa.Table(
    "access_keys",
    metadata,
    sa.Column("access", sa.String(20), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("user_id", sa.ForeignKey("users.id", ondelete="CASCADE"), index=True),
    sa.Column("project_id", sa.ForeignKey("projects.id", ondelete="CASCADE"), index=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, index=True),
    sa.Column("secret_encrypted", sa.Text, nullable=False),
    sa.Column("security_token_hash", sa.String(64)),
)

revoked_tokens = sa.Table(
    "revoked_tokens",
    metadata,
    sa.Column("token_id", sa.String(32), primary_key=True),
    sa.Column("expires_at", UtcTime, nullable=False, index=True),
)

StructT = TypeVar("StructT", bound=Struct)


def columns(table: sa.FromClause, struct: type[Struct]) -> list[sa.ColumnElement[Any]]:
    """The columns of a struct's fields, in the order of the fields."""
    return [table.c[name] for name in struct.__struct_fields__]


def built(struct: type[StructT], values: Sequence[Any]) -> StructT:
    """A struct from the values of its columns, in the order of the fields."""
    return struct(**dict(zip(struct.__struct_fields__, values, strict=True)))
