"""Who is asking, and what the identity room keeps.

    domain ──< project            a project is where images, servers and disks live
       │          ▲
       └──< user ─┴─ role         a role is held on a project or on a domain
              └──< access key     signs requests in place of a token

A token names a user and one scope (a project, a domain or nothing); what the user may do there is read anew on every
request, so nothing has to be remembered about tokens but those that were revoked.
"""

import enum
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from stillframe.errors import ForbiddenError

TOKEN_LIFETIME = timedelta(hours=24)

ROLES: dict[str, str] = {
    "admin": "everything on this platform, in every domain",
    "te_admin": "everything within the own domain",
    "member": "everything within the project, and nothing outside",
    "readonly": "looks at the project and changes nothing",
}
"""Every role there is, and what it allows."""

PLATFORM_ADMIN = "admin"
ADMIN_ROLES = frozenset({PLATFORM_ADMIN, "te_admin"})
READER_ROLES = frozenset({"readonly"})


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever sent a request, at the scope it was sent for."""

    user_id: str
    user_name: str
    domain_id: str
    """The domain of the user."""
    project_id: str | None
    project_name: str | None
    roles: tuple[str, ...]
    expires_at: datetime
    token_id: str | None
    """The audit id of the token, never its text; None for a signed request."""
    scope_domain_id: str | None = None
    """Set when the request is for a whole domain and not for a project."""

    @property
    def is_admin(self) -> bool:
        return not ADMIN_ROLES.isdisjoint(self.roles)

    @property
    def is_platform_admin(self) -> bool:
        return PLATFORM_ADMIN in self.roles

    @property
    def is_reader_only(self) -> bool:
        return READER_ROLES.issuperset(self.roles)

    def require_project(self) -> str:
        """Raises: ForbiddenError when the request is for no project."""
        if self.project_id is None:
            raise ForbiddenError
        return self.project_id

    def require_writer(self) -> None:
        """Raises: ForbiddenError when the caller may only look."""
        if self.is_reader_only:
            raise ForbiddenError


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    enabled: bool = True
    description: str = ""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the region, or the region and a suffix after `_`: clients derive the region from it."""

    id: str
    name: str
    domain_id: str
    enabled: bool = True
    description: str = ""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """`epoch` grows when every token of the user shall stop working: on a new password and when disabled."""

    id: str
    name: str
    domain_id: str
    enabled: bool = True
    email: str = ""
    default_project_id: str | None = None
    epoch: int = 0


class Role(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str


class AccessKeyKind(enum.StrEnum):
    PERMANENT = "permanent"
    TEMPORARY = "temporary"
    """Ends by itself, and signs only together with its security token."""
    SERVICE = "service"
    """The image service's own key to a project's buckets; belongs to no user, is never listed and signs no request."""


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """Never holds the secret: that is only given to who made the key and to who checks a signature."""

    access: str
    kind: AccessKeyKind
    user_id: str | None
    project_id: str | None
    enabled: bool
    description: str
    created_at: datetime
    expires_at: datetime | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a token is for: a project, a domain, or neither (unscoped); never both."""

    project_id: str | None = None
    domain_id: str | None = None

    @property
    def is_unscoped(self) -> bool:
        return self.project_id is None and self.domain_id is None


UNSCOPED = Scope()


class TokenClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What the text of a token says; whether it still holds is asked of the database."""

    token_id: str
    user_id: str
    epoch: int
    scope: Scope
    methods: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the database says now about a user at a scope, whatever a token or a signature may claim."""

    user: User
    user_domain: Domain
    project: Project | None
    domain: Domain | None
    """The domain of the project, or the domain that is the scope; None when unscoped."""
    roles: tuple[Role, ...]

    def holds(self, scope: Scope) -> bool:
        """Whether the user may act at the scope at all: everything enabled, and a role there unless unscoped."""
        if not (self.user.enabled and self.user_domain.enabled):
            return False
        if scope.is_unscoped:
            return True
        if scope.project_id and not (self.project and self.project.enabled):
            return False
        return bool(self.roles) and self.domain is not None and self.domain.enabled

    def caller(self, *, expires_at: datetime, token_id: str | None) -> Caller:
        return Caller(
            user_id=self.user.id,
            user_name=self.user.name,
            domain_id=self.user.domain_id,
            project_id=self.project.id if self.project else None,
            project_name=self.project.name if self.project else None,
            roles=tuple(role.name for role in self.roles),
            expires_at=expires_at,
            token_id=token_id,
            scope_domain_id=self.domain.id if self.domain and not self.project else None,
        )


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token that holds now, with the names of everything in it."""

    claims: TokenClaims
    standing: Standing

    @property
    def caller(self) -> Caller:
        return self.standing.caller(expires_at=self.claims.expires_at, token_id=self.claims.token_id)


class DomainRef(msgspec.Struct, frozen=True, kw_only=True):
    """A domain as a caller names it: by id or by name; the id counts when both are there."""

    id: str | None = None
    name: str | None = None


class PasswordLogin(msgspec.Struct, frozen=True, kw_only=True):
    """A user named by id, or by name and domain, and the password."""

    user_id: str | None
    user_name: str | None
    domain: DomainRef
    password: str


class TokenLogin(msgspec.Struct, frozen=True, kw_only=True):
    token: str


class ProjectRef(msgspec.Struct, frozen=True, kw_only=True):
    """A project by id, or by name in a domain (the user's own when none is named)."""

    id: str | None = None
    name: str | None = None
    domain: DomainRef | None = None


class SystemRef(msgspec.Struct, frozen=True):
    """The whole platform; administrators get their own domain for it, others nothing."""


class UnscopedRef(msgspec.Struct, frozen=True):
    """Explicitly no scope."""


ScopeRef = ProjectRef | DomainRef | SystemRef | UnscopedRef | None
"""What a token shall be for, as asked; None leaves it to us."""


class Page(NamedTuple):
    """A cut of a list: at most `limit` entries after the first `offset`; all of them when `limit` is None."""

    limit: int | None = None
    offset: int = 0


WHOLE_LIST = Page()


class ProjectFilter(NamedTuple):
    """What is None does not narrow the list."""

    domain_id: str | None = None
    name: str | None = None
    enabled: bool | None = None
    user_id: str | None = None
    """Only projects on which this user has a role."""


class UserFilter(NamedTuple):
    """What is None does not narrow the list."""

    domain_id: str | None = None
    name: str | None = None
    enabled: bool | None = None
    id: str | None = None
