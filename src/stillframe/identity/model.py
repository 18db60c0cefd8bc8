"""Who is asking, and what the identity room keeps.

    domain ──< project            a project is where images, servers and disks live
       │          ▲
       ├──< user ─┼─ role         a role is held on a project, on a domain or on the whole system,
       │      │   │               by a user or by every member of a group
       ├──< group ┘
              └──< access key     signs requests in place of a token

A token names a user and one scope (a project, a domain or nothing); what the user may do there is read anew on every
request, so nothing has to be remembered about tokens but those that were revoked.
"""

import enum
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from msgspec import structs

from stillframe.errors import ForbiddenError
from stillframe.kit.ids import derived_uuid

TOKEN_LIFETIME = timedelta(hours=24)

ROLES: dict[str, str] = {
    "admin": "everything on this platform, in every domain",
    "te_admin": "everything within the domain it is held in",
    "member": "everything within the project, and nothing outside",
    "reader": "looks at the project and changes nothing",
    "readonly": "looks at the project and changes nothing",
}
"""The roles that are there from the start, and what each allows. They cannot be deleted or renamed."""

ROLE_IMPLICATIONS = (("admin", "member"), ("te_admin", "member"), ("member", "reader"))
"""Whoever holds the first of a pair holds the second too."""

FIRST_DOMAIN = "Default"
DEFAULT_DOMAIN_ID = "default"
"""Understood as the id of the first domain: most configurations of OpenStack clients say it."""

PLATFORM_ADMIN = "admin"
DOMAIN_ADMIN = "te_admin"
ADMIN_ROLES = frozenset({PLATFORM_ADMIN, DOMAIN_ADMIN})
WRITER_ROLES = frozenset({*ADMIN_ROLES, "member"})
SYSTEM = "system"
"""Stands in `effective_roles` for the whole system, where else the id of a project or domain is."""


class AccessRule(msgspec.Struct, frozen=True, kw_only=True):
    """One request that an application credential may send: `path` may hold `*`, `**` and `{names}`."""

    id: str
    service: str
    method: str
    path: str


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
    project_domain_id: str | None = None
    """The domain of the project."""
    is_system: bool = False
    """The request is for the whole system."""
    application_credential_id: str | None = None
    is_restricted: bool = False
    """May make no further credentials: came with an application credential that may not, a temporary key or a trust."""
    access_rules: tuple[AccessRule, ...] | None = None
    """When there are any, nothing else may be asked for."""

    @property
    def is_admin(self) -> bool:
        return not ADMIN_ROLES.isdisjoint(self.roles)

    @property
    def is_platform_admin(self) -> bool:
        return PLATFORM_ADMIN in self.roles

    @property
    def at_domain_id(self) -> str | None:
        """The domain the request is for: itself the scope, or the one of the project."""
        return self.scope_domain_id or self.project_domain_id

    @property
    def is_reader_only(self) -> bool:
        return WRITER_ROLES.isdisjoint(self.roles)

    def administers(self, domain_id: str | None) -> bool:
        """Whether the caller manages what is in the domain (None: what is in no domain)."""
        if self.is_platform_admin:
            return True
        return domain_id is not None and DOMAIN_ADMIN in self.roles and domain_id == self.at_domain_id

    def require_project(self) -> str:
        """Raises: ForbiddenError when the request is for no project."""
        if self.project_id is None:
            raise ForbiddenError
        return self.project_id

    def require_writer(self) -> None:
        """Raises: ForbiddenError when the caller may only look."""
        if self.is_reader_only:
            raise ForbiddenError


Json = dict[str, Any]
"""What a caller keeps with a thing without our knowing what it means."""


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    enabled: bool = True
    description: str = ""
    tags: list[str] = []
    options: Json = {}
    extra: Json = {}


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the region, or the region and a suffix after `_`: clients derive the region from it."""

    id: str
    name: str
    domain_id: str
    parent_id: str | None = None
    """Another project; None when it lies directly in its domain."""
    enabled: bool = True
    description: str = ""
    tags: list[str] = []
    options: Json = {}
    extra: Json = {}


class User(msgspec.Struct, frozen=True, kw_only=True):
    """`epoch` grows when every token of the user shall stop working: on a new password and when disabled."""

    id: str
    name: str
    domain_id: str
    enabled: bool = True
    default_project_id: str | None = None
    epoch: int = 0
    password_expires_at: datetime | None = None
    options: Json = {}
    extra: Json = {}


class Group(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    domain_id: str
    description: str = ""
    extra: Json = {}


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role of a domain is never held itself: it only stands for the roles that it implies."""

    id: str
    name: str
    domain_id: str | None = None
    description: str | None = None
    options: Json = {}
    extra: Json = {}


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A role that a user or a group holds on a project, on a domain, or (neither given) on the whole system.

    An inherited one does not hold there, but on every project below.
    """

    role_id: str
    user_id: str | None = None
    group_id: str | None = None
    project_id: str | None = None
    domain_id: str | None = None
    inherited: bool = False

    @property
    def target_id(self) -> str:
        return self.project_id or self.domain_id or SYSTEM

    @property
    def id(self) -> str:
        """The same for the same grant, so that it cannot be there twice."""
        parts = (self.role_id, self.user_id or "", self.group_id or "", self.target_id, str(self.inherited))
        return derived_uuid("grant", *parts).replace("-", "")


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
    """What a token is for: a project, a domain, the system, or nothing (unscoped); never two of them."""

    project_id: str | None = None
    domain_id: str | None = None
    system: bool = False

    @property
    def target_id(self) -> str | None:
        """As in `effective_roles`; None when unscoped."""
        return self.project_id or self.domain_id or (SYSTEM if self.system else None)

    @property
    def is_unscoped(self) -> bool:
        return self.target_id is None


UNSCOPED = Scope()
SYSTEM_SCOPE = Scope(system=True)


class TokenClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What the text of a token says; whether it still holds is asked of the database."""

    token_id: str
    user_id: str
    epoch: int
    scope: Scope
    methods: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    parent_id: str | None = None
    """The first token of the chain, when this one was got with another."""
    application_credential_id: str | None = None
    trust_id: str | None = None
    other_epoch: int = 0
    """With a trust: the epoch of the one of the two who is not the token's user."""


class AppCredential(msgspec.Struct, frozen=True, kw_only=True):
    """Logs a program in as its user, on one project and with some of the user's roles."""

    id: str
    name: str
    user_id: str
    project_id: str
    description: str | None
    expires_at: datetime | None
    unrestricted: bool


class AppCredentialView(msgspec.Struct, frozen=True, kw_only=True):
    """An application credential with what hangs on it."""

    credential: AppCredential
    roles: tuple[Role, ...]
    access_rules: tuple[AccessRule, ...]


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """The trustee may act with some of the trustor's roles on the project; with `impersonation` as the trustor."""

    id: str
    trustor_user_id: str
    trustee_user_id: str
    project_id: str
    impersonation: bool
    expires_at: datetime | None
    remaining_uses: int | None
    """How many tokens can still be got with it; None for any number."""


class TrustView(msgspec.Struct, frozen=True, kw_only=True):
    """A trust with the roles that hang on it."""

    trust: Trust
    roles: tuple[Role, ...]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the database says now about a user at a scope, whatever a token or a signature may claim."""

    user: User
    user_domain: Domain
    project: Project | None
    domain: Domain | None
    """The domain of the project, or the domain that is the scope; None when unscoped or for the system."""
    roles: tuple[Role, ...]
    catalog_revision: int = 0

    def holds(self, scope: Scope) -> bool:
        """Whether the user may act at the scope at all: everything enabled, and a role there unless unscoped."""
        if not (self.user.enabled and self.user_domain.enabled):
            return False
        if scope.is_unscoped:
            return True
        if scope.system:
            return bool(self.roles)
        if scope.project_id and not (self.project and self.project.enabled):
            return False
        return bool(self.roles) and self.domain is not None and self.domain.enabled

    def caller(self, *, expires_at: datetime, token_id: str | None, is_system: bool = False) -> Caller:
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
            project_domain_id=self.domain.id if self.domain and self.project else None,
            is_system=is_system,
        )


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token that holds now, with the names of everything in it."""

    claims: TokenClaims
    standing: Standing
    application_credential: AppCredentialView | None = None
    trust: Trust | None = None

    @property
    def caller(self) -> Caller:
        claims = self.claims
        caller = self.standing.caller(
            expires_at=claims.expires_at, token_id=claims.token_id, is_system=claims.scope.system
        )
        used = self.application_credential
        if used is None:
            return structs.replace(caller, is_restricted=True) if self.trust is not None else caller
        return structs.replace(
            caller,
            application_credential_id=used.credential.id,
            is_restricted=not used.credential.unrestricted,
            access_rules=used.access_rules or None,
        )


class DomainRef(msgspec.Struct, frozen=True, kw_only=True):
    """A domain as a caller names it: by id or by name; the id counts when both are there."""

    id: str | None = None
    name: str | None = None


WITH_PASSCODE = ("password", "totp")


class Passcode(msgspec.Struct, frozen=True, kw_only=True):
    """What a user's device shows at the moment; the user is named as with the password."""

    user_id: str | None
    user_name: str | None
    domain: DomainRef
    digits: str


class PasswordLogin(msgspec.Struct, frozen=True, kw_only=True):
    """A user named by id, or by name and domain, and the password."""

    user_id: str | None
    user_name: str | None
    domain: DomainRef
    password: str
    passcode: Passcode | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        return ("password",) if self.passcode is None else WITH_PASSCODE


class TokenLogin(msgspec.Struct, frozen=True, kw_only=True):
    token: str


class AppCredentialLogin(msgspec.Struct, frozen=True, kw_only=True):
    """Named by id, or by name and user (who is named by id, or by name and domain)."""

    credential_id: str | None
    name: str | None
    user_id: str | None
    user_name: str | None
    domain: DomainRef
    secret: str


Login = PasswordLogin | TokenLogin | AppCredentialLogin


class ProjectRef(msgspec.Struct, frozen=True, kw_only=True):
    """A project by id, or by name in a domain (the user's own when none is named)."""

    id: str | None = None
    name: str | None = None
    domain: DomainRef | None = None


class SystemRef(msgspec.Struct, frozen=True):
    """The whole platform."""


class TrustRef(msgspec.Struct, frozen=True):
    """What a trust gives."""

    id: str


class UnscopedRef(msgspec.Struct, frozen=True):
    """Explicitly no scope."""


ScopeRef = ProjectRef | DomainRef | SystemRef | TrustRef | UnscopedRef | None
"""What a token shall be for, as asked; None leaves it to us."""


class Filter(NamedTuple):
    """`comparator` is equals, contains, startswith or endswith."""

    name: str
    value: str
    comparator: str = "equals"
    ignore_case: bool = False

    def fits(self, text: str | None) -> bool:
        """For lists that are not in the database."""
        if text is None:
            return False
        text, value = (text.lower(), self.value.lower()) if self.ignore_case else (text, self.value)
        if self.comparator == "contains":
            return value in text
        if self.comparator == "startswith":
            return text.startswith(value)
        return text.endswith(value) if self.comparator == "endswith" else text == value


class ListQuery(NamedTuple):
    """Which part of a list, and in which order. Unknown names are left out by whoever reads the request."""

    filters: tuple[Filter, ...] = ()
    sort_key: str | None = None
    descending: bool = False
    marker: str | None = None
    """Only what comes after the entry with this id."""
    limit: int | None = None
    offset: int = 0


WHOLE_LIST = ListQuery()


class TagFilter(NamedTuple):
    """Of projects: those with all of `every`, any of `some`, not all of `not_every`, none of `none_of`."""

    every: tuple[str, ...] = ()
    some: tuple[str, ...] = ()
    not_every: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()


class ProjectFilter(NamedTuple):
    """What is None does not narrow the list."""

    domain_id: str | None = None
    name: str | None = None
    enabled: bool | None = None
    user_id: str | None = None
    """Only projects on which this user has a role."""
    parent_id: str | None = None
    """A project, or the domain for those directly in it."""
    tags: TagFilter = TagFilter()


class UserFilter(NamedTuple):
    """What is None does not narrow the list."""

    domain_id: str | None = None
    name: str | None = None
    enabled: bool | None = None
    id: str | None = None
    group_id: str | None = None
