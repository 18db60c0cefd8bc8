"""What the database says about a user at a scope, in one query: it is asked on every request of every service."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from stillframe.db import Transaction
from stillframe.identity.model import Domain, Project, Role, Scope, Standing, TokenClaims, User
from stillframe.identity.rows.keys import KEY_COLUMNS, KEY_PROJECT, KeyRow, key_row
from stillframe.identity.tables import (
    StructT,
    access_keys,
    catalog_revision,
    domains,
    effective_roles,
    projects,
    revoked_tokens,
    roles,
    users,
)

# The domain of the user and the domain of the scope appear in one query.
_user_domains = domains.alias("user_domains")
_scope_domains = domains.alias("scope_domains")

# Only what a token tells or a request is judged by; the rest of the fields stays at its default.
_USER_FIELDS = ("id", "name", "domain_id", "enabled", "default_project_id", "epoch", "password_expires_at")
_DOMAIN_FIELDS = ("id", "name", "enabled")
_PROJECT_FIELDS = ("id", "name", "domain_id", "enabled")
_ROLE_FIELDS = ("id", "name")


def _columns(table: sa.FromClause, names: tuple[str, ...]) -> list[sa.ColumnElement[Any]]:
    return [table.c[name] for name in names]


_REVISION = sa.select(catalog_revision.c.revision).scalar_subquery()


def _standing_of(
    source: sa.FromClause, *extra: sa.ColumnElement[Any], target: Any, project_id: Any = None, domain_id: Any = None
) -> sa.Select[Any]:
    """The users in `source` at one project, one domain, the system or (no target) unscoped: one row per role held
    there, one row without a role when there is none.
    """
    project: sa.ColumnElement[bool] = sa.false() if project_id is None else projects.c.id == project_id
    scope_domain: sa.ColumnElement[bool] = sa.false()
    if project_id is not None:
        scope_domain = _scope_domains.c.id == projects.c.domain_id
    elif domain_id is not None:
        scope_domain = _scope_domains.c.id == domain_id
    held = sa.false() if target is None else effective_roles.c.target_id == target
    return (
        sa.select(
            *_columns(users, _USER_FIELDS),
            *_columns(_user_domains, _DOMAIN_FIELDS),
            *_columns(projects, _PROJECT_FIELDS),
            *_columns(_scope_domains, _DOMAIN_FIELDS),
            *_columns(roles, _ROLE_FIELDS),
            _REVISION,
            *extra,
        )
        .select_from(
            source.join(_user_domains, _user_domains.c.id == users.c.domain_id)
            .outerjoin(projects, project)
            .outerjoin(_scope_domains, scope_domain)
            .outerjoin(effective_roles, sa.and_(effective_roles.c.user_id == users.c.id, held))
            .outerjoin(roles, roles.c.id == effective_roles.c.role_id)
        )
        .order_by(roles.c.name)
    )


class _ByScope(NamedTuple):
    """The same statement for each kind of scope, built once: SQLAlchemy then finds its compiled form again."""

    project: sa.Select[Any]
    domain: sa.Select[Any]
    system: sa.Select[Any]
    unscoped: sa.Select[Any]

    def of(self, scope: Scope) -> sa.Select[Any]:
        if scope.project_id is not None:
            return self.project
        if scope.domain_id is not None:
            return self.domain
        return self.system if scope.system else self.unscoped


_TARGET = sa.bindparam("scope_target_id", type_=sa.String)


def _by_scope(source: sa.FromClause, *extra: sa.ColumnElement[Any], where: sa.ColumnElement[bool]) -> _ByScope:
    return _ByScope(
        project=_standing_of(source, *extra, target=_TARGET, project_id=_TARGET).where(where),
        domain=_standing_of(source, *extra, target=_TARGET, domain_id=_TARGET).where(where),
        system=_standing_of(source, *extra, target=_TARGET).where(where),
        unscoped=_standing_of(source, *extra, target=None).where(where),
    )


_of_user = users.c.id == sa.bindparam("of_user_id")
_standing = _by_scope(users, where=_of_user)
_token_standing = _by_scope(
    users,
    where=sa.and_(
        _of_user,
        users.c.epoch == sa.bindparam("of_epoch"),
        ~sa.exists().where(revoked_tokens.c.token_id == sa.bindparam("of_token_id")),
    ),
)

_AT_USER_DOMAIN = len(_USER_FIELDS)
_AT_PROJECT = _AT_USER_DOMAIN + len(_DOMAIN_FIELDS)
_AT_DOMAIN = _AT_PROJECT + len(_PROJECT_FIELDS)
_AT_ROLE = _AT_DOMAIN + len(_DOMAIN_FIELDS)
_AT_REVISION = _AT_ROLE + len(_ROLE_FIELDS)
_AT_EXTRA = _AT_REVISION + 1


def _built(kind: type[StructT], names: tuple[str, ...], values: Sequence[Any]) -> StructT:
    return kind(**dict(zip(names, values, strict=True)))


def _standing_from(found: Sequence[sa.Row[Any]]) -> Standing:
    row = found[0]
    return Standing(
        user=_built(User, _USER_FIELDS, row[:_AT_USER_DOMAIN]),
        user_domain=_built(Domain, _DOMAIN_FIELDS, row[_AT_USER_DOMAIN:_AT_PROJECT]),
        project=_built(Project, _PROJECT_FIELDS, row[_AT_PROJECT:_AT_DOMAIN]) if row[_AT_PROJECT] else None,
        domain=_built(Domain, _DOMAIN_FIELDS, row[_AT_DOMAIN:_AT_ROLE]) if row[_AT_DOMAIN] else None,
        roles=tuple(Role(id=each[_AT_ROLE], name=each[_AT_ROLE + 1]) for each in found if each[_AT_ROLE]),
        catalog_revision=row[_AT_REVISION] or 0,
    )


def _scope_parameters(scope: Scope) -> dict[str, Any]:
    return {} if scope.is_unscoped else {"scope_target_id": scope.target_id}


async def get_standing(tx: Transaction, user_id: str, scope: Scope) -> Standing | None:
    parameters = {"of_user_id": user_id, **_scope_parameters(scope)}
    found = await tx.all(_standing.of(scope), parameters)
    return _standing_from(found) if found else None


async def get_token_standing(tx: Transaction, claims: TokenClaims) -> Standing | None:
    """None when the user is gone, the token was revoked or the user's epoch has passed."""
    parameters = {
        "of_user_id": claims.user_id,
        "of_epoch": claims.epoch,
        "of_token_id": claims.token_id,
        **_scope_parameters(claims.scope),
    }
    found = await tx.all(_token_standing.of(claims.scope), parameters)
    return _standing_from(found) if found else None


_signers = access_keys.join(users, users.c.id == access_keys.c.user_id)
_of_access = access_keys.c.access == sa.bindparam("of_access")

_signer_standing = _by_scope(_signers, *KEY_COLUMNS, where=_of_access)._replace(
    unscoped=_standing_of(_signers, *KEY_COLUMNS, target=KEY_PROJECT, project_id=KEY_PROJECT).where(_of_access)
)


async def get_signer(tx: Transaction, access: str, scope: Scope) -> tuple[KeyRow, Standing] | None:
    """The key and its user at the scope; unscoped means the key's own project, else the user's default project."""
    parameters = {"of_access": access, **_scope_parameters(scope)}
    found = await tx.all(_signer_standing.of(scope), parameters)
    return (key_row(found[0][_AT_EXTRA:]), _standing_from(found)) if found else None
