"""Keystone v3 on the wire: the body that asks for a token, and what tokens, projects and users look like.

Source: OpenStack Identity API v3; Open Telekom Cloud, Identity and Access Management API reference.
"""

import base64
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field, structs

from stillframe.errors import InvalidInputError
from stillframe.identity.model import (
    WITH_PASSCODE,
    AppCredentialLogin,
    AppCredentialView,
    DomainRef,
    Login,
    Passcode,
    PasswordLogin,
    ProjectRef,
    ScopeRef,
    SystemRef,
    Token,
    TokenLogin,
    Trust,
    TrustRef,
    UnscopedRef,
)
from stillframe.kit.clock import iso_micros_z

TRUST = "OS-TRUST:trust"

BodyT = TypeVar("BodyT", bound=Struct)


class DomainBody(Struct):
    id: str | None = None
    name: str | None = None


class UserBody(Struct):
    id: str | None = None
    name: str | None = None
    domain: DomainBody | None = None
    password: str | None = None
    passcode: str | None = None


class UserProofBody(Struct):
    user: UserBody


class TokenIdBody(Struct):
    id: str


class AppCredentialBody(Struct):
    id: str | None = None
    name: str | None = None
    user: UserBody | None = None
    secret: str | None = None


class IdentityBody(Struct):
    methods: list[str]
    password: UserProofBody | None = None
    totp: UserProofBody | None = None
    token: TokenIdBody | None = None
    application_credential: AppCredentialBody | None = None


class ProjectBody(Struct):
    id: str | None = None
    name: str | None = None
    domain: DomainBody | None = None


class SystemBody(Struct):
    all: bool = False


class TrustRefBody(Struct):
    id: str


class ScopeBody(Struct):
    project: ProjectBody | None = None
    domain: DomainBody | None = None
    system: SystemBody | None = None
    unscoped: dict[str, Any] | None = None
    trust: TrustRefBody | None = field(default=None, name=TRUST)


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


def login_of(body: LoginBody) -> Login:
    identity = body.auth.identity
    methods = set(identity.methods)
    if methods == {"password"} and identity.password is not None:
        return _password_login(identity.password.user)
    if methods == {"password", "totp"} and identity.password is not None and identity.totp is not None:
        return structs.replace(_password_login(identity.password.user), passcode=_passcode(identity.totp.user))
    if methods == {"token"} and identity.token is not None:
        return TokenLogin(token=identity.token.id)
    if methods == {"application_credential"} and identity.application_credential is not None:
        return _app_credential_login(identity.application_credential)
    raise InvalidInputError(
        "Expecting one of the methods password, token and application_credential in auth.identity, or password and "
        "totp, and members of those names.",
        field="methods",
    )


def _app_credential_login(given: AppCredentialBody) -> AppCredentialLogin:
    user = given.user or UserBody()
    domain = _domain_ref(user.domain)
    if given.secret is None or not (given.id or (given.name and _is_named(user, domain))):
        raise InvalidInputError(
            "Expecting application_credential.id, or application_credential.name and user, and a secret.",
            field="application_credential",
        )
    return AppCredentialLogin(
        credential_id=given.id or None,
        name=given.name,
        user_id=user.id or None,
        user_name=user.name,
        domain=domain,
        secret=given.secret,
    )


def _password_login(user: UserBody) -> PasswordLogin:
    domain = _domain_ref(user.domain)
    if user.password is None or not _is_named(user, domain):
        raise InvalidInputError("Expecting user.id, or user.name and user.domain, and user.password.", field="user")
    return PasswordLogin(user_id=user.id or None, user_name=user.name, domain=domain, password=user.password)


def _passcode(user: UserBody) -> Passcode:
    domain = _domain_ref(user.domain)
    if user.passcode is None or not _is_named(user, domain):
        raise InvalidInputError("Expecting user.id, or user.name and user.domain, and user.passcode.", field="user")
    return Passcode(user_id=user.id or None, user_name=user.name, domain=domain, digits=user.passcode)


def _is_named(user: UserBody, domain: DomainRef) -> bool:
    return bool(user.id or (user.name and (domain.id or domain.name)))


def scope_of(body: LoginBody) -> ScopeRef:
    scope = body.auth.scope
    if scope is None or scope == "unscoped":
        return None if scope is None else UnscopedRef()
    if isinstance(scope, str):
        raise InvalidInputError("Expecting an object or unscoped in auth.scope.", field="scope")
    if scope.trust is not None:
        if scope.project is not None or scope.domain is not None:
            raise InvalidInputError("A trust has its project: name no other scope beside it.", field="scope")
        return TrustRef(scope.trust.id)
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


class TokenSystem(Struct, frozen=True):
    all: bool = True


class TokenAccessRule(Struct, frozen=True):
    id: str
    service: str
    method: str
    path: str


class TokenAppCredential(Struct, frozen=True):
    id: str
    name: str
    restricted: bool
    access_rules: list[TokenAccessRule] | UnsetType = UNSET


class TokenTrustUser(Struct, frozen=True):
    id: str


class TokenTrust(Struct, frozen=True):
    id: str
    impersonation: bool
    trustor_user: TokenTrustUser
    trustee_user: TokenTrustUser


class TokenWire(Struct, frozen=True, kw_only=True):
    methods: tuple[str, ...]
    expires_at: str
    issued_at: str
    mfa_authn_at: str | UnsetType = UNSET
    audit_ids: list[str]
    user: TokenUser
    project: NamedIn | UnsetType = UNSET
    is_domain: bool | UnsetType = UNSET
    domain: TokenDomain | UnsetType = UNSET
    system: TokenSystem | UnsetType = UNSET
    roles: list[Named] | UnsetType = UNSET
    application_credential: TokenAppCredential | UnsetType = UNSET
    trust: TokenTrust | UnsetType = field(default=UNSET, name=TRUST)
    catalog: Raw | UnsetType = UNSET


class TokenDocument(Struct, frozen=True):
    token: TokenWire


def token_document(token: Token, catalog: Raw | None) -> TokenDocument:
    standing, claims = token.standing, token.claims
    domain, user = standing.domain, standing.user
    project: NamedIn | UnsetType = UNSET
    scope_domain: TokenDomain | UnsetType = UNSET
    if domain is not None and standing.project is not None:
        project = NamedIn(standing.project.id, standing.project.name, Named(domain.id, domain.name))
    elif domain is not None:
        scope_domain = TokenDomain(domain.id, domain.name, "TSI", domain.id)
    used = token.application_credential
    return TokenDocument(
        TokenWire(
            methods=claims.methods,
            expires_at=iso_micros_z(claims.expires_at),
            issued_at=iso_micros_z(claims.issued_at),
            mfa_authn_at=iso_micros_z(claims.issued_at) if claims.methods == WITH_PASSCODE else UNSET,
            audit_ids=[_audit_id(an_id) for an_id in (claims.token_id, claims.parent_id) if an_id],
            user=TokenUser(
                user.id,
                user.name,
                Named(standing.user_domain.id, standing.user_domain.name),
                iso_micros_z(user.password_expires_at) if user.password_expires_at else "",
            ),
            project=project,
            is_domain=UNSET if project is UNSET else False,
            domain=scope_domain,
            system=TokenSystem() if claims.scope.system else UNSET,
            roles=UNSET if claims.scope.is_unscoped else [Named(role.id, role.name) for role in standing.roles],
            application_credential=UNSET if used is None else _app_credential(used),
            trust=UNSET if token.trust is None else _trust(token.trust),
            catalog=UNSET if catalog is None else catalog,
        )
    )


def _trust(used: Trust) -> TokenTrust:
    trustor, trustee = TokenTrustUser(used.trustor_user_id), TokenTrustUser(used.trustee_user_id)
    return TokenTrust(used.id, used.impersonation, trustor, trustee)


def _audit_id(token_id: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(token_id)).decode().rstrip("=")


def _app_credential(used: AppCredentialView) -> TokenAppCredential:
    rules = [TokenAccessRule(rule.id, rule.service, rule.method, rule.path) for rule in used.access_rules]
    one = used.credential
    return TokenAppCredential(one.id, one.name, not one.unrestricted, rules or UNSET)
