"""What the database says about a user at a scope, in one query: it is asked on every request of every service."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from stillframe.db import Transaction
from stillframe.identity.model import Domain, Project, Role, Scope, Standing, TokenClaims, User
from stillframe.identity.rows import KEY_COLUMNS, KEY_PROJECT, KeyRow, key_row
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

# The domain of the user and the domain of the scope appear in one query.
_user_domains = domains.alias("user_domains")
_scope_domains = domains.alias("scope_domains")


def _standing_of(
    source: sa.FromClause, *extra: sa.ColumnElement[Any], project_id: Any = None, domain_id: Any = None
) -> sa.Select[Any]:
    """The users in `source` at one project, one domain or (neither given) unscoped: one row per role held there, one
    row without a role when there is none.
    """
    project: sa.ColumnElement[bool] = sa.false()
    scope_domain: sa.ColumnElement[bool] = sa.false()
    assigned: sa.ColumnElement[bool] = sa.false()
    if project_id is not None:
        project = projects.c.id == project_id
        scope_domain = _scope_domains.c.id == projects.c.domain_id
        assigned = role_assignments.c.project_id == projects.c.id
    elif domain_id is not None:
        scope_domain = _scope_domains.c.id == domain_id
        assigned = role_assignments.c.domain_id == domain_id
    return (
        sa.select(
            *columns(users, User),
            *columns(_user_domains, Domain),
            *columns(projects, Project),
            *columns(_scope_domains, Domain),
            *columns(roles, Role),
            *extra,
        )
        .select_from(
            source.join(_user_domains, _user_domains.c.id == users.c.domain_id)
            .outerjoin(projects, project)
            .outerjoin(_scope_domains, scope_domain)
            .outerjoin(role_assignments, sa.and_(role_assignments.c.user_id == users.c.id, assigned))
            .outerjoin(roles, roles.c.id == role_assignments.c.role_id)
        )
        .order_by(roles.c.name)
    )


class _ByScope(NamedTuple):
    """The same statement for each kind of scope, built once: SQLAlchemy then finds its compiled form again."""

    project: sa.Select[Any]
    domain: sa.Select[Any]
    unscoped: sa.Select[Any]

    def of(self, scope: Scope) -> sa.Select[Any]:
        if scope.project_id is not None:
            return self.project
        return self.domain if scope.domain_id is not None else self.unscoped


_PROJECT_ID = sa.bindparam("scope_project_id", type_=sa.String)
_DOMAIN_ID = sa.bindparam("scope_domain_id", type_=sa.String)

_of_user = users.c.id == sa.bindparam("of_user_id")
_standing = _ByScope(
    project=_standing_of(users, project_id=_PROJECT_ID).where(_of_user),
    domain=_standing_of(users, domain_id=_DOMAIN_ID).where(_of_user),
    unscoped=_standing_of(users).where(_of_user),
)

_of_token = sa.and_(
    _of_user,
    users.c.epoch == sa.bindparam("of_epoch"),
    ~sa.exists().where(revoked_tokens.c.token_id == sa.bindparam("of_token_id")),
)
_token_standing = _ByScope(
    project=_standing_of(users, project_id=_PROJECT_ID).where(_of_token),
    domain=_standing_of(users, domain_id=_DOMAIN_ID).where(_of_token),
    unscoped=_standing_of(users).where(_of_token),
)

_AT_USER_DOMAIN = len(User.__struct_fields__)
_AT_PROJECT = _AT_USER_DOMAIN + len(Domain.__struct_fields__)
_AT_DOMAIN = _AT_PROJECT + len(Project.__struct_fields__)
_AT_ROLE = _AT_DOMAIN + len(Domain.__struct_fields__)
_AT_EXTRA = _AT_ROLE + len(Role.__struct_fields__)


def _standing_from(found: Sequence[sa.Row[Any]]) -> Standing:
    row = found[0]
    return Standing(
        user=built(User, row[:_AT_USER_DOMAIN]),
        user_domain=built(Domain, row[_AT_USER_DOMAIN:_AT_PROJECT]),
        project=built(Project, row[_AT_PROJECT:_AT_DOMAIN]) if row[_AT_PROJECT] else None,
        domain=built(Domain, row[_AT_DOMAIN:_AT_ROLE]) if row[_AT_DOMAIN] else None,
        roles=tuple(built(Role, each[_AT_ROLE:_AT_EXTRA]) for each in found if each[_AT_ROLE]),
    )


def _scope_parameters(scope: Scope) -> dict[str, Any]:
    if scope.project_id is not None:
        return {"scope_project_id": scope.project_id}
    return {} if scope.domain_id is None else {"scope_domain_id": scope.domain_id}


async def get_standing(tx: Transaction, user_id: str, scope: Scope) -> Standing | None:
    parameters = {"of_user_id": user_id, **_scope_parameters(scope)}
    found = (await tx.execute(_standing.of(scope), [parameters])).all()
    return _standing_from(found) if found else None


async def get_token_standing(tx: Transaction, claims: TokenClaims) -> Standing | None:
    """None when the user is gone, the token was revoked or the user's epoch has passed."""
    parameters = {
        "of_user_id": claims.user_id,
        "of_epoch": claims.epoch,
        "of_token_id": claims.token_id,
        **_scope_parameters(claims.scope),
    }
    found = (await tx.execute(_token_standing.of(claims.scope), [parameters])).all()
    return _standing_from(found) if found else None


_signers = access_keys.join(users, users.c.id == access_keys.c.user_id)
_of_access = access_keys.c.access == sa.bindparam("of_access")

_signer_standing = _ByScope(
    project=_standing_of(_signers, *KEY_COLUMNS, project_id=_PROJECT_ID).where(_of_access),
    domain=_standing_of(_signers, *KEY_COLUMNS, domain_id=_DOMAIN_ID).where(_of_access),
    unscoped=_standing_of(_signers, *KEY_COLUMNS, project_id=KEY_PROJECT).where(_of_access),
)


async def get_signer(tx: Transaction, access: str, scope: Scope) -> tuple[KeyRow, Standing] | None:
    """The key and its user at the scope; unscoped means the key's own project, else the user's default project."""
    parameters = {"of_access": access, **_scope_parameters(scope)}
    found = (await tx.execute(_signer_standing.of(scope), [parameters])).all()
    return (key_row(found[0][_AT_EXTRA:]), _standing_from(found)) if found else None
