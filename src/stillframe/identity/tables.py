"""The identity room's tables, and how a row of one becomes a struct."""

from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from msgspec import Struct

from stillframe.db import UtcTime, metadata


def _id(name: str = "id", **more: Any) -> sa.Column[str]:
    return sa.Column(name, sa.String(32), **(more or {"primary_key": True}))


def _of(table: str, name: str, *, nullable: bool = False, cascade: bool = True, index: bool = True) -> sa.Column[str]:
    """A column that holds the id of a row of another table."""
    target = sa.ForeignKey(f"{table}.id", ondelete="CASCADE" if cascade else None)
    return sa.Column(name, sa.String(32), target, nullable=nullable, index=index)


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON, nullable=False)


domains = sa.Table(
    "domains",
    metadata,
    _id(),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    _json("tags"),
    _json("options"),
    _json("extra"),
)

projects = sa.Table(
    "projects",
    metadata,
    _id(),
    sa.Column("name", sa.String(255), nullable=False),
    _of("domains", "domain_id", index=False, cascade=False),
    _of("projects", "parent_id", nullable=True, cascade=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    _json("tags"),
    _json("options"),
    _json("extra"),
    sa.UniqueConstraint("domain_id", "name"),
    sa.Index("ix_projects_name", "name"),
)

project_tags = sa.Table(
    "project_tags",
    metadata,
    sa.Column("project_id", sa.ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Index("ix_project_tags_name", "name", "project_id"),
)

users = sa.Table(
    "users",
    metadata,
    _id(),
    sa.Column("name", sa.String(255), nullable=False),
    _of("domains", "domain_id", index=False, cascade=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("default_project_id", sa.String(32), index=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("password_expires_at", UtcTime, index=True),
    _json("options"),
    _json("extra"),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("failed_logins", sa.Integer, nullable=False),
    sa.Column("last_failed_at", UtcTime),
    sa.UniqueConstraint("domain_id", "name"),
    sa.Index("ix_users_name", "name"),
)

groups = sa.Table(
    "groups",
    metadata,
    _id(),
    sa.Column("name", sa.String(255), nullable=False),
    _of("domains", "domain_id", index=False, cascade=False),
    sa.Column("description", sa.Text, nullable=False),
    _json("extra"),
    sa.UniqueConstraint("domain_id", "name"),
    sa.Index("ix_groups_name", "name"),
)

group_members = sa.Table(
    "group_members",
    metadata,
    sa.Column("group_id", sa.ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
)

roles = sa.Table(
    "roles",
    metadata,
    _id(),
    sa.Column("name", sa.String(255), nullable=False),
    _of("domains", "domain_id", nullable=True, index=False),
    sa.Column("description", sa.Text),
    _json("options"),
    _json("extra"),
    sa.UniqueConstraint("domain_id", "name"),
    sa.Index(
        "ix_roles_name",
        "name",
        unique=True,
        sqlite_where=sa.text("domain_id IS NULL"),
        postgresql_where=sa.text("domain_id IS NULL"),
    ),
)

role_inferences = sa.Table(
    "role_inferences",
    metadata,
    sa.Column("prior_role_id", sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("implied_role_id", sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True),
)

role_assignments = sa.Table(
    "role_assignments",
    metadata,
    # Made from all of what follows, so the same assignment cannot be there twice.
    _id(),
    _of("roles", "role_id"),
    _of("users", "user_id", nullable=True),
    _of("groups", "group_id", nullable=True),
    _of("projects", "project_id", nullable=True),
    _of("domains", "domain_id", nullable=True),
    sa.Column("inherited", sa.Boolean, nullable=False, index=True),
    sa.CheckConstraint("(user_id IS NULL) <> (group_id IS NULL)", name="one_actor"),
    sa.CheckConstraint("project_id IS NULL OR domain_id IS NULL", name="one_target"),
)

effective_roles = sa.Table(
    "effective_roles",
    metadata,
    # What role_assignments, group_members, role_inferences and the tree of projects come to: see effective.py.
    sa.Column("user_id", sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("target_id", sa.String(32), primary_key=True),
    sa.Column("role_id", sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Index("ix_effective_roles_target_id", "target_id"),
)

access_keys = sa.Table(
    "access_keys",
    metadata,
    sa.Column("access", sa.String(20), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    _of("users", "user_id", nullable=True),
    _of("projects", "project_id", nullable=True),
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
    _id("token_id"),
    sa.Column("expires_at", UtcTime, nullable=False, index=True),
)

credentials = sa.Table(
    "credentials",
    metadata,
    # 64 characters: the id of an EC2 credential is the SHA-256 of the access key it was made with.
    sa.Column("id", sa.String(64), primary_key=True),
    # That of the access key an EC2 credential has now.
    sa.Column("access_hash", sa.String(64), unique=True),
    sa.Column("type", sa.String(255), nullable=False),
    _of("users", "user_id"),
    sa.Column("project_id", sa.String(64), index=True),
    sa.Column("blob_encrypted", sa.Text, nullable=False),
    _json("extra"),
)

application_credentials = sa.Table(
    "application_credentials",
    metadata,
    _id(),
    sa.Column("name", sa.String(255), nullable=False),
    _of("users", "user_id", index=False),
    _of("projects", "project_id"),
    sa.Column("description", sa.Text),
    sa.Column("expires_at", UtcTime),
    sa.Column("unrestricted", sa.Boolean, nullable=False),
    sa.Column("secret_hash", sa.Text, nullable=False),
    sa.UniqueConstraint("user_id", "name"),
)

application_credential_roles = sa.Table(
    "application_credential_roles",
    metadata,
    sa.Column(
        "application_credential_id",
        sa.ForeignKey("application_credentials.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("role_id", sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True),
)

trusts = sa.Table(
    "trusts",
    metadata,
    _id(),
    _of("users", "trustor_user_id"),
    _of("users", "trustee_user_id"),
    _of("projects", "project_id"),
    sa.Column("impersonation", sa.Boolean, nullable=False),
    sa.Column("expires_at", UtcTime),
    # None for any number.
    sa.Column("remaining_uses", sa.BigInteger),
)

trust_roles = sa.Table(
    "trust_roles",
    metadata,
    sa.Column("trust_id", sa.ForeignKey("trusts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role_id", sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True),
)

access_rules = sa.Table(
    "access_rules",
    metadata,
    _id(),
    _of("users", "user_id", index=False),
    sa.Column("service", sa.String(64), nullable=False),
    sa.Column("method", sa.String(16), nullable=False),
    sa.Column("path", sa.String(225), nullable=False),
    sa.UniqueConstraint("user_id", "service", "method", "path"),
)

application_credential_rules = sa.Table(
    "application_credential_rules",
    metadata,
    sa.Column(
        "application_credential_id",
        sa.ForeignKey("application_credentials.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("access_rule_id", sa.ForeignKey("access_rules.id"), primary_key=True, index=True),
)

regions = sa.Table(
    "regions",
    metadata,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("parent_region_id", sa.String(255), index=True),
    _json("extra"),
)

services = sa.Table(
    "services",
    metadata,
    _id(),
    sa.Column("type", sa.String(255), nullable=False, index=True),
    sa.Column("name", sa.String(255)),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text),
    _json("extra"),
)

endpoints = sa.Table(
    "endpoints",
    metadata,
    _id(),
    # Of a row here, or of a service that is there by itself.
    sa.Column("service_id", sa.String(32), nullable=False, index=True),
    sa.Column("interface", sa.String(8), nullable=False),
    sa.Column("region_id", sa.String(255), index=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    _json("extra"),
)

catalog_revision = sa.Table(
    "catalog_revision",
    metadata,
    # One row, made by the first change: every process remembers a catalog until the number grows.
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

registered_limits = sa.Table(
    "registered_limits",
    metadata,
    _id(),
    sa.Column("service_id", sa.String(32), nullable=False),
    sa.Column("region_id", sa.String(255), nullable=False),
    sa.Column("resource_name", sa.String(255), nullable=False),
    sa.Column("default_limit", sa.BigInteger, nullable=False),
    sa.Column("description", sa.Text),
    sa.UniqueConstraint("service_id", "region_id", "resource_name"),
)

limits = sa.Table(
    "limits",
    metadata,
    _id(),
    # A limit in use keeps the registered one: the constraint says so.
    _of("registered_limits", "registered_limit_id", cascade=False),
    _of("projects", "project_id", nullable=True),
    _of("domains", "domain_id", nullable=True),
    sa.Column("resource_limit", sa.BigInteger, nullable=False),
    sa.Column("description", sa.Text),
    sa.UniqueConstraint("registered_limit_id", "project_id"),
    sa.Index("ix_limits_registered_limit_id_domain_id", "registered_limit_id", "domain_id", unique=True),
)

policies = sa.Table(
    "policies",
    metadata,
    _id(),
    sa.Column("type", sa.String(255), nullable=False),
    sa.Column("blob", sa.Text, nullable=False),
    _json("extra"),
)

StructT = TypeVar("StructT", bound=Struct)


def columns(table: sa.FromClause, struct: type[Struct]) -> list[sa.ColumnElement[Any]]:
    """The columns of a struct's fields, in the order of the fields."""
    return [table.c[name] for name in struct.__struct_fields__]


def built(struct: type[StructT], values: Sequence[Any]) -> StructT:
    """A struct from the values of its columns, in the order of the fields."""
    return struct(**dict(zip(struct.__struct_fields__, values, strict=True)))
