"""What a caller can do with identity: log in, prove who they are, look around.

Whatever may be wrong with credentials (user, password, token, signature, scope, role, disabled, revoked, expired), the
answer is one and the same UnauthenticatedError.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple

from msgspec import structs

from stillframe.config import Settings
from stillframe.db import Database, Transaction
from stillframe.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from stillframe.identity import effective, second_factors, signatures, standings
from stillframe.identity.access_keys import (
    BucketAccount,
    NewKey,
    create_access_key,
    create_temporary_key,
    hash_security_token,
    is_live,
    reveal_secret,
    service_access_key,
)
from stillframe.identity.accounts import (
    FirstAccount,
    bootstrap_accounts,
    change_password,
    create_project,
    create_user,
    get_project,
    grant_role,
    list_projects,
    set_project_enabled,
    set_user_enabled,
    withdraw_role,
)
from stillframe.identity.buckets import lookup_access_key
from stillframe.identity.logins import authenticate_password
from stillframe.identity.model import (
    SYSTEM_SCOPE,
    TOKEN_LIFETIME,
    UNSCOPED,
    AccessKeyKind,
    AppCredential,
    AppCredentialLogin,
    Caller,
    DomainRef,
    Login,
    PasswordLogin,
    ProjectFilter,
    ProjectRef,
    Role,
    Scope,
    ScopeRef,
    Standing,
    SystemRef,
    Token,
    TokenClaims,
    TokenLogin,
    Trust,
    TrustRef,
    TrustView,
    UnscopedRef,
    User,
)
from stillframe.identity.passwords import password_matches
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import applications as application_rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import keys as key_rows
from stillframe.identity.rows import trusts as trust_rows
from stillframe.identity.rows.accounts import lock_project
from stillframe.identity.tokens import TokenKeys, decode_token, encode_token
from stillframe.identity.trusts import is_usable
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import is_hex_id, new_hex_id

__all__ = [
    "BucketAccount",
    "FirstAccount",
    "IssuedToken",
    "NewKey",
    "authenticate_password",
    "authenticate_signature",
    "bootstrap_accounts",
    "change_password",
    "create_access_key",
    "create_project",
    "create_temporary_key",
    "create_user",
    "get_project",
    "get_token",
    "grant_role",
    "inspect_token",
    "issue_token",
    "list_projects",
    "lock_project",
    "log_in",
    "lookup_access_key",
    "revoke_token",
    "service_access_key",
    "set_project_enabled",
    "set_user_enabled",
    "validate_token",
    "withdraw_role",
]


class IssuedToken(NamedTuple):
    text: str
    token: Token


class _LoggedIn(NamedTuple):
    """Who it is, and what limits the token they get."""

    user: User
    methods: tuple[str, ...]
    expires_at: datetime | None = None
    parent_id: str | None = None
    credential: AppCredential | None = None


async def log_in(
    database: Database, keys: TokenKeys, settings: Settings, login: Login, scope_ref: ScopeRef
) -> IssuedToken:
    """A token for the scope asked for. One got with a token ends when that one ends.

    Takes the database and not a transaction: none is held while the password is checked, which takes long on purpose.

    Raises: UnauthenticatedError; ForbiddenError when the token given may not be traded.
    """
    match login:
        case PasswordLogin():
            found = await _by_password(database, keys, settings, login)
        case TokenLogin():
            found = await _by_token(database, keys, login.token)
        case AppCredentialLogin():
            found = await _by_app_credential(database, login)
    if isinstance(scope_ref, TrustRef):
        return await _by_trust(database, keys, found, scope_ref.id)
    async with database.reading() as tx:
        if found.credential is not None:
            scope = _credential_scope(found.credential, scope_ref)
        else:
            scope = await _resolve_scope(tx, found.user, scope_ref)
        return await issue_token(
            tx,
            keys,
            found.user,
            scope,
            methods=found.methods,
            expires_at=found.expires_at,
            parent_id=found.parent_id,
            credential=found.credential,
        )


async def _by_password(database: Database, keys: TokenKeys, settings: Settings, login: PasswordLogin) -> _LoggedIn:
    async def holds_too(user: User) -> bool:
        given = login.passcode
        if given is not None and not await second_factors.passcode_matches(database, keys, user, given):
            return False
        return second_factors.suffice(user, login.methods)

    return _LoggedIn(await authenticate_password(database, settings, login, holds_too=holds_too), login.methods)


async def _by_token(database: Database, keys: TokenKeys, text: str) -> _LoggedIn:
    async with database.reading() as tx:
        token = await get_token(tx, keys, text)
    claims = token.claims
    if claims.application_credential_id is not None:
        raise ForbiddenError("A token got with an application credential cannot be traded for another.")
    if claims.trust_id is not None:
        raise ForbiddenError("A token got with a trust cannot be traded for another.")
    return _LoggedIn(
        user=token.standing.user,
        methods=tuple(sorted({*claims.methods, "token"})),
        expires_at=claims.expires_at,
        parent_id=claims.parent_id or claims.token_id,
    )


async def _by_trust(database: Database, keys: TokenKeys, found: _LoggedIn, trust_id: str) -> IssuedToken:
    """For the trustee. Each counts as a use of the trust, where those are limited."""
    async with database.writing() as tx:
        view = await trust_rows.get_trust(tx, trust_id) if is_hex_id(trust_id) else None
        if view is None or found.credential is not None or found.user.id != view.trust.trustee_user_id:
            raise UnauthenticatedError
        trust = view.trust
        trustor = await account_rows.get_user(tx, trust.trustor_user_id)
        if trustor is None or not is_usable(trust):
            raise UnauthenticatedError
        if trust.remaining_uses is not None and not await trust_rows.use_trust(tx, trust.id):
            raise UnauthenticatedError
        user, other = (trustor, found.user) if trust.impersonation else (found.user, trustor)
        ends = [each for each in (found.expires_at, trust.expires_at) if each is not None]
        return await issue_token(
            tx,
            keys,
            user,
            Scope(project_id=trust.project_id),
            methods=found.methods,
            expires_at=_end(min(ends)) if ends else None,
            parent_id=found.parent_id,
            trust=trust,
            other_epoch=other.epoch,
        )


async def _by_app_credential(database: Database, login: AppCredentialLogin) -> _LoggedIn:
    async with database.reading() as tx:
        found = await application_rows.find_for_login(
            tx,
            credential_id=login.credential_id,
            name=login.name,
            user_id=login.user_id,
            user_name=login.user_name,
            domain=login.domain,
        )
    matches = await password_matches(found.secret_hash if found else None, login.secret)
    if found is None or not matches:
        raise UnauthenticatedError
    credential = found.credential
    if credential.expires_at is not None and credential.expires_at <= utcnow():
        raise UnauthenticatedError
    async with database.reading() as tx:
        user = await account_rows.get_user(tx, credential.user_id)
    if user is None:
        raise UnauthenticatedError
    return _LoggedIn(user, ("application_credential",), _end(credential.expires_at), credential=credential)


def _end(expires_at: datetime | None) -> datetime | None:
    usual = utcnow() + TOKEN_LIFETIME
    return expires_at if expires_at is not None and expires_at < usual else None


def _credential_scope(credential: AppCredential, ref: ScopeRef) -> Scope:
    """An application credential is for its project; a scope need not, and cannot, be named beside it."""
    named = ref.id if isinstance(ref, ProjectRef) else None
    if ref is not None and named != credential.project_id:
        raise UnauthenticatedError
    return Scope(project_id=credential.project_id)


async def _resolve_scope(tx: Transaction, user: User, ref: ScopeRef) -> Scope:
    """Who asks for nothing gets the own domain, else the default project, else no scope: the first with a role."""
    match ref:
        case UnscopedRef():
            return UNSCOPED
        case ProjectRef():
            return await _project_scope(tx, user, ref)
        case SystemRef():
            return SYSTEM_SCOPE
        case TrustRef():
            raise UnauthenticatedError
        case DomainRef():
            domain = await account_rows.find_domain(tx, ref)
            if domain is None:
                raise UnauthenticatedError
            return Scope(domain_id=domain.id)
    usual = [Scope(domain_id=user.domain_id)]
    if user.default_project_id:
        usual.append(Scope(project_id=user.default_project_id))
    for scope in usual:
        standing = await standings.get_standing(tx, user.id, scope)
        if standing is not None and standing.holds(scope):
            return scope
    return UNSCOPED


async def _project_scope(tx: Transaction, user: User, ref: ProjectRef) -> Scope:
    if ref.id is not None:
        if not is_hex_id(ref.id):
            raise UnauthenticatedError
        return Scope(project_id=ref.id)
    domain = await account_rows.find_domain(tx, ref.domain or DomainRef(id=user.domain_id))
    wanted = ProjectFilter(domain_id=domain.id, name=ref.name) if domain else None
    found = await account_rows.list_projects(tx, wanted) if wanted else []
    if not found or not ref.name:
        raise UnauthenticatedError
    return Scope(project_id=found[0].id)


async def issue_token(
    tx: Transaction,
    keys: TokenKeys,
    user: User,
    scope: Scope,
    *,
    methods: tuple[str, ...],
    expires_at: datetime | None = None,
    parent_id: str | None = None,
    credential: AppCredential | None = None,
    trust: Trust | None = None,
    other_epoch: int = 0,
) -> IssuedToken:
    """Good for 24 hours unless said otherwise. Nothing is stored, so a reading transaction will do.

    Raises: UnauthenticatedError when the user may not act at the scope.
    """
    standing = await standings.get_standing(tx, user.id, scope)
    issued_at = utcnow()
    claims = TokenClaims(
        token_id=new_hex_id(),
        user_id=user.id,
        # The epoch from before the password was checked: if it changed meanwhile, the token is void from the start.
        epoch=user.epoch,
        scope=scope,
        methods=methods,
        issued_at=issued_at,
        expires_at=expires_at or issued_at + TOKEN_LIFETIME,
        parent_id=parent_id,
        application_credential_id=credential.id if credential else None,
        trust_id=trust.id if trust else None,
        other_epoch=other_epoch,
    )
    return IssuedToken(encode_token(keys, claims), await _token_of(tx, claims, standing))


async def _token_of(tx: Transaction, claims: TokenClaims, standing: Standing | None) -> Token:
    """Raises: UnauthenticatedError when the claims do not hold now."""
    used = None
    if standing is not None and claims.application_credential_id is not None:
        used = await application_rows.get_app_credential(tx, claims.application_credential_id)
        standing = await _limited(tx, standing, used.roles, standing.roles) if used else None
    trust = None
    if standing is not None and claims.trust_id is not None:
        view = await trust_rows.get_trust(tx, claims.trust_id)
        standing = await _trusted(tx, claims, standing, view) if view else None
        trust = view.trust if view else None
    if standing is None or not standing.holds(claims.scope):
        raise UnauthenticatedError
    return Token(claims=claims, standing=standing, application_credential=used, trust=trust)


async def _trusted(tx: Transaction, claims: TokenClaims, standing: Standing, view: TrustView) -> Standing | None:
    """With the roles of the trust only; None once either of the two is out, or the trustor has lost one of them."""
    trust = view.trust
    is_trustor = trust.impersonation
    other_id, other_scope = (trust.trustee_user_id, UNSCOPED) if is_trustor else (trust.trustor_user_id, claims.scope)
    other = await standings.get_standing(tx, other_id, other_scope)
    if other is None or other.user.epoch != claims.other_epoch or not other.holds(other_scope):
        return None
    return await _limited(tx, standing, view.roles, standing.roles if is_trustor else other.roles)


async def _limited(
    tx: Transaction, standing: Standing, wanted: tuple[Role, ...], held: tuple[Role, ...]
) -> Standing | None:
    """With the wanted roles and what they imply; None once one of the wanted is not held any more."""
    ids, held_ids = {role.id for role in wanted}, {role.id for role in held}
    if not held_ids >= ids:
        return None
    if held_ids > ids:
        implied = effective.closure(await grant_rows.list_inferences(tx))
        ids = ids.union(*(implied[role_id] for role_id in ids))
    return structs.replace(standing, roles=tuple(role for role in held if role.id in ids))


async def validate_token(tx: Transaction, keys: TokenKeys, text: str) -> Caller:
    """Raises: UnauthenticatedError."""
    return (await get_token(tx, keys, text)).caller


async def get_token(tx: Transaction, keys: TokenKeys, text: str) -> Token:
    """One query, and up to four more for who came with an application credential or a trust.

    Raises: UnauthenticatedError.
    """
    claims = decode_token(keys, text, utcnow())
    return await _token_of(tx, claims, await standings.get_token_standing(tx, claims))


async def inspect_token(tx: Transaction, keys: TokenKeys, caller: Caller, text: str) -> Token:
    """A token as somebody asks about it: users about their own, administrators about those of their domain.

    Raises: NotFoundError when it does not hold; ForbiddenError.
    """
    try:
        token = await get_token(tx, keys, text)
    except UnauthenticatedError:
        raise NotFoundError("Could not find token.") from None
    user = token.standing.user
    if user.id != caller.user_id and not caller.administers(user.domain_id):
        raise ForbiddenError
    return token


async def revoke_token(tx: Transaction, keys: TokenKeys, caller: Caller, text: str) -> None:
    """Refused everywhere from the commit on. Raises: NotFoundError when it does not hold; ForbiddenError."""
    token = await inspect_token(tx, keys, caller, text)
    # Two revocations of one token meet here; the second finds it revoked.
    await account_rows.lock_user(tx, token.standing.user.id)
    token = await inspect_token(tx, keys, caller, text)
    await key_rows.delete_revoked_tokens(tx, before=utcnow())
    await key_rows.insert_revoked_token(tx, token.claims.token_id, token.claims.expires_at)


async def authenticate_signature(
    database: Database,
    keys: TokenKeys,
    request: signatures.SignedRequest,
    scope: Scope,
    read_body: Callable[[], Awaitable[bytes]],
) -> Caller:
    """Who signed the request, at the scope it is for (the key's or the user's default project when unscoped).

    The body is only read for a key that exists and a request that is timely, and no transaction is held meanwhile.

    Raises: UnauthenticatedError, and whatever `read_body` raises.
    """
    signature = signatures.parse_signature(request)
    now = utcnow()
    if not signatures.is_timely(signature, now):
        raise UnauthenticatedError
    async with database.reading() as tx:
        found = await standings.get_signer(tx, signature.access, scope)
    if found is None:
        raise UnauthenticatedError
    row, standing = found
    _check_key(row, scope, request.header("x-security-token"), now)
    body = await read_body() if signatures.needs_body(request) else None if signatures.has_body(request) else b""
    if not signatures.is_valid(signature, request, reveal_secret(keys, row), body) or not standing.holds(scope):
        raise UnauthenticatedError
    if scope.is_unscoped and standing.project and not standing.holds(Scope(project_id=standing.project.id)):
        raise UnauthenticatedError
    caller = standing.caller(expires_at=_end(row.key.expires_at) or now + TOKEN_LIFETIME, token_id=None)
    return structs.replace(caller, is_restricted=row.key.kind is AccessKeyKind.TEMPORARY)


def _check_key(row: key_rows.KeyRow, scope: Scope, security_token: str, now: datetime) -> None:
    key = row.key
    given_hash = hash_security_token(security_token) if security_token else None
    elsewhere = key.project_id is not None and scope.project_id not in (None, key.project_id)
    if (
        key.kind is AccessKeyKind.SERVICE
        or not is_live(key, now)
        or given_hash != row.security_token_hash
        or elsewhere
        or (key.kind is AccessKeyKind.TEMPORARY and scope.domain_id is not None)
    ):
        raise UnauthenticatedError
