"""Keystone v3 on the wire: the body that asks for a token, and what tokens, projects and users look like.

Source: OpenStack Identity API v3; Open Telekom Cloud, Identity and Access Management API reference.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from stillframe.errors import InvalidInputError
from stillframe.identity.model import (
    Domain,
    DomainRef,
    Page,
    PasswordLogin,
    Project,
    ProjectRef,
    Role,
    ScopeRef,
    SystemRef,
    Token,
    TokenLogin,
    UnscopedRef,
    User,
)
from stillframe.kit.clock import iso_micros_z

MAX_PER_PAGE = 5000
MAX_PAGE = 1_000_000
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})

BodyT = TypeVar("BodyT", bound=Struct)


class DomainBody(Struct):
    id: str | None = None
    name: str | None = None


class UserBody(Struct):
    id: str | None = None
    name: str | None = None
    domain: DomainBody | None = None
    password: str | None = None


class PasswordBody(Struct):
    user: UserBody


class TokenIdBody(Struct):
    id: str


class IdentityBody(Struct):
    methods: list[str]
    password: PasswordBody | None = None
    token: TokenIdBody | None = None


class ProjectBody(Struct):
    id: str | None = None
    name: str | None = None
    domain: DomainBody | None = None


class SystemBody(Struct):
    all: bool = False


class ScopeBody(Struct):
    project: ProjectBody | None = None
    domain: DomainBody | None = None
    system: SystemBody | None = None
    unscoped: dict[str, Any] | None = None


class AuthBody(Struct):
    identity: IdentityBody
    scope: ScopeBody | str | None = None


class LoginBody(Struct):
    auth: AuthBody


def decode_body(raw: bytes, kind: type[BodyT]) -> BodyT:
    """Raises: InvalidInputError for anything that is not such a body, without repeating what it holds."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"The request body is invalid: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInputError("The request body is not valid JSON.") from None


def login_of(body: LoginBody) -> PasswordLogin | TokenLogin:
    identity = body.auth.identity
    methods = set(identity.methods)
    if methods == {"password"} and identity.password is not None:
        return _password_login(identity.password.user)
    if methods == {"token"} and identity.token is not None:
        return TokenLogin(token=identity.token.id)
    raise InvalidInputError(
        "Expecting one of the methods password and token in auth.identity, and a member of that name.", field="methods"
    )


def _password_login(user: UserBody) -> PasswordLogin:
    domain = _domain_ref(user.domain)
    named = user.name and (domain.id or domain.name)
    if user.password is None or not (user.id or named):
        raise InvalidInputError("Expecting user.id, or user.name and user.domain, and user.password.", field="user")
    return PasswordLogin(user_id=user.id or None, user_name=user.name, domain=domain, password=user.password)


def scope_of(body: LoginBody) -> ScopeRef:
    scope = body.auth.scope
    if scope is None or scope == "unscoped":
        return None if scope is None else UnscopedRef()
    if isinstance(scope, str):
        raise InvalidInputError("Expecting an object or unscoped in auth.scope.", field="scope")
    if scope.project is not None:
        return _project_ref(scope.project)
    if scope.domain is not None:
        domain = _domain_ref(scope.domain)
        if not (domain.id or domain.name):
            raise InvalidInputError("Expecting domain.id or domain.name in auth.scope.", field="scope")
        return domain
    if scope.system is not None:
        if not scope.system.all:
            raise InvalidInputError("Expecting system.all to be true in auth.scope.", field="scope")
        return SystemRef()
    return None if scope.unscoped is None else UnscopedRef()


def _project_ref(project: ProjectBody) -> ProjectRef:
    if not (project.id or project.name):
        raise InvalidInputError("Expecting project.id or project.name in auth.scope.", field="scope")
    domain = _domain_ref(project.domain)
    return ProjectRef(id=project.id or None, name=project.name, domain=domain if domain.id or domain.name else None)


def _domain_ref(domain: DomainBody | None) -> DomainRef:
    return DomainRef(id=domain.id or None, name=domain.name or None) if domain else DomainRef()


class NamedIn(Struct, frozen=True):
    """Something with a name inside of a domain."""

    id: str
    name: str
    domain: "Named"


class Named(Struct, frozen=True):
    id: str
    name: str


class TokenUser(Struct, frozen=True):
    id: str
    name: str
    domain: Named
    password_expires_at: str = ""


class TokenDomain(Struct, frozen=True):
    id: str
    name: str
    xdomain_type: str
    xdomain_id: str


class TokenWire(Struct, frozen=True, kw_only=True):
    methods: tuple[str, ...]
    expires_at: str
    issued_at: str
    user: TokenUser
    project: NamedIn | UnsetType = UNSET
    domain: TokenDomain | UnsetType = UNSET
    roles: list[Named] | UnsetType = UNSET
    catalog: Raw | UnsetType = UNSET


class TokenDocument(Struct, frozen=True):
    token: TokenWire


def token_document(token: Token, catalog: Raw | None) -> TokenDocument:
    standing, claims = token.standing, token.claims
    domain = standing.domain
    project: NamedIn | UnsetType = UNSET
    scope_domain: TokenDomain | UnsetType = UNSET
    if domain is not None and standing.project is not None:
        project = NamedIn(standing.project.id, standing.project.name, Named(domain.id, domain.name))
    elif domain is not None:
        scope_domain = TokenDomain(domain.id, domain.name, "TSI", domain.id)
    return TokenDocument(
        TokenWire(
            methods=claims.methods,
            expires_at=iso_micros_z(claims.expires_at),
            issued_at=iso_micros_z(claims.issued_at),
            user=TokenUser(
                standing.user.id, standing.user.name, Named(standing.user_domain.id, standing.user_domain.name)
            ),
            project=project,
            domain=scope_domain,
            roles=UNSET if domain is None else [Named(role.id, role.name) for role in standing.roles],
            catalog=UNSET if catalog is None else catalog,
        )
    )


def project_to_wire(project: Project, base: str) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain_id,
        "parent_id": project.domain_id,
        "enabled": project.enabled,
        "is_domain": False,
        "description": project.description,
        "tags": [],
        "options": {},
        "links": {"self": f"{base}/v3/projects/{project.id}"},
    }


def domain_to_wire(domain: Domain, base: str) -> dict[str, Any]:
    return {
        "id": domain.id,
        "name": domain.name,
        "enabled": domain.enabled,
        "description": domain.description,
        "links": {"self": f"{base}/v3/domains/{domain.id}"},
    }


def user_to_wire(user: User, base: str) -> dict[str, Any]:
    email = {"email": user.email} if user.email else {}
    default_project = {"default_project_id": user.default_project_id} if user.default_project_id else {}
    return {
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain_id,
        "enabled": user.enabled,
        **email,
        **default_project,
        "password_expires_at": None,
        "options": {},
        "links": {"self": f"{base}/v3/users/{user.id}"},
    }


def role_to_wire(role: Role, base: str, description: str) -> dict[str, Any]:
    return {
        "id": role.id,
        "name": role.name,
        "domain_id": None,
        "description": description,
        "display_name": role.name,
        "type": "AA",
        "catalog": "BASE",
        "options": {},
        "links": {"self": f"{base}/v3/roles/{role.id}"},
    }


def collection(name: str, entries: list[Any], self_url: str) -> dict[str, Any]:
    return {name: entries, "links": {"self": self_url, "next": None, "previous": None}}


def flag(query: Mapping[str, str], name: str) -> bool | None:
    """Keystone's reading of a boolean filter; None when it is absent (clients also spell that "None")."""
    text = query.get(name)
    return None if text is None or text == "None" else text.lower() not in _FALSE


def page_of(query: Mapping[str, str]) -> Page:
    """`page` counts from 1; without `per_page` the list is whole. Raises: InvalidInputError."""
    if "per_page" not in query:
        return Page()
    per_page = _whole_number(query, "per_page", MAX_PER_PAGE)
    return Page(limit=per_page, offset=(_whole_number(query, "page", MAX_PAGE) - 1) * per_page)


def _whole_number(query: Mapping[str, str], name: str, largest: int) -> int:
    text = query.get(name, "1")
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= largest):
        raise InvalidInputError(f"Request parameter {name} is invalid.", field=name)
    return int(text)
